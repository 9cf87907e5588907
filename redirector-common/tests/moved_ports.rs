//! Where a client's port is moved, what stays of it, and what does not.

use std::collections::BTreeSet;

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, ORDERS, OTHER_OPENING, connected, open_second, origin};
use redirector_common::{
    Peer, Skip,
    native::craft::{ACK, SYN},
};

/// What is settled of the moved connection outlives the flood that takes the new one's beginning.
#[test]
fn a_client_keeps_the_port_it_got_back() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            if second == 8000 {
                return;
            }
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            for ended in [talk, moved] {
                host.has_socket(&ended, 8000, Peer::None);
            }
            let opening = tcp(SYN, 70_000, 0);
            assert_eq!(host.receive(&talk.to(second, opening)), Ok(Some(8000)));
            host.lose_pending();
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
            assert_eq!(host.client_port, CLIENT);
        });
    }
}

/// The tables have forgotten the first connection, its socket has not.
#[test]
fn a_socket_alone_keeps_its_tuple() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        let origin = origin(80, 0);
        host.has_socket(&talk, 8000, Peer::Connected { origin });
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
    });
}

/// Neither a connection's socket nor a handshake that has none yet is where another one goes.
#[test]
fn it_is_moved_to_a_port_that_nobody_has() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        let candidate = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        for has_socket in [false, true] {
            let mut host = connected(&talk, 80);
            if has_socket {
                host.has_socket(&candidate, 8000, CONNECTED);
            } else {
                assert_eq!(host.receive(&candidate.to(81, OPENING)), Ok(Some(8000)));
            }
            assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
            assert_ne!(host.client_port, CLIENT);
            assert_ne!(host.client_port, candidate.client.1, "{has_socket}");
        }
    });
}

/// Three candidates are taken; later there are others.
#[test]
fn a_repetition_tries_other_ports() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        let mut taken = Vec::new();
        let free = loop {
            match host.receive(&talk.to(8000, OTHER_OPENING)) {
                Ok(_) => taken.push(host.client_port),
                Err(skip) => break skip,
            }
            let candidate = Talk {
                client: (talk.client.0, host.client_port),
                ..talk
            };
            host.has_socket(&candidate, 8000, Peer::TimeWait);
            host.lose_pending();
            assert!(taken.len() < 100, "{taken:?}");
        };
        assert_eq!(free, Skip::Collision);
        host.memory.now += 2_000_000_000;
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        assert!(!taken.contains(&host.client_port), "{taken:?}");
    });
}

/// Whatever port the client appears from, its tuple at the target has a socket.
fn take_every_port(host: &mut Host, talk: &Talk, peer: Peer) {
    for port in 1..=u16::MAX {
        let other = Talk {
            client: (talk.client.0, port),
            ..*talk
        };
        host.has_socket(&other, 8000, peer);
    }
}

/// Every candidate is taken: the packet is left as it is, and the first connection lives.
#[test]
fn without_a_free_port_the_first_is_unharmed() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        take_every_port(&mut host, &talk, CONNECTED);
        assert_eq!(
            host.receive(&talk.to(8000, OTHER_OPENING)),
            Err(Skip::Collision)
        );
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}

/// The same through the wire port, where it is the direct one that lives.
#[test]
fn without_a_free_port_a_direct_one_is_unharmed() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        take_every_port(&mut host, &talk, CONNECTED);
        assert_eq!(
            host.receive(&talk.to(80, OTHER_OPENING)),
            Err(Skip::Collision)
        );
        assert_eq!(host.receive(&talk.to(8000, DATA)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
    });
}

/// One client port to many wire ports of one target, in one second.
#[test]
fn each_wire_port_has_ports_of_its_own() {
    let rules: Vec<_> = (80..90).map(|port| (port, 8000)).collect();
    each_family(|talk| {
        let mut host = Host::with(&rules);
        let mut ports = BTreeSet::new();
        for (from, _) in &rules {
            assert_eq!(host.receive(&talk.to(*from, OPENING)), Ok(Some(8000)));
            ports.insert(host.client_port);
            let moved = Talk {
                client: (talk.client.0, host.client_port),
                ..talk
            };
            host.has_socket(&moved, 8000, CONNECTED);
        }
        assert_eq!(ports.len(), rules.len());
    });
}

