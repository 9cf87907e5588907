//! A bridge and its port: a packet crosses both, and both may be loaded.

use std::net::{Ipv6Addr, SocketAddr};

use integration::scenario::{Difference, Scenario, Server, Stage};

use crate::collision::twice;
use crate::devices::{BRIDGE_AND_PORT, PORT};
use crate::pair::{Pair, all_go_on};
use crate::rules::{
    CHAIN, DATAGRAM_CHAIN, chained, chained_for_datagrams, chained_for_one_client_port,
};
use crate::stranger::Stranger;
use crate::udp_collision::{LAST_DECIDES, in_turn};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("direct_after_redirected_at_both", |stage| {
        twice(stage, [80, 8000])
    })
    .topology(BRIDGE_AND_PORT)
    .checks("one client port to the wire port, then to the target"),
    Scenario::new("redirected_at_both_after_direct", |stage| {
        twice(stage, [8000, 80])
    })
    .topology(BRIDGE_AND_PORT)
    .checks("one client port to the target, then to the wire port"),
    Scenario::new("second_wire_port_at_both", |stage| twice(stage, [80, 81]))
        .topology(BRIDGE_AND_PORT)
        .rules(&["80:8000", "81:8000"])
        .checks("one client port to two wire ports of one target"),
    Scenario::new("chained_at_both", chained)
        .topology(BRIDGE_AND_PORT)
        .rules(CHAIN)
        .checks("the bridge does not redirect again what its port has redirected"),
    Scenario::new(
        "chained_at_both_for_one_client_port",
        chained_for_one_client_port,
    )
    .topology(BRIDGE_AND_PORT)
    .rules(CHAIN)
    .checks("one client port to every port of two chained rules"),
    Scenario::new("chained_at_both_under_cookies", |stage| {
        stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
        chained(stage);
    })
    .topology(BRIDGE_AND_PORT)
    .rules(CHAIN)
    .checks("chained rules under SYN cookies, of which no socket tells"),
    Scenario::new("chained_datagrams_at_both", chained_for_datagrams)
        .topology(BRIDGE_AND_PORT)
        .rules(DATAGRAM_CHAIN)
        .checks("the bridge does not redirect again the datagrams that its port has redirected"),
    Scenario::new("datagrams_at_both_in_turn", in_turn)
        .topology(BRIDGE_AND_PORT)
        .rules(&["53:5353/udp"])
        .checks("datagrams to the wire port and to the target are each answered from there")
        .differs(Difference::new(LAST_DECIDES).in_server()),
    Scenario::new("strangers_at_both", strangers_at_both)
        .topology(BRIDGE_AND_PORT)
        .checks("SYNs of a stranger to both ports do not harm a live connection"),
    Scenario::new("listener_of_the_bridge", listener_of_the_bridge)
        .topology(PORT)
        .checks("one client port to both ports of a listener that is bound to the bridge"),
    Scenario::new(
        "stranger_at_a_listener_of_the_bridge",
        stranger_at_its_listener,
    )
    .topology(PORT)
    .checks("a stranger's SYN does not harm a connection of a listener bound to the bridge"),
];

fn strangers_at_both(stage: &Stage) {
    let listener = stage.listen(8000);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before");
    let mut stranger = Stranger::new(stage);
    for port in [80, 8000] {
        stranger.syn(port);
    }
    for _ in 0..2 {
        pair.goes_on();
    }
}

fn listener_of_the_bridge(stage: &Stage) {
    let listener = bound_to_bridge(stage);
    all_go_on(&[80, 8000].map(|port| Pair::open(stage, &listener, port)));
}

fn stranger_at_its_listener(stage: &Stage) {
    let listener = bound_to_bridge(stage);
    let pair = Pair::open(stage, &listener, 80);
    pair.exchange("before");
    Stranger::new(stage).syn(8000);
    pair.goes_on();
}

fn bound_to_bridge(stage: &Stage) -> Server {
    let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 8000);
    stage.listen_at(everywhere, 8, |socket| socket.bind_device(Some(b"br0")))
}
