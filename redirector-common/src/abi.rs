//! Map keys and values: the boundary between the BPF programs and user space.
//!
//! Ports and addresses are in network byte order; other integers are native. Every type is `Pod`
//! without padding, so that equal values have equal bytes, as hash maps need. What lives on the BPF
//! stack is aligned to 8 bytes and made of words, because LLVM merges neighbouring fields into one
//! access and the verifier wants that aligned there.

mod flow;
mod histogram;
mod recent;
mod trace;

use bytemuck::{Pod, Zeroable};

pub use self::flow::{
    FLOW_OPENED, FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, KEY_FLOW, KEY_MOVED, SECOND, TICK,
    UDP_IDLE, UDP_REFRESH, since,
};
pub use self::histogram::{BUCKETS, DELAY_UNIT, HISTOGRAM_ENTRIES, Histogram};
pub use self::recent::{RECENT_PLACES, Recent};
pub use self::trace::{ANY_RULE, TRACED_BYTES, TraceControl, TraceRecord};
pub use crate::address::{ANY_ADDRESS, Address, NO_PORT, Port, Protocol};

/// Raised by every change of this module or of the maps' sizes and meanings.
pub const ABI_VERSION: u32 = 9;

/// The two copies of the rules; reload fills the idle one and switches.
pub const SLOTS: u32 = 2;
/// In the place of a slot: nothing is redirected. Every lookup with it is beyond the map's end.
pub const SLOT_OFF: u32 = SLOTS;
const PORTS: u32 = 1 << 16;

/// Entries of the `PORTS` map.
pub const PORT_ENTRIES: u32 = SLOTS * 2 * PORTS;

/// The index of a port in the `PORTS` map.
#[inline(always)]
pub fn port_index(slot: u32, protocol: Protocol, port: Port) -> u32 {
    // 6 is even and 17 is odd.
    let protocol = (protocol.number() & 1) * PORTS;
    slot * 2 * PORTS + protocol + port.get() as u32
}

/// The slot, protocol and port of an index in the `PORTS` map.
pub fn port_of_index(index: u32) -> (u32, Protocol, Port) {
    let protocol = if index & PORTS == 0 {
        Protocol::TCP
    } else {
        Protocol::UDP
    };
    (index / (2 * PORTS), protocol, Port::new(index as u16))
}

/// What one port means to us, so that an unrelated packet costs one array lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PortEntry {
    /// The target of the rule for any address and interface; [`NO_PORT`] without one.
    pub target: Port,
    /// `PORT_*` flags.
    pub flags: u16,
    /// That rule's number, an index into `COUNTERS` and below [`NO_RULE`].
    pub rule: u32,
}

/// In the place of a rule's number.
pub const NO_RULE: u32 = (1 << 24) - 1;

/// Some rule, present or removed, redirects from this port.
pub const PORT_SOURCE: u16 = 1;
/// Some rule, present or removed, redirects to this port.
pub const PORT_TARGET: u16 = 1 << 1;
/// `RULES` has rules for single addresses or interfaces.
pub const PORT_SCOPED: u16 = 1 << 2;
/// `EARLIER` knows this port.
pub const PORT_CHANGED: u16 = 1 << 3;
/// `RULES` has rules for single interfaces.
pub const PORT_LINKED: u16 = 1 << 4;

/// Key of the `RULES` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct RuleKey {
    /// [`ANY_ADDRESS`] for every local address.
    pub address: Address,
    /// 0 for every interface.
    pub ifindex: u32,
    pub port: Port,
    /// A [`Protocol`]'s number.
    pub protocol: u8,
    pub slot: u8,
}

/// Value of the `RULES` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    pub target: Port,
    pub reserved: u16,
    /// Index into `COUNTERS`.
    pub number: u32,
}

/// How many earlier targets of a source port are remembered for its live connections.
pub const EARLIER_TARGETS: u32 = 4;

/// Key of the `EARLIER` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct EarlierKey {
    /// A [`port_index`].
    pub port: u32,
    /// 0 for the newest, below [`EARLIER_TARGETS`], without gaps.
    pub age: u32,
}

/// Value of the `EARLIER` map: where a rule for this port, changed or removed since, used to lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct EarlierTarget {
    pub target: Port,
    pub reserved: u16,
    /// The rule's number.
    pub rule: u32,
}

