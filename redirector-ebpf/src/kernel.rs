//! The kernel's knowledge as a [`State`]: maps, routing, sockets, clock.

use core::ptr;

use aya_ebpf::{
    bindings::bpf_sock,
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns},
};
use redirector_common::{
    Direction, Peer, State, Table, Traced,
    abi::{
        EarlierKey, EarlierTarget, Flow, FlowKey, Histogram, MOVES_LOGGED, NO_PORT, Port,
        PortEntry, Protocol, Recent, Rule, RuleKey, SocketFlow, port_index,
    },
    begin::Arrival,
    decision::Decision,
};

use crate::{
    context::{Context, index, opaque, unbounded},
    count,
    decide::{decide_later, decide_moved, decide_syn},
    log,
    maps::{COUNTERS, EARLIER, EVER, FLOWS, MOVED, PENDING, PORTS, RULES, SETTINGS, SKIPPED},
    recent, route, socket, trace,
};

pub struct Kernel<'a, C> {
    ctx: &'a C,
    /// Read once, so that one packet never sees half of a reload.
    slot: u32,
    mark: u32,
}

impl<'a, C: Context> Kernel<'a, C> {
    #[inline(always)]
    pub fn new(ctx: &'a C) -> Self {
        let (slot, mark) = SETTINGS
            .get(0)
            .map_or((0, 0), |settings| (settings.slot, settings.mark));
        Self { ctx, slot, mark }
    }

    /// With the slot that the packet began with. Its mark is not asked for any more.
    #[inline(always)]
    pub fn of_slot(ctx: &'a C, slot: u32) -> Self {
        Self { ctx, slot, mark: 0 }
    }

    /// By a `Skip`'s discriminant.
    #[inline(always)]
    pub fn count_skip(&mut self, skip: u32) {
        if let Some(counter) = SKIPPED.get_ptr_mut(index(skip)) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { *counter += 1 };
        }
    }

    /// The socket that sends this packet, or null.
    #[inline(always)]
    fn socket(&self) -> *mut bpf_sock {
        self.ctx.skb().map_or(ptr::null_mut(), |skb| {
            // SAFETY: the kernel's context lives as long as the program runs.
            unsafe { (*skb).__bindgen_anon_2.sk }
        })
    }
}

