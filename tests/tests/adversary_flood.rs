//! A stranger's packets displace what was answered.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::time::Instant;

use integration::datapath::Datapath;
use integration::flood::{datagram_flood, triple_flood};
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, Lan, SERVER};
use integration::wait;

#[test]
fn a_young_connection_outlives_spoofed_triples() {
    let lan = Lan::new();
    lan.server
        .ip(&format!("route add default via {}", CLIENT.v4));
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("before the flood");
    let received = lan.server.snmp("Tcp", "InSegs");
    let IpAddr::V4(address) = SERVER.v4 else {
        unreachable!()
    };
    let count = 300_000;
    let start = Instant::now();
    triple_flood(&lan.client, SocketAddrV4::new(address, 80), count);
    println!("flood took {:?}", start.elapsed());
    wait::until("the server has got the flood", || {
        lan.server.snmp("Tcp", "InSegs") >= received + 3 * count * 90 / 100
    });
    if let integration::datapath::Redirected::Redirector(instance) = &_redirected {
        println!("stats {}", instance.stats());
    }
    connection.push("after the flood");
    connection.exchange("after the flood");
}

/// Datagrams that are answered share the table with connections.
#[test]
fn a_young_connection_outlives_answered_spoofed_datagrams() {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicU64, Ordering};
    let lan = Lan::new();
    lan.server
        .ip(&format!("route add default via {}", CLIENT.v4));
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000", "53:5353/udp"]);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("before the flood");
    let socket = lan
        .server
        .enter(|| UdpSocket::bind("0.0.0.0:5353"))
        .expect("bound");
    static ANSWERED: AtomicU64 = AtomicU64::new(0);
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).expect("a datagram");
            if socket.send_to(&buffer[..length], from).is_ok() {
                ANSWERED.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let IpAddr::V4(address) = SERVER.v4 else {
        unreachable!()
    };
    let start = Instant::now();
    datagram_flood(&lan.client, SocketAddrV4::new(address, 53), || {
        ANSWERED.load(Ordering::Relaxed) > 600_000
            || start.elapsed() > std::time::Duration::from_secs(40)
    });
    println!(
        "{} answered in {:?}",
        ANSWERED.load(Ordering::Relaxed),
        start.elapsed()
    );
    if let integration::datapath::Redirected::Redirector(instance) = &_redirected {
        println!("stats {}", instance.stats());
    }
    connection.push("after the flood");
    connection.exchange("after the flood");
}
