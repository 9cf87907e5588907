//! Many, slow, stuck and mad clients, and many rules.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use integration::dashboard::{Dashboard, event};
use integration::many;
use integration::ordinary_or_long;
use integration::random::Random;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;
use redirector::kernel::Plain;
use redirector_common::abi::{FlowKey, Port};

use crate::{RULES, metrics};

/// Garbage is answered with an error or not at all, and keeps nobody from being served.
#[test]
fn garbage_is_shrugged_off() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let long = "a".repeat(200_000);
    let host = format!("host: {}", dashboard.address);
    for (what, request) in [
        (
            "not HTTP",
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned(),
        ),
        ("no method", " / HTTP/1.1\r\n\r\n".to_owned()),
        (
            "another version",
            format!("GET / HTTP/9.9\r\n{host}\r\n\r\n"),
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "no host",
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            "a long line",
            format!("GET /{long} HTTP/1.1\r\n{host}\r\n\r\n"),
        ),
        (
            "a long header",
            format!("GET / HTTP/1.1\r\n{host}\r\nx: {long}\r\n\r\n"),
        ),
        (
            "a bad length",
            format!("POST /login HTTP/1.1\r\n{host}\r\ncontent-length: x\r\n\r\n"),
        ),
        (
            "two lengths",
            format!(
                "POST /login HTTP/1.1\r\n{host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"
            ),
        ),
        (
            "another method",
            format!("DELETE /api/v1/stats HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n"),
        ),
        (
            "a way up",
            format!("GET /assets/../../etc/passwd HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n"),
        ),
        ("a zero byte", format!("GET /\0 HTTP/1.1\r\n{host}\r\n\r\n")),
    ] {
        let answer = dashboard.ask(&request);
        assert!(
            answer.status == 0 || (400..=505).contains(&answer.status),
            "{what}: {answer:?}"
        );
        dashboard.process.assert_running();
    }
    let mut random = Random::from_printed_seed();
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..random.below(600))
            .map(|_| random.below(256) as u8)
            .collect();
        let mut stream = dashboard.connect();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(dashboard.get("/healthz", &[]).status, 200);
    assert_eq!(dashboard.process.stderr(), "");
}

/// 200 watch, others take nothing or never finish a request: all of the first go on, and memory stays.
#[test]
fn two_hundred_viewers_and_stuck_ones() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let mut viewers: Vec<_> = (0..200).map(|_| dashboard.events()).collect();
    let stuck: Vec<_> = (0..20).map(|_| dashboard.events()).collect();
    let silent: Vec<TcpStream> = (0..20).map(|_| dashboard.connect()).collect();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = dashboard.connect();
            stream
                .write_all(b"GET / HTTP/1.1\r\nho")
                .expect("half a request");
            stream
        })
        .collect();
    for viewer in &mut viewers {
        event(viewer, "sample");
    }
    let before = dashboard.memory();
    let rounds = ordinary_or_long(5, 100);
    for round in 0..rounds {
        connection.exchange("while they watch");
        let at: BTreeSet<String> = viewers
            .iter_mut()
            .map(|viewer| event(viewer, "sample")["at"].to_string())
            .collect();
        // They are read one after another, and all have been told the same by the end.
        assert!(at.len() <= 3, "round {round}: {at:?}");
    }
    let after = dashboard.memory();
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    // Those that never finish a request are let go.
    for mut stream in silent.into_iter().chain(slow) {
        stream
            .set_read_timeout(Some(wait::DEADLINE))
            .expect("a timeout");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok(), "{ended:?}");
    }
    drop(stuck);
    dashboard.process.assert_running();
    assert_eq!(dashboard.json("/healthz")["healthy"], true);
}

/// Who asks for much and takes nothing has a place for half a minute. Nobody waits for it in vain: they are
/// told, and every other document goes on.
#[test]
fn who_takes_nothing_is_let_go() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let dashboard = Dashboard::start(&instance);
    let mut events = dashboard.events();
    let start = Instant::now();
    let mut wait_for = |wanted: u16, before: &mut dyn FnMut()| {
        loop {
            assert!(start.elapsed() < Duration::from_secs(90), "no {wanted}");
            before();
            match dashboard.get("/api/v1/stats", &[]).status {
                status if status == wanted => break,
                status => assert!([200, 503].contains(&status), "{status}"),
            }
            event(&mut events, "sample");
        }
    };
    // Those who ask at the same moment share an answer, so each asks a moment later.
    let mut stuck = Vec::new();
    wait_for(503, &mut || {
        stuck.push(dashboard.ask_and_take_nothing("/api/v1/stats"));
    });
    assert!((3..=6).contains(&stuck.len()), "{} of them", stuck.len());
    wait_for(200, &mut || {
        for path in ["/healthz", "/api/v1/status", "/metrics"] {
            assert_eq!(dashboard.get(path, &[]).status, 200, "{path}");
        }
    });
    drop(stuck);
}

