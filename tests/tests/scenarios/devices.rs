//! Links of other kinds, and packets larger than a link takes.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use integration::netns::Offloads;
use integration::scenario::{Network, Place, Scenario, Stage, Topology, UdpPeer};
use integration::system::{self, option};

const DNS: &[&str] = &["53:5353/udp"];
const BOTH: &[Offloads] = &[Offloads::Off, Offloads::On];
const BRIDGE: Topology = Topology::Bridge(&["br0", "lo"]);
pub const PORT: Topology = Topology::Bridge(&["eth0", "lo"]);
pub const BRIDGE_AND_PORT: Topology = Topology::Bridge(&["br0", "eth0", "lo"]);

/// `veth_fix_features()` in `drivers/net/veth.c`.
const NO_SUPER_PACKETS: &str = "its peer sends no super-packets then";

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("tun", tcp)
        .topology(Topology::Tun)
        .places(Place::ALL)
        .checks("connections over a link whose packets have no link layer"),
    Scenario::new("tun_refused", refused)
        .topology(Topology::Tun)
        .checks("a client beyond a tun is refused by the port it asked"),
    Scenario::new("tun_udp", udp)
        .topology(Topology::Tun)
        .rules(DNS)
        .places(Place::ALL)
        .checks("datagrams over a link whose packets have no link layer, also in fragments"),
    Scenario::new("tun_udp_errors", nobody_listens)
        .topology(Topology::Tun)
        .rules(DNS)
        .checks("an ICMP error over a link whose packets have no link layer"),
    Scenario::new("bridge", tcp)
        .topology(BRIDGE)
        .places(Place::ALL)
        .offloads(BOTH)
        .checks("connections to an address on a bridge"),
    Scenario::new("bridge_port", tcp)
        .topology(PORT)
        .offloads(BOTH)
        .checks("connections to an address on a bridge, redirected at its port"),
    Scenario::new("bridge_and_port", tcp)
        .topology(BRIDGE_AND_PORT)
        .offloads(BOTH)
        .checks("connections to an address on a bridge, redirected at both"),
    Scenario::new("bridge_udp", udp)
        .topology(BRIDGE)
        .rules(DNS)
        .checks("datagrams to an address on a bridge"),
    Scenario::new("bridge_port_udp", udp)
        .topology(PORT)
        .rules(DNS)
        .checks("datagrams to an address on a bridge, redirected at its port"),
    Scenario::new("bridge_and_port_udp", udp)
        .topology(BRIDGE_AND_PORT)
        .rules(DNS)
        .offloads(BOTH)
        .checks("datagrams to an address on a bridge, redirected at both, also in fragments"),
    Scenario::new("bridge_and_port_udp_errors", nobody_listens)
        .topology(BRIDGE_AND_PORT)
        .rules(DNS)
        .checks("an ICMP error where a bridge and its port redirect"),
    Scenario::new("macvlan", tcp)
        .topology(Topology::Macvlan)
        .places(Place::ALL)
        .offloads(BOTH)
        .checks("connections to an address on a macvlan"),
    Scenario::new("macvlan_udp", udp)
        .topology(Topology::Macvlan)
        .rules(DNS)
        .checks("datagrams to an address on a macvlan"),
    Scenario::new("jumbo_frames", tcp)
        .prepared(jumbo_frames)
        .offloads(BOTH)
        .checks("segments of 9000 bytes"),
    Scenario::new("jumbo_datagrams", udp)
        .rules(DNS)
        .prepared(jumbo_frames)
        .checks("datagrams of 9000 bytes"),
    Scenario::new("super_packets", super_packets)
        .places(Place::ALL)
        .offloads(BOTH)
        .checks("a megabyte each way, and both ways at once"),
    Scenario::new("udp_segments", udp_segments)
        .rules(DNS)
        .places(Place::ALL)
        .offloads(&[Offloads::On])
        .checks("datagrams that are sent in one piece arrive one by one, both ways")
        .not_with_native_xdp(NO_SUPER_PACKETS),
    // Not of the server: without checksum offload the kernel hands such a piece over as if its
    // checksum were done, and whoever changes a port spoils it, netfilter too.
    Scenario::new("udp_segments_of_the_client", udp_segments_of_the_client)
        .rules(DNS)
        .checks("datagrams that are sent in one piece arrive one by one, without offloads"),
    Scenario::new("udp_coalesced", udp_coalesced)
        .rules(DNS)
        .offloads(&[Offloads::On])
        .checks("datagrams that are sent in one piece arrive in one piece where that is asked for")
        .not_with_native_xdp(NO_SUPER_PACKETS),
];

fn tcp(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    let body = body(100_000);
    client.deliver(&server, &body);
    server.deliver(&client, &body);
    client.shutdown();
    server.expect_eof().close();
    client.expect_eof();
    let (client, server) = stage.connection(8000, 8000);
    server.deliver(&client, b"straight to the target");
}

fn refused(stage: &Stage) {
    stage.dial(80).refused();
}

fn udp(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    for length in [0, 1, 1400, 8900] {
        let payload = body(length);
        client.send(&payload);
        server.expect(&payload).send(&payload);
        client.expect(&payload);
    }
}

fn nobody_listens(stage: &Stage) {
    let client = stage.udp_client(53);
    client.send(b"anybody?").expect_error("ECONNREFUSED");
}

fn super_packets(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    let body = body(1 << 20);
    client.deliver(&server, &body);
    server.deliver(&client, &body);
    // Both ways at once, past the transcripts: who is done first is chance.
    std::thread::scope(|scope| {
        for peer in [&client, &server] {
            let body = &body;
            scope.spawn(move || (&*peer.stream()).write_all(body).expect("a body to send"));
        }
        for peer in [&client, &server] {
            let body = &body;
            scope.spawn(move || {
                let mut received = vec![0; body.len()];
                (&*peer.stream()).read_exact(&mut received).expect("a body");
                assert!(received == *body, "other bytes arrived");
            });
        }
    });
}

const SEGMENT: usize = 1000;

fn udp_segments(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    in_segments(&client, &server);
    in_segments(&server, &client);
}

fn udp_segments_of_the_client(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    in_segments(&client, &server);
    server.send(b"received");
    client.expect(b"received");
}

fn in_segments(from: &UdpPeer, to: &UdpPeer) {
    send_in_segments(from.socket());
    // The last one is shorter.
    let payload = body(9500);
    from.send(&payload);
    for segment in payload.chunks(SEGMENT) {
        to.expect(segment);
    }
}

fn udp_coalesced(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    for socket in [client.socket(), server.socket()] {
        send_in_segments(socket);
        system::set_number(socket, option::UDP_GRO, 1).expect("UDP_GRO");
    }
    let payload = body(9500);
    client.send(&payload);
    server.expect(&payload).send(&payload);
    client.expect(&payload);
}

fn send_in_segments(socket: &impl AsFd) {
    let size = i32::try_from(SEGMENT).expect("a short segment");
    system::set_number(socket, option::UDP_SEGMENT, size).expect("UDP_SEGMENT");
}

pub fn jumbo_frames(network: &Network) {
    for host in [&network.client, &network.server] {
        host.ip("link set eth0 mtu 9000");
    }
}

fn body(length: u32) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}
