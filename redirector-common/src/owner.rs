//! Who has a tuple of the application: which ports on the wire its connection came by.

use crate::{
    Peer, State, Table,
    abi::{Flow, FlowKey, NO_PORT, Port},
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

/// A flow in one register, so that the verifier never meets half of one. The lowest bits are its
/// [`Owner`].
#[derive(Clone, Copy)]
struct Summary(u64);

impl Summary {
    const NONE: Self = Self(0);
    const FOUND: u64 = 1 << 40;
    const ANSWERED: u64 = 1 << 41;
    const SOCKETLESS: u64 = 1 << 42;
    const FRESH: u64 = 1 << 43;

    #[inline(always)]
    fn of(flow: &Flow, now: u64) -> Self {
        let bit = |is_set: bool, bit| if is_set { bit } else { 0 };
        Self(
            Owner::of(flow.from, flow.client).0
                | Self::FOUND
                | bit(flow.is_answered(), Self::ANSWERED)
                | bit(flow.is_socketless(), Self::SOCKETLESS)
                | bit(flow.is_fresh(now), Self::FRESH),
        )
    }

    #[inline(always)]
    const fn is(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    #[inline(always)]
    const fn owner(self) -> Owner {
        Owner(self.0 & (Self::FOUND - 1))
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
    let now = state.now();
    let pending = state
        .flow(Table::Pending, key)
        .map_or(Summary::NONE, |flow| Summary::of(&flow, now));
    if pending.is(Summary::ANSWERED) && (has_socket || pending.is(Summary::SOCKETLESS)) {
        return pending.owner();
    }
    let answered = state
        .flow(Table::Answered, key)
        .map_or(Summary::NONE, |flow| Summary::of(&flow, now));
    if answered.is(Summary::FOUND) && (has_socket || answered.is(Summary::SOCKETLESS)) {
        return answered.owner();
    }
    if !has_socket && !pending.is(Summary::ANSWERED) && pending.is(Summary::FRESH) {
        return pending.owner();
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
