//! Connections: who remembers them, and for how long.

mod common;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, each_family, tcp};
use redirector_common::{
    Peer, Skip,
    abi::{FLOW_SYN_ACK, NO_PORT, Port, SocketFlow, TICK},
    native::craft::{ACK, Craft, RST, SYN},
};

const SECOND: u64 = 1_000_000_000;

fn origin(from: u16) -> SocketFlow {
    SocketFlow {
        rule: 0,
        from: Port::new(from),
        client: NO_PORT,
    }
}

#[test]
fn a_handshake_makes_one_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([1, 0], 0));

        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!((host.flows(), host.connections()), ([1, 0], 0));
        let flow = host.memory.pending.values().next().expect("a flow");
        assert_eq!(
            (flow.flags & FLOW_SYN_ACK, flow.expected),
            (FLOW_SYN_ACK, 501)
        );

        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));

        for _ in 0..3 {
            assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
            assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        }
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
        assert_eq!(
            (host.counters(0).in_packets, host.counters(0).out_packets),
            (5, 4)
        );
    });
}

#[test]
fn bytes_are_counted_from_the_network_header() {
    each_family(|talk| {
        let mut packet = talk.to(80, OPENING);
        packet.tags = vec![0x8100];
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&packet), Ok(Some(8000)));
        let length = packet.frame().bytes.len() - packet.network();
        assert_eq!(host.counters(0).in_bytes, length as u64);
    });
}

/// Neither is proof that the client exists.
#[test]
fn a_spoofed_syn_makes_no_connection() {
    each_family(|talk| {
        for (name, from_client, from_host) in [
            ("an ACK by guess", tcp(ACK, 101, 502), SYN_ACK),
            ("a repeated SYN", OPENING, SYN_ACK),
            ("a refusal", OPENING, tcp(RST | ACK, 0, 101)),
            (
                "a refusal that looks like SYN-ACK",
                tcp(ACK, 101, 501),
                tcp(SYN | ACK | RST, 500, 101),
            ),
        ] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(
                host.receive(&talk.to(80, OPENING)),
                Ok(Some(8000)),
                "{name}"
            );
            assert_eq!(
                host.send(&talk.from(8000, from_host)),
                Ok(Some(80)),
                "{name}"
            );
            assert_eq!(
                host.receive(&talk.to(80, from_client)),
                Ok(Some(8000)),
                "{name}"
            );
            assert_eq!((host.flows()[1], host.connections()), (0, 0), "{name}");
        }
    });
}

/// A second SYN of a stranger, out of the first one's window: the kernel answers it with an ACK, which
/// is no word of the application.
#[test]
fn two_spoofed_syns_make_no_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        let far = tcp(SYN, 1 << 30, 0);
        assert_eq!(host.receive(&talk.to(80, far)), Ok(Some(8000)));
        let challenge = Craft {
            payload: Vec::new(),
            ..talk.from(8000, tcp(ACK, 501, 101))
        };
        assert_eq!(host.send(&challenge), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, tcp(RST, 101, 0))), Ok(Some(8000)));
        assert_eq!((host.flows()[1], host.connections()), (0, 0));
    });
}

/// SYN cookies, or a SYN-ACK that left another way: the application's data says it.
#[test]
fn data_of_the_application_settles() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

#[test]
fn a_flood_does_not_lose_what_was_answered() {
    each_family(|talk| {
        let mut host = Host::connected(&talk);
        host.lose_pending();
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// A SYN with the tuple of a live connection must not disturb it.
#[test]
fn a_spoofed_syn_does_not_end_a_connection() {
    each_family(|talk| {
        let mut host = Host::connected(&talk);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.lose_pending();
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.connections(), 1);
    });
}

#[test]
fn the_socket_remembers_after_a_second() {
    each_family(|talk| {
        let mut host = Host::connected(&talk);
        host.memory.socket = Some(None);
        host.memory.now = SECOND;
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.memory.socket, Some(None), "too early");

        host.memory.now += 2 << TICK;
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.memory.socket, Some(Some(origin(80))));

        host.lose_all_flows();
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// The tables lost it: a packet of the client brings it back, uncounted.
#[test]
fn a_client_brings_its_flow_back() {
    each_family(|talk| {
        let mut host = Host::connected(&talk);
        host.lose_all_flows();
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// A socketless packet (RST, TIME_WAIT) and a forwarded one (a container) have the table only.
#[test]
fn packets_without_a_socket_leave_from_the_wire_port() {
    each_family(|talk| {
        for flags in [RST, RST | ACK, ACK, ACK | 1] {
            let mut host = Host::connected(&talk);
            host.memory.socket = None;
            host.memory.now = 10 * SECOND;
            assert_eq!(
                host.send(&talk.from(8000, tcp(flags, 501, 101))),
                Ok(Some(80))
            );
        }
    });
}

#[test]
fn a_new_connection_may_use_the_ports_of_an_old_one() {
    each_family(|talk| {
        for peer in [Peer::None, Peer::TimeWait] {
            let mut host = Host::connected(&talk);
            host.has_socket(&talk, 8000, peer);
            for packet in [OPENING, FINAL_ACK] {
                assert_eq!(host.receive(&talk.to(80, packet)), Ok(Some(8000)));
                assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
            }
            assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
            assert_eq!((host.flows(), host.connections()), ([0, 1], 2), "{peer:?}");
        }
    });
}

#[test]
fn a_direct_connection_keeps_its_port() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        for transport in [OPENING, FINAL_ACK, DATA] {
            assert_eq!(host.receive(&talk.to(8000, transport)), Ok(None));
        }
        for transport in [SYN_ACK, DATA, tcp(RST, 0, 0)] {
            assert_eq!(host.send(&talk.from(8000, transport)), Err(Skip::Direct));
        }
        assert_eq!(host.connections(), 0);
    });
}

/// The same client port, first through 80, then straight to 8000.
#[test]
fn a_direct_connection_ends_a_stale_flow() {
    each_family(|talk| {
        let mut host = Host::connected(&talk);
        host.has_socket(&talk, 8000, Peer::None);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
    });
}

/// A packet to the wire port with the tuple of a direct connection, as a stranger can forge it.
#[test]
fn a_stray_packet_does_not_turn_a_direct_connection() {
    each_family(|talk| {
        for (next, expected) in [(300, Ok(Some(8000))), (u32::MAX / 2, Err(Skip::Collision))] {
            let mut host = Host::with(&[(80, 8000)]);
            host.has_socket(&talk, 8000, CONNECTED);
            host.expects(&talk, 8000, next);
            assert_eq!(host.receive(&talk.to(80, DATA)), expected, "{next}");
        }
    });
}

/// A socket that remembers another wire port is not asked for its sequence numbers.
#[test]
fn a_stray_packet_does_not_turn_another_wire_ports_connection() {
    each_family(|talk| {
        for (from, expected) in [(80, Ok(Some(8000))), (81, Err(Skip::Collision))] {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            let origin = Some(origin(from));
            host.has_socket(&talk, 8000, Peer::Connected { origin });
            host.expects(&talk, 8000, 300);
            assert_eq!(host.receive(&talk.to(80, DATA)), expected, "{from}");
        }
    });
}

/// The right number, but from elsewhere.
#[test]
fn another_wire_ports_ack_proves_nothing() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (81, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(81, FINAL_ACK)), Err(Skip::Collision));
        assert_eq!(host.connections(), 0);
    });
}
