//! Connections that begin in unusual ways, or do not begin.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use integration::scenario::{Peer, Place, Scenario, Server, Stage};
use integration::wait;
use nix::sys::socket::{setsockopt, sockopt};
use redirector_common::native::craft::{ACK, RST};

use crate::hand::Hand;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("cookies_always", cookies_always)
        .checks("a server that answers every SYN with a cookie gets the client's own port")
        .places(Place::ALL),
    Scenario::new("cookies_on_overflow", cookies_on_overflow)
        .checks("a client is served by a cookie while half-open connections fill the backlog"),
    Scenario::new("half_open_overflow", half_open_overflow)
        .checks("without cookies a full backlog drops SYNs, and serves again once it has room"),
    Scenario::new("accept_queue_full", accept_queue_full)
        .checks("a connection that nobody accepts in time fills the queue; later ones are served")
        .places(Place::ALL),
    Scenario::new("overflow_is_reset", overflow_is_reset)
        .checks("with tcp_abort_on_overflow the client learns of the full queue"),
    Scenario::new("fast_open", fast_open)
        .checks("data in the SYN reaches the application, from the second connection on")
        .places(Place::ALL),
    Scenario::new("fast_open_answer", fast_open_answer)
        .checks("the application answers before the handshake has ended"),
    Scenario::new("client_resets_syn_ack", client_resets_syn_ack)
        .checks("an RST in answer to a SYN-ACK ends it, and the same port begins anew"),
    Scenario::new("syn_is_repeated", syn_is_repeated)
        .checks("a repeated SYN is the same connection"),
    Scenario::new("syn_is_repeated_after_flood", syn_is_repeated_after_flood)
        .checks("a repeated SYN is the same connection, although a flood displaced its flow"),
    Scenario::new("handshake_ends_after_flood", handshake_ends_after_flood)
        .checks("the ACK that ends a handshake is enough, although a flood displaced its flow"),
    Scenario::new(
        "stray_ack_in_direct_handshake",
        stray_ack_in_direct_handshake,
    )
    .checks("an ACK to the wire port does not lead a direct handshake away"),
    Scenario::new("closed_target", closed_target)
        .rules(&["80:8000", "81:8000"])
        .checks("a client of every port of a closed target is refused, from the port it asked")
        .places(Place::ALL),
];

fn cookies_always(stage: &Stage) {
    stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
    let received = counter(stage, "SyncookiesRecv");
    let listener = stage.listen(8000);
    for port in [80, 8000] {
        let client = stage.connect(port);
        client.send(b"the cookie comes with data or before");
        let server = listener.accept();
        assert_eq!(server.remote(), client.local());
        server.expect(b"the cookie comes with data or before");
        exchange(&client, &server);
    }
    assert_eq!(counter(stage, "SyncookiesRecv"), received + 2);
}

fn cookies_on_overflow(stage: &Stage) {
    stage.server_host().sysctl("ipv4.tcp_syncookies", "1");
    let received = counter(stage, "SyncookiesRecv");
    let listener = listen_with_backlog(stage, 1);
    let mut hands = [0, 1, 2].map(|number| Hand::begin(stage, stage.source_port(number), 80));
    for hand in &mut hands {
        hand.await_syn_ack();
    }
    let client = stage.connect(80);
    let server = listener.accept();
    exchange(&client, &server);
    assert_eq!(counter(stage, "SyncookiesRecv"), received + 1);
    for hand in &mut hands {
        hand.send(RST, b"");
    }
}

fn half_open_overflow(stage: &Stage) {
    stage.server_host().sysctl("ipv4.tcp_syncookies", "0");
    let listener = listen_with_backlog(stage, 0);
    let dropped = counter(stage, "TCPReqQFullDrop");
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    let outcome = stage.dial(80).patience(SHORT).outcome();
    assert_eq!(kind(outcome), Some(io::ErrorKind::TimedOut));
    assert!(counter(stage, "TCPReqQFullDrop") > dropped);
    hand.send(RST, b"");
    wait::until("the half-open connection is gone", || {
        !stage.server_host().has_live_connections()
    });
    let client = stage.connect(80);
    exchange(&client, &listener.accept());
}

fn accept_queue_full(stage: &Stage) {
    let listener = listen_with_backlog(stage, 0);
    let waiting = stage.connect(80);
    until_queue_is_full(stage);
    let overflows = counter(stage, "ListenOverflows");
    let outcome = stage.dial(80).patience(SHORT).outcome();
    assert_eq!(kind(outcome), Some(io::ErrorKind::TimedOut));
    assert!(counter(stage, "ListenOverflows") > overflows);
    exchange(&waiting, &listener.accept());
    let client = stage.connect(80);
    exchange(&client, &listener.accept());
}

