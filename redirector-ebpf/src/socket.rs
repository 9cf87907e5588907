//! TCP sockets: whose tuple it is, and what a socket remembers.

use core::{mem, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock, bpf_sock_tuple},
    helpers::generated::{bpf_sk_release, bpf_sk_storage_get, bpf_skc_lookup_tcp, bpf_tcp_sock},
};
use redirector_common::{
    Peer, Window,
    abi::{FlowKey, Port, SocketFlow},
};

use crate::maps::SOCKETS;

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

/// The lowest 8 bits of what [`find_socket`] returns. With an origin the ports and the rule's number
/// stand above them, in 16, 16 and 24 bits.
const NOBODY: u64 = 0;
const HANDSHAKE: u64 = 1;
const TIME_WAIT: u64 = 2;
const CONNECTED: u64 = 3;
const WITH_ORIGIN: u64 = 4;

/// The TCP socket of a tuple.
#[inline(always)]
pub fn peer(skb: *mut __sk_buff, key: &FlowKey) -> Peer {
    let found = find_socket(skb, key);
    match found & 0xff {
        NOBODY => Peer::None,
        HANDSHAKE => Peer::Handshake,
        TIME_WAIT => Peer::TimeWait,
        WITH_ORIGIN => Peer::Connected {
            origin: Some(SocketFlow {
                from: Port::from_be((found >> 8) as u16),
                client: Port::from_be((found >> 24) as u16),
                rule: (found >> 40) as u32,
            }),
        },
        _ => Peer::Connected { origin: None },
    }
}

/// Verified once by itself, for any key; it returns one register, as BPF functions do.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn find_socket(skb: *mut __sk_buff, key: *const FlowKey) -> u64 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return NOBODY;
    };
    let socket = look_up(skb, key);
    if socket.is_null() {
        return NOBODY;
    }
    // SAFETY: not null and referenced.
    let found = match unsafe { (*socket).state } {
        tcp::LISTEN => NOBODY,
        tcp::NEW_SYN_RECV => HANDSHAKE,
        tcp::TIME_WAIT => TIME_WAIT,
        _ => match storage(socket, None) {
            Some(origin) => {
                WITH_ORIGIN
                    | u64::from(origin.from.to_be()) << 8
                    | u64::from(origin.client.to_be()) << 24
                    | u64::from(origin.rule) << 40
            }
            None => CONNECTED,
        },
    };
    // SAFETY: gives back the reference of the lookup.
    unsafe { bpf_sk_release(socket.cast()) };
    found
}

/// Whether the socket of a tuple is a full one that could be sent these numbers; not 0 for yes.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn socket_accepts(
    skb: *mut __sk_buff,
    key: *const FlowKey,
    sequence: u32,
    acknowledgment: u32,
) -> u32 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    let socket = look_up(skb, key);
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
    u32::from(accepts)
}

/// The TCP socket of a tuple, which the caller must release, or null.
#[inline(always)]
fn look_up(skb: *mut __sk_buff, key: &FlowKey) -> *mut bpf_sock {
    // `struct bpf_sock_tuple`: source, destination and their ports. A key begins with that for IPv6.
    const {
        assert!(mem::offset_of!(FlowKey, remote) == 0);
        assert!(mem::offset_of!(FlowKey, local) == 16);
        assert!(mem::offset_of!(FlowKey, remote_port) == 32);
        assert!(mem::offset_of!(FlowKey, local_port) == 34);
    }
    if key.local.is_ipv4() {
        let ports: u32 = bytemuck::cast([key.remote_port.to_be(), key.local_port.to_be()]);
        let tuple = [key.remote.ipv4_to_be(), key.local.ipv4_to_be(), ports];
        look_up_tuple(skb, (&raw const tuple).cast_mut().cast(), IPV4_TUPLE)
    } else {
        look_up_tuple(skb, ptr::from_ref(key).cast_mut().cast(), IPV6_TUPLE)
    }
}

/// Bytes of `struct bpf_sock_tuple`.
const IPV4_TUPLE: u32 = 12;
const IPV6_TUPLE: u32 = 36;

#[inline(always)]
fn look_up_tuple(skb: *mut __sk_buff, tuple: *mut bpf_sock_tuple, size: u32) -> *mut bpf_sock {
    // SAFETY: the helper reads `size` bytes, which are there.
    unsafe { bpf_skc_lookup_tcp(skb.cast(), tuple, size, BPF_F_CURRENT_NETNS, 0) }.cast()
}
