//! ICMP errors about flows: the application's host reads of the port that the application has, the
//! client's of the port that the client asked. About everything else they stay as they are.

mod common;
#[path = "common/errors.rs"]
mod errors;

use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, UDP, each_family};
use errors::{BOTH, becomes, each_error, each_left_error, error, ports, stays};
use redirector_common::{
    Direction, Peer,
    abi::{NO_PORT, Port, SocketFlow},
    native::craft::Transport,
};

#[test]
fn other_flows() {
    each_left_error(|error| error.quoted.source_port ^= 1);
    each_left_error(|error| error.quoted.destination_port ^= 1);
    each_left_error(|error| {
        std::mem::swap(&mut error.quoted.source, &mut error.quoted.destination)
    });
    each_left_error(|error| {
        error.quoted.transport = match error.quoted.transport {
            Transport::Tcp { .. } => UDP,
            Transport::Udp { .. } => DATA,
        };
    });
    each_error(|host, error, direction, _| {
        host.lose_all_flows();
        stays(host, &error, direction);
    });
    each_error(|host, error, direction, _| {
        host.other_host = direction == Direction::Ingress;
        if host.other_host {
            stays(host, &error, direction);
        }
    });
}

fn answered(talk: &Talk) -> Host {
    let mut host = Host::with(&[(80, 8000)]);
    for (packet, is_request) in [
        (talk.to(80, OPENING), true),
        (talk.from(8000, SYN_ACK), false),
        (talk.to(80, FINAL_ACK), true),
    ] {
        let crossing = if is_request {
            host.receive(&packet)
        } else {
            host.send(&packet)
        };
        assert!(matches!(crossing, Ok(Some(_))));
    }
    host
}

#[test]
fn an_answered_flow_keeps_its_earlier_target() {
    each_family(|talk| {
        let mut host = answered(&talk);
        host.lose_pending();
        for change in [None, Some(9000), Some(9001)] {
            host.rule(None, 0, 80, change.or(Some(8000)));
            for direction in BOTH {
                let [before, after] = ports(direction);
                becomes(
                    &mut host,
                    &error(direction, &talk, before, DATA),
                    direction,
                    after,
                );
            }
        }
    });
}

#[test]
fn a_socket_remembers() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (81, 8000)]);
        let origin = |from| Peer::Connected {
            origin: Some(SocketFlow {
                rule: 0,
                from: Port::new(from),
                client: NO_PORT,
            }),
        };
        host.has_socket(&talk, 8000, origin(80));
        for direction in BOTH {
            let [before, after] = ports(direction);
            becomes(
                &mut host,
                &error(direction, &talk, before, DATA),
                direction,
                after,
            );
        }
        stays(
            &mut host,
            &error(Direction::Ingress, &talk, 81, DATA),
            Direction::Ingress,
        );
        host.has_socket(&talk, 8000, origin(81));
        becomes(
            &mut host,
            &error(Direction::Egress, &talk, 8000, DATA),
            Direction::Egress,
            81,
        );
    });
}

#[test]
fn connections_to_either_port_itself() {
    each_family(|talk| {
        for port in [80, 8000] {
            let mut host = Host::with(&[(80, 8000)]);
            host.has_socket(&talk, port, CONNECTED);
            stays(
                &mut host,
                &error(Direction::Ingress, &talk, port, DATA),
                Direction::Ingress,
            );
            if port == 80 {
                stays(
                    &mut host,
                    &error(Direction::Egress, &talk, port, DATA),
                    Direction::Egress,
                );
            }
        }
        // A datagram that this host began with, from the wire port.
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.send(&talk.from(80, UDP)), Ok(None));
        for direction in BOTH {
            stays(&mut host, &error(direction, &talk, 80, UDP), direction);
        }
        // Also where that port is another rule's target.
        host.rule(None, 0, 443, Some(80));
        for direction in BOTH {
            stays(&mut host, &error(direction, &talk, 80, UDP), direction);
        }
    });
}
