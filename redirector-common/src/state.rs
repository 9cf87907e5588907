use crate::{
    Direction, Traced,
    abi::{
        EarlierTarget, Flow, FlowKey, Histogram, Port, PortEntry, Protocol, Recent, Rule, RuleKey,
        SocketFlow,
    },
    begin::{self, Arrival},
    decision::Decision,
};

/// The tables of flows, all least-recently-used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Seen from the client only. A flood of spoofed packets fills and churns this one.
    Pending,
    /// Answered by the application.
    Answered,
    /// Where connections that were moved to another client port are found, once they are answered.
    Moved,
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
    /// Whether flows begin here and ICMP errors are translated here. If not, that is for the program
    /// that sees the packet next.
    const DECIDES: bool = true;

    /// What `port` means under the rules in force.
    fn port(&self, protocol: Protocol, port: Port) -> Option<PortEntry>;

    /// A rule of the slot in force, whatever the key's slot.
    fn rule(&self, key: &RuleKey) -> Option<Rule>;

    /// An earlier target of a source port, of the slot in force; 0 is the newest.
    fn earlier(&self, protocol: Protocol, port: Port, age: u32) -> Option<EarlierTarget>;

    /// As [`Packet::opaque`](crate::Packet::opaque), for what functions return.
    fn opaque(&self, value: u64) -> u64 {
        value
    }

    /// `value`, of whose size the BPF verifier then knows nothing. Without CAP_PERFMON Linux 6.1 wants that of
    /// what is written to the first of 8 bytes on the stack, where less than 8 are ever written after it.
    fn unbounded(&self, value: u64) -> u64 {
        value
    }

    /// What rewritten packets carry; 0 for nothing.
    fn mark(&self) -> u32;

    /// The interface's index.
    fn ifindex(&self) -> u32;

    fn flow(&self, table: Table, key: &FlowKey) -> Option<Flow>;
    /// For [`Table::Answered`] the generation of the tuple's place in the cache is raised afterwards, here and by the
    /// other two: what the cache knows of it is over, or another flow's.
    fn insert_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow);
    /// In place, if it is there.
    fn update_flow(&mut self, table: Table, key: &FlowKey, flow: &Flow);
    fn remove_flow(&mut self, table: Table, key: &FlowKey);

    /// Which packets are noted in the cache that it did not know but could have: of a number that they make up, these
    /// bits are 0. So connections that displace each other there do not pay for that each time.
    fn noted(&self) -> u64 {
        7
    }

    /// A place of the cache, below [`RECENT_PLACES`](crate::abi::RECENT_PLACES).
    fn recent(&self, place: u32) -> Option<Recent>;
    /// Its generation; what is read afterwards is read later, also by CPUs that change the order of reads.
    fn generation(&mut self, place: u32) -> Option<u64>;
    /// Everything but its generation.
    fn set_recent(&mut self, place: u32, recent: &Recent);

    /// Whether this host sends this packet: else it came in by an interface, and is forwarded.
    fn is_sent_here(&self) -> bool;

    /// What the socket that sends this packet remembers.
    fn socket_flow(&self) -> Option<SocketFlow>;

    /// Makes the connected socket that sends this packet remember `flow` for as long as it lives; false where there
    /// is none.
    fn remember_on_socket(&mut self, key: &FlowKey, flow: SocketFlow) -> bool;

    /// The TCP socket of the key's tuple.
    fn peer(&self, key: &FlowKey) -> Peer;

    /// Whether the connected socket of the key's tuple could be sent these numbers now.
    fn accepts(&self, key: &FlowKey, sequence: u32, acknowledgment: u32) -> bool;

    /// Whether the key's local address is one of this host, as routing sees it.
    fn is_local(&self, key: &FlowKey) -> bool;

    /// `CLOCK_MONOTONIC_COARSE`, nanoseconds.
    fn now(&self) -> u64;

    /// `CLOCK_MONOTONIC`, nanoseconds: exact, and several times as expensive.
    fn clock(&self) -> u64;

    /// Counts one redirected packet of `bytes` from the network header onwards, in which there are 0 or
    /// 1 `resets`.
    fn count(&mut self, rule: u32, direction: Direction, bytes: u32, resets: u32);
    fn count_connection(&mut self, rule: u32);
    /// Counts a SYN that asks for a connection.
    fn count_syn(&mut self, rule: u32);
    /// Counts one of them that the application answers.
    fn count_answered_syn(&mut self, rule: u32);
    /// Counts a delay, in [`DELAY_UNIT`](crate::abi::DELAY_UNIT)s.
    fn observe(&mut self, histogram: Histogram, delay: u32);
    /// Counts an ICMP error about a redirected packet.
    fn count_error(&mut self, rule: u32, direction: Direction);

    /// Whether somebody traces: asked for every packet that is told of here.
    fn is_traced(&self) -> bool;
    fn trace(&mut self, packet: Traced);

    /// Whether netfilter had a redirection of its own at the load, and with it connections to a target.
    fn may_be_netfilters(&self) -> bool;

    /// What [`begin::decide`] says, which the kernel runs as a function that is verified on its own.
    fn decide(&mut self, arrival: &Arrival) -> Decision
    where
        Self: Sized,
    {
        begin::decide(self, arrival)
    }

    /// Whether a client port was ever moved: if not, nothing needs to look for it.
    fn has_moved(&self) -> bool;

    /// Says that one was, and tells the operator: the application sees `moved` instead of the key's
    /// remote port. [`NO_PORT`](crate::abi::NO_PORT): none was free, and the client sees that.
    fn note_moved(&mut self, key: &FlowKey, moved: Port);

    /// Whether what this host forwards was ever noted as pending: if not, nothing needs to look for it.
    fn has_forwarded(&self) -> bool;

    /// Says that it was.
    fn note_forwarded(&mut self);
}

/// Numbers of a connected socket (RFC 9293 section 3.3.1), in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// RCV.NXT
    pub receive_next: u32,
    /// SND.UNA
    pub unacknowledged: u32,
    /// SND.NXT
    pub send_next: u32,
}

impl Window {
    /// Wider than windows usually are: the acknowledgment makes up for it.
    const SEQUENCES: u32 = 1 << 25;
    /// How old an acknowledgment may be.
    const ACKNOWLEDGMENTS: u32 = 1 << 20;

    /// Whether a segment with these numbers can be meant for the socket. A RST may acknowledge nothing
    /// and must fit exactly then (RFC 5961 section 3.2).
    #[inline(always)]
    pub fn accepts(&self, sequence: u32, acknowledgment: u32) -> bool {
        if acknowledgment == 0 && sequence == self.receive_next {
            return true;
        }
        let distance = sequence
            .wrapping_sub(self.receive_next)
            .wrapping_add(Self::SEQUENCES);
        let oldest = self.unacknowledged.wrapping_sub(Self::ACKNOWLEDGMENTS);
        let newest = self.send_next.wrapping_sub(oldest);
        distance <= 2 * Self::SEQUENCES && acknowledgment.wrapping_sub(oldest) <= newest
    }
}
