//! Snapshots at intervals, and what happened between two of them.

use std::collections::BTreeMap;

use super::{Rate, RuleStats, Snapshot};
use crate::{
    config::Name,
    kernel::{Error, Instance},
};

/// Reads one instance again and again. Each time it is opened anew, so that an unload and a load in
/// between are seen.
#[derive(Debug)]
pub struct Sampler {
    name: Name,
    last: Option<Snapshot>,
}

/// A snapshot, and what has happened since the one before.
#[derive(Clone, Debug)]
pub struct Sample {
    pub snapshot: Snapshot,
    /// Of the rules, in their order; `None` where nothing is known of the time before: in the first sample,
    /// after another load, for a new rule.
    pub rates: Vec<Option<Rate>>,
    /// Packets a second, by [`redirector_common::Skip::name`].
    pub skipped: BTreeMap<&'static str, f64>,
}

impl Sampler {
    pub fn new(name: Name) -> Self {
        Self { name, last: None }
    }

    /// # Errors
    /// Those of opening and reading the instance; the sample after an error has no rates.
    pub fn sample(&mut self) -> Result<Sample, Error> {
        let before = self.last.take();
        let snapshot = Snapshot::read(&Instance::open(&self.name)?)?;
        self.last = Some(snapshot.clone());
        Ok(Sample::new(snapshot, before.as_ref()))
    }
}

impl Sample {
    pub fn new(snapshot: Snapshot, before: Option<&Snapshot>) -> Self {
        let before = before.unwrap_or(&snapshot);
        let rates = snapshot.rates(before);
        let skipped = snapshot.skipped_rates(before);
        Self {
            rates,
            skipped,
            snapshot,
        }
    }

    pub fn rules(&self) -> impl Iterator<Item = (&RuleStats, Option<Rate>)> {
        let rates = self.rates.iter().copied();
        self.snapshot.rules.iter().zip(rates)
    }

    /// Of all rules together, as far as they are known.
    pub fn total(&self) -> Option<Rate> {
        let mut known = self.rates.iter().flatten().copied().peekable();
        known.peek()?;
        Some(known.sum())
    }
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
