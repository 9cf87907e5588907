//! The end of a connection: its flow goes when nothing more is to come, and not before.

mod common;

use common::{
    CONNECTED, Crossing, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, each_family, tcp,
};
use redirector_common::{
    Peer,
    abi::{NO_PORT, Port, SocketFlow},
    native::craft::{ACK, Craft, FIN, RST, Transport},
};

const TO_APPLICATION: Crossing = Ok(Some(8000));
const TO_CLIENT: Crossing = Ok(Some(80));

/// After [`FINAL_ACK`] the client goes on at 101, and the application at 501.
const CLIENT_FIN: Transport = tcp(FIN | ACK, 101, 501);
const APPLICATION_FIN: Transport = tcp(FIN | ACK, 501, 101);

fn connected(talk: &Talk) -> Host {
    let mut host = Host::with(&[(80, 8000)]);
    assert_eq!(host.receive(&talk.to(80, OPENING)), TO_APPLICATION);
    host.has_socket(talk, 8000, Peer::Handshake);
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), TO_CLIENT);
    let last = bare(talk.to(80, FINAL_ACK));
    assert_eq!(host.receive(&last), TO_APPLICATION);
    host.has_socket(talk, 8000, CONNECTED);
    assert_eq!(host.flows(), [0, 1]);
    host
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    Application,
}
use Side::{Application, Client};

/// Each segment crosses, and the flow is there until the last one.
#[track_caller]
fn ends_with(talk: &Talk, host: &mut Host, segments: &[(Side, Transport)]) {
    for (number, (side, segment)) in segments.iter().enumerate() {
        assert_eq!(host.flows(), [0, 1], "before segment {number}");
        cross(talk, host, *side, *segment);
    }
    assert_eq!(host.flows(), [0, 0], "after all");
}

#[track_caller]
fn cross(talk: &Talk, host: &mut Host, side: Side, segment: Transport) {
    let crossing = match side {
        Client => (host.receive(&bare(talk.to(80, segment))), TO_APPLICATION),
        Application => (host.send(&bare(talk.from(8000, segment))), TO_CLIENT),
    };
    assert_eq!(crossing.0, crossing.1);
}

/// Without payload.
fn bare(packet: Craft) -> Craft {
    Craft {
        payload: Vec::new(),
        ..packet
    }
}

#[test]
fn the_applications_rst_ends_it() {
    each_family(|talk| {
        for socket in [None, Some(None), Some(Some(origin()))] {
            let mut host = connected(&talk);
            host.memory.socket = socket;
            ends_with(&talk, &mut host, &[(Application, tcp(RST, 501, 0))]);
        }
    });
}

fn origin() -> SocketFlow {
    SocketFlow {
        rule: 0,
        from: Port::new(80),
        client: NO_PORT,
    }
}

/// The last acknowledgment was lost: the client says it again, and is answered from the right port.
#[test]
fn a_repeated_fin_is_answered() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Application, APPLICATION_FIN);
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 502));
        host.has_socket(&talk, 8000, Peer::TimeWait);
        cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
        assert_eq!(host.flows(), [0, 0]);
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 502));
        cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
    });
}

/// The client returns from the same port, and TIME_WAIT is all that is left of it.
#[test]
fn the_client_keeps_its_port_when_it_returns() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Application, APPLICATION_FIN);
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 502));
        host.has_socket(&talk, 8000, Peer::TimeWait);
        cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
        let opening: Craft = talk.to(80, OPENING);
        assert_eq!(host.receive(&opening), TO_APPLICATION);
        assert_eq!(host.client_port, talk.client.1);
    });
}

/// Its flow shows whose the tuple is, and no packet of it comes in by the wire port.
#[test]
fn a_direct_connections_flow_stays() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        host.has_socket(&talk, 8000, Peer::Handshake);
        let _ = host.send(&talk.from(8000, SYN_ACK));
        host.has_socket(&talk, 8000, CONNECTED);
        let _ = host.send(&talk.from(8000, tcp(ACK, 501, 110)));
        assert_eq!(host.flows(), [0, 1]);
        for segment in [APPLICATION_FIN, tcp(ACK, 502, 102), tcp(RST, 502, 0)] {
            let _ = host.send(&bare(talk.from(8000, segment)));
            assert_eq!(host.flows(), [0, 1]);
        }
    });
}

/// Anything later still finds the flow of a connection that goes on.
#[test]
fn a_forged_fin_ends_nothing() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 9_000_000, 77));
        for _ in 0..3 {
            cross(&talk, &mut host, Application, DATA);
            cross(&talk, &mut host, Client, DATA);
        }
        assert_eq!(host.flows(), [0, 1]);
    });
}

