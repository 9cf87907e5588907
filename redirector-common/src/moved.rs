//! One client port to a wire port and to its target, or to two wire ports of one target, would make
//! one tuple of two connections after the rewrite. The one that comes second appears to the
//! application from another client port, as with netfilter.
//!
//! TCP only. The keys that these functions take have the ports of the wire in them.

use crate::{
    Peer, Skip, State, Table,
    abi::{FLOW_SOCKETLESS, Flow, FlowKey, KEY_FLOW, KEY_MOVED, NO_PORT, Port, TICK},
    decision::Decision,
    owner::{Owner, is_taken, owner},
    track::{self, Translation},
};

/// Ports that are tried for one SYN; a repetition of it tries others.
const CANDIDATES: u32 = 3;

/// Between candidates; a prime, so that neighbouring client ports do not run into each other.
const STEP: u32 = 7919;

/// Where a connection was moved to, in one register, as a BPF function returns it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Marker(u64);

/// The lowest 8 bits. Above them are the target, the port it was moved to, and the rule's number.
const FOUND: u64 = 1;
const PROVEN: u64 = 1 << 1;
const SOCKETLESS: u64 = 1 << 2;

impl Marker {
    const NONE: Self = Self(0);

    #[inline(always)]
    fn of(flow: &Flow, proven: u64) -> Self {
        let socketless = if flow.is_socketless() { SOCKETLESS } else { 0 };
        Self(
            FOUND
                | proven
                | socketless
                | u64::from(flow.from.to_be()) << 8
                | u64::from(flow.client.to_be()) << 24
                | u64::from(flow.rule) << 40,
        )
    }

    #[inline(always)]
    pub const fn is_found(self) -> bool {
        self.0 & FOUND != 0
    }

    /// Whether the connection was answered.
    #[inline(always)]
    const fn is_proven(self) -> bool {
        self.0 & PROVEN != 0
    }

    #[inline(always)]
    const fn is_socketless(self) -> bool {
        self.0 & SOCKETLESS != 0
    }

    #[inline(always)]
    const fn target(self) -> Port {
        Port::from_be((self.0 >> 8) as u16)
    }

    /// Instead of the client's; [`NO_PORT`] where nothing was found.
    #[inline(always)]
    pub const fn port(self) -> Port {
        Port::from_be((self.0 >> 24) as u16)
    }

    #[inline(always)]
    pub const fn to(self) -> Translation {
        Translation {
            local: self.target(),
            remote: self.port(),
            rule: (self.0 >> 40) as u32,
        }
    }
}

/// What the connection of a tuple on the wire was moved to. Without consequences.
#[inline(never)]
pub fn marker<S: State>(state: &S, key: &mut FlowKey) -> Marker {
    if !state.has_moved() {
        return Marker::NONE;
    }
    let proven = marked(state, Table::Moved, key);
    if proven.is_found() {
        return proven;
    }
    marked(state, Table::Pending, key)
}

/// What `table` says of that.
#[inline(never)]
fn marked<S: State>(state: &S, table: Table, key: &mut FlowKey) -> Marker {
    key.kind = state.unbounded(KEY_MOVED.into()) as u32;
    let proven = if table == Table::Moved { PROVEN } else { 0 };
    let marker = state
        .flow(table, key)
        .map_or(Marker::NONE, |flow| Marker::of(&flow, proven));
    key.kind = KEY_FLOW;
    Marker(state.opaque(marker.0))
}

