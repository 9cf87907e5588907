//! Every scenario is a test: `cargo test -p integration --test scenarios -- half_close`. How to write
//! one is told in `integration::scenario`.

mod addresses;
mod beside;
mod collision;
mod containers;
mod devices;
mod elsewhere;
mod fragments;
mod half_open_collision;
mod hand;
mod handshake;
mod headers;
mod icmp;
mod idle;
mod lifecycle;
mod link_local;
mod options;
mod own;
mod pair;
mod path;
mod raw;
mod raw_socket;
mod reloads;
mod rules;
mod stacked;
mod stranger;
mod strangers;
mod time_wait;
mod udp;
mod udp_collision;

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;

use integration::scenario::Scenario;
use libtest_mimic::{Arguments, Failed, Trial};

const TOPICS: &[(&str, &[Scenario])] = &[
    ("addresses", addresses::SCENARIOS),
    ("beside", beside::SCENARIOS),
    ("collision", collision::SCENARIOS),
    ("containers", containers::SCENARIOS),
    ("devices", devices::SCENARIOS),
    ("elsewhere", elsewhere::SCENARIOS),
    ("fragments", fragments::SCENARIOS),
    ("half_open_collision", half_open_collision::SCENARIOS),
    ("handshake", handshake::SCENARIOS),
    ("headers", headers::SCENARIOS),
    ("icmp", icmp::SCENARIOS),
    ("icmp", icmp::mtu::SCENARIOS),
    ("icmp", icmp::outbound::SCENARIOS),
    ("idle", idle::SCENARIOS),
    ("lifecycle", lifecycle::SCENARIOS),
    ("link_local", link_local::SCENARIOS),
    ("options", options::SCENARIOS),
    ("path", path::SCENARIOS),
    ("raw", raw::SCENARIOS),
    ("raw", raw_socket::SCENARIOS),
    ("reloads", reloads::SCENARIOS),
    ("rules", rules::SCENARIOS),
    ("stacked", stacked::SCENARIOS),
    ("strangers", strangers::SCENARIOS),
    ("time_wait", time_wait::SCENARIOS),
    ("udp", udp::SCENARIOS),
    ("udp_collision", udp_collision::SCENARIOS),
];

fn main() -> ExitCode {
    let (filters, arguments) = split_filters(env::args());
    let arguments = Arguments::from_iter(arguments);
    let is_chosen = |name: &str| {
        let fits = |filter: &String| match arguments.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        filters.is_empty() || filters.iter().any(fits)
    };
    let trials = trials();
    let names: BTreeSet<_> = trials.iter().map(Trial::name).collect();
    assert_eq!(names.len(), trials.len(), "two scenarios of one name");
    let chosen = trials
        .into_iter()
        .filter(|trial| is_chosen(trial.name()))
        .collect();
    libtest_mimic::run(&arguments, chosen).exit_code()
}

fn trials() -> Vec<Trial> {
    let trial = |topic, scenario: &'static Scenario| {
        let name = format!("{topic}::{}", scenario.name());
        let inapplicable = scenario.inapplicable();
        let trial = Trial::test(name, || scenario.run().map_err(Failed::from));
        match inapplicable {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        }
    };
    TOPICS
        .iter()
        .flat_map(|&(topic, scenarios)| scenarios.iter().map(move |each| trial(topic, each)))
        .collect()
}

/// Rust's own harness takes several filters, libtest-mimic one.
fn split_filters(arguments: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const WITH_VALUE: [&str; 6] = [
        "--test-threads",
        "--logfile",
        "--skip",
        "--color",
        "--format",
        "-Z",
    ];
    let (mut filters, mut others) = (Vec::new(), Vec::new());
    for (at, argument) in arguments.enumerate() {
        let is_value = others
            .last()
            .is_some_and(|last: &String| WITH_VALUE.contains(&last.as_str()));
        if at == 0 || is_value || argument.starts_with('-') {
            others.push(argument);
        } else {
            filters.push(argument);
        }
    }
    (filters, others)
}
