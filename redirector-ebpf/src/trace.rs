//! Tells whoever traces of a packet. Nobody does, as a rule, so this is out of the way of other packets.

use core::mem::offset_of;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{bpf_get_prandom_u32, bpf_ktime_get_ns},
    programs::TcContext,
};
use redirector_common::{
    Traced,
    abi::{Address, TraceRecord},
};

use crate::{
    context::{Context, opaque},
    maps::{TRACE, TRACE_LOST, TRACED},
    xdp::XdpContext,
};

#[inline(always)]
pub fn is_on() -> bool {
    TRACE.get(0).is_some_and(|control| control.until != 0)
}

/// [`tell`] as a function that is verified once, and has a stack of its own.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn trace_skb(
    skb: *mut __sk_buff,
    place: u64,
    ends: u64,
    numbers: u64,
    decision: u64,
) -> u32 {
    let packet = Traced::from_words([place, ends, numbers, decision]);
    tell(&TcContext::new(skb), &packet);
    0
}

/// The same for XDP.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn trace_xdp(
    md: *mut xdp_md,
    place: u64,
    ends: u64,
    numbers: u64,
    decision: u64,
) -> u32 {
    let packet = Traced::from_words([place, ends, numbers, decision]);
    tell(&XdpContext::<false>::new(md), &packet);
    0
}

#[inline(always)]
fn tell<C: Context>(ctx: &C, packet: &Traced) {
    let Some(control) = TRACE.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: user space replaces it as a whole; a packet that sees half of that is told of or not.
    let control = unsafe { &mut *control };
    // SAFETY: no arguments, no conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if now > control.until {
        // The reader has gone.
        control.until = 0;
        return;
    }
    let mut record = TraceRecord {
        time: now,
        packet: packet.to_words(),
        ifindex: u64::from(ctx.ifindex()),
        ..TraceRecord::default()
    };
    read_addresses(ctx, packet, &mut record);
    if !control.may_want(&record) {
        return;
    }
    let every = control.every;
    // SAFETY: as above.
    if every > 1 && unsafe { bpf_get_prandom_u32() } % every != 0 {
        return;
    }
    // Not reserved and then written: LLVM copies the record there by words that its stack is not
    // aligned to.
    if TRACED.output(record, 0).is_err()
        && let Some(lost) = TRACE_LOST.get_ptr_mut(0)
    {
        // SAFETY: this CPU's own value, and the program is not preempted by itself.
        unsafe { *lost += 1 };
    }
}

/// In place, because the stack is short.
#[inline(always)]
fn read_addresses<C: Context>(ctx: &C, packet: &Traced, record: &mut TraceRecord) {
    let Some((offset, is_ipv6)) = packet.addresses() else {
        return;
    };
    const {
        assert!(offset_of!(TraceRecord, destination) == offset_of!(TraceRecord, source) + 16);
    }
    let place = (&raw mut record.source).cast();
    let size = if is_ipv6 { 32 } else { 8 };
    // SAFETY: there is room for both addresses.
    unsafe { ctx.load(offset, place, size) };
    if !is_ipv6 {
        let [source, destination, ..] = record.source.to_be();
        let opaque = opaque(ctx, 0) as u32;
        record.source = Address::ipv4_with(opaque, source);
        record.destination = Address::ipv4_with(opaque, destination);
    }
}
