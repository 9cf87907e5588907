//! One client port for two ports of the server that lead to one target: to the server's kernel, one
//! tuple. The second connection appears to the application from another port.

use integration::scenario::{Peer, Place, Scenario, Server, Stage};
use integration::wait;
use redirector_common::native::craft::{ACK, RST};

use crate::hand::Hand;

const TWO_WIRE_PORTS: &[&str] = &["80:8000", "81:8000"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "one_client_port_to_both_ports",
        one_client_port_to_both_ports,
    )
    .checks("two client ports, each to both ports in its own order: four are served")
    .places(Place::ALL),
    Scenario::new("direct_after_redirected", |stage| twice(stage, [80, 8000]))
        .checks("one client port to the wire port, then to the target: both are served, twice")
        .places(Place::ALL),
    Scenario::new("redirected_after_direct", |stage| twice(stage, [8000, 80]))
        .checks("one client port to the target, then to the wire port: both are served, twice")
        .places(Place::ALL),
    Scenario::new("second_wire_port", |stage| twice(stage, [80, 81]))
        .rules(TWO_WIRE_PORTS)
        .checks("one client port to two wire ports of one target: both are served, twice")
        .places(Place::ALL),
    Scenario::new("second_wire_port_first", |stage| twice(stage, [81, 80]))
        .rules(TWO_WIRE_PORTS)
        .checks("the order of the wire ports does not matter")
        .places(Place::ALL),
    Scenario::new("three_ports", three_ports)
        .rules(TWO_WIRE_PORTS)
        .checks("one client port to two wire ports and their target: all three are served"),
    Scenario::new("privileged_client_port", privileged_client_port)
        .checks("a client port below 1024 is moved to another below 1024"),
    Scenario::new("first_closes_and_returns", first_closes_and_returns)
        .checks("the second lives on while the first is closed and opened again")
        .places(Place::ALL),
    Scenario::new("second_closes_and_returns", second_closes_and_returns)
        .checks("the first lives on while the second is closed and opened again")
        .places(Place::ALL),
    Scenario::new("second_is_reset", second_is_reset)
        .checks("an abort of the second, by either end, leaves the first unharmed")
        .places(Place::ALL),
    Scenario::new("second_in_two_seconds", second_in_two_seconds)
        .checks("a moved connection lives on when its flow is remembered by its socket alone"),
    Scenario::new("second_during_handshake", |stage| {
        both_half_open(stage, [80, 8000])
    })
    .checks("the second begins before the first's handshake has ended"),
    Scenario::new("second_during_direct_handshake", |stage| {
        both_half_open(stage, [8000, 80])
    })
    .checks("the same with the direct connection first"),
    Scenario::new("second_repeats_its_syn", second_repeats_its_syn)
        .checks("a repeated SYN of the second is moved to the same port"),
    Scenario::new("second_wakes_up", second_wakes_up)
        .checks("a moved connection that only its socket remembers goes on when its client speaks"),
    Scenario::new("under_cookies", |stage| under_cookies(stage, [80, 8000]))
        .checks("under SYN cookies no socket knows the first one's handshake; both are served"),
    Scenario::new("direct_under_cookies", |stage| {
        under_cookies(stage, [8000, 80])
    })
    .checks("the same with the direct connection first"),
    Scenario::new("wire_ports_under_cookies", |stage| {
        under_cookies(stage, [81, 80])
    })
    .rules(TWO_WIRE_PORTS)
    .checks("the same with two wire ports"),
    Scenario::new("twice_under_cookies", |stage| {
        stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
        twice(stage, [80, 8000]);
    })
    .checks("under SYN cookies a client port comes back after its connections")
    .places(Place::ALL),
];

struct Pair {
    client: Peer,
    server: Peer,
}

impl Pair {
    fn open(stage: &Stage, listener: &Server, port: u16) -> Self {
        let client = stage.dial(port).from(stage.source_port(0)).connect();
        let server = listener.accept();
        Self { client, server }
    }

    /// Not moved.
    fn first(stage: &Stage, listener: &Server, port: u16) -> Self {
        let pair = Self::open(stage, listener, port);
        assert_eq!(pair.server.remote(), pair.client.local());
        pair
    }

    fn moved(stage: &Stage, listener: &Server, port: u16) -> Self {
        let pair = Self::open(stage, listener, port);
        assert_eq!(pair.server.remote().ip(), pair.client.local().ip());
        assert_ne!(pair.server.remote().port(), pair.client.local().port());
        pair
    }

    fn exchange(&self, text: &str) {
        self.client.deliver(&self.server, text.as_bytes());
        self.server
            .deliver(&self.client, text.to_uppercase().as_bytes());
    }

    /// The server's end waits in TIME-WAIT, the client's port is free.
    fn close(self) {
        self.server.shutdown();
        self.client.expect_eof().close();
        self.server.expect_eof().close();
    }
}

fn twice(stage: &Stage, ports: [u16; 2]) {
    let listener = stage.listen(8000);
    for _ in 0..2 {
        let first = Pair::first(stage, &listener, ports[0]);
        first.exchange("the first, alone");
        let second = Pair::moved(stage, &listener, ports[1]);
        for round in 0..3 {
            second.exchange(&format!("second {round}"));
            first.exchange(&format!("first {round}"));
        }
        first.close();
        second.exchange("the second, alone");
        second.close();
        until_port_is_free(stage);
    }
    listener.expect_nobody();
}

