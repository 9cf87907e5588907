//! IPv4 options, IPv6 extension headers, and datagrams without a checksum.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use integration::datapath::Datapath;
use integration::packet::Packet;
use integration::scenario::{Difference, Family, Scenario, Stage, UdpPeer};
use integration::system::{self, option};
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, Extension, Transport};

use crate::devices::jumbo_frames;
use crate::hand::{Hand, talk};

const DNS: &[&str] = &["53:5353/udp"];
const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("udp_without_checksum", udp_without_checksum)
        .rules(DNS)
        .families(V4)
        .checks("datagrams without a checksum stay so, both ways"),
    Scenario::new("headers_in_pages", headers_in_pages)
        .rules(DNS)
        .prepared(jumbo_frames)
        .checks("a datagram whose headers the sender's kernel left in pages"),
    Scenario::new("udp_options", udp_options)
        .rules(DNS)
        .checks("datagrams with IPv4 options or IPv6 extension headers, both ways"),
    Scenario::new("tcp_record_route", |stage| talk(stage, |craft| craft.options = record_route()))
        .families(V4)
        .checks("a connection with a record of the route, which the server answers with one"),
    Scenario::new("tcp_timestamps", |stage| talk(stage, |craft| craft.options = timestamps()))
        .families(V4)
        .checks("a connection with IPv4's timestamps"),
    Scenario::new("tcp_all_options", |stage| talk(stage, |craft| craft.options = vec![1; 40]))
        .families(V4)
        .checks("a connection with as many IPv4 options as a header holds"),
    Scenario::new("tcp_hop_by_hop", |stage| talk(stage, |craft| craft.extensions = chain(1)))
        .families(V6)
        .checks("a connection with hop-by-hop options"),
    Scenario::new("tcp_extensions", |stage| talk(stage, |craft| craft.extensions = chain(6)))
        .families(V6)
        .checks("a connection with six extension headers, as many as are documented"),
    Scenario::new("tcp_more_extensions", tcp_more_extensions)
        .families(V6)
        .checks("a chain that is longer than documented is left alone")
        .differs(
            Difference::new(
                "the verifier walks every header of a chain, so there is a bound; netfilter has none",
            )
            .in_server()
            .on_wire(),
        ),
    Scenario::new("tcp_options_of_the_server", tcp_options_of_the_server)
        .checks("segments of the server with IPv4 options or IPv6 extension headers"),
];

fn udp_without_checksum(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    for socket in [client.socket(), server.socket()] {
        system::set_number(socket, option::NO_CHECKSUM, 1).expect("no checksum");
    }
    both_ways(&client, &server);
    for source in [
        client.socket().local_addr().expect("an address"),
        stage.server(53),
    ] {
        let packet = stage
            .wire()
            .expect_bytes("a datagram", |packet| packet.source.port() == source.port());
        assert_eq!(packet[26..28], [0, 0], "a checksum of {source}");
    }
}

/// A packet socket has its link-layer header alone in linear memory once a frame takes more than a page
/// (`packet_alloc_skb()` in `net/packet/af_packet.c`).
fn headers_in_pages(stage: &Stage) {
    let server = stage.udp_server(5353);
    let from = SocketAddr::new(stage.family().of(GHOST), stage.source_port(0));
    stage.client_source(from);
    let to = stage.server(53);
    let payload = vec![7; 5000];
    let transport = Transport::Udp { checksum: true };
    stage.wire().send(&Craft {
        payload: payload.clone(),
        ..Craft::new((from.ip(), from.port()), (to.ip(), to.port()), transport)
    });
    server.expect(&payload).send(b"answer");
    stage
        .wire()
        .expect("the answer", |packet| packet.source == to);
}

fn udp_options(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    for socket in [client.socket(), server.socket()] {
        set_options(stage, socket);
    }
    both_ways(&client, &server);
    assert_options(stage, 53);
}

fn both_ways(client: &UdpPeer, server: &UdpPeer) {
    for length in [0, 1, 1000] {
        let payload = vec![0x5a; length];
        client.send(&payload);
        server.expect(&payload).send(&payload);
        client.expect(&payload);
    }
}

fn tcp_more_extensions(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand =
        Hand::new(stage, stage.source_port(0), 80).shaped(|craft| craft.extensions = chain(7));
    hand.send_syn();
    match stage.datapath() {
        Datapath::Nft => {
            hand.await_syn_ack();
            hand.send(ACK, b"");
            hand.send(ACK, b"by hand");
            listener.accept().expect(b"by hand").abort();
        }
        Datapath::Redirector => {
            hand.expect("a refusal", |packet| packet.rst);
            listener.expect_nobody();
        }
    }
}

fn tcp_options_of_the_server(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    set_options(stage, &*client.stream());
    set_options(stage, &*server.stream());
    let body = vec![0x5a; 1000];
    for _ in 0..3 {
        client.deliver(&server, &body);
        server.deliver(&client, &body);
    }
    assert_options(stage, 80);
}

/// IPv4: no operations, 8 bytes. IPv6: hop-by-hop and destination options of padding, 8 bytes each.
fn set_options(stage: &Stage, socket: &impl AsFd) {
    const PADDING: [u8; 8] = [0, 0, 1, 4, 0, 0, 0, 0];
    let options: &[_] = match stage.family() {
        Family::V4 => &[(option::IPV4_OPTIONS, [1; 8])],
        Family::V6 => &[
            (option::IPV6_HOP_OPTIONS, PADDING),
            (option::IPV6_DESTINATION_OPTIONS, PADDING),
        ],
    };
    for (option, value) in options {
        system::set(socket, *option, value).expect("options");
    }
}

/// They are really there, both ways.
fn assert_options(stage: &Stage, port: u16) {
    for end in [
        |packet: &Packet| packet.source,
        |packet: &Packet| packet.destination,
    ] {
        let packet = stage.wire().expect_bytes("a packet with data", |packet| {
            end(packet) == stage.server(port) && packet.payload.len() >= 1000
        });
        match stage.family() {
            Family::V4 => assert_eq!(packet[0], 0x47, "options of 8 bytes"),
            Family::V6 => assert_eq!([packet[6], packet[40]], [0, 60], "two extension headers"),
        }
    }
}

/// Hop-by-hop options, then destination options, 8 bytes each, `length` in all.
fn chain(length: usize) -> Vec<Extension> {
    let extension = |number| Extension { number, units: 0 };
    [0].into_iter()
        .chain([60; 9])
        .take(length)
        .map(extension)
        .collect()
}

/// RFC 791 section 3.1: room for three addresses.
fn record_route() -> Vec<u8> {
    [&[7, 15, 4][..], &[0; 13]].concat()
}

/// RFC 791 section 3.1: room for three timestamps without addresses.
fn timestamps() -> Vec<u8> {
    [&[68, 16, 5, 0][..], &[0; 12]].concat()
}
