//! A target that netfilter publishes from a container, as Docker does: 80 is redirected to 8000 of
//! the server, which leads to 8000 of the container.

use integration::datapath::{Datapath, nft};
use integration::netns::Offloads;
use integration::scenario::{Difference, Place, Scenario, Stage, Topology, UdpPeer};
use integration::wait;

const DNS: &[&str] = &["53:5353/udp"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("request_to_container", request_to_container)
        .topology(Topology::Container)
        .offloads(&[Offloads::Off, Offloads::On])
        .checks("a request reaches the container, the answer comes from the port that was asked"),
    Scenario::new("container_speaks_first", container_speaks_first)
        .topology(Topology::Container)
        .checks("a banner of the container arrives before the client has said anything"),
    Scenario::new("bulk_with_container", bulk_with_container)
        .topology(Topology::Container)
        .offloads(&[Offloads::Off, Offloads::On])
        .checks("a megabyte each way"),
    Scenario::new("container_resets", container_resets)
        .topology(Topology::Container)
        .checks("the container's RST reaches the client, and the client's RST the container"),
    Scenario::new("container_refuses", container_refuses)
        .topology(Topology::Container)
        .checks("where nobody listens in the container, a client is refused by the port it asked"),
    Scenario::new("direct_to_published", direct_to_published)
        .topology(Topology::Container)
        .checks("a connection to the published port itself goes on beside one to the wire port"),
    Scenario::new("one_port_to_wire_port_and_published", |stage| {
        one_client_port(stage, [80, 8000])
    })
    .topology(Topology::Container)
    .checks("one client port to the wire port and to the published one: both are served"),
    Scenario::new("one_port_to_published_and_wire_port", |stage| {
        one_client_port(stage, [8000, 80])
    })
    .topology(Topology::Container)
    .checks("the same the other way round"),
    Scenario::new("datagrams_to_container", datagrams_to_container)
        .topology(Topology::Container)
        .rules(DNS)
        .checks("datagrams are answered from the port that was asked"),
    Scenario::new("large_datagrams_of_container", large_datagrams_of_container)
        .topology(Topology::Container)
        .rules(DNS)
        .checks("an answer in fragments arrives whole"),
    Scenario::new("container_has_no_such_port", container_has_no_such_port)
        .topology(Topology::Container)
        .rules(DNS)
        .checks("the container's ICMP error is about the port that was asked"),
    Scenario::new(
        "published_to_the_server_itself",
        published_to_the_server_itself,
    )
    .topology(Topology::Container)
    .places(&[Place::OwnAddress])
    .checks("the server reaches its container through its own address")
    .differs(
        Difference::new(
            "over loopback netfilter decides when the packet leaves, and keeps to that when it \
                 comes in at the target",
        )
        .in_client()
        .in_server(),
    ),
];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: server\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn request_to_container(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let client = stage.connect(80);
    let server = listener.accept();
    client.send(REQUEST);
    server.expect(REQUEST).send(ANSWER).close();
    client.expect(ANSWER).expect_eof().close();
}

fn container_speaks_first(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let client = stage.connect(80);
    let server = listener.accept();
    server.send(b"220 ready\r\n");
    client.expect(b"220 ready\r\n").send(b"QUIT\r\n");
    server.expect(b"QUIT\r\n").close();
    client.expect_eof().close();
}

fn bulk_with_container(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let client = stage.connect(80);
    let server = listener.accept();
    let body = body(1 << 20);
    server.deliver(&client, &body);
    client.deliver(&server, &body);
}

fn container_resets(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let client = stage.connect(80);
    let server = listener.accept();
    client.deliver(&server, REQUEST);
    server.abort();
    client.expect_reset();

    let client = stage.connect(80);
    let server = listener.accept();
    client.deliver(&server, REQUEST);
    client.abort();
    server.expect_reset();
}

fn container_refuses(stage: &Stage) {
    publish(stage);
    for port in [80, 8000] {
        stage.dial(port).refused();
    }
}

