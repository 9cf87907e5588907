use crate::{
    Direction, Packet, Segment, Skip, State, Traced,
    abi::{
        NO_PORT, NO_RULE, PORT_CHANGED, PORT_LINKED, PORT_SOURCE, PORT_TARGET, Port, PortEntry,
        Protocol,
    },
    answer,
    begin::Arrival,
    decision::Decision,
    icmp, outgoing, parse, recent, rewrite, rules,
    track::{self, Translation},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not for us.
    Unrelated,
    /// A connection straight to a target whose client port was moved has
    /// [`NO_RULE`](crate::abi::NO_RULE).
    Redirected { rule: u32 },
}

/// Takes one packet through the whole path. Its bytes change only if the verdict is
/// [`Verdict::Redirected`]: the port of this host's end, the client's if that was moved, and one
/// checksum. In an ICMP error the ports are those of the packet it quotes.
#[inline(always)]
pub fn redirect<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    direction: Direction,
) -> Result<Verdict, Skip> {
    Ok(match cross(packet, state, direction).into_result()? {
        Some(to) => Verdict::Redirected { rule: to.rule },
        None => Verdict::Unrelated,
    })
}

/// The same, in a register.
#[inline(always)]
pub fn cross<P: Packet, S: State>(packet: &mut P, state: &mut S, direction: Direction) -> Decision {
    if let Some(plain) = parse::glance(packet) {
        let entry = state.port(plain.protocol, plain.port(direction));
        let Some(entry) = entry.filter(|entry| entry.flags != 0) else {
            return Decision::PASS;
        };
        if let Some(done) = recent::cross(packet, state, direction, &plain, entry) {
            return done;
        }
    }
    let mut segment = Segment::default();
    let done = Decision::from_result(carry(packet, state, direction, &mut segment));
    // One state for the verifier from here on.
    let done = Decision::from_register(state.opaque(done.to_register()));
    if state.is_traced() && done != Decision::PASS {
        tell(state, direction, &segment, done);
    }
    done
}

/// What it was rewritten to; `None` if it is not for us.
#[inline(always)]
fn carry<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    direction: Direction,
    segment: &mut Segment,
) -> Result<Option<Translation>, Skip> {
    match parse::locate(packet, segment) {
        parse::NOTHING => return Ok(None),
        parse::SEGMENT => {}
        parse::MESSAGE => {
            if !S::DECIDES {
                return Ok(None);
            }
            let to = icmp::translate(packet, state, segment, direction)?;
            if let Some(to) = to {
                state.count_error(to.rule, direction);
            }
            return Ok(to);
        }
        skip => return Err(Skip::from_discriminant(skip - parse::SKIP)),
    }
    let translation = match direction {
        Direction::Ingress => ingress(packet, state, segment)?,
        Direction::Egress => egress(packet, state, segment)?,
    };
    match translation {
        Some(to) => deliver(packet, state, direction, segment, to),
        None => Ok(None),
    }
}

/// Rewrites a segment, and counts it.
#[inline(always)]
pub fn deliver<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    direction: Direction,
    segment: &Segment,
    to: Translation,
) -> Result<Option<Translation>, Skip> {
    if !packet.claim(segment) {
        return Ok(None);
    }
    packet.set_mark(state.mark());
    rewrite::segment(packet, segment, direction, to)?;
    state.count(to.rule, direction, segment.bytes, segment.flags.resets());
    Ok(Some(to))
}

/// For whoever traces. A reason to leave a packet alone is told by the program that decides.
#[inline(never)]
fn tell<S: State>(state: &mut S, direction: Direction, segment: &Segment, done: Decision) {
    if S::DECIDES || done.skipped().is_none() {
        state.trace(Traced::new(segment, direction, done));
    }
}

/// A packet crosses several interfaces where one is above the other, as a bridge above its ports.
#[inline(always)]
pub fn is_done<P: Packet, S: State>(packet: &P, state: &S) -> bool {
    state.mark() != 0 && packet.mark() == state.mark()
}

#[inline(always)]
fn ingress<P: Packet, S: State>(
    packet: &P,
    state: &mut S,
    segment: &Segment,
) -> Result<Option<Translation>, Skip> {
    let ends = &segment.ends;
    let Some(entry) = state.port(ends.protocol, ends.destination_port) else {
        return Ok(None);
    };
    if is_done(packet, state) {
        return Ok(None);
    }
    let is_source = entry.flags & PORT_SOURCE != 0;
    let is_udp = ends.protocol == Protocol::UDP;
    let is_opening = segment.flags.is_opening();
    let begins = is_opening || is_udp;
    if !is_source && (entry.flags & PORT_TARGET == 0 || !begins && !state.has_moved()) {
        return Ok(None);
    }
    if packet.is_other_host() {
        return Err(Skip::OtherHost);
    }
    let key = track::key(packet, state, ends, Direction::Ingress)?;
    let mut arrival = Arrival::new(key, segment, entry.flags);
    let key = &mut arrival.key;
    if is_source {
        if is_udp && outgoing::is_own(state, key) {
            return Err(Skip::Outgoing);
        }
        let to = rules::target(packet, state, key, entry);
        if !is_opening {
            let from = key.local_port;
            key.local_port = to.local;
            if let Some(flow) = track::known(state, segment.acknowledgment, key, from, NO_PORT) {
                recent::note(state, key, segment, Translation::of(&flow), false);
                return Ok(Some(Translation::to(key.local_port, flow.rule)));
            }
            key.local_port = from;
        }
        arrival.fall_under(to);
    }
    if !S::DECIDES {
        return Ok(None);
    }
    state.decide(&arrival).into_result()
}

#[inline(always)]
fn egress<P: Packet, S: State>(
    packet: &P,
    state: &mut S,
    segment: &Segment,
) -> Result<Option<Translation>, Skip> {
    let ends = &segment.ends;
    let Some(entry) = state.port(ends.protocol, ends.source_port) else {
        return Ok(None);
    };
    if is_done(packet, state) {
        return Ok(None);
    }
    let is_target = entry.flags & PORT_TARGET != 0;
    let is_source = entry.flags & PORT_SOURCE != 0;
    let is_opening = segment.flags.is_opening();
    let may_be_outgoing = is_source && (is_opening || ends.protocol == Protocol::UDP);
    if !is_target && !may_be_outgoing {
        return Ok(None);
    }
    let mut key = track::key(packet, state, ends, Direction::Egress)?;
    if is_opening {
        let to = rules::target(packet, state, &key, entry).local;
        track::end(state, &mut key, to);
        if is_source && !state.is_sent_here() && may_be_answered_elsewhere(entry, to) {
            outgoing::note(state, &mut key, to);
        }
        return Err(Skip::Outgoing);
    }
    if is_target && let Some(to) = answer::answer(state, segment, &mut key) {
        if to == Translation::to(ends.source_port, NO_RULE) {
            return Err(Skip::Direct);
        }
        return Ok(Some(to));
    }
    if may_be_outgoing {
        let to = rules::target(packet, state, &key, entry).local;
        if may_be_answered_elsewhere(entry, to) {
            outgoing::note(state, &mut key, to);
        }
    }
    if is_source {
        return Ok(None);
    }
    Err(Skip::Direct)
}

/// Whether a rule may redirect the answers to what this host sends from its port: the one there is for the
/// interface that it leaves by, or that of the one they come by, or an earlier one.
#[inline(always)]
fn may_be_answered_elsewhere(entry: PortEntry, target: Port) -> bool {
    target != NO_PORT || entry.flags & (PORT_CHANGED | PORT_LINKED) != 0
}
