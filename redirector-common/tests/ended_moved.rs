//! The same where a client's port was moved: what is over leads nobody away.

mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, OTHER_FINAL_ACK, OTHER_OPENING, OTHER_SYN_ACK};
use redirector_common::{
    Peer, Skip,
    abi::{KEY_FLOW, KEY_MOVED, Port},
    native::craft::{ACK, RST, SYN, Transport},
};

/// Far from the numbers of any other connection.
const THIRD_OPENING: Transport = tcp(SYN, 1 << 31, 0);
const THIRD_SYN_ACK: Transport = tcp(SYN | ACK, 1 << 28, (1 << 31) + 1);
const THIRD_FINAL_ACK: Transport = tcp(ACK, (1 << 31) + 1, (1 << 28) + 1);
const LATE: Transport = tcp(ACK, 1 << 30, 1 << 30);

/// A container's connections: one of `first` with the client's own port, and one of `second` that was
/// moved because of it.
fn moved_in_a_container(talk: &Talk, first: u16, second: u16) -> (Host, Talk) {
    let mut host = Host::with(&[(80, 8000)]);
    assert!(host.receive(&talk.to(first, OPENING)).is_ok());
    let _ = host.send(&talk.from(8000, SYN_ACK));
    assert!(host.receive(&talk.to(first, FINAL_ACK)).is_ok());
    let _ = host.send(&talk.from(8000, DATA));
    assert_eq!(
        host.receive(&talk.to(second, OTHER_OPENING)),
        Ok(Some(8000))
    );
    let moved = Talk {
        client: (talk.client.0, host.client_port),
        ..*talk
    };
    assert_ne!(moved.client.1, CLIENT);
    assert_eq!(
        host.send(&moved.from(8000, OTHER_SYN_ACK)),
        Ok(Some(second))
    );
    let last = host.receive(&talk.to(second, OTHER_FINAL_ACK));
    assert_eq!((last, host.client_port), (Ok(Some(8000)), moved.client.1));
    (host, moved)
}

/// As eviction does to a flow that nobody has used for long.
fn lose(host: &mut Host, port: u16) {
    let is_its = |key: &redirector_common::abi::FlowKey| {
        key.kind == KEY_FLOW && key.remote_port == Port::new(port)
    };
    host.memory.pending.retain(|key, _| !is_its(key));
    host.memory.answered.retain(|key, _| !is_its(key));
    // Newer flows have taken its place there long before.
    host.memory.recent.clear();
}

#[test]
fn what_is_proven_is_no_claim_any_more() {
    each_family(|talk| {
        let (host, _) = moved_in_a_container(&talk, 8000, 80);
        let is_marker = |key: &&redirector_common::abi::FlowKey| key.kind == KEY_MOVED;
        assert_eq!(host.memory.pending.keys().filter(is_marker).count(), 0);
        assert_eq!(host.memory.moved.len(), 1);
    });
}

#[test]
fn a_repeated_syn_is_moved_to_one_port() {
    each_family(|talk| {
        let (mut host, _) = moved_in_a_container(&talk, 8000, 80);
        host.rule(None, 0, 80, Some(9000));
        host.has_socket(&talk, 9000, CONNECTED);
        let mut ports = [0; 2];
        for port in &mut ports {
            assert_eq!(host.receive(&talk.to(80, THIRD_OPENING)), Ok(Some(9000)));
            *port = host.client_port;
        }
        assert_eq!(ports[0], ports[1]);
    });
}

/// Both connections are over, and the client's own port is free: its next connection has it, also once
/// its flow was evicted.
#[test]
fn a_new_connection_is_not_led_to_where_an_old_one_was_moved() {
    for (first, second) in [(8000, 80), (80, 8000)] {
        each_family(|talk| {
            let redirected = (second == 80).then_some(8000);
            let (mut host, _) = moved_in_a_container(&talk, first, second);
            lose(&mut host, CLIENT);
            let opening = host.receive(&talk.to(second, THIRD_OPENING));
            assert_eq!(opening, Ok(redirected));
            let _ = host.send(&talk.from(8000, THIRD_SYN_ACK));
            let own = if second == 80 {
                Ok(Some(8000))
            } else {
                Ok(None)
            };
            for evicted in [false, true] {
                if evicted {
                    let _ = host.send(&talk.from(8000, THIRD_FINAL_ACK));
                    lose(&mut host, CLIENT);
                }
                host.client_port = CLIENT;
                let last = host.receive(&talk.to(second, THIRD_FINAL_ACK));
                assert_eq!(last, own, "{second} {evicted}");
                assert_eq!(host.client_port, CLIENT, "{second} {evicted}");
            }
        });
    }
}

/// No acknowledgment tells whose it is; what was proven is asked first.
#[test]
fn a_reset_reaches_the_moved_connection() {
    each_family(|talk| {
        let (mut host, moved) = moved_in_a_container(&talk, 80, 8000);
        lose(&mut host, CLIENT);
        assert_eq!(host.receive(&talk.to(8000, THIRD_OPENING)), Ok(None));
        let answer = host.send(&talk.from(8000, THIRD_SYN_ACK));
        assert_eq!(answer, Err(Skip::Direct));
        let reset = tcp(RST, 1 << 30, 0);
        assert_eq!(host.receive(&talk.to(8000, reset)), Ok(Some(8000)));
        assert_eq!(host.client_port, moved.client.1);
    });
}

/// Its flow was evicted, and a SYN in its client's name was moved because of its socket.
#[test]
fn a_reset_is_not_led_to_a_handshake() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
        let moved = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_eq!(host.send(&moved.from(8000, SYN_ACK)), Ok(Some(80)));
        let reset = tcp(RST, 1 << 30, 0);
        assert_eq!(host.receive(&talk.to(80, reset)), Ok(Some(8000)));
        assert_eq!(host.client_port, CLIENT);
    });
}

/// The client's own tuple leads no more to the earlier target.
#[test]
fn a_moved_connection_ends_what_its_client_had_at_an_earlier_target() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.rule(None, 0, 80, Some(9000));
        host.has_socket(&talk, 9000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, THIRD_OPENING)), Ok(Some(9000)));
        let moved = Talk {
            client: (talk.client.0, host.client_port),
            ..talk
        };
        assert_ne!(moved.client.1, CLIENT);
        host.has_socket(&moved, 9000, Peer::Handshake);
        assert_eq!(host.send(&moved.from(9000, THIRD_SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.send(&talk.from(8000, LATE)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, THIRD_FINAL_ACK)), Ok(Some(9000)));
        assert_eq!(host.send(&talk.from(8000, LATE)), Err(Skip::Direct));
    });
}
