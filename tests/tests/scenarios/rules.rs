//! What is redirected and what is not.

use integration::scenario::{Peer, Place, Scenario, Stage};

use crate::pair::{Pair, all_go_on};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("direct_beside_redirected", direct_beside_redirected)
        .checks("a connection to the target keeps the target's port, beside one to the wire port")
        .places(Place::ALL),
    Scenario::new("two_rules", two_rules)
        .rules(&["80:8000", "443:4430"])
        .checks("each port leads to its own application")
        .places(Place::ALL),
    Scenario::new("one_address", one_address)
        .rules(&["10.77.1.1:80:8000", "[fd77:1::1]:80:8000"])
        .checks("a rule for one address leaves the others alone")
        .places(&[Place::Remote, Place::OwnAddress]),
    Scenario::new("target_is_others_wire_port", |stage| {
        both_of_one_client_port(stage, [80, 8000])
    })
    .rules(TARGET_OF_OTHER)
    .checks("one client port to the wire port and to its target, which is redirected elsewhere"),
    Scenario::new("target_is_others_wire_port_direct_first", |stage| {
        both_of_one_client_port(stage, [8000, 80])
    })
    .rules(TARGET_OF_OTHER)
    .checks("the same with the direct connection first"),
    Scenario::new("chained", chained)
        .rules(CHAIN)
        .places(Place::ALL)
        .checks("a target that is a wire port too is reached through the first rule only"),
    Scenario::new("chained_for_one_client_port", chained_for_one_client_port)
        .rules(CHAIN)
        .places(Place::ALL)
        .checks("one client port to every port of two chained rules: all three are served"),
    Scenario::new("chained_for_datagrams", chained_for_datagrams)
        .rules(DATAGRAM_CHAIN)
        .places(Place::ALL)
        .checks("datagrams reach the target of the rule for the port that they asked"),
];

/// 8000 of the other address leads to 9000.
const TARGET_OF_OTHER: &[&str] = &["80:8000", "10.77.1.3:8000:9000", "[fd77:1::3]:8000:9000"];

pub const CHAIN: &[&str] = &["80:8000", "8000:9000"];
pub const DATAGRAM_CHAIN: &[&str] = &["53:5353/udp", "5353:5454/udp"];

fn direct_beside_redirected(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [80, 8000].map(|port| (stage.connect(port), listener.accept()));
    for round in 0..3 {
        for (client, server) in &pairs {
            exchange(client, server, &format!("round {round}"));
        }
    }
}

fn two_rules(stage: &Stage) {
    let listeners = [8000, 4430].map(|port| stage.listen(port));
    for ((port, number), listener) in [80, 443].into_iter().zip(0..).zip(&listeners) {
        let dial = stage.dial(port).from(stage.source_port(number));
        let (client, server) = (dial.connect(), listener.accept());
        exchange(&client, &server, &format!("to {port}"));
    }
    for listener in &listeners {
        listener.expect_nobody();
    }
}

fn one_address(stage: &Stage) {
    let listener = stage.listen(8000);
    let (client, server) = (stage.connect(80), listener.accept());
    exchange(&client, &server, "the address of the rule");
    stage.dial_to(stage.other(80)).refused();
    listener.expect_nobody();
}

fn both_of_one_client_port(stage: &Stage, ports: [u16; 2]) {
    let listener = stage.listen(8000);
    all_go_on(&ports.map(|port| Pair::open(stage, &listener, port)));
}

pub fn chained(stage: &Stage) {
    let listeners = [8000, 9000].map(|port| stage.listen(port));
    let [first, second] = &listeners;
    all_go_on(&[(80, first), (8000, second)].map(|(port, to)| Pair::of(stage.dial(port), to)));
}

pub fn chained_for_one_client_port(stage: &Stage) {
    let listeners = [8000, 9000].map(|port| stage.listen(port));
    let [first, second] = &listeners;
    all_go_on(
        &[(80, first), (8000, second), (9000, second)]
            .map(|(port, to)| Pair::open(stage, to, port)),
    );
}

pub fn chained_for_datagrams(stage: &Stage) {
    let servers = [5353, 5454].map(|port| stage.udp_server(port));
    let client = stage.udp_client_to_many(stage.source_port(0));
    for round in 0..2 {
        for (port, server) in [53, 5353].into_iter().zip(&servers) {
            let request = format!("to {port}, {round}");
            client.send_to(request.as_bytes(), stage.server(port));
            server.expect(request.as_bytes()).send(b"answer");
            client.expect_from(b"answer", stage.server(port));
        }
    }
}

fn exchange(client: &Peer, server: &Peer, text: &str) {
    client.deliver(server, text.as_bytes());
    server.deliver(client, text.to_uppercase().as_bytes());
}