/// What is left there may be another wire port's or netfilter's, and is told apart by its flow.
#[test]
fn where_a_target_is_shared_the_flow_stays() {
    each_family(|talk| {
        for netfilter in [false, true] {
            let mut host = connected(&talk);
            if netfilter {
                host.memory.netfilter = true;
            } else {
                host.rule(None, 0, 81, Some(8000));
            }
            cross(&talk, &mut host, Application, APPLICATION_FIN);
            cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 502));
            cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
            assert_eq!(host.flows(), [0, 1]);
        }
    });
}

/// Its marker leads to it.
#[test]
fn a_moved_connections_flow_stays() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.receive(&talk.to(80, OPENING)), TO_APPLICATION);
        assert_ne!(host.client_port, talk.client.1);
        let client = (talk.client.0, host.client_port);
        let moved = Talk { client, ..talk };
        host.has_socket(&moved, 8000, Peer::Handshake);
        assert_eq!(host.send(&moved.from(8000, SYN_ACK)), TO_CLIENT);
        assert_eq!(host.receive(&bare(talk.to(80, FINAL_ACK))), TO_APPLICATION);
        host.has_socket(&moved, 8000, CONNECTED);
        assert_eq!(host.flows(), [0, 1]);
        assert_eq!(host.send(&moved.from(8000, tcp(RST, 501, 0))), TO_CLIENT);
        assert_eq!(host.flows(), [0, 1]);
    });
}

/// What it acknowledges it has taken.
#[test]
fn the_application_acknowledges_the_clients_fin() {
    each_family(|talk| {
        let segments = [
            (Application, APPLICATION_FIN),
            (Client, tcp(ACK, 101, 502)),
            (Client, tcp(FIN | ACK, 101, 502)),
            (Application, tcp(ACK, 502, 102)),
        ];
        ends_with(&talk, &mut connected(&talk), &segments);
    });
}

/// The FIN is the byte after the data, so what acknowledges the data alone does not end anything.
#[test]
fn data_with_a_fin_comes_first() {
    each_family(|talk| {
        for (acknowledged, left) in [(506, 1), (511, 1), (512, 0), (513, 1)] {
            let mut last = talk.from(8000, APPLICATION_FIN);
            last.payload = vec![7; 10];
            let mut host = connected(&talk);
            assert_eq!(host.send(&last), TO_CLIENT);
            cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, acknowledged));
            cross(&talk, &mut host, Application, tcp(ACK, 512, 102));
            assert_eq!(host.flows(), [0, left], "{acknowledged}");
        }
    });
}

/// What comes in may be dropped behind us, or out of the window: only the application shows that it was
/// taken. Nor is it over while the application repeats its FIN.
#[test]
fn what_comes_in_ends_nothing() {
    let fin = tcp(FIN | ACK, 101, 502);
    each_family(|talk| {
        for segments in [
            &[(Client, CLIENT_FIN), (Application, tcp(ACK, 501, 102))][..],
            &[
                (Client, tcp(RST, 101, 0)),
                (Client, tcp(RST | ACK, 101, 501)),
            ],
            &[(Application, APPLICATION_FIN), (Client, fin), (Client, fin)],
            &[
                (Application, APPLICATION_FIN),
                (Client, tcp(FIN, 101, 502)),
                (Application, tcp(ACK, 502, 102)),
            ],
            &[
                (Application, APPLICATION_FIN),
                (Client, CLIENT_FIN),
                (Application, tcp(ACK, 502, 102)),
            ],
            &[
                (Application, APPLICATION_FIN),
                (Client, tcp(FIN | ACK, 9000, 502)),
                (Application, tcp(ACK, 502, 101)),
            ],
            &[
                (Application, APPLICATION_FIN),
                (Client, fin),
                (Application, tcp(FIN, 501, 0)),
            ],
            &[
                (Application, APPLICATION_FIN),
                (Client, fin),
                (Application, APPLICATION_FIN),
                (Application, tcp(ACK, 502, 102)),
            ],
        ] {
            let mut host = connected(&talk);
            for (side, segment) in segments {
                cross(&talk, &mut host, *side, *segment);
            }
            assert_eq!(host.flows(), [0, 1], "{segments:?}");
        }
    });
}

/// An application that has said everything may listen for hours: its socket remembers.
#[test]
fn a_half_closed_connection_is_remembered_by_its_socket() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Application, APPLICATION_FIN);
        host.memory.now += 3_000_000_000;
        host.memory.socket = Some(None);
        cross(&talk, &mut host, Application, tcp(ACK, 502, 110));
        assert_eq!(host.memory.socket, Some(Some(origin())));
        host.lose_all_flows();
        cross(&talk, &mut host, Application, tcp(ACK, 502, 120));
    });
}
