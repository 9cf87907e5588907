//! A cache in front of all that the tables and sockets know: most packets belong to a connection that had one a
//! moment ago, and are done with here. It knows what they know, or did before a table evicted it, for TCP only,
//! and whatever ends a flow ends its place here as well.

use crate::{
    Direction, Packet, Segment, State, Table,
    abi::{
        Address, FlowKey, NO_RULE, PORT_SCOPED, PORT_SOURCE, PORT_TARGET, Port, PortEntry,
        Protocol, RECENT_PLACES, Recent, since,
    },
    answer::SOCKET_AFTER,
    decision::Decision,
    headers::{Ipv4, Ipv6, Tcp},
    parse::{Ends, Plain, TcpFlags},
    redirect::{deliver, is_done},
    track::Translation,
};

/// Odd numbers with half of their bits set, to multiply with.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_AGAIN: u64 = 0xd6e8_feb8_6659_fd93;

/// What the application sends is done with here for good: its socket remembers the flow, or it has none.
const ANSWERS: u64 = 1 << 63;

/// A TCP connection as its socket has it.
#[derive(Clone, Copy)]
struct Tuple {
    remote: Address,
    local: Address,
    remote_port: Port,
    local_port: Port,
}

impl Tuple {
    #[inline(always)]
    fn of(key: &FlowKey) -> Self {
        Self {
            remote: key.remote,
            local: key.local,
            remote_port: key.remote_port,
            local_port: key.local_port,
        }
    }

    /// Of which the lowest bits are the place.
    #[inline(always)]
    fn hash(&self) -> u64 {
        let ports = u64::from(self.remote_port.to_be()) << 16 | u64::from(self.local_port.to_be());
        // Twice, as an IPv4 address covers one half of them.
        let [a, b] = self.remote.words();
        let [c, d] = self.local.words();
        let hash = (b ^ c ^ ports << 16 ^ ports >> 16).wrapping_mul(SPREAD);
        let hash = (hash ^ hash >> 32 ^ a ^ d.rotate_left(32)).wrapping_mul(SPREAD_AGAIN);
        hash ^ hash >> 32
    }

    #[inline(always)]
    fn is_at(&self, place: &Recent) -> bool {
        place.remote == self.remote
            && place.local == self.local
            && place.remote_port == self.remote_port
            && place.local_port == self.local_port
    }
}

#[inline(always)]
const fn place(hash: u64) -> u32 {
    hash as u32 & (RECENT_PLACES - 1)
}

/// What ties a place together.
#[inline(always)]
fn check(hash: u64, found: &Recent) -> u64 {
    let created = u64::from(found.created);
    hash ^ found.origin ^ found.generation.rotate_left(20) ^ created.rotate_left(40)
}

/// The port on the wire and the rule.
#[inline(always)]
fn pack(from: Port, rule: u32) -> u64 {
    u64::from(from.to_be()) << 32 | u64::from(rule)
}

#[inline(always)]
fn unpack(origin: u64) -> Translation {
    Translation::to(Port::from_be((origin >> 32) as u16), origin as u32)
}

/// What the cache knows of a tuple.
#[inline(always)]
fn find<S: State>(state: &S, tuple: &Tuple) -> Option<Recent> {
    let hash = tuple.hash();
    let found = state.recent(place(hash))?;
    (tuple.is_at(&found) && found.check == check(hash, &found)).then_some(found)
}

/// Does with a packet what the whole path would do, if headers are as they usually are and its connection is known
/// here. `None` if not: nothing is done yet. `entry` is what the port of this host's end means.
#[inline(always)]
pub fn cross<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    direction: Direction,
    plain: &Plain,
    entry: PortEntry,
) -> Option<Decision> {
    if plain.protocol != Protocol::TCP {
        return None;
    }
    let (segment, source, destination) = if plain.is_ipv6 {
        segment::<_, true>(packet, plain)?
    } else {
        segment::<_, false>(packet, plain)?
    };
    let ends = &segment.ends;
    let tuple = match direction {
        Direction::Ingress => Tuple {
            remote: source,
            local: destination,
            remote_port: ends.source_port,
            local_port: entry.target,
        },
        Direction::Egress => Tuple {
            remote: destination,
            local: source,
            remote_port: ends.destination_port,
            local_port: ends.source_port,
        },
    };
    let is_usual = match direction {
        Direction::Ingress => {
            entry.flags & (PORT_SOURCE | PORT_SCOPED) == PORT_SOURCE && !packet.is_other_host()
        }
        Direction::Egress => entry.flags & PORT_TARGET != 0,
    };
    if !is_usual || is_done(packet, state) || state.is_traced() {
        return None;
    }
    let found = find(state, &tuple)?;
    let known = unpack(found.origin & !ANSWERS);
    let to = match direction {
        Direction::Ingress if known.local == ends.destination_port => {
            Translation::to(entry.target, known.rule)
        }
        // Later its socket is to remember.
        Direction::Egress
            if found.origin & ANSWERS != 0 || since(found.created, state.now()) <= SOCKET_AFTER =>
        {
            known
        }
        _ => return None,
    };
    Some(Decision::from_result(deliver(
        packet, state, direction, &segment, to,
    )))
}

