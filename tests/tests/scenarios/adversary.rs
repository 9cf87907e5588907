//! Attempts to break the redirector where netfilter serves.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use integration::datapath::{Datapath, nft};
use integration::netns::Namespace;
use integration::redirector::Instance;
use integration::scenario::{
    Family, LINK_LOCAL, Network, Peer, Place, Scenario, Server, Stage, Topology,
};
use integration::topology::CLIENT;
use redirector_common::native::craft::{ACK, Craft, RST, SYN, Transport};

use crate::hand::Hand;

const V6: &[Family] = &[Family::V6];
const BRIDGE_AND_PORT: Topology = Topology::Bridge(&["br0", "eth0", "lo"]);

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("adv_target_is_scoped_source", |stage| both(stage, [80, 8000]))
        .rules(&["80:8000", "10.77.1.3:8000:9000", "[fd77:1::3]:8000:9000"])
        .checks("a target that is another address's wire port: one client port to both"),
    Scenario::new("adv_target_is_scoped_source_direct_first", |stage| both(stage, [8000, 80]))
        .rules(&["80:8000", "10.77.1.3:8000:9000", "[fd77:1::3]:8000:9000"])
        .checks("the same, direct first"),
    Scenario::new("adv_stacked_udp", stacked_udp)
        .topology(BRIDGE_AND_PORT)
        .rules(&["53:5353/udp"])
        .checks("datagrams where bridge and port are both loaded"),
    Scenario::new("adv_stacked_collision", |stage| both(stage, [80, 8000]))
        .topology(BRIDGE_AND_PORT)
        .checks("one client port to wire port and target, bridge and port loaded"),
    Scenario::new("adv_stacked_collision_direct_first", |stage| both(stage, [8000, 80]))
        .topology(BRIDGE_AND_PORT)
        .checks("same, direct first"),
    Scenario::new("adv_stacked_two_wire", |stage| both(stage, [80, 81]))
        .topology(BRIDGE_AND_PORT)
        .rules(&["80:8000", "81:8000"])
        .checks("two wire ports stacked"),
    Scenario::new("adv_stacked_chain", stacked_chain)
        .topology(BRIDGE_AND_PORT)
        .rules(&["80:8000", "8000:9000"])
        .checks("chained rules, bridge and port loaded"),
    Scenario::new("adv_stacked_chain_cookies", |stage| {
        stage.server_host().sysctl("ipv4.tcp_syncookies", "2");
        stacked_chain(stage);
    })
        .topology(BRIDGE_AND_PORT)
        .rules(&["80:8000", "8000:9000"])
        .checks("chained rules, bridge and port loaded, SYN cookies"),
    Scenario::new("adv_stacked_link_local", stacked_link_local)
        .topology(BRIDGE_AND_PORT)
        .prepared(link_local_bridge)
        .families(V6)
        .checks("a link-local client, bridge and port loaded, older than a second"),
    Scenario::new("adv_port_link_local_collision", port_link_local_collision)
        .topology(Topology::Bridge(&["eth0", "lo"]))
        .prepared(link_local_bridge)
        .families(V6)
        .checks("a link-local client to both ports, only the bridge's port loaded"),
    Scenario::new("adv_own_link_local_collision", own_link_local_collision)
        .topology(Topology::TwoCables)
        .interfaces(&["eth0", "eth1", "lo"])
        .families(V6)
        .checks("the host to its own link-local address, both ports from one client port"),
    Scenario::new("adv_chain_both", |stage| chain(stage))
        .rules(&["80:8000", "8000:9000"])
        .places(Place::ALL)
        .checks("chained: one client port to 80, 8000 and 9000"),
    Scenario::new("adv_two_syns_kill_container", |stage| spoof_container(stage, 80, [80, 8000]))
        .topology(Topology::Container)
        .checks("two spoofed SYNs in a live connection to a container"),
    Scenario::new("adv_two_syns_kill_direct_container", |stage| {
        spoof_container(stage, 8000, [8000, 80])
    })
        .topology(Topology::Container)
        .checks("the same with a direct connection"),
    Scenario::new("adv_syns_on_host", spoof_host)
        .checks("two spoofed SYNs in a live connection to the host"),
    Scenario::new("adv_forgotten_then_direct", forgotten_then_direct)
        .checks("an evicted redirected connection, and the same client port to the target"),
    Scenario::new("adv_moved_port_taken_meanwhile", moved_port_taken)
        .checks("the port that a connection was moved to is another's when it comes back"),
    Scenario::new("adv_netfilter_handshake", netfilter_handshake)
        .rules(OWN)
        .checks("a handshake of netfilter's redirect ends beside a load"),
    Scenario::new("adv_reload_new_chain", reload_new_chain)
        .rules(OWN)
        .checks("a reload redirects a target; a stranger's SYN does not end its live connection"),
    Scenario::new("adv_reload_removed", reload_removed)
        .rules(OWN)
        .checks("a removed rule's wire port serves a client whose port was moved"),
    Scenario::new("adv_reload_container", reload_container)
        .topology(Topology::Container)
        .rules(OWN)
        .checks("a reload, and a stranger's SYN in a container's connection to the earlier target"),
    Scenario::new("adv_reload_evicted", reload_evicted)
        .rules(OWN)
        .checks("a reload, and a stranger's SYN in an evicted connection to the earlier target"),
    Scenario::new("adv_chain_udp", chain_udp)
        .rules(&["53:5353/udp", "5353:5454/udp"])
        .places(Place::ALL)
        .checks("chained rules of datagrams"),
    Scenario::new("adv_bound_listener", bound_listener)
        .topology(Topology::Bridge(&["eth0", "lo"]))
        .checks("a listener bound to the bridge, its port loaded: one client port to both ports"),
    Scenario::new("adv_bound_listener_spoofed", bound_listener_spoofed)
        .topology(Topology::Bridge(&["eth0", "lo"]))
        .checks("a listener bound to the bridge, its port loaded: one SYN of a stranger"),
    Scenario::new("adv_stacked_spoof", stacked_spoof)
        .topology(BRIDGE_AND_PORT)
        .checks("SYNs of a stranger where bridge and port are loaded"),
    Scenario::new("adv_upload_to_container", upload_to_container)
        .topology(Topology::Container)
        .checks("a direct upload to a container, a flood of SYNs, and a stranger's SYN to the wire port"),
    Scenario::new("adv_direct_handshake_after_flood", direct_handshake_after_flood)
        .checks("a direct handshake, a flood of SYNs, and a stranger's SYN to the wire port"),
    Scenario::new("adv_netfilter_reload", netfilter_reload)
        .rules(OWN)
        .checks("netfilter's connections survive a load, the end of its rules and a reload"),
    Scenario::new("adv_preload_handshake", preload_handshake)
        .rules(OWN)
        .checks("a handshake of the wire port itself, a load, and its SYN again"),
    Scenario::new("adv_preload_container", preload_container)
        .topology(Topology::Container)
        .rules(OWN)
        .checks("a connection through a published wire port goes on after the load"),
    Scenario::new("adv_link_local_port_spoofed", link_local_port_spoofed)
        .topology(Topology::Bridge(&["eth0", "lo"]))
        .prepared(link_local_bridge)
        .families(V6)
        .checks("a link-local client, the bridge's port loaded: one SYN of a stranger"),
    Scenario::new("adv_moved_container_two_syns", moved_container)
        .topology(Topology::Container)
        .checks("two SYNs of a stranger where one connection to a container was moved"),
];

