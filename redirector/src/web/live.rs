//! What a page shows: the documents of the events and of the history. However many rules there are, they
//! name the [busiest](RULES); a page asks `/api/v1/stats` for others.

use std::{
    collections::{BTreeMap, HashSet},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::feed::RULES;
use crate::{
    config::{Name, Rule},
    kernel,
    output::{self, SCHEMA, stats},
    stats::{History, Point, Sample, Series},
};

#[derive(Serialize)]
pub struct Live {
    schema: u32,
    /// Seconds since the Unix epoch.
    at: f64,
    loaded: bool,
    rules_total: usize,
    /// Of all rules.
    total: Total,
    skipped_per_second: BTreeMap<&'static str, f64>,
    /// The document of `redirector stats --watch`, of some rules.
    stats: stats::Document,
}

#[derive(Serialize)]
pub struct Nothing {
    schema: u32,
    name: Name,
    at: f64,
    loaded: bool,
    reason: String,
}

#[derive(Serialize)]
struct Total {
    #[serde(flatten)]
    counters: stats::Counters,
    /// null: nothing is known of the time before.
    rate: Option<stats::RateDocument>,
}

/// Columns; null where nothing was known.
#[derive(Serialize)]
pub struct Past {
    schema: u32,
    name: Name,
    /// Seconds since the Unix epoch.
    at: Vec<f64>,
    total: Columns,
    rules: Vec<RuleColumns>,
}

#[derive(Serialize)]
struct RuleColumns {
    label: String,
    #[serde(flatten)]
    columns: Columns,
}

#[derive(Serialize)]
struct Columns {
    in_bytes: Vec<Option<f32>>,
    out_bytes: Vec<Option<f32>>,
    in_packets: Vec<Option<f32>>,
    out_packets: Vec<Option<f32>>,
    connections: Vec<Option<f32>>,
    live: Vec<Option<f32>>,
}

impl Live {
    pub fn new(name: &Name, sample: &Sample, history: &History) -> Self {
        let (counters, live) = sample.snapshot.total();
        let shown = shown(sample, history);
        let some = sample.with_rules(|rule| shown.contains(rule));
        Self {
            schema: SCHEMA,
            at: seconds(sample.snapshot.time),
            loaded: true,
            rules_total: sample.snapshot.rules.len(),
            total: Total {
                counters: stats::Counters::new(&counters, live),
                rate: sample.total().map(Into::into),
            },
            skipped_per_second: sample.skipped.clone(),
            stats: stats::Document::new(name.clone(), &some),
        }
    }
}

impl Nothing {
    pub fn new(name: &Name, error: &kernel::Error) -> Self {
        Self {
            schema: SCHEMA,
            name: name.clone(),
            at: seconds(SystemTime::now()),
            loaded: false,
            reason: output::chain(error),
        }
    }
}

impl Past {
    pub fn new(name: &Name, history: &History) -> Self {
        let mut rules: Vec<_> = history
            .series()
            .map(|(rule, series)| RuleColumns {
                label: rule.to_string(),
                columns: series.into(),
            })
            .collect();
        rules.sort_by(|a, b| a.label.cmp(&b.label));
        Self {
            schema: SCHEMA,
            name: name.clone(),
            at: history.times().map(seconds).collect(),
            total: history.total().into(),
            rules,
        }
    }
}

impl From<&Series> for Columns {
    fn from(series: &Series) -> Self {
        let column = |value: fn(&Point) -> f32| {
            let values = series.iter().map(value);
            values
                .map(|value| value.is_finite().then(|| (value * 10.0).round() / 10.0))
                .collect()
        };
        Self {
            in_bytes: column(|point| point.in_bytes),
            out_bytes: column(|point| point.out_bytes),
            in_packets: column(|point| point.in_packets),
            out_packets: column(|point| point.out_packets),
            connections: column(|point| point.connections),
            live: column(|point| point.live),
        }
    }
}

/// All of them if they are few; else those with a history.
fn shown<'a>(sample: &'a Sample, history: &History) -> HashSet<&'a Rule> {
    let is_few = sample.snapshot.rules.len() <= RULES;
    let rules = sample.snapshot.rules.iter().map(|stats| &stats.rule);
    rules
        .filter(|rule| is_few || history.rule(rule).is_some())
        .take(RULES)
        .collect()
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as f64 / 1000.0
}
