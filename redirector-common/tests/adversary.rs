mod common;
#[path = "common/moving.rs"]
mod moving;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp};
use moving::{CLIENT, OTHER_FINAL_ACK, OTHER_OPENING, OTHER_SYN_ACK, connected, open_second};
use redirector_common::{
    Peer, Skip,
    native::craft::{ACK, Craft, RST, SYN},
};

fn empty(packet: Craft) -> Craft {
    Craft {
        payload: Vec::new(),
        ..packet
    }
}

/// The port that a connection was moved to is another's when the client comes back: it is moved to a
/// third, but the marker of the old one leads its ACK away.
#[test]
fn an_old_marker_does_not_lead() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.has_socket(&moved, 8000, Peer::None);
        assert_eq!(host.receive(&moved.to(81, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&moved.from(8000, SYN_ACK)), Ok(Some(81)));
        assert_eq!(host.receive(&moved.to(81, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&moved, 8000, CONNECTED);
        assert_eq!(
            host.receive(&talk.to(80, tcp(SYN, 70_000, 0))),
            Ok(Some(8000))
        );
        let again = host.client_port;
        assert_ne!(again, moved.client.1);
        let again_talk = Talk {
            client: (talk.client.0, again),
            ..talk
        };
        host.has_socket(&again_talk, 8000, Peer::Handshake);
        let answer = tcp(SYN | ACK, 0, 70_001);
        assert_eq!(host.send(&again_talk.from(8000, answer)), Ok(Some(80)));
        assert_eq!(
            host.receive(&talk.to(80, tcp(ACK, 70_001, 1))),
            Ok(Some(8000))
        );
        assert_eq!(host.client_port, again, "led to another's connection");
    });
}

/// A reload adds a rule whose source is a target: a SYN of anybody leads a live direct connection away.
#[test]
fn a_syn_does_not_lead_a_direct_connection_to_a_new_rule() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        host.rule(None, 0, 8000, Some(9000));
        assert_eq!(host.receive(&talk.to(8000, DATA)), Err(Skip::Established));
        let _ = host.receive(&talk.to(8000, OTHER_OPENING));
        assert_eq!(host.receive(&talk.to(8000, DATA)), Err(Skip::Established));
    });
}

/// A reload removes a rule; the wire port is served by itself.
#[test]
fn a_removed_rule_leaves_no_marker() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        for ended in [talk, moved] {
            host.has_socket(&ended, 8000, Peer::None);
        }
        host.rule(None, 0, 80, None);
        assert_eq!(host.receive(&talk.to(80, tcp(SYN, 70_000, 0))), Ok(None));
        host.has_socket(&talk, 80, CONNECTED);
        assert_ne!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
    });
}

/// After a reload, a SYN of anybody in a container's connection to an earlier target.
#[test]
fn a_syn_does_not_end_a_containers_earlier_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);

        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.rule(None, 0, 80, Some(9000));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        let _ = host.receive(&talk.to(80, OTHER_OPENING));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}

/// Two SYNs of a stranger, the second out of the first one's window: the kernel answers with an ACK.
#[test]
fn a_stranger_enters_no_answered_flow() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(
            host.receive(&talk.to(80, tcp(SYN, 1 << 30, 0))),
            Ok(Some(8000))
        );
        assert_eq!(
            host.send(&empty(talk.from(8000, tcp(ACK, 501, 101)))),
            Ok(Some(80))
        );
        assert_eq!(host.receive(&talk.to(80, tcp(RST, 101, 0))), Ok(Some(8000)));
        assert_eq!(host.flows()[1], 0, "answered");
    });
}

/// A direct handshake whose flow a flood displaced, and a SYN of anybody to the wire port.
#[test]
fn a_forgotten_direct_handshake_is_not_led_away() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        host.lose_pending();
        let _ = host.receive(&talk.to(80, OTHER_OPENING));
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
    });
}

/// The handshake was netfilter's at the load.
#[test]
fn netfilters_handshake_stays_netfilters() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.memory.netfilter = true;
        host.has_socket(&talk, 8000, Peer::Handshake);
        assert_eq!(
            host.receive(&talk.to(80, FINAL_ACK)),
            Err(Skip::Established)
        );
    });
}

/// Evicted by name of its client only: the first SYN of a direct connection.
#[test]
fn a_second_direct_connection_after_eviction() {
    each_family(|talk| {
        let mut host = connected(&talk, 80);
        host.lose_all_flows();
        host.expects(&talk, 8000, 300);
        assert_eq!(host.receive(&talk.to(8000, OTHER_OPENING)), Ok(Some(8000)));
        assert_ne!(host.client_port, CLIENT);
        let _ = (OTHER_SYN_ACK, OTHER_FINAL_ACK);
    });
}

/// A stranger's SYN in a live container connection, then one to the other port.
#[test]
fn two_syns_in_a_containers_connection() {
    for (port, other) in [(80, 8000), (8000, 80)] {
        each_family(|talk: Talk| {
            let mut host = Host::with(&[(80, 8000)]);

            let _ = host.receive(&talk.to(port, OPENING));
            let answer = host.send(&talk.from(8000, SYN_ACK));
            let _ = host.receive(&talk.to(port, FINAL_ACK));
            let _ = host.send(&talk.from(8000, DATA));
            let _ = host.receive(&talk.to(port, tcp(SYN, 7_000_000, 0)));
            let _ = host.receive(&talk.to(other, tcp(SYN, 8_000_000, 0)));
            assert_eq!(host.send(&talk.from(8000, DATA)), answer, "{port}");
        });
    }
}
