use crate::{
    Checksum, Direction, Packet, Segment, Skip, State,
    abi::{
        ANY_ADDRESS, FlowKey, PORT_CHANGED, PORT_SCOPED, PORT_SOURCE, PORT_TARGET, Port, PortEntry,
        Protocol, RuleKey,
    },
    begin,
    decision::Decision,
    headers::{Tcp, Udp},
    parse,
    track::{self, Translation},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not for us.
    Unrelated,
    Redirected {
        rule: u32,
    },
}

/// Takes one packet through the whole path. Its bytes change only in one port and the checksum
/// over it, and only if the verdict is [`Verdict::Redirected`].
#[inline(always)]
pub fn redirect<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    direction: Direction,
) -> Result<Verdict, Skip> {
    let Some(segment) = parse(packet)? else {
        return Ok(Verdict::Unrelated);
    };
    let translation = match direction {
        Direction::Ingress => ingress(packet, state, &segment)?,
        Direction::Egress => egress(packet, state, &segment)?,
    };
    let Some(Translation { port, rule }) = translation else {
        return Ok(Verdict::Unrelated);
    };
    rewrite(packet, &segment, direction, port)?;
    state.count(rule, direction, segment.bytes);
    Ok(Verdict::Redirected { rule })
}

#[inline(always)]
fn ingress<P: Packet, S: State>(
    packet: &P,
    state: &mut S,
    segment: &Segment,
) -> Result<Option<Translation>, Skip> {
    let Some(entry) = state.port(segment.protocol, segment.destination_port) else {
        return Ok(None);
    };
    let is_source = entry.flags & PORT_SOURCE != 0;
    let begins = segment.flags.is_opening() || segment.protocol == Protocol::UDP;
    if !is_source && (entry.flags & PORT_TARGET == 0 || !begins) {
        return Ok(None);
    }
    if packet.is_other_host() {
        return Err(Skip::OtherHost);
    }
    let mut key = track::key(packet, state, segment, Direction::Ingress)?;
    let from = key.local_port;
    let Translation { port, rule } = rule_for(packet, state, &key, entry);
    if !is_source || segment.flags.is_opening() {
        let earlier = if is_source && entry.flags & PORT_CHANGED != 0 {
            begin::open_earlier(state, &mut key)
        } else {
            Decision::PASS
        };
        let decision = if earlier != Decision::PASS {
            earlier
        } else if is_source {
            begin::open(
                state,
                &mut key,
                Translation { port, rule },
                segment.sequence,
            )
        } else {
            begin::direct(state, &key, segment.sequence)
        };
        if decision.is(Skip::Collision) {
            state.report_collision(&key);
        }
        return decision.into_result();
    }
    if segment.protocol == Protocol::UDP && track::is_outgoing(state, &key) {
        return Err(Skip::Outgoing);
    }
    key.local_port = port;
    if let Some(known) = track::known(state, segment.acknowledgment, &key, from) {
        return Ok(Some(known));
    }
    key.local_port = from;
    if entry.flags & PORT_CHANGED != 0 {
        let decision = begin::earlier_target(state, &mut key, segment.acknowledgment);
        if decision != Decision::PASS {
            return decision.into_result();
        }
    }
    let decision = if segment.protocol == Protocol::TCP {
        begin::resume(state, &mut key, port, rule)
    } else {
        begin::begin_udp(state, &mut key, port, rule)
    };
    decision.into_result()
}

#[inline(always)]
fn egress<P: Packet, S: State>(
    packet: &P,
    state: &mut S,
    segment: &Segment,
) -> Result<Option<Translation>, Skip> {
    let Some(entry) = state.port(segment.protocol, segment.source_port) else {
        return Ok(None);
    };
    let is_target = entry.flags & PORT_TARGET != 0;
    let is_source = entry.flags & PORT_SOURCE != 0;
    let may_be_outgoing = is_source && segment.protocol == Protocol::UDP;
    if !is_target && !may_be_outgoing {
        return Ok(None);
    }
    let key = track::key(packet, state, segment, Direction::Egress)?;
    if is_target && let Some(translation) = track::answer(state, segment, &key) {
        return Ok(Some(translation));
    }
    if may_be_outgoing {
        track::note_outgoing(state, &key);
    }
    if is_source {
        return Ok(None);
    }
    Err(Skip::Direct)
}

/// The target and number of the rule for a wire port; no target where it was removed.
#[inline(always)]
fn rule_for<P: Packet, S: State>(
    packet: &P,
    state: &S,
    key: &FlowKey,
    entry: PortEntry,
) -> Translation {
    let mut port = entry.target;
    let mut number = entry.rule;
    if entry.flags & PORT_SCOPED != 0 {
        for scope in 0..SCOPES {
            if let Some(rule) = state.rule(&rule_key(state, key, scope)) {
                port = rule.target;
                number = rule.number;
                break;
            }
        }
    }
    Translation {
        port: Port::from_be(packet.opaque(u32::from(port.to_be())) as u16),
        rule: packet.opaque(number),
    }
}

/// The last one, neither address nor interface, is in the port's entry.
const SCOPES: u32 = 3;

/// The most specific rule wins: address and interface, then address, then interface, then neither.
#[inline(always)]
fn rule_key<S: State>(state: &S, key: &FlowKey, scope: u32) -> RuleKey {
    RuleKey {
        address: if scope < 2 { key.local } else { ANY_ADDRESS },
        ifindex: if scope & 1 == 0 { state.ifindex() } else { 0 },
        port: key.local_port,
        protocol: key.protocol.number() as u8,
        slot: 0,
    }
}

#[inline(always)]
fn rewrite<P: Packet>(
    packet: &mut P,
    segment: &Segment,
    direction: Direction,
    port: Port,
) -> Result<(), Skip> {
    let (old, offset) = match direction {
        Direction::Ingress => (segment.destination_port, 2),
        Direction::Egress => (segment.source_port, 0),
    };
    let (checksum, zero_is_none) = if segment.protocol == Protocol::TCP {
        (core::mem::offset_of!(Tcp, checksum), false)
    } else {
        (core::mem::offset_of!(Udp, checksum), true)
    };
    packet.replace_u16(
        segment.transport + offset,
        old.to_wire(),
        port.to_wire(),
        Checksum {
            offset: segment.transport + checksum,
            zero_is_none,
        },
    )
}
