//! What XDP is run for as a [`Packet`].

use core::{ffi::c_void, mem::offset_of, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes, bpf_xdp_store_bytes},
};
use bytemuck::Pod;
use redirector_common::{
    Checksum, LinkLayer, Packet, Segment, Skip, Traced,
    checksum::{update, update_udp},
    headers::{Ethernet, Header, Tcp, Udp},
    is_unfinished,
};

use crate::{
    aligned::Aligned,
    context::{self, Context},
    mark, trace,
};

/// Where the transport header usually is.
const TRANSPORTS: [usize; 2] = context::transports(size_of::<Ethernet>());

/// `LINEAR` for Linux before 5.18, which has no packets in fragments here, nor the helpers for them: what is not where
/// it usually is, is left to TC.
pub struct XdpContext<const LINEAR: bool> {
    md: *mut xdp_md,
    /// Asked for once: it takes a helper.
    length: u32,
}

impl<const LINEAR: bool> XdpContext<LINEAR> {
    #[inline(always)]
    pub fn new(md: *mut xdp_md) -> Self {
        // SAFETY: the kernel's context lives as long as the program runs.
        let length = unsafe {
            if LINEAR {
                u64::from((*md).data_end - (*md).data)
            } else {
                bpf_xdp_get_buff_len(md)
            }
        };
        Self {
            md,
            length: length as u32,
        }
    }
}

impl<const LINEAR: bool> Context for XdpContext<LINEAR> {
    const HAS_SKB: bool = false;

    #[inline(always)]
    fn start(&self) -> usize {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.md).data as usize }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.md).data_end as usize }
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.length
    }

    #[inline(always)]
    unsafe fn load(&self, offset: u32, buffer: *mut c_void, size: u32) -> bool {
        // SAFETY: the caller's.
        !LINEAR && unsafe { bpf_xdp_load_bytes(self.md, offset, buffer, size) == 0 }
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.md).ingress_ifindex }
    }

    #[inline(always)]
    fn trace(&self, packet: &Traced) {
        if LINEAR {
            // Whoever traces hears of it from TC.
            return;
        }
        let [place, ends, numbers, decision] = packet.to_words();
        trace::trace_xdp(self.md, place, ends, numbers, decision);
    }

    #[inline(always)]
    fn skb(&self) -> Option<*mut __sk_buff> {
        None
    }
}

pub struct XdpPacket<'a, const LINEAR: bool> {
    ctx: &'a XdpContext<LINEAR>,
}

impl<'a, const LINEAR: bool> XdpPacket<'a, LINEAR> {
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext<LINEAR>) -> Self {
        Self { ctx }
    }

    /// `FIELD` bytes into the transport header, in place where that usually is. It is a parameter of the
    /// type, because LLVM puts `offset` in the place of a sum that it equals and does not know.
    #[inline(always)]
    fn load<const FIELD: usize>(&self, offset: usize) -> Result<[u8; 2], Skip> {
        for transport in TRANSPORTS {
            if offset == transport + FIELD
                && let Some(place) = context::in_place::<_, [u8; 2]>(self.ctx, transport + FIELD)
            {
                // SAFETY: it lies within the packet.
                return Ok(unsafe { place.read_unaligned() });
            }
        }
        self.rare_header(offset)
    }

    #[inline(always)]
    fn store<const FIELD: usize>(&self, offset: usize, value: [u8; 2]) -> Result<(), Skip> {
        for transport in TRANSPORTS {
            if offset == transport + FIELD
                && let Some(place) = context::in_place::<_, [u8; 2]>(self.ctx, transport + FIELD)
            {
                // SAFETY: it lies within the packet.
                unsafe { place.write_unaligned(value) };
                return Ok(());
            }
        }
        if LINEAR {
            return Err(Skip::Rewrite);
        }
        let value = Aligned(value);
        let size = size_of::<[u8; 2]>() as u32;
        let buffer = ptr::from_ref(&value).cast_mut().cast();
        // SAFETY: the helper reads `size` bytes, which are there.
        let failed = unsafe { bpf_xdp_store_bytes(self.ctx.md, offset as u32, buffer, size) };
        if failed == 0 {
            Ok(())
        } else {
            Err(Skip::Rewrite)
        }
    }
}

impl<const LINEAR: bool> Packet for XdpPacket<'_, LINEAR> {
    #[inline(always)]
    fn link_layer(&self) -> LinkLayer {
        LinkLayer::Ethernet
    }

    /// The interface's own address is not known here. It does no harm: a flow takes an address of this
    /// host, so nothing that is forwarded is rewritten, and the kernel drops the packet afterwards.
    #[inline(always)]
    fn is_other_host(&self) -> bool {
        false
    }

    /// Not on the packet yet where XDP sees it.
    #[inline(always)]
    fn mark(&self) -> u32 {
        0
    }

    /// [`Self::claim`] has done it.
    #[inline(always)]
    fn set_mark(&mut self, _mark: u32) {}

    #[inline(always)]
    fn length(&self) -> usize {
        self.ctx.length() as usize
    }

    #[inline(always)]
    fn header<T: Header>(&self, offset: usize) -> Result<T, Skip> {
        context::header(self.ctx, LinkLayer::Ethernet, offset)
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

    /// Only a socket buffer tells who computes its checksum, so where it may not be this host's sender,
    /// but a device, TC does the rewrite.
    #[inline(always)]
    fn claim(&mut self, segment: &Segment) -> bool {
        matches!(is_unfinished(self, segment), Ok(false)) && mark::set(self.ctx.md)
    }

    /// Nothing fails here: what is written has been read before.
    #[inline(always)]
    fn replace_u16(
        &mut self,
        offset: usize,
        old: [u8; 2],
        new: [u8; 2],
        checksum: Checksum,
    ) -> Result<(), Skip> {
        if checksum.zero_is_none {
            const FIELD: usize = offset_of!(Udp, checksum);
            let current = self.load::<FIELD>(checksum.offset)?;
            self.store::<FIELD>(checksum.offset, update_udp(current, old, new))?;
        } else {
            const FIELD: usize = offset_of!(Tcp, checksum);
            let current = self.load::<FIELD>(checksum.offset)?;
            self.store::<FIELD>(checksum.offset, update(current, old, new))?;
        }
        self.store::<{ offset_of!(Tcp, destination_port) }>(offset, new)
    }
}
