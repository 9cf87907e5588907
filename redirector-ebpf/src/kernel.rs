//! The kernel's knowledge as a [`State`]: maps, routing, sockets, clock.

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::bpf_ktime_get_coarse_ns,
    programs::TcContext,
};
use aya_log_ebpf::warn;
use redirector_common::{
    Direction, Peer, Skip, State, Table,
    abi::{
        EarlierKey, EarlierTarget, Flow, FlowKey, NO_PORT, Port, PortEntry, Protocol, Rule,
        RuleKey, SocketFlow, port_index,
    },
};

use crate::{
    maps::{COUNTERS, EARLIER, FLOWS, MOVED, PENDING, PORTS, RULES, SETTINGS, SKIPPED},
    opaque::opaque,
    route, socket,
};

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
}

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
        socket::storage(socket, None)
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
        if sends_it && socket::is_connected(state) {
            socket::storage(socket, Some(&mut flow));
        }
    }

    #[inline(always)]
    fn peer(&self, key: &FlowKey) -> Peer {
        let any = opaque(self.ctx, 0);
        let mut origin: SocketFlow = bytemuck::cast([any, any]);
        match socket::find(self.ctx, key, &mut origin) {
            socket::FOUND_NONE => Peer::None,
            socket::FOUND_HANDSHAKE => Peer::Handshake,
            socket::FOUND_TIME_WAIT => Peer::TimeWait,
            socket::FOUND_ORIGIN => Peer::Connected {
                origin: Some(origin),
            },
            _ => Peer::Connected { origin: None },
        }
    }

    #[inline(always)]
    fn accepts(&self, key: &FlowKey, sequence: u32, acknowledgment: u32) -> bool {
        socket::accepts(self.ctx, key, sequence, acknowledgment) != 0
    }

    #[inline(always)]
    fn is_local(&self, key: &FlowKey) -> bool {
        route::is_local(self.ctx, key)
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
    fn count_error(&mut self, rule: u32, direction: Direction) {
        if let Some(counters) = COUNTERS.get_ptr_mut(rule) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            let counters = unsafe { &mut *counters };
            match direction {
                Direction::Ingress => counters.in_errors += 1,
                Direction::Egress => counters.out_errors += 1,
            }
        }
    }

    #[inline(always)]
    fn has_moved(&self) -> bool {
        MOVED.get(0).is_some_and(|moved| *moved != 0)
    }

    #[inline(always)]
    fn note_moved(&mut self, key: &FlowKey, moved: Port) {
        if moved == NO_PORT {
            warn!(
                self.ctx,
                "[{:i}]:{} is connected to port {} already, directly or through another port, and has no other port free",
                key.remote.octets(),
                key.remote_port.get(),
                key.local_port.get()
            );
            return;
        }
        if let Some(any) = MOVED.get_ptr_mut(0) {
            // SAFETY: it only ever becomes 1.
            unsafe { *any = 1 };
        }
        warn!(
            self.ctx,
            "[{:i}]:{} is connected to port {} already, directly or through another port; to the application this connection comes from port {}",
            key.remote.octets(),
            key.remote_port.get(),
            key.local_port.get(),
            moved.get()
        );
    }
}
