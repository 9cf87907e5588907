//! Map keys and values: the boundary between the BPF programs and user space.
//!
//! Ports and addresses are in network byte order; other integers are native. Every type is `Pod`
//! without padding, so that equal values have equal bytes, as hash maps need. What lives on the BPF
//! stack is aligned to 8 bytes and made of words, because LLVM merges neighbouring fields into one
//! access and the verifier wants that aligned there.

use bytemuck::{Pod, Zeroable};

pub use crate::address::{ANY_ADDRESS, Address, NO_PORT, Port, Protocol};

/// Raised by every change of this module or of the maps' sizes and meanings.
pub const ABI_VERSION: u32 = 3;

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

/// Key of the `PENDING`, `FLOWS` and `MOVED` maps: the tuple as the application's socket has it, or, for
/// [`KEY_MOVED`], as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct FlowKey {
    pub remote: Address,
    pub local: Address,
    pub remote_port: Port,
    /// After the rewrite: the target port; under [`KEY_MOVED`] the wire port.
    pub local_port: Port,
    /// The interface of a link-local peer, else 0.
    pub scope: u32,
    pub protocol: Protocol,
    /// [`KEY_FLOW`] or [`KEY_MOVED`].
    pub kind: u32,
}

/// A flow.
pub const KEY_FLOW: u32 = 0;
/// A connection whose client port was moved, because the application's socket would have had the
/// tuple of another connection: leads to the key of its flow.
pub const KEY_MOVED: u32 = 1;

/// Value of the `PENDING`, `FLOWS` and `MOVED` maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Flow {
    /// The SYN's sequence number, in host byte order.
    pub opening: u32,
    /// With [`FLOW_SYN_ACK`] the acknowledgment number that proves that the client saw it, in host byte
    /// order.
    pub expected: u32,
    /// The rule's number.
    pub rule: u32,
    /// When it was noted, in [`TICK`]s of `CLOCK_MONOTONIC_COARSE`; it wraps after two years.
    pub created: u32,
    /// `FLOW_*` flags.
    pub flags: u16,
    /// The port on the wire: the target itself for a direct connection, [`NO_PORT`] for a flow that this
    /// host began from the wire port. Under [`KEY_MOVED`] the target.
    pub from: Port,
    /// The client's port on the wire if it was moved, else [`NO_PORT`]. Under [`KEY_MOVED`] the port
    /// it was moved to.
    pub client: Port,
    pub reserved: u16,
}

/// Nanoseconds, as a power of two: 16.8 ms.
pub const TICK: u32 = 24;

/// About a second, in [`TICK`]s.
pub const SECOND: u32 = 1_000_000_000 >> TICK;

/// How far acknowledgment numbers of one connection can be from its SYN's, or its SYN-ACK's, before
/// they have proven anything: more than either end sends unasked.
const NEAR: u32 = 1 << 20;

impl Flow {
    /// Whether these are its ports on the wire; [`NO_PORT`] for a client's port that was not moved.
    #[inline(always)]
    pub fn is_of(&self, from: Port, client: Port) -> bool {
        self.from == from && self.client == client
    }

    /// Noted by a SYN, or by UDP's first datagram.
    #[inline(always)]
    pub fn is_opened(&self) -> bool {
        self.flags & FLOW_OPENED != 0
    }

    /// Whether it takes no more than a SYN, which anybody can send, to note it.
    #[inline(always)]
    pub fn is_answered(&self) -> bool {
        self.flags & (FLOW_OPENED | FLOW_SYN_ACK) != FLOW_OPENED
    }

    #[inline(always)]
    pub fn is_socketless(&self) -> bool {
        self.flags & FLOW_SOCKETLESS != 0
    }

    /// Noted within the last second; `now` in nanoseconds.
    #[inline(always)]
    pub fn is_fresh(&self, now: u64) -> bool {
        self.age(now) <= SECOND
    }

    /// In [`TICK`]s; `now` in nanoseconds.
    #[inline(always)]
    pub fn age(&self, now: u64) -> u32 {
        ((now >> TICK) as u32).wrapping_sub(self.created)
    }

    /// Bytes, the SYN included, that an acknowledgment of the application acknowledges; 0 if it is about
    /// another SYN.
    #[inline(always)]
    pub fn acknowledged(&self, acknowledgment: u32) -> u32 {
        let distance = acknowledgment.wrapping_sub(self.opening);
        if distance <= NEAR { distance } else { 0 }
    }

    /// Whether the client can send this acknowledgment: 0 where it acknowledges nothing.
    #[inline(always)]
    pub fn fits(&self, acknowledgment: u32) -> bool {
        acknowledgment == 0
            || self.flags & FLOW_SYN_ACK != 0 && acknowledgment.wrapping_sub(self.expected) <= NEAR
    }

    /// Seen in the middle of a connection.
    pub const fn resumed(from: Port, rule: u32) -> Self {
        Self {
            opening: 0,
            expected: 0,
            rule,
            created: 0,
            flags: 0,
            from,
            client: NO_PORT,
            reserved: 0,
        }
    }

    /// Seen from its first datagram.
    pub const fn opened(from: Port, rule: u32) -> Self {
        Self {
            flags: FLOW_OPENED,
            ..Self::resumed(from, rule)
        }
    }

    /// Seen from its SYN with this sequence number.
    pub const fn opened_by_syn(from: Port, rule: u32, sequence: u32) -> Self {
        Self {
            opening: sequence,
            ..Self::opened(from, rule)
        }
    }
}

/// Its first packet was seen, so it counts as a connection once it is answered.
pub const FLOW_OPENED: u16 = 1;
/// The application's SYN-ACK was seen.
pub const FLOW_SYN_ACK: u16 = 1 << 1;
/// No lookup finds a socket of its tuple: it is a container's, or under SYN cookies, or its socket is
/// bound to another device.
pub const FLOW_SOCKETLESS: u16 = 1 << 2;

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
    pub out_packets: u64,
    pub out_bytes: u64,
    pub connections: u64,
    /// ICMP errors about the rule's packets; not among the packets above.
    pub in_errors: u64,
    pub out_errors: u64,
}

impl core::ops::Add for RuleCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            in_packets: self.in_packets + other.in_packets,
            in_bytes: self.in_bytes + other.in_bytes,
            out_packets: self.out_packets + other.out_packets,
            out_bytes: self.out_bytes + other.out_bytes,
            connections: self.connections + other.connections,
            in_errors: self.in_errors + other.in_errors,
            out_errors: self.out_errors + other.out_errors,
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

/// The only value of the `MOVES` map: whether client ports were moved, and how often that was logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Moves {
    /// 0 until the first one.
    pub any: u32,
    /// Lines logged in this `second`.
    pub logged: u32,
    /// `CLOCK_MONOTONIC_COARSE`, in units of 2^30 ns.
    pub second: u64,
}

/// Lines about moved client ports that are logged in a second at most.
pub const MOVES_LOGGED: u32 = 16;

/// Interfaces of one instance.
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

/// By filters on a clsact qdisc instead of TCX links.
pub const ATTACH_CLSACT: u32 = 1;
/// The load brought that qdisc.
pub const ATTACH_OWN_QDISC: u32 = 1 << 1;
