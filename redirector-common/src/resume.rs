//! TCP past its SYN, of a flow that no table knows: evicted, from before the load, or not ours.

use crate::{
    Peer, Skip, State, Table,
    abi::{FLOW_SOCKETLESS, Flow, FlowKey, NO_PORT, Port},
    begin::Arrival,
    decision::Decision,
    track::{self, Translation},
};

/// Under the rule in force.
#[inline(never)]
pub fn resume<S: State>(state: &mut S, arrival: &mut Arrival) -> Decision {
    let Arrival { target, rule, .. } = *arrival;
    if target == NO_PORT {
        return Decision::PASS;
    }
    let key = &mut arrival.key;
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    // Also one that was redirected to this port, which is another rule's target, below this interface.
    if state.peer(key) != Peer::None {
        return Decision::skip(Skip::Established);
    }
    let from = key.local_port;
    key.local_port = target;
    let (sequence, acknowledgment) = (arrival.sequence, arrival.acknowledgment);
    if let Some(skip) = whose(state, key, from, sequence, acknowledgment) {
        return Decision::skip(skip);
    }
    track::begin(state, key, Flow::resumed(from, rule));
    Decision::redirect(Translation::to(target, rule))
}

/// Whether the key's tuple has a connected socket whose connection came through `from`.
#[inline(always)]
pub fn is_its_connection<S: State>(
    state: &S,
    key: &FlowKey,
    from: Port,
    sequence: u32,
    acknowledgment: u32,
) -> bool {
    matches!(state.peer(key), Peer::Connected { .. })
        && whose(state, key, from, sequence, acknowledgment).is_none()
}

/// `None` if the packet's connection came through `from`, or nobody knows better. A direct connection,
/// or one of another wire port, whose replies must not change, is a [`Skip::Collision`].
#[inline(always)]
fn whose<S: State>(
    state: &S,
    key: &FlowKey,
    from: Port,
    sequence: u32,
    acknowledgment: u32,
) -> Option<Skip> {
    let is_anothers = |flow: &Flow| !flow.is_of(from, NO_PORT);
    let is_taken = match state.peer(key) {
        Peer::Connected {
            origin: Some(origin),
        } => origin.from != from || origin.client != NO_PORT,
        Peer::Connected { origin: None } => {
            // What is pending proves nothing: anybody can send a SYN.
            let is_proven = state
                .flow(Table::Answered, key)
                .is_some_and(|f| is_anothers(&f));
            if is_proven || !state.accepts(key, sequence, acknowledgment) {
                true
            } else if state.may_be_netfilters() {
                return Some(Skip::Established);
            } else {
                false
            }
        }
        Peer::Handshake | Peer::TimeWait => {
            track::flow(state, key).is_some_and(|f| is_anothers(&f))
        }
        Peer::None => track::flow(state, key)
            .is_some_and(|flow| flow.flags & FLOW_SOCKETLESS != 0 && is_anothers(&flow)),
    };
    is_taken.then_some(Skip::Collision)
}
