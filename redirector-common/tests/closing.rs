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

#[derive(Clone, Copy)]
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
fn each_side_acknowledges_the_others_fin() {
    let client_first = [
        (Client, CLIENT_FIN),
        (Application, tcp(ACK, 501, 102)),
        (Application, tcp(FIN | ACK, 501, 102)),
        (Client, tcp(ACK, 102, 502)),
    ];
    let application_first = [
        (Application, APPLICATION_FIN),
        (Client, tcp(ACK, 101, 502)),
        (Client, tcp(FIN | ACK, 101, 502)),
        (Application, tcp(ACK, 502, 102)),
    ];
    let at_once = [
        (Application, APPLICATION_FIN),
        (Client, CLIENT_FIN),
        (Application, tcp(ACK, 502, 102)),
        (Client, tcp(ACK, 102, 502)),
    ];
    each_family(|talk| {
        for segments in [client_first, application_first, at_once] {
            ends_with(&talk, &mut connected(&talk), &segments);
        }
    });
}

/// The FIN is the byte after the data, so what acknowledges the data alone does not end anything.
#[test]
fn data_with_a_fin_comes_first() {
    each_family(|talk| {
        let mut last = talk.from(8000, tcp(FIN | ACK, 501, 102));
        last.payload = vec![7; 10];
        let mut host = connected(&talk);
        cross(&talk, &mut host, Client, CLIENT_FIN);
        assert_eq!(host.send(&last), TO_CLIENT);
        for (acknowledged, left) in [(506, 1), (511, 1), (512, 0)] {
            cross(&talk, &mut host, Client, tcp(ACK, 102, acknowledged));
            assert_eq!(host.flows(), [0, left], "{acknowledged}");
        }
    });
}

/// A client that has said everything listens for as long as it likes.
#[test]
fn half_closed_is_not_over() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Client, CLIENT_FIN);
        for number in 0..5 {
            cross(&talk, &mut host, Application, tcp(ACK, 501 + number, 102));
            cross(&talk, &mut host, Client, tcp(ACK, 102, 502 + number));
        }
        assert_eq!(host.flows(), [0, 1]);
    });
}

/// A FIN without an acknowledgment acknowledges nothing, whatever stands there.
#[test]
fn what_acknowledges_nothing_is_not_believed() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Application, tcp(FIN | ACK, 501, 101));
        cross(&talk, &mut host, Client, tcp(FIN, 101, 502));
        cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
        assert_eq!(host.flows(), [0, 1]);
        cross(&talk, &mut host, Client, tcp(ACK, 102, 502));
        assert_eq!(host.flows(), [0, 0]);
    });
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

/// Whoever knows the ports can send one; the socket believes the number that it waits for.
#[test]
fn the_clients_rst_ends_it_where_the_socket_believes_it() {
    each_family(|talk| {
        let mut host = connected(&talk);
        host.expects(&talk, 8000, 101);
        for sequence in [100, 102, 5000] {
            cross(&talk, &mut host, Client, tcp(RST | ACK, sequence, 501));
        }
        ends_with(&talk, &mut host, &[(Client, tcp(RST, 101, 0))]);

        let mut host = connected(&talk);
        host.has_socket(&talk, 8000, Peer::None);
        cross(&talk, &mut host, Client, tcp(RST, 101, 0));
        assert_eq!(host.flows(), [0, 1], "a container's");
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

/// A client that has sent its request and closed its half waits for hours: its socket remembers.
#[test]
fn a_half_closed_connection_is_remembered_by_its_socket() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Client, CLIENT_FIN);
        host.memory.now += 3_000_000_000;
        host.memory.socket = Some(None);
        cross(&talk, &mut host, Application, tcp(ACK, 501, 102));
        assert_eq!(host.memory.socket, Some(Some(origin())));
        host.lose_all_flows();
        cross(&talk, &mut host, Application, tcp(ACK, 501, 102));
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

/// What comes late is answered from the right port, whatever it acknowledges: its socket does not look.
#[test]
fn a_late_segment_before_the_last_acknowledgment() {
    each_family(|talk| {
        let mut host = connected(&talk);
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 501));
        cross(&talk, &mut host, Application, tcp(ACK, 501, 102));
        cross(&talk, &mut host, Application, tcp(FIN | ACK, 501, 102));
        for (sequence, acknowledgment) in [(100, 493), (100, 502), (110, 502)] {
            let late = tcp(ACK, sequence, acknowledgment);
            cross(&talk, &mut host, Client, late);
            cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
            assert_eq!(host.flows(), [0, 1]);
        }
        cross(&talk, &mut host, Client, tcp(ACK, 102, 502));
        assert_eq!(host.flows(), [0, 0]);
    });
}

/// A FIN that is out of the window says nothing, before the real one and after it.
#[test]
fn a_fin_that_is_not_expected_ends_nothing() {
    each_family(|talk| {
        let mut host = connected(&talk);
        let forged = [tcp(FIN | ACK, 9000, 502), tcp(FIN | ACK, 50, 502)];
        cross(&talk, &mut host, Application, tcp(FIN | ACK, 501, 101));
        for segment in forged {
            cross(&talk, &mut host, Client, segment);
            cross(&talk, &mut host, Application, tcp(ACK, 502, 101));
        }
        cross(&talk, &mut host, Client, tcp(FIN | ACK, 101, 501));
        cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
        for segment in forged {
            cross(&talk, &mut host, Client, segment);
            cross(&talk, &mut host, Application, tcp(ACK, 502, 102));
        }
        assert_eq!(host.flows(), [0, 1]);
        cross(&talk, &mut host, Client, tcp(ACK, 102, 502));
        assert_eq!(host.flows(), [0, 0]);
    });
}
