use bytemuck::Pod;

use crate::{
    Segment, Skip,
    headers::{Ethernet, Header},
};

/// What precedes the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkLayer {
    Ethernet,
    /// Nothing: tun, WireGuard and other layer-3 devices.
    None,
}

impl LinkLayer {
    /// Of its header, in bytes.
    #[inline(always)]
    pub const fn length(self) -> usize {
        match self {
            Self::Ethernet => size_of::<Ethernet>(),
            Self::None => 0,
        }
    }
}

/// Where the transport checksum is, and how zero is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Bytes from the start of the packet.
    pub offset: usize,
    /// RFC 768: 0 means none, a computed 0 is written as 0xffff.
    pub zero_is_none: bool,
}

/// A packet's bytes, from its link-layer header onwards.
pub trait Packet {
    fn link_layer(&self) -> LinkLayer;

    /// Whether the link layer addressed another host (`PACKET_OTHERHOST`).
    fn is_other_host(&self) -> bool;

    /// What another interface's program has left on the packet ([`Settings::mark`](crate::abi::Settings)).
    fn mark(&self) -> u32;

    /// Leaves it, unless something else is there.
    fn set_mark(&mut self, mark: u32);

    /// Bytes from the start of the packet to its end, paged data included.
    fn length(&self) -> usize;

    /// A copy of the header at `offset` bytes, or [`Skip::Malformed`] where the packet ends before
    /// it does.
    fn header<T: Header>(&self, offset: usize) -> Result<T, Skip> {
        self.rare_header(offset)
    }

    /// The same where it costs next to nothing, else `None`. The offset must be a constant.
    fn glance<T: Header>(&self, offset: usize) -> Option<T> {
        self.rare_header(offset).ok()
    }

    /// The same for headers that few packets have.
    fn rare_header<T: Pod>(&self, offset: usize) -> Result<T, Skip>;

    /// `value`, of which the BPF verifier then knows nothing: it walks the rest of the program once,
    /// instead of once for every way that led here.
    fn opaque(&self, value: u32) -> u32 {
        value
    }

    /// Asked once a rewrite is certain, before the first write: whether it may be done here. If not, the
    /// packet stays as it is, and the program that sees it next does it.
    fn claim(&mut self, _segment: &Segment) -> bool {
        true
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
