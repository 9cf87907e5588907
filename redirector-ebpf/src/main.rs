//! The BPF programs: the packet path of `redirector-common` over socket buffers and maps.
//! Everything that BPF needs `unsafe` for is here, and nothing is decided here.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(unsafe_code, reason = "helpers, maps and packet pointers need it")]

mod aligned;
mod context;
mod kernel;
mod log;
mod maps;
mod route;
mod skb;
mod socket;

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use redirector_common::{Direction, State, redirect};

use crate::{kernel::Kernel, skb::SkbPacket};

#[classifier]
pub fn ingress(ctx: TcContext) -> i32 {
    run::<true>(&ctx, Direction::Ingress)
}

#[classifier]
pub fn egress(ctx: TcContext) -> i32 {
    run::<true>(&ctx, Direction::Egress)
}

#[classifier]
pub fn ingress_l3(ctx: TcContext) -> i32 {
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
    if let Err(skip) = redirect(&mut packet, &mut state, direction) {
        state.count_skip(skip);
    }
    TC_ACT_UNSPEC
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
