//! Packets to a wire port that are left alone.

mod common;

use common::{CONNECTED, DATA, Host, OPENING, SYN_ACK, each_family};
use redirector_common::{Peer, Skip};

#[test]
fn a_connection_from_before_the_load_is_left_alone() {
    each_family(|talk| {
        for peer in [CONNECTED, Peer::TimeWait] {
            let mut host = Host::with(&[(80, 8000)]);
            host.has_socket(&talk, 80, peer);
            assert_eq!(host.receive(&talk.to(80, DATA)), Err(Skip::Established));
            assert_eq!(host.send(&talk.from(80, DATA)), Ok(None));
            assert_eq!(host.flows(), [0, 0]);
        }
    });
}

#[test]
fn a_syn_does_not_take_over_a_connection_from_before_the_load() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 80, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Err(Skip::Established));
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// This host connects from port 80 to somebody: the socket is on the wire port.
#[test]
fn an_outgoing_connection_from_the_wire_port_is_left_alone() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        let opening = host.send(&talk.from(80, OPENING));
        assert_eq!(opening, Err(Skip::Outgoing));
        host.has_socket(&talk, 80, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, SYN_ACK)), Err(Skip::Established));
    });
}

#[test]
fn what_is_not_for_this_host_passes() {
    each_family(|talk| {
        for transport in [OPENING, DATA, common::UDP] {
            let mut host = Host::with(&[(80, 8000)]);
            host.other_host = true;
            assert_eq!(host.receive(&talk.to(80, transport)), Err(Skip::OtherHost));
            assert_eq!(host.receive(&talk.to(81, transport)), Ok(None));

            let mut host = Host::with(&[(80, 8000)]);
            host.is_routed(&talk);
            assert_eq!(host.receive(&talk.to(80, transport)), Err(Skip::NotLocal));
            assert_eq!(host.flows(), [0, 0]);
        }
    });
}
