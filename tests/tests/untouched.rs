//! What is not a new connection to this host's port is left alone.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use integration::capture::{Capture, ports_of};
use integration::datapath::Datapath;
use integration::netns::Namespace;
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, Host, LOOPBACK, Lan, Routed, SERVER, THIRD};
use integration::udp::{UdpClient, UdpServer};

const RULES: &[&str] = &["80:8000", "443:4430", "53:5353/udp"];

/// Source port 0 is the kernel's choice; the others are what a careless rewrite would take
/// for one of its own.
const SOURCE_PORTS: [u16; 3] = [0, 80, 8000];

#[test]
fn a_router_passes_what_is_for_others() {
    let routed = Routed::new();
    let _redirected =
        Datapath::under_test().redirect_on(&routed.router, &["eth0", "eth1", "lo"], RULES);
    let own = Listener::bind(&routed.router, 8000);
    for port in [80, 8000] {
        let listener = Listener::bind(&routed.third, port);
        for (source, to) in SOURCE_PORTS
            .iter()
            .flat_map(|s| THIRD.both(port).map(|to| (*s, to)))
        {
            let case = format!("from port {source} to {to}");
            let capture = Capture::start(&routed.third, "eth0");
            let mut connection = Connection::open_from(&routed.client, source, to, &listener);
            connection.exchange(&case);
            let packets = capture.stop();
            assert_eq!(
                ports_of(&packets, to.ip()),
                BTreeSet::from([port]),
                "{case}"
            );
        }
    }
    for to in SERVER.both(80) {
        Connection::open(&routed.client, to, &own).exchange("the router's own port 80");
    }
}

#[test]
fn a_router_passes_udp_that_is_for_others() {
    let routed = Routed::new();
    let _redirected =
        Datapath::under_test().redirect_on(&routed.router, &["eth0", "eth1", "lo"], RULES);
    for port in [53, 5353] {
        let server = UdpServer::bind(&routed.third, port);
        for source in [0, 53, 5353] {
            for to in THIRD.both(port) {
                let client = UdpClient::connect(&routed.client, source, to);
                server.exchange(&client, &format!("from port {source} to {to}"));
            }
        }
    }
}

#[test]
fn connections_from_before_the_load_go_on() {
    let lan = Lan::new();
    Datapath::under_test().watch(&lan.server);
    let before = Listener::bind(&lan.server, 80);
    let target = Listener::bind(&lan.server, 8000);
    let open = |listener: &Listener| {
        lan.places()
            .map(|(from, address)| Connection::open(from, SocketAddr::new(address, 80), listener))
    };
    // One that has spoken and one that has not: the first packet after the load differs.
    let [mut spoken, mut silent] = [open(&before), open(&before)];
    for connection in &mut spoken {
        connection.exchange("before the load");
    }

    let _redirected = Datapath::under_test().redirect(&lan.server, RULES);
    for connection in spoken.iter_mut().chain(&mut silent) {
        connection.push("the server speaks first after the load");
        connection.exchange("after the load");
        assert_eq!(connection.server_port(), 80);
    }
    for mut connection in open(&target) {
        connection.exchange("opened after the load");
        assert_eq!(connection.server_port(), 8000);
    }
    assert!(
        before.is_idle(),
        "a new connection reached the shadowed port 80"
    );
    for connection in spoken.iter_mut().chain(&mut silent) {
        connection.exchange("beside new ones");
    }
}

#[test]
fn connections_that_this_host_opens_keep_their_ports() {
    let lan = Lan::new();
    let _redirected = Datapath::under_test().redirect(&lan.server, RULES);
    for port in [80, 8000, 9999] {
        let remote = Listener::bind(&lan.client, port);
        own_connections(&lan.server, CLIENT, port, &remote);
    }
    // Over loopback port 80 is this host's own and redirected: only another can be reached.
    let local = Listener::bind(&lan.server, 9999);
    own_connections(&lan.server, LOOPBACK, 9999, &local);
}

fn own_connections(host: &Namespace, to: Host, port: u16, listener: &Listener) {
    for source in SOURCE_PORTS {
        for to in to.both(port) {
            // Also asserts that the listener sees the port that this host's socket has.
            let mut connection = Connection::open_from(host, source, to, listener);
            let case = format!("from port {source} to {to}");
            connection.exchange(&case);
            if source != 0 {
                let seen = connection.server.peer_addr().expect("the peer");
                assert_eq!(seen.port(), source, "{case}");
            }
        }
    }
}

#[test]
fn datagrams_that_this_host_sends_keep_their_ports() {
    let lan = Lan::new();
    let _redirected = Datapath::under_test().redirect(&lan.server, RULES);
    for port in [53, 5353, 9999] {
        let remote = UdpServer::bind(&lan.client, port);
        for source in [0, 53, 5353] {
            for to in CLIENT.both(port) {
                let client = UdpClient::connect(&lan.server, source, to);
                remote.exchange(&client, &format!("from port {source} to {to}"));
            }
        }
    }
}
