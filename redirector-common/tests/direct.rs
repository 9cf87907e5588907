//! Connections straight to a target, and whose a tuple is where no socket of this host tells.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, ORDERS, OTHER_OPENING, OTHER_SYN_ACK, connected, origin};
use redirector_common::{
    Peer, Skip,
    native::craft::{ACK, SYN},
};

/// The first of two connections of one client port, to a container or under SYN cookies: its SYN-ACK
/// has no socket.
fn answered(talk: &Talk, first: u16) -> Host {
    let mut host = Host::with(&[(80, 8000), (81, 8000)]);
    let redirected = (first != 8000).then_some(8000);
    assert_eq!(host.receive(&talk.to(first, OPENING)), Ok(redirected));

    let answer = redirected.map_or(Err(Skip::Direct), |_| Ok(Some(first)));
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), answer);
    host
}

#[test]
fn both_are_served_without_a_socket() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = answered(&talk, first);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            assert_ne!(host.client_port, CLIENT);
            let moved = Talk {
                client: (talk.client.0, host.client_port),
                ..talk
            };
            for transport in [OTHER_SYN_ACK, tcp(ACK, 5001, 9001)] {
                assert_eq!(host.send(&moved.from(8000, transport)), Ok(Some(second)));
                assert_eq!(host.client_port, CLIENT);
            }
            let redirected = (first != 8000).then_some(8000);
            assert_eq!(host.receive(&talk.to(first, FINAL_ACK)), Ok(redirected));
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
            assert_eq!(host.client_port, moved.client.1);
            // A flood loses neither, once they are answered.
            let answer = redirected.map_or(Err(Skip::Direct), |_| Ok(Some(first)));
            assert_eq!(host.send(&talk.from(8000, DATA)), answer);
            host.lose_pending();
            assert_eq!(host.send(&talk.from(8000, DATA)), answer);
            assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
            assert_eq!(host.client_port, moved.client.1);
        });
    }
}

/// Its first packet seen is one of data: the flow was brought back by the client.
#[test]
fn what_resumed_without_a_socket_is_not_joined() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);

        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
    });
}

/// The same where it was refused, and nobody has the tuple.
#[test]
fn a_refused_client_keeps_its_port() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            assert!(host.receive(&talk.to(first, OPENING)).is_ok());

            let _ = host.send(&talk.from(8000, tcp(0x14, 0, 101)));
            let redirected = (second != 8000).then_some(8000);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(redirected)
            );
            assert!(redirected.is_none() || host.client_port == CLIENT);
        });
    }
}

/// An ACK to the wire port, as a stranger can forge it. The answers of one that is over go to its client
/// too.
#[test]
fn a_direct_connection_is_not_led_away() {
    each_family(|talk| {
        for peer in [Peer::Handshake, Peer::TimeWait, CONNECTED, Peer::None] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
            if peer != Peer::None {
                host.has_socket(&talk, 8000, Peer::Handshake);
            }
            assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
            if peer == CONNECTED {
                assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
            }
            host.has_socket(&talk, 8000, peer);
            let stray = tcp(ACK, 5_000, 9_000);
            assert_eq!(
                host.receive(&talk.to(80, stray)),
                Err(Skip::Collision),
                "{peer:?}"
            );
            assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        }
    });
}

/// A SYN, which anybody can send, proves nothing: what goes on may be another one's. Where there is no
/// socket that waits for a second.
#[test]
fn a_syn_keeps_nothing_away() {
    for (syn, wire) in [(8000, 80), (81, 80), (80, 81)] {
        each_family(|talk| {
            for peer in [CONNECTED, Peer::None] {
                let mut host = Host::with(&[(80, 8000), (81, 8000)]);
                assert!(host.receive(&talk.to(syn, OPENING)).is_ok());
                host.has_socket(&talk, 8000, peer);
                if peer == Peer::None {
                    let early = host.receive(&talk.to(wire, DATA));
                    assert_eq!(early, Err(Skip::Collision));
                    host.memory.now += 2_000_000_000;
                }
                assert_eq!(host.receive(&talk.to(wire, DATA)), Ok(Some(8000)));
                assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(wire)));
            }
        });
    }
}

/// It may be a direct one from before the load.
#[test]
fn nobodys_connection_is_not_joined() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
    });
}

#[test]
fn a_direct_connection_counts_for_no_rule() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        for transport in [SYN_ACK, DATA] {
            assert_eq!(host.send(&talk.from(8000, transport)), Err(Skip::Direct));
        }
        assert_eq!((host.flows(), host.connections()), ([0, 1], 0));
    });
}

