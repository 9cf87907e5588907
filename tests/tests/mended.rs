//! What a reload keeps unless it is told otherwise, and what has come off that it mends.

use std::fs;
use std::net::SocketAddr;

use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::{Background, run};
use integration::redirector::{Instance, interface, json};
use integration::server::{Connection, Listener, is_refused};
use integration::system::detach_link;
use integration::topology::{Lan, SERVER, number};
use integration::user::User;
use nix::net::if_::if_nametoindex;
use serde_json::json;

const RULES: &str = "-i eth0 -i lo 80:8000";

/// `status` and `check` say so, and what they advise mends it.
#[test]
fn what_was_detached_is_told_and_mended() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    for hook in ["tcx", "clsact"] {
        let mut instance = Instance::unloaded(&lan.server);
        if hook == "clsact" {
            instance.set("REDIRECTOR_NO_TCX", 1);
        }
        instance.run("load", RULES).success("load");
        let index = lan.server.enter(|| if_nametoindex("eth0")).expect("eth0");
        if hook == "clsact" {
            lan.server.run("tc filter delete dev eth0 ingress");
        } else {
            let link = instance.pins().join(format!("links/{index}-ingress"));
            detach_link(&link).expect("a link");
        }
        assert_degraded(&instance, "eth0 is detached");
        instance.run("reload", "").success("reload");
        assert_eq!(instance.run("status", "").code, Some(0));
        assert_eq!(instance.run("check", "").code, Some(0));
        assert_answered(&lan, &listener);
        assert_eq!(instance.status()["rules"].as_array().map(Vec::len), Some(1));
    }
    let instance = Instance::load(&lan.server, RULES);
    lan.server.ip("link delete eth0");
    assert_degraded(&instance, "eth0 is gone");
    lan.connect();
    instance.run("reload", "").success("reload");
    assert_eq!(instance.run("status", "").code, Some(0));
    assert_answered(&lan, &listener);
}

/// A link of TCX goes with it and redirects there; a clsact qdisc does not (`dev_shutdown()`).
#[test]
fn an_interface_that_was_moved_is_told_from_one_that_is_gone() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let is_tcx = interface(&instance.status(), "eth0")["hook"] == "tcx";
    let other = Namespace::new("other");
    let listener = Listener::bind(&other, 8000);
    lan.server
        .ip(&format!("link set eth0 netns {}", other.name()));
    other.ip("link set eth0 up");
    number(&other, "eth0", SERVER);

    let status = instance.run("status", "");
    assert_eq!(status.code, Some(5), "{status:#?}");
    let to = SocketAddr::new(SERVER.v4, 80);
    if is_tcx {
        Connection::open(&lan.client, to, &listener).exchange("where it was moved");
        let words = "eth0 was moved to another network namespace, and programs of ours with it";
        assert!(status.stdout.contains(words), "{status:#?}");
        let theirs = run(&mut User::new().command(&instance, "status", ""));
        assert_eq!(theirs.code, Some(5), "{theirs:#?}");
        let words = "eth0 is gone, or was moved to another network namespace";
        assert!(theirs.stdout.contains(words), "{theirs:#?}");
    } else {
        assert!(status.stdout.contains("eth0 is gone"), "{status:#?}");
    }
    instance.run("reload", "-i lo").success("reload");
    assert!(is_refused(&lan.client, to));
    assert_eq!(instance.run("status", "").code, Some(0));
}

#[track_caller]
fn assert_degraded(instance: &Instance, words: &str) {
    let way_out = format!("redirector reload --name {}", instance.name());
    let status = instance.run("status", "");
    let check = instance.run("check", "");
    for (verb, output) in [("status", status), ("check", check)] {
        assert!(
            output.code == Some(5) || verb == "check" && output.code == Some(1),
            "{output:#?}"
        );
        for words in [words, &way_out] {
            assert!(output.stdout.contains(words), "{words}: {output:#?}");
        }
    }
    let document = json(&instance.run("status", "--json").stdout);
    let help = interface(&document, "eth0")["help"].clone();
    assert!(help.as_str().is_some_and(|help| help.contains(&way_out)));
    assert!(interface(&document, "lo").get("help").is_none());
}

