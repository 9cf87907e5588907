//! One client port for two ports of one target, while no socket tells of the first connection yet.

use integration::scenario::{Place, Scenario, Stage};
use redirector_common::native::craft::ACK;

use crate::collision::{TWO_WIRE_PORTS, twice};
use crate::hand::Hand;

pub const SCENARIOS: &[Scenario] = &[
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
        hand.converse(server);
    }
}

fn under_cookies(stage: &Stage, ports: [u16; 2]) {
    stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
    both_half_open(stage, ports);
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
    first.converse(&first_server);
    second.converse(&second_server);
    listener.expect_nobody();
}
