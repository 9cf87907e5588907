//! What leaves from a wire port and is not this host's own: it is forwarded, as a masqueraded container's.

mod common;

use std::net::IpAddr;

use common::{CONNECTED, DATA, FINAL_ACK, Host, INTERFACE, OPENING, SYN_ACK, UDP, each_family};
use redirector_common::{Peer, Skip};

fn forwarding(rules: &[(u16, u16)]) -> Host {
    let mut host = Host::with(rules);
    host.memory.forwards = true;
    host
}

#[test]
fn its_connections_are_left_alone() {
    each_family(|talk| {
        let mut host = forwarding(&[(4000, 8000)]);
        assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
        for transport in [SYN_ACK, DATA, DATA] {
            assert_eq!(host.receive(&talk.to(4000, transport)), Err(Skip::Outgoing));
            assert_eq!(host.send(&talk.from(4000, DATA)), Ok(None));
        }
        assert_eq!(host.flows(), [1, 0]);
    });
}

/// However long it was silent.
#[test]
fn its_connections_are_left_alone_later() {
    each_family(|talk| {
        let mut host = forwarding(&[(4000, 8000)]);
        assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
        host.memory.now += 7_200_000_000_000;
        assert_eq!(host.receive(&talk.to(4000, DATA)), Err(Skip::Outgoing));
    });
}

/// The same two ends once more, the other way round: the socket tells when the flow is forgotten.
#[test]
fn a_client_may_come_from_where_a_container_went() {
    each_family(|talk| {
        let mut host = forwarding(&[(4000, 8000)]);
        assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
        host.memory.forwards = false;
        assert_eq!(host.receive(&talk.to(4000, OPENING)), Ok(Some(8000)));
        host.memory.answered.clear();
        host.memory
            .pending
            .retain(|_, flow| flow.rule == 0 && flow.flags == 0);
        assert_eq!(host.flows(), [1, 0]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(4000, DATA)), Ok(Some(8000)));
    });
}

#[test]
fn its_datagrams_are_left_alone_for_as_long_as_they_go_on() {
    const SECOND: u64 = 1_000_000_000;
    each_family(|talk| {
        let mut host = forwarding(&[(443, 4430)]);
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        for _ in 0..3 {
            host.memory.now += 100 * SECOND;
            assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
        }
        assert_eq!(host.flows(), [1, 0]);
        host.memory.now += 135 * SECOND;
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        host.memory.forwards = false;
        assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
    });
}

/// What it says displaces nothing in the table of connections.
#[test]
fn what_is_forwarded_fills_no_table_of_connections() {
    each_family(|talk| {
        let mut host = forwarding(&[(443, 4430)]);
        for port in 1..100 {
            let mut other = talk;
            other.client.1 = port;
            for transport in [UDP, OPENING, DATA] {
                let _ = host.send(&other.from(443, transport));
            }
        }
        // One by TCP and one by UDP each.
        assert_eq!(host.flows(), [198, 0]);
    });
}

/// A server on the wire port of an address that no rule is for.
#[test]
fn a_server_beside_the_rule_is_not_noted() {
    each_family(|talk| {
        let mut host = Host::with(&[]);
        let others: IpAddr = match talk.server {
            IpAddr::V4(_) => "192.0.2.77".parse().expect("an address"),
            IpAddr::V6(_) => "2001:db8::77".parse().expect("an address"),
        };
        host.rule(Some(others), 0, 53, Some(5353));
        assert_eq!(host.receive(&talk.to(53, UDP)), Ok(None));
        assert_eq!(host.send(&talk.from(53, UDP)), Ok(None));
        assert_eq!(host.flows(), [0, 0]);
        let mut named = talk;
        named.server = others;
        assert_eq!(host.send(&named.from(53, UDP)), Ok(None));
        assert_eq!(host.flows(), [0, 1]);
    });
}

/// Its port may also be the target of another rule, whose flows are looked for there.
#[test]
fn a_wire_port_that_is_a_target_too() {
    each_family(|talk| {
        for (first, later) in [(OPENING, DATA), (UDP, UDP)] {
            let mut host = forwarding(&[(80, 4000), (4000, 8000)]);
            let _ = host.send(&talk.from(4000, first));
            for _ in 0..2 {
                assert_eq!(host.send(&talk.from(4000, later)), Ok(None));
            }
            assert_eq!(host.flows(), [1, 0]);
        }
    });
}

