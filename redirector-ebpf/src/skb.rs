//! A socket buffer as a [`Packet`].

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0},
    helpers::generated::bpf_skb_load_bytes,
    programs::TcContext,
};
use bytemuck::Pod;
use redirector_common::{Checksum, LinkLayer, Packet, Skip, Traced, headers::Header};

use crate::{
    context::{self, Context},
    trace,
};

/// `PACKET_OTHERHOST` of `include/uapi/linux/if_packet.h`.
const PACKET_OTHERHOST: u32 = 3;

/// As a sum it would be 0, which the arithmetic of checksums does not write.
const LAST: u64 = u16::MAX as u64;

impl Context for TcContext {
    const HAS_SKB: bool = true;

    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.data_end()
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.len()
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, buffer: *mut c_void, size: u32) -> bool {
        // SAFETY: the caller's.
        unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), offset, buffer, size) == 0 }
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.skb.skb).ifindex }
    }

    #[inline(always)]
    fn trace(&self, packet: &Traced) {
        let [place, ends, numbers, decision] = packet.to_words();
        trace::trace_skb(self.skb.skb, place, ends, numbers, decision);
    }

    #[inline(always)]
    fn skb(&self) -> Option<*mut __sk_buff> {
        Some(self.skb.skb)
    }
}

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
        unsafe { (*self.ctx.skb.skb).pkt_type == PACKET_OTHERHOST }
    }

    #[inline(always)]
    #[expect(clippy::misnamed_getters, reason = "the mark is in that field")]
    fn mark(&self) -> u32 {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.ctx.skb.skb).tc_index }
    }

    #[inline(always)]
    fn set_mark(&mut self, mark: u32) {
        if self.mark() == 0 {
            // SAFETY: as above, and the field may be written (`tc_cls_act_is_valid_access()`).
            unsafe { (*self.ctx.skb.skb).tc_index = mark };
        }
    }

    #[inline(always)]
    fn length(&self) -> usize {
        self.ctx.length() as usize
    }

    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Result<T, Skip> {
        context::header(self.ctx, self.link_layer(), offset)
    }

    #[inline(always)]
    fn glance<T: Header>(&self, offset: usize) -> Option<T> {
        context::glance(self.ctx, offset)
    }

    #[inline(always)]
    fn rare_header<T: Pod>(&self, offset: usize) -> Result<T, Skip> {
        context::rare_header(self.ctx, offset)
    }

    #[inline(always)]
    fn opaque(&self, value: u32) -> u32 {
        context::opaque(self.ctx, u64::from(value)) as u32
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
        let to = context::unbounded(u64::from(u16::from_ne_bytes(new)));
        self.ctx
            .l4_csum_replace(checksum.offset, from, to, flags)
            .map_err(|_| Skip::Rewrite)?;
        if to != LAST {
            // Of a checksum c the helper makes the c' with ~c' = ~c - old + new (RFC 1624). Where old is ~c that is
            // ~new: it writes any 16 bits, and faster than bpf_skb_store_bytes(), which calls memcpy() for them.
            let size = size_of::<[u8; 2]>() as u64;
            return self
                .ctx
                .l3_csum_replace(offset, from ^ LAST, to ^ LAST, size)
                .map_err(|_| Skip::Rewrite);
        }
        self.ctx
            .store(offset, &(to as u16).to_ne_bytes(), 0)
            .map_err(|_| Skip::Rewrite)
    }
}
