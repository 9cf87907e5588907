//! The kernel's knowledge as a [`State`]: maps, routing, sockets, clock.

use core::ptr;

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_FWD_DISABLED, BPF_FIB_LKUP_RET_NOT_FWDED,
        BPF_SK_STORAGE_GET_F_CREATE, bpf_fib_lookup as FibLookup, bpf_sock, bpf_sock_tuple,
    },
    helpers::generated::{
        bpf_fib_lookup, bpf_ktime_get_coarse_ns, bpf_sk_release, bpf_sk_storage_get,
        bpf_skc_lookup_tcp,
    },
    programs::TcContext,
};
use aya_log_ebpf::warn;
use redirector_common::{
    Direction, Peer, Skip, State, Table,
    abi::{
        EarlierKey, EarlierTarget, Flow, FlowKey, Port, PortEntry, Protocol, Rule, RuleKey,
        SocketFlow, port_index,
    },
};

use crate::maps::{COUNTERS, EARLIER, FLOWS, PENDING, PORTS, RULES, SETTINGS, SKIPPED, SOCKETS};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The context's network namespace (`include/uapi/linux/bpf.h`: a negative number).
const BPF_F_CURRENT_NETNS: u64 = u64::MAX;

/// Socket states of `include/net/tcp_states.h`.
mod tcp {
    pub const TIME_WAIT: u32 = 6;
    pub const CLOSE: u32 = 7;
    pub const LISTEN: u32 = 10;
    pub const NEW_SYN_RECV: u32 = 12;
}

pub struct Kernel<'a> {
    ctx: &'a TcContext,
    /// Read once, so that one packet never sees half of a reload.
    slot: u32,
}

impl<'a> Kernel<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Self {
        let slot = SETTINGS.get(0).map_or(0, |settings| settings.slot);
        Self { ctx, slot }
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.skb.skb
    }

    /// The socket that sends this packet, or null.
    #[inline(always)]
    fn socket(&self) -> *mut bpf_sock {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.skb()).__bindgen_anon_2.sk }
    }

    #[inline(always)]
    fn socket_storage(
        socket: *mut bpf_sock,
        create: Option<&mut SocketFlow>,
    ) -> Option<SocketFlow> {
        let (value, flags) = match create {
            Some(value) => (ptr::from_mut(value), BPF_SK_STORAGE_GET_F_CREATE),
            None => (ptr::null_mut(), 0),
        };
        let map = ptr::from_ref(&SOCKETS).cast_mut();
        // SAFETY: the socket is not null, and the helper refuses one that is not full.
        let stored = unsafe {
            bpf_sk_storage_get(map.cast(), socket.cast(), value.cast(), u64::from(flags))
        };
        // SAFETY: what the helper returns is null or a value of the map's type.
        unsafe { stored.cast::<SocketFlow>().as_ref() }.copied()
    }
}

/// The verifier wants the stack accessed aligned, and LLVM zeroes 8 bytes at a time.
#[repr(align(8))]
pub struct Aligned<T>(pub T);

