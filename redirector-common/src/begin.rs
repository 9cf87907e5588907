//! Flows that begin, or resume. This runs once a connection or less, so it is kept out of the path of
//! every packet. The key that these functions take has the port in it that the packet came to.

use crate::{
    Peer, Skip, State, Table,
    abi::{EARLIER_TARGETS, EarlierTarget, Flow, FlowKey, NO_PORT, Port, Protocol},
    decision::Decision,
    track::{self, Translation},
};

/// The first packet of something straight to a target port: what went through a wire port with the
/// same client port is over, and the replies keep this port.
#[inline(never)]
pub fn direct<S: State>(state: &mut S, key: &FlowKey, sequence: u32) -> Decision {
    if key.protocol == Protocol::TCP {
        if track::was_begun_by(state, key, sequence) {
            // The interface below this one has rewritten it.
            return Decision::PASS;
        }
        if let Peer::Connected { origin } = state.peer(key)
            && (origin.is_some() || track::is_tracked(state, key))
        {
            return Decision::skip(Skip::Collision);
        }
    }
    track::forget(state, Table::Answered, key);
    track::forget(state, Table::Pending, key);
    Decision::PASS
}

/// A SYN: a new connection under the rules in force, or a repetition within a live one.
#[inline(never)]
pub fn open<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    to: Translation,
    sequence: u32,
) -> Decision {
    if to.port == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    if let Peer::Connected { .. } = state.peer(key) {
        return Decision::skip(Skip::Established);
    }
    let from = key.local_port;
    key.local_port = to.port;
    if let Peer::Connected { origin } = state.peer(key) {
        if !track::is_ours(state, key, origin, from) {
            // Passed on unchanged it reaches the wire port, where nothing listens: a RST at once.
            return Decision::skip(Skip::Collision);
        }
    } else {
        track::forget(state, Table::Answered, key);
        track::begin(state, key, Flow::opened_by_syn(from, to.rule, sequence));
    }
    Decision::redirect(to)
}

/// A SYN to a port whose rules were changed: a repetition within a connection to an earlier target
/// goes there, and what else is known of the tuple there is over.
#[inline(never)]
pub fn open_earlier<S: State>(state: &mut S, key: &mut FlowKey) -> Decision {
    let from = key.local_port;
    for age in 0..EARLIER_TARGETS {
        let Some(EarlierTarget { target, rule, .. }) = state.earlier(key.protocol, from, age)
        else {
            break;
        };
        key.local_port = target;
        if let Peer::Connected { origin } = state.peer(key)
            && track::is_ours(state, key, origin, from)
        {
            return Decision::redirect(Translation { port: target, rule });
        }
        track::forget(state, Table::Answered, key);
        track::forget(state, Table::Pending, key);
    }
    key.local_port = from;
    Decision::PASS
}

/// A flow keeps the target it began with: the earlier target that knows it, or has its socket.
/// [`Decision::PASS`] where none does.
#[inline(never)]
pub fn earlier_target<S: State>(state: &mut S, key: &mut FlowKey, acknowledgment: u32) -> Decision {
    let from = key.local_port;
    for age in 0..EARLIER_TARGETS {
        let Some(EarlierTarget { target, rule, .. }) = state.earlier(key.protocol, from, age)
        else {
            break;
        };
        key.local_port = target;
        if let Some(known) = track::known(state, acknowledgment, key, from) {
            return Decision::redirect(known);
        }
        if key.protocol == Protocol::TCP
            && let Peer::Connected { .. } = state.peer(key)
        {
            track::begin(state, key, Flow::resumed(from, rule));
            return Decision::redirect(Translation { port: target, rule });
        }
    }
    key.local_port = from;
    Decision::PASS
}

/// TCP past its SYN, of a flow that no table knows: evicted, from before the load, or not ours.
#[inline(never)]
pub fn resume<S: State>(state: &mut S, key: &mut FlowKey, target: Port, rule: u32) -> Decision {
    if target == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    if state.peer(key) != Peer::None {
        return Decision::skip(Skip::Established);
    }
    let from = key.local_port;
    key.local_port = target;
    track::begin(state, key, Flow::resumed(from, rule));
    Decision::redirect(Translation { port: target, rule })
}

/// A datagram of a flow that no table knows.
#[inline(never)]
pub fn begin_udp<S: State>(state: &mut S, key: &mut FlowKey, target: Port, rule: u32) -> Decision {
    if target == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    let from = key.local_port;
    key.local_port = target;
    // Another wire port may lead here too; the latest one is answered.
    track::forget(state, Table::Answered, key);
    track::begin(state, key, Flow::opened(from, rule));
    Decision::redirect(Translation { port: target, rule })
}
