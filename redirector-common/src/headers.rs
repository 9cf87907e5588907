//! Wire headers. Alignment 1, every multi-byte field in network byte order.

use bytemuck::{Pod, Zeroable};

pub const ETH_P_IPV4: [u8; 2] = [0x08, 0x00];
pub const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];
pub const ETH_P_8021Q: [u8; 2] = [0x81, 0x00];
pub const ETH_P_8021AD: [u8; 2] = [0x88, 0xa8];

/// IP protocol numbers and IPv6 next headers (IANA).
pub mod ipproto {
    pub const HOP_BY_HOP: u8 = 0;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// IEEE 802.3, 14 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ethernet {
    pub destination: [u8; 6],
    pub source: [u8; 6],
    pub ethertype: [u8; 2],
}

/// IEEE 802.1Q tag after the ethertype that announced it, 4 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Vlan {
    pub tci: [u8; 2],
    pub ethertype: [u8; 2],
}

/// RFC 791 section 3.1 without options, 20 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub tos: u8,
    pub total_length: [u8; 2],
    pub identification: [u8; 2],
    pub flags_fragment: [u8; 2],
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: [u8; 2],
    pub source: [u8; 4],
    pub destination: [u8; 4],
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

    /// Whether ports cannot follow: the fragment offset is not 0.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        u16::from_be_bytes(self.flags_fragment) & 0x1fff != 0
    }
}

/// RFC 8200 section 3, 40 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Ipv6 {
    pub version_class_flow: [u8; 4],
    pub payload_length: [u8; 2],
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: [u8; 16],
    pub destination: [u8; 16],
}

impl Ipv6 {
    #[inline(always)]
    pub fn version(&self) -> u8 {
        self.version_class_flow[0] >> 4
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
    pub fragment_offset: [u8; 2],
    pub data: [u8; 4],
}

impl Ipv6Extension {
    /// For a fragment header: whether ports cannot follow.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        u16::from_be_bytes(self.fragment_offset) & 0xfff8 != 0
    }
}

/// RFC 9293 section 3.1 without options, 20 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Tcp {
    pub source_port: [u8; 2],
    pub destination_port: [u8; 2],
    pub sequence: [u8; 4],
    pub acknowledgment: [u8; 4],
    pub data_offset: u8,
    pub flags: u8,
    pub window: [u8; 2],
    pub checksum: [u8; 2],
    pub urgent: [u8; 2],
}

/// RFC 768, 8 bytes.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Udp {
    pub source_port: [u8; 2],
    pub destination_port: [u8; 2],
    pub length: [u8; 2],
    pub checksum: [u8; 2],
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
    }
}
