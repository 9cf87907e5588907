//! Where a packet's ports are, found a second time and from the RFCs alone: what the packet path
//! must agree with, for packets that nobody described.

use redirector_common::{
    Direction, LinkLayer,
    abi::{Address, Port},
    native::{Frame, Tuple},
};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Bytes without options.
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;

/// As ARCHITECTURE.md has it.
const MAX_IPV6_EXTENSIONS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Bytes from the start of the packet to the network header.
    pub network: usize,
    /// Bytes from the start of the packet to the ports.
    pub transport: usize,
    /// [`TCP`] or [`UDP`] where there are ports.
    pub protocol: u8,
    /// Bytes from the network header to the end of the payload.
    pub bytes: usize,
}

impl Located {
    /// Bytes from the start of the packet to the transport checksum.
    pub fn checksum(&self) -> usize {
        self.transport + if self.protocol == TCP { 16 } else { 6 }
    }
}

/// An ICMP error about something that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Bytes from the start of the packet to the ICMP header.
    pub icmp: usize,
    /// The packet that it is about, as far as the quote has it.
    pub packet: Located,
    /// Whether the quote has all that the quoted checksum is in, and one.
    pub has_checksum: bool,
}

pub fn locate(frame: &Frame) -> Option<Located> {
    let datagram = datagram(frame)?;
    let least = match datagram.protocol {
        TCP => TCP_HEADER,
        UDP => UDP_HEADER,
        _ => return None,
    };
    let end = datagram.network + datagram.bytes;
    (datagram.transport + least <= end).then_some(datagram)
}

/// RFC 792 and RFC 4443; where the quote ends, RFC 4884.
pub fn quote(frame: &Frame) -> Option<Quote> {
    let bytes = &frame.bytes;
    let error = datagram(frame)?;
    let icmp = error.transport;
    let header = bytes.get(icmp..)?.get(..ICMP_HEADER)?;
    let is_ipv6 = bytes[error.network] >> 4 == 6;
    let length = match (is_ipv6, error.protocol, header[0]) {
        (false, 1, 3 | 11 | 12) => 4 * usize::from(header[5]),
        (true, 58, 1 | 3) => 8 * usize::from(header[4]),
        (true, 58, 2 | 4) => 0,
        _ => return None,
    };
    let network = icmp + ICMP_HEADER;
    let end = error.network + error.bytes;
    let rest = end.saturating_sub(network);
    let end = if (128..rest).contains(&length) {
        network + length
    } else {
        end
    };
    let packet = datagram_at(bytes, network)?;
    if (bytes[network] >> 4 == 6) != is_ipv6 || !matches!(packet.protocol, TCP | UDP) {
        return None;
    }
    bytes.get(packet.transport..)?.get(..UDP_HEADER)?;
    let has_checksum = match packet.protocol {
        TCP => packet.transport + TCP_HEADER <= end,
        _ => packet.transport + UDP_HEADER <= end && u16_at(bytes, packet.checksum()) != Some(0),
    };
    Some(Quote {
        icmp,
        packet,
        has_checksum,
    })
}

/// Protocol, and remote and local address and port.
pub type Flow = (u8, Tuple);

/// The flow of a packet that crosses in this direction.
pub fn flow(frame: &Frame, at: &Located, direction: Direction) -> Flow {
    let ip = &frame.bytes[at.network..];
    let [source, destination] = if ip[0] >> 4 == 4 {
        [12, 16].map(|from| {
            let bytes = ip[from..from + 4].try_into().expect("4 bytes");
            Address::ipv4(u32::from_ne_bytes(bytes))
        })
    } else {
        [8, 24].map(|from| Address::ipv6(ip[from..from + 16].try_into().expect("16 bytes")))
    };
    let [source_port, destination_port] =
        [0, 2].map(|from| Port::new(u16_at(&frame.bytes, at.transport + from).expect("a port")));
    let tuple = match direction {
        Direction::Ingress => (source, source_port, destination, destination_port),
        Direction::Egress => (destination, destination_port, source, source_port),
    };
    (at.protocol, tuple)
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Any IP packet that is no later fragment.
fn datagram(frame: &Frame) -> Option<Located> {
    let bytes = &frame.bytes;
    let network = match frame.link_layer {
        LinkLayer::Ethernet => ethernet(bytes)?,
        // No IP header is shorter than this.
        LinkLayer::None => bytes.get(..20).map(|_| 0)?,
    };
    let datagram = datagram_at(bytes, network)?;
    // One that was cut short reaches nobody.
    (network + datagram.bytes <= bytes.len()).then_some(datagram)
}

fn datagram_at(bytes: &[u8], network: usize) -> Option<Located> {
    let ip = bytes.get(network..)?;
    let (protocol, header, length) = match ip.first()? >> 4 {
        4 => ipv4(ip)?,
        6 => ipv6(ip)?,
        _ => return None,
    };
    // A super-packet's header says 0.
    let bytes = if length == 0 { ip.len() } else { length };
    Some(Located {
        network,
        transport: network + header,
        protocol,
        bytes,
    })
}

/// Where IP begins, after IEEE 802.3's header and at most two tags of IEEE 802.1Q.
fn ethernet(bytes: &[u8]) -> Option<usize> {
    let types = [12, 16, 20].map(|at| u16_at(bytes, at));
    let tags = types
        .iter()
        .take(2)
        .take_while(|each| matches!(each, Some(0x8100 | 0x88a8)))
        .count();
    let network = 14 + 4 * tags;
    let version = bytes.get(network)? >> 4;
    let announced = match types[tags]? {
        0x0800 => 4,
        0x86dd => 6,
        _ => return None,
    };
    (version == announced).then_some(network)
}

/// Protocol, length of the header and of the datagram (RFC 791 section 3.1).
fn ipv4(ip: &[u8]) -> Option<(u8, usize, usize)> {
    let header = ip.get(..20)?;
    let length = 4 * usize::from(header[0] & 0xf);
    let is_later_fragment = u16_at(header, 6)? & 0x1fff != 0;
    let total = u16_at(header, 2)?;
    (length >= 20 && !is_later_fragment).then_some((header[9], length, usize::from(total)))
}

/// The same of all headers (RFC 8200 sections 3 and 4); 0 for a length that the header leaves open.
fn ipv6(ip: &[u8]) -> Option<(u8, usize, usize)> {
    let header = ip.get(..40)?;
    let (mut next, mut at) = (header[6], 40);
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let length = match next {
            0 | 43 | 60 => ip
                .get(at..at + 8)
                .map(|each| 8 + 8 * usize::from(each[1]))?,
            44 if u16_at(ip, at + 2)? & 0xfff8 != 0 => return None,
            44 => ip.get(at..at + 8).map(|_| 8)?,
            _ => break,
        };
        next = ip[at];
        at += length;
    }
    let payload = usize::from(u16_at(header, 4)?);
    let total = if payload == 0 { 0 } else { 40 + payload };
    Some((next, at, total))
}
