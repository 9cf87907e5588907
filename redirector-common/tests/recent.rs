//! The cache in front of the tables. That it makes no difference is asked of every packet of all tests
//! (`invariants::cross`); here is what it does without them, and what it must not believe.

mod common;

use std::collections::HashSet;

use common::{Crossing, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, UDP, each_family, tcp};
use redirector_common::{
    Direction, Peer, Skip, Verdict,
    abi::{FlowKey, KEY_FLOW, NO_PORT, Port, Protocol, Recent, SocketFlow},
    native::{
        Frame,
        craft::{self, ACK, Craft, FIN, Fragment, RST, SYN},
    },
    recent::place_of,
    redirect,
};

const SECOND: u64 = 1_000_000_000;

/// A host that redirects 80 to 8000 and has a connection, of which the cache knows from either side.
fn cached(talk: &Talk) -> Host {
    let mut host = Host::connected(talk);
    assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
    assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    host
}

/// What is left when only the cache knows.
fn alone(mut host: Host) -> Host {
    host.memory.pending.clear();
    host.memory.answered.clear();
    host.memory.socket = None;
    host
}

/// Without what the other tests ask, as the tables know nothing.
fn cross(host: &mut Host, packet: &Craft, direction: Direction) -> Crossing {
    let mut frame: Frame = packet.frame();
    frame.other_host = host.other_host;
    let port = |frame: &Frame, at| {
        let at = packet.transport() + at;
        u16::from_be_bytes([frame.bytes[at], frame.bytes[at + 1]])
    };
    match redirect(&mut frame, &mut host.memory, direction)? {
        Verdict::Unrelated => Ok(None),
        Verdict::Redirected { .. } => Ok(Some(match direction {
            Direction::Ingress => port(&frame, 2),
            Direction::Egress => port(&frame, 0),
        })),
    }
}

/// Whether a packet of the client is done with by the cache: what the tables do not know begins a flow anew.
fn is_known(host: &Host, packet: &Craft) -> bool {
    let mut host = alone(host.clone());
    let crossing = cross(&mut host, packet, Direction::Ingress);
    crossing == Ok(Some(8000)) && host.flows() == [0, 0]
}

/// The same of the application.
fn is_answered(host: &Host, packet: &Craft) -> bool {
    let mut host = alone(host.clone());
    cross(&mut host, packet, Direction::Egress) == Ok(Some(80))
}

