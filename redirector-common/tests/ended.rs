//! What is over leads nobody away, and a SYN ends nothing that lives.

mod common;
#[path = "common/errors.rs"]
mod errors;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use errors::{becomes, error, stays};
use moving::{CLIENT, OTHER_FINAL_ACK, OTHER_OPENING, OTHER_SYN_ACK};
use redirector_common::{
    Direction, Peer, Skip,
    native::craft::{ACK, RST, SYN, Transport},
};

/// What a client says late in its connection, far from the numbers of any new one.
const LATE: Transport = tcp(ACK, 1 << 30, 1 << 30);

/// A connection through 80, of a container where it has no socket.
fn redirected(talk: &Talk, peer: Peer) -> Host {
    let mut host = Host::with(&[(80, 8000)]);
    assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
    if peer != Peer::None {
        host.has_socket(talk, 8000, Peer::Handshake);
    }
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
    assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
    host.has_socket(talk, 8000, peer);
    host
}

/// A direct connection that is over, and whose flow is still known.
fn ended_direct(talk: &Talk) -> Host {
    let mut host = Host::with(&[(80, 8000)]);
    assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
    host.has_socket(talk, 8000, Peer::Handshake);
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
    host.has_socket(talk, 8000, CONNECTED);
    assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
    host.has_socket(talk, 8000, Peer::None);
    host
}

/// A container's connection through 80 whose client's port was moved because of a direct one, and the port
/// that it was moved to.
fn moved_in_a_container(talk: &Talk) -> (Host, u16) {
    let mut host = Host::with(&[(80, 8000)]);
    assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
    assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
    let port = host.client_port;
    assert_ne!(port, CLIENT);
    let moved = Talk {
        client: (talk.client.0, port),
        ..*talk
    };
    assert_eq!(host.send(&moved.from(8000, OTHER_SYN_ACK)), Ok(Some(80)));
    assert_eq!(host.receive(&talk.to(80, OTHER_FINAL_ACK)), Ok(Some(8000)));
    (host, port)
}

/// The client has the port again, and the server of port 80 itself is asked.
#[test]
fn a_removed_rule_leads_no_new_connection() {
    each_family(|talk| {
        for left in [Peer::None, Peer::TimeWait] {
            let mut host = redirected(&talk, CONNECTED);
            host.has_socket(&talk, 8000, left);
            host.rule(None, 0, 80, None);
            assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(None));
            host.has_socket(&talk, 80, Peer::Handshake);
            let last = host.receive(&talk.to(80, OTHER_FINAL_ACK));
            assert!(!matches!(last, Ok(Some(_))), "{left:?}: {last:?}");
            host.has_socket(&talk, 80, CONNECTED);
            let later = host.receive(&talk.to(80, LATE));
            assert!(!matches!(later, Ok(Some(_))), "{left:?}: {later:?}");
        }
    });
}

/// This host is the one that begins, from the wire port or from the target.
#[test]
fn a_connection_of_this_host_is_its_own() {
    each_family(|talk| {
        for (port, to) in [
            (80, Some(8000)),
            (80, None),
            (80, Some(9000)),
            (8000, Some(8000)),
        ] {
            let mut host = redirected(&talk, CONNECTED);
            host.has_socket(&talk, 8000, Peer::None);
            host.rule(None, 0, 80, to);
            let opening = host.send(&talk.from(port, OTHER_OPENING));
            assert!(
                !matches!(opening, Ok(Some(_))),
                "{port} {to:?}: {opening:?}"
            );
            host.has_socket(&talk, port, CONNECTED);
            for answer in [OTHER_SYN_ACK, LATE] {
                let answer = host.receive(&talk.to(port, answer));
                assert!(!matches!(answer, Ok(Some(_))), "{port} {to:?}: {answer:?}");
            }
            let last = host.send(&talk.from(port, OTHER_FINAL_ACK));
            assert!(!matches!(last, Ok(Some(_))), "{port} {to:?}: {last:?}");
        }
    });
}

/// No socket tells that the container's connection at the earlier target lives. Somebody sends a SYN in
/// its client's name, and the new target answers that.
#[test]
fn a_syn_ends_no_connection_to_an_earlier_target() {
    each_family(|talk| {
        let mut host = redirected(&talk, Peer::None);
        host.rule(None, 0, 80, Some(9000));
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(9000)));
        assert_eq!(host.send(&talk.from(9000, OTHER_SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, LATE)), Ok(Some(80)));
        // It was the client itself.
        assert_eq!(host.receive(&talk.to(80, OTHER_FINAL_ACK)), Ok(Some(9000)));
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(9000)));
    });
}

