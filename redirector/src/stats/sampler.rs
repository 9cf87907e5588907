//! Snapshots at intervals, and what happened between two of them.

use std::{collections::BTreeMap, io};

use super::{
    Rate, RuleStats, Snapshot,
    listeners::{Bounds, Listening},
};
use crate::{
    config::{Name, Rule},
    kernel::{Error, Instance},
};

/// Reads one instance again and again. Each time it is opened anew, so that an unload and a load in
/// between are seen.
#[derive(Debug)]
pub struct Sampler {
    name: Name,
    /// Looked at for each sample: somebody may tune meanwhile.
    bounds: fn() -> Bounds,
    last: Option<Sample>,
    /// Whether it was there once.
    found: bool,
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
    /// `None` for an instance of another network namespace, and where it is [unread](Self::unread).
    pub listening: Option<Listening>,
    /// Why the kernel does not tell who listens.
    pub unread: Option<String>,
    /// What the backlogs are held against.
    pub bounds: Bounds,
}

impl Sampler {
    pub fn new(name: Name, bounds: fn() -> Bounds) -> Self {
        Self {
            name,
            bounds,
            last: None,
            found: false,
        }
    }

    /// # Errors
    /// Those of opening and reading the instance; the sample after an error has no rates.
    pub fn sample(&mut self) -> Result<Sample, Error> {
        let last = self.last.take();
        let sample = match self.read(last.as_ref()) {
            // Its pins may have gone while they were read, and others come.
            Err(error) if !error.is_nothing_to_read() => self.read(last.as_ref()),
            read => read,
        }?;
        self.found = true;
        self.last = Some(sample.clone());
        Ok(sample)
    }

    fn read(&self, last: Option<&Sample>) -> Result<Sample, Error> {
        let instance = self.open()?;
        let snapshot = Snapshot::read(&instance)?;
        let mut sample = Sample::new(snapshot, last.map(|last| &last.snapshot));
        sample.bounds = (self.bounds)();
        if instance.is_here() {
            sample.listen(last.and_then(|last| last.listening.as_ref()));
        }
        Ok(sample)
    }

    /// The last unload closes bpffs to others again.
    fn open(&self) -> Result<Instance, Error> {
        Instance::open(&self.name).map_err(|error| match error {
            Error::Closed { name } if self.found => Error::ClosedMeanwhile { name },
            error => error,
        })
    }
}

impl Sample {
    /// Without a look at who listens.
    pub fn new(snapshot: Snapshot, before: Option<&Snapshot>) -> Self {
        let before = before.unwrap_or(&snapshot);
        let rates = snapshot.rates(before);
        let skipped = snapshot.skipped_rates(before);
        Self {
            rates,
            skipped,
            snapshot,
            listening: None,
            unread: None,
            bounds: Bounds::default(),
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

    /// The same with some of the rules.
    pub fn with_rules(&self, is_wanted: impl Fn(&Rule) -> bool) -> Self {
        let (rules, rates) = self
            .rules()
            .filter(|(stats, _)| is_wanted(&stats.rule))
            .map(|(stats, rate)| (stats.clone(), rate))
            .unzip();
        Self {
            snapshot: Snapshot {
                rules,
                ..self.snapshot.without_rules()
            },
            rates,
            skipped: self.skipped.clone(),
            listening: self.listening.clone(),
            unread: self.unread.clone(),
            bounds: self.bounds.clone(),
        }
    }

    fn listen(&mut self, before: Option<&Listening>) {
        let rules = self.snapshot.rules.iter().map(|stats| &stats.rule);
        let listening: io::Result<Listening> = Listening::read(rules, &self.bounds, before);
        match listening {
            Ok(listening) => self.listening = Some(listening),
            Err(error) => self.unread = Some(error.to_string()),
        }
    }
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
