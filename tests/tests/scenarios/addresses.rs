//! Rules and the addresses and interfaces of the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use integration::scenario::{Dial, Difference, Family, Peer, Place, Scenario, Server, Stage};
use integration::topology::Host;

const ADDRESS_KEPT: Difference = Difference::new(
    "netfilter's redirect leads to the first address of the interface, the redirector changes none",
)
.in_server();

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("second_address", second_address)
        .rules(&["10.77.1.3:80:8000", "[fd77:1::3]:80:8000"])
        .checks("a rule for the second address alone leaves the first alone")
        .differs(ADDRESS_KEPT),
    Scenario::new("target_of_each_address", target_of_each_address)
        .rules(&[
            "10.77.1.1:80:8000",
            "[fd77:1::1]:80:8000",
            "10.77.1.3:80:9000",
            "[fd77:1::3]:80:9000",
        ])
        .checks("one port leads to two applications, by the address that was asked")
        .differs(ADDRESS_KEPT),
    Scenario::new("one_family", one_family)
        .rules(&["10.77.1.1:80:8000"])
        .checks("a rule for an IPv4 address says nothing about IPv6"),
    Scenario::new("several_targets", several_targets)
        .rules(&["80:8000", "443:4430", "8080:8000", "81:9000"])
        .checks("four ports lead to three applications")
        .places(Place::ALL),
    Scenario::new("wire_port_with_its_own_listener", own_listener)
        .checks("an application on the wire port itself gets nothing")
        .places(Place::ALL),
    Scenario::new("only_from_outside", only_from_outside)
        .interfaces(&["eth0"])
        .checks("rules for eth0 alone leave the host's own traffic alone")
        .places(Place::ALL),
    Scenario::new("only_from_inside", only_from_inside)
        .interfaces(&["lo"])
        .checks("rules for lo alone leave other hosts alone")
        .places(Place::ALL),
    Scenario::new("listener_of_one_family", listener_of_one_family)
        .checks("one application for each family, on one port")
        .places(Place::ALL),
    Scenario::new("other_family_only", other_family_only)
        .checks("a listener of the other family does not count")
        .places(Place::ALL),
    Scenario::new("listener_of_one_address", listener_of_one_address)
        .checks("an application that listens on the asked address only is reached by that"),
    Scenario::new("address_comes_and_goes", address_comes_and_goes)
        .checks("a new address of the interface is redirected, a removed one is nobody's")
        .differs(ADDRESS_KEPT),
];

fn second_address(stage: &Stage) {
    let listener = stage.listen(8000);
    talk(stage.dial_to(stage.other(80)), &listener);
    stage.dial(80).refused();
    talk(stage.dial(8000), &listener);
    listener.expect_nobody();
}

fn target_of_each_address(stage: &Stage) {
    let listeners = [8000, 9000].map(|port| stage.listen(port));
    for (to, listener) in [stage.server(80), stage.other(80)]
        .into_iter()
        .zip(&listeners)
    {
        talk(stage.dial_to(to), listener);
    }
    // The target of the other address is an ordinary port.
    talk(stage.dial(9000), &listeners[1]);
    for listener in &listeners {
        listener.expect_nobody();
    }
}

fn one_family(stage: &Stage) {
    let listener = stage.listen(8000);
    match stage.family() {
        Family::V4 => talk(stage.dial(80), &listener),
        Family::V6 => stage.dial(80).refused(),
    }
    talk(stage.dial(8000), &listener);
}

fn several_targets(stage: &Stage) {
    let listeners = [8000, 4430, 9000].map(|port| stage.listen(port));
    let ways = [(80, 0), (443, 1), (8080, 0), (81, 2), (8000, 0), (9000, 2)];
    let pairs = ways.map(|(port, at)| (stage.connect(port), listeners[at].accept()));
    for (client, server) in &pairs {
        exchange(client, server);
    }
    for (client, server) in pairs.iter().rev() {
        exchange(client, server);
    }
}

fn own_listener(stage: &Stage) {
    let (bypassed, listener) = (stage.listen(80), stage.listen(8000));
    talk(stage.dial(80), &listener);
    bypassed.expect_nobody();
}

fn only_from_outside(stage: &Stage) {
    only_at(stage, stage.place() == Place::Remote);
}

fn only_from_inside(stage: &Stage) {
    only_at(stage, stage.place() != Place::Remote);
}

fn only_at(stage: &Stage, is_redirected: bool) {
    let listener = stage.listen(8000);
    if is_redirected {
        talk(stage.dial(80), &listener);
    } else {
        stage.dial(80).refused();
    }
    talk(stage.dial(8000), &listener);
    listener.expect_nobody();
}

fn listener_of_one_family(stage: &Stage) {
    let [v4, v6] = [Family::V4, Family::V6].map(|family| listen_for(stage, family));
    let (mine, others) = match stage.family() {
        Family::V4 => (v4, v6),
        Family::V6 => (v6, v4),
    };
    talk(stage.dial(80), &mine);
    others.expect_nobody();
}

fn other_family_only(stage: &Stage) {
    let listener = listen_for(
        stage,
        match stage.family() {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        },
    );
    stage.dial(80).refused();
    listener.expect_nobody();
}

fn listener_of_one_address(stage: &Stage) {
    let listener = stage.listen_at(stage.server(8000), 8, |_| Ok(()));
    talk(stage.dial(80), &listener);
    listener.expect_nobody();
}

fn address_comes_and_goes(stage: &Stage) {
    const NEW: Host = Host {
        v4: IpAddr::V4(Ipv4Addr::new(10, 77, 1, 77)),
        v6: IpAddr::V6(Ipv6Addr::new(0xfd77, 1, 0, 0, 0, 0, 0, 0x77)),
    };
    let address = stage.family().of(NEW);
    let length = if address.is_ipv4() { 24 } else { 64 };
    let to = |port| SocketAddr::new(address, port);
    let listener = stage.listen(8000);
    let server = stage.server_host();
    server.address("eth0", &format!("{address}/{length}"));
    let (client, accepted) = (stage.dial_to(to(80)).connect(), listener.accept());
    exchange(&client, &accepted);
    client.close();
    accepted.expect_eof().close();
    server.ip(&format!("address del {address}/{length} dev eth0"));
    let outcome = stage
        .dial_to(to(80))
        .patience(std::time::Duration::from_millis(100))
        .outcome();
    assert!(outcome.is_err(), "the address is nobody's");
    talk(stage.dial(80), &listener);
}

fn listen_for(stage: &Stage, family: Family) -> Server {
    let everywhere: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    stage.listen_at(
        SocketAddr::new(everywhere, 8000),
        8,
        |socket| match family {
            Family::V4 => Ok(()),
            Family::V6 => socket.set_only_v6(true),
        },
    )
}

pub fn talk(dial: Dial<'_>, listener: &Server) {
    let (client, server) = (dial.connect(), listener.accept());
    exchange(&client, &server);
}

fn exchange(client: &Peer, server: &Peer) {
    client.deliver(server, b"a request");
    server.deliver(client, b"an answer");
}
