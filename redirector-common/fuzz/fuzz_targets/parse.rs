//! Any bytes, as a packet with a link layer and as one without.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| common::invariants::find_in(bytes));
