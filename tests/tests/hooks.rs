//! Which hook an interface gets, and what is left when it changes.

use std::net::SocketAddr;

use aya::programs::tc::TcAttachType;
use aya::programs::{SchedClassifier, XdpMode, loaded_programs};
use integration::counters::{NftCounters, counts_of_rule};
use integration::footprint::{Footprint, Xdp, programs_alive};
use integration::netns::{Namespace, Offloads};
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, Lan, SERVER, number};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use integration::xdp::Foreign;
use serde_json::Value;

const RULES: &str = "-i eth0 -i lo 80:8000 53:5353/udp";
const TC: &str = "--hook tc";
const NATIVE: &str = "--hook xdp --xdp-mode native";
const GENERIC: &str = "--hook xdp --xdp-mode generic";
const AUTO: &str = "--hook xdp";

/// What `status` calls them.
const MODES: [(&str, &str, u64); 3] = [
    (NATIVE, "xdp-native", Xdp::NATIVE),
    (GENERIC, "xdp-generic", Xdp::GENERIC),
    (AUTO, "xdp-native", Xdp::NATIVE),
];

#[test]
fn each_mode_serves_and_leaves_nothing() {
    // Also by the programs for a kernel that knows no fragments.
    let modes = MODES.into_iter();
    for ((mode, hook, attached), is_old) in modes.flat_map(|mode| [(mode, false), (mode, true)]) {
        let lan = Lan::new();
        // Else packets have no checksum yet, and XDP leaves them to traffic control.
        lan.offloads(Offloads::Off);
        let listener = Listener::bind(&lan.server, 8000);
        let server = UdpServer::bind(&lan.server, 5353);
        let nft = NftCounters::start(&lan.server, &[("tcp", 8000), ("udp", 5353)]);
        let mut instance = Instance::unloaded(&lan.server);
        instance.set("REDIRECTOR_NO_XDP_FRAGS", u8::from(is_old));
        let before = Footprint::of(&instance);
        let load = instance.run("load", &format!("{mode} {RULES}"));
        assert!(!load.stderr.contains("note:"), "{load:#?}");
        load.success(mode);
        assert_eq!(hooks(&instance), [["eth0", hook], ["lo", tc()]]);
        let loaded = Footprint::of(&instance);
        let [xdp] = &loaded.xdp[..] else {
            panic!("one XDP program in {loaded:#?}");
        };
        assert_eq!((&xdp.interface[..], xdp.mode), ("eth0", attached));
        let mut programs = loaded_programs().flatten();
        let program = programs.find(|program| u64::from(program.id()) == xdp.program);
        let program = program.expect("the program");
        let name = program.name_as_str().unwrap_or_default();
        assert_eq!(name.contains("linear"), is_old, "{mode}: {name}");

        for (from, address) in lan.places() {
            let what = format!("{address} from {}, {mode}", from.name());
            Connection::open(from, SocketAddr::new(address, 80), &listener).exchange(&what);
            let client = UdpClient::connect(from, 0, SocketAddr::new(address, 53));
            server.exchange(&client, &what);
            server.exchange(&client, &what);
        }
        assert_counted(&lan, &instance, &nft, mode);
        lan.assert_no_bad_checksum();

        instance.run("unload", "").success(mode);
        assert_eq!(Footprint::of(&instance), before, "{mode}");
        let program = xdp.program as u32;
        wait::until("the program is gone", || {
            !programs_alive().contains(&program)
        });
    }
}

