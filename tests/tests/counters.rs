//! What is counted is what was on the wire.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use integration::capture::Capture;
use integration::counters::{Count, Counts, NftCounters, counts_of_rule, rule};
use integration::datapath::nft;
use integration::http::{Nginx, curl};
use integration::netns::Offloads;
use integration::packet::Packet;
use integration::redirector::Instance;
use integration::server::{Connection, Listener, connect, is_refused};
use integration::topology::{Lan, SERVER};
use integration::transfer::transfer;
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use serde_json::Value;
use socket2::SockRef;

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

/// More than 100,000 packets of both protocols and families, from elsewhere and from this host: nft has
/// counted the same, to the packet.
#[test]
fn a_mixed_run_agrees_with_nft_to_the_packet() {
    const MIB: u64 = 16;
    const DATAGRAMS: usize = 10_000;
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let listener = Listener::bind(&lan.server, 8000);
    let _nginx = Nginx::start(&lan.server, &[4430]);
    let [dns, ntp] = [5353, 1123].map(|port| UdpServer::bind(&lan.server, port));
    let instance = Instance::load(&lan.server, RULES);
    let targets = [("tcp", 8000), ("tcp", 4430), ("udp", 5353), ("udp", 1123)];
    let nft = NftCounters::start(&lan.server, &targets);
    thread::scope(|scope| {
        scope.spawn(|| {
            for to in SERVER.both(80) {
                let Connection {
                    mut client,
                    mut server,
                } = Connection::open(&lan.client, to, &listener);
                transfer(&mut server, &mut client, MIB);
                transfer(&mut client, &mut server, MIB);
            }
        });
        scope.spawn(|| {
            for (from, address) in lan.places() {
                for _ in 0..20 {
                    let to = SocketAddr::new(address, 443);
                    curl(from, to).unwrap_or_else(|output| panic!("{to}: {output:#?}"));
                }
            }
        });
        for (server, port) in [(&dns, 53), (&ntp, 123)] {
            let lan = &lan;
            scope.spawn(move || {
                for to in SERVER.both(port) {
                    let client = UdpClient::connect(&lan.client, 0, to);
                    for number in 0..DATAGRAMS {
                        server.echo(&client, number % 1400, &to.to_string());
                    }
                }
            });
        }
    });
    settle(&lan);
    let rules = [("tcp", 80), ("tcp", 443), ("udp", 53), ("udp", 123)];
    wait::until_equal("stats and nft", || {
        let stats = instance.stats();
        (
            rules.map(|(protocol, port)| counts_of_rule(&stats, protocol, port)),
            targets.map(|(protocol, port)| nft.read(protocol, port)),
        )
    });
    let stats = instance.stats();
    let counts = rules.map(|(protocol, port)| counts_of_rule(&stats, protocol, port));
    let packets = counts.map(|counts| counts.incoming.packets + counts.outgoing.packets);
    let packets: u64 = packets.iter().sum();
    println!("{packets} packets");
    assert!(packets >= 100_000, "{counts:?}");
    assert_eq!(stats["histograms"]["packet_size"]["count"], packets);
}

