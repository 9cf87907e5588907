//! Packets that cross two interfaces, as a bridge and its port, that are both loaded.

mod common;

use common::{FINAL_ACK, Host, OPENING, SYN_ACK, each_family};

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

/// Nor does it meet the rule whose source the target is.
#[test]
fn a_rewritten_syn_is_not_rewritten_again() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (8000, 9000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
    });
}
