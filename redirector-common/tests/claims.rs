//! What a SYN claims, what answers it, and what proves it.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{DATA, FINAL_ACK, Host, OPENING, SYN_ACK, each_family, tcp};
use moving::{CLIENT, OTHER_OPENING, connected};
use redirector_common::{
    Peer,
    native::craft::{ACK, RST, SYN},
};

/// The first one may have been anybody's.
#[test]
fn the_latest_syn_is_answered() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        let other = tcp(SYN, 1 << 30, 0);
        assert_eq!(host.receive(&talk.to(80, other)), Ok(Some(8000)));
        let answer = tcp(SYN | ACK, 500, (1 << 30) + 1);
        assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
    });
}

/// Without a socket, as a container's.
#[test]
fn a_repeated_syn_forgets_no_answer() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// It has its tuple for a second more.
#[test]
fn a_late_repetition_claims_again() {
    each_family(|talk| {
        for is_repeated in [true, false] {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
            host.memory.now += 2_000_000_000;
            if is_repeated {
                assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
            }
            assert_eq!(host.receive(&talk.to(81, OTHER_OPENING)), Ok(Some(8000)));
            assert_eq!(host.client_port != CLIENT, is_repeated);
        }
    });
}

/// Neither one that is over nor one that was not answered keeps the number of its SYN.
#[test]
fn a_handshake_keeps_its_number_while_it_lives() {
    each_family(|talk| {
        for (is_answered, peer) in [(true, Peer::None), (false, Peer::Handshake)] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, Peer::Handshake);
            if is_answered {
                assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
            }
            host.has_socket(&talk, 8000, peer);
            let other = tcp(SYN, 1 << 30, 0);
            assert_eq!(host.receive(&talk.to(80, other)), Ok(Some(8000)));
            let answer = tcp(SYN | ACK, 500, (1 << 30) + 1);
            assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
        }
    });
}

/// The same SYN to another wire port is no repetition.
#[test]
fn the_latest_wire_port_is_answered() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (81, 8000)]);
        for wire in [80, 81] {
            assert_eq!(host.receive(&talk.to(wire, OPENING)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, Peer::Handshake);
        }
        assert_eq!(host.client_port, CLIENT);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(81)));
    });
}

/// A stray packet before it is no handshake, whatever its SYN's number.
#[test]
fn a_syn_claims_what_resumed() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, tcp(SYN, 0, 0))), Ok(Some(8000)));
        let answer = tcp(SYN | ACK, 500, 1);
        assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, tcp(ACK, 1, 501))), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// Not answered yet, and without a socket: nothing else tells.
#[test]
fn what_resumed_keeps_its_target() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        host.rule(None, 0, 80, Some(9000));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
    });
}

/// Of an upload the application says nothing itself.
#[test]
fn an_acknowledgment_beyond_the_syn_proves() {
    each_family(|talk| {
        for (acknowledgment, flows) in [(101, [1, 0]), (201, [0, 1])] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
            assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
            let mut answer = talk.from(8000, tcp(ACK, 501, acknowledgment));
            answer.payload.clear();
            assert_eq!(host.send(&answer), Ok(Some(80)));
            assert_eq!(host.flows(), flows);
        }
    });
}

/// Several packets of the client may be under way, and each is answered with one.
#[test]
fn a_reset_of_what_was_said_is_no_refusal() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        for _ in 0..2 {
            let reset = talk.from(8000, tcp(RST | ACK, 501, 201));
            assert_eq!(host.send(&reset), Ok(Some(80)));
        }
    });
}

/// Nobody may have sent what resumed.
#[test]
fn a_reset_proves_nothing_that_resumed() {
    each_family(|talk| {
        for answer in [tcp(RST, 700, 0), tcp(RST | ACK, 700, 301), SYN_ACK] {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
            assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
            assert_eq!(host.flows(), [1, 0]);
        }
    });
}

/// The connection before it came by another wire port, and is over: a packet of that is answered with an
/// RST that acknowledges nothing.
#[test]
fn a_refusal_is_about_the_syn() {
    each_family(|talk| {
        for (answer, wire) in [(tcp(RST | ACK, 0, 9001), 81), (tcp(RST, 700, 0), 80)] {
            let mut host = connected(&talk, 80);
            host.has_socket(&talk, 8000, Peer::None);
            assert_eq!(host.receive(&talk.to(81, OTHER_OPENING)), Ok(Some(8000)));
            assert_eq!(host.client_port, CLIENT);
            assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(wire)));
        }
    });
}

/// It acknowledges nothing, and anybody can send it.
#[test]
fn a_clients_reset_displaces_no_handshake() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, tcp(RST, 7, 0))), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!((host.flows(), host.connections()), ([0, 1], 1));
    });
}

/// Without a socket nothing tells that a handshake is over, but what goes on has other numbers.
#[test]
fn a_handshake_that_is_over_does_not_keep_what_resumed() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        let [far, farther] = [1 << 30, 1 << 31];
        let request = tcp(ACK, far, farther);
        assert_eq!(host.receive(&talk.to(80, request)), Ok(Some(8000)));
        let answer = tcp(ACK, farther, far);
        assert_eq!(host.send(&talk.from(8000, answer)), Ok(Some(80)));
    });
}
