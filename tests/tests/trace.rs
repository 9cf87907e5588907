//! `redirector trace`: every packet is told once, nothing is told once nobody listens.

use std::net::{SocketAddr, UdpSocket};
use std::process::Stdio;

use integration::counters::{counts_of_rule, rule};
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, Lan, SERVER};
use integration::tracing::{control, start, until_told};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const RULES: &str = "-i eth0 -i lo 80:8000 53:5353/udp";

#[test]
fn every_packet_of_a_rule_is_told() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut trace = start(&instance, "--json");
    // Their ends would be told among the beginnings of others.
    let mut connections = Vec::new();
    for (to, client) in SERVER.both(80).into_iter().zip([CLIENT.v4, CLIENT.v6]) {
        let told = trace.documents().len();
        let mut connection = Connection::open(&lan.client, to, &listener);
        connection.exchange(&to.to_string());
        wait::until_equal("told and counted", || {
            let counts = counts_of_rule(&instance.stats(), "tcp", 80);
            (
                trace.documents().len() as u64,
                counts.incoming.packets + counts.outgoing.packets,
            )
        });
        let documents = trace.documents();
        let port = connection.client.local_addr().expect("the client").port();
        let opening = &documents[told];
        for (field, expected) in [
            ("schema", json!(1)),
            ("interface", json!("eth0")),
            ("direction", json!("in")),
            ("protocol", json!("tcp")),
            ("client", json!(client)),
            ("address", json!(to.ip())),
            ("before", json!({ "client": port, "local": 80 })),
            ("after", json!({ "client": port, "local": 8000 })),
            ("flags", json!(["SYN"])),
            ("verdict", json!("redirected")),
            ("reason", Value::Null),
        ] {
            assert_eq!(opening[field], expected, "{field} of {opening}");
        }
        assert_eq!(opening["rule"]["from"], 80, "{opening}");
        let answer = &documents[told + 1];
        for (field, expected) in [
            ("direction", json!("out")),
            ("client", json!(client)),
            ("before", json!({ "client": port, "local": 8000 })),
            ("after", json!({ "client": port, "local": 80 })),
            ("flags", json!(["SYN", "ACK"])),
        ] {
            assert_eq!(answer[field], expected, "{field} of {answer}");
        }
        connections.push(connection);
    }
    assert_eq!(trace.interrupt(), Some(0), "{}", trace.stderr());
    assert_eq!(trace.stderr(), "");
    assert_eq!(control(&instance).until, 0, "it is off at once");
}

#[test]
fn what_is_left_alone_is_told_with_its_reason() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let trace = start(&instance, "--json");
    let to = SocketAddr::new(SERVER.v4, 8000);
    Connection::open(&lan.client, to, &listener).exchange("a direct connection");
    wait::until("a skipped packet", || !trace.documents().is_empty());
    let document = &trace.documents()[0];
    for (field, expected) in [
        ("verdict", json!("skipped")),
        ("reason", json!("direct")),
        ("direction", json!("out")),
        ("rule", Value::Null),
        ("client", json!(CLIENT.v4)),
    ] {
        assert_eq!(document[field], expected, "{field} of {document}");
    }
}

#[test]
fn filters_count_and_lines_for_people() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let dns = UdpServer::bind(&lan.server, 5353);
    let instance = Instance::load(&lan.server, RULES);
    let to = SocketAddr::new(SERVER.v4, 80);
    let open = |port| Connection::open_from(&lan.client, port, to, &listener);
    let client = format!("{}:21001", CLIENT.v4);
    for (arguments, expected) in [
        (
            format!("--client {client} --flags syn --count 2"),
            vec![
                format!(" eth0 in  tcp {client} > {to} "),
                " SYN: port 80 to 8000 by 80:8000/tcp".to_owned(),
                format!("{}:8000 > {client} ", SERVER.v4),
                " SYN,ACK: port 8000 to 80 by 80:8000/tcp".to_owned(),
            ],
        ),
        (
            "--rule 53:5353/udp --count 2".to_owned(),
            vec![
                " udp ".to_owned(),
                ": port 53 to 5353 by 53:5353/udp".to_owned(),
            ],
        ),
    ] {
        let mut trace = start(&instance, &arguments);
        for port in [21_000, 21_001, 21_002] {
            open(port).exchange("a connection");
        }
        let udp = UdpClient::connect(&lan.client, 0, SocketAddr::new(SERVER.v4, 53));
        dns.exchange(&udp, "a datagram");
        assert_eq!(trace.end(), Some(0), "{arguments}: {}", trace.stderr());
        let text = trace.stdout();
        assert_eq!(text.lines().count(), 2, "{text}");
        for words in expected {
            assert!(text.contains(&words), "{words} in {text}");
        }
    }
    for (arguments, words) in [
        ("--client nobody", "nobody"),
        ("--flags SYN,SIN", "SIN"),
        ("--sample 0", "0"),
        ("--rule 53:5353/udp --flags SYN", "has no flags"),
        ("--rule 81:8000/tcp", "loaded: 53:5353/udp, 80:8000/tcp"),
    ] {
        let output = instance.run("trace", arguments);
        assert_eq!(output.code, Some(2), "{arguments}: {output:#?}");
        assert!(output.stderr.contains(words), "{arguments}: {output:#?}");
    }
}

