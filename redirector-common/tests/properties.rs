//! What holds for every packet.

mod common;
#[path = "common/generate.rs"]
mod generate;

use std::net::IpAddr;

use common::{Host, UDP, each_family, invariants, tcp};
use proptest::{collection::vec, prelude::*};
use redirector_common::{
    Direction, LinkLayer, Skip, Verdict,
    native::{
        Frame,
        craft::{ACK, Craft, Fragment, SYN, Transport},
    },
    redirect,
};

const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// Takes the packet both ways, rules for everything.
fn goes_through(frame: &Frame) {
    for link_layer in [LinkLayer::Ethernet, LinkLayer::None] {
        for direction in BOTH {
            let mut host = Host::with(&[(80, 8000), (8000, 80), (0, 1)]);
            let mut frame = Frame {
                link_layer,
                ..frame.clone()
            };
            let _ = invariants::cross(&mut frame, &mut host.memory, direction);
        }
    }
}

/// The same in the other family, as far as there is the same.
fn other_family(packet: &Craft) -> Craft {
    let flipped = |address| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_compatible()),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            IpAddr::from([a, b, c, d])
        }
    };
    Craft {
        source: flipped(packet.source),
        destination: flipped(packet.destination),
        ..packet.clone()
    }
}

proptest! {
    #![proptest_config(generate::config(1000))]

    #[test]
    fn any_bytes_go_through(bytes in vec(any::<u8>(), 0..200)) {
        goes_through(&Frame::ethernet(bytes));
    }

    #[test]
    fn damaged_packets_go_through(
        packet in generate::packet(),
        damage in vec(any::<(prop::sample::Index, u8)>(), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut frame = packet.frame();
        for (at, value) in damage {
            let at = at.index(frame.bytes.len());
            frame.bytes[at] = value;
        }
        if is_cut {
            frame.bytes.truncate(cut.index(frame.bytes.len()));
        }
        goes_through(&frame);
    }

    /// `Host` compares with a packet made with the other port: all other bytes stay, and the
    /// checksum is the one of a full computation.
    #[test]
    fn a_request_and_its_reply(packet in generate::packet()) {
        let request = Craft { destination_port: 80, ..packet };
        let mut host = Host::with(&[(80, 8000)]);
        prop_assert_eq!(host.receive(&request), Ok(Some(8000)));
        let transport = match request.transport {
            // A SYN alone would be a connection of this host's own.
            Transport::Tcp { flags, sequence, acknowledgment } if flags & SYN != 0 => {
                tcp(SYN | ACK, sequence, acknowledgment)
            }
            other => other,
        };
        let reply = Craft {
            source: request.destination,
            destination: request.source,
            source_port: 8000,
            destination_port: request.source_port,
            transport,
            ..request
        };
        prop_assert_eq!(host.send(&reply), Ok(Some(80)));
        prop_assert_eq!(host.counters(0).in_packets, 1);
        prop_assert_eq!(host.counters(0).out_packets, 1);
    }

    #[test]
    fn the_reverse_is_identity(packet in generate::packet(), port in 1..=u16::MAX, checksum: [u8; 2]) {
        prop_assume!(port != 80);
        let packet = Craft { destination_port: 80, ..packet };
        let mut frame = packet.frame();
        // Right or wrong; for TCP 0xffff is the one value that no sender computes.
        let field = packet.transport() + match packet.transport {
            Transport::Tcp { .. } => 16,
            Transport::Udp { .. } => 6,
        };
        if checksum != [0xff; 2] {
            frame.bytes[field..][..2].copy_from_slice(&checksum);
        }
        let before = frame.clone();
        for rule in [(80, port), (port, 80)] {
            let mut host = Host::with(&[rule]);
            let verdict = redirect(&mut frame, &mut host.memory, Direction::Ingress);
            prop_assert_eq!(verdict, Ok(Verdict::Redirected { rule: 0 }));
        }
        prop_assert_eq!(frame, before);
    }

    #[test]
    fn both_families_agree(packet in generate::packet(), is_source: bool, known: bool) {
        let port = if known { 80 } else { packet.destination_port };
        let packet = if is_source {
            Craft { destination_port: port, ..packet }
        } else {
            Craft { source_port: 8000, ..packet }
        };
        let other = other_family(&packet);
        let cross = |packet: &Craft| {
            let mut host = Host::with(&[(80, 8000)]);
            let crossings = [host.receive(packet), host.send(packet)];
            (crossings, host.memory.pending.len(), host.memory.answered.len(), host.connections())
        };
        prop_assert_eq!(cross(&packet), cross(&other));
    }

    #[test]
    fn later_fragments_are_left_alone(packet in generate::packet(), offset in 1..0x2000_u16, more: bool) {
        let packet = Craft { fragment: Some(Fragment { offset, more }), ..packet };
        let mut host = Host::with(&[(80, 8000)]);
        prop_assert_eq!(host.receive(&packet), Err(Skip::Fragment));
        prop_assert_eq!(host.send(&packet), Err(Skip::Fragment));
    }

    /// Whatever ends before its ports and checksum do is left alone.
    #[test]
    fn short_packets_are_malformed(packet in generate::packet(), cut: prop::sample::Index) {
        let packet = Craft { destination_port: 80, ..packet };
        let header = match packet.transport {
            Transport::Tcp { .. } => 20,
            Transport::Udp { .. } => 8,
        };
        let mut frame = packet.frame();
        frame.bytes.truncate(cut.index(packet.transport() + header));
        let before = frame.clone();
        let mut host = Host::with(&[(80, 8000)]);
        let verdict = redirect(&mut frame, &mut host.memory, Direction::Ingress);
        prop_assert_eq!(verdict, Err(Skip::Malformed));
        prop_assert_eq!(frame, before);
    }
}

/// RFC 768: 0 says that there is no checksum, so that a computed 0 is sent as 0xffff.
#[test]
fn a_computed_zero_is_no_missing_checksum() {
    each_family(|talk| {
        for (transport, on_the_wire) in [(UDP, [0xff, 0xff]), (tcp(0x18, 1, 1), [0, 0])] {
            let at = if transport == UDP { 6 } else { 16 };
            let mut after = talk.to(8000, transport);
            after.payload = vec![0, 0];
            // The payload that adds up to 0 is the checksum over a payload of zeros.
            let start = after.transport() + at;
            after.payload = after.frame().bytes[start..][..2].to_vec();
            assert_eq!(after.frame().bytes[start..][..2], on_the_wire);
            let before = Craft {
                destination_port: 80,
                ..after
            };
            assert_eq!(Host::with(&[(80, 8000)]).receive(&before), Ok(Some(8000)));
        }
    });
}

#[test]
fn a_missing_checksum_stays_missing() {
    each_family(|talk| {
        let request = talk.to(80, Transport::Udp { checksum: false });
        assert_eq!(Host::with(&[(80, 8000)]).receive(&request), Ok(Some(8000)));
    });
}