/// Every candidate is over, and so is what has the tuple: this one takes its place.
#[test]
fn without_a_free_port_what_is_over_makes_room() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        take_every_port(&mut host, &talk, Peer::TimeWait);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
    });
}

/// Ports below 1024 say that the client's program is privileged.
#[test]
fn a_privileged_port_stays_privileged() {
    for port in [1, 511, 512, 1023] {
        each_family(|talk| {
            let talk = Talk {
                client: (talk.client.0, port),
                ..talk
            };
            let mut host = connected(&talk, 80);
            assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
            assert!(
                (512..1024).contains(&host.client_port),
                "{}",
                host.client_port
            );
            assert_ne!(host.client_port, port);
        });
    }
}

/// Ports from 1024 on say that the client's program need not be privileged, and stay there.
#[test]
fn an_ordinary_port_stays_ordinary() {
    for port in (1024..=u16::MAX).step_by(7) {
        each_family(|talk| {
            let talk = Talk {
                client: (talk.client.0, port),
                ..talk
            };
            let mut host = connected(&talk, 80);
            assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
            assert!(host.client_port >= 1024, "{}", host.client_port);
        });
    }
}

/// Tables evict single entries: what leads to the flow may outlive the flow.
#[test]
fn a_client_brings_its_moved_flow_back() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            host.lose_pending();
            host.memory.answered.clear();
            assert_eq!(host.receive(&talk.to(second, DATA)), Ok(Some(8000)));
            assert_eq!(host.client_port, moved.client.1);
            assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
            assert_eq!(host.client_port, CLIENT);
        });
    }
}

/// The port that a connection is moved to again was meanwhile a client's own.
#[test]
fn an_old_flow_does_not_answer() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.has_socket(&moved, 8000, Peer::None);
        assert_eq!(host.receive(&moved.to(81, OPENING)), Ok(Some(8000)));
        assert_eq!(host.client_port, moved.client.1);
        assert_eq!(host.send(&moved.from(8000, SYN_ACK)), Ok(Some(81)));
        assert_eq!(host.receive(&moved.to(81, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&moved, 8000, Peer::None);
        let opening = tcp(SYN, 70_000, 0);
        assert_eq!(host.receive(&talk.to(80, opening)), Ok(Some(8000)));
        let again = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        let answer = tcp(SYN | ACK, 500, 70_001);
        assert_eq!(host.send(&again.from(8000, answer)), Ok(Some(80)));
        assert_eq!(host.client_port, CLIENT);
    });
}

#[test]
fn a_repeated_syn_is_no_new_connection() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            let counted = host.connections();
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(second)));
            assert_eq!(host.connections(), counted);
        });
    }
}

/// The port that a connection was moved to is another's when its client comes back.
#[test]
fn an_old_marker_does_not_lead() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.has_socket(&moved, 8000, Peer::None);
        assert_eq!(host.receive(&moved.to(81, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&moved.from(8000, SYN_ACK)), Ok(Some(81)));
        assert_eq!(host.receive(&moved.to(81, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&moved, 8000, CONNECTED);
        let opening = tcp(SYN, 70_000, 0);
        assert_eq!(host.receive(&talk.to(80, opening)), Ok(Some(8000)));
        let again = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_ne!(again.client.1, moved.client.1);
        host.has_socket(&again, 8000, Peer::Handshake);
        let answer = tcp(SYN | ACK, 0, 70_001);
        assert_eq!(host.send(&again.from(8000, answer)), Ok(Some(80)));
        let ack = tcp(ACK, 70_001, 1);
        assert_eq!(host.receive(&talk.to(80, ack)), Ok(Some(8000)));
        assert_eq!(host.client_port, again.client.1);
    });
}

/// The wire port is served by itself after its rule.
#[test]
fn a_removed_rule_leaves_no_marker() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        for ended in [talk, moved] {
            host.has_socket(&ended, 8000, Peer::None);
        }
        host.rule(None, 0, 80, None);
        assert_eq!(host.receive(&talk.to(80, tcp(SYN, 70_000, 0))), Ok(None));
        host.has_socket(&talk, 80, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(None));
    });
}
