//! The BPF programs: the packet path of `redirector-common` over socket buffers and maps.
//! Everything that BPF needs `unsafe` for is here, and nothing is decided here.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(unsafe_code, reason = "helpers, maps and packet pointers need it")]

mod aligned;
mod context;
mod count;
mod decide;
mod kernel;
mod link;
mod log;
mod maps;
mod mark;
mod recent;
mod route;
mod skb;
mod socket;
mod trace;
mod xdp;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext as XdpArgument},
};
use redirector_common::{Direction, Packet, State, cross};

use crate::{
    kernel::Kernel,
    skb::SkbPacket,
    xdp::{XdpContext, XdpPacket},
};

#[classifier]
pub fn ingress(ctx: TcContext) -> i32 {
    if mark::is_set(ctx.skb.skb) {
        // The mark of XDP is gone above this interface.
        let mark = Kernel::new(&ctx).mark();
        SkbPacket::<true>::new(&ctx).set_mark(mark);
        return TC_ACT_UNSPEC;
    }
    run::<true>(&ctx, Direction::Ingress)
}

#[classifier]
pub fn egress(ctx: TcContext) -> i32 {
    run::<true>(&ctx, Direction::Egress)
}

#[classifier]
pub fn ingress_l3(ctx: TcContext) -> i32 {
    if link::has_ethernet(&ctx) {
        return run::<true>(&ctx, Direction::Ingress);
    }
    run::<false>(&ctx, Direction::Ingress)
}

#[classifier]
pub fn egress_l3(ctx: TcContext) -> i32 {
    run::<false>(&ctx, Direction::Egress)
}

/// Runs the packet path and passes the packet on to the next program, whatever it says.
#[inline(always)]
fn run<const ETHERNET: bool>(ctx: &TcContext, direction: Direction) -> i32 {
    let mut packet = SkbPacket::<ETHERNET>::new(ctx);
    let mut state = Kernel::new(ctx);
    if let Some(skip) = cross(&mut packet, &mut state, direction).skipped() {
        state.count_skip(skip);
    }
    TC_ACT_UNSPEC
}

/// Before [`ingress`], in the driver.
#[xdp(frags)]
pub fn ingress_xdp(ctx: XdpArgument) -> u32 {
    accelerate::<false>(&ctx)
}

/// The same for generic XDP. For a program that takes packets in fragments Linux copies them there without
/// `mac_len`, and TC would see them without their link-layer header (`skb_pp_cow_data()` in
/// `net/core/skbuff.c`).
#[xdp]
pub fn ingress_xdp_skb(ctx: XdpArgument) -> u32 {
    accelerate::<false>(&ctx)
}

/// [`ingress_xdp`] for kernels that know no fragments.
#[xdp]
pub fn xdp_linear(ctx: XdpArgument) -> u32 {
    accelerate::<true>(&ctx)
}

/// [`ingress_xdp_skb`] likewise.
#[xdp]
pub fn xdp_linear_skb(ctx: XdpArgument) -> u32 {
    accelerate::<true>(&ctx)
}

/// Rewrites packets of known flows before the kernel spends anything on them. Whatever else there is to
/// say about a packet, TC says and counts, which sees it next.
#[inline(always)]
fn accelerate<const LINEAR: bool>(ctx: &XdpArgument) -> u32 {
    if LINEAR && trace::is_on() {
        return XDP_PASS;
    }
    let ctx = XdpContext::<LINEAR>::new(ctx.ctx);
    let mut packet = XdpPacket::new(&ctx);
    let mut state = Kernel::new(&ctx);
    cross(&mut packet, &mut state, Direction::Ingress);
    XDP_PASS
}

// Lints run on the host's target, where std handles panics.
#[cfg(not(target_arch = "bpf"))]
extern crate std;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// SAFETY: the kernel reads this section, nothing else is in it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