/// The scenario's own load is of no interest.
const OWN: &[&str] = &["7:7000"];

/// Rules of the traffic's own, which it changes.
enum Own {
    Redirector(Instance),
    Nft(Namespace),
}

impl Own {
    fn load(stage: &Stage, rules: &[(u16, u16)]) -> Self {
        let host = stage.server_host();
        match stage.datapath() {
            Datapath::Redirector => Self::Redirector(Instance::load(host, &Self::arguments(rules))),
            Datapath::Nft => {
                let own = Self::Nft(host.clone());
                own.reload(rules);
                own
            }
        }
    }

    fn arguments(rules: &[(u16, u16)]) -> String {
        rules
            .iter()
            .fold("-i eth0 -i lo".to_owned(), |text, (from, to)| {
                format!("{text} {from}:{to}")
            })
    }

    fn reload(&self, rules: &[(u16, u16)]) {
        match self {
            Self::Redirector(instance) => {
                instance
                    .run("reload", &Self::arguments(rules))
                    .success("reload");
            }
            Self::Nft(host) => {
                let lines = rules.iter().fold(String::new(), |text, (from, to)| {
                    format!("{text}fib daddr type local tcp dport {from} redirect to :{to}\n")
                });
                nft(host, &format!("table inet own
                    delete table inet own
                    table inet own {{ chain prerouting {{ type nat hook prerouting priority dstnat; {lines} }}\n }}\n"));
            }
        }
    }

    fn forget(&self) {
        if let Self::Redirector(instance) = self {
            for name in ["PENDING", "FLOWS"] {
                let pin = instance.pins().join("maps").join(name);
                let map = aya::maps::MapData::from_pin(pin)
                    .and_then(aya::maps::Map::from_map_data)
                    .expect("a map");
                let mut flows = aya::maps::HashMap::<
                    _,
                    redirector::kernel::Plain<redirector_common::abi::FlowKey>,
                    redirector::kernel::Plain<redirector_common::abi::Flow>,
                >::try_from(map)
                .expect("flows");
                for key in flows.keys().collect::<Vec<_>>() {
                    flows.remove(&key.expect("a key")).expect("removed");
                }
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Self::Nft(host) = self {
            nft(host, "delete table inet own");
        }
    }
}

fn netfilter_handshake(stage: &Stage) {
    let before = Own::Nft(stage.server_host().clone());
    before.reload(&[(80, 8000)]);
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.await_syn_ack();
    let _own = (stage.datapath() == Datapath::Redirector).then(|| Own::load(stage, &[(80, 8000)]));
    hand.send(ACK, b"");
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn reload_new_chain(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = open(stage, &listener, 8000);
    exchange(&pair);
    own.reload(&[(80, 8000), (8000, 9000)]);
    exchange(&pair);
    spoof(stage, 8000, 77_000_000);
    settle();
    exchange(&pair);
}

fn reload_removed(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let first = open(stage, &listener, 8000);
    let second = open(stage, &listener, 80);
    exchange(&second);
    for (client, server) in [second, first] {
        client.abort();
        server.expect_reset().close();
    }
    own.reload(&[(81, 8000)]);
    let listener = stage.listen(80);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
}

fn reload_container(stage: &Stage) {
    publish(stage);
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    own.reload(&[(80, 9000)]);
    exchange(&pair);
    spoof(stage, 80, 77_000_000);
    settle();
    exchange(&pair);
}

fn reload_evicted(stage: &Stage) {
    let own = Own::load(stage, &[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    own.reload(&[(80, 9000)]);
    exchange(&pair);
    own.forget();
    spoof(stage, 80, 77_000_000);
    settle();
    exchange(&pair);
}

fn chain_udp(stage: &Stage) {
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

fn bound(stage: &Stage) -> Server {
    let everywhere = SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), 8000);
    stage.listen_at(everywhere, 8, |socket| socket.bind_device(Some(b"br0")))
}

fn bound_listener(stage: &Stage) {
    let listener = bound(stage);
    let pairs = [80, 8000].map(|port| open(stage, &listener, port));
    for _ in 0..2 {
        for pair in &pairs {
            exchange(pair);
        }
    }
}

fn bound_listener_spoofed(stage: &Stage) {
    let listener = bound(stage);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    spoof(stage, 8000, 77_000_000);
    settle();
    let (client, server) = &pair;
    server.deliver(client, b"the server speaks");
    exchange(&pair);
}

fn stacked_spoof(stage: &Stage) {
    let listener = stage.listen(8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    spoof(stage, 80, 77_000_000);
    spoof(stage, 8000, 78_000_000);
    settle();
    let (client, server) = &pair;
    server.deliver(client, b"the server speaks");
    exchange(&pair);
    exchange(&pair);
}

fn upload_to_container(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = open(stage, &listener, 8000);
    let (client, server) = &pair;
    for _ in 0..3 {
        client.deliver(server, b"a part of an upload");
    }
    // As 65,536 SYNs do: nothing of it stands in FLOWS.
    stage.forget_flows();
    spoof(stage, 80, 77_000_000);
    settle();
    client.deliver(server, b"a part of an upload");
    server.deliver(client, b"received");
}

fn direct_handshake_after_flood(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::begin(stage, stage.source_port(0), 8000);
    hand.await_syn_ack();
    stage.forget_flows();
    let mut other = Hand::new(stage, stage.source_port(0), 80);
    other.begin_again();
    settle();
    hand.send(ACK, b"");
    let server = listener.accept();
    server.send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn netfilter_reload(stage: &Stage) {
    Datapath::Nft.watch(stage.server_host());
    let before = Own::Nft(stage.server_host().clone());
    before.reload(&[(80, 8000)]);
    let listener = stage.listen(8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    let own = (stage.datapath() == Datapath::Redirector).then(|| Own::load(stage, &[(80, 8000)]));
    exchange(&pair);
    before.reload(&[]);
    exchange(&pair);
    if let Some(own) = &own {
        own.reload(&[(80, 8000), (82, 8200)]);
    }
    exchange(&pair);
}

fn preload_handshake(stage: &Stage) {
    let listener = stage.listen(80);
    let mut hand = Hand::begin(stage, stage.source_port(0), 80);
    hand.expect("a SYN-ACK", |packet| packet.syn && packet.ack);
    let _own = Own::load(stage, &[(80, 8000)]);
    hand.send_syn();
    hand.await_syn_ack();
    hand.send(ACK, b"");
    let server = listener.accept();
    server.send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn preload_container(stage: &Stage) {
    publish_wire(stage, "{ 80, 8000 }");
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    let _own = Own::load(stage, &[(80, 8000)]);
    exchange(&pair);
}

fn link_local_port_spoofed(stage: &Stage) {
    let listener = stage.listen(8000);
    let to = link_local(stage.client_host(), "eth0", 80);
    let client = stage.dial_to(to).from(stage.source_port(0)).connect();
    let pair = (client, listener.accept());
    exchange(&pair);
    let transport = Transport::Tcp {
        flags: SYN,
        sequence: 77_000_000,
        acknowledgment: 0,
    };
    let [from, to] = LINK_LOCAL.map(IpAddr::from);
    stage.wire().send(&Craft::new(
        (from, stage.source_port(0)),
        (to, 8000),
        transport,
    ));
    settle();
    let (client, server) = &pair;
    server.deliver(client, b"the server speaks");
    exchange(&pair);
}

fn moved_container(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let first = open(stage, &listener, 8000);
    exchange(&first);
    let second = open(stage, &listener, 80);
    exchange(&second);
    spoof(stage, 80, 76_000_000);
    settle();
    exchange(&second);
    exchange(&first);
    spoof(stage, 8000, 77_000_001);
    settle();
    spoof(stage, 8000, 77_000_002);
    spoof(stage, 80, 78_000_000);
    settle();
    exchange(&second);
    exchange(&first);
}

fn open(stage: &Stage, listener: &Server, port: u16) -> (Peer, Peer) {
    let client = stage.dial(port).from(stage.source_port(0)).connect();
    (client, listener.accept())
}

fn exchange((client, server): &(Peer, Peer)) {
    client.deliver(server, b"a request");
    server.deliver(client, b"an answer");
}

fn both(stage: &Stage, ports: [u16; 2]) {
    let listener = stage.listen(8000);
    let pairs = ports.map(|port| open(stage, &listener, port));
    for _ in 0..2 {
        for pair in &pairs {
            exchange(pair);
        }
        for (client, server) in pairs.iter().rev() {
            server.deliver(client, b"the server speaks");
        }
    }
}

fn stacked_udp(stage: &Stage) {
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    client.send(b"question");
    server.expect(b"question").send(b"answer");
    client.expect(b"answer");
}

fn stacked_chain(stage: &Stage) {
    let listeners = [8000, 9000].map(|port| stage.listen(port));
    let pairs = [(80, &listeners[0]), (8000, &listeners[1])]
        .map(|(port, listener)| (stage.connect(port), listener.accept()));
    for _ in 0..2 {
        for pair in &pairs {
            exchange(pair);
        }
    }
}

fn chain(stage: &Stage) {
    let listeners = [8000, 9000].map(|port| stage.listen(port));
    let pairs = [(80, 0), (8000, 1), (9000, 1)]
        .map(|(port, at): (u16, usize)| open(stage, &listeners[at], port));
    for _ in 0..2 {
        for pair in &pairs {
            exchange(pair);
        }
    }
}

fn link_local_bridge(network: &Network) {
    for ((host, interface), address) in [(&network.client, "eth0"), (&network.server, "br0")]
        .into_iter()
        .zip(LINK_LOCAL)
    {
        host.ip(&format!("address flush dev {interface} scope link"));
        host.address(interface, &format!("{address}/64"));
    }
}

fn index(host: &Namespace, interface: &str) -> u32 {
    let text = host.ip(&format!("-o link show {interface}"));
    text.split(':')
        .next()
        .expect("an index")
        .trim()
        .parse()
        .expect("a number")
}

fn link_local(host: &Namespace, interface: &str, port: u16) -> SocketAddr {
    SocketAddrV6::new(LINK_LOCAL[1], port, 0, index(host, interface)).into()
}

fn stacked_link_local(stage: &Stage) {
    let listener = stage.listen(8000);
    let to = link_local(stage.client_host(), "eth0", 80);
    let client = stage.dial_to(to).connect();
    let pair = (client, listener.accept());
    exchange(&pair);
    crate::idle::until_old();
    exchange(&pair);
    exchange(&pair);
}

fn port_link_local_collision(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [80, 8000].map(|port| {
        let to = link_local(stage.client_host(), "eth0", port);
        let client = stage.dial_to(to).from(stage.source_port(0)).connect();
        (client, listener.accept())
    });
    for _ in 0..2 {
        for pair in &pairs {
            exchange(pair);
        }
    }
}

fn own_link_local_collision(stage: &Stage) {
    let listener = stage.listen(8000);
    // Something for the capture.
    let seen = (stage.connect(80), listener.accept());
    exchange(&seen);
    let host = stage.server_host();
    let notes = [80, 8000].map(|port| {
        let to = link_local(host, "eth0", port);
        let socket = host
            .enter(|| socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None))
            .expect("a socket");
        socket.set_reuse_address(true).expect("reuse");
        let from = SocketAddrV6::new(LINK_LOCAL[1], stage.source_port(3), 0, index(host, "eth0"));
        host.enter(|| socket.bind(&SocketAddr::from(from).into()))
            .expect("bind");
        socket
            .connect_timeout(&to.into(), Duration::from_secs(3))
            .unwrap_or_else(|error| panic!("connect {port}: {error}"));
        (std::net::TcpStream::from(socket), listener.accept())
    });
    use std::io::Write;
    for (client, server) in &notes {
        (&*client).write_all(b"hello").expect("sent");
        server.expect(b"hello");
    }
}

/// The client's own address, as a stranger forges it.
fn spoof(stage: &Stage, port: u16, sequence: u32) {
    let source: IpAddr = stage.family().of(CLIENT);
    let transport = Transport::Tcp {
        flags: SYN,
        sequence,
        acknowledgment: 0,
    };
    let to = stage.server(port);
    stage.wire().send(&Craft::new(
        (source, stage.source_port(0)),
        (to.ip(), to.port()),
        transport,
    ));
}

fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

fn spoof_container(stage: &Stage, port: u16, spoofed: [u16; 2]) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pair = open(stage, &listener, port);
    exchange(&pair);
    // The first is answered by a challenge; within half a second there is no other.
    spoof(stage, spoofed[0], 77_000_000);
    settle();
    spoof(stage, spoofed[0], 77_000_001);
    spoof(stage, spoofed[1], 78_000_000);
    settle();
    let (client, server) = &pair;
    server.deliver(client, b"the server speaks");
    exchange(&pair);
}

fn spoof_host(stage: &Stage) {
    let listener = stage.listen(8000);
    let pair = open(stage, &listener, 80);
    exchange(&pair);
    for port in [80, 80, 8000, 8000, 80] {
        spoof(stage, port, 77_000_000 + u32::from(port));
    }
    settle();
    let (client, server) = &pair;
    server.deliver(client, b"the server speaks");
    exchange(&pair);
}

fn forgotten_then_direct(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = open(stage, &listener, 80);
    exchange(&first);
    stage.forget_flows();
    let second = open(stage, &listener, 8000);
    exchange(&second);
    exchange(&first);
}

fn moved_port_taken(stage: &Stage) {
    let listener = stage.listen(8000);
    let first = open(stage, &listener, 8000);
    exchange(&first);
    let second = open(stage, &listener, 80);
    exchange(&second);
    let moved = second.1.remote().port();
    // The client's end waits nowhere, the server's neither.
    second.0.abort();
    second.1.expect_reset().close();
    if stage.datapath() == Datapath::Redirector {
        let client = stage.dial(8000).from(moved).connect();
        let third = (client, listener.accept());
        exchange(&third);
        let again = open(stage, &listener, 80);
        exchange(&again);
        exchange(&third);
        exchange(&first);
    }
}

fn publish(stage: &Stage) {
    publish_wire(
        stage,
        match stage.datapath() {
            Datapath::Nft => "{ 80, 8000 }",
            Datapath::Redirector => "8000",
        },
    );
}

fn publish_wire(stage: &Stage, tcp: &str) {
    let rules = format!(
        "fib daddr type local tcp dport {tcp} dnat ip to 10.77.3.2:8000
         fib daddr type local tcp dport {tcp} dnat ip6 to [fd77:3::2]:8000
"
    );
    nft(
        stage.server_host(),
        &format!(
            "table inet docker
             delete table inet docker
             table inet docker {{
                 chain prerouting {{ type nat hook prerouting priority dstnat - 5; {rules} }}
                 chain output {{ type nat hook output priority -105; {rules} }}
             }}"
        ),
    );
}