/// The ACK that ends a handshake finds no room in the queue, because another came first.
fn overflow_is_reset(stage: &Stage) {
    let server = stage.server_host();
    server.sysctl("ipv4.tcp_abort_on_overflow", "1");
    let listener = listen_with_backlog(stage, 0);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    server.sysctl("ipv4.tcp_syncookies", "2");
    let waiting = stage.connect(80);
    until_queue_is_full(stage);
    hand.send(ACK, b"");
    hand.expect("an RST", |packet| packet.rst);
    exchange(&waiting, &listener.accept());
    for (key, default) in [("tcp_abort_on_overflow", "0"), ("tcp_syncookies", "1")] {
        server.sysctl(&format!("ipv4.{key}"), default);
    }
}

fn fast_open(stage: &Stage) {
    allow_fast_open(stage);
    let listener = stage.listen(8000);
    let passive = counter(stage, "TCPFastOpenPassive");
    for (port, opened) in [(80, 0), (80, 1), (8000, 2)] {
        let client = dial_fast(stage, opened, port);
        client.send(b"perhaps in the SYN");
        let server = listener.accept();
        assert_eq!(server.remote(), client.local());
        server.expect(b"perhaps in the SYN");
        assert_eq!(
            counter(stage, "TCPFastOpenPassive"),
            passive + u64::from(opened)
        );
        exchange(&client, &server);
        server.close();
        client.expect_eof().close();
    }
}

fn fast_open_answer(stage: &Stage) {
    allow_fast_open(stage);
    let listener = stage.listen(8000);
    for number in 0..2 {
        let client = dial_fast(stage, number, 80);
        client.send(b"question");
        let server = listener.accept();
        server.expect(b"question").send(b"answer").close();
        client.expect(b"answer").expect_eof().close();
    }
}

fn client_resets_syn_ack(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    hand.send(RST, b"");
    wait::until("the handshake is over", || {
        !stage.server_host().has_live_connections()
    });
    listener.expect_nobody();
    hand.begin_again();
    hand.await_syn_ack();
    hand.send(ACK, b"");
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand");
    hand.send(RST, b"");
    server.expect_reset();
}

fn syn_is_repeated(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.send_syn();
    hand.await_syn_ack();
    hand.send(ACK, b"");
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    listener.expect_nobody();
    hand.send(RST, b"");
    server.expect_reset();
}

fn syn_is_repeated_after_flood(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.expect("a SYN-ACK", |packet| packet.syn && packet.ack);
    stage.forget_flows();
    hand.send_syn();
    hand.await_syn_ack();
    converse(&mut hand, &listener);
}

fn handshake_ends_after_flood(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    stage.forget_flows();
    converse(&mut hand, &listener);
}

fn stray_ack_in_direct_handshake(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut direct = Hand::begin(stage, stage.source_port(0), 8000);
    direct.await_syn_ack();
    let mut stray = Hand::new(stage, stage.source_port(0), 80);
    stray.send(ACK, b"");
    stray.expect("an RST", |packet| packet.rst);
    converse(&mut direct, &listener);
}

/// The handshake ends, and the connection with it once both have spoken.
fn converse(hand: &mut Hand<'_>, listener: &Server) {
    hand.send(ACK, b"");
    hand.converse(&listener.accept());
    listener.expect_nobody();
}

fn closed_target(stage: &Stage) {
    for _ in 0..2 {
        for port in [80, 81, 8000] {
            stage.dial(port).from(stage.source_port(0)).refused();
        }
    }
    let listener = stage.listen(8000);
    let client = stage.dial(80).from(stage.source_port(0)).connect();
    exchange(&client, &listener.accept());
}

const SHORT: Duration = Duration::from_millis(200);

fn listen_with_backlog(stage: &Stage, backlog: i32) -> Server {
    let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 8000);
    stage.listen_at(everywhere, backlog, |_| Ok(()))
}

/// On the server for listeners that do not ask for it, too (1024).
fn allow_fast_open(stage: &Stage) {
    for host in [stage.client_host(), stage.server_host()] {
        host.sysctl("ipv4.tcp_fastopen", "1027");
    }
}

/// From a port of its own: the client's kernel may choose one twice in a row.
fn dial_fast(stage: &Stage, number: u16, port: u16) -> Peer {
    stage
        .dial(port)
        .from(stage.source_port(number))
        .with(|socket| Ok(setsockopt(socket, sockopt::TcpFastOpenConnect, &true)?))
        .connect()
}

fn until_queue_is_full(stage: &Stage) {
    wait::until("a connection waits to be accepted", || {
        let listeners = stage.server_host().run("ss -Hltn sport = :8000");
        listeners.split_whitespace().nth(1) == Some("1")
    });
}

fn counter(stage: &Stage, name: &str) -> u64 {
    stage.server_host().netstat("TcpExt", name)
}

fn kind(outcome: io::Result<Peer>) -> Option<io::ErrorKind> {
    outcome.err().map(|error| error.kind())
}

fn exchange(client: &Peer, server: &Peer) {
    client.deliver(server, b"a request");
    server.deliver(client, b"an answer");
}
