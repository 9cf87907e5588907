//! The stats path: maps → snapshot → table or JSON (`output`).

#[cfg(test)]
pub mod fixtures;
pub mod flows;
mod histogram;
mod history;
pub mod listeners;
mod live;
mod rate;
mod sampler;
pub mod trace;

use std::{
    collections::BTreeMap,
    time::{Instant, SystemTime},
};

use redirector_common::{Skip, abi::RuleCounters};

use crate::{
    config::Rule,
    kernel::{Error, Instance},
};

pub use self::{
    histogram::{Bucket, Histogram, Histograms},
    history::{History, Point, Series},
    rate::Rate,
    sampler::{Sample, Sampler},
};

/// The counters of an instance at one moment, summed over the CPUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub time: SystemTime,
    /// The same by a clock that nobody sets.
    pub at: Instant,
    /// When the instance was loaded, in whole seconds: another load counts from 0 again.
    pub since: SystemTime,
    /// In the order of `status`.
    pub rules: Vec<RuleStats>,
    /// Packets left alone, by [`Skip::name`]; every reason is there, also at 0.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Of all rules together, also of those that have been removed.
    pub histograms: Histograms,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStats {
    pub rule: Rule,
    pub counters: RuleCounters,
    /// TCP connections that are open now, or UDP flows that were answered and are remembered.
    pub live: u64,
}

impl Snapshot {
    /// The rest of it.
    pub fn without_rules(&self) -> Self {
        Self {
            rules: Vec::new(),
            skipped: self.skipped.clone(),
            histograms: self.histograms.clone(),
            ..*self
        }
    }

    /// The counters of all rules together, and how many connections they have now.
    pub fn total(&self) -> (RuleCounters, u64) {
        let none = (RuleCounters::default(), 0);
        self.rules.iter().fold(none, |(sum, live), rule| {
            (sum + rule.counters, live + rule.live)
        })
    }

    pub fn read(instance: &Instance) -> Result<Self, Error> {
        let loaded = instance.loaded()?;
        let numbers: Vec<_> = loaded.rules.iter().map(|rule| rule.number).collect();
        let counters = instance.counters(&numbers)?;
        let live = live::read(instance)?;
        let rules = loaded.rules.into_iter().zip(counters);
        let skipped = Skip::ALL
            .into_iter()
            .map(Skip::name)
            .zip(instance.skipped()?)
            .collect();
        Ok(Self {
            time: SystemTime::now(),
            at: Instant::now(),
            since: loaded.since,
            rules: rules
                .map(|(loaded, counters)| RuleStats {
                    rule: loaded.rule,
                    counters,
                    live: live.get(&loaded.number).copied().unwrap_or(0),
                })
                .collect(),
            skipped,
            histograms: Histograms::of(&instance.histograms()?),
        })
    }
}

impl RuleStats {
    /// SYNs that the application has not answered: also those that it is about to.
    pub fn unanswered_syns(&self) -> u64 {
        unanswered_syns(&self.counters)
    }
}

pub fn unanswered_syns(counters: &RuleCounters) -> u64 {
    // The CPUs are not read at one moment.
    counters.syns.saturating_sub(counters.answered_syns)
}
