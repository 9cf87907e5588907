//! Datagrams: the flow table is all the memory there is.

mod common;

use common::{Host, Talk, UDP, each_family};
use redirector_common::{Skip, abi::NO_PORT};

fn redirecting() -> Host {
    Host::with(&[(443, 4430)])
}

fn answered(talk: &Talk) -> Host {
    let mut host = redirecting();
    assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
    assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
    host
}

#[test]
fn an_answer_makes_a_connection() {
    each_family(|talk| {
        let mut host = redirecting();
        for _ in 0..2 {
            assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
            assert_eq!((host.flows(), host.connections()), ([1, 0], 0));
        }
        for _ in 0..2 {
            assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
            assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
        }
        host.lose_pending();
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// A UDP socket serves many clients, so it must not remember one of them.
#[test]
fn no_socket_remembers() {
    each_family(|talk| {
        let mut host = answered(&talk);
        host.memory.socket = Some(None);
        host.memory.now = 1 << 40;
        assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
        assert_eq!(host.memory.socket, Some(None));
    });
}

#[test]
fn a_direct_datagram_is_answered_from_its_port() {
    each_family(|talk| {
        let mut host = redirecting();
        assert_eq!(host.receive(&talk.to(4430, UDP)), Ok(None));
        assert_eq!(host.send(&talk.from(4430, UDP)), Err(Skip::Direct));

        let mut host = answered(&talk);
        assert_eq!(host.receive(&talk.to(4430, UDP)), Ok(None));
        assert_eq!(host.send(&talk.from(4430, UDP)), Err(Skip::Direct));
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// A client of its own port, as NTP and IKE are.
#[test]
fn what_this_host_began_is_left_alone() {
    each_family(|talk| {
        let mut host = redirecting();
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        let flow = host.memory.answered.values().next().expect("a note");
        assert_eq!(flow.from, NO_PORT);
        for _ in 0..2 {
            assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
            assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        }
        assert_eq!((host.flows(), host.connections()), ([0, 1], 0));

        let client = (talk.client.0, talk.client.1 + 1);
        let other = Talk { client, ..talk };
        assert_eq!(host.receive(&other.to(443, UDP)), Ok(Some(4430)));
    });
}

/// The wire port's own socket speaks to a peer that was seen before, as NTP and IKE do.
#[test]
fn what_this_host_begins_wins_over_an_older_flow() {
    each_family(|talk| {
        let mut host = redirecting();
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
    });
}

/// The same after the first one was answered.
#[test]
fn the_latest_wire_port_is_answered_again() {
    each_family(|talk| {
        let mut host = Host::with(&[(443, 4430), (444, 4430)]);
        for port in [443, 444] {
            assert_eq!(host.receive(&talk.to(port, UDP)), Ok(Some(4430)));
            assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(port)));
        }
    });
}

/// Two wire ports with one target and one client port: the answer is to the latest question.
#[test]
fn the_latest_wire_port_is_answered() {
    each_family(|talk| {
        let mut host = Host::with(&[(443, 4430), (444, 4430)]);
        for port in [443, 444] {
            assert_eq!(host.receive(&talk.to(port, UDP)), Ok(Some(4430)));
        }
        assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(444)));
    });
}

#[test]
fn link_local_peers_are_distinct_per_interface() {
    let talk = Talk {
        client: ("fe80::1".parse().expect("an address"), 40_000),
        server: "fe80::2".parse().expect("an address"),
    };
    let mut host = redirecting();
    assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
    host.memory.ifindex += 1;
    assert_eq!(host.send(&talk.from(4430, UDP)), Err(Skip::Direct));
    host.memory.ifindex -= 1;
    assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
}

/// Replies may leave by another interface than the one the request came in by.
#[test]
fn other_peers_are_the_same_on_every_interface() {
    each_family(|talk| {
        let mut host = redirecting();
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        host.memory.ifindex += 1;
        assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
    });
}

/// Two minutes without an answer, as `nf_conntrack_udp_timeout_stream`.
#[test]
fn an_idle_flow_follows_the_rule() {
    const SECOND: u64 = 1_000_000_000;
    each_family(|talk| {
        let mut host = answered(&talk);
        host.rule(None, 0, 443, Some(5000));
        for _ in 0..3 {
            host.memory.now += 100 * SECOND;
            assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
            assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
        }
        host.memory.now += 125 * SECOND;
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(5000)));
        assert_eq!(host.send(&talk.from(5000, UDP)), Ok(Some(443)));
    });
}

/// What this host began ends likewise, once neither side speaks: the peer may be a client then.
#[test]
fn what_this_host_began_is_over_in_time() {
    const SECOND: u64 = 1_000_000_000;
    each_family(|talk| {
        let mut host = redirecting();
        host.memory.now += 1000 * SECOND;
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        for _ in 0..3 {
            host.memory.now += 100 * SECOND;
            assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
        }
        for _ in 0..3 {
            host.memory.now += 100 * SECOND;
            assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        }
        host.memory.now += 100 * SECOND;
        assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
        host.memory.now += 135 * SECOND;
        for _ in 0..2 {
            assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
            assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
        }
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
    });
}

/// What the client says alone does not hold it at a target that has been replaced.
#[test]
fn an_unanswered_flow_follows_the_rule() {
    const SECOND: u64 = 1_000_000_000;
    each_family(|talk| {
        let mut host = redirecting();
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        host.rule(None, 0, 443, Some(5000));
        for _ in 0..6 {
            assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
            host.memory.now += 20 * SECOND;
        }
        host.memory.now += 5 * SECOND;
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(5000)));
    });
}
