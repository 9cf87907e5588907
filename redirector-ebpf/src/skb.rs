//! A socket buffer as a [`Packet`].

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0},
    helpers::generated::bpf_skb_load_bytes,
    programs::TcContext,
};
use bytemuck::Pod;
use redirector_common::{
    Checksum, LinkLayer, Packet, Skip,
    headers::{Ethernet, Header, Ipv4, Ipv6, Layer},
};

use crate::opaque::opaque;

/// `PACKET_OTHERHOST` of `include/uapi/linux/if_packet.h`.
const PACKET_OTHERHOST: u32 = 3;

/// Room for the longest header, IPv6's, in words because the verifier wants the stack aligned.
type Buffer = [u64; 5];

/// The type says whether there is an Ethernet header, so that offsets are constants in functions that
/// are not in line, too.
pub struct SkbPacket<'a, const ETHERNET: bool> {
    ctx: &'a TcContext,
}

impl<'a, const ETHERNET: bool> SkbPacket<'a, ETHERNET> {
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Self {
        Self { ctx }
    }

    /// Reads where headers usually are. The offset is a constant in every copy of this function:
    /// adding a variable to a packet pointer takes CAP_PERFMON (`kernel/bpf/verifier.c`,
    /// `sanitize_ptr_alu()`).
    #[inline(always)]
    fn header_in_place<T: Pod>(&self, offset: usize) -> Option<T> {
        let start = self.ctx.data();
        // Never arithmetic on the end: the verifier proves `start + constant <= end` only.
        if start + offset + size_of::<T>() > self.ctx.data_end() {
            return None;
        }
        // SAFETY: checked to lie within the packet; any bytes are a `T`.
        Some(unsafe { ((start + offset) as *const T).read_unaligned() })
    }

    /// Reads anywhere, paged data included.
    #[inline(always)]
    fn header_by_helper<T: Pod>(&self, offset: usize) -> Result<T, Skip> {
        const { assert!(size_of::<T>() <= size_of::<Buffer>()) };
        let mut buffer: Buffer = [0; 5];
        let size = size_of::<T>() as u32;
        let failed = unsafe {
            // SAFETY: the buffer has room for `size` bytes.
            bpf_skb_load_bytes(
                self.skb().cast(),
                offset as u32,
                (&raw mut buffer).cast(),
                size,
            )
        };
        if failed != 0 {
            return Err(Skip::Malformed);
        }
        // SAFETY: written by the helper, within the buffer and aligned; any bytes are a `T`.
        Ok(unsafe { *(&raw const buffer).cast::<T>() })
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.skb.skb
    }
}

impl<const ETHERNET: bool> Packet for SkbPacket<'_, ETHERNET> {
    #[inline(always)]
    fn link_layer(&self) -> LinkLayer {
        if ETHERNET {
            LinkLayer::Ethernet
        } else {
            LinkLayer::None
        }
    }

    #[inline(always)]
    fn is_other_host(&self) -> bool {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.skb()).pkt_type == PACKET_OTHERHOST }
    }

    #[inline(always)]
    #[expect(clippy::misnamed_getters, reason = "the mark is in that field")]
    fn mark(&self) -> u32 {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.skb()).tc_index }
    }

    #[inline(always)]
    fn set_mark(&mut self, mark: u32) {
        if self.mark() == 0 {
            // SAFETY: as above, and the field may be written (`tc_cls_act_is_valid_access()`).
            unsafe { (*self.skb()).tc_index = mark };
        }
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.ctx.len() as usize
    }

    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Result<T, Skip> {
        let network = if ETHERNET { size_of::<Ethernet>() } else { 0 };
        let usual = match T::LAYER {
            Layer::Link => [0, 0],
            Layer::Network => [network, network],
            Layer::Transport => [network + size_of::<Ipv4>(), network + size_of::<Ipv6>()],
        };
        for place in usual {
            if offset == place
                && let Some(header) = self.header_in_place(place)
            {
                return Ok(header);
            }
        }
        self.header_by_helper(offset)
    }

    #[inline(always)]
    fn glance<T: Header>(&self, offset: usize) -> Option<T> {
        self.header_in_place(offset)
    }

    #[inline(always)]
    fn rare_header<T: Pod>(&self, offset: usize) -> Result<T, Skip> {
        self.header_by_helper(offset)
    }

    #[inline(always)]
    fn opaque(&self, value: u32) -> u32 {
        opaque(self.ctx, u64::from(value)) as u32
    }

    #[inline(always)]
    fn replace_u16(
        &mut self,
        offset: usize,
        old: [u8; 2],
        new: [u8; 2],
        checksum: Checksum,
    ) -> Result<(), Skip> {
        // A port is no part of the pseudo header: without BPF_F_PSEUDO_HDR the helper leaves a
        // partial checksum (CHECKSUM_PARTIAL) as it is and updates a full one.
        let mut flags = size_of::<[u8; 2]>() as u64;
        if checksum.zero_is_none {
            flags |= u64::from(BPF_F_MARK_MANGLED_0);
        }
        let from = u64::from(u16::from_ne_bytes(old));
        let to = u64::from(u16::from_ne_bytes(new));
        self.ctx
            .l4_csum_replace(checksum.offset, from, to, flags)
            .map_err(|_| Skip::Rewrite)?;
        self.ctx.store(offset, &new, 0).map_err(|_| Skip::Rewrite)
    }
}
