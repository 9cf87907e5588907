//! The histograms.

use redirector_common::abi::Histogram;

use crate::{context, maps::HISTOGRAMS};

#[inline(always)]
pub fn packet_size(bytes: u32) {
    add(context::index(Histogram::PacketSize.bucket(bytes)), 1);
}

#[inline(always)]
pub fn delay(histogram: Histogram, delay: u32) {
    observe(histogram.first(), delay);
    add(histogram.sum(), u64::from(delay));
}

/// A function of its own: the verifier walks its steps once, not once for every way that leads to it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn observe(first: u32, value: u32) -> u32 {
    add(first + Histogram::PacketSize.bucket(value), 1);
    0
}

#[inline(always)]
fn add(entry: u32, amount: u64) {
    if let Some(count) = HISTOGRAMS.get_ptr_mut(entry) {
        // SAFETY: this CPU's own value, and the program is not preempted by itself.
        unsafe { *count += amount };
    }
}
