//! What a program is run for, and the packet in it: what socket buffers and XDP have in common.

use core::ffi::c_void;

use aya_ebpf::bindings::__sk_buff;
use bytemuck::Pod;
use redirector_common::{
    LinkLayer, Skip, Traced,
    headers::{Header, Ipv4, Ipv6, Layer},
};

pub trait Context {
    /// XDP has none, and leaves the decisions that need it to TC.
    const HAS_SKB: bool;

    /// Where the packet is in memory, except for what it has in pages.
    fn start(&self) -> usize;
    fn end(&self) -> usize;

    /// Bytes of the whole packet: any 32 bits to the verifier.
    fn length(&self) -> u32;

    /// Copies `size` bytes from anywhere in the packet; false where it ends before they do.
    ///
    /// # Safety
    /// `buffer` has room for `size` bytes.
    unsafe fn load(&self, offset: u32, buffer: *mut c_void, size: u32) -> bool;

    fn ifindex(&self) -> u32;

    /// Tells whoever traces.
    fn trace(&self, packet: &Traced);

    /// What helpers about sockets and routes want.
    fn skb(&self) -> Option<*mut __sk_buff>;
}

/// Room for the longest header, IPv6's, in words because the verifier wants the stack aligned.
type Buffer = [u64; 5];

/// The header at `offset`.
#[inline(always)]
pub fn header<C: Context, T: Header>(
    ctx: &C,
    link_layer: LinkLayer,
    offset: usize,
) -> Result<T, Skip> {
    let network = link_layer.length();
    let usual = match T::LAYER {
        Layer::Link => [0, 0],
        Layer::Network => [network, network],
        Layer::Transport => transports(network),
    };
    for place in usual {
        if offset == place
            && let Some(header) = glance(ctx, place)
        {
            return Ok(header);
        }
    }
    rare_header(ctx, offset)
}

/// The same where it is in place; the offset is a constant.
#[inline(always)]
pub fn glance<C: Context, T: Pod>(ctx: &C, offset: usize) -> Option<T> {
    let start = in_place::<C, T>(ctx, offset)?;
    // SAFETY: it lies within the packet; any bytes are a `T`.
    Some(unsafe { start.read_unaligned() })
}

/// Where transport headers usually are.
#[inline(always)]
pub const fn transports(network: usize) -> [usize; 2] {
    [network + size_of::<Ipv4>(), network + size_of::<Ipv6>()]
}

/// A place that lies within the packet's first bytes. The offset is a constant in every copy of this
/// function: adding a variable to a packet pointer takes CAP_PERFMON (`kernel/bpf/verifier.c`,
/// `sanitize_ptr_alu()`).
#[inline(always)]
pub fn in_place<C: Context, T: Pod>(ctx: &C, offset: usize) -> Option<*mut T> {
    let start = ctx.start();
    // Never arithmetic on the end: the verifier proves `start + constant <= end` only.
    if start + offset + size_of::<T>() > ctx.end() {
        return None;
    }
    Some((start + offset) as *mut T)
}

/// Reads anywhere, paged data included.
#[inline(always)]
pub fn rare_header<C: Context, T: Pod>(ctx: &C, offset: usize) -> Result<T, Skip> {
    const { assert!(size_of::<T>() <= size_of::<Buffer>()) };
    let mut buffer: Buffer = [0; 5];
    // SAFETY: the buffer has room for a `T`.
    let is_loaded = unsafe {
        ctx.load(
            offset as u32,
            (&raw mut buffer).cast(),
            size_of::<T>() as u32,
        )
    };
    if !is_loaded {
        return Err(Skip::Malformed);
    }
    // SAFETY: written by the helper, within the buffer and aligned; any bytes are a `T`.
    Ok(unsafe { *(&raw const buffer).cast::<T>() })
}

/// Repeats a word in either half.
#[cfg(target_arch = "bpf")]
const EVERYWHERE: u64 = 0x1_0000_0001;

/// `value`, of whose size older kernels then know nothing, since they do not follow a negation. Those that do
/// have no need of it.
#[inline(always)]
pub fn unbounded(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    let mut value = value;
    #[cfg(target_arch = "bpf")]
    // SAFETY: one register only.
    unsafe {
        core::arch::asm!(
            "{value} = -{value}",
            "{value} = -{value}",
            value = inout(reg) value,
        );
    }
    value
}

/// An index of an array, which a lookup has on the stack, [`unbounded`].
#[inline(always)]
pub fn index(index: u32) -> u32 {
    unbounded(index.into()) as u32
}

/// `value`, of which the verifier then knows nothing.
#[inline(always)]
pub fn opaque<C: Context>(ctx: &C, value: u64) -> u64 {
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
            any = in(reg) u64::from(ctx.length()) * EVERYWHERE,
        );
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = ctx;
    value
}
