//! The MTU of the way, which the server learns from errors about its packets.

use std::os::fd::AsFd;

use integration::netns::Offloads;
use integration::scenario::icmp_error::{Complaint, cut};
use integration::scenario::{Family, Peer, Scenario, Stage, Topology, UdpPeer};
use integration::system::{self, option};
use integration::wait;

use super::{DNS, Way, acknowledgment, answered, report_errors, still_lives, whole};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("tcp_path_mtu", tcp_path_mtu)
        .checks("the server's connection takes the MTU of an error and sends smaller segments"),
    Scenario::new("udp_path_mtu", udp_path_mtu)
        .rules(DNS)
        .checks("a server that forbids fragments is refused datagrams larger than the way takes"),
    Scenario::new("download_through_narrow_hop", download)
        .topology(Topology::NarrowRouter)
        .checks("10 MB arrive over a way whose MTU the server has to learn"),
    Scenario::new("download_through_narrow_hop_with_offloads", download)
        .topology(Topology::NarrowRouter)
        .offloads(&[Offloads::On])
        .checks("10 MB in super-packets arrive over a way whose MTU the server has to learn"),
    Scenario::new("upload_through_narrow_hop_with_offloads", upload)
        .topology(Topology::NarrowRouter)
        .offloads(&[Offloads::On])
        .checks("super-packets of the client arrive over a narrow way"),
    Scenario::new("udp_through_narrow_hop", udp_through_narrow_hop)
        .rules(DNS)
        .topology(Topology::NarrowRouter)
        .checks("a server's large datagram is lost, its next one refused, a smaller one arrives"),
];

const INJECTED: u16 = 1300;
/// Of [`Topology::NarrowRouter`].
const NARROW: i32 = 1280;

fn tcp_path_mtu(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, b"a request");
    assert_eq!(path_mtu(stage, &server), 1500);
    let packet = acknowledgment(stage, 80);
    let way = Way {
        quote: cut,
        ..Way::new(stage)
    };
    way.send(stage, Complaint::TooBig(INJECTED), &packet);
    wait::until("the server knows the MTU of the way", || {
        path_mtu(stage, &server) == i32::from(INJECTED)
    });
    let body = vec![0x5a; 20_000];
    server.deliver(&client, &body);
    let sent = wait::until_some("the body is captured", || {
        let mut sent = stage.wire().packets();
        sent.retain(|packet| packet.source == stage.server(80));
        let bytes: usize = sent.iter().map(|packet| packet.payload.len()).sum();
        (bytes >= body.len()).then_some(sent)
    });
    let largest = sent.iter().map(|packet| packet.bytes).max();
    assert_eq!(largest, Some(u64::from(INJECTED)));
    still_lives(&client, &server);
}

fn udp_path_mtu(stage: &Stage) {
    let server = stage.udp_server(5353);
    forbid_fragments(server.socket());
    report_errors(server.socket());
    let client = stage.udp_client(53);
    let large = [0x5a; 1400];
    client.send(b"large, please");
    server.expect(b"large, please").send(&large);
    client.expect(&large);
    let packet = stage.wire().expect_bytes("the answer", |packet| {
        packet.source == stage.server(53) && packet.payload == large
    });
    let way = Way {
        quote: whole,
        ..Way::new(stage)
    };
    way.send(stage, Complaint::TooBig(INJECTED), &packet);
    refuses(&server, &large);
    answered(stage, &client, &server, "something smaller");
}

fn download(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    server.deliver(&client, &body());
    assert_eq!(path_mtu(stage, &server), NARROW);
    client.send(b"received").close();
    server.expect(b"received").expect_eof();
}

fn upload(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, &body());
    assert_eq!(path_mtu(stage, &client), NARROW);
    server.send(b"received").close();
    client.expect(b"received").expect_eof();
}

fn udp_through_narrow_hop(stage: &Stage) {
    let server = stage.udp_server(5353);
    forbid_fragments(server.socket());
    report_errors(server.socket());
    let client = stage.udp_client(53);
    let large = [0x5a; 1400];
    client.send(b"large, please");
    server.expect(b"large, please").send(&large);
    refuses(&server, &large);
    answered(stage, &client, &server, "something smaller");
}

/// The server is told that a datagram did not fit, and sends no other of that size.
fn refuses(server: &UdpPeer, large: &[u8]) {
    server.expect_error("EMSGSIZE");
    let error = server.try_send(large).expect_err("a refused datagram");
    assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE), "{error}");
}

fn body() -> Vec<u8> {
    (0..10_000_000u32)
        .map(|index| (index % 251) as u8)
        .collect()
}

/// What a connection knows of its way.
fn path_mtu(stage: &Stage, peer: &Peer) -> i32 {
    let option = match stage.family() {
        Family::V4 => option::IPV4_MTU,
        Family::V6 => option::IPV6_MTU,
    };
    system::number(&*peer.stream(), option).expect("an MTU")
}

/// `IP_PMTUDISC_DO`.
fn forbid_fragments(socket: &impl AsFd) {
    const DO: i32 = 2;
    for option in [option::IPV4_MTU_DISCOVER, option::IPV6_MTU_DISCOVER] {
        system::set_number(socket, option, DO).expect("no fragments");
    }
}