/// Proves a handshake whose answer the client acknowledges: one straight to the key's port, or one of a
/// SYN that was moved. Another connection that had its tuple on the wire is over then.
#[inline(never)]
fn prove<S: State>(state: &mut S, key: &mut FlowKey, acknowledgment: u32) {
    let (from, client) = (key.local_port, key.remote_port);
    let _ = track::known_seldom(state, acknowledgment, key, from, NO_PORT);
    let claim = marked(state, Table::Pending, key);
    if claim.is_found() {
        enter(state, key, claim.target(), claim.port());
        let _ = track::known_seldom(state, acknowledgment, key, from, client);
        enter(state, key, from, client);
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
    let (from, client) = (key.local_port, key.remote_port);
    let again = marker(state, key);
    let mut port = NO_PORT;
    if again.is_found() {
        enter(state, key, target, again.port());
        if !is_taken(state, key, from, client) {
            port = again.port();
        }
        enter(state, key, from, client);
    }
    if port == NO_PORT {
        // What it was moved to before is another's by now, or not over.
        enter(state, key, target, client);
        port = free_port(state, key, from, client);
        if port == NO_PORT {
            return Decision::skip(Skip::Collision);
        }
    }
    enter(state, key, target, port);
    let flow = Flow {
        client,
        ..Flow::opened_by_syn(from, rule, sequence)
    };
    let flow = flow.unbounded(state);
    track::claim(state, key, &flow);
    mark(state, Table::Pending, key, &flow);
    Decision::redirect(Translation {
        local: target,
        remote: port,
        rule,
    })
}

/// A SYN within a live connection that was moved stays with it. [`Decision::PASS`] where there is none.
#[inline(never)]
pub fn repeat<S: State>(state: &mut S, key: &mut FlowKey) -> Decision {
    let marker = marker(state, key);
    if !marker.is_found() {
        return Decision::PASS;
    }
    let (from, client) = (key.local_port, key.remote_port);
    enter(state, key, marker.target(), marker.port());
    let is_live = matches!(state.peer(key), Peer::Connected { .. })
        && owner(state, key) == Owner::of(from, client);
    enter(state, key, from, client);
    if !is_live {
        return Decision::PASS;
    }
    Decision::redirect(marker.to())
}

/// Past the SYN. [`Decision::PASS`] where the connection was not moved, or is over. In line, so that
/// what it calls has the stack.
#[inline(always)]
pub fn translate<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    prove(state, key, acknowledgment);
    let moved = marker(state, key);
    if !moved.is_found() {
        return Decision::PASS;
    }
    let (from, client) = (key.local_port, key.remote_port);
    let (target, port) = (moved.target(), moved.port());
    enter(state, key, target, port);
    let known = track::known_seldom(state, acknowledgment, key, from, client);
    let is_its = if moved.is_proven() {
        let owner = owner(state, key);
        owner == Owner::of(from, client)
            // Its flow was displaced.
            || owner == Owner::NOBODY && moved.is_socketless()
            || owner == Owner::UNKNOWN && state.accepts(key, sequence, acknowledgment)
    } else {
        // A SYN alone, which anybody can send, leads no connection away.
        key.remote_port = client.unbounded(state);
        known != Decision::PASS
            && !(matches!(state.peer(key), Peer::Connected { .. })
                && state.accepts(key, sequence, acknowledgment))
    };
    if is_its && known == Decision::PASS {
        track::resume(state, key, from, client, moved.to().rule);
    }
    enter(state, key, from, client);
    if !is_its {
        return Decision::PASS;
    }
    Decision::redirect(moved.to())
}

/// The application answers a connection that was moved: what its client sends must find it, also if
/// only the socket has not forgotten.
#[inline(never)]
pub fn keep<S: State>(state: &mut S, key: &mut FlowKey, from: Port, client: Port, rule: u32) {
    let (target, port) = (key.local_port, key.remote_port);
    enter(state, key, from, client);
    let is_known = marker(state, key).is_proven();
    enter(state, key, target, port);
    if !is_known {
        let flow = Flow {
            created: (state.now() >> TICK) as u32,
            client,
            ..Flow::resumed(from, rule)
        };
        let flow = flow.unbounded(state);
        state.insert_flow(Table::Answered, key, &flow);
        mark(state, Table::Moved, key, &flow);
    }
}

#[inline(always)]
fn enter<S: State>(state: &S, key: &mut FlowKey, local: Port, remote: Port) {
    key.local_port = local;
    key.remote_port = remote.unbounded(state);
}

/// The client began anew, and its port is its own. What a SYN alone has noted leads nobody away.
#[inline(always)]
pub fn forget<S: State>(state: &mut S, key: &mut FlowKey) {
    if state.has_moved() {
        key.kind = state.unbounded(KEY_MOVED.into()) as u32;
        state.remove_flow(Table::Moved, key);
        key.kind = KEY_FLOW;
    }
}

/// Makes a flow findable from the ports on the wire. The key is the flow's own.
#[inline(never)]
pub fn mark<S: State>(state: &mut S, table: Table, key: &mut FlowKey, flow: &Flow) {
    let marker = Flow {
        client: key.remote_port,
        flags: flow.flags & FLOW_SOCKETLESS,
        ..Flow::resumed(key.local_port, flow.rule)
    };
    let marker = marker.unbounded(state);
    enter(state, key, flow.from, flow.client);
    key.kind = state.unbounded(KEY_MOVED.into()) as u32;
    state.insert_flow(table, key, &marker);
    if table == Table::Moved {
        state.remove_flow(Table::Pending, key);
    }
    key.kind = KEY_FLOW;
    enter(state, key, marker.from, marker.client);
}

/// Another port for the client whose tuple at the key's target is free; a privileged one for a
/// privileged one, as `nf_nat_l4proto_unique_tuple()` in `net/netfilter/nf_nat_core.c` has it. Each
/// wire port tries ports of its own.
#[inline(always)]
fn free_port<S: State>(state: &S, key: &mut FlowKey, from: Port, client: Port) -> Port {
    let (first, count) = if client.get() < 1024 {
        (600, 424)
    } else {
        (1024, 64_512)
    };
    let seconds = (state.now() >> 30) as u32;
    let round = u32::from(from.get()) + seconds % 1024;
    let start = u32::from(client.get()) + round * CANDIDATES * STEP;
    for candidate in 0..CANDIDATES {
        let port = first + (start + (candidate + 1) * STEP) % count;
        key.remote_port = Port::new(port as u16).unbounded(state);
        if owner(state, key) == Owner::NOBODY {
            return key.remote_port;
        }
    }
    NO_PORT
}
