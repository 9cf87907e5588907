use bytemuck::Pod;

use crate::Skip;

/// What precedes the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLayer {
    Ethernet,
    /// Nothing: tun, WireGuard and other layer-3 devices.
    None,
}

/// Where the transport checksum is, and how zero is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Bytes from the start of the packet.
    pub offset: usize,
    /// RFC 768: 0 means none, a computed 0 is written as 0xffff.
    pub zero_is_none: bool,
}

/// No header begins further into a packet: 14 + 2 × 4 bytes of link layer, 40 of IPv6, 6 extension
/// headers of at most 2048. One less than a power of two, so that a mask can enforce it.
pub const MAX_OFFSET: usize = (1 << 14) - 1;

/// A packet's bytes, from its link-layer header onwards.
pub trait Packet {
    fn link_layer(&self) -> LinkLayer;

    /// Whether the link layer addressed another host (`PACKET_OTHERHOST`).
    fn is_other_host(&self) -> bool;

    /// Bytes from the start of the packet to its end, paged data included.
    fn length(&self) -> usize;

    /// The header at `offset` bytes, or [`Skip::Malformed`] where the packet ends before it does.
    fn header<T: Pod>(&self, offset: usize) -> Result<&T, Skip>;

    /// Makes headers readable that lie in paged data. False where nothing more can be had.
    fn pull_headers(&mut self) -> bool {
        false
    }

    /// `value`, of which the BPF verifier then knows nothing: it walks the rest of the program once,
    /// instead of once for every way that led here.
    fn opaque(&self, value: u32) -> u32 {
        value
    }

    /// The same for an offset, of which the verifier must know that it is at most [`MAX_OFFSET`].
    #[inline(always)]
    fn opaque_offset(&self, offset: usize) -> usize {
        self.opaque(offset as u32) as usize & MAX_OFFSET
    }

    /// Replaces the 16-bit field at `offset` and updates `checksum`, which covers it.
    fn replace_u16(
        &mut self,
        offset: usize,
        old: [u8; 2],
        new: [u8; 2],
        checksum: Checksum,
    ) -> Result<(), Skip>;
}
