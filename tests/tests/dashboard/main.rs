//! `redirector dashboard`, as programs use it.

mod access;
mod load;
mod metrics;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use integration::counters::rule;
use integration::dashboard::{Dashboard, event};
use integration::process::Background;
use integration::redirector::{Instance, binary};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;
use serde_json::Value;

const RULES: &str = "-i eth0 -i lo 80:8000 443:4430 53:5353/udp";

#[test]
fn documents_are_those_of_the_command_line() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("something to count");
    for verb in ["status", "stats", "flows"] {
        wait::until_equal(verb, || {
            let answer = dashboard.get(&format!("/api/v1/{verb}"), &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(
                answer.headers.contains("content-type: application/json"),
                "{answer:?}"
            );
            let printed = instance.run(verb, "--json").success(verb);
            (without_times(&answer.body), without_times(&printed))
        });
    }
    assert_eq!(dashboard.get("/api/v1/other", &[]).status, 404);
}

/// Not those of the moment, which two readings cannot share.
fn without_times(document: &str) -> String {
    let is_time = |line: &&str| line.contains("\"age_seconds\"") || line.contains("\"time\"");
    document
        .lines()
        .filter(|line| !is_time(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn events_tell_of_traffic_of_an_unload_and_of_another_load() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let mut events = dashboard.events();
    assert_eq!(event(&mut events, "status")["loaded"], true);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let start = Instant::now();
    let moving = loop {
        connection.exchange("while it is watched");
        let sample = event(&mut events, "sample");
        let rule = rule(&sample["stats"], "tcp", 80);
        if rule["rate"]["in"]["packets"].as_f64() > Some(0.0) {
            break sample;
        }
        assert!(start.elapsed() < wait::DEADLINE, "no rate: {sample}");
    };
    assert_eq!(moving["schema"], 1);
    assert_eq!(moving["rules_total"], 3);
    assert_eq!(moving["total"]["live"], 1, "{moving}");
    drop(connection);

    instance.run("unload", "").success("unload");
    let gone = until_sample(&mut events, |sample| sample["loaded"] == false);
    assert!(
        gone["reason"]
            .as_str()
            .expect("a reason")
            .contains("not loaded"),
        "{gone}"
    );
    assert_eq!(dashboard.get("/api/v1/stats", &[]).status, 503);
    let status = dashboard.json("/api/v1/status");
    assert_eq!(status["loaded"], false);
    assert_eq!(dashboard.json("/healthz")["loaded"], false);

    instance
        .run("load", "-i eth0 -i lo 80:8000")
        .success("load");
    let back = until_sample(&mut events, |sample| sample["loaded"] == true);
    assert_eq!(back["rules_total"], 1, "{back}");
    let history = dashboard.json("/api/v1/history");
    let points = history["total"]["in_packets"].as_array().expect("points");
    assert!(points.iter().any(Value::is_null), "the gap: {history}");
    assert!(
        points.iter().any(|point| point.as_f64() > Some(0.0)),
        "{history}"
    );
    assert_eq!(
        dashboard.process.interrupt(),
        Some(0),
        "{}",
        dashboard.process.stderr()
    );
    assert_eq!(dashboard.process.stderr(), "");
}

fn until_sample(events: &mut impl std::io::BufRead, is_it: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let sample = event(events, "sample");
        if is_it(&sample) {
            return sample;
        }
        assert!(start.elapsed() < wait::DEADLINE, "{sample}");
    }
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let output = instance.run("dashboard", &format!("--listen {}", dashboard.address));
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert!(
        output.stderr.contains("in use") && output.stderr.contains("--listen"),
        "{output:#?}"
    );
}

/// Nobody, without any capability, serves everything; and what it can open cannot be written.
#[test]
fn needs_no_privilege() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("something to count");
    let directory = Background::directory();
    let copy = directory.path().join("redirector");
    fs::copy(binary(), &copy).expect("a copy that everybody can run");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = lan.server.command("setpriv");
    command.args(
        "--reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all".split(' '),
    );
    command.arg(&copy).args([
        "dashboard",
        "--listen",
        "127.0.0.1:0",
        "--name",
        instance.name(),
    ]);
    let dashboard = Dashboard::of(&instance, &mut command);
    let status = fs::read_to_string(format!("/proc/{}/status", dashboard.process.pid()));
    let status = status.expect("a running dashboard");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "Uid:\t65534\t65534",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let stats = dashboard.json("/api/v1/stats");
    assert!(
        rule(&stats, "tcp", 80)["in"]["packets"].as_u64() > Some(0),
        "{stats}"
    );
    assert_eq!(dashboard.json("/api/v1/status")["loaded"], true);
    let flows = dashboard.json("/api/v1/flows");
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(1), "{flows}");
    metrics::check(&dashboard.get("/metrics", &[]).body);
    let sample = event(&mut dashboard.events(), "sample");
    assert_eq!(sample["loaded"], true, "{sample}");
}
