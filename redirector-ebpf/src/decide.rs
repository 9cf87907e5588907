//! What no flow explains, in global functions: each is verified once.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use redirector_common::{
    begin::{self, Arrival},
    decision::Decision,
};

use crate::kernel::Kernel;

/// [`begin::syn`] as a function that the verifier walks once by itself, not once for every way that leads
/// to it. Its arguments are all it knows.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn decide_syn(skb: *mut __sk_buff, arrival: *const Arrival, slot: u32) -> u64 {
    decide(skb, arrival, slot, |kernel, arrival| {
        begin::syn(kernel, arrival)
    })
}

/// [`begin::moved`] likewise.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn decide_moved(skb: *mut __sk_buff, arrival: *const Arrival, slot: u32) -> u64 {
    decide(skb, arrival, slot, |kernel, arrival| {
        begin::moved(kernel, arrival)
    })
}

/// [`begin::later`] likewise.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn decide_later(skb: *mut __sk_buff, arrival: *const Arrival, slot: u32) -> u64 {
    decide(skb, arrival, slot, |kernel, arrival| {
        begin::later(kernel, arrival)
    })
}

#[inline(always)]
fn decide(
    skb: *mut __sk_buff,
    arrival: *const Arrival,
    slot: u32,
    decide: impl FnOnce(&mut Kernel<'_, TcContext>, &Arrival) -> Decision,
) -> u64 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(arrival) = (unsafe { arrival.as_ref() }) else {
        return Decision::PASS.to_register();
    };
    let ctx = TcContext::new(skb);
    let mut kernel = Kernel::of_slot(&ctx, slot);
    decide(&mut kernel, arrival).to_register()
}
