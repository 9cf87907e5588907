//! ICMP errors: about answers of the server, which leave from the wire port, and about requests, which
//! reach the server at the target port.

pub mod mtu;
pub mod outbound;
mod way;

use std::net::IpAddr;
use std::os::fd::AsFd;

use integration::packet::Packet;
use integration::scenario::icmp_error::{Complaint, cut, with_options};
use integration::scenario::{Peer, Scenario, Stage, UdpPeer};
use integration::topology::GHOST;
use integration::{system, wait};
use redirector_common::native::craft::ACK;

use self::way::Way;
use crate::hand::Hand;

const DNS: &[&str] = &["53:5353/udp"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("udp_short_quotes", |stage| udp(stage, &Way::new(stage)))
        .rules(DNS)
        .checks("errors that quote 8 bytes reach the application"),
    Scenario::new("udp_whole_quotes", |stage| {
        udp(
            stage,
            &Way {
                quote: whole,
                ..Way::new(stage)
            },
        );
    })
    .rules(DNS)
    .checks("errors that quote a whole datagram reach the application"),
    Scenario::new("udp_quotes_with_options", |stage| {
        udp(
            stage,
            &Way {
                quote: |packet| with_options(cut(packet)),
                ..Way::new(stage)
            },
        );
    })
    .rules(DNS)
    .checks("errors about datagrams with IPv4 options or an IPv6 extension header are understood"),
    Scenario::new("udp_extended_errors", |stage| {
        udp(
            stage,
            &Way {
                extended: true,
                ..Way::new(stage)
            },
        );
    })
    .rules(DNS)
    .checks("errors with an extension behind the quote reach the application"),
    Scenario::new("udp_errors_of_a_router", |stage| {
        let router = stage.family().of(GHOST);
        udp(
            stage,
            &Way {
                from: router,
                ..Way::new(stage)
            },
        );
    })
    .rules(DNS)
    .checks("errors from the way reach the application"),
    Scenario::new("told_at_another_address", told_at_another_address)
        .rules(DNS)
        .checks(
            "an error that is sent to another address than its quote came from is not believed",
        ),
    Scenario::new("udp_connected_server", udp_connected_server)
        .rules(DNS)
        .checks("a connected server is told that its client is gone, without asking for errors"),
    Scenario::new("tcp_short_quotes", |stage| tcp(stage, &Way::new(stage)))
        .checks("errors that quote 8 bytes reach the connection, which survives them"),
    Scenario::new("tcp_whole_quotes", |stage| {
        tcp(
            stage,
            &Way {
                quote: whole,
                ..Way::new(stage)
            },
        );
    })
    .checks("errors that quote a whole segment reach the connection"),
    Scenario::new("tcp_quotes_with_options", |stage| {
        tcp(
            stage,
            &Way {
                quote: with_options,
                ..Way::new(stage)
            },
        );
    })
    .checks("errors about segments with IPv4 options or an IPv6 extension header are understood"),
    Scenario::new("tcp_extended_errors", |stage| {
        tcp(
            stage,
            &Way {
                quote: whole,
                extended: true,
                ..Way::new(stage)
            },
        );
    })
    .checks("errors with an extension behind the quote reach the connection"),
    Scenario::new("tcp_errors_of_a_router", |stage| {
        let router = stage.family().of(GHOST);
        tcp(
            stage,
            &Way {
                from: router,
                ..Way::new(stage)
            },
        );
    })
    .checks("errors from the way reach the connection"),
    Scenario::new("handshake_given_up", handshake_given_up)
        .checks("an error about the SYN-ACK ends the handshake"),
    Scenario::new("direct_connection", direct_connection)
        .checks("an error about a connection to the target itself reaches it"),
    Scenario::new("unknown_connection", unknown_connection).checks(
        "an error about a connection that nobody has harms no direct one of the same ports",
    ),
];

fn whole(packet: Vec<u8>) -> Vec<u8> {
    packet
}

fn udp(stage: &Stage, way: &Way) {
    let server = stage.udp_server(5353);
    report_errors(server.socket());
    let client = stage.udp_client(53);
    for complaint in Complaint::ALL {
        let packet = answered(stage, &client, &server, &format!("{complaint:?}"));
        way.send(stage, complaint, &packet);
        server.expect_error(complaint.errno(stage.family()));
    }
    answered(stage, &client, &server, "still there");
}

fn told_at_another_address(stage: &Stage) {
    let server = stage.udp_server(5353);
    report_errors(server.socket());
    let client = stage.udp_client(53);
    let packet = answered(stage, &client, &server, "a question");
    let elsewhere = Way {
        to: stage.other(0).ip(),
        ..Way::new(stage)
    };
    elsewhere.send(stage, Complaint::HostUnreachable, &packet);
    Way::new(stage).send(stage, Complaint::PortUnreachable, &packet);
    server.expect_error("ECONNREFUSED");
    answered(stage, &client, &server, "still there");
}

