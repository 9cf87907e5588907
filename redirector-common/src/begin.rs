//! Flows that begin, or resume. This runs once a connection or less, so it is kept out of the path of
//! every packet. The key that these functions take has the port in it that the packet came to.

use crate::{
    Peer, Skip, State, Table,
    abi::{EARLIER_TARGETS, EarlierTarget, Flow, FlowKey, NO_PORT, Port, Protocol},
    decision::Decision,
    moved,
    track::{self, Translation},
};

/// The first packet of something straight to a target port: what went through a wire port with the
/// same client port is over, and the replies keep this port. [`Skip::Collision`] where it is not over.
#[inline(never)]
pub fn direct<S: State>(state: &mut S, key: &mut FlowKey, sequence: u32) -> Decision {
    if key.protocol == Protocol::TCP {
        if track::was_begun_by(state, key, sequence) {
            // The interface below this one has rewritten it.
            return Decision::PASS;
        }
        let is_taken = match state.peer(key) {
            Peer::Connected { origin } => origin.is_some() || track::flow(state, key).is_some(),
            Peer::Handshake | Peer::TimeWait => track::flow(state, key).is_some(),
            Peer::None => false,
        };
        if is_taken {
            return Decision::skip(Skip::Collision);
        }
        moved::forget(state, key);
    }
    track::forget(state, Table::Answered, key);
    track::forget(state, Table::Pending, key);
    Decision::PASS
}

/// A SYN: a new connection under the rules in force, or a repetition within a live one.
/// [`Skip::Collision`] where another connection has the tuple.
#[inline(never)]
pub fn open<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    target: Port,
    rule: u32,
    sequence: u32,
) -> Decision {
    if target == NO_PORT {
        return Decision::PASS;
    }
    if track::was_begun_by(state, key, sequence) {
        // Its target is another rule's source, and the interface below this one has rewritten it.
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    if is_established(state, key) {
        return Decision::skip(Skip::Established);
    }
    let from = key.local_port;
    key.local_port = target;
    let is_taken = moved::is_taken(state, key, from, NO_PORT);
    key.local_port = from;
    if is_taken {
        return Decision::skip(Skip::Collision);
    }
    moved::forget(state, key);
    key.local_port = target;
    let flow = if let Peer::Connected { .. } = state.peer(key) {
        Flow::repeated_by_syn(from, rule, sequence)
    } else {
        track::forget(state, Table::Answered, key);
        Flow::opened_by_syn(from, rule, sequence)
    };
    track::begin(state, key, flow);
    Decision::redirect(Translation::to(target, rule))
}

/// Whether the wire port itself has the connection: one that was redirected to it, by a rule whose
/// target is this one's wire port, is none of its own.
#[inline(always)]
fn is_established<S: State>(state: &S, key: &FlowKey) -> bool {
    match state.peer(key) {
        Peer::Connected { origin } => origin.is_none() && track::flow(state, key).is_none(),
        _ => false,
    }
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
            && track::is_ours(state, key, origin, from, NO_PORT)
        {
            return Decision::redirect(Translation::to(target, rule));
        }
        for table in [Table::Answered, Table::Pending] {
            // Another wire port may lead there too.
            if state.flow(table, key).is_some_and(|flow| flow.from == from) {
                state.remove_flow(table, key);
            }
        }
    }
    key.local_port = from;
    Decision::PASS
}

/// A flow keeps the target it began with: the earlier target that knows it, or has its socket.
/// [`Decision::PASS`] where none does.
#[inline(never)]
pub fn earlier_target<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let from = key.local_port;
    for age in 0..EARLIER_TARGETS {
        let Some(EarlierTarget { target, rule, .. }) = state.earlier(key.protocol, from, age)
        else {
            break;
        };
        key.local_port = target;
        if let Some(known) = track::known(state, acknowledgment, key, from, NO_PORT) {
            return Decision::redirect(known);
        }
        if key.protocol == Protocol::TCP
            && let Peer::Connected { .. } = state.peer(key)
            && state.accepts(key, sequence, acknowledgment)
        {
            track::begin(state, key, Flow::resumed(from, rule));
            return Decision::redirect(Translation::to(target, rule));
        }
    }
    key.local_port = from;
    Decision::PASS
}

/// TCP past its SYN, of a flow that no table knows: evicted, from before the load, or not ours.
#[inline(never)]
pub fn resume<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    to: Decision,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let Ok(Some(Translation {
        local: target,
        rule,
        ..
    })) = to.into_result()
    else {
        return Decision::PASS;
    };
    if target == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    // Also one that was redirected to this port, which is another rule's target, below this interface.
    if state.peer(key) != Peer::None {
        return Decision::skip(Skip::Established);
    }
    let from = key.local_port;
    key.local_port = target;
    if let Peer::Connected { origin } = state.peer(key) {
        let is_another = match origin {
            Some(origin) => origin.from != from || origin.client != NO_PORT,
            None => !state.accepts(key, sequence, acknowledgment),
        };
        if is_another {
            // A direct connection, or one of another wire port, whose replies must not change.
            return Decision::skip(Skip::Collision);
        }
    }
    track::begin(state, key, Flow::resumed(from, rule));
    Decision::redirect(Translation::to(target, rule))
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
    Decision::redirect(Translation::to(target, rule))
}
