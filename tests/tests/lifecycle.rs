//! load, reload, unload: all or nothing, and nothing left behind.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;

use integration::counters::rule;
use integration::footprint::{Footprint, programs_alive};
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener, connect};
use integration::topology::Lan;
use integration::wait;
use serde_json::json;

const WEB: &str = "-i eth0 -i lo 80:8000 443:4430";
const WITH_XDP: &str = "--hook xdp -i eth0 -i lo 80:8000 443:4430";

#[test]
fn load_outlives_its_command_and_says_what_it_did() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, WEB);
    open_everywhere(&lan, &listener);

    let status = instance.status();
    assert_eq!(status["schema"], 1);
    assert_eq!(status["name"], instance.name());
    assert_eq!(status["loaded"], true);
    let interfaces: Vec<_> = status["interfaces"]
        .as_array()
        .expect("interfaces")
        .iter()
        .collect();
    for interface in &interfaces {
        assert_eq!(interface["attached"], true, "{status}");
        assert!(
            ["tcx", "clsact"].contains(&interface["hook"].as_str().unwrap_or("")),
            "{status}"
        );
        assert!(interface["ifindex"].is_u64(), "{status}");
    }
    let names: BTreeSet<_> = interfaces
        .iter()
        .filter_map(|each| each["name"].as_str())
        .collect();
    assert_eq!(names, BTreeSet::from(["eth0", "lo"]));
    for (from, to) in [(80, 8000), (443, 4430)] {
        assert_eq!(rule(&status, "tcp", from)["to"], to);
    }
}

#[test]
fn a_second_load_changes_nothing() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, WEB);
    let rules_and_interfaces =
        || ["rules", "interfaces"].map(|field| instance.status()[field].clone());
    let (footprint, loaded) = (Footprint::of(&instance), rules_and_interfaces());

    let reordered = "-i lo -i eth0 443:4430 80:8000/tcp";
    for same in [WEB, reordered] {
        instance.run("load", same).success("the same rules again");
        assert_eq!(Footprint::of(&instance), footprint, "{same}");
        assert_eq!(rules_and_interfaces(), loaded, "{same}");
    }
    for other in ["-i eth0 -i lo 80:8001 443:4430", "-i eth0 -i lo 80:8000"] {
        let refused = instance.run("load", other);
        assert_eq!(refused.code, Some(1), "{other}: {refused:#?}");
        assert!(refused.stderr.contains("reload"), "{other}: {refused:#?}");
        assert_eq!(Footprint::of(&instance), footprint, "{other}");
        assert_eq!(rules_and_interfaces(), loaded, "{other}");
    }
}

#[test]
fn reload_moves_new_connections_and_no_live_one() {
    let lan = Lan::new();
    let [old, new] = [8000, 9000].map(|port| Listener::bind(&lan.server, port));
    let instance = Instance::load(&lan.server, "-i eth0 -i lo 80:8000 443:4430");
    let mut live = open_everywhere(&lan, &old);
    let mut exchange = |when: &str| live.iter_mut().for_each(|each| each.exchange(when));

    instance
        .run("reload", "-i eth0 -i lo 80:9000")
        .success("reload");
    exchange("after the target has changed");
    assert_eq!(rule(&instance.status(), "tcp", 80)["to"], 9000);
    open_everywhere(&lan, &new);
    assert_everywhere(&lan, 443, false);

    instance
        .run("reload", "-i eth0 -i lo 443:9000")
        .success("reload");
    exchange("after the rule was removed");
    assert_everywhere(&lan, 80, false);
    assert_everywhere(&lan, 443, true);
    assert!(old.is_idle(), "a new connection reached the old target");
}

#[test]
fn unload_leaves_nothing() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for _ in 0..2 {
        instance.run("load", WEB).success("load");
        let loaded = Footprint::of(&instance);
        assert!(loaded.is_attached(), "{loaded:#?}");
        assert!(loaded.pins.contains(&instance.pins()), "{loaded:#?}");
        let programs: BTreeSet<_> = loaded.tcx.iter().copied().collect();
        assert!(programs.is_subset(&programs_alive()), "{loaded:#?}");

        instance.run("unload", "").success("unload");
        assert_unloaded(&instance, &before);
        // The kernel frees a program some time after its last holder is gone.
        wait::until("the programs are gone", || {
            programs.is_disjoint(&programs_alive())
        });
        assert_everywhere(&lan, 80, false);
    }
    instance.run("unload", "").success("unload of nothing");
}

