use aya_ebpf::programs::TcContext;

/// Repeats a word in either half.
#[cfg(target_arch = "bpf")]
const EVERYWHERE: u64 = 0x1_0000_0001;

/// `value`, of which the verifier then knows nothing.
#[inline(always)]
pub fn opaque(ctx: &TcContext, value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    let mut value = value;
    #[cfg(target_arch = "bpf")]
    // SAFETY: registers only. To the verifier a length is any 32 bits, and so is what they were
    // mixed into twice. Adding and subtracting would leave a range that tells the value.
    unsafe {
        core::arch::asm!(
            "{value} ^= {any}",
            "{value} ^= {any}",
            value = inout(reg) value,
            any = in(reg) u64::from(ctx.len()) * EVERYWHERE,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = ctx;
    value
}