fn one_client_port_to_both_ports(stage: &Stage) {
    let listener = stage.listen(8000);
    let orders = [[80, 8000], [8000, 80]].into_iter().zip(0..);
    let pairs = orders.map(|(ports, number)| {
        ports.map(|port| Pair {
            client: stage.dial(port).from(stage.source_port(number)).connect(),
            server: listener.accept(),
        })
    });
    let pairs: Vec<_> = pairs.collect();
    for round in 0..2 {
        for [first, second] in &pairs {
            assert_eq!(first.server.remote(), first.client.local());
            assert_ne!(second.server.remote(), second.client.local());
            second.exchange(&format!("the second, {round}"));
            first.exchange(&format!("the first, {round}"));
        }
    }
    for pair in pairs.into_iter().flatten() {
        pair.close();
    }
}

fn three_ports(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [
        Pair::first(stage, &listener, 80),
        Pair::moved(stage, &listener, 81),
        Pair::moved(stage, &listener, 8000),
    ];
    for pair in &pairs {
        pair.exchange("one of three");
    }
    for pair in pairs {
        pair.exchange("and again");
        pair.close();
    }
}

fn privileged_client_port(stage: &Stage) {
    const PORT: u16 = 1000;
    let listener = stage.listen(8000);
    let open = |port| Pair {
        client: stage.dial(port).from(PORT).connect(),
        server: listener.accept(),
    };
    let (first, second) = (open(80), open(8000));
    let moved = second.server.remote().port();
    assert!(moved < 1024 && moved != PORT, "moved to {moved}");
    second.exchange("the second");
    first.exchange("the first");
    second.close();
    first.close();
}

fn first_closes_and_returns(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    let second = Pair::moved(stage, &listener, 8000);
    first.close();
    until_live(stage, 1);
    let first = Pair::first(stage, &listener, 80);
    second.exchange("the second, after the first's return");
    first.exchange("the first, returned");
    second.close();
    first.exchange("the first, alone");
    first.close();
}

fn second_closes_and_returns(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    let second = Pair::moved(stage, &listener, 8000);
    second.close();
    until_live(stage, 1);
    let second = Pair::moved(stage, &listener, 8000);
    first.exchange("the first, after the second's return");
    second.exchange("the second, returned");
    first.close();
    second.exchange("the second, alone");
    second.close();
}

fn second_is_reset(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    let second = Pair::moved(stage, &listener, 8000);
    second.client.abort();
    second.server.expect_reset().close();
    first.exchange("after the client's abort");
    let second = Pair::moved(stage, &listener, 8000);
    second.exchange("the second, returned");
    second.server.abort();
    second.client.expect_reset().close();
    first.exchange("after the server's abort");
    first.close();
}

fn second_in_two_seconds(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    let second = Pair::moved(stage, &listener, 8000);
    crate::idle::until_old();
    for pair in [&first, &second] {
        pair.exchange("remembered by the socket");
    }
    stage.forget_flows();
    for pair in [&second, &first] {
        pair.server.deliver(&pair.client, b"the server speaks");
        pair.exchange("both go on");
    }
    first.close();
    second.close();
}

fn both_half_open(stage: &Stage, ports: [u16; 2]) {
    let listener = stage.listen(8000);
    let [mut first, mut second] = ports.map(|port| {
        let mut hand = Hand::begin(stage, stage.source_port(0), port);
        hand.await_syn_ack();
        hand
    });
    let servers = [&mut first, &mut second].map(|hand| {
        hand.send(ACK, b"");
        listener.accept()
    });
    for (hand, server) in [&mut first, &mut second].into_iter().zip(&servers) {
        converse(hand, server);
    }
}

fn under_cookies(stage: &Stage, ports: [u16; 2]) {
    stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
    both_half_open(stage, ports);
}

fn second_wakes_up(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    let second = Pair::moved(stage, &listener, 8000);
    crate::idle::until_old();
    for pair in [&first, &second] {
        pair.exchange("remembered by the socket");
    }
    stage.forget_flows();
    for pair in [&second, &first] {
        pair.exchange("the client speaks first");
    }
    first.close();
    second.close();
}

fn second_repeats_its_syn(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut first = Hand::open(stage);
    let first_server = listener.accept();
    let mut second = Hand::begin(stage, stage.source_port(0), 8000);
    second.send_syn();
    second.await_syn_ack();
    second.send(ACK, b"");
    let second_server = listener.accept();
    converse(&mut first, &first_server);
    converse(&mut second, &second_server);
    listener.expect_nobody();
}

fn converse(hand: &mut Hand<'_>, server: &Peer) {
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn until_port_is_free(stage: &Stage) {
    wait::until("the client's ends are closed", || {
        !stage.client_host().has_live_connections()
    });
}

/// Until the closed ones of the client's host, which may be the server, are gone.
fn until_live(stage: &Stage, connections: usize) {
    let ends = if stage.place() == Place::Remote { 1 } else { 2 };
    wait::until_equal("the number of live ends", || {
        (stage.client_host().live_connections(), connections * ends)
    });
}
