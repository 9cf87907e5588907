//! What two snapshots tell of the time between them.

use std::time::Duration;

use redirector_common::abi::RuleCounters;

use super::{RuleStats, Snapshot};

/// Of one rule, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub in_packets: f64,
    pub in_bytes: f64,
    pub out_packets: f64,
    pub out_bytes: f64,
    pub connections: f64,
}

impl Snapshot {
    /// For each of these rules; `None` for one that is new since `before`.
    pub fn rates(&self, before: &Snapshot) -> Vec<Option<Rate>> {
        let time = self.time.duration_since(before.time).unwrap_or_default();
        let is_same = self.since == before.since;
        let of = |now: &RuleStats| {
            let mut rules = before.rules.iter().filter(|_| is_same);
            let before = rules.find(|before| before.rule == now.rule)?;
            Rate::between(&before.counters, &now.counters, time)
        };
        self.rules.iter().map(of).collect()
    }
}

impl Rate {
    /// `None` where something counts from 0 again, or no time has passed.
    fn between(before: &RuleCounters, now: &RuleCounters, time: Duration) -> Option<Self> {
        if time.is_zero() {
            return None;
        }
        let rate = |of: fn(&RuleCounters) -> u64| {
            let new = of(now).checked_sub(of(before))?;
            Some(new as f64 / time.as_secs_f64())
        };
        Some(Self {
            in_packets: rate(|counters| counters.in_packets)?,
            in_bytes: rate(|counters| counters.in_bytes)?,
            out_packets: rate(|counters| counters.out_packets)?,
            out_bytes: rate(|counters| counters.out_bytes)?,
            connections: rate(|counters| counters.connections)?,
        })
    }
}