#[test]
fn a_reload_changes_the_hook_below_a_live_connection() {
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let listener = Listener::bind(&lan.server, 8000);
    let server = UdpServer::bind(&lan.server, 5353);
    let nft = NftCounters::start(&lan.server, &[("tcp", 8000), ("udp", 5353)]);
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    instance
        .run("load", &format!("{TC} {RULES}"))
        .success("load");
    let datagrams = UdpClient::connect(&lan.client, 0, SERVER.both(53)[0]);
    let mut live = SERVER
        .both(80)
        .map(|to| Connection::open(&lan.client, to, &listener));
    let changes = [NATIVE, GENERIC, TC, GENERIC, NATIVE, AUTO, TC];
    for change in changes {
        let reload = format!("{change} {RULES}");
        let planned = instance.run("reload", &format!("--dry-run {reload}"));
        println!("{}", planned.success(change));
        instance.run("reload", &reload).success(change);
        let hook = match change {
            TC => tc(),
            GENERIC => "xdp-generic",
            _ => "xdp-native",
        };
        assert_eq!(hooks(&instance), [["eth0", hook], ["lo", tc()]], "{change}");
        for each in &mut live {
            each.exchange(change);
        }
        server.exchange(&datagrams, change);
        for to in SERVER.both(80) {
            Connection::open(&lan.client, to, &listener).exchange(change);
        }
    }
    // Nothing is asked of the hook: it stays.
    instance
        .run("reload", &format!("{NATIVE} {RULES}"))
        .success("reload");
    instance.run("reload", RULES).success("reload");
    assert_eq!(hooks(&instance)[0], ["eth0", "xdp-native"]);
    drop(live);
    assert_counted(&lan, &instance, &nft, "reloaded");
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

/// At every step there is redirection; what was killed is repaired by the next reload.
#[test]
fn an_interrupted_reload_to_another_hook_leaves_one() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let mut instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for (old, new) in [(TC, AUTO), (GENERIC, NATIVE), (NATIVE, TC)] {
        for variable in ["REDIRECTOR_FAIL_AT", "REDIRECTOR_KILL_AT"] {
            let steps = (1..100).find(|step| {
                instance
                    .run("load", &format!("{old} {RULES}"))
                    .success("load");
                let loaded = Footprint::of(&instance);
                instance.set(variable, step);
                let reload = instance.run("reload", &format!("{new} {RULES}"));
                instance.unset();
                let case = format!("{old} to {new}, {variable}={step}, {reload:#?}");
                if reload.code == Some(1) {
                    let left = Footprint::of(&instance);
                    let modes = |footprint: &Footprint| {
                        let modes = footprint.xdp.iter().map(|xdp| xdp.mode);
                        modes.collect::<Vec<_>>()
                    };
                    assert_eq!(modes(&left), modes(&loaded), "{case}");
                }
                for to in SERVER.both(80) {
                    Connection::open(&lan.client, to, &listener).exchange(&case);
                }
                instance
                    .run("reload", &format!("{new} {RULES}"))
                    .success(&case);
                for to in SERVER.both(80) {
                    Connection::open(&lan.client, to, &listener).exchange(&case);
                }
                assert_eq!(hooks(&instance)[0][1].starts_with("xdp"), new != TC);
                instance.run("unload", "").success(&case);
                assert_eq!(Footprint::of(&instance), before, "{case}");
                reload.code == Some(0)
            });
            println!("{old} to {new}, {variable}: {steps:?}");
            assert!(steps.is_some_and(|steps| steps > 2));
        }
    }
}

#[test]
fn a_foreign_program_stays_and_ours_is_refused() {
    for foreign in [XdpMode::Driver, XdpMode::Skb] {
        let lan = Lan::new();
        let listener = Listener::bind(&lan.server, 8000);
        let _foreign = Foreign::attach(&lan.server, "eth0", foreign);
        let instance = Instance::unloaded(&lan.server);
        let before = Footprint::of(&instance);
        for (mode, ..) in MODES {
            let load = instance.run("load", &format!("{mode} {RULES}"));
            assert_eq!(load.code, Some(1), "{load:#?}");
            for word in ["eth0", Foreign::NAME, "--hook tc"] {
                assert!(load.stderr.contains(word), "{word}: {load:#?}");
            }
            assert_eq!(Footprint::of(&instance), before, "{load:#?}");
        }
        instance.run("load", RULES).success("load beside it");
        assert_eq!(hooks(&instance)[0], ["eth0", tc()]);
        let reload = instance.run("reload", &format!("{AUTO} {RULES}"));
        assert_eq!(reload.code, Some(1), "{reload:#?}");
        for to in SERVER.both(80) {
            Connection::open(&lan.client, to, &listener).exchange("beside it");
        }
        assert_eq!(Footprint::of(&instance).xdp, before.xdp);
    }
}

