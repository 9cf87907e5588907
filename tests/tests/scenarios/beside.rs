//! Firewalls, manglers and traffic control that see the same packets.

use std::time::Duration;

use integration::counters::named;
use integration::datapath::{Datapath, nft};
use integration::netns::Namespace;
use integration::redirector::json;
use integration::scenario::{Difference, Family, Place, Scenario, Stage};
use integration::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("stateful_firewall", stateful_firewall)
        .places(Place::ALL)
        .checks(
            "a firewall that drops all but new connections to the target, and what is established",
        ),
    Scenario::new(
        "stateful_firewall_for_datagrams",
        stateful_firewall_for_datagrams,
    )
    .rules(&["53:5353/udp"])
    .places(Place::ALL)
    .checks("the same for datagrams"),
    Scenario::new(
        "stateful_firewall_on_loopback",
        stateful_firewall_on_loopback,
    )
    .places(&[Place::Loopback, Place::OwnAddress])
    .checks("a firewall that does not trust loopback either")
    .differs(
        Difference::new(
            "over loopback netfilter follows an answer from when it leaves, which is from the \
                 target, and so does not know the connection",
        )
        .in_client(),
    ),
    Scenario::new("marks_and_counters", marks_and_counters)
        .checks("marks of prerouting are there in input, and every segment is counted"),
    Scenario::new("mangled_answers", mangled_answers)
        .checks("what postrouting changes in answers is on the wire, checksums right"),
    Scenario::new("filters_from_before", filters_see_traffic)
        .prepared(|network| add_filters(&network.server))
        .checks("TC filters that were there before the redirection go on seeing packets"),
    Scenario::new("filters_from_after", filters_from_after)
        .checks("TC filters that came after the redirection see packets"),
];

fn stateful_firewall(stage: &Stage) {
    firewall(stage, "iif lo accept");
    let (client, server) = stage.connection(80, 8000);
    for round in 0..3u8 {
        client.deliver(&server, &[round; 5000]);
        server.deliver(&client, &[round; 5000]);
    }
    if stage.place() == Place::Remote {
        let error = stage
            .dial(8001)
            .patience(Duration::from_millis(100))
            .outcome();
        assert!(error.is_err(), "the firewall lets everything in");
        // The SYN; everything else is of a known connection.
        assert_eq!(named(stage.server_host(), "firewall", "begun").packets, 1);
    }
}

fn stateful_firewall_for_datagrams(stage: &Stage) {
    firewall(stage, "iif lo accept");
    let (client, server) = (stage.udp_client(53), stage.udp_server(5353));
    for round in 0..3u8 {
        client.send(&[round; 1000]);
        server.expect(&[round; 1000]).send(&[round; 100]);
        client.expect(&[round; 100]);
    }
    if stage.place() == Place::Remote {
        assert_eq!(named(stage.server_host(), "firewall", "begun").packets, 1);
    }
}

fn stateful_firewall_on_loopback(stage: &Stage) {
    firewall(stage, "");
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, b"a request");
    server.send(b"an answer");
    match stage.datapath() {
        Datapath::Nft => client.expect(b"an answer"),
        Datapath::Redirector => client.expect_silence(Duration::from_millis(100)),
    };
    client.abort();
    server.expect_reset();
}

fn firewall(stage: &Stage, first: &str) {
    nft(
        stage.server_host(),
        &format!(
            "table inet firewall
         delete table inet firewall
         table inet firewall {{
             counter begun {{ }}
             chain input {{
                 type filter hook input priority filter; policy drop;
                 {first}
                 ct state established,related accept
                 meta l4proto {{ icmp, ipv6-icmp }} accept
                 tcp dport 8000 ct state new counter name begun accept
                 udp dport 5353 ct state new counter name begun accept
             }}
         }}"
        ),
    );
}

fn marks_and_counters(stage: &Stage) {
    nft(
        stage.server_host(),
        "table inet marks
         delete table inet marks
         table inet marks {
             counter incoming { }
             counter marked { }
             counter answers { }
             chain prerouting {
                 type filter hook prerouting priority mangle;
                 tcp dport { 80, 8000 } counter name incoming meta mark set 7 ct mark set 9
             }
             chain input {
                 type filter hook input priority filter;
                 tcp dport 8000 meta mark 7 ct mark 9 counter name marked
             }
             chain postrouting {
                 type filter hook postrouting priority mangle;
                 tcp sport 8000 ct mark 9 counter name answers
             }
         }",
    );
    let (client, server) = stage.connection(80, 8000);
    for round in 0..3u8 {
        client.deliver(&server, &[round; 1000]);
        server.deliver(&client, &[round; 1000]);
    }
    let count = |name| named(stage.server_host(), "marks", name).packets;
    // The last acknowledgment may be on its way.
    wait::until_equal("what was marked is seen", || {
        (count("incoming"), count("marked"))
    });
    assert!(count("marked") >= 5 && count("answers") >= 4);
}