fn udp_connected_server(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client(53);
    client.send(b"hello");
    server.expect(b"hello");
    let address = client.socket().local_addr().expect("an address");
    server.socket().connect(mapped(address)).expect("connect");
    let packet = answered(stage, &client, &server, "to a connected socket");
    Way::new(stage).send(stage, Complaint::PortUnreachable, &packet);
    server.expect_error("ECONNREFUSED");
    answered(stage, &client, &server, "still there");
}

/// A question and its answer, of which the packet is returned.
fn answered(stage: &Stage, client: &UdpPeer, server: &UdpPeer, text: &str) -> Vec<u8> {
    client.send(text.as_bytes());
    let answer = format!("an answer to {text}");
    server.expect(text.as_bytes()).send(answer.as_bytes());
    client.expect(answer.as_bytes());
    stage.wire().expect_bytes("the answer", |packet| {
        packet.source == stage.server(53) && packet.payload == answer.as_bytes()
    })
}

fn tcp(stage: &Stage, way: &Way) {
    let (client, server) = stage.connection(80, 8000);
    report_errors(&*server.stream());
    client.deliver(&server, b"a request");
    let packet = acknowledgment(stage, 80);
    for complaint in Complaint::ALL {
        way.send(stage, complaint, &packet);
        expect_error(&server, complaint.errno(stage.family()));
    }
    still_lives(&client, &server);
}

fn handshake_given_up(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    let packet = stage
        .wire()
        .expect_bytes("the SYN-ACK", |packet| hand.is_answer(packet));
    let way = Way {
        from: stage.family().of(GHOST),
        ..Way::new(stage)
    };
    // What ends a handshake differs by family: `tcp_v4_err()` and `tcp_v6_err()`.
    for complaint in [Complaint::HostUnreachable, Complaint::PortUnreachable] {
        way.send(stage, complaint, &packet);
    }
    hand.send(ACK, b"too late");
    hand.expect("a reset", |packet| packet.rst);
    listener.expect_nobody();
}

fn direct_connection(stage: &Stage) {
    let (client, server) = stage.connection(8000, 8000);
    report_errors(&*server.stream());
    client.deliver(&server, b"a request");
    let packet = acknowledgment(stage, 8000);
    for quote in [whole, cut] {
        let way = Way {
            quote,
            ..Way::new(stage)
        };
        way.send(stage, Complaint::HostUnreachable, &packet);
        expect_error(&server, "EHOSTUNREACH");
    }
    still_lives(&client, &server);
}

fn unknown_connection(stage: &Stage) {
    const SOURCE_PORT: usize = 0;
    let (client, server) = stage.connection(8000, 8000);
    report_errors(&*server.stream());
    client.deliver(&server, b"a request");
    let mut packet = acknowledgment(stage, 8000);
    let header = if stage.server(0).is_ipv4() { 20 } else { 40 };
    packet[header + SOURCE_PORT..][..2].copy_from_slice(&80u16.to_be_bytes());
    Way::new(stage).send(stage, Complaint::HostUnreachable, &packet);
    still_lives(&client, &server);
    let error = server.stream().take_error().expect("SO_ERROR");
    assert!(error.is_none(), "{error:?}");
}

/// Waits for an acknowledgment by the server that carries nothing: its number is the next one, so
/// that an error about it is about something on its way.
fn acknowledgment(stage: &Stage, port: u16) -> Vec<u8> {
    let is_it = |packet: &Packet| {
        packet.source == stage.server(port)
            && packet.ack
            && !packet.syn
            && packet.payload.is_empty()
    };
    stage.wire().expect_bytes("an acknowledgment", is_it)
}

fn expect_error(server: &Peer, name: &str) {
    let error = wait::until_some(name, || server.stream().take_error().expect("SO_ERROR"));
    let number = error.raw_os_error().expect("an error number");
    let found = format!("{:?}", nix::errno::Errno::from_raw(number));
    server.note(format!("error {found}"));
    assert_eq!(found, name);
}

fn still_lives(client: &Peer, server: &Peer) {
    server.deliver(client, b"an answer");
    client.deliver(server, b"another request");
}

/// Soft errors too, and to sockets that are not connected.
fn report_errors(socket: &impl AsFd) {
    use system::option::{IPV4_RECEIVE_ERRORS, IPV6_RECEIVE_ERRORS};
    system::set_number(socket, IPV4_RECEIVE_ERRORS, 1).expect("reported errors");
    match system::set_number(socket, IPV6_RECEIVE_ERRORS, 1) {
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {} // A socket of IPv4.
        outcome => outcome.expect("reported errors"),
    }
}

/// As a socket of both families has it.
fn mapped(address: std::net::SocketAddr) -> std::net::SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    (ip, address.port()).into()
}
