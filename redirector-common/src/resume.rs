//! TCP past its SYN, of a flow that no table knows: evicted, from before the load, or not ours.

use crate::{
    Peer, Skip, State,
    abi::{FlowKey, NO_PORT, Port},
    begin::Arrival,
    decision::Decision,
    outgoing,
    owner::{Owner, owner},
    track::{self, Translation},
};

/// Under the rule in force.
#[inline(never)]
pub fn resume<S: State>(state: &mut S, key: &mut FlowKey, arrival: &Arrival) -> Decision {
    let (target, rule) = (arrival.target(), arrival.rule());
    if target == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    // Also one that was redirected to this port, which is another rule's target.
    if state.peer(key) != Peer::None {
        return Decision::skip(Skip::Established);
    }
    // A masqueraded container's, unless the target has a connection of it: anybody's SYN makes more than none.
    let is_forwarded = outgoing::is_forwarded(state, key);
    let from = key.local_port;
    key.local_port = target;
    if is_forwarded && !matches!(state.peer(key), Peer::Connected { .. }) {
        return Decision::skip(Skip::Outgoing);
    }
    let decision = is_free(
        state,
        key,
        from,
        arrival.sequence(),
        arrival.acknowledgment(),
    );
    if decision != Decision::PASS {
        return decision;
    }
    track::resume(state, key, from, NO_PORT, rule);
    Decision::redirect(Translation::to(target, rule))
}

/// [`Decision::PASS`] if the packet's connection came through `from`, or nobody knows better: it is not
/// netfilter's, and no direct connection or one of another wire port, whose replies must not change.
#[inline(always)]
pub fn is_free<S: State>(
    state: &S,
    key: &FlowKey,
    from: Port,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let owner = owner(state, key);
    if owner == Owner::of(from, NO_PORT) {
        return Decision::PASS;
    }
    let is_anothers = owner.is_known()
        || owner == Owner::UNKNOWN && !state.accepts(key, sequence, acknowledgment);
    if is_anothers {
        return Decision::skip(Skip::Collision);
    }
    if state.may_be_netfilters() {
        return Decision::skip(Skip::Established);
    }
    Decision::PASS
}
