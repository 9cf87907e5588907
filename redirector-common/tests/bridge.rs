//! Packets that cross two interfaces, as a bridge and its port, that are both loaded.

mod common;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, each_family};
use redirector_common::{
    Skip,
    abi::{NO_PORT, Port, SocketFlow},
};

/// The second interface sees a SYN straight to the target, and must not take it for a direct one.
#[test]
fn a_rewritten_syn_is_no_direct_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.send(&talk.from(80, SYN_ACK)), Ok(None));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        assert_eq!((host.flows(), host.connections()), ([1, 1], 1));
    });
}

/// A SYN within a live connection, as a network doubles it or a stranger forges it.
#[test]
fn a_syn_in_a_live_connection_is_no_direct_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, DATA)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.connections(), 1);
    });
}

/// Nor does it meet the rule whose source the target is.
#[test]
fn a_rewritten_syn_is_not_rewritten_again() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (8000, 9000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(
            host.receive(&talk.to(8000, FINAL_ACK)),
            Err(Skip::Established)
        );
    });
}

/// A reply that has left the wire port is done, also where that port is another rule's target.
#[test]
fn a_rewritten_reply_is_not_rewritten_again() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (443, 80)]);
        host.memory.socket = Some(Some(SocketFlow {
            rule: 0,
            from: Port::new(80),
            client: NO_PORT,
        }));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
        assert_eq!(host.send(&talk.from(80, DATA)), Ok(None));
        assert_eq!(host.counters(0).out_packets, 1);
    });
}