/// The segment and its addresses, unless something about it is unusual.
#[inline(always)]
fn segment<P: Packet, const IPV6: bool>(
    packet: &P,
    plain: &Plain,
) -> Option<(Segment, Address, Address)> {
    let network = packet.link_layer().length();
    let (transport, length, source, destination) = if IPV6 {
        let ip = packet.glance::<Ipv6>(network)?;
        let length = u32::from(u16::from_be(ip.payload_length)) + size_of::<Ipv6>() as u32;
        (
            network + size_of::<Ipv6>(),
            length,
            ip.source,
            ip.destination,
        )
    } else {
        let ip = packet.glance::<Ipv4>(network)?;
        (
            network + size_of::<Ipv4>(),
            u32::from(u16::from_be(ip.total_length)),
            Address::ipv4(ip.source),
            Address::ipv4(ip.destination),
        )
    };
    let tcp = packet.glance::<Tcp>(transport)?;
    let flags = TcpFlags::from_bits(tcp.flags);
    let headers = (transport - network + size_of::<Tcp>()) as u32;
    let is_whole = length >= headers && network + length as usize <= packet.length();
    if flags.begins_or_resets() || !is_whole {
        return None;
    }
    let segment = Segment {
        ends: Ends {
            protocol: Protocol::TCP,
            is_ipv6: IPV6,
            network,
            source_port: plain.source_port,
            destination_port: plain.destination_port,
        },
        transport,
        sequence: u32::from_be(tcp.sequence),
        acknowledgment: u32::from_be(tcp.acknowledgment),
        flags,
        // Options left out: nobody asks any more where the payload is.
        headers,
        bytes: length,
    };
    Some((segment, source, destination))
}

/// Notes with some segments what the tables know of their connection, which has the port of the wire and the rule in
/// `known`. `answers` if the application's packets need not come to the tables any more.
#[inline(always)]
pub fn note<S: State>(
    state: &mut S,
    key: &FlowKey,
    segment: &Segment,
    known: Translation,
    answers: bool,
) {
    let numbers = u64::from(segment.sequence) << 32 | u64::from(segment.acknowledgment);
    let is_due = numbers.wrapping_mul(SPREAD) >> 56 & state.noted() == 0;
    if is_due {
        enter(state, key, known, answers);
    }
}

/// Notes the same now.
#[inline(always)]
pub fn enter<S: State>(state: &mut S, key: &FlowKey, known: Translation, answers: bool) {
    if key.protocol == Protocol::TCP && known.rule != NO_RULE {
        let answers = if answers { ANSWERS } else { 0 };
        put(state, key, pack(known.local, known.rule) | answers);
    }
}

/// The generation comes first, and then the table, which may have changed since: another CPU that ends the flow
/// raises the generation afterwards.
#[inline(never)]
fn put<S: State>(state: &mut S, key: &FlowKey, origin: u64) {
    let tuple = Tuple::of(key);
    let hash = tuple.hash();
    let Some(generation) = state.generation(place(hash)) else {
        return;
    };
    let Some(flow) = state.flow(Table::Answered, key) else {
        return;
    };
    // A moved client port has no room here, nor has the interface of a link-local peer.
    if Translation::of(&flow) != unpack(origin & !ANSWERS) || key.scope != 0 {
        return;
    }
    let mut recent = Recent {
        remote: tuple.remote,
        local: tuple.local,
        remote_port: tuple.remote_port,
        local_port: tuple.local_port,
        created: flow.created,
        generation,
        origin,
        check: 0,
    };
    recent.check = check(hash, &recent);
    state.set_recent(place(hash), &recent);
}

/// Where the tuple of a key is, if it is here.
#[inline(always)]
pub fn place_of(key: &FlowKey) -> u32 {
    place(Tuple::of(key).hash())
}
