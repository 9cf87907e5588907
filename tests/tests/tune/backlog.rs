//! Accept queues: what `stats` and `tune check` tell of them.

use std::net::SocketAddr;
use std::process::Command;

use integration::netns::Namespace;
use integration::process::Background;
use integration::redirector::{Instance, json};
use integration::topology::LOOPBACK;
use integration::wait;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::Host;

/// A listener that never accepts, of this process.
fn listener(on: &Namespace, port: u16, backlog: i32) -> Socket {
    let socket = on
        .enter(|| Socket::new(Domain::IPV4, Type::STREAM, None))
        .expect("a socket");
    let address = SocketAddr::new("0.0.0.0".parse().expect("an address"), port);
    socket
        .set_reuse_address(true)
        .expect("an address that may be used again");
    wait::until_bound("a port", || socket.bind(&address.into()));
    socket.listen(backlog).expect("a listener");
    socket
}

/// Connections that are begun and may never be answered.
fn knock(from: &Namespace, to: SocketAddr) -> Socket {
    let socket = from
        .enter(|| Socket::new(Domain::IPV4, Type::STREAM, None))
        .expect("a socket");
    socket
        .set_nonblocking(true)
        .expect("a socket that does not block");
    // In progress.
    let _ = socket.connect(&to.into());
    socket
}

fn only_listener(document: &Value) -> &Value {
    let listeners = document["listeners"].as_array().expect("listeners");
    assert_eq!(listeners.len(), 1, "{document}");
    &listeners[0]
}

#[test]
fn an_overflow_of_a_small_backlog_is_seen() {
    let host = Host::new();
    let server = &host.namespace;
    let _listener = listener(server, 8000, 3);
    let instance = Instance::load(server, "-i lo 80:8000");
    let before = instance.stats();
    let own = only_listener(&before);
    assert_eq!(own["protocol"], "tcp");
    assert_eq!(own["address"], "0.0.0.0");
    assert_eq!(own["port"], 8000);
    assert_eq!(own["process"]["pid"], std::process::id());
    assert!(own["process"]["name"].is_string(), "{own}");
    assert_eq!(
        (&own["backlog"], &own["asked"], &own["depth"], &own["drops"]),
        (&3.into(), &3.into(), &0.into(), &0.into())
    );
    let hint = own["hint"].as_str().expect("a hint");
    assert!(
        hint.contains("its backlog argument is 3: the application itself is the limit"),
        "{hint}"
    );
    assert_eq!(before["namespace"]["overflows"], 0);
    assert!(before["namespace"]["per_second"].is_null());

    let to = SocketAddr::new(LOOPBACK.v4, 80);
    let _waiting: Vec<_> = (0..12).map(|_| knock(server, to)).collect();
    let after = wait::until_some("an overflow", || {
        let document = instance.stats();
        let is_there = document["namespace"]["overflows"].as_u64()? > 0
            && only_listener(&document)["drops"].as_u64()? > 0;
        is_there.then_some(document)
    });
    // The queue holds one more than its limit (`sk_acceptq_is_full()`).
    assert_eq!(only_listener(&after)["depth"], 4, "{after}");
    assert_eq!(
        after["namespace"]["overflows"],
        server
            .netstat("TcpExt", "ListenOverflows")
            .min(after["namespace"]["overflows"].as_u64().expect("a number"))
    );
    assert!(
        after["namespace"]["drops"].as_u64() >= after["namespace"]["overflows"].as_u64(),
        "{after}"
    );
    for verb in ["stats", "tune check"] {
        let text = match verb {
            "stats" => instance.run("stats", "").success("stats"),
            _ => host.tune("check 80:8000", 0).stdout,
        };
        let line = text
            .lines()
            .find(|line| line.starts_with("0.0.0.0:8000"))
            .expect("a line");
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(
            words[words.len() - 4..words.len() - 1],
            ["3", "3", "4"],
            "{text}"
        );
    }
    let checked = host.check("80:8000");
    assert_eq!(only_listener(&checked)["depth"], 4);
    assert!(
        checked["notes"]
            .to_string()
            .contains("the application itself is the limit"),
        "{checked}"
    );
}

