//! SYNs that a stranger sends in the name of a client with a live connection.

use integration::scenario::{Difference, Scenario, Stage, Topology};
use integration::wait;
use redirector_common::native::craft::ACK;

use crate::containers::publish;
use crate::hand::Hand;
use crate::pair::Pair;
use crate::stranger::Stranger;

const FLOWS_ARE_FORGOTTEN: &str = "conntrack is not made to forget, so there the stranger's SYN meets \
     a known connection";

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("syns_in_a_connection", syns_in_a_connection)
        .checks("SYNs to both ports do not harm a live connection"),
    Scenario::new("syns_in_a_connection_to_a_container", |stage| {
        to_container(stage, 80, 8000)
    })
    .topology(Topology::Container)
    .checks("SYNs to both ports do not harm a live connection to a container"),
    Scenario::new("syns_in_a_direct_connection_to_a_container", |stage| {
        to_container(stage, 8000, 80)
    })
    .topology(Topology::Container)
    .checks("SYNs to both ports do not harm a live connection to the published port"),
    Scenario::new("syns_beside_a_moved_connection", syns_beside_a_moved_one)
        .topology(Topology::Container)
        .checks("SYNs harm neither of two connections to a container, of which one was moved"),
    Scenario::new("syn_in_a_forgotten_upload", syn_in_a_forgotten_upload)
        .topology(Topology::Container)
        .checks("a SYN to the wire port leads no upload away that went to the published port")
        .differs(Difference::new(FLOWS_ARE_FORGOTTEN).on_wire()),
    Scenario::new("syn_in_a_forgotten_handshake", syn_in_a_forgotten_handshake)
        .checks("a SYN to the wire port leads no handshake away that was begun with the target")
        .differs(Difference::new(FLOWS_ARE_FORGOTTEN).on_wire()),
];

fn syns_in_a_connection(stage: &Stage) {
    let listener = stage.listen(8000);
    let pair = Pair::first(stage, &listener, 80);
    pair.exchange("before");
    let mut stranger = Stranger::new(stage);
    for port in [80, 80, 8000, 8000, 80] {
        stranger.syn(port);
    }
    pair.goes_on();
}

fn to_container(stage: &Stage, port: u16, other: u16) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = Pair::open(stage, &listener, port);
    pair.exchange("before");
    let mut stranger = Stranger::new(stage);
    for port in [port, port, other] {
        stranger.syn(port);
    }
    pair.goes_on();
}

fn syns_beside_a_moved_one(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pairs = [8000, 80].map(|port| {
        let pair = Pair::open(stage, &listener, port);
        pair.exchange("before");
        pair
    });
    let mut stranger = Stranger::new(stage);
    for ports in [&[80][..], &[8000, 8000, 80]] {
        for port in ports {
            stranger.syn(*port);
        }
        for pair in pairs.iter().rev() {
            pair.exchange("after");
        }
    }
}

fn syn_in_a_forgotten_upload(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let Pair { client, server } = Pair::open(stage, &listener, 8000);
    for _ in 0..3 {
        client.deliver(&server, b"a part of an upload");
    }
    stage.forget_flows();
    Stranger::new(stage).syn(80);
    client.deliver(&server, b"a part of an upload");
    server.deliver(&client, b"received");
}

fn syn_in_a_forgotten_handshake(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 8000);
    hand.await_syn_ack();
    stage.forget_flows();
    let heard = || {
        let packets = stage.wire().packets().into_iter();
        packets
            .filter(|packet| packet.destination == hand.source())
            .count()
    };
    let before = heard();
    Hand::new(stage, stage.source_port(0), 80).begin_again();
    wait::until("an answer to the SYN", || heard() > before);
    hand.send(ACK, b"");
    let server = listener.accept();
    server.send(b"banner");
    let banner = hand.expect("the banner", |packet| packet.payload == b"banner");
    hand.acknowledge(&banner);
    hand.converse(&server);
}
