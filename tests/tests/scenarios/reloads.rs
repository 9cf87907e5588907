//! Connections that live while rules are loaded and reloaded.

use integration::datapath::Datapath;
use integration::scenario::{Difference, Scenario, Stage, Topology};
use redirector_common::native::craft::ACK;

use crate::containers::{publish, publish_ports};
use crate::hand::Hand;
use crate::own::{IDLE, Own};
use crate::pair::Pair;
use crate::stranger::Stranger;

const NEW_TARGET_REFUSES: &str = "the stranger's SYN goes to the new target, which refuses it, and the \
     live connection ignores that";

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("handshake_of_netfilter", handshake_of_netfilter)
        .rules(IDLE)
        .checks("a handshake that netfilter redirected ends beside a load"),
    Scenario::new("connection_of_netfilter", connection_of_netfilter)
        .rules(IDLE)
        .checks("netfilter's connection outlives a load, the end of its rules and a reload"),
    Scenario::new("handshake_of_the_wire_port", handshake_of_the_wire_port)
        .rules(IDLE)
        .checks("a SYN that the wire port itself has answered is answered after a load"),
    Scenario::new("published_wire_port", published_wire_port)
        .topology(Topology::Container)
        .rules(IDLE)
        .checks("a connection through a published wire port goes on after a load"),
    Scenario::new("target_becomes_a_wire_port", target_becomes_a_wire_port)
        .rules(IDLE)
        .checks("a reload redirects a target, and a stranger's SYN does not end its connection"),
    Scenario::new(
        "removed_rule_of_a_moved_client",
        removed_rule_of_a_moved_client,
    )
    .rules(IDLE)
    .checks("the wire port of a removed rule serves a client whose port was moved"),
    Scenario::new(
        "removed_rule_of_a_reset_client",
        removed_rule_of_a_reset_client,
    )
    .rules(IDLE)
    .checks("the wire port of a removed rule serves a client that the rule had led away"),
    Scenario::new("stranger_after_a_reload", stranger_after_a_reload)
        .rules(IDLE)
        .checks("a SYN to the wire port ends no connection to the target that it had")
        .differs(Difference::new(NEW_TARGET_REFUSES).on_wire()),
    Scenario::new(
        "stranger_after_a_reload_to_a_container",
        stranger_in_a_container,
    )
    .topology(Topology::Container)
    .rules(IDLE)
    .checks("the same where the earlier target is a container's")
    .differs(Difference::new(NEW_TARGET_REFUSES).on_wire()),
];

fn handshake_of_netfilter(stage: &Stage) {
    let _before = Own::netfilter(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    let _own = load_beside_netfilter(stage);
    hand.send(ACK, b"");
    hand.converse(&listener.accept());
}

fn connection_of_netfilter(stage: &Stage) {
    Datapath::Nft.watch(stage.server_host());
    let before = Own::netfilter(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before the load");
    let own = load_beside_netfilter(stage);
    pair.exchange("beside the load");
    before.reload(&[]);
    pair.exchange("after netfilter's rules");
    if let Some(own) = &own {
        own.reload(&[(80, 8000), (82, 8200)]);
    }
    pair.exchange("after a reload");
}

/// Where netfilter is the oracle it has the rule already.
fn load_beside_netfilter(stage: &Stage) -> Option<Own> {
    (stage.datapath() == Datapath::Redirector).then(|| Own::load(stage, &[(80, 8000)]))
}

fn handshake_of_the_wire_port(stage: &Stage) {
    let listener = stage.listen(80);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.expect("a SYN-ACK", |packet| packet.syn && packet.ack);
    let _own = Own::load(stage, &[(80, 8000)]);
    hand.send_syn();
    hand.await_syn_ack();
    hand.send(ACK, b"");
    let server = listener.accept();
    server.send(b"banner");
    let banner = hand.expect("the banner", |packet| packet.payload == b"banner");
    hand.acknowledge(&banner);
    hand.converse(&server);
}

fn published_wire_port(stage: &Stage) {
    publish_ports(stage, "{ 80, 8000 }", "{ 53, 5353 }");
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before the load");
    let _own = Own::load(stage, &[(80, 8000)]);
    pair.exchange("after the load");
}

fn target_becomes_a_wire_port(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = Pair::open(stage, &listener, 8000);
    pair.exchange("before the reload");
    own.reload(&[(80, 8000), (8000, 9000)]);
    pair.exchange("after the reload");
    Stranger::new(stage).syn(8000);
    pair.exchange("after the stranger");
}

fn removed_rule_of_a_moved_client(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let first = Pair::first(stage, &listener, 8000);
    let moved = Pair::moved(stage, &listener, 80);
    moved.exchange("moved");
    for Pair { client, server } in [moved, first] {
        client.abort();
        server.expect_reset().close();
    }
    own.reload(&[(81, 8000)]);
    let listener = stage.listen(80);
    Pair::open(stage, &listener, 80).exchange("to the wire port itself");
}

fn removed_rule_of_a_reset_client(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("led away");
    pair.client.abort();
    pair.server.expect_reset().close();
    own.reload(&[(81, 8000)]);
    let listener = stage.listen(80);
    Pair::open(stage, &listener, 80).exchange("to the wire port itself");
}

fn stranger_after_a_reload(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before the reload");
    own.reload(&[(80, 9000)]);
    pair.exchange("after the reload");
    own.forget_flows();
    Stranger::new(stage).syn(80);
    pair.exchange("after the stranger");
}

fn stranger_in_a_container(stage: &Stage) {
    publish(stage);
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before the reload");
    own.reload(&[(80, 9000)]);
    pair.exchange("after the reload");
    Stranger::new(stage).syn(80);
    pair.exchange("after the stranger");
}
