//! The stats path: maps → snapshot → table or JSON (`output`).

pub mod flows;
pub mod listeners;

use std::collections::BTreeMap;

use redirector_common::{Skip, abi::RuleCounters};

use crate::{
    config::Rule,
    kernel::{Error, Instance},
};

/// The counters of an instance at one moment, summed over the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub rules: Vec<(Rule, RuleCounters)>,
    /// Packets left alone, by [`Skip::name`]; every reason is there, also at 0.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl Snapshot {
    pub fn read(instance: &Instance) -> Result<Self, Error> {
        let rules = instance.loaded()?.rules;
        let numbers: Vec<_> = rules.iter().map(|rule| rule.number).collect();
        let counters = instance.counters(&numbers)?;
        let skipped = Skip::ALL
            .into_iter()
            .map(Skip::name)
            .zip(instance.skipped()?)
            .collect();
        Ok(Self {
            rules: rules
                .into_iter()
                .map(|loaded| loaded.rule)
                .zip(counters)
                .collect(),
            skipped,
        })
    }
}
