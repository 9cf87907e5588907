/// The verifier wants the stack accessed aligned, and LLVM zeroes 8 bytes at a time.
#[repr(align(8))]
pub struct Aligned<T>(pub T);
