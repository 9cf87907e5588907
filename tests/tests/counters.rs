//! What is counted is what was on the wire.

use std::net::{IpAddr, SocketAddr};

use integration::capture::Capture;
use integration::counters::{Count, Counts, NftCounters, counts_of_rule, rule};
use integration::http::{Nginx, curl};
use integration::netns::Offloads;
use integration::packet::Packet;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::transfer::transfer;
use integration::udp::{UdpClient, UdpServer};
use integration::wait;

const RULES: &str = "-i eth0 -i lo 80:8000 443:4430 53:5353/udp 123:1123/udp";

#[test]
fn stats_have_the_promised_fields() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let stats = instance.stats();
    assert_eq!(stats["schema"], 1);
    assert_eq!(stats["name"], instance.name());
    assert_eq!(stats["rules"].as_array().map(Vec::len), Some(4), "{stats}");
    for (protocol, from, to) in [
        ("tcp", 80, 8000),
        ("tcp", 443, 4430),
        ("udp", 53, 5353),
        ("udp", 123, 1123),
    ] {
        let rule = rule(&stats, protocol, from);
        assert_eq!(rule["to"], to, "{stats}");
        assert!(rule.get("address").is_some(), "{stats}");
        assert_eq!(rule["connections"], 0, "{stats}");
        assert_eq!(
            counts_of_rule(&stats, protocol, from),
            Counts::default(),
            "{stats}"
        );
    }
    let skipped = stats["skipped"].as_object().expect("an object of reasons");
    assert!(skipped.values().all(serde_json::Value::is_u64), "{stats}");
}

/// Three witnesses: our counters, nft's behind the rewrite, and tcpdump at the client.
#[test]
fn http_counts_agree_with_nft_and_with_the_wire() {
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let instance = Instance::load(&lan.server, RULES);
    let nft = NftCounters::start(&lan.server, &[("tcp", 8000), ("tcp", 4430)]);
    let capture = Capture::start(&lan.client, "eth0");

    for (port, requests) in [(80, 20), (443, 5)] {
        for to in SERVER.both(port) {
            for _ in 0..requests {
                curl(&lan.client, to).unwrap_or_else(|output| panic!("{to}: {output:#?}"));
            }
        }
    }
    settle(&lan);
    let wire = capture.stop();

    for (port, target, requests) in [(80, 8000, 20), (443, 4430, 5)] {
        wait::until_equal("stats and nft", || {
            (
                counts_of_rule(&instance.stats(), "tcp", port),
                nft.read("tcp", target),
            )
        });
        let stats = instance.stats();
        assert_eq!(
            counts_of_rule(&stats, "tcp", port),
            counts_on_wire(&wire, port),
            "{port}"
        );
        assert_eq!(
            rule(&stats, "tcp", port)["connections"],
            2 * requests,
            "{port}"
        );
    }
}

#[test]
fn loopback_is_counted_once() {
    let lan = Lan::new();
    let _nginx = Nginx::start(&lan.server, &[8000]);
    let instance = Instance::load(&lan.server, RULES);
    let nft = NftCounters::start(&lan.server, &[("tcp", 8000)]);
    for (from, address) in &lan.places()[2..] {
        curl(from, SocketAddr::new(*address, 80)).unwrap_or_else(|output| panic!("{output:#?}"));
    }
    settle(&lan);
    wait::until_equal("stats and nft", || {
        (
            counts_of_rule(&instance.stats(), "tcp", 80),
            nft.read("tcp", 8000),
        )
    });
    assert_eq!(rule(&instance.stats(), "tcp", 80)["connections"], 4);
}

/// A packet of 64 KiB that no wire has seen is one packet, for nft and for us.
#[test]
fn super_packets_count_as_nft_counts_them() {
    const MIB: u64 = 32;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let nft = NftCounters::start(&lan.server, &[("tcp", 8000)]);
    for offloads in [Offloads::On, Offloads::Off] {
        lan.offloads(offloads);
        for to in SERVER.both(80) {
            let Connection {
                mut client,
                mut server,
            } = Connection::open(&lan.client, to, &listener);
            transfer(&mut server, &mut client, MIB);
            transfer(&mut client, &mut server, MIB);
        }
    }
    settle(&lan);
    wait::until_equal("stats and nft", || {
        (
            counts_of_rule(&instance.stats(), "tcp", 80),
            nft.read("tcp", 8000),
        )
    });
    let counted = counts_of_rule(&instance.stats(), "tcp", 80);
    for direction in [counted.incoming, counted.outgoing] {
        assert!(direction.bytes > (4 * MIB) << 20, "{counted:?}");
    }
}

#[test]
fn datagrams_are_counted_by_rule() {
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let [dns, ntp] = [5353, 1123].map(|port| UdpServer::bind(&lan.server, port));
    let instance = Instance::load(&lan.server, RULES);
    let nft = NftCounters::start(&lan.server, &[("udp", 5353), ("udp", 1123)]);
    let capture = Capture::start(&lan.client, "eth0");
    for (server, port, datagrams) in [(&dns, 53, 17), (&ntp, 123, 3)] {
        for to in SERVER.both(port) {
            let client = UdpClient::connect(&lan.client, 0, to);
            for size in 0..datagrams {
                server.echo(&client, size, &to.to_string());
            }
        }
    }
    let wire = capture.stop();
    for (port, target, datagrams) in [(53, 5353, 17), (123, 1123, 3)] {
        let counted = counts_of_rule(&instance.stats(), "udp", port);
        assert_eq!(counted, nft.read("udp", target), "{port}");
        assert_eq!(counted, counts_on_wire(&wire, port), "{port}");
        assert_eq!(counted.incoming.packets, 2 * datagrams, "{port}");
        assert_eq!(counted.outgoing.packets, 2 * datagrams, "{port}");
    }
}

#[test]
fn what_is_not_redirected_is_not_counted() {
    let lan = Lan::new();
    let _nginx = Nginx::start(&lan.server, &[8000]);
    let instance = Instance::load(&lan.server, RULES);
    for (from, address) in lan.places() {
        curl(from, SocketAddr::new(address, 8000)).unwrap_or_else(|output| panic!("{output:#?}"));
    }
    settle(&lan);
    let stats = instance.stats();
    assert_eq!(
        counts_of_rule(&stats, "tcp", 80),
        Counts::default(),
        "{stats}"
    );
    assert_eq!(rule(&stats, "tcp", 80)["connections"], 0, "{stats}");
}

/// After this no connection sends anything more.
fn settle(lan: &Lan) {
    for host in [&lan.client, &lan.server] {
        wait::until("every connection has ended", || {
            !host.has_live_connections()
        });
    }
}

fn counts_on_wire(wire: &[Packet], port: u16) -> Counts {
    let count = |side: fn(&Packet) -> SocketAddr| {
        wire.iter()
            .filter(|packet| is_server(side(packet).ip()) && side(packet).port() == port)
            .fold(Count::default(), |count, packet| Count {
                packets: count.packets + 1,
                bytes: count.bytes + packet.bytes,
            })
    };
    Counts {
        incoming: count(|packet| packet.destination),
        outgoing: count(|packet| packet.source),
    }
}

fn is_server(address: IpAddr) -> bool {
    [SERVER.v4, SERVER.v6].contains(&address)
}
