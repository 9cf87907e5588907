//! One client port to a wire port and to its target, or to two wire ports of one target, would make
//! one tuple of two connections after the rewrite. The one that comes second appears to the
//! application from another client port, as with netfilter.
//!
//! TCP only. The keys that these functions take have the ports of the wire in them.

use crate::{
    Peer, Skip, State, Table,
    abi::{FLOW_SOCKETLESS, Flow, FlowKey, KEY_FLOW, KEY_MOVED, NO_PORT, Port},
    decision::Decision,
    track::{self, Translation},
};

/// Ports that are tried for one SYN; a repetition of it tries others.
const CANDIDATES: u32 = 3;

/// Between candidates; a prime, so that neighbouring client ports do not run into each other.
const STEP: u32 = 7919;

/// Whether a SYN to wire port `from` would meet another connection; the key's local port is the
/// target. `client` is the client's port on the wire where the key has another, else [`NO_PORT`].
///
/// Who has a tuple that no table knows? A SYN that goes straight to the target belongs to whoever it is,
/// and one to a wire port to a handshake only: that is its own, of which a flood has displaced the flow.
#[inline(always)]
pub fn is_taken<S: State>(state: &S, key: &FlowKey, from: Port, client: Port) -> bool {
    let owner = track::flow(state, key);
    let is_anothers = owner.is_some_and(|owner| !owner.is_of(from, client));
    let is_nobodys = owner.is_none() && from != key.local_port;
    match state.peer(key) {
        Peer::Connected {
            origin: Some(origin),
        } => origin.from != from || origin.client != client,
        // A TIME_WAIT of another port knows other sequence numbers and timestamps.
        Peer::Connected { origin: None } | Peer::TimeWait => is_anothers || is_nobodys,
        Peer::Handshake => is_anothers,
        // Behind a container's DNAT, or under SYN cookies, no socket here tells.
        Peer::None => is_anothers && owner.is_some_and(|owner| owner.flags & FLOW_SOCKETLESS != 0),
    }
}

/// A SYN whose tuple at the target is taken, or a repetition of it before it is answered.
#[inline(never)]
pub fn open<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    target: Port,
    rule: u32,
    sequence: u32,
) -> Decision {
    let from = key.local_port;
    let client = key.remote_port;
    let again = look_up(state, key).filter(|marker| marker.from == target);
    key.local_port = target;
    let mut port = NO_PORT;
    if let Some(marker) = again {
        key.remote_port = marker.client;
        if !is_taken(state, key, from, client) {
            port = marker.client;
        }
    }
    if port == NO_PORT {
        port = free_port(state, key, client);
        key.remote_port = client;
        state.note_moved(key, port);
        if port == NO_PORT {
            return Decision::skip(Skip::Collision);
        }
    }
    key.remote_port = port;
    track::forget(state, Table::Answered, key);
    let flow = Flow {
        client,
        ..Flow::opened_by_syn(from, rule, sequence)
    };
    track::begin(state, key, flow);
    mark(state, Table::Pending, key, &flow);
    Decision::redirect(Translation {
        local: target,
        remote: port,
        rule,
    })
}

/// A SYN within a live connection that was moved stays with it. [`Decision::PASS`] where there is none.
#[inline(never)]
pub fn repeat<S: State>(state: &mut S, key: &mut FlowKey, sequence: u32) -> Decision {
    let Some(marker) = look_up(state, key) else {
        return Decision::PASS;
    };
    let from = key.local_port;
    let client = key.remote_port;
    key.local_port = marker.from;
    key.remote_port = marker.client;
    let is_live = match state.peer(key) {
        Peer::Connected { origin } => track::is_ours(state, key, origin, from, client),
        _ => false,
    };
    if is_live {
        let flow = Flow {
            client,
            ..Flow::repeated_by_syn(from, marker.rule, sequence)
        };
        track::begin(state, key, flow);
    }
    key.local_port = from;
    key.remote_port = client;
    if !is_live {
        return Decision::PASS;
    }
    Decision::redirect(Translation::of(&marker))
}

