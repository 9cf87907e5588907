//! The cache in front of the tables of flows.

use redirector_common::{
    Table,
    abi::{FlowKey, Recent},
    recent::place_of,
};

use crate::{context::index, maps::RECENT};

#[inline(always)]
pub fn get(place: u32) -> Option<Recent> {
    RECENT.get(index(place)).copied()
}

/// Everything but the generation.
#[inline(always)]
pub fn set(place: u32, recent: &Recent) {
    let Some(entry) = RECENT.get_ptr_mut(index(place)) else {
        return;
    };
    // SAFETY: not null, and every field is a number that any CPU may write at any time; `check` tells what
    // belongs together.
    unsafe {
        (*entry).remote = recent.remote;
        (*entry).local = recent.local;
        (*entry).remote_port = recent.remote_port;
        (*entry).local_port = recent.local_port;
        (*entry).created = recent.created;
        (*entry).origin = recent.origin;
        (*entry).check = recent.check;
    }
}

#[inline(always)]
pub fn end(place: u32) {
    if let Some(entry) = RECENT.get_ptr_mut(index(place)) {
        // SAFETY: not null and aligned, and everybody changes it this way.
        unsafe { increment(&raw mut (*entry).generation) };
    }
}

/// Atomically. The compiler offers no such operation for BPF.
///
/// # Safety
/// `number` points to an aligned number in a map.
#[inline(always)]
unsafe fn increment(number: *mut u64) {
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({number} + 0) += {one}",
            number = in(reg) number,
            one = in(reg) 1_u64,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = number;
}

/// After a change of what `table` knows of a tuple.
#[inline(always)]
pub fn end_flow(table: Table, key: &FlowKey) {
    if table == Table::Answered {
        end_recent(key);
    }
}

/// A function of its own: the verifier walks it once, not once for every way that leads to it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn end_recent(key: *const FlowKey) -> u32 {
    // SAFETY: the verifier checks every call for memory of this size.
    if let Some(key) = unsafe { key.as_ref() } {
        end(place_of(key));
    }
    0
}
