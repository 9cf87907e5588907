//! Flows that begin, or resume. This runs once a connection or less, so it is kept out of the path of
//! every packet.

use crate::{
    Peer, Segment, Skip, State, Table,
    abi::{
        Flow, FlowKey, NO_PORT, NO_RULE, PORT_CHANGED, PORT_SOURCE, PORT_TARGET, Port, Protocol,
    },
    decision::Decision,
    earlier, moved, outgoing,
    owner::{self, Owner},
    resume,
    track::{self, Translation},
};

/// A client's packet that no flow explains, and the rule that it falls under. It crosses from one BPF
/// function to another in memory, so each of its words is written as a whole.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Arrival {
    /// With the port in it that the packet came to.
    pub key: FlowKey,
    /// TCP's sequence and acknowledgment number.
    numbers: u64,
    /// The rule's number, and whether it is a SYN.
    rule: u64,
    /// The rule's target, and what the port means.
    port: u64,
}

const IS_OPENING: u64 = 1 << 32;

impl Arrival {
    /// Under no rule; `port` has `PORT_*` flags.
    #[inline(always)]
    pub fn new(key: FlowKey, segment: &Segment, port: u16) -> Self {
        let is_opening = if segment.flags.is_opening() {
            IS_OPENING
        } else {
            0
        };
        Self {
            key,
            numbers: u64::from(segment.sequence) | u64::from(segment.acknowledgment) << 32,
            rule: u64::from(NO_RULE) | is_opening,
            port: u64::from(port) << 16,
        }
    }

    /// Under this rule, with its target.
    #[inline(always)]
    pub fn fall_under(&mut self, to: Translation) {
        self.rule = self.rule & IS_OPENING | u64::from(to.rule);
        self.port |= u64::from(to.local.to_be());
    }

    /// In host byte order; 0 for UDP.
    #[inline(always)]
    pub fn sequence(&self) -> u32 {
        self.numbers as u32
    }

    /// In host byte order; 0 for UDP.
    #[inline(always)]
    pub fn acknowledgment(&self) -> u32 {
        (self.numbers >> 32) as u32
    }

    /// Whether it is a SYN.
    #[inline(always)]
    pub fn is_opening(&self) -> bool {
        self.rule & IS_OPENING != 0
    }

    /// The rule's number, or [`NO_RULE`].
    #[inline(always)]
    pub fn rule(&self) -> u32 {
        self.rule as u32
    }

    /// The rule's target, or [`NO_PORT`].
    #[inline(always)]
    pub fn target(&self) -> Port {
        Port::from_be(self.port as u16)
    }

    /// Whether the port has this `PORT_*` flag.
    #[inline(always)]
    fn is(&self, flag: u16) -> bool {
        self.port & u64::from(flag) << 16 != 0
    }

    /// Straight to a target that no rule leads on from.
    #[inline(always)]
    fn is_direct(&self) -> bool {
        self.target() == NO_PORT && self.is(PORT_TARGET)
    }
}

/// What to do with it.
#[inline(always)]
pub fn decide<S: State>(state: &mut S, arrival: &Arrival) -> Decision {
    if arrival.is_opening() {
        return syn(state, arrival);
    }
    if state.has_moved() && arrival.key.protocol == Protocol::TCP {
        let decision = moved(state, arrival);
        if decision != Decision::PASS {
            return decision;
        }
    }
    later(state, arrival)
}

/// No SYN, of a connection whose client's port may have been moved. [`Decision::PASS`] if it was not.
#[inline(always)]
pub fn moved<S: State>(state: &mut S, arrival: &Arrival) -> Decision {
    let key = &mut { arrival.key };
    moved::translate(state, key, arrival.sequence(), arrival.acknowledgment())
}

/// No SYN.
#[inline(always)]
pub fn later<S: State>(state: &mut S, arrival: &Arrival) -> Decision {
    // Before Linux 6.2 a map's key may be on a function's own stack, but not on its caller's.
    let key = &mut { arrival.key };
    if key.protocol == Protocol::UDP {
        return datagram(state, key, arrival);
    }
    let (sequence, acknowledgment) = (arrival.sequence(), arrival.acknowledgment());
    if !arrival.is(PORT_SOURCE) {
        return Decision::PASS;
    }
    // A connection with the wire port itself began after the rule had gone, whatever is still known of an
    // earlier one.
    if arrival.is(PORT_CHANGED) && !owner::is_established(state, key) {
        let decision = earlier_target(state, key, sequence, acknowledgment);
        if decision != Decision::PASS {
            return decision;
        }
    }
    resume::resume(state, key, arrival)
}

/// A connection that begins.
#[inline(always)]
pub fn syn<S: State>(state: &mut S, arrival: &Arrival) -> Decision {
    let key = &mut { arrival.key };
    if state.has_moved() {
        let decision = moved::repeat(state, key);
        if decision != Decision::PASS {
            return decision;
        }
    }
    if arrival.is(PORT_CHANGED) {
        let decision = open_earlier(state, key);
        if decision != Decision::PASS {
            return decision;
        }
    }
    let (target, rule) = if arrival.is_direct() {
        (key.local_port, NO_RULE)
    } else {
        (arrival.target(), arrival.rule())
    };
    if target == NO_PORT {
        return Decision::PASS;
    }
    let decision = open(state, key, target, rule, arrival.sequence());
    if !decision.is(Skip::Collision) {
        return decision;
    }
    open_moved(state, key, target, rule, arrival.sequence())
}