#[test]
fn rates_come_with_watch() {
    let host = Host::new();
    let server = &host.namespace;
    let _listener = listener(server, 8000, 1);
    let instance = Instance::load(server, "-i lo 80:8000");
    let mut watch = Background::start(
        &mut instance.command("stats", "--json --watch 0.2"),
        Background::directory(),
    );
    let to = SocketAddr::new(LOOPBACK.v4, 80);
    let _waiting: Vec<_> = (0..12).map(|_| knock(server, to)).collect();
    wait::until("a rate", || {
        watch.assert_running();
        let text = watch.stdout();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.skip(1).any(|document| {
            document["namespace"]["per_second"]["overflows"]
                .as_f64()
                .is_some_and(|rate| rate > 0.0)
        })
    });
    let first = watch.stdout();
    assert!(
        json(first.lines().next().expect("a line"))["namespace"]["per_second"].is_null(),
        "{first}"
    );
}

/// A listener keeps the backlog that it began with.
#[test]
fn a_restart_is_advised_where_it_helps() {
    let host = Host::new();
    host.set("net.core.somaxconn", "200");
    let listening = listener(&host.namespace, 8000, 5000);
    let before = host.check("80:8000");
    assert_eq!(
        (
            &only_listener(&before)["backlog"],
            &only_listener(&before)["asked"]
        ),
        (&200.into(), &Value::Null)
    );
    let applied = host.tune("apply 80:8000", if may_raise() { 0 } else { 4 });
    let advice = "restart the application to use the larger somaxconn of 1024";
    assert!(applied.stderr.contains(advice), "{applied:#?}");
    assert!(host.check("80:8000")["notes"].to_string().contains(advice));
    drop(listening);
    let _listening = listener(&host.namespace, 8000, 5000);
    let after = host.check("80:8000");
    assert_eq!(only_listener(&after)["backlog"], 1024);
    assert!(only_listener(&after)["hint"].is_null(), "{after}");
    host.tune("revert", 0);
    assert_eq!(host.value("net.core.somaxconn"), "200\n");
}

/// A rule for UDP says nothing of who listens on that port of TCP.
#[test]
fn a_rule_for_udp_has_no_backlog() {
    let host = Host::new();
    let _listener = listener(&host.namespace, 8000, 3);
    let hint = "its backlog argument is 3";
    let told = host.tune("apply 53:8000/udp", 0).stderr;
    assert!(
        told.contains("8000/udp") && !told.contains("8000/tcp") && !told.contains(hint),
        "{told}"
    );
    let checked = host.check("53:8000/udp");
    assert_eq!(checked["listeners"], serde_json::json!([]));
    assert!(
        !checked["notes"].to_string().contains("backlog"),
        "{checked}"
    );
    // The same listener, meant.
    let document = host.check("53:8000/both");
    assert!(document["notes"].to_string().contains(hint), "{document}");
    host.tune("revert", 0);
}

/// This process is raised as well, since it is the one that listens.
fn may_raise() -> bool {
    super::limits::may_raise() || super::application::of(std::process::id()).1 >= 1_024_000
}

#[test]
fn both_families_and_only_the_address_of_a_rule() {
    let host = Host::new();
    host.namespace.address("lo", "203.0.113.5/32");
    let bind = |address: &str| {
        let address: SocketAddr = address.parse().expect("an address");
        wait::until_bound("a port", || {
            host.namespace
                .enter(|| std::net::TcpListener::bind(address))
        })
    };
    let _listeners = [
        "127.0.0.1:8000",
        "[::1]:8000",
        "203.0.113.5:9000",
        "127.0.0.1:9000",
        "127.0.0.1:7000",
    ]
    .map(bind);
    let instance = Instance::load(&host.namespace, "-i lo 80:8000 203.0.113.5:90:9000");
    let stats = instance.stats();
    let listeners = stats["listeners"].as_array().expect("listeners");
    let found: Vec<_> = listeners
        .iter()
        .map(|each| {
            format!(
                "{} {}",
                each["address"].as_str().expect("an address"),
                each["port"]
            )
        })
        .collect();
    assert_eq!(found, ["127.0.0.1 8000", "::1 8000", "203.0.113.5 9000"]);
}

/// They are not those of the instance.
#[test]
fn nothing_is_told_of_another_network_namespace() {
    let host = Host::new();
    let _listener = listener(&host.namespace, 8000, 3);
    let instance = Instance::load(&host.namespace, "-i lo 80:8000");
    let elsewhere = Namespace::new("elsewhere");
    let mut command: Command =
        elsewhere.command(&integration::redirector::binary().display().to_string());
    command.args(["stats", "--json", "--name", instance.name()]);
    let document = json(&integration::process::run(&mut command).success("stats"));
    assert!(
        document["listeners"].is_null() && document["namespace"].is_null(),
        "{document}"
    );
}