/// As a second's silence makes of it, whatever the tables lose.
#[test]
fn its_socket_remembers_that_it_is_direct() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        host.has_socket(&talk, 8000, CONNECTED);
        host.memory.socket = Some(None);
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        host.memory.now += 2_000_000_000;
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        let Some(Some(remembered)) = host.memory.socket else {
            panic!("the socket remembers nothing");
        };
        assert_eq!(remembered.from.get(), 8000);
        host.lose_all_flows();
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        let origin = Some(remembered);
        host.has_socket(&talk, 8000, Peer::Connected { origin });
        assert_eq!(host.receive(&talk.to(80, DATA)), Err(Skip::Collision));
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
    });
}

/// A flood has displaced the flow of a handshake: the repeated SYN is the same connection.
#[test]
fn a_forgotten_handshake_is_its_syns() {
    for port in [80, 8000] {
        each_family(|talk| {
            let mut host = Host::with(&[(80, 8000)]);
            let redirected = (port != 8000).then_some(8000);
            assert_eq!(host.receive(&talk.to(port, OPENING)), Ok(redirected));
            host.has_socket(&talk, 8000, Peer::Handshake);
            host.lose_pending();
            assert_eq!(host.receive(&talk.to(port, OPENING)), Ok(redirected));
            assert!(redirected.is_none() || host.client_port == CLIENT);
        });
    }
}

/// The same, and a stranger's SYN to the wire port.
#[test]
fn a_forgotten_direct_handshake_is_not_led_away() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        host.lose_pending();
        assert!(host.receive(&talk.to(80, OTHER_OPENING)).is_ok());
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
    });
}

/// Two SYNs of a stranger, one to each port, in a connection to a container.
#[test]
fn strangers_do_not_change_what_a_container_answers() {
    for (port, other) in [(80, 8000), (8000, 80)] {
        each_family(|talk| {
            let mut host = answered(&talk, port);
            let redirected = (port != 8000).then_some(8000);
            assert_eq!(host.receive(&talk.to(port, FINAL_ACK)), Ok(redirected));
            let answer = redirected.map_or(Err(Skip::Direct), |_| Ok(Some(port)));
            assert_eq!(host.send(&talk.from(8000, DATA)), answer);
            for (to, sequence) in [(port, 7_000_000), (other, 8_000_000)] {
                let stranger = talk.to(to, tcp(SYN, sequence, 0));
                assert!(host.receive(&stranger).is_ok(), "{to}");
                assert_eq!(host.send(&talk.from(8000, DATA)), answer, "{to}");
            }
        });
    }
}

/// A SYN in a connection that nobody knows is another one, of whichever port it is.
#[test]
fn a_connection_that_nobody_knows_is_not_joined() {
    each_family(|talk| {
        for port in [80, 8000] {
            let mut host = Host::with(&[(80, 8000)]);
            host.has_socket(&talk, 8000, CONNECTED);
            assert_eq!(host.receive(&talk.to(port, tcp(SYN, 9, 0))), Ok(Some(8000)));
            assert_ne!(host.client_port, CLIENT);
        }
    });
}

/// The tables have forgotten the redirected one, and its socket never knew.
#[test]
fn a_forgotten_connection_is_not_joined() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        host.lose_all_flows();
        host.expects(&talk, 8000, 300);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
    });
}

#[test]
fn another_hosts_target_is_not_noted() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.is_routed(&talk);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// Where netfilter redirected too, it may have the connections of which nobody knows here.
#[test]
fn netfilter_keeps_what_it_may_have() {
    each_family(|talk| {
        let origin = origin(80, 0);
        let remembered = Peer::Connected { origin };
        for (netfilter, peer, expected) in [
            (false, CONNECTED, Ok(Some(8000))),
            (true, CONNECTED, Err(Skip::Established)),
            (true, remembered, Ok(Some(8000))),
            (true, Peer::Handshake, Err(Skip::Established)),
            (true, Peer::None, Err(Skip::Established)),
            (false, Peer::None, Ok(Some(8000))),
        ] {
            for packet in [DATA, FINAL_ACK] {
                let mut host = Host::with(&[(80, 8000)]);
                host.memory.netfilter = netfilter;
                host.has_socket(&talk, 8000, peer);
                assert_eq!(host.receive(&talk.to(80, packet)), expected, "{peer:?}");
            }
        }
    });
}

/// What its client's packet has brought back outlives a stranger's SYN.
#[test]
fn a_syn_does_not_displace_what_a_packet_brought_back() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        host.expects(&talk, 8000, 300);
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, tcp(SYN, 9, 0))), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}