/// A SYN: a new connection under the rules in force, or a repetition within a live one; or a direct one,
/// whose target is the port it came to. [`Skip::Collision`] where another connection has the tuple.
#[inline(never)]
fn open<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    target: Port,
    rule: u32,
    sequence: u32,
) -> Decision {
    let from = key.local_port;
    let is_direct = target == from;
    if !state.is_local(key) {
        return if is_direct {
            Decision::PASS
        } else {
            Decision::skip(Skip::NotLocal)
        };
    }
    if !is_direct && owner::is_established(state, key) {
        return Decision::skip(Skip::Established);
    }
    key.local_port = target;
    if owner::is_taken(state, key, from, NO_PORT) {
        key.local_port = from;
        return Decision::skip(Skip::Collision);
    }
    let flow = Flow::opened_by_syn(from, rule, sequence).unbounded(state);
    track::claim(state, key, &flow);
    if is_direct {
        return Decision::PASS;
    }
    Decision::redirect(Translation::to(target, rule))
}

/// A SYN that would meet another connection. The operator hears of it once.
#[inline(always)]
fn open_moved<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    target: Port,
    rule: u32,
    sequence: u32,
) -> Decision {
    let (from, client) = (key.local_port, key.remote_port);
    let before = moved::marker(state, key).port();
    let decision = moved::open(state, key, target, rule, sequence);
    if decision.is(Skip::Collision) && from != target {
        key.remote_port = client.unbounded(state);
        key.local_port = target;
        let decision = open_over(state, key, from, rule, sequence);
        if decision != Decision::PASS {
            return decision;
        }
    }
    let moved_to = match decision.into_result() {
        Ok(Some(to)) => to.remote,
        _ => NO_PORT,
    };
    if moved_to == NO_PORT || before != moved_to {
        key.remote_port = client.unbounded(state);
        key.local_port = target;
        state.note_moved(key, moved_to);
    }
    decision
}

/// A SYN for which no port is free, where the other connection is over: it may take that one's place, as on any
/// port (RFC 6191). [`Decision::PASS`] where it lives.
#[inline(never)]
fn open_over<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    from: Port,
    rule: u32,
    sequence: u32,
) -> Decision {
    if state.peer(key) != Peer::TimeWait {
        return Decision::PASS;
    }
    let flow = Flow::opened_by_syn(from, rule, sequence).unbounded(state);
    track::claim(state, key, &flow);
    Decision::redirect(Translation::to(key.local_port, rule))
}

/// A SYN to a port whose rules were changed: a repetition within a connection to an earlier target
/// goes there.
#[inline(never)]
fn open_earlier<S: State>(state: &mut S, key: &mut FlowKey) -> Decision {
    let from = key.local_port;
    let decision = earlier::find(state, key, |state, key, to| {
        let is_its = matches!(state.peer(key), Peer::Connected { .. })
            && owner::owner(state, key) == Owner::of(from, NO_PORT);
        is_its.then_some(Decision::redirect(to))
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
        let known = track::known_seldom(state, acknowledgment, key, from, NO_PORT);
        if key.protocol == Protocol::UDP {
            return (known != Decision::PASS && !track::is_idle(state, key)).then_some(known);
        }
        // What is left of a connection whose socket has gone leads nobody there.
        if known != Decision::PASS && owner::owner(state, key) == Owner::of(from, NO_PORT) {
            return Some(known);
        }
        if matches!(state.peer(key), Peer::Connected { .. })
            && resume::is_free(state, key, from, sequence, acknowledgment) == Decision::PASS
        {
            track::resume(state, key, from, NO_PORT, to.rule);
            return Some(Decision::redirect(to));
        }
        None
    });
    decision.unwrap_or(Decision::PASS)
}

#[inline(always)]
fn datagram<S: State>(state: &mut S, key: &mut FlowKey, arrival: &Arrival) -> Decision {
    if arrival.is_direct() {
        // The replies leave from there.
        track::forget(state, Table::Answered, key);
        track::forget(state, Table::Pending, key);
        return Decision::PASS;
    }
    if outgoing::is_forwarded(state, key) {
        return Decision::skip(Skip::Outgoing);
    }
    if arrival.is(PORT_CHANGED) {
        let decision = earlier_target(state, key, 0, 0);
        if decision != Decision::PASS {
            return decision;
        }
    }
    if arrival.target() == NO_PORT {
        return Decision::PASS;
    }
    if !state.is_local(key) {
        return Decision::skip(Skip::NotLocal);
    }
    let from = key.local_port;
    key.local_port = arrival.target();
    // Another wire port may lead here too; the latest one is answered.
    track::forget(state, Table::Answered, key);
    let flow = Flow::opened(from, arrival.rule()).unbounded(state);
    track::begin(state, key, flow);
    Decision::redirect(Translation::to(arrival.target(), arrival.rule()))
}