/// A bridge has no XDP of its own.
#[test]
fn where_the_driver_refuses_the_kernel_runs_it() {
    const RULES: &str = "-i br0 80:8000";
    const REFUSAL: &str = "driver does not support XDP in native mode";
    let [client, server] = ["client", "server"].map(Namespace::new);
    client.connect("eth0", &server, "eth0");
    number(&client, "eth0", CLIENT);
    server.ip("link add br0 up type bridge");
    server.ip("link set eth0 master br0");
    number(&server, "br0", SERVER);
    for (host, interface) in [(&client, "eth0"), (&server, "eth0"), (&server, "br0")] {
        host.offloads(interface, Offloads::Off);
    }
    let listener = Listener::bind(&server, 8000);
    let open = || {
        SERVER.both(80).map(|to| {
            let mut connection = Connection::open(&client, to, &listener);
            connection.exchange("by the bridge");
            connection
        })
    };
    let instance = Instance::unloaded(&server);
    let before = Footprint::of(&instance);
    let both = format!("{RULES} -i eth0");
    for (rules, refusal) in [(RULES, REFUSAL), (&both, "eth0 below it")] {
        let native = instance.run("load", &format!("{NATIVE} {rules}"));
        assert_eq!(native.code, Some(1), "{native:#?}");
        assert!(native.stderr.contains(refusal), "{native:#?}");
        let check = instance.run("check", &format!("{NATIVE} {rules}"));
        assert!(check.stdout.contains(refusal), "{check:#?}");
        assert_eq!(Footprint::of(&instance), before);
    }

    let auto = instance.run("load", &format!("{AUTO} {RULES}"));
    assert!(auto.stderr.contains(REFUSAL), "{auto:#?}");
    auto.success("load");
    assert_eq!(hooks(&instance), [["br0", "xdp-generic"]]);
    let mut live = open();
    for (kept, mode) in [("xdp-generic", AUTO), (tc(), TC)] {
        instance
            .run("reload", &format!("{mode} {RULES}"))
            .success(mode);
        assert_eq!(hooks(&instance), [["br0", kept]]);
        let refused = instance.run("reload", &format!("{NATIVE} {RULES}"));
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert!(refused.stderr.contains(REFUSAL), "{refused:#?}");
        assert_eq!(hooks(&instance), [["br0", kept]], "{refused:#?}");
        for each in &mut live {
            each.exchange(kept);
        }
        open();
    }
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn a_device_without_link_layer_is_refused() {
    let server = Namespace::new("server");
    server.ip("tuntap add dev tun0 mode tun");
    let instance = Instance::unloaded(&server);
    let before = Footprint::of(&instance);
    for (mode, ..) in MODES {
        let load = instance.run("load", &format!("{mode} -i tun0 -i lo 80:8000"));
        assert_eq!(load.code, Some(1), "{load:#?}");
        for word in ["tun0", "no Ethernet header", "--hook tc"] {
            assert!(load.stderr.contains(word), "{word}: {load:#?}");
        }
        assert_eq!(Footprint::of(&instance), before, "{load:#?}");
    }
}

/// Each interface with its hook, in the order of the configuration.
fn hooks(instance: &Instance) -> Vec<[String; 2]> {
    let status = instance.status();
    let interfaces = status["interfaces"].as_array().expect("interfaces");
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    interfaces
        .iter()
        .map(|each| {
            assert_eq!(each["attached"], true, "{status}");
            [&each["name"], &each["hook"]].map(word)
        })
        .collect()
}

/// What this kernel has for traffic control.
fn tc() -> &'static str {
    match SchedClassifier::query_tcx("lo", TcAttachType::Ingress) {
        Ok(_) => "tcx",
        Err(_) => "clsact",
    }
}

/// Once nothing more is sent.
fn assert_counted(lan: &Lan, instance: &Instance, nft: &NftCounters, what: &str) {
    wait::until("every connection has ended", || {
        !lan.client.has_live_connections() && !lan.server.has_live_connections()
    });
    let stats = instance.stats();
    for (protocol, from, to) in [("tcp", 80, 8000), ("udp", 53, 5353)] {
        let counted = counts_of_rule(&stats, protocol, from);
        assert_eq!(counted, nft.read(protocol, to), "{protocol}, {what}");
        assert!(counted.incoming.packets > 30, "{counted:?}, {what}");
    }
}