/// The same where its client's port was moved, because of a connection that is over.
#[test]
fn a_syn_ends_no_moved_connection() {
    each_family(|talk| {
        let (mut host, port) = moved_in_a_container(&talk);
        host.lose_pending();

        let spoofed = 1 << 31;
        assert_eq!(
            host.receive(&talk.to(80, tcp(SYN, spoofed, 0))),
            Ok(Some(8000))
        );
        assert_eq!(host.client_port, CLIENT);
        let answer = tcp(SYN | ACK, 1 << 28, spoofed + 1);
        assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(8000)));
        assert_eq!(host.client_port, port);
        // It was the client itself.
        let last = tcp(ACK, spoofed + 1, (1 << 28) + 1);
        assert_eq!(host.receive(&talk.to(80, last)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
        let later = tcp(ACK, spoofed + 2, (1 << 28) + 1);
        assert_eq!(host.receive(&talk.to(80, later)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
    });
}

/// A moved connection to an earlier target, and a SYN that is moved for the new one.
#[test]
fn a_moved_syn_ends_no_moved_connection() {
    each_family(|talk| {
        let (mut host, port) = moved_in_a_container(&talk);
        host.rule(None, 0, 80, Some(9000));
        host.has_socket(&talk, 9000, CONNECTED);
        assert_eq!(
            host.receive(&talk.to(80, tcp(SYN, 1 << 31, 0))),
            Ok(Some(9000))
        );
        let again = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_ne!(again.client.1, CLIENT);
        host.has_socket(&again, 9000, Peer::Handshake);
        let answer = tcp(SYN | ACK, 1 << 28, (1 << 31) + 1);
        assert_eq!(host.send(&again.from(9000, answer)), Ok(Some(80)));
        for late in [LATE, tcp(RST, 1 << 30, 0)] {
            assert_eq!(host.receive(&talk.to(80, late)), Ok(Some(8000)), "{late:?}");
            assert_eq!(host.client_port, port);
        }
        let last = tcp(ACK, (1 << 31) + 1, (1 << 28) + 1);
        assert_eq!(host.receive(&talk.to(80, last)), Ok(Some(9000)));
        assert_eq!(host.client_port, again.client.1);
    });
}

/// Two SYNs cross a container's handshake; what it answers goes back where both came from.
#[test]
fn a_spoofed_syn_does_not_turn_a_handshake_away() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(
            host.receive(&talk.to(80, tcp(SYN, 1 << 31, 0))),
            Ok(Some(8000))
        );
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}

/// It is about a SYN through 80, whatever is still known of a direct connection that had the tuple.
#[test]
fn an_error_is_about_the_syn_that_it_quotes() {
    each_family(|talk| {
        let mut host = ended_direct(&talk);
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
        let left = Direction::Egress;
        becomes(
            &mut host,
            &error(left, &talk, 8000, OTHER_OPENING),
            left,
            80,
        );
        stays(&mut host, &error(left, &talk, 8000, OPENING), left);
    });
}

/// A packet of nobody's connection is answered, with a reset, from where it came to.
#[test]
fn what_is_left_of_a_direct_connection_answers_nobody() {
    each_family(|talk| {
        let mut host = ended_direct(&talk);
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(8000)));
        let reset = tcp(RST, 1 << 30, 0);
        assert_eq!(host.send(&talk.from(8000, reset)), Ok(Some(80)));
    });
}

/// Its SYN-ACK went another way, and no socket tells of it: it stays a container's own.
#[test]
fn a_stray_packet_ends_no_direct_connection_to_a_container() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        let data = tcp(ACK, 501, 301);
        assert_eq!(host.send(&talk.from(8000, data)), Err(Skip::Direct));
        assert_eq!(host.receive(&talk.to(80, LATE)), Err(Skip::Collision));
        assert_eq!(host.send(&talk.from(8000, data)), Err(Skip::Direct));
    });
}

/// The answer to a SYN that nobody has seen is not taken for one to another's of long ago.
#[test]
fn an_old_claim_explains_no_answer() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.memory.now += 5_000_000_000;
        let answer = tcp(SYN | ACK, 5000, (1 << 31) + 1);
        assert_eq!(host.send(&talk.from(8000, answer)), Err(Skip::Direct));
    });
}

/// Of two SYNs, the second is the client's.
#[test]
fn the_connection_of_a_second_syn_counts() {
    each_family(|talk| {
        for (peer, seconds) in [(Peer::None, 0), (Peer::Handshake, 5)] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, peer);
            host.memory.now += seconds * 1_000_000_000;
            assert_eq!(
                host.receive(&talk.to(80, tcp(SYN, 1 << 31, 0))),
                Ok(Some(8000))
            );
            assert_eq!(
                host.send(&talk.from(8000, tcp(SYN | ACK, 5000, (1 << 31) + 1))),
                Ok(Some(80))
            );
            assert_eq!(
                host.receive(&talk.to(80, tcp(ACK, (1 << 31) + 1, 5001))),
                Ok(Some(8000))
            );
            assert_eq!(host.connections(), 1, "{peer:?}");
        }
    });
}

/// An ACK of nobody's comes between a SYN-ACK and the client's answer to it.
#[test]
fn a_stray_packet_leaves_a_handshake_its_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(host.connections(), 1);
    });
}

/// A connection whose flow was evicted, and whose client spoke since.
#[test]
fn a_syn_does_not_displace_what_came_back() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, LATE)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, LATE)), Ok(Some(80)));
    });
}

#[test]
fn an_error_about_what_nobody_sent_is_nobodys() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        let came = Direction::Ingress;
        stays(&mut host, &error(came, &talk, 80, DATA), came);
    });
}

/// The rule is gone, a container serves port 80 now, and no socket tells of that.
#[test]
fn a_removed_rule_leads_no_new_connection_to_a_container() {
    each_family(|talk| {
        let mut host = redirected(&talk, CONNECTED);
        host.has_socket(&talk, 8000, Peer::None);
        host.rule(None, 0, 80, None);
        assert_eq!(host.receive(&talk.to(80, OTHER_OPENING)), Ok(None));
        assert_eq!(host.receive(&talk.to(80, OTHER_FINAL_ACK)), Ok(None));
    });
}