/// Whatever it is that is not named: interfaces, rules, or both.
#[test]
fn a_reload_keeps_what_it_is_not_told() {
    let lan = Lan::new();
    lan.server.ip("link add spare up type bridge");
    let instance = Instance::load(&lan.server, "-i spare 81:8001 82:8002/udp");
    let loaded = || {
        let status = instance.status();
        let interfaces = status["interfaces"].as_array().expect("interfaces").iter();
        let rules = status["rules"].as_array().expect("rules").iter();
        let names: Vec<_> = interfaces.map(|each| each["name"].clone()).collect();
        let ports: Vec<_> = rules.map(|each| each["to"].clone()).collect();
        (names, ports)
    };
    for (arguments, names, ports) in [
        ("", &["spare"][..], &[8001, 8002][..]),
        ("81:9001", &["spare"], &[9001]),
        ("-i lo -i spare", &["lo", "spare"], &[9001]),
        ("83:9003", &["lo", "spare"], &[9003]),
        ("-i spare 83:9003", &["spare"], &[9003]),
    ] {
        let reload = instance.run("reload", arguments);
        assert_eq!(reload.stderr.matches("default").count(), 0, "{reload:#?}");
        reload.success(arguments);
        let expected = (
            names.iter().map(|name| json!(name)).collect(),
            ports.iter().map(|port| json!(port)).collect(),
        );
        assert_eq!(loaded(), expected, "{arguments}");
    }

    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    let redirect = "[[redirect]]\nfrom = 84\nto = 9004\n";
    for (text, name) in [
        (redirect.to_owned(), "spare"),
        (format!("interfaces = [\"lo\"]\n{redirect}"), "lo"),
    ] {
        fs::write(&file, text).expect("a configuration file");
        let arguments = format!("-c {}", file.display());
        instance.run("reload", &arguments).success("from a file");
        assert_eq!(loaded(), (vec![json!(name)], vec![json!(9004)]));
    }

    instance.run("reload", "-i spare").success("reload");
    lan.server.ip("link delete spare");
    let before = Footprint::of(&instance);
    let reload = instance.run("reload", "85:9005");
    assert_eq!(reload.code, Some(2), "{reload:#?}");
    for word in ["spare", "no longer exists", "-i", "eth0"] {
        assert!(reload.stderr.contains(word), "{word}: {reload:#?}");
    }
    assert_eq!(Footprint::of(&instance), before);
}

/// A plain one, which names neither interfaces nor the hook.
#[test]
fn a_reload_puts_an_interface_back_on_its_hook() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "--hook xdp -i eth0 -i lo 80:8000");
    let hook = |name| interface(&instance.status(), name)["hook"].clone();
    let before = ["eth0", "lo"].map(hook);
    assert_eq!(before[0], "xdp-native");
    lan.server.ip("link delete eth0");
    lan.connect();
    instance.run("reload", "").success("reload");
    assert_eq!(["eth0", "lo"].map(hook), before);

    // Nobody asked for native XDP, so a driver without it is no obstacle.
    lan.server.ip("link delete eth0");
    lan.server.ip("link add eth0 up type bridge");
    let reload = instance.run("reload", "");
    assert!(reload.stderr.contains("generically"), "{reload:#?}");
    reload.success("reload");
    assert_eq!(hook("eth0"), "xdp-generic");
    instance.run("reload", "--hook tc -i lo").success("reload");
}

/// Also where auto had chosen the mode before.
#[test]
fn a_reload_keeps_the_mode_that_an_earlier_one_asked_for() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "--hook xdp -i eth0 80:8000");
    instance
        .run("reload", "--hook xdp --xdp-mode native -i eth0 80:8000")
        .success("reload");
    lan.server.ip("link delete eth0");
    lan.server.ip("link add eth0 up type bridge");
    let reload = instance.run("reload", "");
    assert_eq!(reload.code, Some(1), "{reload:#?}");
    assert!(reload.stderr.contains("native mode"), "{reload:#?}");
}

#[track_caller]
fn assert_answered(lan: &Lan, listener: &Listener) {
    for to in SERVER.both(80) {
        Connection::open(&lan.client, to, listener).exchange("mended");
    }
}