/// By an address that no rule covers.
#[test]
fn a_connection_beside_the_rule_is_not_noted() {
    each_family(|talk| {
        let mut host = forwarding(&[]);
        let mut named = talk;
        named.server = match talk.server {
            IpAddr::V4(_) => "192.0.2.77".parse().expect("an address"),
            IpAddr::V6(_) => "2001:db8::77".parse().expect("an address"),
        };
        host.rule(Some(named.server), 0, 4000, Some(8000));
        assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
        assert_eq!(host.flows(), [0, 0]);
        assert_eq!(host.send(&named.from(4000, OPENING)), Err(Skip::Outgoing));
        assert_eq!(host.flows(), [1, 0]);
    });
}

/// From the same port of the same peer, and the application has answered it.
#[test]
fn its_datagrams_come_after_a_client_s() {
    each_family(|talk| {
        for is_retargeted in [false, true] {
            let mut host = Host::with(&[(443, 4430)]);
            assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
            assert_eq!(host.send(&talk.from(4430, UDP)), Ok(Some(443)));
            if is_retargeted {
                host.rule(None, 0, 443, Some(4431));
            }
            host.memory.forwards = true;
            assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
            for _ in 0..2 {
                assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
            }
        }
    });
}

/// It leaves by another interface than that of the rule, which the answer comes by.
#[test]
fn an_answer_that_comes_by_another_interface() {
    const OTHER: u32 = INTERFACE + 1;
    each_family(|talk| {
        for forwards in [false, true] {
            let mut host = Host::with(&[]);
            host.rule(None, OTHER, 4000, Some(8000));
            host.memory.forwards = forwards;
            let _ = host.send(&talk.from(4000, UDP));
            let _ = host.send(&talk.from(4000, OPENING));
            if !forwards {
                host.has_socket(&talk, 4000, CONNECTED);
            }
            host.memory.ifindex = OTHER;
            assert_eq!(host.receive(&talk.to(4000, UDP)), Err(Skip::Outgoing));
            let answer = host.receive(&talk.to(4000, SYN_ACK));
            let is_told = [Skip::Outgoing, Skip::Established].contains(&answer.expect_err("left"));
            assert!(is_told, "{answer:?}");
        }
    });
}

/// On an interface that the rule is not for.
#[test]
fn a_server_beside_the_rule_s_interface_fills_no_table_of_connections() {
    each_family(|talk| {
        let mut host = Host::with(&[]);
        host.rule(None, INTERFACE + 1, 53, Some(5353));
        for _ in 0..2 {
            assert_eq!(host.send(&talk.from(53, UDP)), Ok(None));
        }
        assert_eq!(host.flows(), [1, 0]);
    });
}

/// Both are silent for long, the peer speaks first, and then the container again.
#[test]
fn its_datagrams_come_again_after_a_client_s() {
    each_family(|talk| {
        let mut host = forwarding(&[(443, 4430)]);
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        host.memory.now += 200_000_000_000;
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(4430)));
        assert_eq!(host.send(&talk.from(443, UDP)), Ok(None));
        assert_eq!(host.receive(&talk.to(443, UDP)), Err(Skip::Outgoing));
    });
}

/// A spoofed SYN has a handshake begin at the target, or a connection there is just over.
#[test]
fn its_connections_are_left_alone_beside_what_is_none() {
    each_family(|talk| {
        for peer in [Peer::Handshake, Peer::TimeWait] {
            let mut host = forwarding(&[(4000, 8000)]);
            assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
            assert_eq!(host.receive(&talk.to(4000, OPENING)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, peer);
            assert_eq!(host.receive(&talk.to(4000, DATA)), Err(Skip::Outgoing));
        }
    });
}

#[test]
fn a_client_s_connection_ends_what_is_known_of_a_container_s() {
    each_family(|talk| {
        let mut host = forwarding(&[(4000, 8000)]);
        assert_eq!(host.send(&talk.from(4000, OPENING)), Err(Skip::Outgoing));
        host.memory.forwards = false;
        assert_eq!(host.receive(&talk.to(4000, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(4000)));
        assert_eq!(host.flows(), [2, 0]);
        assert_eq!(host.receive(&talk.to(4000, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(host.flows(), [0, 1]);
    });
}
