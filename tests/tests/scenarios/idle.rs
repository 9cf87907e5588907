//! Connections that rest, or of which one end is gone.

use std::net::{Ipv6Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use integration::scenario::{Peer, Place, Scenario, Stage};
use integration::wait;
use redirector_common::native::craft::{ACK, RST};
use socket2::{SockRef, TcpKeepalive};

use crate::hand::Hand;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("server_wakes_up", server_wakes_up)
        .checks("the server speaks after the flow tables have forgotten an old connection")
        .places(Place::ALL),
    Scenario::new("client_wakes_up", client_wakes_up)
        .checks("the client speaks after the flow tables have forgotten a young connection")
        .places(Place::ALL),
    Scenario::new("forgotten_and_direct", forgotten_and_direct)
        .checks("a direct connection that nobody remembers keeps its port"),
    Scenario::new("keep_alive_probes", keep_alive_probes)
        .checks("probes of both ends are answered, and the connection lives"),
    Scenario::new("zero_window", zero_window)
        .checks("an application that does not read stops the client and lets it go on")
        .not_with_native_xdp(
            "each packet takes a page then: the buffer runs over before the window closes",
        ),
    Scenario::new("half_open", half_open)
        .checks("data for a connection that the server has lost is answered by an RST"),
];

/// The redirector writes into a connection's socket after a second.
pub fn until_old() {
    let start = Instant::now();
    wait::until("the connection is old", || {
        start.elapsed() > Duration::from_millis(1050)
    });
}

fn server_wakes_up(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    exchange(&client, &server);
    until_old();
    exchange(&client, &server);
    stage.forget_flows();
    server.deliver(&client, b"good morning");
    exchange(&client, &server);
    server.close();
    client.expect_eof().close();
}

fn client_wakes_up(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    exchange(&client, &server);
    for _ in 0..2 {
        stage.forget_flows();
        exchange(&client, &server);
    }
    stage.forget_flows();
    client.close();
    server.expect_eof().close();
}

fn forgotten_and_direct(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [80, 8000].map(|port| (stage.connect(port), listener.accept()));
    for (client, server) in &pairs {
        exchange(client, server);
    }
    stage.forget_flows();
    for (client, server) in &pairs {
        exchange(client, server);
    }
}

fn keep_alive_probes(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    exchange(&client, &server);
    let second = Duration::from_secs(1);
    let probing = TcpKeepalive::new()
        .with_time(second)
        .with_interval(second)
        .with_retries(1);
    let hosts = [stage.client_host(), stage.server_host()];
    let probes = hosts.map(|host| host.netstat("TcpExt", "TCPKeepAlive"));
    for peer in [&client, &server] {
        let stream = peer.stream();
        SockRef::from(&*stream)
            .set_tcp_keepalive(&probing)
            .expect("keep-alive");
    }
    for (host, before) in hosts.iter().zip(probes) {
        wait::until("a probe is sent and answered", || {
            host.netstat("TcpExt", "TCPKeepAlive") > before
                && host.run("ss -Htno state established").contains("sec,0)")
        });
    }
    exchange(&client, &server);
}

fn zero_window(stage: &Stage) {
    let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 8000);
    let listener = stage.listen_at(everywhere, 8, |socket| {
        socket.set_recv_buffer_size(16 << 10)
    });
    let (client, server) = (stage.connect(80), listener.accept());
    let closed = || stage.server_host().netstat("TcpExt", "TCPToZeroWindowAdv");
    let before = closed();
    let body: Vec<u8> = (0..400_000u32).map(|index| (index % 239) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| client.send(&body));
        wait::until("the server's window is closed", || closed() > before);
        server.expect(&body);
    });
    exchange(&client, &server);
}

fn half_open(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open(stage);
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").abort();
    let is_reset = |packet: &integration::packet::Packet| packet.rst;
    hand.expect("the RST of the abort", is_reset);
    let resets = stage.server_host().snmp("Tcp", "OutRsts");
    hand.send(ACK, b"are you there?");
    wait::until("an RST answers", || {
        stage.server_host().snmp("Tcp", "OutRsts") > resets
    });
    let count = || stage.wire().packets().into_iter().filter(is_reset).count();
    wait::until("the RST has left by the port that was asked", || {
        count() == 2
    });
    hand.send(RST, b"");
}

fn exchange(client: &Peer, server: &Peer) {
    client.deliver(server, b"a request");
    server.deliver(client, b"an answer");
}
