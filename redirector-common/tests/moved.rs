//! One client port to two ports of one target: two connections, and one tuple after the rewrite. The
//! second one gets another client port.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, ORDERS, OTHER_OPENING, OTHER_SYN_ACK, connected, open_second, origin};
use redirector_common::{Peer, Skip, native::craft::SYN};

/// Both live, each with its own ports on the wire.
fn assert_both_live(host: &mut Host, talk: &Talk, moved: &Talk, first: u16, second: u16) {
    for _ in 0..2 {
        let direct = (first != 8000).then_some(8000);
        assert_eq!(host.receive(&talk.to(first, DATA)), Ok(direct));
        if first != 8000 {
            assert_eq!(host.client_port, CLIENT);
            assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(first)));
        } else {
            assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        }
        assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
        assert_eq!(host.client_port, moved.client.1);
        assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
        assert_eq!(host.client_port, CLIENT);
    }
}

#[test]
fn both_are_served_in_any_order() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            assert_both_live(&mut host, &talk, &moved, first, second);
            let counted = u64::from(first != 8000) + u64::from(second != 8000);
            assert_eq!(host.connections(), counted);
        });
    }
}

/// The second comes while the first one's handshake is not over.
#[test]
fn a_handshake_is_not_disturbed() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            let redirected = (first != 8000).then_some(8000);
            assert_eq!(host.receive(&talk.to(first, OPENING)), Ok(redirected));
            host.has_socket(&talk, 8000, Peer::Handshake);
            let answer = redirected.map_or(Err(Skip::Direct), |_| Ok(Some(first)));
            assert_eq!(host.send(&talk.from(8000, SYN_ACK)), answer);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            assert_ne!(host.client_port, CLIENT);
            // A repetition of the first stays with it.
            assert_eq!(host.receive(&talk.to(first, OPENING)), Ok(redirected));
            if first != 8000 {
                assert_eq!(host.client_port, CLIENT);
            }
        });
    }
}

#[test]
fn a_repeated_syn_keeps_its_port() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            let port = host.client_port;
            let moved = Talk {
                client: (talk.client.0, port),
                ..talk
            };
            for peer in [Peer::None, Peer::Handshake, CONNECTED] {
                host.has_socket(&moved, 8000, peer);
                if peer == Peer::Handshake {
                    assert_eq!(
                        host.send(&moved.from(8000, OTHER_SYN_ACK)),
                        Ok(Some(second))
                    );
                }
                assert_eq!(
                    host.receive(&talk.to(second, OTHER_OPENING)),
                    Ok(Some(8000))
                );
                assert_eq!(host.client_port, port, "{peer:?}");
            }
        });
    }
}

/// A spoofed flood churns the pending table, and no more.
#[test]
fn a_flood_evicts_neither() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            host.lose_pending();
            assert_both_live(&mut host, &talk, &moved, first, second);
        });
    }
}

/// The socket remembers both ports.
#[test]
fn the_socket_remembers_the_clients_port() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.memory.now = 1 << 40;
        host.memory.socket = Some(None);
        assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.memory.socket, Some(origin(80, CLIENT)));
        host.lose_all_flows();
        assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.client_port, CLIENT);
    });
}

/// When both are over, the client's port is its own again.
#[test]
fn a_client_gets_its_port_back() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            for ended in [talk, moved] {
                host.has_socket(&ended, 8000, Peer::None);
            }
            let redirected = (second != 8000).then_some(8000);
            let opening = tcp(SYN, 70_000, 0);
            assert_eq!(host.receive(&talk.to(second, opening)), Ok(redirected));
            if second != 8000 {
                assert_eq!(host.client_port, CLIENT);
            }
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(redirected));
        });
    }
}

/// A third connection comes from the very port that the second was moved to.
#[test]
fn the_port_it_was_moved_to_can_be_a_clients() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        let moved = open_second(&mut host, &talk, 8000);
        assert_eq!(
            host.receive(&moved.to(80, tcp(SYN, 70_000, 0))),
            Ok(Some(8000))
        );
        assert_ne!(host.client_port, CLIENT);
        assert_ne!(host.client_port, moved.client.1);
        assert_both_live(&mut host, &talk, &moved, 80, 8000);
    });
}

/// Two wire ports with one target: the socket knows which one it came through, and from which port.
#[test]
fn the_socket_tells_which_wire_port_it_is() {
    each_family(|talk| {
        for (from, client, is_moved) in [(80, 0, false), (81, 0, true), (80, 40_001, true)] {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            let origin = origin(80, client);
            host.has_socket(&talk, 8000, Peer::Connected { origin });
            assert_eq!(host.receive(&talk.to(from, OPENING)), Ok(Some(8000)));
            assert_eq!(host.client_port != CLIENT, is_moved);
        }
    });
}

/// A TIME_WAIT of another port would answer the SYN with an ACK that its client does not expect.
#[test]
fn another_ports_time_wait_is_left_alone() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            host.has_socket(&talk, 8000, Peer::TimeWait);
            let moved = first != 8000 || second != 8000;
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            assert_eq!(host.client_port != CLIENT, moved, "{first} then {second}");
        });
    }
}

/// The tables have forgotten it, and its client speaks after the application did.
#[test]
fn a_socket_brings_the_moved_port_back() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            host.memory.now = 1 << 40;
            host.memory.socket = Some(None);
            assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
            let origin = host.memory.socket.flatten();
            host.has_socket(&moved, 8000, Peer::Connected { origin });
            host.lose_all_flows();
            assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
            assert_eq!(host.client_port, moved.client.1);
        });
    }
}

/// A client's packet from the very port that another connection was moved to is not that one's.
#[test]
fn a_moved_connection_is_not_joined() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        let origin = origin(80, CLIENT);
        host.has_socket(&moved, 8000, Peer::Connected { origin });
        assert_eq!(host.receive(&moved.to(80, DATA)), Err(Skip::Collision));
        host.has_socket(&moved, 8000, CONNECTED);
        host.expects(&moved, 8000, u32::MAX / 2);
        assert_eq!(host.receive(&moved.to(80, DATA)), Err(Skip::Collision));
        assert_eq!(
            host.receive(&moved.to(80, tcp(SYN, 70_000, 0))),
            Ok(Some(8000))
        );
        assert_ne!(host.client_port, moved.client.1);
        assert_both_live(&mut host, &talk, &moved, 8000, 80);
    });
}

/// A SYN, which anybody can send, does not end a moved connection when the first one is over.
#[test]
fn a_syn_stays_with_a_live_moved_connection() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            host.has_socket(&talk, 8000, Peer::None);
            for packet in [tcp(SYN, 70_000, 0), DATA] {
                assert_eq!(host.receive(&talk.to(second, packet)), Ok(Some(8000)));
                assert_eq!(host.client_port, moved.client.1);
            }
        });
    }
}

/// Nor does it lead an idle connection away whose flow was forgotten.
#[test]
fn a_syn_does_not_lead_a_forgotten_connection_away() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        host.lose_all_flows();
        host.expects(&talk, 8000, 300);
        host.receive(&talk.to(80, OTHER_OPENING))
            .expect("it goes on");
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}

/// 8000 is another rule's source, so a connection through 80 is none of the wire port itself.
#[test]
fn both_ends_of_a_chain_are_served() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (8000, 9000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(9000)));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
    });
}
