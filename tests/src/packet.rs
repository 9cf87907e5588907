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

/// An IP packet as it was on the wire.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// Type and VLAN of each tag, the outermost first.
    pub tags: Vec<(u16, u16)>,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// Of the first header that is no IPv6 extension.
    pub protocol: u8,
    pub fragment: Option<Fragment>,
    /// The network header included, as nft counts it.
    pub bytes: u64,
    /// Of the IPv4 header.
    pub checksum_is_right: bool,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    pub identification: u32,
    /// In bytes.
    pub offset: usize,
    pub more: bool,
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
    pub sequence: u32,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
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
        packets.extend(datagram(frame).as_ref().and_then(packet));
        rest = tail;
    }
    packets
}

/// Reads an Ethernet frame, tagged or not; `None` for what is no IP.
pub fn datagram(frame: &[u8]) -> Option<Datagram> {
    const TYPE: usize = 12;
    const TAG: usize = 4;
    let mut tags = Vec::new();
    let mut at = TYPE;
    while let kind @ (0x8100 | 0x88a8) = word(frame, at)? {
        tags.push((kind, word(frame, at + 2)? & 0xfff));
        at += TAG;
    }
    let body = frame.get(at + 2..)?;
    let datagram = match word(frame, at)? {
        0x0800 => ipv4(body),
        0x86dd => ipv6(body),
        _ => None,
    }?;
    Some(Datagram { tags, ..datagram })
}

/// Reads TCP or UDP; `None` for other protocols and for a fragment.
pub fn packet(datagram: &Datagram) -> Option<Packet> {
    let body = &datagram.body;
    let (transport, header_length, flags) = match datagram.protocol {
        TCP => (
            Transport::Tcp,
            usize::from(body.get(12)? >> 4) * 4,
            *body.get(13)?,
        ),
        UDP => (Transport::Udp, 8, 0),
        _ => return None,
    };
    // RFC 768: over IPv4 a UDP checksum of zero means that there is none.
    let has_none = transport == Transport::Udp && datagram.source.is_ipv4() && word(body, 6)? == 0;
    let is_right = has_none || pseudo_checksum_is_right(datagram);
    let sequence = u32::from(word(body, 4)?) << 16 | u32::from(word(body, 6)?);
    datagram.fragment.is_none().then_some(Packet {
        transport,
        tags: datagram.tags.clone(),
        source: SocketAddr::new(datagram.source, word(body, 0)?),
        destination: SocketAddr::new(datagram.destination, word(body, 2)?),
        bytes: datagram.bytes,
        sequence,
        syn: flags & 0x02 != 0,
        ack: flags & 0x10 != 0,
        fin: flags & 0x01 != 0,
        rst: flags & 0x04 != 0,
        checksums_are_right: is_right && datagram.checksum_is_right,
        payload: body.get(header_length..)?.to_vec(),
    })
}

/// The checksum of TCP, UDP or ICMPv6, which covers the addresses.
pub fn pseudo_checksum_is_right(datagram: &Datagram) -> bool {
    let length = u32::try_from(datagram.body.len()).expect("a packet's length");
    let mut pseudo = Vec::new();
    for address in [datagram.source, datagram.destination] {
        match address {
            IpAddr::V4(address) => pseudo.extend(address.octets()),
            IpAddr::V6(address) => pseudo.extend(address.octets()),
        }
    }
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, datagram.protocol]);
    fold(u32::from(sum(&pseudo)) + u32::from(sum(&datagram.body))) == 0xffff
}

/// An IPv4 packet, or its beginning as an ICMP error quotes it.
pub fn ipv4(packet: &[u8]) -> Option<Datagram> {
    let header_length = usize::from(packet.first()? & 0xf) * 4;
    let length = usize::from(word(packet, 2)?).min(packet.len());
    let (header, _) = packet.split_at_checked(header_length.max(20))?;
    let flags = word(packet, 6)?;
    let address = |at: usize| {
        IpAddr::V4(Ipv4Addr::new(
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ))
    };
    Some(Datagram {
        tags: Vec::new(),
        source: address(12),
        destination: address(16),
        protocol: header[9],
        fragment: (flags & 0x3fff != 0).then_some(Fragment {
            identification: u32::from(word(packet, 4)?),
            offset: usize::from(flags & 0x1fff) * 8,
            more: flags & 0x2000 != 0,
        }),
        bytes: length as u64,
        checksum_is_right: sum(header) == 0xffff,
        body: packet.get(header_length..length)?.to_vec(),
    })
}

/// An IPv6 packet, or its beginning as an ICMPv6 error quotes it.
pub fn ipv6(packet: &[u8]) -> Option<Datagram> {
    const HEADER: usize = 40;
    const FRAGMENT: u8 = 44;
    const OPTIONS: [u8; 3] = [0, 43, 60];
    let length = (HEADER + usize::from(word(packet, 4)?)).min(packet.len());
    let address = |at: usize| {
        let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(bytes)))
    };
    let (mut protocol, mut at, mut fragment) = (packet[6], HEADER, None);
    loop {
        let header = packet.get(at..length)?;
        if protocol == FRAGMENT {
            let offset = word(header, 2)?;
            fragment = Some(Fragment {
                identification: u32::from(word(header, 4)?) << 16 | u32::from(word(header, 6)?),
                offset: usize::from(offset & 0xfff8),
                more: offset & 1 != 0,
            });
            at += 8;
        } else if OPTIONS.contains(&protocol) {
            at += 8 * (1 + usize::from(*header.get(1)?));
        } else {
            break;
        }
        protocol = *header.first()?;
        if fragment.is_some_and(|fragment| fragment.offset != 0) {
            break;
        }
    }
    Some(Datagram {
        tags: Vec::new(),
        source: address(8)?,
        destination: address(24)?,
        protocol,
        fragment,
        bytes: length as u64,
        checksum_is_right: true,
        body: packet.get(at..length)?.to_vec(),
    })
}

pub fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The ones' complement sum of RFC 1071; over data with a right checksum it is 0xffff.
pub fn sum(bytes: &[u8]) -> u16 {
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
