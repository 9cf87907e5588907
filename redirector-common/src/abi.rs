//! Map keys and values: the boundary between the BPF programs and user space.
//!
//! Ports and addresses are byte arrays in network order; other integers are native. Every type is
//! `Pod` without padding, so that equal values have equal bytes, as hash maps need.

use bytemuck::{Pod, Zeroable};

/// Raised by every change of this module or of the maps' sizes and meanings.
pub const ABI_VERSION: u32 = 1;

/// A port in network byte order; all zeros where there is none.
pub type Port = [u8; 2];

pub const NO_PORT: Port = [0, 0];

/// An IPv6 address, or an IPv4 one as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
pub type Address = [u8; 16];

pub const ANY_ADDRESS: Address = [0; 16];

#[inline(always)]
pub const fn mapped_ipv4(address: [u8; 4]) -> Address {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    Tcp = 6,
    Udp = 17,
}

/// The two copies of the rules; reload fills the idle one and switches.
pub const SLOTS: u32 = 2;
const PORTS: u32 = 1 << 16;

/// Entries of the `PORTS` map.
pub const PORT_ENTRIES: u32 = SLOTS * 2 * PORTS;

/// The index of a port in the `PORTS` map.
#[inline(always)]
pub fn port_index(slot: u32, protocol: Protocol, port: Port) -> u32 {
    let protocol = match protocol {
        Protocol::Tcp => 0,
        Protocol::Udp => PORTS,
    };
    (slot & (SLOTS - 1)) * 2 * PORTS + protocol + u32::from(u16::from_be_bytes(port))
}

/// What one port means to us, so that an unrelated packet costs one array lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PortEntry {
    /// The target of the rule for any address and interface; [`NO_PORT`] without one.
    pub target: Port,
    /// `PORT_*` flags.
    pub flags: u16,
    /// That rule's number, an index into `COUNTERS`.
    pub rule: u32,
}

/// Some rule, present or removed, redirects from this port.
pub const PORT_SOURCE: u16 = 1;
/// Some rule, present or removed, redirects to this port.
pub const PORT_TARGET: u16 = 1 << 1;
/// `RULES` knows more: rules for single addresses or interfaces, or retired targets.
pub const PORT_DETAILED: u16 = 1 << 2;

/// Key of the `RULES` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct RuleKey {
    /// [`ANY_ADDRESS`] for every local address.
    pub address: Address,
    /// 0 for every interface.
    pub ifindex: u32,
    pub port: Port,
    /// A [`Protocol`].
    pub protocol: u8,
    pub slot: u8,
}

/// How many earlier targets of a source port are remembered for its live connections.
pub const RETIRED_TARGETS: usize = 4;

/// Value of the `RULES` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Rule {
    /// [`NO_PORT`] once the rule was removed.
    pub target: Port,
    pub reserved: [u8; 2],
    /// Index into `COUNTERS`.
    pub number: u32,
    /// Targets of earlier versions, newest first, [`NO_PORT`] at the end.
    pub retired: [Port; RETIRED_TARGETS],
}

/// Key of the `PENDING` and `FLOWS` maps: the tuple as the application's socket has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub struct FlowKey {
    pub remote: Address,
    pub local: Address,
    pub remote_port: Port,
    /// After the rewrite: the target port.
    pub local_port: Port,
    /// The interface of a link-local peer, else 0.
    pub scope: u32,
    /// A [`Protocol`].
    pub protocol: u8,
    pub reserved: [u8; 3],
}

/// Value of the `PENDING` and `FLOWS` maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Flow {
    /// `CLOCK_MONOTONIC_COARSE`, nanoseconds.
    pub created: u64,
    /// The rule's number.
    pub rule: u32,
    /// The port on the wire; [`NO_PORT`] for a flow that this host began from the wire port.
    pub from: Port,
    /// `FLOW_*` flags.
    pub flags: u16,
    /// With [`FLOW_SYN_ACK`]: the acknowledgment number that proves that the client saw it.
    pub expected: [u8; 4],
    pub reserved: [u8; 4],
}

/// Its first packet was seen, so it counts as a connection once it is answered.
pub const FLOW_OPENED: u16 = 1;
/// The application's SYN-ACK was seen.
pub const FLOW_SYN_ACK: u16 = 1 << 1;

/// Value of the `SOCKETS` map: where a socket's connection came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SocketFlow {
    pub rule: u32,
    pub from: Port,
    pub reserved: [u8; 2],
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
}

/// The only value of the `SETTINGS` map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Settings {
    /// [`ABI_VERSION`] of the loader.
    pub abi: u32,
    /// The slot of the rules in force.
    pub slot: u32,
    /// 0 until a load has succeeded.
    pub generation: u64,
    /// Seconds since the Unix epoch.
    pub since: u64,
    /// Inode of the network namespace.
    pub netns: u64,
}

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
    pub reserved: u32,
}
