//! Flows from a wire port that no client began: this host's own datagrams, and what it forwards. They have no rule.

use crate::{
    State, Table,
    abi::{Flow, FlowKey, NO_PORT, Port, Protocol, TICK, UDP_IDLE, UDP_REFRESH},
    track,
};

/// Records that this host itself began a flow from a wire port, or goes on with it; `target` is that of the rule.
/// A TCP socket tells that itself. What is forwarded has none here, and takes no room from what is real: a
/// container's, be it masqueraded or on a bridge; nor does what only another interface's rule could redirect.
#[inline(never)]
pub fn note<S: State>(state: &mut S, key: &mut FlowKey, target: Port) {
    let table = if state.is_sent_here() && target != NO_PORT {
        Table::Answered
    } else {
        Table::Pending
    };
    let now = state.now();
    if let Some(flow) = state.flow(table, key).filter(Flow::is_outgoing) {
        track::refresh(state, table, key, &flow, now);
        return;
    }
    if key.protocol == Protocol::UDP {
        track::end_at(state, key, target);
    }
    let flow = Flow {
        opening: (now >> TICK) as u32,
        ..Flow::default()
    };
    if table == Table::Pending {
        state.note_forwarded();
    }
    state.insert_flow(table, key, &flow);
}

/// Whether this host itself began the UDP flow, and either side has spoken lately; the key's local port is the
/// wire port. The packet is one of that flow then.
#[inline(never)]
pub fn is_own<S: State>(state: &mut S, key: &FlowKey) -> bool {
    is_noted(state, Table::Answered, key)
}

/// The same of a flow that this host forwarded, be it TCP.
#[inline(never)]
pub fn is_forwarded<S: State>(state: &mut S, key: &FlowKey) -> bool {
    state.has_forwarded() && is_noted(state, Table::Pending, key)
}

#[inline(always)]
fn is_noted<S: State>(state: &mut S, table: Table, key: &FlowKey) -> bool {
    let flow = state.flow(table, key);
    let Some(flow) = flow.filter(Flow::is_outgoing) else {
        return false;
    };
    let now = state.now();
    // What is noted may be that much older than the last packet. TCP has an end.
    if key.protocol == Protocol::UDP && flow.idle(now) > UDP_IDLE + UDP_REFRESH {
        state.remove_flow(table, key);
        return false;
    }
    track::refresh(state, table, key, &flow, now);
    true
}

/// What this host forwarded from the wire port is over, as a client has its tuple.
#[inline(always)]
pub fn forget_forwarded<S: State>(state: &mut S, key: &FlowKey) {
    if state.has_forwarded() {
        forget_noted(state, key);
    }
}

#[inline(never)]
fn forget_noted<S: State>(state: &mut S, key: &FlowKey) {
    let flow = state.flow(Table::Pending, key);
    if flow.as_ref().is_some_and(Flow::is_outgoing) {
        state.remove_flow(Table::Pending, key);
    }
}