/// Past the SYN. [`Decision::PASS`] where the connection was not moved.
#[inline(never)]
pub fn translate<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let Some(marker) = look_up(state, key) else {
        return Decision::PASS;
    };
    let from = key.local_port;
    let client = key.remote_port;
    key.local_port = marker.from;
    key.remote_port = marker.client;
    let is_known = track::known(state, acknowledgment, key, from, client).is_some();
    key.local_port = from;
    key.remote_port = client;
    if !is_proven(state, key) {
        key.local_port = marker.from;
        let is_anothers = matches!(state.peer(key), Peer::Connected { .. })
            && state.accepts(key, sequence, acknowledgment);
        key.local_port = from;
        if is_anothers {
            // A SYN alone, which anybody can send, leads no connection away.
            return Decision::PASS;
        }
    }
    if !is_known {
        let flow = Flow {
            client,
            ..Flow::resumed(from, marker.rule)
        };
        key.local_port = marker.from;
        key.remote_port = marker.client;
        track::begin(state, key, flow);
        key.local_port = from;
        key.remote_port = client;
    }
    Decision::redirect(Translation::of(&marker))
}

/// The application answers a connection that was moved: what its client sends must find it, also if
/// only the socket has not forgotten.
#[inline(never)]
pub fn keep<S: State>(state: &mut S, key: &mut FlowKey, from: Port, client: Port, rule: u32) {
    let target = key.local_port;
    let port = key.remote_port;
    key.local_port = from;
    key.remote_port = client;
    let is_known = is_proven(state, key);
    key.local_port = target;
    key.remote_port = port;
    if !is_known {
        let flow = Flow {
            created: state.now(),
            client,
            ..Flow::resumed(from, rule)
        };
        state.insert_flow(Table::Answered, key, &flow);
        mark(state, Table::Moved, key, &flow);
    }
}

/// Whether the connection that was moved was answered.
#[inline(always)]
fn is_proven<S: State>(state: &S, key: &mut FlowKey) -> bool {
    key.kind = KEY_MOVED;
    let is_proven = state.flow(Table::Moved, key).is_some();
    key.kind = KEY_FLOW;
    is_proven
}

/// What a connection was moved to. Without consequences.
#[inline(always)]
pub fn look_up<S: State>(state: &S, key: &mut FlowKey) -> Option<Flow> {
    if !state.has_moved() {
        return None;
    }
    key.kind = KEY_MOVED;
    let marker = state
        .flow(Table::Moved, key)
        .or_else(|| state.flow(Table::Pending, key));
    key.kind = KEY_FLOW;
    marker
}

/// The client begins anew, and its port is its own.
#[inline(always)]
pub fn forget<S: State>(state: &mut S, key: &mut FlowKey) {
    if state.has_moved() {
        key.kind = KEY_MOVED;
        track::forget(state, Table::Moved, key);
        track::forget(state, Table::Pending, key);
        key.kind = KEY_FLOW;
    }
}

/// Makes a flow findable from the ports on the wire. The key is the flow's own.
#[inline(always)]
pub fn mark<S: State>(state: &mut S, table: Table, key: &mut FlowKey, flow: &Flow) {
    let marker = Flow {
        client: key.remote_port,
        ..Flow::resumed(key.local_port, flow.rule)
    };
    key.local_port = flow.from;
    key.remote_port = flow.client;
    key.kind = KEY_MOVED;
    state.insert_flow(table, key, &marker);
    key.local_port = marker.from;
    key.remote_port = marker.client;
    key.kind = KEY_FLOW;
}

/// Another port for the client whose tuple at the key's target is free; a privileged one for a
/// privileged one, as `nf_nat_l4proto_unique_tuple()` in `net/netfilter/nf_nat_core.c` has it.
#[inline(always)]
fn free_port<S: State>(state: &S, key: &mut FlowKey, client: Port) -> Port {
    let (first, count) = if client.get() < 1024 {
        (600, 424)
    } else {
        (1024, 64_512)
    };
    let seconds = (state.now() >> 30) as u32;
    let start = u32::from(client.get()) + seconds % 1024 * CANDIDATES * STEP;
    for candidate in 0..CANDIDATES {
        let port = first + (start + (candidate + 1) * STEP) % count;
        key.remote_port = Port::new(port as u16);
        if state.peer(key) == Peer::None && track::flow(state, key).is_none() {
            return key.remote_port;
        }
    }
    NO_PORT
}
