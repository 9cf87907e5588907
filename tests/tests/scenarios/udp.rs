//! Datagrams.

use integration::datapath::Datapath;
use integration::netns::Offloads;
use integration::scenario::{Difference, Place, Scenario, Stage};

const DNS: &[&str] = &["53:5353/udp"];

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("echo", echo)
        .rules(DNS)
        .checks("datagrams are answered from the port that was asked")
        .places(Place::ALL)
        .offloads(&[Offloads::Off, Offloads::On]),
    Scenario::new("large_datagrams", large_datagrams)
        .rules(DNS)
        .checks("datagrams in fragments arrive whole, both ways"),
    Scenario::new("second_address", second_address)
        .rules(DNS)
        .checks("a server that leaves its address to the kernel, asked at its second address")
        .differs(
            Difference::new(
                "the address that was asked stays, so the server must answer from it (IP_PKTINFO), as without \
                 any redirect; netfilter's redirect leads to the address that the kernel answers from",
            )
            .in_client()
            .on_wire(),
        ),
];

fn echo(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client(53);
    for payload in [b"".as_slice(), b"1", b"12", &[0x5a; 1400]] {
        client.send(payload);
        server.expect(payload).send(payload);
        client.expect(payload);
    }
}

fn large_datagrams(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client(53);
    let request: Vec<u8> = (0..8192u32).map(|index| (index % 251) as u8).collect();
    let answer: Vec<u8> = request.iter().rev().copied().collect();
    client.send(&request);
    server.expect(&request).send(&answer);
    client.expect(&answer);
}

fn second_address(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client_to_many(stage.source_port(0));
    client.send_to(b"request", stage.other(53));
    server.expect(b"request").send(b"answer");
    let from = match stage.datapath() {
        Datapath::Redirector => stage.server(5353),
        _ => stage.other(53),
    };
    client.expect_from(b"answer", from);
}