/// Value of the `SOCKETS` map: where a socket's connection came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct SocketFlow {
    pub rule: u32,
    pub from: Port,
    /// The client's port on the wire if it was moved, else [`NO_PORT`].
    pub client: Port,
}

/// Value of the `COUNTERS` map, one a rule and CPU. Packets as `tcpdump` counts them (a GSO or GRO
/// super-packet is one), bytes from the network header onwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RuleCounters {
    pub in_packets: u64,
    pub in_bytes: u64,
    /// TCP packets with RST, among those above.
    pub in_resets: u64,
    pub out_packets: u64,
    pub out_bytes: u64,
    pub out_resets: u64,
    pub connections: u64,
    /// ICMP errors about the rule's packets; not among the packets above.
    pub in_errors: u64,
    pub out_errors: u64,
    /// SYNs that asked for a connection. One that is repeated within a second counts once.
    pub syns: u64,
    /// How many of them the application has answered, by SYN-ACK or RST.
    pub answered_syns: u64,
}

impl core::ops::Add for RuleCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            in_packets: self.in_packets + other.in_packets,
            in_bytes: self.in_bytes + other.in_bytes,
            in_resets: self.in_resets + other.in_resets,
            out_packets: self.out_packets + other.out_packets,
            out_bytes: self.out_bytes + other.out_bytes,
            out_resets: self.out_resets + other.out_resets,
            connections: self.connections + other.connections,
            in_errors: self.in_errors + other.in_errors,
            out_errors: self.out_errors + other.out_errors,
            syns: self.syns + other.syns,
            answered_syns: self.answered_syns + other.answered_syns,
        }
    }
}

/// The only value of the `SETTINGS` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Settings {
    /// [`ABI_VERSION`] of the loader.
    pub abi: u32,
    /// The slot of the rules in force, or [`SLOT_OFF`] before and after.
    pub slot: u32,
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Inode of the network namespace.
    pub netns: u64,
    /// Rule numbers from here on were never given away.
    pub unused: u32,
    /// What the programs log: 0 nothing, 1 errors, 2 warnings, 3 information, 4 debugging.
    pub log_level: u32,
    /// Whether netfilter redirected the same ports at the load or at a reload, and may have connections
    /// that go on; 0 or 1.
    pub netfilter: u32,
    /// What a packet that was rewritten carries as `tc_index`, so that no other interface of this network
    /// namespace rewrites it again; 0 for nothing.
    pub mark: u32,
}

/// The only value of the `EVER` map: what has happened at least once, so that no packet looks for what never did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Ever {
    /// 0 until a client port is moved.
    pub moved: u32,
    /// 0 until something that this host forwards is noted in `PENDING`.
    pub forwarded: u32,
    /// Lines about moved ports, logged in this `second`.
    pub logged: u64,
    /// `CLOCK_MONOTONIC_COARSE`, in units of 2^30 ns.
    pub second: u64,
}

/// Lines about moved client ports that are logged in a second at most.
pub const MOVES_LOGGED: u64 = 16;

/// Interfaces of one instance, and names and patterns of them.
pub const MAX_INTERFACES: u32 = 256;

/// Value of the `INTERFACES` map, keyed by interface index; only user space uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct InterfaceRecord {
    /// NUL-padded (`IFNAMSIZ`).
    pub name: [u8; 16],
    /// Position on the command line or in the file.
    pub order: u32,
    /// `ATTACH_*` flags.
    pub attach: u32,
}

/// Bytes of a name or pattern of interfaces.
pub const WANTED_LENGTH: usize = 64;

/// Value of the `WANTED` map, keyed by position: a name or pattern of interfaces that `redirector run`
/// attaches as they come; only user space uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct WantedRecord {
    /// NUL-padded.
    pub selector: [u8; WANTED_LENGTH],
}

/// By filters on a clsact qdisc instead of TCX links.
pub const ATTACH_CLSACT: u32 = 1;
/// The load brought that qdisc.
pub const ATTACH_OWN_QDISC: u32 = 1 << 1;

/// Metadata in front of a packet that XDP rewrote, by which TC ingress knows it.
pub const XDP_MARK: u64 = 0xd3b1_9e64_72a8_5cf7;
