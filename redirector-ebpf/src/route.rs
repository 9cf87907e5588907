//! What the kernel's routing says.

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED,
        bpf_fib_lookup as FibLookup,
    },
    helpers::generated::bpf_fib_lookup,
};
use redirector_common::abi::FlowKey;

use crate::aligned::Aligned;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Whether a packet to the key's local address is for this host.
#[inline(always)]
pub fn is_local(skb: *mut __sk_buff, key: &FlowKey) -> bool {
    let answer = look_up_route(skb, key);
    // Not forwarded because it is ours, or because this host forwards nothing.
    answer == BPF_FIB_LKUP_RET_NOT_FWDED || answer == BPF_FIB_LKUP_RET_FWD_DISABLED
}

/// What routing would do with a packet to the key's local address (`BPF_FIB_LKUP_RET_*`).
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn look_up_route(skb: *mut __sk_buff, key: *const FlowKey) -> u32 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    // SAFETY: all zeros is a valid request.
    let mut request = Aligned::<FibLookup>(unsafe { core::mem::zeroed() });
    // SAFETY: the kernel's context lives as long as the program runs.
    request.0.ifindex = unsafe { (*skb).ifindex };
    if key.local.is_ipv4() {
        request.0.family = AF_INET;
        request.0.__bindgen_anon_3.ipv4_src = key.remote.ipv4_to_be();
        request.0.__bindgen_anon_4.ipv4_dst = key.local.ipv4_to_be();
    } else {
        request.0.family = AF_INET6;
        request.0.__bindgen_anon_3.ipv6_src = key.remote.to_be();
        request.0.__bindgen_anon_4.ipv6_dst = key.local.to_be();
    }
    let size = size_of::<FibLookup>() as i32;
    // SAFETY: the request is initialised and `size` bytes long.
    unsafe { bpf_fib_lookup(skb.cast(), &mut request.0, size, 0) as u32 }
}
