//! Several instances on one host.

use std::net::SocketAddr;

use integration::footprint::Footprint;
use integration::foreign::Program;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::Lan;

/// What a second instance may not have beside `80:8000` on the same interfaces.
const MEETING: &[&str] = &["80:9000", "8000:9000", "90:80", "81:8001 80:8000"];

#[test]
fn instances_that_meet_are_refused() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let first = Instance::load(&lan.server, "-i eth0 80:8000");
    let second = Instance::unloaded(&lan.server);
    let before = Footprint::of(&second);
    for rules in MEETING {
        let load = second.run("load", &format!("-i lo -i eth0 {rules}"));
        assert_eq!(load.code, Some(1), "{rules}: {load:#?}");
        for word in [first.name(), "eth0", "80:8000/tcp"] {
            assert!(load.stderr.contains(word), "{word}, {rules}: {load:#?}");
        }
        assert_eq!(Footprint::of(&second), before, "{rules}");
        let rehearsed = second.run("load", &format!("--dry-run -i lo -i eth0 {rules}"));
        assert_eq!(rehearsed.code, load.code, "{rules}: {rehearsed:#?}");
        assert_eq!(rehearsed.stderr, load.stderr, "{rules}");
        assert_eq!(rehearsed.stdout, "", "{rules}");
    }
    for (from, address) in lan.places().into_iter().take(2) {
        Connection::open(from, SocketAddr::new(address, 80), &listener).exchange("port 80");
    }
}

/// Another port, another protocol, another interface, the same target.
#[test]
fn instances_that_do_not_meet_work_side_by_side() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _first = Instance::load(&lan.server, "-i eth0 80:8000");
    for other in ["-i eth0 81:8000", "-i eth0 80:8000/udp", "-i lo 80:8000"] {
        let instance = Instance::load(&lan.server, other);
        assert_eq!(instance.status()["loaded"], true, "{other}");
        for (from, address) in lan.places().into_iter().take(2) {
            let to = SocketAddr::new(address, 80);
            Connection::open(from, to, &listener).exchange(other);
        }
    }
}

/// A rehearsal is refused where the change is, in the same words.
#[test]
fn a_dry_run_is_refused_as_the_change_is() {
    let lan = Lan::new();
    let first = Instance::load(&lan.server, "-i eth0 80:8000");
    let second = Instance::load(&lan.server, "-i eth0 81:8001");
    let missing = Instance::unloaded(&lan.server);
    for (instance, verb, rules, code) in [
        (&first, "load", "-i eth0 80:9000", 1),
        (&second, "reload", "-i eth0 80:9000", 1),
        (&missing, "reload", "-i eth0 80:9000", 3),
        (&missing, "load", "-i eth0 80:0", 2),
    ] {
        let before = Footprint::of(instance);
        let change = instance.run(verb, rules);
        let rehearsed = instance.run(verb, &format!("--dry-run {rules}"));
        assert_eq!(change.code, Some(code), "{verb} {rules}: {change:#?}");
        assert_eq!(rehearsed.code, Some(code), "{verb} {rules}: {rehearsed:#?}");
        assert_eq!(rehearsed.stderr, change.stderr, "{verb} {rules}");
        assert_eq!(Footprint::of(instance), before, "{verb} {rules}");
    }
}

#[test]
fn what_is_not_loaded_names_what_is() {
    let lan = Lan::new();
    let first = Instance::load(&lan.server, "-i eth0 80:8000");
    let missing = Instance::unloaded(&lan.server);
    let help = format!("loaded: {}; see --name", first.name());
    for verb in ["status", "stats", "flows", "log", "reload"] {
        let output = missing.run(verb, "");
        assert_eq!(output.code, Some(3), "{verb}: {output:#?}");
        assert!(output.stderr.contains(&help), "{verb}: {output:#?}");
    }
    let unload = missing.run("unload", "").success("unload");
    assert!(unload.contains(&help), "{unload}");
}

/// Whoever of ours leaves last removes it, whichever brought it.
#[test]
fn the_last_instance_takes_the_qdisc_along() {
    let lan = Lan::new();
    for leaves_first in [0, 1] {
        let mut instances = ["80:8000", "81:8001"].map(|rule| {
            let mut instance = Instance::unloaded(&lan.server);
            instance.set("REDIRECTOR_NO_TCX", 1);
            (instance, rule)
        });
        let before = Footprint::of(&instances[0].0).qdiscs;
        for (instance, rule) in &instances {
            let rules = format!("-i eth0 {rule}");
            instance.run("load", &rules).success("load");
            instance.run("reload", &rules).success("reload");
        }
        instances.rotate_left(leaves_first);
        let [(first, _), (last, rule)] = &instances;
        first.run("unload", "").success("unload");
        assert_ne!(Footprint::of(last).qdiscs, before);
        let reload = format!("-i eth0 {rule} 82:8002");
        last.run("reload", &reload).success("reload");
        last.run("unload", "").success("unload");
        let after = Footprint::of(last);
        assert_eq!(after.qdiscs, before, "{leaves_first}");
        assert_eq!(after.filters, Vec::<String>::new(), "{leaves_first}");
    }
}

#[test]
fn a_qdisc_that_is_somebody_elses_stays_or_becomes_theirs() {
    let lan = Lan::new();
    let foreign = Program::tc("somebody");
    let mut instance = Instance::unloaded(&lan.server);
    instance.set("REDIRECTOR_NO_TCX", 1);
    let qdiscs = || Footprint::of(&instance).qdiscs;
    let before = qdiscs();
    // It is made again by somebody else while we are loaded.
    instance.run("load", "-i eth0 80:8000").success("load");
    let with_clsact = qdiscs();
    lan.server.run("tc qdisc delete dev eth0 clsact");
    lan.server.run("tc qdisc add dev eth0 clsact");
    assert_eq!(instance.run("status", "").code, Some(5));
    instance.run("reload", "").success("reload");
    assert_eq!(instance.run("status", "").code, Some(0));
    instance.run("unload", "").success("unload");
    assert_eq!(qdiscs(), with_clsact);
    lan.server.run("tc qdisc delete dev eth0 clsact");
    assert_eq!(qdiscs(), before);
    // We brought it, and somebody else has come to use it.
    instance.run("load", "-i eth0 80:8000").success("load");
    foreign.filter(&lan.server, "eth0", "ingress", 7);
    instance.run("unload", "").success("unload");
    assert_eq!(qdiscs(), with_clsact);
    let filters = lan.server.run("tc filter show dev eth0 ingress");
    assert!(filters.contains("foreign-"), "{filters}");
}
