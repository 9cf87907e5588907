//! An independent reader of captured packets: written from the RFCs, shares nothing with the
//! packet path under test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const TCP: u8 = 6;
const UDP: u8 = 17;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A TCP or UDP packet as it was on the wire.
#[derive(Clone, Debug)]
pub struct Packet {
    pub transport: Transport,
    /// Type and VLAN of each tag, the outermost first.
    pub tags: Vec<(u16, u16)>,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// The IP packet, network header included, as nft counts it.
    pub bytes: u64,
    pub syn: bool,
    pub ack: bool,
    /// Of both the IPv4 header and the transport.
    pub checksums_are_right: bool,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn involves(&self, port: u16) -> bool {
        self.source.port() == port || self.destination.port() == port
    }
}

/// Reads a pcap file of an Ethernet-like interface. Frames that are no TCP or UDP over IP,
/// fragments, and a last record that is still being written are left out.
pub fn read_pcap(file: &[u8]) -> Vec<Packet> {
    const HEADER: usize = 24;
    const MAGIC: [u8; 4] = 0xa1b2_c3d4_u32.to_ne_bytes();
    const ETHERNET: [u8; 4] = 1u32.to_ne_bytes();
    let Some((header, mut rest)) = file.split_at_checked(HEADER) else {
        return Vec::new();
    };
    assert_eq!(header[..4], MAGIC, "not a pcap file");
    assert_eq!(header[20..24], ETHERNET, "not an Ethernet capture");

    let mut packets = Vec::new();
    while let Some((record, tail)) = rest.split_at_checked(16) {
        let [captured, length] = [8, 12].map(|at| {
            u32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        });
        assert_eq!(captured, length, "a truncated packet");
        let Some((frame, tail)) = tail.split_at_checked(captured as usize) else {
            break;
        };
        packets.extend(ethernet(frame));
        rest = tail;
    }
    packets
}

fn ethernet(frame: &[u8]) -> Option<Packet> {
    const TYPE: usize = 12;
    const TAG: usize = 4;
    let mut tags = Vec::new();
    let mut at = TYPE;
    while let kind @ (0x8100 | 0x88a8) = word(frame, at)? {
        tags.push((kind, word(frame, at + 2)? & 0xfff));
        at += TAG;
    }
    let body = frame.get(at + 2..)?;
    let packet = match word(frame, at)? {
        0x0800 => ipv4(body),
        0x86dd => ipv6(body),
        _ => None,
    }?;
    Some(Packet { tags, ..packet })
}

fn ipv4(packet: &[u8]) -> Option<Packet> {
    let header_length = usize::from(packet.first()? & 0xf) * 4;
    let length = usize::from(word(packet, 2)?);
    let (header, _) = packet.split_at_checked(header_length)?;
    let body = packet.get(header_length..length)?;
    let is_fragment = word(packet, 6)? & 0x3fff != 0;
    let address = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ))
    };
    let pseudo = &header[12..20];
    let header_is_right = sum(header) == 0xffff;
    let packet = transport(header[9], body, pseudo, address(12), address(16), length)?;
    (!is_fragment).then_some(Packet {
        checksums_are_right: packet.checksums_are_right && header_is_right,
        ..packet
    })
}

fn ipv6(packet: &[u8]) -> Option<Packet> {
    const HEADER: usize = 40;
    let length = HEADER + usize::from(word(packet, 4)?);
    let body = packet.get(HEADER..length)?;
    let address = |at: usize| {
        let bytes: [u8; 16] = packet[at..at + 16].try_into().expect("16 bytes");
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    transport(
        packet[6],
        body,
        &packet[8..40],
        address(8),
        address(24),
        length,
    )
}

fn transport(
    protocol: u8,
    body: &[u8],
    addresses: &[u8],
    source: IpAddr,
    destination: IpAddr,
    bytes: usize,
) -> Option<Packet> {
    let (transport, header_length, flags) = match protocol {
        TCP => (
            Transport::Tcp,
            usize::from(body.get(12)? >> 4) * 4,
            *body.get(13)?,
        ),
        UDP => (Transport::Udp, 8, 0),
        _ => return None,
    };
    // RFC 768: over IPv4 a UDP checksum of zero means that there is none.
    let has_none = transport == Transport::Udp && source.is_ipv4() && word(body, 6)? == 0;
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    let pseudo = [addresses, &length, &[0, 0, 0, protocol]].concat();
    let total = u32::from(sum(&pseudo)) + u32::from(sum(body));
    Some(Packet {
        transport,
        tags: Vec::new(),
        source: SocketAddr::new(source, word(body, 0)?),
        destination: SocketAddr::new(destination, word(body, 2)?),
        bytes: bytes as u64,
        syn: flags & 0x02 != 0,
        ack: flags & 0x10 != 0,
        checksums_are_right: has_none || fold(total) == 0xffff,
        payload: body.get(header_length..)?.to_vec(),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The ones' complement sum of RFC 1071; over data with a right checksum it is 0xffff.
fn sum(bytes: &[u8]) -> u16 {
    let total = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    fold(total)
}

fn fold(mut total: u32) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).expect("folded to 16 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071, section 3.
    #[test]
    fn sum_of_the_rfc() {
        assert_eq!(
            sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            0xddf2
        );
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half() {
        assert_eq!(sum(&[0x01]), 0x0100);
    }
}
