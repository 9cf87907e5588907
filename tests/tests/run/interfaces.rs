//! An interface that is named.

use std::fs;

use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::Background;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::system::detach_link;
use integration::topology::{LOOPBACK, Lan, SERVER};
use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Run, apart, assert_answered, assert_refused, attached, connect, interface, status_is};

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn one_that_comes_goes_and_comes_again() {
    come_and_go(Instance::unloaded, "tcx");
}

#[test]
fn one_that_comes_goes_and_comes_again_without_tcx() {
    let without = |host: &Namespace| {
        let mut instance = Instance::unloaded(host);
        instance.set("REDIRECTOR_NO_TCX", 1);
        instance
    };
    come_and_go(without, "clsact");
}

fn come_and_go(instance: impl Fn(&Namespace) -> Instance, hook: &str) {
    let (client, server) = apart();
    let listener = Listener::bind(&server, 8000);
    let instance = instance(&server);
    let before = Footprint::of(&instance);
    let mut run = Run::start(&instance, RULES);
    let status = status_is(&instance, 5);
    let absent = interface(&status, "eth0").expect("eth0 is told");
    assert_eq!(absent["attached"], false, "{status}");
    assert_eq!(absent["ifindex"], Value::Null, "{status}");
    assert_eq!(attached(&status), ["lo"]);
    assert_eq!(status["supervisor"], run.0.pid(), "{status}");
    let text = instance.run("status", "").stdout;
    for word in ["eth0 is absent", "redirector run", "waits for one"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_answered(&server, LOOPBACK.both(80), &listener);

    let mut indexes = Vec::new();
    for generation in 1..=2 {
        connect(&client, &server, "eth0");
        run.says(&format!("eth0 appeared: attached by {hook}"), generation);
        let status = status_is(&instance, 0);
        assert_eq!(attached(&status), ["eth0", "lo"]);
        let found = interface(&status, "eth0").expect("eth0");
        assert_eq!(found["hook"], hook, "{status}");
        indexes.push(found["ifindex"].clone());
        assert_answered(&client, SERVER.both(80), &listener);
        server.ip("link delete eth0");
        run.says("eth0 disappeared; waiting for eth0", generation);
        status_is(&instance, 5);
        assert_answered(&server, LOOPBACK.both(80), &listener);
    }
    assert_ne!(indexes[0], indexes[1]);
    run.stop();
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn one_that_is_renamed() {
    let (client, server) = apart();
    let listener = Listener::bind(&server, 8000);
    let instance = Instance::unloaded(&server);
    connect(&client, &server, "wan");
    let mut run = Run::start(&instance, RULES);
    status_is(&instance, 5);
    assert_refused(&client, SERVER.both(80));

    server.ip("link set wan name eth0");
    run.says("wan was renamed to eth0: attached by", 1);
    status_is(&instance, 0);
    assert_answered(&client, SERVER.both(80), &listener);

    server.ip("link set eth0 name wan");
    run.says("eth0 was renamed to wan: detached; waiting for eth0", 1);
    status_is(&instance, 5);
    assert_refused(&client, SERVER.both(80));
    run.stop();
}

/// Nothing that is attached is lost meanwhile.
#[test]
fn many_at_once_and_some_that_do_not_stay() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let mut run = Run::start(&instance, "-i eth0 -i many* 80:8000");
    status_is(&instance, 5);
    let mut live = Connection::open(&lan.client, SERVER.both(80)[0], &listener);
    let directory = Background::directory();
    let file = directory.path().join("batch");
    let add = |name: &str, n| format!("link add {name}{n} type bridge\n");
    let batch: String = (0..30)
        .map(|n| add("many-brief", n) + &format!("link delete many-brief{n}\n") + &add("many", n))
        .collect();
    fs::write(&file, batch).expect("a batch");
    lan.server.ip(&format!("-batch {}", file.display()));
    integration::wait::until("all that stay are attached", || {
        run.0.assert_running();
        attached(&status_is(&instance, 0)).len() == 31
    });
    live.exchange("through it all");
    run.says("error", 0);
    run.stop();
}

/// What cannot be attached is told, and keeps nothing else from being attached.
#[test]
fn one_that_is_refused() {
    const FILE: &str = "
        interfaces = [\"eth*\"]
        [[redirect]]
        from = 80
        to = 8000
        interfaces = [\"eth*\"]
        [[redirect]]
        from = 80
        to = 9000
        interfaces = [\"eth1\"]
    ";
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    fs::write(&file, FILE).expect("a configuration file");
    let mut run = Run::start(&instance, &format!("-c {}", file.display()));
    // The rule of eth1 waits for it.
    let status = status_is(&instance, 5);
    assert_eq!(attached(&status), ["eth0"]);

    lan.server.ip("link add eth1 type bridge");
    run.says("error: eth1 is not attached", 1);
    let status = status_is(&instance, 5);
    let refused = interface(&status, "eth1").expect("eth1 is told");
    assert_eq!(refused["attached"], false, "{status}");
    assert!(refused["ifindex"].is_u64(), "{status}");
    lan.server.ip("link add eth2 type bridge");
    run.says("eth2 appeared: attached by", 1);
    run.says("error: eth1 is not attached", 1);
    assert_answered(&lan.client, SERVER.both(80), &listener);

    lan.server.ip("link delete eth1");
    lan.server.ip("link add eth3 type bridge");
    run.says("eth3 appeared: attached by", 1);
    assert_eq!(attached(&status_is(&instance, 5)), ["eth0", "eth2", "eth3"]);
    run.stop();
}

/// Where the configuration names no hook, and nothing is loaded while the interface is away.
#[test]
fn one_that_is_made_again_keeps_its_hook() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, &format!("--hook xdp {RULES}"));
    let mut run = Run::start(&instance, RULES);
    lan.server.ip("link delete eth0");
    run.says("eth0 disappeared; waiting for eth0", 1);
    lan.connect();
    run.says("eth0 appeared: attached by xdp and tcx", 1);
    let status = status_is(&instance, 0);
    let found = interface(&status, "eth0").expect("eth0");
    assert_eq!(found["hook"], "xdp-native", "{status}");
    run.stop();
}

/// By a signal, since nobody else may change what a run keeps.
#[test]
fn one_that_is_detached_is_attached_again_by_a_hangup() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let mut run = Run::start(&instance, RULES);
    let index = lan.server.enter(|| if_nametoindex("eth0")).expect("eth0");
    let link = instance.pins().join(format!("links/{index}-ingress"));
    detach_link(&link).expect("a link");
    for verb in ["status", "check"] {
        let told = instance.run(verb, "").stdout;
        for word in ["eth0 is detached", "SIGHUP", &run.0.pid().to_string()] {
            assert!(told.contains(word), "{verb}, {word}: {told}");
        }
    }
    run.0.signal(Signal::SIGHUP);
    run.says("reloaded", 1);
    status_is(&instance, 0);
    assert_answered(&lan.client, SERVER.both(80), &listener);
    run.stop();
}
