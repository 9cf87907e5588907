//! Snapshots for tests.

use std::{
    collections::BTreeMap,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime},
};

use redirector_common::abi::RuleCounters;

use super::{Histograms, RuleStats, Snapshot};
use crate::config::{Port, Protocol, Rule};

pub fn rule(from: u16) -> Rule {
    let port = |port| Port::try_from(port).unwrap();
    Rule {
        protocol: Protocol::Tcp,
        address: None,
        from: port(from),
        to: port(60_000),
        interfaces: Vec::new(),
    }
}

/// Of a load.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// At a second of a load, rules with the packets they have had.
pub fn snapshot(second: u64, rules: &[(u16, u64)], malformed: u64) -> Snapshot {
    let rules = rules.iter().map(|(from, packets)| RuleStats {
        rule: rule(*from),
        counters: RuleCounters {
            in_packets: *packets,
            in_bytes: packets * 100,
            ..RuleCounters::default()
        },
        live: 0,
    });
    Snapshot {
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        at: *BEGUN + Duration::from_secs(second),
        since: SystemTime::UNIX_EPOCH,
        rules: rules.collect(),
        skipped: BTreeMap::from([("malformed", malformed)]),
        histograms: Histograms::of(&[]),
    }
}
