//! Packets that are not for an address of this host alone.

use std::net::SocketAddr;
use std::time::Duration;

use integration::datapath::Datapath;
use integration::scenario::{Difference, Family, Network, Scenario, Stage, Topology};
use integration::topology::{CLIENT, GHOST};
use integration::wait;
use redirector_common::native::craft::{Craft, Transport};

use crate::containers::publish_ports;
use crate::devices::PORT;

const DNS: &[&str] = &["53:5353/udp"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("broadcast", broadcast)
        .rules(DNS)
        .families(&[Family::V4])
        .checks("a server hears what is sent to everybody's wire port")
        .differs(
            Difference::new(
                "a broadcast is for this host too; the oracle's rules ask for addresses that are \
                 local in the narrow sense",
            )
            .in_client()
            .in_server()
            .on_wire(),
        ),
    Scenario::new("forwarded", forwarded)
        .rules(DNS)
        .prepared(|network| forward_on(network, "all"))
        .checks("what a router forwards keeps its port"),
    Scenario::new("forwarded_by_a_bridge", forwarded)
        .topology(PORT)
        .rules(DNS)
        .prepared(|network| forward_on(network, "all"))
        .checks("what a router forwards keeps its port, redirected at a bridge's port"),
    // IPv6 is forwarded on all interfaces or on none.
    Scenario::new("forwarded_by_the_bridge_alone", forwarded)
        .topology(PORT)
        .rules(DNS)
        .families(&[Family::V4])
        .prepared(|network| forward_on(network, "br0"))
        .checks("what only the bridge above the loaded port forwards")
        .differs(
            Difference::new(
                "whether packets are forwarded is asked of the interface that is loaded, and this one \
                 forwards none",
            )
            .on_wire(),
        ),
    Scenario::new("masqueraded_from_a_wire_port", masqueraded)
        .topology(Topology::Container)
        .rules(&["40000:8000"])
        .checks("a container's own connection, masqueraded to a wire port, goes on"),
    Scenario::new("masqueraded_datagrams_from_a_wire_port", masqueraded_datagrams)
        .topology(Topology::Container)
        .rules(&["40000:5353/udp"])
        .checks("a container's own datagrams, masqueraded to a wire port, are answered"),
];

const WIRE: u16 = 40_000;
const FAR: u16 = 7777;

fn broadcast(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client_to_many(stage.source_port(0));
    client
        .socket()
        .set_broadcast(true)
        .expect("a broadcasting socket");
    client.send_to(b"anybody?", SocketAddr::from(([10, 77, 1, 255], 53)));
    match stage.datapath() {
        Datapath::Redirector => {
            server.expect(b"anybody?").send(b"I am");
            client.expect_from(b"I am", stage.server(5353));
        }
        Datapath::Nft => {
            server.expect_silence(Duration::from_millis(200));
        }
    }
}

fn forwarded(stage: &Stage) {
    let [from, to] = [(CLIENT, stage.source_port(0)), (GHOST, 53)]
        .map(|(host, port)| SocketAddr::new(stage.family().of(host), port));
    stage.client_source(from);
    stage.wire().send(&Craft {
        payload: b"for somebody else".to_vec(),
        ..Craft::new(
            (from.ip(), from.port()),
            (to.ip(), to.port()),
            Transport::Udp { checksum: true },
        )
    });
    wait::until("the packet comes back", || {
        let packets = stage.wire().packets();
        let passed = packets
            .iter()
            .filter(|packet| packet.destination.ip() == to.ip());
        passed.count() == 2
    });
}

/// The container connects to the client's host, from the port that clients ask the server for.
fn masqueraded(stage: &Stage) {
    publish_ports(stage, "9", "9");
    let listener = stage.listen(8000);
    let far = stage.listen_on(stage.client_host(), FAR);
    let to = SocketAddr::new(stage.family().of(CLIENT), FAR);
    let client = stage.dial_on(stage.container(), to).from(WIRE).connect();
    let server = far.accept();
    server.deliver(&client, b"220 ready");
    client.deliver(&server, b"QUIT");
    let (other, application) = (stage.connect(WIRE), listener.accept());
    other.deliver(&application, b"request");
    application.deliver(&other, b"answer");
    server.deliver(&client, b"221 bye");
}

fn masqueraded_datagrams(stage: &Stage) {
    publish_ports(stage, "9", "9");
    let server = stage.udp_server(5353);
    let far = stage.udp_server_on(stage.client_host(), FAR);
    let to = SocketAddr::new(stage.family().of(CLIENT), FAR);
    let client = stage.udp_client_on(stage.container(), WIRE, to);
    for payload in [b"one".as_slice(), b"two"] {
        client.send(payload);
        far.expect(payload).send(payload);
        client.expect(payload);
    }
    let other = stage.udp_client(WIRE);
    other.send(b"request");
    server.expect(b"request").send(b"answer");
    other.expect(b"answer");
}

/// Forwards what arrives by this device, or by every device, without a word to the sender.
fn forward_on(network: &Network, device: &str) {
    let server = &network.server;
    server.sysctl(&format!("ipv4.conf.{device}.forwarding"), "1");
    server.sysctl(&format!("ipv6.conf.{device}.forwarding"), "1");
    for device in ["all", network.gateway()] {
        server.sysctl(&format!("ipv4.conf.{device}.send_redirects"), "0");
    }
}
