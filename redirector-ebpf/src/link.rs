//! Layer-3 devices some of whose packets have a link-layer header all the same.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_hdr_start_off},
    helpers::generated::bpf_skb_load_bytes_relative,
    programs::TcContext,
};
use redirector_common::{
    LinkLayer,
    headers::{ETH_P_IPV4, ETH_P_IPV6, Ethernet, Ipv4},
};

use crate::context;

/// Whether an Ethernet header comes before the network header. What IPsec decrypts for an interface of its own
/// keeps that of the packet it came in, with the right type (`xfrm4_remove_tunnel_encap()` in
/// `net/xfrm/xfrm_input.c`).
#[inline(always)]
pub fn has_ethernet(ctx: &TcContext) -> bool {
    look(ctx.skb.skb) != 0
}

/// With a stack of its own.
#[inline(never)]
fn look(skb: *mut __sk_buff) -> u64 {
    let ctx = &TcContext::new(skb);
    let Ok(ethernet) = context::header::<_, Ethernet>(ctx, LinkLayer::Ethernet, 0) else {
        return 0;
    };
    // SAFETY: the kernel's context lives as long as the program runs.
    let protocol = unsafe { (*skb).protocol };
    let is_ip = matches!(ethernet.ethertype, ETH_P_IPV4 | ETH_P_IPV6);
    if !is_ip || u32::from(ethernet.ethertype) != protocol {
        return 0;
    }
    // Or part of an address is there.
    let mut network = [0_u64; size_of::<Ipv4>() / size_of::<u64>()];
    // SAFETY: there is room for that many bytes.
    let is_loaded = unsafe {
        bpf_skb_load_bytes_relative(
            skb.cast(),
            0,
            (&raw mut network).cast(),
            size_of_val(&network) as u32,
            bpf_hdr_start_off::BPF_HDR_START_NET,
        ) == 0
    };
    let first = context::rare_header(ctx, 0);
    (is_loaded && first.is_ok_and(|first: [u64; 2]| first != network)).into()
}