#[test]
fn a_qdisc_of_somebody_else_stays() {
    let lan = Lan::new();
    lan.server.run("tc qdisc add dev eth0 clsact");
    lan.server.run(
        "tc filter add dev eth0 ingress protocol ip prio 7 u32 match ip dport 9 0xffff flowid 1:1",
    );
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let listener = Listener::bind(&lan.server, 8000);
    instance.run("load", WEB).success("load");
    open_everywhere(&lan, &listener);
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn two_instances_do_not_meet() {
    let lans = [Lan::new(), Lan::new()];
    let listeners =
        [8000, 9000].map(|port| lans.each_ref().map(|lan| Listener::bind(&lan.server, port)));
    let first = Instance::load(&lans[0].server, "-i eth0 -i lo 80:8000");
    let second = Instance::load(&lans[1].server, "-i eth0 -i lo 80:9000");
    open_everywhere(&lans[0], &listeners[0][0]);
    open_everywhere(&lans[1], &listeners[1][1]);
    first.run("unload", "").success("unload");
    assert_everywhere(&lans[0], 80, false);
    open_everywhere(&lans[1], &listeners[1][1]);
    assert_eq!(second.status()["loaded"], true);
}

/// The binary fails, or kills itself, at the step that it is told; a step that it does not
/// have is never reached.
#[test]
fn an_interrupted_load_leaves_everything_or_nothing() {
    interrupt(WEB);
}

#[test]
fn an_interrupted_load_with_xdp_leaves_everything_or_nothing() {
    interrupt(WITH_XDP);
}

fn interrupt(arguments: &str) {
    const MOST_STEPS: u32 = 100;
    let lan = Lan::new();
    let _listeners = [8000, 4430].map(|port| Listener::bind(&lan.server, port));
    let mut instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for variable in ["REDIRECTOR_FAIL_AT", "REDIRECTOR_KILL_AT"] {
        let steps = (1..=MOST_STEPS).find(|step| {
            instance.set(variable, step);
            let load = instance.run("load", arguments);
            instance.unset();
            let case = format!("{variable}={step}, {load:#?}");
            match load.code {
                Some(0) => {}
                Some(code) => {
                    assert_eq!((variable, code), ("REDIRECTOR_FAIL_AT", 1), "{case}");
                    assert!(!load.stderr.is_empty(), "a failure says nothing: {case}");
                    assert_eq!(Footprint::of(&instance), before, "a failure leaves: {case}");
                }
                None => assert_eq!(variable, "REDIRECTOR_KILL_AT", "{case}"),
            }
            assert_everything_or_nothing(&lan, &instance, &case);
            instance.run("unload", "").success(&case);
            assert_unloaded(&instance, &before);
            load.code == Some(0)
        });
        let steps = steps.unwrap_or_else(|| panic!("{variable}: no load got through"));
        assert!(
            steps > 3,
            "{variable} is not honoured: step {steps} was never reached"
        );
        println!("{variable}: {} steps", steps - 1);
    }
}

/// After an interruption a plain load must work too, without an unload between.
#[test]
fn a_load_after_a_killed_load_works() {
    for arguments in [WEB, WITH_XDP] {
        load_after_kills(arguments);
    }
}

fn load_after_kills(arguments: &str) {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let mut instance = Instance::unloaded(&lan.server);
    for step in 1..=100 {
        instance.set("REDIRECTOR_KILL_AT", step);
        let killed = instance.run("load", arguments).code.is_none();
        instance.unset();
        instance
            .run("load", arguments)
            .success(&format!("load after a kill at step {step}"));
        open_everywhere(&lan, &listener);
        instance.run("unload", "").success("unload");
        if !killed {
            return;
        }
    }
    panic!("REDIRECTOR_KILL_AT: no load got through");
}

fn open_everywhere(lan: &Lan, listener: &Listener) -> Vec<Connection> {
    lan.places()
        .map(|(from, address)| {
            let mut connection = Connection::open(from, SocketAddr::new(address, 80), listener);
            connection.exchange("port 80");
            connection
        })
        .into()
}

/// Where the port is answered, by place: nobody listens on it but the redirection's target.
fn answered(lan: &Lan, port: u16) -> [bool; 6] {
    lan.places().map(|(from, address)| {
        let to = SocketAddr::new(address, port);
        match connect(from, 0, to) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => false,
            Err(error) => panic!(
                "{to} from {} neither answers nor refuses: {error}",
                from.name()
            ),
        }
    })
}

#[track_caller]
fn assert_everywhere(lan: &Lan, port: u16, expected: bool) {
    assert_eq!(
        answered(lan, port),
        [expected; 6],
        "port {port} is answered"
    );
}

fn assert_everything_or_nothing(lan: &Lan, instance: &Instance, case: &str) {
    let status = instance.run("status", "--json");
    let document = json(&status.stdout);
    let loaded = document["loaded"]
        .as_bool()
        .unwrap_or_else(|| panic!("`loaded` in {document}"));
    assert_eq!(
        status.code,
        Some(if loaded { 0 } else { 3 }),
        "{case}: {status:#?}"
    );
    for port in [80, 443] {
        assert_eq!(
            answered(lan, port),
            [loaded; 6],
            "port {port} is answered, {case}: {status:#?}"
        );
    }
}

#[track_caller]
fn assert_unloaded(instance: &Instance, before: &Footprint) {
    assert_eq!(&Footprint::of(instance), before);
    let status = instance.run("status", "--json");
    assert_eq!(status.code, Some(3), "{status:#?}");
    let document = json(&status.stdout);
    assert_eq!(document["loaded"], json!(false));
    assert_eq!(document["name"], instance.name());
}