#[test]
fn sizes_and_delays_are_counted_where_they_belong() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let dns = UdpServer::bind(&lan.server, 5353);
    let instance = Instance::load(&lan.server, RULES);
    let udp = UdpClient::connect(&lan.client, 0, SocketAddr::new(SERVER.v4, 53));
    // 28 bytes of headers: at the end of one bucket, and at the beginning of the next.
    for size in [100, 101] {
        dns.echo(&udp, size, "a size");
    }
    let stats = instance.stats();
    let sizes = &stats["histograms"]["packet_size"];
    assert_eq!(sizes["unit"], "bytes");
    assert_eq!(
        [bucket(sizes, 128.0), bucket(sizes, 256.0)],
        [2, 2],
        "{sizes}"
    );

    // The client's ACKs are lost at first, so those that arrive come late; the SYN-ACKs do not.
    let target = [SERVER.v4, SERVER.v6].map(|address| SocketAddr::new(address, 80));
    nft(
        &lan.client,
        "table inet lossy {
             chain output {
                 type filter hook output priority 0
                 tcp dport 80 tcp flags & (syn | ack) == ack drop
             }
         }",
    );
    let clients = target.map(|to| connect(&lan.client, 0, to).expect("the SYN-ACK came"));
    nft(&lan.client, "delete table inet lossy");
    let servers = target.map(|_| listener.accept());
    let delay = |name: &str| {
        let stats = instance.stats();
        let histogram = &stats["histograms"][name];
        assert_eq!(histogram["unit"], "seconds");
        let count = histogram["count"].as_u64().expect("a count");
        (count, histogram["sum"].as_f64().expect("a sum"))
    };
    wait::until("two delays of each", || {
        [delay("syn_ack_delay").0, delay("ack_delay").0] == [2, 2]
    });
    let (slow, quick) = (delay("ack_delay").1, delay("syn_ack_delay").1);
    println!("{quick} s to the SYN-ACKs, {slow} s to the ACKs");
    // Linux repeats a SYN-ACK after a second.
    assert!((1.0..30.0).contains(&slow), "{slow} s");
    assert!(quick > 0.0 && quick < slow, "{quick} s");
    drop((clients, servers));
}

/// A listener whose backlog is full does not answer, and neither does one behind a firewall.
#[test]
fn syns_without_an_answer_are_counted() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let syns = || {
        let stats = instance.stats();
        let rule = rule(&stats, "tcp", 80);
        [&rule["syns"], &rule["unanswered_syns"]].map(|count| count.as_u64().expect("a count"))
    };
    let to = SocketAddr::new(SERVER.v4, 80);
    Connection::open(&lan.client, to, &listener).exchange("an answered one");
    assert_eq!(syns(), [1, 0]);
    // Nobody listens: that is an answer too.
    assert!(is_refused(&lan.client, SocketAddr::new(SERVER.v4, 443)));
    assert_eq!(rule(&instance.stats(), "tcp", 443)["unanswered_syns"], 0);
    nft(
        &lan.server,
        "table inet wall {
             chain input {
                 type filter hook input priority 0
                 tcp dport 8000 tcp flags & (syn | ack) == syn drop
             }
         }",
    );
    let client = lan.client.clone();
    let attempt = thread::spawn(move || connect(&client, 0, to));
    // The last one that is counted may not have come to the wall yet.
    wait::until("two SYNs without an answer", || {
        syns() >= [3, 2] && syns()[1] == syns()[0] - 1
    });
    nft(&lan.server, "delete table inet wall");
    // One of those that are left is answered; the earlier ones stay unanswered.
    attempt
        .join()
        .expect("the attempt")
        .expect("it is answered in the end");
    let [all, unanswered] = syns();
    assert_eq!(unanswered, all - 2, "{all}");
    assert!(unanswered >= 1);
}

#[test]
fn resets_and_live_connections() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let seen = || {
        let stats = instance.stats();
        let rule = rule(&stats, "tcp", 80);
        [&rule["live"], &rule["in"]["resets"], &rule["out"]["resets"]]
            .map(|count| count.as_u64().expect("a count"))
    };
    let mut connections = SERVER
        .both(80)
        .map(|to| Connection::open(&lan.client, to, &listener));
    for connection in &mut connections {
        connection.exchange("live");
    }
    assert_eq!(seen(), [2, 0, 0]);
    let [first, second] = connections;
    let abort = |socket: &TcpStream| {
        SockRef::from(socket)
            .set_linger(Some(Duration::ZERO))
            .expect("an abort instead of an end");
    };
    abort(&first.client);
    drop(first.client);
    wait::until_equal("the client's reset", || (seen(), [1, 1, 0]));
    abort(&second.server);
    drop(second.server);
    wait::until_equal("the application's reset", || (seen(), [0, 1, 1]));
    let third = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    assert_eq!(seen(), [1, 1, 1]);
    drop(third);
    wait::until_equal("the end of the last one", || (seen(), [0, 1, 1]));
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

fn bucket(histogram: &Value, le: f64) -> u64 {
    let buckets = histogram["buckets"].as_array().expect("buckets");
    let found = buckets.iter().find(|bucket| bucket["le"] == le);
    found
        .and_then(|bucket| bucket["count"].as_u64())
        .expect("a bucket")
}
