//! Native `Packet` and `State`, for unit, property, differential and fuzz tests.

pub mod craft;

use std::{
    collections::{HashMap, HashSet},
    vec::Vec,
};

use bytemuck::Pod;

use crate::{
    Checksum, Direction, LinkLayer, Packet, Peer, Skip, State, Table, Traced, Window,
    abi::{
        Address, EarlierKey, EarlierTarget, Flow, FlowKey, Histogram, NO_PORT, Port, PortEntry,
        Protocol, Recent, Rule, RuleCounters, RuleKey, SocketFlow, port_index,
    },
    checksum,
    recent::place_of,
};

/// A packet in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub link_layer: LinkLayer,
    pub other_host: bool,
    pub mark: u32,
}

impl Frame {
    pub fn ethernet(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            link_layer: LinkLayer::Ethernet,
            other_host: false,
            mark: 0,
        }
    }

    fn u16_at(&self, offset: usize) -> Result<[u8; 2], Skip> {
        self.rare_header::<[u8; 2]>(offset)
    }
}

impl Packet for Frame {
    fn link_layer(&self) -> LinkLayer {
        self.link_layer
    }

    fn is_other_host(&self) -> bool {
        self.other_host
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn set_mark(&mut self, mark: u32) {
        if self.mark == 0 {
            self.mark = mark;
        }
    }

    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn rare_header<T: Pod>(&self, offset: usize) -> Result<T, Skip> {
        let end = offset.checked_add(size_of::<T>()).ok_or(Skip::Malformed)?;
        let bytes = self.bytes.get(offset..end).ok_or(Skip::Malformed)?;
        Ok(bytemuck::pod_read_unaligned(bytes))
    }

    fn replace_u16(
        &mut self,
        offset: usize,
        old: [u8; 2],
        new: [u8; 2],
        checksum: Checksum,
    ) -> Result<(), Skip> {
        let update = if checksum.zero_is_none {
            checksum::update_udp
        } else {
            checksum::update
        };
        let updated = update(self.u16_at(checksum.offset)?, old, new);
        self.u16_at(offset)?;
        self.bytes[checksum.offset..][..2].copy_from_slice(&updated);
        self.bytes[offset..][..2].copy_from_slice(&new);
        Ok(())
    }
}

/// Remote address and port, local address and port.
pub type Tuple = (Address, Port, Address, Port);

/// The maps and the kernel's answers, as plain collections that a test fills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub slot: u32,
    pub mark: u32,
    pub ifindex: u32,
    pub now: u64,
    pub ports: HashMap<u32, PortEntry>,
    pub rules: HashMap<RuleKey, Rule>,
    pub earlier: HashMap<EarlierKey, EarlierTarget>,
    pub pending: HashMap<FlowKey, Flow>,
    pub answered: HashMap<FlowKey, Flow>,
    pub moved: HashMap<FlowKey, Flow>,
    pub recent: HashMap<u32, Recent>,
    /// As [`State::noted`]; 0 for every packet, so that tests meet the cache as often as they can.
    pub noted: u64,
    pub counters: HashMap<u32, RuleCounters>,
    pub skipped: HashMap<u32, u64>,
    pub histograms: HashMap<u32, u64>,
    /// What was told to whoever traces, if somebody does.
    pub traced: Option<Vec<Traced>>,
    /// Whether what leaves is another host's, or a container's.
    pub forwards: bool,
    /// What the sending socket remembers; `None` where it is not a connected one.
    pub socket: Option<Option<SocketFlow>>,
    /// TCP sockets that are not listeners.
    pub peers: HashMap<Tuple, Peer>,
    /// Of connected sockets that do not accept everything.
    pub windows: HashMap<Tuple, Window>,
    /// Destinations that routing would forward.
    pub remote: HashSet<Address>,
    /// Whether a client port was ever moved.
    pub has_moved: bool,
    /// Whether what this host forwards was ever noted as pending.
    pub has_forwarded: bool,
    /// Whether netfilter redirected the same ports at the load.
    pub netfilter: bool,
}

impl Memory {
    fn table(&mut self, table: Table) -> &mut HashMap<FlowKey, Flow> {
        match table {
            Table::Pending => &mut self.pending,
            Table::Answered => &mut self.answered,
            Table::Moved => &mut self.moved,
        }
    }

    fn end(&mut self, table: Table, key: &FlowKey) {
        if table == Table::Answered {
            let place = place_of(key);
            self.recent.entry(place).or_default().generation += 1;
        }
    }
}

impl State for Memory {
    fn port(&self, protocol: Protocol, port: Port) -> Option<PortEntry> {
        self.ports
            .get(&port_index(self.slot, protocol, port))
            .copied()
    }

