//! What holds for every packet, whatever crosses: unit tests, property tests and the fuzzer all
//! come through here.

use std::collections::HashMap;

use redirector_common::{
    Direction, LinkLayer, Peer, Skip, Verdict,
    abi::{self, FlowKey, KEY_FLOW, KEY_MOVED, Protocol, RuleCounters},
    native::{Frame, Memory, Tuple},
    parse, redirect,
};

use super::locate::{Flow, Located, Quote, TCP, UDP, flow, locate, quote, u16_at};

type Counters = HashMap<u32, RuleCounters>;

/// Packets, bytes, resets and ICMP errors, in and out.
type Traffic = [[u64; 4]; 2];

/// [`parse`], held against the RFCs.
#[track_caller]
pub fn find(frame: &Frame) -> Option<Located> {
    let parsed = parse(frame);
    let located = locate(frame);
    let segment = parsed.ok().flatten();
    let found = segment.map(|segment| Located {
        network: segment.ends.network,
        transport: segment.transport,
        protocol: segment.ends.protocol.number() as u8,
        bytes: segment.bytes as usize,
    });
    assert_eq!(found, located, "{parsed:?} {frame:02x?}");
    if let (Some(segment), Some(at)) = (segment, located) {
        let ports =
            [segment.ends.source_port, segment.ends.destination_port].map(|port| Some(port.get()));
        assert_eq!(
            ports,
            [0, 2].map(|port| u16_at(&frame.bytes, at.transport + port))
        );
        let flags = frame.bytes[at.transport..].get(13);
        let is_opening = segment.ends.protocol == Protocol::TCP
            && flags.is_some_and(|flags| flags & 0x12 == 0x02);
        assert_eq!(segment.flags.is_opening(), is_opening, "{frame:02x?}");
    }
    located
}

/// Any bytes, as a packet with a link layer and as one without.
#[track_caller]
pub fn find_in(bytes: &[u8]) {
    for link_layer in [LinkLayer::Ethernet, LinkLayer::None] {
        find(&Frame {
            bytes: bytes.to_vec(),
            link_layer,
            other_host: false,
            mark: 0,
        });
    }
}

/// [`redirect`] with its promises: nothing changes unless it says so, and then one port, the
/// checksum over it and the rule's counters; the client's port too where it was moved.
#[track_caller]
pub fn cross(
    frame: &mut Frame,
    memory: &mut Memory,
    direction: Direction,
) -> Result<Verdict, Skip> {
    find(frame);
    let subject = Subject::of(frame, direction);
    let before = frame.clone();
    let counted = memory.counters.clone();
    let mut uncached = memory.clone();
    uncached.recent.clear();
    let verdict = redirect(frame, memory, direction);
    is_same_without_cache(&before, frame, uncached, memory, direction);
    let what = format!("{verdict:?}, {direction:?}: {before:02x?} to {frame:02x?}");
    let mut expected = traffic(&counted);
    if let Ok(Verdict::Redirected { rule }) = verdict {
        let subject = subject.expect("only what has ports, or quotes some, is redirected");
        assert_ne!(*frame, before, "{what}");
        subject.rewrote(&before, frame, &what);
        subject.is_remembered(&before, frame, memory, direction, &what);
        subject.count(expected.entry(rule).or_default(), &before, direction);
    } else {
        assert_eq!(*frame, before, "{what}");
    }
    assert_eq!(traffic(&memory.counters), expected, "{what}");
    let connections = |all: &Counters| all.values().map(|each| each.connections).sum::<u64>();
    let begun = connections(&memory.counters) - connections(&counted);
    assert!(begun <= 1, "{begun} connections at once, {what}");
    verdict
}

/// The cache makes no difference.
#[track_caller]
fn is_same_without_cache(
    before: &Frame,
    after: &Frame,
    mut uncached: Memory,
    memory: &Memory,
    direction: Direction,
) {
    let mut frame = before.clone();
    let _ = redirect(&mut frame, &mut uncached, direction);
    assert_eq!(
        frame, *after,
        "with the cache, {direction:?}: {before:02x?}"
    );
    uncached.recent.clone_from(&memory.recent);
    assert_eq!(
        uncached, *memory,
        "with the cache, {direction:?}: {before:02x?}"
    );
}

/// The packet whose ports a redirection changes: the one that crosses, or the one that an error
/// quotes, which has crossed the other way.
#[derive(Clone, Copy)]
pub struct Subject {
    pub packet: Located,
    pub crossed: Direction,
    quote: Option<Quote>,
}

impl Subject {
    pub fn of(frame: &Frame, direction: Direction) -> Option<Self> {
        let packet = locate(frame).map(|packet| Self {
            packet,
            crossed: direction,
            quote: None,
        });
        packet.or_else(|| {
            quote(frame).map(|quote| Self {
                packet: quote.packet,
                crossed: direction.reverse(),
                quote: Some(quote),
            })
        })
    }

    pub fn is_error(&self) -> bool {
        self.quote.is_some()
    }

