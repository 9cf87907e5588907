//! Who has a tuple of the application: which ports on the wire its connection came by.

use crate::{
    Peer, State, Table,
    abi::{FLOW_OPENED, FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, NO_PORT, Port},
};

/// In one register, as a BPF function returns it. Above the kind are the port of this host's end and
/// the client's, [`NO_PORT`] where that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Owner(u64);

const KIND: u64 = 0xff;
const OF: u64 = 3;

impl Owner {
    /// No connection has the tuple.
    pub const NOBODY: Self = Self(0);
    /// A connection has it of which nobody knows: from before the load, or forgotten.
    pub const UNKNOWN: Self = Self(1);
    /// The same of one that is over, whose numbers a SYN has to follow.
    pub const UNKNOWN_PAST: Self = Self(2);

    #[inline(always)]
    pub const fn of(from: Port, client: Port) -> Self {
        Self(OF | (from.to_be() as u64) << 8 | (client.to_be() as u64) << 24)
    }

    #[inline(always)]
    pub const fn is_known(self) -> bool {
        self.0 & KIND == OF
    }
}

/// A flow in one register: its [`Owner`] and flags. Nothing is asked of it before it is there, or the
/// verifier would walk every answer.
#[derive(Clone, Copy)]
struct Summary(u64);

impl Summary {
    const NONE: Self = Self(0);
    const FLAGS: u32 = 40;

    #[inline(always)]
    fn of(flow: &Flow) -> Self {
        Self(Owner::of(flow.from, flow.client).0 | u64::from(flow.flags) << Self::FLAGS)
    }

    #[inline(always)]
    const fn is_found(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    const fn has(self, flag: u16) -> bool {
        self.0 & (flag as u64) << Self::FLAGS != 0
    }

    /// [`Flow::is_answered`]
    #[inline(always)]
    const fn is_answered(self) -> bool {
        self.is_found() && (self.has(FLOW_SYN_ACK) || !self.has(FLOW_OPENED))
    }

    #[inline(always)]
    const fn owner(self) -> Owner {
        Owner(self.0 & ((1 << Self::FLAGS) - 1))
    }
}

/// What can be said of a tuple.
///
/// A socket that remembers its origin is right, and a flow that was answered is, where there is a
/// connection at all. Behind a container's DNAT and under SYN cookies no socket tells that: there is
/// one while its flow is known. What a SYN alone has noted counts once the application has answered
/// it; before that for a second, where nothing tells more.
#[inline(never)]
pub fn owner<S: State>(state: &S, key: &FlowKey) -> Owner {
    Owner(state.opaque(look_up(state, key).0))
}

#[inline(always)]
fn look_up<S: State>(state: &S, key: &FlowKey) -> Owner {
    let peer = state.peer(key);
    if let Peer::Connected {
        origin: Some(origin),
    } = peer
    {
        return Owner::of(origin.from, origin.client);
    }
    let has_socket = peer != Peer::None;
    let summary = |table| {
        let flow = state.flow(table, key);
        let summary = flow.map_or(Summary::NONE, |flow| Summary::of(&flow));
        Summary(state.opaque(summary.0))
    };
    let pending = summary(Table::Pending);
    if pending.is_answered() && (has_socket || pending.has(FLOW_SOCKETLESS)) {
        return pending.owner();
    }
    let answered = summary(Table::Answered);
    if answered.is_found() && (has_socket || answered.has(FLOW_SOCKETLESS)) {
        return answered.owner();
    }
    if !has_socket
        && let Some(flow) = state.flow(Table::Pending, key)
        && !flow.is_answered()
        && flow.is_fresh(state.now())
    {
        return Owner::of(flow.from, flow.client);
    }
    match peer {
        Peer::Connected { .. } => Owner::UNKNOWN,
        Peer::TimeWait => Owner::UNKNOWN_PAST,
        // A flood has displaced the flow of the SYN that comes again.
        Peer::Handshake | Peer::None => Owner::NOBODY,
    }
}

/// Whether a SYN would meet another connection than its own. The key's local port is the target.
#[inline(always)]
pub fn is_taken<S: State>(state: &S, key: &FlowKey, from: Port, client: Port) -> bool {
    let owner = owner(state, key);
    if owner.is_known() {
        return owner != Owner::of(from, client);
    }
    owner == Owner::UNKNOWN || owner == Owner::UNKNOWN_PAST && from != key.local_port
}

/// Whether the wire port itself has the connection of the key's tuple: not one that was redirected to
/// it, by a rule whose target is this one's wire port.
#[inline(always)]
pub fn is_established<S: State>(state: &S, key: &FlowKey) -> bool {
    let is_direct = |from: Port, client: Port| from == key.local_port && client == NO_PORT;
    match state.peer(key) {
        Peer::Connected {
            origin: Some(origin),
        } => is_direct(origin.from, origin.client),
        Peer::Connected { origin: None } | Peer::Handshake => state
            .flow(Table::Answered, key)
            .or_else(|| state.flow(Table::Pending, key))
            .is_none_or(|flow: Flow| is_direct(flow.from, flow.client)),
        Peer::TimeWait | Peer::None => false,
    }
}