#[test]
fn later_packets_need_no_table() {
    each_family(|talk| {
        let mut host = alone(cached(&talk));
        let before = host.counters(0);
        for flags in [ACK, ACK | FIN] {
            let segment = tcp(flags, 301, 701);
            let request = cross(&mut host, &talk.to(80, segment), Direction::Ingress);
            let answer = cross(&mut host, &talk.from(8000, segment), Direction::Egress);
            assert_eq!((request, answer), (Ok(Some(8000)), Ok(Some(80))));
        }
        let now = host.counters(0);
        assert_eq!(now.in_packets - before.in_packets, 2);
        assert_eq!(now.out_packets - before.out_packets, 2);
        let length = talk.to(80, DATA);
        let length = (length.frame().bytes.len() - length.network()) as u64;
        assert_eq!(now.in_bytes - before.in_bytes, 2 * length);
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// One packet in eight is too seldom for a short one.
#[test]
fn a_connection_is_known_once_it_is_proven() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.memory.noted = u64::MAX;
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert!(!is_answered(&host, &talk.from(8000, DATA)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert!(is_known(&host, &talk.to(80, DATA)));
        assert!(is_answered(&host, &talk.from(8000, DATA)));
    });
}

/// Whatever their numbers step by: nowhere much fewer or more, as these are no chance.
#[test]
fn one_segment_in_eight_is_noted() {
    const SEGMENTS: u32 = 1024;
    each_family(|talk| {
        for step in [1, 8, 512, 1220, 1448, 4096, 8948, 65_160] {
            for is_upload in [false, true] {
                let mut host = Host::connected(&talk);
                host.memory.noted = 7;
                let noted = (0..SEGMENTS).filter(|number| {
                    host.memory.recent.clear();
                    let stepping = 1_000_000 + number * step;
                    let segment = if is_upload {
                        tcp(ACK, stepping, 501)
                    } else {
                        tcp(ACK, 101, stepping)
                    };
                    assert_eq!(host.receive(&talk.to(80, segment)), Ok(Some(8000)));
                    host.memory.recent.values().any(|place| place.check != 0)
                });
                let noted = noted.count() as u32;
                assert!(
                    (SEGMENTS / 16..SEGMENTS / 4).contains(&noted),
                    "{noted} of those that step by {step}, upload {is_upload}"
                );
            }
        }
    });
}

#[test]
fn what_is_unusual_is_for_the_tables() {
    each_family(|talk| {
        let host = cached(&talk);
        let usual = talk.to(80, DATA);
        assert!(is_known(&host, &usual));
        assert!(is_answered(&host, &talk.from(8000, DATA)));
        for flags in [SYN, SYN | ACK, RST, RST | ACK] {
            let segment = tcp(flags, 300, 700);
            assert!(!is_known(&host, &talk.to(80, segment)), "{flags:#x}");
            assert!(!is_answered(&host, &talk.from(8000, segment)), "{flags:#x}");
        }
        let tagged = Craft {
            tags: vec![0x8100],
            ..usual.clone()
        };
        let fragment = Craft {
            fragment: Some(Fragment {
                offset: 1,
                more: false,
            }),
            ..usual.clone()
        };
        let datagram = Craft {
            payload: vec![0; 40],
            ..talk.to(80, UDP)
        };
        for other in [tagged, fragment, datagram] {
            assert!(!is_known(&host, &other), "{other:?}");
        }
        let mut others = alone(cached(&talk));
        others.other_host = true;
        assert!(cross(&mut others, &usual, Direction::Ingress).is_err());
    });
}

/// A super-packet's, and a header that promises less than there is.
#[test]
fn lengths_that_say_nothing_are_for_the_tables() {
    each_family(|talk| {
        let (field, lengths) = if talk.server.is_ipv6() {
            (18, [0, 1, 19])
        } else {
            (16, [0, 20, 39])
        };
        for length in lengths {
            let mut host = alone(cached(&talk));
            let mut frame = talk.to(80, DATA).frame();
            frame.bytes[field..][..2].copy_from_slice(&u16::to_be_bytes(length));
            let before = host.counters(0).in_packets;
            let _ = redirect(&mut frame, &mut host.memory, Direction::Ingress);
            let begun = host.flows() != [0, 0];
            let counted = host.counters(0).in_packets != before;
            assert_eq!(begun, counted, "{length}: done with by the cache");
        }
    });
}

/// Neighbouring clients and ports share places as seldom as chance has it.
#[test]
fn places_are_spread() {
    let place = |client: u8, port: u16| {
        place_of(&FlowKey {
            remote: craft::address([10, client, 1, 5].into()),
            local: craft::address([192, 0, 2, 1].into()),
            remote_port: Port::new(40_000 + port),
            local_port: Port::new(8000),
            scope: 0,
            kind: KEY_FLOW,
            protocol: Protocol::TCP,
        })
    };
    let places = (0..64).flat_map(|client| (0..256).map(move |port| place(client, port)));
    let distinct = places.collect::<HashSet<u32>>().len();
    // Of n balls in n boxes, a part of 1 - 1/e is not empty: 10,357 here.
    assert!((10_000..10_700).contains(&distinct), "{distinct}");
}

#[test]
fn what_is_cut_short_reaches_nobody() {
    each_family(|talk| {
        let mut host = cached(&talk);
        let mut frame = talk.to(80, DATA).frame();
        frame.bytes.pop();
        let verdict = redirect(&mut frame, &mut host.memory, Direction::Ingress);
        assert_eq!(verdict, Err(Skip::Malformed));
    });
}

#[test]
fn other_tuples_and_ports_are_not_known() {
    each_family(|talk| {
        let mut host = cached(&talk);
        host.rule(None, 0, 81, Some(8000));
        let other_client = Talk {
            client: (talk.client.0, talk.client.1 + 1),
            ..talk
        };
        assert!(is_known(&host, &talk.to(80, DATA)));
        assert!(!is_known(&host, &talk.to(81, DATA)));
        assert!(!is_known(&host, &other_client.to(80, DATA)));
        assert!(!is_answered(&host, &other_client.from(8000, DATA)));
        // The rule's target is another one now: its connections are asked for among the earlier ones.
        host.rule(None, 0, 80, Some(9000));
        assert!(!is_known(&host, &talk.to(80, DATA)));
        // A rule for one address may lead elsewhere.
        host.rule(None, 0, 80, Some(8000));
        assert!(is_known(&host, &talk.to(80, DATA)));
        host.rule(Some(talk.server), 0, 80, Some(9000));
        assert!(!is_known(&host, &talk.to(80, DATA)));
    });
}

#[test]
fn whatever_ends_a_flow_ends_it_here() {
    type End = fn(&mut Host, &Talk);
    let endings: [(&str, End); 5] = [
        ("a new connection straight to the target", |host, talk| {
            host.memory.peers.clear();
            assert_eq!(host.receive(&talk.to(8000, tcp(SYN, 9000, 0))), Ok(None));
            let _ = host.send(&talk.from(8000, tcp(SYN | ACK, 1, 9001)));
        }),
        ("a new connection through the wire port", |host, talk| {
            host.memory.peers.clear();
            let opening = host.receive(&talk.to(80, tcp(SYN, 9000, 0)));
            assert_eq!(opening, Ok(Some(8000)));
            let _ = host.send(&talk.from(8000, tcp(SYN | ACK, 1, 9001)));
        }),
        (
            "this host's own connection from the target",
            |host, talk| {
                let _ = host.send(&talk.from(8000, OPENING));
            },
        ),
        (
            "this host's own connection from the wire port",
            |host, talk| {
                let _ = host.send(&talk.from(80, OPENING));
            },
        ),
        ("a new connection to another target", |host, talk| {
            host.rule(None, 0, 80, Some(9000));
            host.memory.peers.clear();
            let opening = host.receive(&talk.to(80, OPENING));
            assert_eq!(opening, Ok(Some(9000)));
            assert_eq!(host.send(&talk.from(9000, SYN_ACK)), Ok(Some(80)));
            assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(9000)));
        }),
    ];
    for (name, end) in endings {
        // Also where the table has forgotten it, and only the cache has not.
        for is_evicted in [false, true] {
            each_family(|talk| {
                let mut host = cached(&talk);
                assert!(is_known(&host, &talk.to(80, DATA)), "{name}");
                if is_evicted {
                    host.memory.answered.clear();
                }
                end(&mut host, &talk);
                assert!(!is_known(&host, &talk.to(80, DATA)), "{name} {is_evicted}");
                assert!(
                    !is_answered(&host, &talk.from(8000, DATA)),
                    "{name} {is_evicted}"
                );
            });
        }
    }
}