impl<C: Context> State for Kernel<'_, C> {
    const DECIDES: bool = C::HAS_SKB;

    #[inline(always)]
    fn port(&self, protocol: Protocol, port: Port) -> Option<PortEntry> {
        PORTS
            .get(index(port_index(self.slot, protocol, port)))
            .copied()
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
        let port = index(port_index(self.slot, protocol, port));
        // SAFETY: copied at once; user space writes the idle slot only.
        unsafe { EARLIER.get(EarlierKey { port, age }) }.copied()
    }

    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        opaque(self.ctx, value)
    }

    #[inline(always)]
    fn unbounded(&self, value: u64) -> u64 {
        unbounded(value)
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        self.mark
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.ctx.ifindex()
    }

    #[inline(always)]
    fn flow(&self, table: Table, key: &FlowKey) -> Option<Flow> {
        // SAFETY: copied at once. An entry that is reused meanwhile gives a wrong copy for one
        // packet, as the kernel's own LRU lookups do.
        unsafe {
            match table {
                Table::Pending => PENDING.get(key),
                Table::Answered => FLOWS.get(key),
                Table::Moved => MOVED.get(key),
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
            Table::Moved => MOVED.insert(key, flow, 0),
        };
        recent::end_flow(table, key);
    }

    #[inline(always)]
    fn update_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow) {
        let entry = match table {
            Table::Pending => PENDING.get_ptr_mut(key),
            Table::Answered => FLOWS.get_ptr_mut(key),
            Table::Moved => MOVED.get_ptr_mut(key),
        };
        if let Some(entry) = entry {
            // SAFETY: not null. CPUs that write at once leave a mixture of two packets of one flow, or
            // overwrite an entry that was reused meanwhile, as with `flow`.
            unsafe { *entry = *flow };
        }
        recent::end_flow(table, key);
    }

    #[inline(always)]
    fn remove_flow(&mut self, table: Table, key: &FlowKey) {
        // Already evicted is as good as removed.
        let _ = match table {
            Table::Pending => PENDING.remove(key),
            Table::Answered => FLOWS.remove(key),
            Table::Moved => MOVED.remove(key),
        };
        recent::end_flow(table, key);
    }

    #[inline(always)]
    fn recent(&self, place: u32) -> Option<Recent> {
        recent::get(place)
    }

    #[inline(always)]
    fn set_recent(&mut self, place: u32, recent: &Recent) {
        recent::set(place, recent);
    }

    #[inline(always)]
    fn generation(&mut self, place: u32) -> Option<u64> {
        recent::generation(place)
    }

    #[inline(always)]
    fn is_sent_here(&self) -> bool {
        // A socket would not tell: it may be another network namespace's.
        self.ctx.skb().is_some_and(|skb| {
            // SAFETY: the kernel's context lives as long as the program runs.
            unsafe { (*skb).ingress_ifindex == 0 }
        })
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
    fn remember_on_socket(&mut self, key: &FlowKey, mut flow: SocketFlow) -> bool {
        let socket = self.socket();
        if socket.is_null() {
            return false;
        }
        // SAFETY: not null; these fields are readable of every socket.
        let (state, local, remote) =
            unsafe { ((*socket).state, (*socket).src_port, (*socket).dst_port) };
        // A raw socket is full and connected, and sends whatever it is given; a RST or an ACK in TIME_WAIT is sent
        // through a socket that belongs to the CPU.
        let sends_it =
            local == u32::from(key.local_port.get()) && remote == key.remote_port.to_be();
        sends_it
            && socket::is_connected(state)
            && socket::storage(socket, Some(&mut flow)).is_some()
    }

    #[inline(always)]
    fn peer(&self, key: &FlowKey) -> Peer {
        self.ctx
            .skb()
            .map_or(Peer::None, |skb| socket::peer(skb, key))
    }

    #[inline(always)]
    fn accepts(&self, key: &FlowKey, sequence: u32, acknowledgment: u32) -> bool {
        self.ctx
            .skb()
            .is_some_and(|skb| socket::socket_accepts(skb, key, sequence, acknowledgment) != 0)
    }

    #[inline(always)]
    fn is_local(&self, key: &FlowKey) -> bool {
        self.ctx.skb().is_some_and(|skb| route::is_local(skb, key))
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: no arguments, no conditions.
        unsafe { bpf_ktime_get_coarse_ns() }
    }

    #[inline(always)]
    fn clock(&self) -> u64 {
        // SAFETY: no arguments, no conditions.
        unsafe { bpf_ktime_get_ns() }
    }

    #[inline(always)]
    fn count(&mut self, rule: u32, direction: Direction, bytes: u32, resets: u32) {
        count::packet_size(bytes);
        let Some(counters) = COUNTERS.get_ptr_mut(index(rule)) else {
            return;
        };
        // SAFETY: this CPU's own value, and the program is not preempted by itself.
        let counters = unsafe { &mut *counters };
        match direction {
            Direction::Ingress => {
                counters.in_packets += 1;
                counters.in_bytes += u64::from(bytes);
                counters.in_resets += u64::from(resets);
            }
            Direction::Egress => {
                counters.out_packets += 1;
                counters.out_bytes += u64::from(bytes);
                counters.out_resets += u64::from(resets);
            }
        }
    }

    #[inline(always)]
    fn count_connection(&mut self, rule: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(index(rule)) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { (*counters).connections += 1 };
        }
    }

    #[inline(always)]
    fn count_syn(&mut self, rule: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(index(rule)) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { (*counters).syns += 1 };
        }
    }

    #[inline(always)]
    fn count_answered_syn(&mut self, rule: u32) {
        if let Some(counters) = COUNTERS.get_ptr_mut(index(rule)) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            unsafe { (*counters).answered_syns += 1 };
        }
    }

    #[inline(always)]
    fn observe(&mut self, histogram: Histogram, delay: u32) {
        count::delay(histogram, delay);
    }

    #[inline(always)]
    fn count_error(&mut self, rule: u32, direction: Direction) {
        if let Some(counters) = COUNTERS.get_ptr_mut(index(rule)) {
            // SAFETY: this CPU's own value, and the program is not preempted by itself.
            let counters = unsafe { &mut *counters };
            match direction {
                Direction::Ingress => counters.in_errors += 1,
                Direction::Egress => counters.out_errors += 1,
            }
        }
    }

    #[inline(always)]
    fn is_traced(&self) -> bool {
        trace::is_on()
    }

    #[inline(always)]
    fn trace(&mut self, packet: Traced) {
        self.ctx.trace(&packet);
    }

    #[inline(always)]
    fn may_be_netfilters(&self) -> bool {
        SETTINGS
            .get(0)
            .is_some_and(|settings| settings.netfilter != 0)
    }

    #[inline(always)]
    fn decide(&mut self, arrival: &Arrival) -> Decision {
        let Some(skb) = self.ctx.skb() else {
            return Decision::PASS;
        };
        // As `begin::decide`, with functions that each have a stack of their own.
        let decision = if arrival.is_opening() {
            return Decision::from_register(decide_syn(skb, arrival, self.slot));
        } else if self.has_moved() && arrival.key.protocol == Protocol::TCP {
            Decision::from_register(decide_moved(skb, arrival, self.slot))
        } else {
            Decision::PASS
        };
        if decision != Decision::PASS {
            return decision;
        }
        Decision::from_register(decide_later(skb, arrival, self.slot))
    }

    #[inline(always)]
    fn has_moved(&self) -> bool {
        EVER.get(0).is_some_and(|ever| ever.moved != 0)
    }

    #[inline(always)]
    fn note_moved(&mut self, key: &FlowKey, moved: Port) {
        let second = self.now() >> 30;
        let Some(ever) = EVER.get_ptr_mut(0) else {
            return;
        };
        // SAFETY: CPUs that write at once lose each other's count of lines, no more.
        let ever = unsafe { &mut *ever };
        if ever.second != second {
            ever.second = second;
            ever.logged = 0;
        }
        ever.logged += 1;
        let is_told = ever.logged <= MOVES_LOGGED;
        if moved != NO_PORT {
            ever.moved = 1;
        }
        if is_told {
            log::moved(key, moved);
        }
    }

    #[inline(always)]
    fn has_forwarded(&self) -> bool {
        EVER.get(0).is_some_and(|ever| ever.forwarded != 0)
    }

    #[inline(always)]
    fn note_forwarded(&mut self) {
        // Every beginning of a connection reads that memory, so it is written once.
        if let Some(ever) = EVER.get_ptr_mut(0).filter(|_| !self.has_forwarded()) {
            // SAFETY: not null; every CPU writes the same.
            unsafe { (*ever).forwarded = 1 };
        }
    }
}
