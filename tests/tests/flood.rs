//! A flood of strangers' packets must not make anybody forget a connection.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use integration::datapath::Datapath;
use integration::flood::{datagram_flood, handshake_flood, syn_flood};
use integration::netns::Namespace;
use integration::redirector::Instance;
use integration::scale;
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, LOOPBACK, Lan, SERVER, number};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;

/// More than the second that a connection may have to live before it is remembered for good.
const OLD: Duration = Duration::from_millis(1500);

#[test]
fn idle_connections_outlive_500_000_spoofed_syns() {
    let lan = lan();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);
    let open = |age, has_spoken| open_everywhere(&lan, &listener, age, has_spoken);

    let opened = Instant::now();
    let [old_silent, mut old] = [false, true].map(|has_spoken| open("old", has_spoken));
    wait::until("the connections are old", || opened.elapsed() > OLD);
    for (what, connection) in &mut old {
        connection.push(what);
    }
    let [new_silent, new] = [false, true].map(|has_spoken| open("new", has_spoken));

    let count = scale(500_000);
    until_received(&lan, count, || {
        syn_flood(&lan.client, server_port(80), count);
    });
    for open in [old_silent, old, new_silent, new] {
        assert_live(open);
    }
    assert_live(open("after the flood", true));
}

/// None of them has heard an answer, so none displaces a connection that was answered.
#[test]
fn young_connections_outlive_300_000_spoofed_handshakes() {
    let lan = lan();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000"]);
    let open = |has_spoken| open_everywhere(&lan, &listener, "new", has_spoken);
    let opened = [false, true].map(open);
    let count = scale(300_000);
    until_received(&lan, 3 * count, || {
        handshake_flood(&lan.client, server_port(80), count);
    });
    for open in opened {
        assert_live(open);
    }
}

/// Answered, they share a table of 262,144 places with connections.
#[test]
fn young_connections_outlive_600_000_answered_datagrams() {
    let lan = lan();
    let listener = Listener::bind(&lan.server, 8000);
    let rules = ["80:8000", "53:5353/udp"];
    let _redirected = Datapath::under_test().redirect(&lan.server, &rules);
    let opened = open_everywhere(&lan, &listener, "new", true);
    let server = lan
        .server
        .enter(|| UdpSocket::bind("0.0.0.0:5353"))
        .expect("a server of datagrams");
    server.set_nonblocking(true).expect("no waiting");
    let count = scale(600_000);
    let mut answered = 0;
    let mut answer = || answered += answer_all(&server);
    datagram_flood(&lan.client, server_port(53), count, &mut answer);
    wait::until("the server has answered the flood", || {
        answered += answer_all(&server);
        answered >= count * 99 / 100
    });
    assert_live(opened);
}

/// The answers to a flood leave the server and are dropped where they arrive.
fn lan() -> Lan {
    let lan = Lan::new();
    lan.server
        .ip(&format!("route add default via {}", CLIENT.v4));
    lan
}

type Open = [(String, Connection); 4];

fn open_everywhere(lan: &Lan, listener: &Listener, age: &str, has_spoken: bool) -> Open {
    let places = [
        (&lan.client, SERVER.v4),
        (&lan.client, SERVER.v6),
        (&lan.server, LOOPBACK.v4),
        (&lan.server, SERVER.v4),
    ];
    places.map(|(from, address)| {
        let to = SocketAddr::new(address, 80);
        let mut connection = Connection::open(from, to, listener);
        if has_spoken {
            connection.exchange("before the flood");
        }
        (format!("{to}, {age}, has spoken: {has_spoken}"), connection)
    })
}

/// The server speaks first.
#[track_caller]
fn assert_live(open: Open) {
    for (what, mut connection) in open {
        // The client's socket takes segments from port 80 only.
        assert_eq!(connection.client.peer_addr().expect("the peer").port(), 80);
        connection.push(&what);
        connection.exchange(&what);
    }
}

#[track_caller]
fn until_received(lan: &Lan, segments: u64, flood: impl FnOnce()) {
    let received = || lan.server.snmp("Tcp", "InSegs");
    let before = received();
    flood();
    wait::until("the server has got the flood", || {
        received() >= before + segments * 99 / 100
    });
}

/// The count of datagrams that were waiting.
fn answer_all(server: &UdpSocket) -> u64 {
    let mut count = 0;
    loop {
        match server.recv_from(&mut []) {
            Ok((_, from)) => server.send_to(b"answer", from).expect("an answer"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return count,
            Err(error) => panic!("a datagram: {error}"),
        };
        count += 1;
    }
}

fn server_port(port: u16) -> SocketAddrV4 {
    let IpAddr::V4(address) = SERVER.v4 else {
        unreachable!("v4 is an IPv4 address")
    };
    SocketAddrV4::new(address, port)
}

/// It crosses the port of the bridge, as what the host itself sends does.
#[test]
fn what_a_bridged_container_sends_fills_no_table_of_connections() {
    let [client, host, container] = ["client", "host", "container"].map(Namespace::new);
    client.connect("eth0", &host, "eth0");
    container.connect("eth0", &host, "port0");
    host.ip("link add br0 up type bridge");
    for port in ["eth0", "port0"] {
        host.ip(&format!("link set {port} master br0"));
    }
    number(&client, "eth0", CLIENT);
    number(&container, "eth0", SERVER);
    let server = UdpServer::bind(&container, 53);
    let instance = Instance::load(&host, "-i eth0 53:5353/udp");
    for to in SERVER.both(53) {
        server.exchange(&UdpClient::connect(&client, 0, to), "over the bridge");
    }
    let flows = |table| instance.flow_table(table).keys().count();
    assert_eq!(["FLOWS", "PENDING"].map(flows), [0, 2]);
}
