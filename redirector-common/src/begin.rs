//! Flows that begin, or resume. This runs once a connection or less, so it is kept out of the path of
//! every packet.

use crate::{
    Peer, Skip, State, Table,
    abi::{Flow, FlowKey, NO_PORT, NO_RULE, PORT_CHANGED, PORT_SOURCE, Port, Protocol},
    decision::Decision,
    earlier, moved, resume,
    track::{self, Translation},
};

/// A client's packet that no flow explains, and the rule that it falls under. Whole words, because it
/// crosses from one BPF function to another in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Arrival {
    /// With the port in it that the packet came to.
    pub key: FlowKey,
    /// TCP's numbers in host byte order; 0 for UDP.
    pub sequence: u32,
    pub acknowledgment: u32,
    /// The rule's number.
    pub rule: u32,
    /// Whether it is a SYN.
    pub is_opening: u32,
    /// The rule's target, or [`NO_PORT`].
    pub target: Port,
    /// What the port means, `PORT_*`.
    pub port: u16,
    pub reserved: u32,
}

/// What to do with it.
#[inline(always)]
pub fn decide<S: State>(state: &mut S, arrival: &mut Arrival) -> Decision {
    if arrival.key.protocol == Protocol::UDP {
        return datagram(state, arrival);
    }
    if arrival.is_opening != 0 {
        return syn(state, arrival);
    }
    let (sequence, acknowledgment) = (arrival.sequence, arrival.acknowledgment);
    if state.has_moved() {
        let decision = moved::translate(state, &mut arrival.key, sequence, acknowledgment);
        if decision != Decision::PASS {
            return decision;
        }
    }
    if arrival.port & PORT_SOURCE == 0 {
        return Decision::PASS;
    }
    if arrival.port & PORT_CHANGED != 0 {
        let decision = earlier_target(state, &mut arrival.key, sequence, acknowledgment);
        if decision != Decision::PASS {
            return decision;
        }
    }
    resume::resume(state, arrival)
}

#[inline(always)]
fn syn<S: State>(state: &mut S, arrival: &mut Arrival) -> Decision {
    let Arrival { rule, sequence, .. } = *arrival;
    let key = &mut arrival.key;
    if state.has_moved() {
        let decision = moved::repeat(state, key, sequence);
        if decision != Decision::PASS {
            return decision;
        }
    }
    if arrival.port & PORT_SOURCE == 0 {
        let decision = direct(state, key, sequence);
        if !decision.is(Skip::Collision) {
            return decision;
        }
        let target = key.local_port;
        return moved::open(state, key, target, NO_RULE, sequence);
    }
    if arrival.port & PORT_CHANGED != 0 {
        let decision = open_earlier(state, key);
        if decision != Decision::PASS {
            return decision;
        }
    }
    let decision = open(state, key, arrival.target, rule, sequence);
    if !decision.is(Skip::Collision) {
        return decision;
    }
    moved::open(state, key, arrival.target, rule, sequence)
}

/// A new connection straight to a target port: what went through a wire port with the same client port
/// is over. [`Skip::Collision`] where it is not over.
#[inline(never)]
fn direct<S: State>(state: &mut S, key: &mut FlowKey, sequence: u32) -> Decision {
    if track::was_begun_by(state, key, sequence) || !state.is_local(key) {
        // Another host's, or the interface below this one has rewritten it.
        return Decision::PASS;
    }
    let target = key.local_port;
    if moved::is_taken(state, key, target, NO_PORT) {
        return Decision::skip(Skip::Collision);
    }
    moved::forget(state, key);
    if !is_connected(state, key) {
        track::forget(state, Table::Answered, key);
        let flow = Flow::opened_by_syn(target, NO_RULE, sequence);
        track::begin(state, key, flow);
    }
    Decision::PASS
}

/// A SYN: a new connection under the rules in force, or a repetition within a live one.
/// [`Skip::Collision`] where another connection has the tuple.
#[inline(never)]
fn open<S: State>(
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
    let flow = if is_connected(state, key) {
        Flow::repeated_by_syn(from, rule, sequence)
    } else {
        track::forget(state, Table::Answered, key);
        Flow::opened_by_syn(from, rule, sequence)
    };
    track::begin(state, key, flow);
    Decision::redirect(Translation::to(target, rule))
}

#[inline(always)]
fn is_connected<S: State>(state: &S, key: &FlowKey) -> bool {
    matches!(state.peer(key), Peer::Connected { .. })
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
fn open_earlier<S: State>(state: &mut S, key: &mut FlowKey) -> Decision {
    let from = key.local_port;
    let decision = earlier::find(state, key, |state, key, to| {
        if let Peer::Connected { origin } = state.peer(key)
            && track::is_ours(state, key, origin, from, NO_PORT)
        {
            return Some(Decision::redirect(to));
        }
        for table in [Table::Answered, Table::Pending] {
            // Another wire port may lead there too.
            if state.flow(table, key).is_some_and(|flow| flow.from == from) {
                state.remove_flow(table, key);
            }
        }
        None
    });
    decision.unwrap_or(Decision::PASS)
}

/// A flow keeps the target it began with: the earlier target that knows it, or has its socket.
/// [`Decision::PASS`] where none does.
#[inline(never)]
fn earlier_target<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let from = key.local_port;
    let decision = earlier::find(state, key, |state, key, to| {
        if let Some(known) = track::known(state, acknowledgment, key, from, NO_PORT) {
            return Some(Decision::redirect(known));
        }
        if key.protocol == Protocol::TCP
            && resume::is_its_connection(state, key, from, sequence, acknowledgment)
        {
            track::begin(state, key, Flow::resumed(from, to.rule));
            return Some(Decision::redirect(to));
        }
        None
    });
    decision.unwrap_or(Decision::PASS)
}

#[inline(never)]
fn datagram<S: State>(state: &mut S, arrival: &mut Arrival) -> Decision {
    let key = &mut arrival.key;
    if arrival.port & PORT_SOURCE == 0 {
        // Straight to the target, and so the replies leave from there.
        track::forget(state, Table::Answered, key);
        track::forget(state, Table::Pending, key);
        return Decision::PASS;
    }
    if arrival.port & PORT_CHANGED != 0 {
        let decision = earlier_target(state, key, 0, 0);
        if decision != Decision::PASS {
            return decision;
        }
    }
    if arrival.target == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    let from = key.local_port;
    key.local_port = arrival.target;
    // Another wire port may lead here too; the latest one is answered.
    track::forget(state, Table::Answered, key);
    track::begin(state, key, Flow::opened(from, arrival.rule));
    Decision::redirect(Translation::to(arrival.target, arrival.rule))
}
