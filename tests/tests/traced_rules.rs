//! `redirector trace` and rules that go.

use std::net::SocketAddr;

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

fn told(trace: &Background) -> Vec<Value> {
    let mut packets = trace.documents();
    packets.retain(|each| each["lost"].is_null());
    packets
}
