//! Link-local addresses, which are unique on a link only.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpStream};
use std::time::Duration;

use integration::netns::Namespace;
use integration::scenario::{Family, LINK_LOCAL, Network, Scenario, Stage, Topology};
use socket2::{Domain, Socket, Type};

use crate::addresses::talk;
use crate::devices::{BRIDGE_AND_PORT, PORT};
use crate::pair::{Pair, all_go_on};
use crate::stranger::Stranger;

const V6: &[Family] = &[Family::V6];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("link_local", link_local)
        .topology(Topology::TwoCables)
        .interfaces(&["eth0", "eth1", "lo"])
        .families(V6)
        .checks("clients of a link-local address are redirected"),
    Scenario::new("same_link_local_twice", same_link_local_twice)
        .topology(Topology::TwoCables)
        .interfaces(&["eth0", "eth1", "lo"])
        .families(V6)
        .checks("equal addresses and ports on two cables are two connections"),
    Scenario::new("link_local_on_one_cable", link_local_on_one_cable)
        .topology(Topology::TwoCables)
        .interfaces(&["eth0"])
        .families(V6)
        .checks("rules for one cable leave equal addresses on the other alone"),
    Scenario::new("own_link_local", own_link_local)
        .topology(Topology::TwoCables)
        .interfaces(&["eth0", "eth1", "lo"])
        .families(V6)
        .checks("one port of the host to both ports of its own link-local address"),
    Scenario::new("bridge_port_link_local", one_client_port)
        .topology(PORT)
        .prepared(link_local_bridge)
        .families(V6)
        .checks("one client port to both ports of a bridge whose port is loaded"),
    Scenario::new("bridge_and_port_link_local", old_connection)
        .topology(BRIDGE_AND_PORT)
        .prepared(link_local_bridge)
        .families(V6)
        .checks("a connection to a bridge, that and its port loaded, is remembered by its socket"),
    Scenario::new("stranger_of_link_local", stranger)
        .topology(PORT)
        .prepared(link_local_bridge)
        .families(V6)
        .checks("a stranger's SYN to a bridge whose port is loaded ends no live connection"),
];

fn link_local(stage: &Stage) {
    let listener = stage.listen(8000);
    for interface in ["eth0", "eth1"] {
        for port in [80, 8000] {
            talk(stage.dial_to(on(stage, interface, port)), &listener);
        }
    }
}

fn same_link_local_twice(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = ["eth0", "eth1"].map(|interface| {
        let dial = stage.dial_to(on(stage, interface, 80));
        let pair = Pair::of(dial.from(stage.source_port(0)), &listener);
        assert_eq!(pair.server.remote(), pair.client.local());
        pair
    });
    all_go_on(&pairs);
    let [first, second] = pairs;
    first.server.close();
    first.client.expect_eof().close();
    second.exchange("alone");
}

fn link_local_on_one_cable(stage: &Stage) {
    let listener = stage.listen(8000);
    talk(stage.dial_to(on(stage, "eth0", 80)), &listener);
    stage.dial_to(on(stage, "eth1", 80)).refused();
    talk(stage.dial_to(on(stage, "eth1", 8000)), &listener);
}

fn own_link_local(stage: &Stage) {
    let listener = stage.listen(8000);
    // Something for the capture.
    talk(stage.dial(80), &listener);
    let host = stage.server_host();
    let clients = [80, 8000].map(|port| {
        let to = at(host, "eth0", port);
        let from = at(host, "eth0", stage.source_port(1));
        let client = own_connection(host, from, to)
            .unwrap_or_else(|error| panic!("connect to {to}: {error}"));
        (client, listener.accept())
    });
    for (client, server) in &clients {
        (&*client).write_all(b"hello").expect("a request");
        server.expect(b"hello");
    }
}

fn own_connection(host: &Namespace, from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = host.enter(|| Socket::new(Domain::IPV6, Type::STREAM, None))?;
    socket.set_reuse_address(true)?;
    host.enter(|| socket.bind(&from.into()))?;
    socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
    Ok(socket.into())
}

fn one_client_port(stage: &Stage) {
    let listener = stage.listen(8000);
    let open = |port| {
        let dial = stage.dial_to(on(stage, "eth0", port));
        Pair::of(dial.from(stage.source_port(0)), &listener)
    };
    all_go_on(&[80, 8000].map(open));
}

fn old_connection(stage: &Stage) {
    let listener = stage.listen(8000);
    let pair = Pair::of(stage.dial_to(on(stage, "eth0", 80)), &listener);
    pair.exchange("young");
    crate::idle::until_old();
    pair.exchange("old");
    stage.forget_flows();
    pair.goes_on();
}

fn stranger(stage: &Stage) {
    let listener = stage.listen(8000);
    let dial = stage.dial_to(on(stage, "eth0", 80));
    let pair = Pair::of(dial.from(stage.source_port(0)), &listener);
    pair.exchange("before");
    let [from, to] = LINK_LOCAL.map(IpAddr::from);
    Stranger::of(stage, SocketAddr::new(from, stage.source_port(0)))
        .syn_to(SocketAddr::new(to, 8000));
    pair.goes_on();
}

fn link_local_bridge(network: &Network) {
    let interfaces = [(&network.client, "eth0"), (&network.server, "br0")];
    for ((host, interface), address) in interfaces.into_iter().zip(LINK_LOCAL) {
        host.ip(&format!("address flush dev {interface} scope link"));
        host.address(interface, &format!("{address}/64"));
    }
}

/// The server's link-local address by one cable.
fn on(stage: &Stage, interface: &str, port: u16) -> SocketAddr {
    at(stage.client_host(), interface, port)
}

fn at(host: &Namespace, interface: &str, port: u16) -> SocketAddr {
    SocketAddrV6::new(LINK_LOCAL[1], port, 0, index(host, interface)).into()
}

fn index(host: &Namespace, interface: &str) -> u32 {
    host.enter(|| nix::net::if_::if_nametoindex(interface))
        .expect("an interface")
}
