//! Whose a tuple is, and for how long.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, ORDERS, OTHER_FINAL_ACK, OTHER_OPENING, OTHER_SYN_ACK, connected, origin};
use redirector_common::{
    Peer, Skip,
    native::craft::{ACK, SYN},
};

/// A handshake that was reset has no tuple any more, however young it is.
#[test]
fn a_handshake_that_is_over_is_nobodys() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            assert!(host.receive(&talk.to(first, OPENING)).is_ok());
            host.has_socket(&talk, 8000, Peer::Handshake);
            let _ = host.send(&talk.from(8000, SYN_ACK));
            host.has_socket(&talk, 8000, Peer::None);
            let redirected = (second != 8000).then_some(8000);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(redirected)
            );
            assert!(redirected.is_none() || host.client_port == CLIENT);
        });
    }
}

/// Neither a rule's source nor its own: the wire port is another rule's target, and its socket remembers
/// who was led there.
#[test]
fn a_socket_of_the_wire_port_tells_whose_it_is() {
    each_family(|talk| {
        let others = Ok(Some(8000));
        for (from, client, crossing) in [
            (80, 0, Err(Skip::Established)),
            (443, 0, others),
            (80, 40_001, others),
        ] {
            let mut host = Host::with(&[(80, 8000), (443, 80)]);
            let origin = origin(from, client);
            host.has_socket(&talk, 80, Peer::Connected { origin });
            assert_eq!(host.receive(&talk.to(80, OPENING)), crossing);
        }
    });
}

/// A rule is added whose source is a target: connections with that port itself stay there.
#[test]
fn a_rule_takes_no_connection_from_its_wire_port() {
    each_family(|talk| {
        for (peer, crossing) in [
            (Peer::Handshake, Err(Skip::Established)),
            (CONNECTED, Err(Skip::Established)),
            (Peer::TimeWait, Ok(Some(8000))),
            (Peer::None, Ok(Some(8000))),
        ] {
            for is_known in [true, false] {
                let mut host = Host::with(&[(443, 80)]);
                assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(None));
                host.has_socket(&talk, 80, Peer::Handshake);
                assert_eq!(host.send(&talk.from(80, SYN_ACK)), Err(Skip::Direct));
                if !is_known {
                    host.lose_all_flows();
                }
                host.has_socket(&talk, 80, peer);
                host.rule(None, 0, 80, Some(8000));
                assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), crossing);
            }
        }
    });
}

/// The same where its connection was led there by another rule.
#[test]
fn a_rule_takes_what_begins_beside_a_redirected_connection() {
    each_family(|talk| {
        for peer in [Peer::Handshake, CONNECTED] {
            let mut host = Host::with(&[(443, 80)]);
            assert_eq!(host.receive(&talk.to(443, OPENING)), Ok(Some(80)));
            host.has_socket(&talk, 80, Peer::Handshake);
            assert_eq!(host.send(&talk.from(80, SYN_ACK)), Ok(Some(443)));
            host.has_socket(&talk, 80, peer);
            host.rule(None, 0, 80, Some(8000));
            assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
        }
    });
}

/// Nobody knows whose: a SYN that stays as it is meets what the kernel makes of it.
#[test]
fn an_unknown_time_wait_is_left_to_direct_connections() {
    each_family(|talk| {
        for (port, crossing) in [(8000, Ok(None)), (80, Ok(Some(8000)))] {
            let mut host = Host::with(&[(80, 8000)]);
            host.has_socket(&talk, 8000, Peer::TimeWait);
            assert_eq!(host.receive(&talk.to(port, OPENING)), crossing);
            assert!(port == 8000 || host.client_port != CLIENT);
        }
    });
}

/// The rules of 80 were changed: what is known of a client's connection before is over, and of another
/// wire port's is not.
#[test]
fn an_accepted_connection_ends_its_own_at_earlier_targets() {
    each_family(|talk| {
        for (before, left) in [(80, 1), (81, 2)] {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            assert_eq!(host.receive(&talk.to(before, OPENING)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, Peer::Handshake);
            assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(before)));
            assert_eq!(host.receive(&talk.to(before, FINAL_ACK)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, Peer::None);
            host.rule(None, 0, 80, Some(9000));
            assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(9000)));
            host.has_socket(&talk, 9000, Peer::Handshake);
            assert_eq!(host.send(&talk.from(9000, OTHER_SYN_ACK)), Ok(Some(80)));
            assert_eq!(host.receive(&talk.to(80, OTHER_FINAL_ACK)), Ok(Some(9000)));
            assert_eq!(host.flows(), [0, left]);
        }
    });
}

/// It had a socket while it lasted.
#[test]
fn what_resumed_and_is_over_is_nobodys() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (81, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        host.has_socket(&talk, 8000, Peer::None);
        assert_eq!(host.receive(&talk.to(81, OTHER_OPENING)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
    });
}

/// It was not answered, and who has the port that it was moved to is another one.
#[test]
fn a_move_alone_leads_to_no_other_connection() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        let moved = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        host.has_socket(&moved, 8000, CONNECTED);
        host.expects(&talk, 8000, 1 << 30);
        assert_eq!(host.receive(&talk.to(8000, DATA)), Ok(None));
    });
}

/// Nothing tells that a container's is over, but the next one counts.
#[test]
fn a_moved_connection_may_begin_again() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        for number in [1 << 30, 1 << 31] {
            let opening = tcp(SYN, number, 0);
            assert_eq!(host.receive(&talk.to(80, opening)), Ok(Some(8000)));
            assert_ne!(host.client_port, CLIENT);
            let moved = Talk {
                client: (talk.client.0, host.client_port),
                ..talk
            };
            let answer = tcp(SYN | ACK, 500, number + 1);
            assert_eq!(host.send(&moved.from(8000, answer)), Ok(Some(80)));
            let last = tcp(ACK, number + 1, 501);
            assert_eq!(host.receive(&talk.to(80, last)), Ok(Some(8000)));
        }
        assert_eq!(host.connections(), 2);
    });
}