impl State for Kernel<'_> {
    #[inline(always)]
    fn port(&self, protocol: Protocol, port: Port) -> Option<PortEntry> {
        PORTS.get(port_index(self.slot, protocol, port)).copied()
    }

    #[inline(always)]
    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        let slot = self.slot as u8;
        let key = RuleKey { slot, ..*key };
        // SAFETY: copied at once; user space writes the idle slot only.
        unsafe { RULES.get(key) }.copied()
    }

    #[inline(always)]
    fn earlier(&self, protocol: Protocol, port: Port, age: u32) -> Option<EarlierTarget> {
        let port = port_index(self.slot, protocol, port);
        // SAFETY: copied at once; user space writes the idle slot only.
        unsafe { EARLIER.get(EarlierKey { port, age }) }.copied()
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the kernel's context lives as long as the program runs.
        unsafe { (*self.skb()).ifindex }
    }

    #[inline(always)]
    fn flow(&self, table: Table, key: &FlowKey) -> Option<Flow> {
        // SAFETY: copied at once. An entry that is reused meanwhile gives a wrong copy for one
        // packet, as the kernel's own LRU lookups do.
        unsafe {
            match table {
                Table::Pending => PENDING.get(key),
                Table::Answered => FLOWS.get(key),
            }
        }
        .copied()
    }

    #[inline(always)]
    fn insert_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow) {
        // An LRU map refuses only when no CPU has an entry to spare; the packet goes on, and the
        // client's next one tries again.
        let _ = match table {
            Table::Pending => PENDING.insert(key, flow, 0),
            Table::Answered => FLOWS.insert(key, flow, 0),
        };
    }

    #[inline(always)]
    fn remove_flow(&mut self, table: Table, key: &FlowKey) {
        // Already evicted is as good as removed.
        let _ = match table {
            Table::Pending => PENDING.remove(key),
            Table::Answered => FLOWS.remove(key),
        };
    }

    #[inline(always)]
    fn socket_flow(&self) -> Option<SocketFlow> {
        let socket = self.socket();
        if socket.is_null() {
            return None;
        }
        Self::socket_storage(socket, None)
    }

    #[inline(always)]
    fn remember_on_socket(&mut self, key: &FlowKey, mut flow: SocketFlow) {
        let socket = self.socket();
        if socket.is_null() {
            return;
        }
        // SAFETY: not null; these fields are readable of every socket.
        let (state, local, remote) =
            unsafe { ((*socket).state, (*socket).src_port, (*socket).dst_port) };
        // A RST or an ACK in TIME_WAIT is sent through a socket that belongs to the CPU.
        let sends_it =
            local == u32::from(key.local_port.get()) && remote == key.remote_port.to_be();
        if sends_it && is_connected(state) {
            Self::socket_storage(socket, Some(&mut flow));
        }
    }

    #[inline(always)]
    fn peer(&self, key: &FlowKey) -> Peer {
        let mut origin = SocketFlow::default();
        match find_peer(self.ctx, key, &mut origin) {
            FOUND_NONE => Peer::None,
            FOUND_MINI => Peer::Mini,
            FOUND_ORIGIN => Peer::Connected {
                origin: Some(origin),
            },
            _ => Peer::Connected { origin: None },
        }
    }

    #[inline(always)]
    fn is_local(&self, key: &FlowKey) -> bool {
        let answer = route(self.ctx, key);
        // Not forwarded because it is ours, or because this host forwards nothing.
        answer == BPF_FIB_LKUP_RET_NOT_FWDED || answer == BPF_FIB_LKUP_RET_FWD_DISABLED
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: no arguments, no conditions.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn count(&mut self, rule: u32, direction: Direction, bytes: u32) {
        let Some(counters) = COUNTERS.get_ptr_mut(rule) else {
            return;
        };
        // SAFETY: this CPU's own value, and the program is not preempted by itself.
        let counters = unsafe { &mut *counters };
        match direction {
            Direction::Ingress => {
                counters.in_packets += 1;
                counters.in_bytes += u64::from(bytes);
            }
            Direction::Egress => {
                counters.out_packets += 1;
                counters.out_bytes += u64::from(bytes);
            }
        }
    }

    #[inline(always)]
    fn count_connection(&mut self, rule: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(rule) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { (*counters).connections += 1 };
        }
    }

    #[inline(always)]
    fn count_skip(&mut self, skip: Skip) {
        if let Some(counter) = SKIPPED.get_ptr_mut(skip as u32) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { *counter += 1 };
        }
    }

    #[inline(always)]
    fn report_collision(&self, key: &FlowKey) {
        warn!(
            self.ctx,
            "[{:i}]:{} is connected to port {} already, directly or through another port",
            key.remote.octets(),
            key.remote_port.get(),
            key.local_port.get()
        );
    }
}

const FOUND_NONE: u32 = 0;
const FOUND_MINI: u32 = 1;
const FOUND_CONNECTED: u32 = 2;
/// And `origin` says what the socket remembers.
const FOUND_ORIGIN: u32 = 3;

/// Looks for the TCP socket of a tuple. A function of its own, whose stack is gone when it returns;
/// a BPF function returns one register.
#[inline(never)]
fn find_peer(ctx: &TcContext, key: &FlowKey, origin: &mut SocketFlow) -> u32 {
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
    // SAFETY: the tuple is initialised for `size` bytes; the reference is released below.
    let socket =
        unsafe { bpf_skc_lookup_tcp(skb, &mut tuple.0, size as u32, BPF_F_CURRENT_NETNS, 0) };
    if socket.is_null() {
        return FOUND_NONE;
    }
    // SAFETY: not null and referenced.
    let found = match unsafe { (*socket).state } {
        tcp::LISTEN => FOUND_NONE,
        tcp::TIME_WAIT | tcp::NEW_SYN_RECV => FOUND_MINI,
        _ => match Kernel::socket_storage(socket, None) {
            Some(stored) => {
                *origin = stored;
                FOUND_ORIGIN
            }
            None => FOUND_CONNECTED,
        },
    };
    // SAFETY: gives back the reference of the lookup.
    unsafe { bpf_sk_release(socket.cast()) };
    found
}

/// What routing would do with a packet to the key's local address (`BPF_FIB_LKUP_RET_*`).
#[inline(never)]
fn route(ctx: &TcContext, key: &FlowKey) -> u32 {
    // SAFETY: all zeros is a valid request.
    let mut request = Aligned::<FibLookup>(unsafe { core::mem::zeroed() });
    // SAFETY: the kernel's context lives as long as the program runs.
    request.0.ifindex = unsafe { (*ctx.skb.skb).ifindex };
    if key.local.is_ipv4() {
        request.0.family = AF_INET;
        request.0.__bindgen_anon_3.ipv4_src = key.remote.ipv4_to_be();
        request.0.__bindgen_anon_4.ipv4_dst = key.local.ipv4_to_be();
    } else {
        request.0.family = AF_INET6;
        request.0.__bindgen_anon_3.ipv6_src = key.remote.to_be();
        request.0.__bindgen_anon_4.ipv6_dst = key.local.to_be();
    }
    let size = size_of::<FibLookup>() as i32;
    // SAFETY: the request is initialised and `size` bytes long.
    unsafe { bpf_fib_lookup(ctx.skb.skb.cast(), &mut request.0, size, 0) as u32 }
}

#[inline(always)]
fn is_connected(state: u32) -> bool {
    !matches!(
        state,
        tcp::TIME_WAIT | tcp::CLOSE | tcp::LISTEN | tcp::NEW_SYN_RECV
    )
}
