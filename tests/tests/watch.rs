//! `stats --watch`: while traffic flows, and when what is loaded goes or is another.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use integration::counters::rule;
use integration::process::Background;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;
use serde_json::Value;

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn a_watch_prints_a_document_a_line_while_traffic_flows() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let start = || start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);

    let mut watch = start();
    wait::until("the counters change from line to line", || {
        connection.exchange("while it is watched");
        watch.assert_running();
        let seen: BTreeSet<_> = watch
            .documents()
            .iter()
            .map(|document| {
                assert_eq!(document["schema"], 1, "{document}");
                rule(document, "tcp", 80)["in"]["packets"].as_u64()
            })
            .collect();
        seen.len() > 3
    });
    assert_eq!(watch.interrupt(), Some(0), "{}", watch.stderr());
    assert_eq!(watch.stderr(), "");

    let mut watch = start();
    wait::until("a document", || !watch.documents().is_empty());
    instance.run("unload", "").success("unload");
    assert_eq!(watch.end(), Some(3), "{}", watch.stderr());
    assert!(watch.stderr().contains("not loaded"), "{}", watch.stderr());
}

#[test]
fn a_watch_goes_on_with_another_load() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let exchange = |port| {
        let to = SocketAddr::new(SERVER.v4, port);
        Connection::open(&lan.client, to, &listener).exchange("while it is watched");
    };
    let mut watch = start(&instance);
    let packets = |document: &Value, from| {
        let mut rules = document["rules"].as_array()?.iter();
        rules.find(|rule| rule["from"] == from)?["in"]["packets"].as_u64()
    };
    exchange(80);
    wait::until("packets of the first load", || {
        watch
            .documents()
            .iter()
            .any(|document| packets(document, 80) > Some(0))
    });
    instance.load_unseen(&watch, "-i eth0 -i lo 81:8000");
    let first = wait::until_some("a document of the second load", || {
        watch
            .documents()
            .into_iter()
            .find(|document| packets(document, 81).is_some())
    });
    assert_eq!(packets(&first, 80), None, "{first}");
    assert_eq!(packets(&first, 81), Some(0), "it counts from 0: {first}");
    assert_eq!(first["rules"][0].get("rate"), None, "{first}");
    exchange(81);
    wait::until("its packets", || {
        let documents = watch.documents();
        documents
            .last()
            .is_some_and(|document| packets(document, 81) > Some(0))
    });
    assert_eq!(watch.interrupt(), Some(0), "{}", watch.stderr());
    assert_eq!(watch.stderr(), "");
}

fn start(instance: &Instance) -> Background {
    Background::start(
        &mut instance.command("stats", "--watch=0.1 --json"),
        Background::directory(),
    )
}
