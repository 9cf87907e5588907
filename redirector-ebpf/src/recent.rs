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

/// A place's generation, before whatever is read next.
#[inline(always)]
pub fn generation(place: u32) -> Option<u64> {
    let entry = RECENT.get_ptr_mut(index(place))?;
    // SAFETY: not null and aligned, and everybody changes it this way.
    Some(unsafe { fetch_add(&raw mut (*entry).generation, 0) })
}

/// After a change of what `table` knows of a tuple.
#[inline(always)]
pub fn end_flow(table: Table, key: &FlowKey) {
    // UDP's as well: a flow that is in use loses its place before newer ones have taken that in the table, so it is
    // looked up there, and is not the least recently used one.
    if table == Table::Answered {
        end_recent(key);
    }
}

/// A function of its own: the verifier walks it once, not once for every way that leads to it.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn end_recent(key: *const FlowKey) -> u32 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    if let Some(entry) = RECENT.get_ptr_mut(index(place_of(key))) {
        // SAFETY: not null and aligned, and everybody changes it this way.
        unsafe { fetch_add(&raw mut (*entry).generation, 1) };
    }
    0
}

/// Adds, and says what was there. A full barrier, on every CPU (`Documentation/bpf/standardization/instruction-set.rst`
/// and `Documentation/atomic_t.txt`). The compiler offers no such operation for BPF.
///
/// # Safety
/// `number` points to an aligned number in a map.
#[inline(always)]
unsafe fn fetch_add(number: *mut u64, amount: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    let mut amount = amount;
    #[cfg(target_arch = "bpf")]
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "{amount} = atomic_fetch_add((u64 *)({number} + 0), {amount})",
            number = in(reg) number,
            amount = inout(reg) amount,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = number;
    amount
}