/// Nothing is left on.
#[test]
fn a_killed_reader_is_forgotten() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let mut trace = start(&instance, "");
    let second = instance.run("trace", "");
    assert_eq!(second.code, Some(1), "{second:#?}");
    assert!(second.stderr.contains("traced already"), "{second:#?}");
    trace.signal(Signal::SIGKILL);
    trace.end();
    assert_ne!(control(&instance).until, 0, "nobody has switched it off");
    wait::until("a packet switches it off", || {
        connection.exchange("after the kill");
        control(&instance).until == 0
    });
    // And the next one begins with what comes then.
    let mut next = start(&instance, "--count 1");
    connection.exchange("for the next one");
    assert_eq!(next.end(), Some(0), "{}", next.stderr());
}

#[test]
fn what_is_lost_is_told() {
    let lan = Lan::new();
    let _dns = UdpServer::bind(&lan.server, 5353);
    let instance = Instance::load(&lan.server, RULES);
    let client = lan
        .client
        .enter(|| UdpSocket::bind("0.0.0.0:0"))
        .expect("a client");
    let trace = start(&instance, "--json");
    trace.pause();
    // More than there is room for, while the lease lasts.
    for _ in 0..10_000 {
        client
            .send_to(b"datagram", (SERVER.v4, 53))
            .expect("a datagram is sent");
    }
    trace.signal(Signal::SIGCONT);
    let lost = wait::until_some("a line about what was lost", || {
        trace
            .documents()
            .iter()
            .find_map(|each| each["lost"].as_u64())
    });
    assert!(lost > 0);
    wait::until("the same for people", || {
        trace
            .stderr()
            .contains(&format!("{lost} packets were not told"))
    });
    // And it hears what comes later, however much it was behind.
    let late = lan.client.enter(|| UdpSocket::bind("0.0.0.0:0"));
    let late = late.expect("a client");
    let port = late.local_addr().expect("its address").port();
    wait::until("a later packet", || {
        late.send_to(b"late", (SERVER.v4, 53))
            .expect("a datagram is sent");
        let documents = trace.documents();
        documents
            .iter()
            .any(|each| each["before"]["client"] == port)
    });
}

/// As behind `head`, also where no packet comes.
#[test]
fn a_reader_that_has_gone_ends_it() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    for verb in ["trace", "log"] {
        let mut child = instance
            .command(verb, "")
            .stdout(Stdio::piped())
            .spawn()
            .expect(verb);
        drop(child.stdout.take());
        let status = wait::until_some(verb, || child.try_wait().expect(verb));
        assert_eq!(status.code(), Some(0), "{verb}");
    }
}

#[test]
fn an_unload_ends_it() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let mut trace = start(&instance, "");
    instance.run("unload", "").success("unload");
    assert_eq!(trace.end(), Some(3), "{}", trace.stderr());
    assert!(trace.stderr().contains("not loaded"), "{}", trace.stderr());
}

/// It does not stay with programs that are gone.
#[test]
fn another_load_is_followed() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let open = |port| {
        let to = SocketAddr::new(SERVER.v4, port);
        Connection::open(&lan.client, to, &listener).exchange("hello");
    };
    let mut trace = start(&instance, "--json");
    open(80);
    wait::until("packets of the first load", || {
        !trace.documents().is_empty()
    });
    instance.load_unseen(&trace, "-i eth0 -i lo 81:8000");
    until_told(&instance, &mut trace);
    open(81);
    wait::until("packets of the second load", || {
        trace
            .documents()
            .iter()
            .any(|packet| packet["rule"]["from"] == 81 && packet["verdict"] == "redirected")
    });
    assert_eq!(trace.interrupt(), Some(0), "{}", trace.stderr());
    assert_eq!(trace.stderr(), "");

    let mut trace = start(&instance, "--rule 81:8000/tcp");
    instance.load_unseen(&trace, RULES);
    assert_eq!(trace.end(), Some(2), "{}", trace.stderr());
    let words = "no rule \"81:8000/tcp\" is loaded";
    assert!(trace.stderr().contains(words), "{}", trace.stderr());
}

/// A sample is of about the size that was asked for.
#[test]
fn a_sample_is_one_of_so_many() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let mut trace = start(&instance, "--json --sample 10");
    let packets = || {
        rule(&instance.stats(), "tcp", 80)["in"]["packets"]
            .as_u64()
            .expect("packets")
    };
    let before = packets();
    while packets() < before + 2_000 {
        for _ in 0..200 {
            connection.exchange("again");
        }
    }
    assert_eq!(trace.interrupt(), Some(0), "{}", trace.stderr());
    let counts = counts_of_rule(&instance.stats(), "tcp", 80);
    let expected = (counts.incoming.packets + counts.outgoing.packets) as f64 / 10.0;
    let told = trace.documents().len() as f64;
    // Seven standard deviations of a binomial distribution.
    let margin = 7.0 * (expected * 0.9).sqrt();
    assert!((told - expected).abs() < margin, "{told} of {expected}");
}