/// More than there is a place for are told so, and the rest goes on.
#[test]
fn there_is_a_bound_on_viewers() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut viewers: Vec<_> = (0..256).map(|_| dashboard.events()).collect();
    for viewer in &mut viewers {
        event(viewer, "sample");
    }
    assert_eq!(dashboard.get("/api/v1/events", &[]).status, 503);
    assert_eq!(dashboard.get("/metrics", &[]).status, 200);
    drop(viewers);
    wait::until("places are given back", || {
        let mut stream = dashboard.connect();
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n",
            dashboard.address
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        start.ends_with(b"200")
    });
}

/// Ten clients ask for everything each second, twenty watch, traffic flows, and the table of flows has a lot
/// to tell: memory does not grow with time.
#[test]
fn memory_is_flat_under_load() {
    const FLOWS: u16 = 50_000;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let to = SocketAddr::new(SERVER.v4, 80);
    Connection::open(&lan.client, to, &listener).exchange("a flow to copy");
    let mut flows = instance.flow_table("FLOWS");
    let (Plain(key), flow) = flows.iter().next().expect("a flow").expect("the flow");
    for port in 1..=FLOWS {
        let remote_port = Port::new(port);
        let other = FlowKey { remote_port, ..key };
        flows.insert(Plain(other), flow, 0).expect("another flow");
    }
    let dashboard = Dashboard::start(&instance);
    let largest = dashboard.get("/api/v1/flows", &[]).body.len() as u64;
    let mut viewers: Vec<_> = (0..20).map(|_| dashboard.events()).collect();
    let is_over = AtomicBool::new(false);
    let poll = || {
        while !is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            for path in ["status", "stats", "flows", "history"] {
                let answer = dashboard.get(&format!("/api/v1/{path}"), &[]);
                assert_eq!(answer.status, 200, "{path}");
            }
            assert_eq!(dashboard.get("/metrics", &[]).status, 200);
            thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
        }
    };
    let traffic = || {
        while !is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let mut connection = Connection::open(&lan.client, to, &listener);
            while begun.elapsed() < Duration::from_secs(1) {
                connection.exchange("load");
            }
        }
    };
    let seen = thread::scope(|scope| {
        for viewer in &mut viewers {
            scope.spawn(|| while event(viewer, "sample")["loaded"] == true {});
        }
        let mut others: Vec<_> = (0..10).map(|_| scope.spawn(poll)).collect();
        others.push(scope.spawn(traffic));
        let start = Instant::now();
        let every = ordinary_or_long(5, 60);
        let seen = (1..=ordinary_or_long(4, 11)).map(|number| {
            let until = Duration::from_secs(every * number);
            // The most at any moment: between two answers there is less.
            let mut most = 0;
            while start.elapsed() < until {
                most = most.max(dashboard.memory());
                thread::sleep(Duration::from_millis(20));
            }
            println!("{most} KiB up to {until:?}");
            most
        });
        let seen: Vec<u64> = seen.collect();
        is_over.store(true, Ordering::Relaxed);
        for other in others {
            other.join().expect("a client");
        }
        // It ends the viewers.
        instance.run("unload", "").success("unload");
        seen
    });
    // The first is from before everything has been asked for at its worst moment.
    let (early, late) = seen[1..].split_at(seen.len() / 2);
    let [early, late] = [early, late].map(|part| *part.iter().max().expect("a measurement"));
    // How many of the large documents there are at a time is chance; each comes a hundred times.
    let document = largest / 1024;
    // Three may be on their way, and one is rendered from as much.
    assert!(
        late.max(early) < 6 * document,
        "{seen:?} KiB, {document} KiB a document"
    );
    assert!(
        late < early + early / 10 + document,
        "{seen:?} KiB, {document} KiB a document"
    );
}

#[test]
fn ten_thousand_rules_stay_usable() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let dashboard = Dashboard::start(&instance);
    let listener = Listener::bind(&lan.server, 31_999);
    let mut events = dashboard.events();
    let mut connection =
        Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 11_999), &listener);
    let busy = wait::until_some("the busy rule among the few", || {
        connection.exchange("traffic");
        let sample = event(&mut events, "sample");
        let rules = sample["stats"]["rules"].as_array()?.clone();
        assert!(rules.len() <= 32, "{} rules", rules.len());
        assert_eq!(sample["rules_total"], 10_000);
        rules.into_iter().find(|rule| rule["from"] == 11_999)
    });
    assert!(busy["in"]["packets"].as_u64() > Some(0), "{busy}");
    let stats = dashboard.json("/api/v1/stats");
    assert_eq!(stats["rules"].as_array().map(Vec::len), Some(10_000));
    metrics::check(&dashboard.get("/metrics", &[]).body);
    println!("{} KiB", dashboard.memory());
    assert!(
        dashboard.memory() < 200 * 1024,
        "{} KiB",
        dashboard.memory()
    );
}
