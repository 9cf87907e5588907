//! TCP sockets: whose tuple it is, and what a socket remembers.

use core::ptr;

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock, bpf_sock_tuple},
    helpers::generated::{bpf_sk_release, bpf_sk_storage_get, bpf_skc_lookup_tcp, bpf_tcp_sock},
    programs::TcContext,
};
use redirector_common::{
    Window,
    abi::{FlowKey, SocketFlow},
};

use crate::{aligned::Aligned, maps::SOCKETS, opaque::opaque};

/// The context's network namespace (`include/uapi/linux/bpf.h`: a negative number).
const BPF_F_CURRENT_NETNS: u64 = u64::MAX;

/// Socket states of `include/net/tcp_states.h`.
mod tcp {
    pub const TIME_WAIT: u32 = 6;
    pub const CLOSE: u32 = 7;
    pub const LISTEN: u32 = 10;
    pub const NEW_SYN_RECV: u32 = 12;
}

/// What a socket remembers, or is made to remember. The helper refuses one that is not full.
#[inline(always)]
pub fn storage(socket: *mut bpf_sock, create: Option<&mut SocketFlow>) -> Option<SocketFlow> {
    let (value, flags) = match create {
        Some(value) => (ptr::from_mut(value), BPF_SK_STORAGE_GET_F_CREATE),
        None => (ptr::null_mut(), 0),
    };
    let map = ptr::from_ref(&SOCKETS).cast_mut();
    // SAFETY: the socket is not null.
    let stored =
        unsafe { bpf_sk_storage_get(map.cast(), socket.cast(), value.cast(), u64::from(flags)) };
    // SAFETY: what the helper returns is null or a value of the map's type.
    unsafe { stored.cast::<SocketFlow>().as_ref() }.copied()
}

/// Whether a full socket in this state sends for one connection.
#[inline(always)]
pub fn is_connected(state: u32) -> bool {
    !matches!(
        state,
        tcp::TIME_WAIT | tcp::CLOSE | tcp::LISTEN | tcp::NEW_SYN_RECV
    )
}

pub const FOUND_NONE: u32 = 0;
pub const FOUND_HANDSHAKE: u32 = 1;
pub const FOUND_TIME_WAIT: u32 = 2;
pub const FOUND_CONNECTED: u32 = 3;
/// And `origin` says what the socket remembers.
pub const FOUND_ORIGIN: u32 = 4;

/// Looks for the TCP socket of a tuple. A function of its own, whose stack is gone when it returns;
/// a BPF function returns one register.
#[inline(never)]
pub fn find(ctx: &TcContext, key: &FlowKey, origin: &mut SocketFlow) -> u32 {
    let socket = look_up(ctx, key);
    if socket.is_null() {
        return FOUND_NONE;
    }
    // SAFETY: not null and referenced.
    let found = match unsafe { (*socket).state } {
        tcp::LISTEN => FOUND_NONE,
        tcp::NEW_SYN_RECV => FOUND_HANDSHAKE,
        tcp::TIME_WAIT => FOUND_TIME_WAIT,
        _ => match storage(socket, None) {
            Some(stored) => {
                *origin = stored;
                FOUND_ORIGIN
            }
            None => FOUND_CONNECTED,
        },
    };
    // SAFETY: gives back the reference of the lookup.
    unsafe { bpf_sk_release(socket.cast()) };
    // One state for the verifier, whatever was found.
    opaque(ctx, found)
}

/// Whether the socket of a tuple is a full one that could be sent these numbers; not 0 for yes.
#[inline(never)]
pub fn accepts(ctx: &TcContext, key: &FlowKey, sequence: u32, acknowledgment: u32) -> u32 {
    let socket = look_up(ctx, key);
    if socket.is_null() {
        return 0;
    }
    // SAFETY: not null and referenced.
    let tcp = unsafe { bpf_tcp_sock(socket.cast()) };
    let accepts = if tcp.is_null() {
        false
    } else {
        // SAFETY: not null, and as long-lived as the socket.
        let tcp = unsafe { &*tcp };
        let window = Window {
            receive_next: tcp.rcv_nxt,
            unacknowledged: tcp.snd_una,
            send_next: tcp.snd_nxt,
        };
        window.accepts(sequence, acknowledgment)
    };
    // SAFETY: gives back the reference of the lookup.
    unsafe { bpf_sk_release(socket.cast()) };
    opaque(ctx, u32::from(accepts))
}

/// The TCP socket of a tuple, which the caller must release, or null.
#[inline(always)]
fn look_up(ctx: &TcContext, key: &FlowKey) -> *mut bpf_sock {
    // SAFETY: all zeros is a valid value of the union.
    let mut tuple = Aligned::<bpf_sock_tuple>(unsafe { core::mem::zeroed() });
    let sport = key.remote_port.to_be();
    let dport = key.local_port.to_be();
    let size = if key.local.is_ipv4() {
        // SAFETY: every bit pattern is valid in either arm of the union.
        let ipv4 = unsafe { &mut tuple.0.__bindgen_anon_1.ipv4 };
        ipv4.saddr = key.remote.ipv4_to_be();
        ipv4.daddr = key.local.ipv4_to_be();
        ipv4.sport = sport;
        ipv4.dport = dport;
        size_of_val(ipv4)
    } else {
        // SAFETY: every bit pattern is valid in either arm of the union.
        let ipv6 = unsafe { &mut tuple.0.__bindgen_anon_1.ipv6 };
        ipv6.saddr = key.remote.to_be();
        ipv6.daddr = key.local.to_be();
        ipv6.sport = sport;
        ipv6.dport = dport;
        size_of_val(ipv6)
    };
    let skb = ctx.skb.skb.cast();
    // SAFETY: the tuple is initialised for `size` bytes.
    unsafe { bpf_skc_lookup_tcp(skb, &mut tuple.0, size as u32, BPF_F_CURRENT_NETNS, 0) }.cast()
}
