use aya_ebpf::programs::TcContext;

/// `value`, of which the verifier then knows nothing.
#[inline(always)]
pub fn opaque(ctx: &TcContext, value: u32) -> u32 {
    #[cfg_attr(
        not(target_arch = "bpf"),
        expect(unused_mut, reason = "lints on the host")
    )]
    let mut value = u64::from(value);
    #[cfg(target_arch = "bpf")]
    // SAFETY: registers only. To the verifier a length is any 32 bits, and so is what they were
    // mixed into twice. Adding and subtracting would leave a range that tells the value.
    unsafe {
        core::arch::asm!(
            "{value} ^= {any}",
            "{value} ^= {any}",
            value = inout(reg) value,
            any = in(reg) u64::from(ctx.len()),
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = ctx;
    value as u32
}