    fn rule(&self, key: &RuleKey) -> Option<Rule> {
        let slot = self.slot as u8;
        self.rules.get(&RuleKey { slot, ..*key }).copied()
    }

    fn earlier(&self, protocol: Protocol, port: Port, age: u32) -> Option<EarlierTarget> {
        let port = port_index(self.slot, protocol, port);
        self.earlier.get(&EarlierKey { port, age }).copied()
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn ifindex(&self) -> u32 {
        self.ifindex
    }

    fn flow(&self, table: Table, key: &FlowKey) -> Option<Flow> {
        match table {
            Table::Pending => self.pending.get(key).copied(),
            Table::Answered => self.answered.get(key).copied(),
            Table::Moved => self.moved.get(key).copied(),
        }
    }

    fn insert_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow) {
        self.table(table).insert(*key, *flow);
        self.end(table, key);
    }

    fn update_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow) {
        if let Some(entry) = self.table(table).get_mut(key) {
            *entry = *flow;
        }
        self.end(table, key);
    }

    fn remove_flow(&mut self, table: Table, key: &FlowKey) {
        self.table(table).remove(key);
        self.end(table, key);
    }

    fn noted(&self) -> u64 {
        self.noted
    }

    fn recent(&self, place: u32) -> Option<Recent> {
        Some(self.recent.get(&place).copied().unwrap_or_default())
    }

    fn set_recent(&mut self, place: u32, recent: &Recent) {
        let entry = self.recent.entry(place).or_default();
        *entry = Recent {
            generation: entry.generation,
            ..*recent
        };
    }

    fn generation(&mut self, place: u32) -> Option<u64> {
        self.recent(place).map(|recent| recent.generation)
    }

    fn is_sent_here(&self) -> bool {
        !self.forwards
    }

    fn socket_flow(&self) -> Option<SocketFlow> {
        self.socket.flatten()
    }

    fn remember_on_socket(&mut self, _key: &FlowKey, flow: SocketFlow) -> bool {
        if let Some(socket) = &mut self.socket {
            *socket = Some(flow);
        }
        self.socket.is_some()
    }

    fn peer(&self, key: &FlowKey) -> Peer {
        let tuple = (key.remote, key.remote_port, key.local, key.local_port);
        self.peers.get(&tuple).copied().unwrap_or(Peer::None)
    }

    fn accepts(&self, key: &FlowKey, sequence: u32, acknowledgment: u32) -> bool {
        let tuple = (key.remote, key.remote_port, key.local, key.local_port);
        self.windows
            .get(&tuple)
            .is_none_or(|window| window.accepts(sequence, acknowledgment))
    }

    fn is_local(&self, key: &FlowKey) -> bool {
        // As `rt6_need_strict()` has it, what comes from a link-local or a group's address is not
        // forwarded.
        let is_strict = key.remote.is_link_local() || key.remote.octets()[0] == 0xff;
        is_strict || !self.remote.contains(&key.local)
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn clock(&self) -> u64 {
        self.now
    }

    fn count(&mut self, rule: u32, direction: Direction, bytes: u32, resets: u32) {
        let bucket = Histogram::PacketSize.bucket(bytes);
        *self.histograms.entry(bucket).or_default() += 1;
        let counters = self.counters.entry(rule).or_default();
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

    fn count_connection(&mut self, rule: u32) {
        self.counters.entry(rule).or_default().connections += 1;
    }

    fn count_syn(&mut self, rule: u32) {
        self.counters.entry(rule).or_default().syns += 1;
    }

    fn count_answered_syn(&mut self, rule: u32) {
        self.counters.entry(rule).or_default().answered_syns += 1;
    }

    fn observe(&mut self, histogram: Histogram, delay: u32) {
        *self.histograms.entry(histogram.bucket(delay)).or_default() += 1;
        *self.histograms.entry(histogram.sum()).or_default() += u64::from(delay);
    }

    fn count_error(&mut self, rule: u32, direction: Direction) {
        let counters = self.counters.entry(rule).or_default();
        match direction {
            Direction::Ingress => counters.in_errors += 1,
            Direction::Egress => counters.out_errors += 1,
        }
    }

    fn is_traced(&self) -> bool {
        self.traced.is_some()
    }

    fn trace(&mut self, packet: Traced) {
        self.traced
            .iter_mut()
            .for_each(|traced| traced.push(packet));
    }

    fn may_be_netfilters(&self) -> bool {
        self.netfilter
    }

    fn has_moved(&self) -> bool {
        self.has_moved
    }

    fn note_moved(&mut self, _key: &FlowKey, moved: Port) {
        self.has_moved |= moved != NO_PORT;
    }

    fn has_forwarded(&self) -> bool {
        self.has_forwarded
    }

    fn note_forwarded(&mut self) {
        self.has_forwarded = true;
    }
}
