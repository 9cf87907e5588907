//! `redirector trace` and rules that go, come back, or are ten thousand.

use std::net::SocketAddr;

use integration::many;
use integration::process::Background;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::tracing::start;
use integration::wait;
use serde_json::Value;

const RULES: &str = "-i eth0 -i lo 80:8000 443:8000";

/// A connection outlives its rule, and nobody knows its name any more. That costs no packet.
#[test]
fn what_is_left_of_a_removed_rule_is_told_as_fast() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let to = SocketAddr::new(SERVER.v4, 443);
    let mut connection = Connection::open(&lan.client, to, &listener);
    instance.run("reload", "80:8000").success("reload");
    let mut trace = start(&instance, "--json");
    wait::until("thousands of packets", || {
        for _ in 0..100 {
            connection.exchange("on and on");
        }
        told(&trace).len() > 10_000
    });
    assert_eq!(trace.interrupt(), Some(0), "{}", trace.stderr());
    let last = told(&trace).pop().expect("a packet");
    assert_eq!(last["rule"], Value::Null, "{last}");
}

/// By its name, whichever number it has.
#[test]
fn a_rule_that_comes_back_is_followed() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _other = Listener::bind(&lan.server, 9000);
    let instance = Instance::load(&lan.server, RULES);
    let mut trace = start(&instance, "--json --rule 443:8000/tcp");
    instance.run("reload", "80:8000").success("reload");
    wait::until("a note", || {
        trace
            .stderr()
            .contains("443:8000/tcp is not loaded any more")
    });
    // Which has the number that another rule of this port gets.
    for rules in ["80:8000 443:9000", RULES] {
        instance.run("reload", rules).success("reload");
    }
    let to = SocketAddr::new(SERVER.v4, 443);
    wait::until("its packets", || {
        Connection::open(&lan.client, to, &listener).exchange("after it came back");
        !told(&trace).is_empty()
    });
    assert_eq!(told(&trace)[0]["rule"]["from"], 443);
    assert_eq!(trace.interrupt(), Some(0), "{}", trace.stderr());
    assert_eq!(trace.stderr().lines().count(), 1, "{}", trace.stderr());
}

#[test]
fn an_error_names_few_of_ten_thousand_rules() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let output = instance.run("trace", "--rule 80:8000/tcp");
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert!(output.stderr.len() < 500, "{output:#?}");
    assert!(output.stderr.contains("9990 more"), "{output:#?}");
}

fn told(trace: &Background) -> Vec<Value> {
    let mut packets = trace.documents();
    packets.retain(|each| each["lost"].is_null());
    packets
}
