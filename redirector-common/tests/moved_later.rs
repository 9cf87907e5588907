//! Moved connections after a reset, a change of rules, or the loss of a table.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{
    CLIENT, ORDERS, OTHER_FINAL_ACK, OTHER_OPENING, OTHER_SYN_ACK, connected, open_second, origin,
};
use redirector_common::{
    Peer, Skip,
    native::craft::{ACK, RST, SYN},
};

/// A socket brought it back, and is in TIME_WAIT: nobody else takes that over.
#[test]
fn what_a_socket_brought_back_outlives_it() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.lose_all_flows();
        host.memory.socket = Some(origin(80, CLIENT));
        assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(80)));
        host.has_socket(&moved, 8000, Peer::TimeWait);
        assert_eq!(host.receive(&moved.to(8000, OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, moved.client.1);
    });
}

/// It proves no handshake, and the first connection would not accept its number.
#[test]
fn a_reset_reaches_a_moved_handshake() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            host.expects(&talk, 8000, 1 << 30);
            assert_eq!(
                host.receive(&talk.to(second, OTHER_OPENING)),
                Ok(Some(8000))
            );
            let port = host.client_port;
            let reset = tcp(RST, 9001, 0);
            assert_eq!(host.receive(&talk.to(second, reset)), Ok(Some(8000)));
            assert_eq!(host.client_port, port);
        });
    }
}

/// The SYN that was moved was not answered, and the first connection is over: the next one has its port.
#[test]
fn an_unanswered_move_is_over() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::None);
        let again = tcp(SYN, 70_000, 0);
        assert_eq!(host.receive(&talk.to(8000, again)), Ok(None));
        host.has_socket(&talk, 8000, Peer::Handshake);
        let answer = tcp(SYN | ACK, 500, 70_001);
        assert_eq!(host.send(&talk.from(8000, answer)), Err(Skip::Direct));
        assert_eq!(
            host.receive(&talk.to(8000, tcp(ACK, 70_001, 501))),
            Ok(None)
        );
    });
}

/// What a connection was moved to at an earlier target leads to none at the new one.
#[test]
fn a_marker_of_an_earlier_target_is_over() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        for ended in [talk, moved] {
            host.has_socket(&ended, 8000, Peer::None);
        }
        host.rule(None, 0, 80, Some(9000));
        host.has_socket(&talk, 9000, CONNECTED);
        let opening = tcp(SYN, 70_000, 0);
        assert_eq!(host.receive(&talk.to(80, opening)), Ok(Some(9000)));
        let again = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_ne!(again.client.1, CLIENT);
        host.has_socket(&again, 9000, Peer::Handshake);
        let answer = tcp(SYN | ACK, 500, 70_001);
        assert_eq!(host.send(&again.from(9000, answer)), Ok(Some(80)));
        let last = tcp(ACK, 70_001, 501);
        assert_eq!(host.receive(&talk.to(80, last)), Ok(Some(9000)));
        assert_eq!(host.client_port, again.client.1);
    });
}

/// A container's, so that no socket tells either.
#[test]
fn a_moved_connection_outlives_its_flow() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
        let moved = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_ne!(moved.client.1, CLIENT);
        assert_eq!(host.send(&moved.from(8000, OTHER_SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, OTHER_FINAL_ACK)), Ok(Some(8000)));
        host.lose_pending();
        host.memory.answered.clear();
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.client_port, moved.client.1);
        assert_eq!(host.send(&moved.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.client_port, CLIENT);
    });
}

/// Whose connection it has, nobody knows: its numbers tell.
#[test]
fn a_marker_leads_to_no_other_connection() {
    each_family(|talk| {
        for is_its in [true, false] {
            let mut host = connected(&talk, 8000);
            let moved = open_second(&mut host, &talk, 80);
            host.lose_pending();
            host.memory.answered.clear();
            host.expects(&talk, 8000, 1 << 30);
            host.expects(&moved, 8000, if is_its { 300 } else { 1 << 30 });
            let crossing = if is_its {
                Ok(Some(8000))
            } else {
                Err(Skip::Collision)
            };
            assert_eq!(host.receive(&talk.to(80, DATA)), crossing);
        }
    });
}
