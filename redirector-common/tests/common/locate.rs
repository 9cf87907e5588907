//! Where a packet's ports are, found a second time and from the RFCs alone: what the packet path
//! must agree with, for packets that nobody described.

use redirector_common::{LinkLayer, native::Frame};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// As ARCHITECTURE.md has it.
const MAX_IPV6_EXTENSIONS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// Bytes from the start of the packet to the network header.
    pub network: usize,
    /// Bytes from the start of the packet to the ports.
    pub transport: usize,
    /// [`TCP`] or [`UDP`].
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

pub fn locate(frame: &Frame) -> Option<Located> {
    let bytes = &frame.bytes;
    let network = match frame.link_layer {
        LinkLayer::Ethernet => ethernet(bytes)?,
        // No IP header is shorter than this.
        LinkLayer::None => bytes.get(..20).map(|_| 0)?,
    };
    let ip = &bytes[network..];
    let (protocol, header, length) = match ip.first()? >> 4 {
        4 => ipv4(ip)?,
        6 => ipv6(ip)?,
        _ => return None,
    };
    let least = match protocol {
        TCP => 20,
        UDP => 8,
        _ => return None,
    };
    // A super-packet's header says 0.
    let bytes = if length == 0 { ip.len() } else { length };
    ip.get(..bytes)?.get(header..header + least)?;
    Some(Located {
        network,
        transport: network + header,
        protocol,
        bytes,
    })
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
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
