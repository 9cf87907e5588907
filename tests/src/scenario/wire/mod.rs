//! What was on the wire, as lines that two runs have in common: no sequence numbers, acknowledgments,
//! retransmissions or times. Order counts within a direction of a flow, not between them.

mod icmp;
mod reassembly;
mod stream;

use std::collections::BTreeMap;

use self::reassembly::{Reassembly, Whole};
use self::stream::Stream;
use super::log::digest;
use super::names::Names;
use crate::packet::{Transport, datagram, packet};

const ICMP: u8 = 1;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wire {
    pub lines: Vec<String>,
    /// Packets with a bad checksum, unless crafted as the ghost's.
    pub faults: Vec<String>,
}

/// Reads frames of Ethernet in the order of their capture.
pub fn normalise(frames: &[Vec<u8>], names: &Names) -> Wire {
    let mut reassembly = Reassembly::default();
    let mut events = BTreeMap::<String, Vec<String>>::new();
    let mut streams = BTreeMap::<String, Stream>::new();
    let mut faults = Vec::new();
    for whole in frames
        .iter()
        .filter_map(|frame| reassembly.add(datagram(frame)?))
    {
        let Some(event) = read(&whole, names) else {
            continue;
        };
        if !event.checksum_is_right && names.host(whole.datagram.source) != "ghost" {
            faults.push(format!("{}: a bad checksum", event.flow));
        }
        match event.kind {
            Kind::Segment(segment) => streams.entry(event.flow).or_default().add(&segment),
            Kind::Line(line) => events.entry(event.flow).or_default().push(line),
            Kind::Error(line) => {
                let lines = events.entry(event.flow).or_default();
                // How often a sender tries, and how many errors a host allows, is chance.
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
    for (flow, stream) in streams {
        events.entry(flow).or_default().extend(stream.lines());
    }
    for (pair, line) in reassembly.incomplete() {
        let flow = format!("{} > {}", names.host(pair.0), names.host(pair.1));
        events.entry(flow).or_default().push(line);
    }
    let lines = events
        .iter()
        .flat_map(|(flow, lines)| lines.iter().map(move |line| format!("{flow}: {line}")))
        .collect();
    Wire { lines, faults }
}

struct Event {
    flow: String,
    checksum_is_right: bool,
    kind: Kind,
}

enum Kind {
    Segment(crate::packet::Packet),
    Line(String),
    Error(String),
}

fn read(whole: &Whole, names: &Names) -> Option<Event> {
    let datagram = &whole.datagram;
    let hosts = || {
        let [source, destination] =
            [datagram.source, datagram.destination].map(|at| names.host(at));
        format!("{source} > {destination}")
    };
    if let Some(packet) = packet(datagram) {
        let flow = format!(
            "{} > {}",
            names.address(packet.source),
            names.address(packet.destination)
        );
        let checksum_is_right = packet.checksums_are_right;
        let (flow, kind) = match packet.transport {
            Transport::Tcp => (format!("{flow} tcp"), Kind::Segment(packet)),
            Transport::Udp => (
                format!("{flow} udp"),
                Kind::Line(digest(&packet.payload) + &whole.note()),
            ),
        };
        return Some(Event {
            flow,
            checksum_is_right,
            kind,
        });
    }
    match datagram.protocol {
        ICMP | ICMPV6 => icmp::read(datagram, names).map(|(checksum_is_right, kind)| Event {
            flow: format!("{} icmp", hosts()),
            checksum_is_right: checksum_is_right && datagram.checksum_is_right,
            kind,
        }),
        IGMP => None,
        protocol => Some(Event {
            flow: format!("{} protocol {protocol}", hosts()),
            checksum_is_right: datagram.checksum_is_right,
            kind: Kind::Line(digest(&datagram.body) + &whole.note()),
        }),
    }
}

#[cfg(test)]
mod tests;
