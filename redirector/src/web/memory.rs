//! Large texts come and go here for months. What is freed goes back to the kernel.

#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the allocator's settings are C")
)]

/// Bytes from which a block is mapped on its own.
#[cfg(target_env = "gnu")]
const LARGE: i32 = 1 << 20;

/// By itself glibc takes the size of what was freed, up to 32 MiB, for that of blocks to keep, in as many heaps
/// as there are threads (mallopt(3), `M_MMAP_THRESHOLD`).
#[cfg(target_env = "gnu")]
pub fn give_back() {
    // SAFETY: takes two numbers, and blocks of either kind are freed alike. Refused, it changes nothing.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

#[cfg(not(target_env = "gnu"))]
pub const fn give_back() {}