    pub fn flow(&self, frame: &Frame) -> Flow {
        flow(frame, &self.packet, self.crossed)
    }

    /// A checksum that was valid is still, and one that was wrong is wrong by the same number: the
    /// sum over everything has not changed. Computed from the bytes, nothing of `checksum` is in it.
    #[track_caller]
    fn rewrote(&self, before: &Frame, after: &Frame, what: &str) {
        assert_eq!(before.bytes.len(), after.bytes.len(), "{what}");
        let checksum = match self.quote {
            Some(quote) if !quote.has_checksum => quote.icmp + 2,
            _ => self.packet.checksum(),
        };
        let ports = self.packet.transport;
        let fields = [ports, ports + 2, checksum];
        let may_change = |at| fields.iter().any(|field| (*field..field + 2).contains(&at));
        for (at, pair) in before.bytes.iter().zip(&after.bytes).enumerate() {
            assert!(pair.0 == pair.1 || may_change(at), "byte {at}, {what}");
        }
        let [old, new] = [before, after].map(|frame| u16_at(&frame.bytes, checksum));
        let zero_is_none = self.packet.protocol == UDP && checksum == self.packet.checksum();
        if zero_is_none && (old == Some(0) || new == Some(0)) {
            assert_eq!(old, new, "a checksum came or went, {what}");
            return;
        }
        let covered = self.quote.map(|quote| quote.icmp);
        let covered = covered
            .into_iter()
            .chain((checksum > ports).then_some(ports));
        for begin in covered {
            let [old, new] = [before, after].map(|frame| sum(&frame.bytes[begin..]));
            assert_eq!(old, new, "the sum from byte {begin}, {what}");
        }
    }

    /// The client's port changes for a flow that was moved, and for no other.
    #[track_caller]
    fn is_remembered(
        &self,
        before: &Frame,
        after: &Frame,
        memory: &Memory,
        direction: Direction,
        what: &str,
    ) {
        let (before, after) = (self.flow(before).1, self.flow(after).1);
        if before.1 == after.1 {
            return;
        }
        let (wire, application) = match direction {
            Direction::Ingress => (before, after),
            Direction::Egress => (after, before),
        };
        assert!(memory.has_moved, "nothing was ever moved, {what}");
        let origin = match memory.peers.get(&application) {
            Some(Peer::Connected { origin }) => *origin,
            _ => None,
        };
        let origins = [origin, memory.socket.flatten()].into_iter().flatten();
        let is_known = known(memory, KEY_FLOW, &application)
            .any(|flow| (flow.from, flow.client) == (wire.3, wire.1))
            || known(memory, KEY_MOVED, &wire)
                .any(|marker| (marker.from, marker.client) == (application.3, application.1))
            || origins
                .into_iter()
                .any(|origin| (origin.from, origin.client) == (wire.3, wire.1));
        assert!(
            self.packet.protocol == TCP && is_known,
            "it was not moved, {what}"
        );
    }

    /// One more, and nothing else.
    fn count(&self, traffic: &mut Traffic, frame: &Frame, direction: Direction) {
        let [incoming, outgoing] = traffic;
        let [packets, bytes, resets, errors] = match direction {
            Direction::Ingress => incoming,
            Direction::Egress => outgoing,
        };
        if self.is_error() {
            *errors += 1;
        } else {
            *packets += 1;
            *bytes += self.packet.bytes as u64;
            let flags = frame.bytes.get(self.packet.transport + 13);
            let is_reset = flags.is_some_and(|flags| flags & 0x04 != 0);
            *resets += u64::from(self.packet.protocol == TCP && is_reset);
        }
    }
}

/// What the tables have for a TCP tuple.
pub fn known(memory: &Memory, kind: u32, tuple: &Tuple) -> impl Iterator<Item = abi::Flow> {
    let (remote, remote_port, local, local_port) = *tuple;
    let scope = if remote.is_link_local() {
        memory.ifindex
    } else {
        0
    };
    let key = FlowKey {
        remote,
        local,
        remote_port,
        local_port,
        scope,
        protocol: Protocol::TCP,
        kind,
    };
    [&memory.answered, &memory.moved, &memory.pending]
        .into_iter()
        .filter_map(move |table| table.get(&key).copied())
}

/// The number that a ones' complement sum (RFC 1071) stands for.
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).sum::<u64>() % 0xffff
}

/// Without connections, which are counted when they are answered.
fn traffic(counters: &Counters) -> HashMap<u32, Traffic> {
    let of = |each: &RuleCounters| {
        [
            [
                each.in_packets,
                each.in_bytes,
                each.in_resets,
                each.in_errors,
            ],
            [
                each.out_packets,
                each.out_bytes,
                each.out_resets,
                each.out_errors,
            ],
        ]
    };
    counters
        .iter()
        .map(|(rule, each)| (*rule, of(each)))
        .filter(|(_, each)| *each != Traffic::default())
        .collect()
}
