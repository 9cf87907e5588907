//! A SYN that does not belong to a connection from before the load leaves it alone.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use integration::datapath::Datapath;
use integration::flood::spoofed_syn;
use integration::netns::Namespace;
use integration::server::{Connection, Listener, canonical};
use integration::topology::{LOOPBACK, Lan, SERVER};
use integration::wait;

#[test]
fn a_spoofed_syn_does_not_kill_a_connection_from_before_the_load() {
    for (target_listens, has_spoken) in [(true, true), (true, false), (false, true), (false, false)]
    {
        let lan = Lan::new();
        Datapath::under_test().watch(&lan.server);
        let before = Listener::bind(&lan.server, 80);
        let mut connections = places(&lan)
            .map(|(from, address)| Connection::open(from, SocketAddr::new(address, 80), &before));
        if has_spoken {
            for connection in &mut connections {
                connection.exchange("before the load");
            }
        }
        let _target = target_listens.then(|| Listener::bind(&lan.server, 8000));
        let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);

        for ((from, address), connection) in places(&lan).iter().zip(&mut connections) {
            let case =
                format!("{address}, target listens: {target_listens}, has spoken: {has_spoken}");
            spoof(&lan, from, connection);
            assert_eq!(connection.server_port(), 80, "{case}");
            connection.exchange(&format!("the client speaks first, {case}"));
            spoof(&lan, from, connection);
            connection.push(&format!("the server speaks first, {case}"));
            connection.exchange(&case);
        }
    }
}

/// The other one that must not be harmed: it has a flow already.
#[test]
fn a_spoofed_syn_does_not_kill_a_redirected_connection() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);
    for (from, address) in places(&lan) {
        for has_spoken in [true, false] {
            let to = SocketAddr::new(address, 80);
            let case = format!("{to}, has spoken: {has_spoken}");
            let mut connection = Connection::open(from, to, &listener);
            if has_spoken {
                connection.exchange(&case);
            }
            spoof(&lan, from, &connection);
            connection.push(&case);
            connection.exchange(&case);
        }
    }
}

fn places(lan: &Lan) -> [(&Namespace, IpAddr); 3] {
    [
        (&lan.client, SERVER.v4),
        (&lan.server, LOOPBACK.v4),
        (&lan.server, SERVER.v4),
    ]
}

/// Returns once the server's TCP has seen the SYN, whatever it made of it.
fn spoof(lan: &Lan, from: &Namespace, connection: &Connection) {
    let received = || lan.server.snmp("Tcp", "InSegs");
    let already = received();
    spoofed_syn(
        from,
        v4(connection.client.local_addr().expect("the client")),
        v4(connection.client.peer_addr().expect("the server")),
    );
    wait::until("the SYN arrives", || received() > already);
}

fn v4(address: SocketAddr) -> SocketAddrV4 {
    match canonical(address) {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => panic!("{address} is not IPv4"),
    }
}
