use crate::{
    Direction, Skip,
    abi::{EarlierTarget, Flow, FlowKey, Port, PortEntry, Protocol, Rule, RuleKey, SocketFlow},
};

/// The two flow tables, both least-recently-used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Seen from the client only. A flood of spoofed packets fills and churns this one.
    Pending,
    /// Answered by the application.
    Answered,
}

/// The TCP socket that a tuple belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// None, or a listener.
    None,
    /// SYN_RECV: without the client's ACK.
    Handshake,
    /// A SYN replaces it.
    TimeWait,
    Connected {
        /// What the socket remembers of its redirection.
        origin: Option<SocketFlow>,
    },
}

/// Everything the packet path knows beyond the packet. Copies in, copies out.
pub trait State {
    /// What `port` means under the rules in force.
    fn port(&self, protocol: Protocol, port: Port) -> Option<PortEntry>;

    /// A rule of the slot in force, whatever the key's slot.
    fn rule(&self, key: &RuleKey) -> Option<Rule>;

    /// An earlier target of a source port, of the slot in force; 0 is the newest.
    fn earlier(&self, protocol: Protocol, port: Port, age: u32) -> Option<EarlierTarget>;

    /// The interface's index.
    fn ifindex(&self) -> u32;

    fn flow(&self, table: Table, key: &FlowKey) -> Option<Flow>;
    fn insert_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow);
    fn remove_flow(&mut self, table: Table, key: &FlowKey);

    /// What the socket that sends this packet remembers.
    fn socket_flow(&self) -> Option<SocketFlow>;

    /// Makes the connected socket that sends this packet remember `flow` for as long as it lives.
    fn remember_on_socket(&mut self, key: &FlowKey, flow: SocketFlow);

    /// The TCP socket of the key's tuple.
    fn peer(&self, key: &FlowKey) -> Peer;

    /// Whether the connected socket of the key's tuple could be sent this sequence number now.
    fn accepts(&self, key: &FlowKey, sequence: u32) -> bool;

    /// Whether the key's local address is one of this host, as routing sees it.
    fn is_local(&self, key: &FlowKey) -> bool;

    /// `CLOCK_MONOTONIC_COARSE`, nanoseconds.
    fn now(&self) -> u64;

    /// Counts one redirected packet of `bytes` from the network header onwards.
    fn count(&mut self, rule: u32, direction: Direction, bytes: u32);
    fn count_connection(&mut self, rule: u32);
    /// Counts an ICMP error about a redirected packet.
    fn count_error(&mut self, rule: u32, direction: Direction);
    fn count_skip(&mut self, skip: Skip);

    /// Whether a client port was ever moved: if not, nothing needs to look for it.
    fn has_moved(&self) -> bool;

    /// Says that one was, and tells the operator: the application sees `moved` instead of the key's
    /// remote port. [`NO_PORT`](crate::abi::NO_PORT): none was free, and the client sees that.
    fn note_moved(&mut self, key: &FlowKey, moved: Port);
}

/// Whether a sequence number can belong to a socket that expects `next`: the distance is less than a
/// window of usual size. What is further away is sent again from `next` on.
#[inline(always)]
pub fn is_near(sequence: u32, next: u32) -> bool {
    const DISTANCE: u32 = 1 << 20;
    sequence.wrapping_sub(next).wrapping_add(DISTANCE) <= 2 * DISTANCE
}