fn mangled_answers(stage: &Stage) {
    const CS1: u8 = 0x20;
    nft(
        stage.server_host(),
        "table inet mangle
         delete table inet mangle
         table inet mangle {
             chain postrouting {
                 type filter hook postrouting priority mangle;
                 tcp sport 8000 ip dscp set cs1
                 tcp sport 8000 ip6 dscp set cs1
                 tcp sport 8000 tcp flags syn tcp option maxseg size set 1000
             }
         }",
    );
    let (client, server) = stage.connection(80, 8000);
    let body = vec![0x5a; 20_000];
    client.deliver(&server, &body);
    server.deliver(&client, &body);
    let packets = stage.wire().packets();
    let largest = packets
        .iter()
        .filter(|packet| packet.destination == stage.server(80))
        .map(|packet| packet.payload.len())
        .max();
    assert!(largest <= Some(1000), "{largest:?}");
    let answer = stage.wire().expect_bytes("an answer", |packet| {
        packet.source == stage.server(80) && !packet.payload.is_empty()
    });
    let class = match stage.family() {
        Family::V4 => answer[1],
        Family::V6 => answer[0] << 4 | answer[1] >> 4,
    };
    assert_eq!(class, CS1);
}

fn filters_from_after(stage: &Stage) {
    let filters = stage.server_host().run("tc filter show dev eth0 ingress");
    if filters.is_empty() {
        add_filters(stage.server_host());
    }
    filters_see_traffic(stage);
}

fn filters_see_traffic(stage: &Stage) {
    let host = stage.server_host();
    let before = Hits::read(host, stage.family());
    let (client, server) = stage.connection(80, 8000);
    for round in 0..3u8 {
        client.deliver(&server, &[round; 1000]);
        server.deliver(&client, &[round; 1000]);
    }
    let after = Hits::read(host, stage.family());
    let hits = |of: fn(&Hits) -> u64| of(&after) - of(&before);
    // The redirector is before them on ingress, and on egress.
    let (seen, unseen) = match stage.datapath() {
        Datapath::Nft => (hits(|hits| hits.to_wire), hits(|hits| hits.to_target)),
        Datapath::Redirector => (hits(|hits| hits.to_target), hits(|hits| hits.to_wire)),
    };
    assert!(seen >= 5, "{seen} packets to the filter on ingress");
    assert_eq!(unseen, 0);
    let answers = hits(|hits| hits.from_wire);
    assert!(answers >= 4, "{answers} packets to the filter on egress");
}

/// Classifiers that copy packets to another device, which counts them: u32 by destination port on
/// ingress, a program of classic BPF by source port on egress.
fn add_filters(server: &Namespace) {
    server.ip("link add spare up type bridge");
    server.run("tc qdisc add dev eth0 clsact");
    let mirror = "action mirred egress mirror dev spare";
    for (protocol, word, pref, source_port_at) in [("ip", "ip", 10, 34), ("ipv6", "ip6", 20, 54)] {
        for (pref, port) in [(pref, 80), (pref + 1, 8000)] {
            server.run(&format!(
                "tc filter add dev eth0 ingress protocol {protocol} pref {pref} \
                 u32 match {word} dport {port} 0xffff {mirror}"
            ));
        }
        let code = format!("4,40 0 0 {source_port_at},21 0 1 80,6 0 0 4294967295,6 0 0 0,");
        let line = format!("tc filter add dev eth0 egress protocol {protocol} pref {pref} bpf");
        let mut command = server.command("tc");
        command
            .args(line.split_whitespace().skip(1))
            .args(["bytecode", &code])
            .args(mirror.split_whitespace());
        integration::process::run(&mut command).success(&line);
    }
}

struct Hits {
    to_wire: u64,
    to_target: u64,
    from_wire: u64,
}

impl Hits {
    fn read(host: &Namespace, family: Family) -> Self {
        let pref = match family {
            Family::V4 => 10,
            Family::V6 => 20,
        };
        let hits = |direction, pref| {
            let list = json(&host.run(&format!(
                "tc -json -statistics filter show dev eth0 {direction} pref {pref}"
            )));
            list.as_array()
                .expect("a list of filters")
                .iter()
                .filter_map(|filter| filter["options"]["actions"][0]["stats"]["packets"].as_u64())
                .sum()
        };
        Self {
            to_wire: hits("ingress", pref),
            to_target: hits("ingress", pref + 1),
            from_wire: hits("egress", pref),
        }
    }
}
