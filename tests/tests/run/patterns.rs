//! Interfaces by shell pattern, for every verb that takes them.

use integration::footprint::Footprint;
use integration::redirector::Instance;
use integration::server::Listener;
use integration::topology::{LOOPBACK, Lan, SERVER};

use super::{Run, apart, assert_answered, assert_refused, attached, connect, status_is};

#[test]
fn a_run_attaches_what_comes_to_match() {
    let (client, server) = apart();
    let listener = Listener::bind(&server, 8000);
    let instance = Instance::unloaded(&server);
    let mut run = Run::start(&instance, "-i lo -i eth* 80:8000");
    let status = status_is(&instance, 5);
    assert_eq!(attached(&status), ["lo"]);

    connect(&client, &server, "eth7");
    run.says("eth7 appeared: attached by", 1);
    assert_eq!(attached(&status_is(&instance, 0)), ["eth7", "lo"]);
    assert_answered(&client, SERVER.both(80), &listener);

    // From one name that matches to another, and then out of the match.
    server.ip("link set eth7 name eth8");
    server.ip("link add other type bridge");
    server.ip("link set eth8 name lan");
    run.says("was renamed to lan: detached; waiting for eth*", 1);
    assert_eq!(attached(&status_is(&instance, 5)), ["lo"]);
    assert_refused(&client, SERVER.both(80));
    run.stop();
}

#[test]
fn a_load_attaches_what_matches_then() {
    let lan = Lan::new();
    lan.server.ip("link add eth1 type bridge");
    lan.server.ip("link add br0 type bridge");
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, "-i eth[0-9] 80:8000");
    assert_eq!(attached(&instance.status()), ["eth0", "eth1"]);
    assert_answered(&lan.client, SERVER.both(80), &listener);
    assert_refused(&lan.server, LOOPBACK.both(80));

    lan.server.ip("link add eth2 type bridge");
    assert_eq!(attached(&status_is(&instance, 0)), ["eth0", "eth1"]);
    instance.run("reload", "-i * 80:8000").success("reload");
    let all = ["br0", "eth0", "eth1", "eth2", "lo"];
    assert_eq!(attached(&instance.status()), all);
    assert_answered(&lan.server, LOOPBACK.both(80), &listener);
}

#[test]
fn what_matches_nothing_or_is_no_pattern_is_refused() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let unmatched = instance.run("load", "-i wg* 80:8000");
    assert_eq!(unmatched.code, Some(2), "{unmatched:#?}");
    for word in ["wg*", "eth0", "redirector run"] {
        assert!(unmatched.stderr.contains(word), "{word}: {unmatched:#?}");
    }
    for verb in ["load", "run", "check"] {
        for (name, word) in [("eth[", "shell pattern"), ("averyverylongname", "15 bytes")] {
            let output = instance.run(verb, &format!("-i {name} 80:8000"));
            assert_eq!(output.code, Some(2), "{verb}: {output:#?}");
            assert_eq!(output.stderr.lines().count(), 1, "{verb}: {output:#?}");
            for word in [name, word] {
                assert!(output.stderr.contains(word), "{verb}, {word}: {output:#?}");
            }
        }
    }
    assert_eq!(Footprint::of(&instance), before);
}