fn direct_to_published(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pairs = [80, 8000, 80].map(|port| (stage.connect(port), listener.accept()));
    for (client, server) in &pairs {
        client.deliver(server, REQUEST);
        server.deliver(client, ANSWER);
    }
}

fn one_client_port(stage: &Stage, ports: [u16; 2]) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let pairs = ports.map(|port| {
        let client = stage.dial(port).from(stage.source_port(0)).connect();
        (client, listener.accept())
    });
    for _ in 0..2 {
        for (client, server) in &pairs {
            client.deliver(server, REQUEST);
            server.deliver(client, ANSWER);
        }
        for (client, server) in pairs.iter().rev() {
            server.deliver(client, ANSWER);
            client.deliver(server, REQUEST);
        }
    }
}

fn datagrams_to_container(stage: &Stage) {
    publish(stage);
    let (client, server) = datagram_pair(stage);
    for length in [0, 1, 2, 1400] {
        let payload = body(length);
        client.send(&payload);
        server.expect(&payload).send(&payload);
        client.expect(&payload);
    }
}

/// Answers only: a host that forwards fragments writes over what the capture on the veth shares.
fn large_datagrams_of_container(stage: &Stage) {
    publish(stage);
    let (client, server) = datagram_pair(stage);
    let answer = body(8192);
    client.send(b"much");
    server.expect(b"much").send(&answer);
    client.expect(&answer);
}

fn container_has_no_such_port(stage: &Stage) {
    publish(stage);
    let client = stage.udp_client(53);
    client.send(b"anybody?").expect_error("ECONNREFUSED");
    drop(client);

    let (client, server) = datagram_pair(stage);
    client.send(b"anybody?");
    server.expect(b"anybody?").send(b"somebody");
    client.expect(b"somebody");
    drop(server);
    // A program that another scenario is just starting may hold a copy of it.
    wait::until("nobody receives", || !stage.container().receives_on(5353));
    client.send(b"still?").expect_error("ECONNREFUSED");
}

fn published_to_the_server_itself(stage: &Stage) {
    publish(stage);
    let listener = stage.listen_on(stage.container(), 8000);
    let client = stage.connect(8000);
    client.deliver(&listener.accept(), REQUEST);
    match stage.datapath() {
        Datapath::Nft => {
            let client = stage.connect(80);
            client.deliver(&listener.accept(), REQUEST);
        }
        Datapath::Redirector => {
            stage.dial(80).refused();
            listener.expect_nobody();
        }
    }
}

fn datagram_pair(stage: &Stage) -> (UdpPeer, UdpPeer) {
    let server = stage.udp_server_on(stage.container(), 5353);
    (stage.udp_client(53), server)
}

fn body(length: u32) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// Docker's rules. The oracle cannot redirect to what is published, since nat happens once, so there
/// the wire ports are published too.
pub fn publish(stage: &Stage) {
    match stage.datapath() {
        Datapath::Nft => publish_ports(stage, "{ 80, 8000 }", "{ 53, 5353 }"),
        Datapath::Redirector => publish_ports(stage, "8000", "5353"),
    }
}

/// Sets of nft.
pub fn publish_ports(stage: &Stage, tcp: &str, udp: &str) {
    let rules = format!(
        "fib daddr type local tcp dport {tcp} dnat ip to 10.77.3.2:8000
         fib daddr type local tcp dport {tcp} dnat ip6 to [fd77:3::2]:8000
         fib daddr type local udp dport {udp} dnat ip to 10.77.3.2:5353
         fib daddr type local udp dport {udp} dnat ip6 to [fd77:3::2]:5353
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
                 chain postrouting {{
                     type nat hook postrouting priority srcnat
                     oifname != docker0 ip saddr 10.77.3.0/24 masquerade
                     oifname != docker0 ip6 saddr fd77:3::/64 masquerade
                 }}
             }}"
        ),
    );
}
