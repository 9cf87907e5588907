//! Ten thousand rules.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;

use integration::footprint::Footprint;
use integration::process::Background;
use integration::redirector::Instance;
use integration::server::{Connection, Listener, is_refused};
use integration::topology::Lan;
use serde_json::Value;

const RULES: u16 = 10_000;
const FIRST: u16 = 2000;

/// Below the ports that the kernel chooses for clients.
const TARGETS: [u16; 2] = [12_000, 22_000];

/// One rule that is retargeted and one that is not.
const PROBES: [u16; 2] = [FIRST + 5000, FIRST + 5001];

#[test]
fn ten_thousand_rules() {
    let lan = Lan::new();
    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    let arguments = format!("-c {}", file.display());
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let [old, new] = [loaded(), reloaded()];
    let listener = |rules: &BTreeMap<u16, u16>, from| Listener::bind(&lan.server, rules[&from]);
    let old_listeners = PROBES.map(|from| listener(&old, from));
    let new_listener = listener(&new, PROBES[0]);

    fs::write(&file, configuration(&old)).expect("a configuration file");
    instance.run("load", &arguments).success("load");
    let listed = || {
        let documents = [instance.status(), instance.stats()];
        documents.map(|document| rules_of(&document))
    };
    assert!(listed() == [old.clone(), old], "other rules than loaded");
    let mut live = PROBES
        .iter()
        .zip(&old_listeners)
        .flat_map(|(from, listener)| open_everywhere(&lan, *from, listener))
        .collect::<Vec<_>>();

    fs::write(&file, configuration(&new)).expect("a configuration file");
    instance.run("reload", &arguments).success("reload");
    assert!(listed() == [new.clone(), new], "other rules than reloaded");
    for connection in &mut live {
        connection.exchange("from before the reload");
    }
    for (from, listener) in PROBES.into_iter().zip([&new_listener, &old_listeners[1]]) {
        open_everywhere(&lan, from, listener);
    }

    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
    for (from, address) in lan.places() {
        for port in PROBES {
            assert!(is_refused(from, SocketAddr::new(address, port)), "{port}");
        }
    }
}

/// Target by port.
fn loaded() -> BTreeMap<u16, u16> {
    (0..RULES)
        .map(|number| (FIRST + number, TARGETS[0] + number))
        .collect()
}

/// Every other target is another.
fn reloaded() -> BTreeMap<u16, u16> {
    (0..RULES)
        .map(|number| {
            let target = TARGETS[usize::from(number % 2 == 0)];
            (FIRST + number, target + number)
        })
        .collect()
}

fn configuration(rules: &BTreeMap<u16, u16>) -> String {
    let mut text = "interfaces = [\"eth0\", \"lo\"]\n".to_owned();
    for (from, to) in rules {
        writeln!(text, "[[redirect]]\nfrom = {from}\nto = {to}").expect("a string grows");
    }
    text
}

fn rules_of(document: &Value) -> BTreeMap<u16, u16> {
    let rules = document["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), usize::from(RULES));
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    rules
        .iter()
        .map(|rule| port(&rule["from"]).zip(port(&rule["to"])).expect("ports"))
        .collect()
}

#[track_caller]
fn open_everywhere(lan: &Lan, port: u16, listener: &Listener) -> Vec<Connection> {
    lan.places()
        .map(|(from, address)| {
            let to = SocketAddr::new(address, port);
            let mut connection = Connection::open(from, to, listener);
            connection.exchange(&to.to_string());
            connection
        })
        .into()
}
