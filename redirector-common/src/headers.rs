//! Wire headers. Every multi-byte field is in memory as on the wire: network byte order. They are
//! read as copies, since nothing on the wire is aligned; copies of 8 bytes are aligned to 8, because
//! the BPF stack is.

use bytemuck::{Pod, Zeroable};

use crate::abi::{Address, Port};

pub const ETH_P_IPV4: u16 = 0x0800_u16.to_be();
pub const ETH_P_IPV6: u16 = 0x86dd_u16.to_be();
pub const ETH_P_8021Q: u16 = 0x8100_u16.to_be();
pub const ETH_P_8021AD: u16 = 0x88a8_u16.to_be();

/// IP protocol numbers and IPv6 next headers (IANA).
pub mod ipproto {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// A header that most packets have.
pub trait Header: Pod {
    const LAYER: Layer;
}

/// Where a header usually is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// First.
    Link,
    /// Behind an untagged link-layer header.
    Network,
    /// Behind a network header without options or extensions.
    Transport,
}

/// IEEE 802.3, 14 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ethernet {
    pub destination: [u16; 3],
    pub source: [u16; 3],
    pub ethertype: u16,
}

impl Header for Ethernet {
    const LAYER: Layer = Layer::Link;
}

/// IEEE 802.1Q tag after the ethertype that announced it, 4 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Vlan {
    pub tci: u16,
    pub ethertype: u16,
}

/// RFC 791 section 3.1 without options, 20 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub tos: u8,
    pub total_length: u16,
    pub identification: u16,
    pub flags_fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub source: u32,
    pub destination: u32,
}

impl Header for Ipv4 {
    const LAYER: Layer = Layer::Network;
}

impl Ipv4 {
    /// Header length in bytes, options included: 0 to 60.
    #[inline(always)]
    pub fn header_length(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    #[inline(always)]
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Without options, and with ports behind it where its protocol has them.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.version_ihl == 0x45 && !self.is_later_fragment()
    }

    /// Whether ports cannot follow: the fragment offset is not 0.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        u16::from_be(self.flags_fragment) & 0x1fff != 0
    }
}

/// RFC 8200 section 3, 40 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ipv6 {
    pub version_class_flow: u32,
    pub payload_length: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: Address,
    pub destination: Address,
}

impl Header for Ipv6 {
    const LAYER: Layer = Layer::Network;
}

impl Ipv6 {
    #[inline(always)]
    pub fn version(&self) -> u8 {
        (u32::from_be(self.version_class_flow) >> 28) as u8
    }
}

/// The first 8 bytes of every IPv6 extension header that counts its length in units of 8 bytes,
/// and all of the fragment header (RFC 8200 section 4).
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ipv6Extension {
    pub next_header: u8,
    /// Length in units of 8 bytes, the first 8 not counted; reserved in a fragment header.
    pub length: u8,
    /// Offset and flags in a fragment header; data elsewhere.
    pub fragment_offset: u16,
    pub data: u32,
}

impl Ipv6Extension {
    /// For a fragment header: whether ports cannot follow.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        u16::from_be(self.fragment_offset) & 0xfff8 != 0
    }
}

/// RFC 9293 section 3.1 without options, 20 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Tcp {
    pub source_port: Port,
    pub destination_port: Port,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub data_offset: u8,
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
    pub urgent: u16,
}

impl Header for Tcp {
    const LAYER: Layer = Layer::Transport;
}

/// RFC 768, 8 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Udp {
    pub source_port: Port,
    pub destination_port: Port,
    pub length: u16,
    pub checksum: u16,
}

impl Header for Udp {
    const LAYER: Layer = Layer::Transport;
}

/// The first 8 bytes of an ICMP error (RFC 792, RFC 4443 section 2.1); the packet that it is about
/// follows.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    /// With the quote's length in one byte (RFC 4884 section 4), or its place taken by a number.
    pub rest: [u8; 4],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_wire() {
        assert_eq!(size_of::<Ethernet>(), 14);
        assert_eq!(size_of::<Vlan>(), 4);
        assert_eq!(size_of::<Ipv4>(), 20);
        assert_eq!(size_of::<Ipv6>(), 40);
        assert_eq!(size_of::<Ipv6Extension>(), 8);
        assert_eq!(size_of::<Tcp>(), 20);
        assert_eq!(size_of::<Udp>(), 8);
        assert_eq!(size_of::<Icmp>(), 8);
    }
}
