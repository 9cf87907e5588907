//! How TC ingress knows a packet that XDP rewrote: by metadata in front of it. Otherwise it would take it
//! for one that was sent straight to the target, or rewrite it again.

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::bpf_xdp_adjust_meta,
};
use redirector_common::abi::XDP_MARK;

const SIZE: usize = size_of_val(&XDP_MARK);

/// Marks a packet; false where somebody else's metadata is there, or the driver has no room for it.
#[inline(always)]
pub fn set(md: *mut xdp_md) -> bool {
    // SAFETY: the kernel's context lives as long as the program runs.
    let (metadata, start) = unsafe { ((*md).data_meta as usize, (*md).data as usize) };
    if metadata < start {
        return false;
    }
    // SAFETY: the program reads the packet's pointers anew after this.
    if unsafe { bpf_xdp_adjust_meta(md, -(SIZE as i32)) } != 0 {
        return false;
    }
    // SAFETY: as above.
    let (metadata, start) = unsafe { ((*md).data_meta as usize, (*md).data as usize) };
    if metadata + SIZE > start {
        return false;
    }
    // SAFETY: checked to lie within the metadata.
    unsafe { (metadata as *mut u64).write_unaligned(XDP_MARK) };
    true
}

#[inline(always)]
pub fn is_set(skb: *mut __sk_buff) -> bool {
    // SAFETY: the kernel's context lives as long as the program runs.
    let (metadata, start) = unsafe { ((*skb).data_meta as usize, (*skb).data as usize) };
    // SAFETY: read only where it lies within the metadata.
    metadata + SIZE <= start && unsafe { (metadata as *const u64).read_unaligned() } == XDP_MARK
}
