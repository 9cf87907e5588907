//! What two snapshots tell of the time between them.

use std::{
    collections::{BTreeMap, HashMap},
    iter::Sum,
    time::Duration,
};

use redirector_common::abi::RuleCounters;

use super::{RuleStats, Snapshot};

/// Of one rule, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
        let time = self.at.saturating_duration_since(before.at);
        let is_same = self.since == before.since;
        let rules = before.rules.iter().filter(|_| is_same);
        let known: HashMap<_, _> = rules.map(|each| (&each.rule, &each.counters)).collect();
        let of = |now: &RuleStats| Rate::between(known.get(&now.rule)?, &now.counters, time);
        self.rules.iter().map(of).collect()
    }

    /// Packets left alone a second, by reason; 0 where something counts from 0 again.
    pub fn skipped_rates(&self, before: &Snapshot) -> BTreeMap<&'static str, f64> {
        let time = self.at.saturating_duration_since(before.at);
        let is_known = self.since == before.since && !time.is_zero();
        let of = |(reason, now): (&&'static str, &u64)| {
            let before = before.skipped.get(reason).filter(|_| is_known);
            let new = before.map_or(0, |before| now.saturating_sub(*before));
            (
                *reason,
                if new == 0 {
                    0.0
                } else {
                    new as f64 / time.as_secs_f64()
                },
            )
        };
        self.skipped.iter().map(of).collect()
    }
}

impl Rate {
    /// Bytes of both directions, by which a rule is called busy.
    pub fn bytes(&self) -> f64 {
        self.in_bytes + self.out_bytes
    }

    pub fn packets(&self) -> f64 {
        self.in_packets + self.out_packets
    }

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

impl Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::default(), |sum, rate| Self {
            in_packets: sum.in_packets + rate.in_packets,
            in_bytes: sum.in_bytes + rate.in_bytes,
            out_packets: sum.out_packets + rate.out_packets,
            out_bytes: sum.out_bytes + rate.out_bytes,
            connections: sum.connections + rate.connections,
        })
    }
}
