//! A flood of SYNs must not make anybody forget a connection.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use integration::datapath::Datapath;
use integration::flood::syn_flood;
use integration::scale;
use integration::server::{Connection, Listener};
use integration::topology::{LOOPBACK, Lan, SERVER};
use integration::wait;

/// More than the second that a connection may have to live before it is remembered for good.
const OLD: Duration = Duration::from_millis(1500);

#[test]
fn idle_connections_outlive_500_000_spoofed_syns() {
    let lan = Lan::new();
    // The answers to the flood leave the server and are dropped where they arrive.
    lan.server.ip(&format!(
        "route add default via {}",
        integration::topology::CLIENT.v4
    ));
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);

    let open_everywhere = |age: &str, has_spoken: bool| {
        let places = [
            (&lan.client, SERVER.v4),
            (&lan.client, SERVER.v6),
            (&lan.server, LOOPBACK.v4),
            (&lan.server, SERVER.v4),
        ];
        places.map(|(from, address)| {
            let to = SocketAddr::new(address, 80);
            let mut connection = Connection::open(from, to, &listener);
            if has_spoken {
                connection.exchange("before the flood");
            }
            (format!("{to}, {age}, has spoken: {has_spoken}"), connection)
        })
    };

    let opened = Instant::now();
    let [old_silent, mut old] = [false, true].map(|has_spoken| open_everywhere("old", has_spoken));
    wait::until("the connections are old", || opened.elapsed() > OLD);
    for (what, connection) in &mut old {
        connection.push(what);
    }
    let [new_silent, new] = [false, true].map(|has_spoken| open_everywhere("new", has_spoken));

    let received = lan.server.snmp("Tcp", "InSegs");
    let count = scale(500_000);
    syn_flood(&lan.client, server_port_80(), count);
    wait::until("the server has got the flood", || {
        lan.server.snmp("Tcp", "InSegs") >= received + count * 99 / 100
    });

    for (what, mut connection) in [old_silent, old, new_silent, new].into_iter().flatten() {
        // The client's socket takes segments from port 80 only.
        assert_eq!(connection.client.peer_addr().expect("the peer").port(), 80);
        connection.push(&what);
        connection.exchange(&what);
    }
    for (_, mut connection) in open_everywhere("after the flood", true) {
        connection.exchange("after the flood");
    }
}

fn server_port_80() -> SocketAddrV4 {
    let IpAddr::V4(address) = SERVER.v4 else {
        unreachable!("v4 is an IPv4 address")
    };
    SocketAddrV4::new(address, 80)
}
