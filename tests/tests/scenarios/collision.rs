//! One client port for two ports of the server that lead to one target: to the server's kernel, one
//! tuple. The second connection appears to the application from another port.

use integration::datapath::Datapath;
use integration::scenario::{Difference, Place, Scenario, Server, Stage};
use integration::wait;

use crate::pair::{Pair, all_go_on};

pub const TWO_WIRE_PORTS: &[&str] = &["80:8000", "81:8000"];

const NINE_WIRE_PORTS: &[&str] = &[
    "80:8000", "81:8000", "82:8000", "83:8000", "84:8000", "85:8000", "86:8000", "87:8000",
    "88:8000",
];

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
    Scenario::new("nine_ports", nine_ports)
        .rules(NINE_WIRE_PORTS)
        .checks("one client port to nine wire ports of one target: all are served"),
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
    Scenario::new("second_after_eviction", second_after_eviction)
        .checks("the tables have forgotten the first when its client port comes to the target"),
    Scenario::new("moved_port_is_taken", moved_port_is_taken)
        .checks("the port that a connection was moved to is another's when its client returns")
        .differs(
            Difference::new("only the redirector's choice of a port is taken by another client")
                .in_client()
                .in_server()
                .on_wire(),
        ),
    Scenario::new("second_wakes_up", second_wakes_up)
        .checks("a moved connection that only its socket remembers goes on when its client speaks"),
];

pub fn twice(stage: &Stage, ports: [u16; 2]) {
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
        ports.map(|port| Pair::of(stage.dial(port).from(stage.source_port(number)), &listener))
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

fn nine_ports(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut pairs = vec![Pair::first(stage, &listener, 80)];
    pairs.extend((81..=88).map(|port| Pair::moved(stage, &listener, port)));
    all_go_on(&pairs);
    for pair in pairs {
        pair.close();
    }
}

fn privileged_client_port(stage: &Stage) {
    const PORT: u16 = 1000;
    let listener = stage.listen(8000);
    let open = |port| Pair::of(stage.dial(port).from(PORT), &listener);
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

/// The first pair, and the second whose port was moved; no flow table has them any more.
fn known_by_their_sockets(stage: &Stage, listener: &Server) -> [Pair; 2] {
    let first = Pair::first(stage, listener, 80);
    let second = Pair::moved(stage, listener, 8000);
    crate::idle::until_old();
    for pair in [&first, &second] {
        pair.exchange("remembered by the socket");
    }
    stage.forget_flows();
    [first, second]
}

fn second_in_two_seconds(stage: &Stage) {
    let listener = stage.listen(8000);
    let [first, second] = known_by_their_sockets(stage, &listener);
    for pair in [&second, &first] {
        pair.goes_on();
    }
    first.close();
    second.close();
}

fn second_after_eviction(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 80);
    first.exchange("the first, alone");
    stage.forget_flows();
    let second = Pair::moved(stage, &listener, 8000);
    second.exchange("the second");
    first.exchange("the first");
}

fn moved_port_is_taken(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 8000);
    let second = Pair::moved(stage, &listener, 80);
    second.exchange("the second");
    let taken = second.server.remote().port();
    second.client.abort();
    second.server.expect_reset().close();
    if stage.datapath() == Datapath::Redirector {
        let third = Pair::of(stage.dial(8000).from(taken), &listener);
        third.exchange("the third");
        let second = Pair::moved(stage, &listener, 80);
        assert_ne!(second.server.remote().port(), taken);
        all_go_on(&[first, second, third]);
    }
}

fn second_wakes_up(stage: &Stage) {
    let listener = stage.listen(8000);
    let [first, second] = known_by_their_sockets(stage, &listener);
    for pair in [&second, &first] {
        pair.exchange("the client speaks first");
    }
    first.close();
    second.close();
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