/// It has no UDP, and anybody can send datagrams: what they end in it is somebody else's.
#[test]
fn datagrams_without_an_answer_end_nothing_here() {
    each_family(|talk| {
        let mut host = cached(&talk);
        let before = host.memory.recent.clone();
        for port in [80, 8000, 8000] {
            let _ = host.receive(&talk.to(port, UDP));
        }
        assert_eq!(host.memory.recent, before);
    });
}

/// CPUs write without a lock: parts of two entries, or one that was ended meanwhile.
#[test]
fn what_does_not_belong_together_is_not_believed() {
    type Change = fn(&mut Recent);
    let changes: [Change; 8] = [
        |entry| entry.remote = entry.local,
        |entry| entry.local = entry.remote,
        |entry| entry.remote_port = Port::new(1),
        |entry| entry.local_port = Port::new(1),
        |entry| entry.created += 1,
        |entry| entry.generation += 1,
        |entry| entry.origin ^= 1,
        |entry| entry.check ^= 1,
    ];
    each_family(|talk| {
        let host = cached(&talk);
        for (number, change) in changes.iter().enumerate() {
            let mut host = host.clone();
            host.memory.recent.values_mut().for_each(change);
            assert!(!is_known(&host, &talk.to(80, DATA)), "{number}");
            assert!(!is_answered(&host, &talk.from(8000, DATA)), "{number}");
        }
    });
}

#[test]
fn the_socket_remembers_although_the_cache_knows() {
    each_family(|talk| {
        let mut host = cached(&talk);
        host.memory.socket = Some(None);
        let answer = talk.from(8000, DATA);
        assert_eq!(host.send(&answer), Ok(Some(80)));
        assert_eq!(host.memory.socket, Some(None));
        host.memory.now += 2 * SECOND;
        assert_eq!(host.send(&answer), Ok(Some(80)));
        let origin = SocketFlow {
            rule: 0,
            from: Port::new(80),
            client: NO_PORT,
        };
        assert_eq!(host.memory.socket, Some(Some(origin)));
        // From then on the cache knows it for good.
        assert_eq!(host.send(&answer), Ok(Some(80)));
        host.memory.now += 2 * SECOND;
        assert!(is_answered(&host, &answer));
    });
}

/// What has no socket here, as a container's, is not asked for one each time.
#[test]
fn what_has_no_socket_is_known_for_good() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.memory.now += 2 * SECOND;
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert!(is_answered(&host, &talk.from(8000, DATA)));
    });
}

/// A link-local peer is another one on another interface, which the cache does not tell apart.
#[test]
fn link_local_peers_are_for_the_tables() {
    let talk = Talk {
        client: ("fe80::9".parse().expect("an address"), 40_000),
        server: "fe80::1".parse().expect("an address"),
    };
    let host = cached(&talk);
    assert!(host.memory.recent.values().all(|entry| entry.check == 0));
    assert!(!is_known(&host, &talk.to(80, DATA)));
}

#[test]
fn whoever_traces_hears_of_every_packet() {
    each_family(|talk| {
        let mut host = cached(&talk);
        host.memory.traced = Some(Vec::new());
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.memory.traced.expect("told").len(), 2);
    });
}

/// Packets that another interface's program has rewritten.
#[test]
fn what_is_done_is_left_alone() {
    each_family(|talk| {
        let mut host = alone(cached(&talk));
        host.memory.mark = 7;
        for direction in [Direction::Ingress, Direction::Egress] {
            let packet = match direction {
                Direction::Ingress => talk.to(80, DATA),
                Direction::Egress => talk.from(8000, DATA),
            };
            for (mark, verdict) in [
                (7, Verdict::Unrelated),
                (0, Verdict::Redirected { rule: 0 }),
            ] {
                let mut frame = packet.frame();
                frame.mark = mark;
                let crossed = redirect(&mut frame, &mut host.memory, direction);
                assert_eq!(crossed, Ok(verdict));
                assert_eq!(frame.mark, 7);
            }
        }
    });
}
