//! What holds for every packet, whatever crosses: unit tests, property tests and the fuzzer all
//! come through here.

use std::collections::HashMap;

use redirector_common::{
    Direction, LinkLayer, Skip, Verdict,
    abi::{Protocol, RuleCounters},
    native::{Frame, Memory},
    parse, redirect,
};

use super::locate::{Located, UDP, locate, u16_at};

type Counters = HashMap<u32, RuleCounters>;

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
        });
    }
}

/// [`redirect`] with its promises: nothing changes unless it says so, and then one port, the
/// checksum over it and the rule's counters.
#[track_caller]
pub fn cross(
    frame: &mut Frame,
    memory: &mut Memory,
    direction: Direction,
) -> Result<Verdict, Skip> {
    let located = find(frame);
    let before = frame.clone();
    let counted = memory.counters.clone();
    let verdict = redirect(frame, memory, direction);
    let what = format!("{verdict:?}, {direction:?}: {before:02x?} to {frame:02x?}");
    if let Ok(Verdict::Redirected { rule }) = verdict {
        let located = located.expect("only what has ports is redirected");
        let may = Rewrite::of(&located, direction, memory.has_moved);
        rewrote(&before, frame, &may, &what);
        count(
            &counted,
            &memory.counters,
            rule,
            direction,
            located.bytes,
            &what,
        );
    } else {
        assert_eq!(*frame, before, "{what}");
        assert_eq!(packets(&counted), packets(&memory.counters), "{what}");
    }
    let connections = |all: &Counters| all.values().map(|each| each.connections).sum::<u64>();
    let begun = connections(&memory.counters) - connections(&counted);
    assert!(begun <= 1, "{begun} connections at once, {what}");
    verdict
}

/// The 16-bit fields that a redirection may change, in bytes from the start of the packet.
struct Rewrite {
    ports: Vec<usize>,
    checksum: usize,
    /// Where the bytes begin that the checksum covers.
    covered: usize,
    zero_is_none: bool,
}

impl Rewrite {
    /// The port of this host's end, and the client's only if one was ever moved.
    fn of(located: &Located, direction: Direction, has_moved: bool) -> Self {
        let [source, destination] = [located.transport, located.transport + 2];
        let (local, remote) = match direction {
            Direction::Ingress => (destination, source),
            Direction::Egress => (source, destination),
        };
        Self {
            ports: [Some(local), has_moved.then_some(remote)]
                .into_iter()
                .flatten()
                .collect(),
            checksum: located.checksum(),
            covered: located.transport,
            zero_is_none: located.protocol == UDP,
        }
    }
}

/// A checksum that was valid is still, and one that was wrong is wrong by the same number: the sum
/// over everything has not changed. Computed from the bytes, nothing of `checksum` is in it.
#[track_caller]
fn rewrote(before: &Frame, after: &Frame, may: &Rewrite, what: &str) {
    assert_eq!(before.bytes.len(), after.bytes.len(), "{what}");
    let is_covered = |at: usize| {
        let fields = may.ports.iter().chain([&may.checksum]);
        fields
            .into_iter()
            .any(|field| (*field..field + 2).contains(&at))
    };
    for (at, pair) in before.bytes.iter().zip(&after.bytes).enumerate() {
        assert!(pair.0 == pair.1 || is_covered(at), "byte {at}, {what}");
    }
    let [old, new] = [before, after].map(|frame| u16_at(&frame.bytes, may.checksum));
    if may.zero_is_none && (old == Some(0) || new == Some(0)) {
        assert_eq!(old, new, "a checksum came or went, {what}");
    } else {
        let [old, new] = [before, after].map(|frame| sum(&frame.bytes[may.covered..]));
        assert_eq!(old, new, "the sum, {what}");
    }
}

/// The number that a ones' complement sum (RFC 1071) stands for.
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).sum::<u64>() % 0xffff
}

/// One packet of `bytes` more for `rule`, and nothing else.
#[track_caller]
fn count(
    before: &Counters,
    after: &Counters,
    rule: u32,
    direction: Direction,
    bytes: usize,
    what: &str,
) {
    let mut expected = packets(before);
    let [in_packets, in_bytes, out_packets, out_bytes] = expected.entry(rule).or_default();
    let (packets_of, bytes_of) = match direction {
        Direction::Ingress => (in_packets, in_bytes),
        Direction::Egress => (out_packets, out_bytes),
    };
    *packets_of += 1;
    *bytes_of += bytes as u64;
    assert_eq!(packets(after), expected, "{what}");
}

/// Without connections, which are counted when they are answered.
fn packets(counters: &Counters) -> HashMap<u32, [u64; 4]> {
    let of = |each: &RuleCounters| {
        [
            each.in_packets,
            each.in_bytes,
            each.out_packets,
            each.out_bytes,
        ]
    };
    counters
        .iter()
        .map(|(rule, each)| (*rule, of(each)))
        .filter(|(_, each)| *each != [0; 4])
        .collect()
}
