//! Packets in pieces.

mod split;

use integration::datapath::Datapath;
use integration::scenario::{Difference, Family, Scenario, Stage, Topology, UdpPeer};
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, Fragment, RST, Transport};

use self::split::{fragments, split};
use crate::hand::{Hand, talk};

const DNS: &[&str] = &["53:5353/udp"];
const V4: &[Family] = &[Family::V4];
const V6: &[Family] = &[Family::V6];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("udp_in_order", |stage| udp(stage, |_| {}))
        .rules(DNS)
        .checks("a datagram in fragments arrives whole"),
    Scenario::new("udp_reversed", |stage| {
        udp(stage, |fragments| fragments.reverse())
    })
    .rules(DNS)
    .checks("fragments in reverse order make the same datagram"),
    Scenario::new("udp_first_comes_last", |stage| {
        udp(stage, |fragments| fragments.rotate_left(1));
    })
    .rules(DNS)
    .checks("the fragment with the ports may come last"),
    Scenario::new("udp_twice", |stage| {
        udp(stage, |fragments| {
            let again = fragments.clone();
            fragments.splice(1..1, again.into_iter().take(1));
        });
    })
    .rules(DNS)
    .checks("a first fragment that comes twice changes nothing"),
    Scenario::new("udp_interleaved", udp_interleaved)
        .rules(DNS)
        .checks("fragments of two datagrams that alternate are told apart"),
    Scenario::new("udp_only_fragment", udp_only_fragment)
        .rules(DNS)
        .families(V6)
        .checks("a fragment header on a datagram that is whole, as a translator of families adds"),
    Scenario::new("tcp_fragments", |stage| tcp_fragments(stage, 32))
        .checks("a segment in fragments reaches the connection"),
    Scenario::new("tcp_tiny_fragments", |stage| tcp_fragments(stage, 8))
        .families(V4)
        .checks("a segment whose first fragment has the ports and no more")
        .differs(
            Difference::new(
                "the checksum is in a fragment that cannot be told from others without reassembly, \
                 which nftables has done before it looks",
            )
            .in_server()
            .on_wire(),
        ),
    Scenario::new("tcp_fragmented_on_the_way", tcp_fragmented_on_the_way)
        .topology(Topology::NarrowRouter)
        .families(V4)
        .checks("hosts that allow fragments get their segments in pieces, both ways"),
    Scenario::new("tcp_only_fragment", |stage| {
        talk(stage, |craft| {
            craft.fragment = Some(Fragment {
                offset: 0,
                more: false,
            })
        });
    })
    .families(V6)
    .checks("segments with a fragment header that are whole"),
];

/// A datagram to port 53 in fragments, rearranged.
fn udp(stage: &Stage, rearrange: fn(&mut Vec<Vec<u8>>)) {
    let server = stage.udp_server(5353);
    let craft = datagram(stage, 0, 4000);
    let mut fragments = fragments(&craft, 1400, 1);
    rearrange(&mut fragments);
    for fragment in &fragments {
        stage.wire().send_bytes(fragment);
    }
    server.expect(&craft.payload);
    answer(stage, &server, &craft);
}

fn udp_interleaved(stage: &Stage) {
    let server = stage.udp_server(5353);
    let crafts = [0, 1].map(|number| datagram(stage, number, 4000));
    let one = fragments(&crafts[0], 1400, 1);
    let other = fragments(&crafts[1], 1400, 2);
    for (one, other) in one.iter().zip(other.iter().rev()) {
        stage.wire().send_bytes(one);
        stage.wire().send_bytes(other);
    }
    // The second one's last fragment goes before the first one's.
    for craft in &crafts {
        server.expect(&craft.payload);
    }
}

fn udp_only_fragment(stage: &Stage) {
    let server = stage.udp_server(5353);
    let craft = Craft {
        fragment: Some(Fragment {
            offset: 0,
            more: false,
        }),
        ..datagram(stage, 0, 100)
    };
    stage.wire().send(&craft);
    server.expect(&craft.payload);
    answer(stage, &server, &craft);
}

/// Leaves from the port that was asked.
fn answer(stage: &Stage, server: &UdpPeer, craft: &Craft) {
    let answer = [b"an answer to ".as_slice(), &craft.payload[..20]].concat();
    server.send(&answer);
    stage.wire().expect("the answer", |packet| {
        packet.source == stage.server(53)
            && packet.destination.port() == craft.source_port
            && packet.payload == answer
    });
}

fn tcp_fragments(stage: &Stage, first: usize) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open(stage);
    let server = listener.accept();
    let payload = vec![0x5a; 1000];
    for fragment in split(&hand.craft(ACK, &payload), &[first, 400], 7) {
        stage.wire().send_bytes(&fragment);
    }
    let is_whole = first >= 20 || stage.datapath() == Datapath::Nft;
    if is_whole {
        hand.advance(&payload);
        server.expect(&payload);
    }
    hand.send(ACK, b"whole");
    server.expect(b"whole").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn tcp_fragmented_on_the_way(stage: &Stage) {
    for host in [stage.client_host(), stage.server_host()] {
        host.sysctl("ipv4.ip_no_pmtu_disc", "1");
    }
    let (client, server) = stage.connection(80, 8000);
    let body: Vec<u8> = (0..100_000u32).map(|index| (index % 251) as u8).collect();
    server.deliver(&client, &body);
    client.deliver(&server, &body);
    for host in [stage.client_host(), stage.server_host()] {
        assert_ne!(host.snmp("Ip", "ReasmOKs"), 0, "nothing came in fragments");
    }
}

/// A datagram of the ghost to port 53.
fn datagram(stage: &Stage, number: u16, length: u32) -> Craft {
    let source = (stage.family().of(GHOST), stage.source_port(number));
    stage.client_source(source.into());
    let to = stage.server(53);
    let payload = (0..length).map(|index| (index % 251) as u8 ^ number as u8);
    Craft {
        payload: payload.collect(),
        ..Craft::new(
            source,
            (to.ip(), to.port()),
            Transport::Udp { checksum: true },
        )
    }
}
