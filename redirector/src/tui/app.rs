//! What is shown, and how.

use super::{reader::Update, theme::Theme};
use crate::{
    config::Name,
    stats::{History, Rate, RuleStats, Sample, flows::TrackedFlow},
};

/// Samples behind the sparklines; of as many rules.
const POINTS: usize = 120;
const RULES: usize = 256;

pub struct App {
    pub name: Name,
    pub theme: Theme,
    pub history: History,
    /// Why there is nothing, if there is nothing.
    pub sample: Result<Sample, String>,
    pub flows: Vec<TrackedFlow>,
    pub paused: bool,
    pub help: bool,
    /// Rules and flows have it in their text.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    pub sort: Sort,
    pub reverse: bool,
    pub pane: Pane,
    /// The first rule shown.
    pub offset: usize,
    /// How many rules there was room for.
    pub page: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Traffic,
    Packets,
    Connections,
    Live,
    Unanswered,
    Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Flows,
    Clients,
    Listeners,
    Skipped,
    Histograms,
}

impl App {
    pub fn new(name: Name) -> Self {
        Self {
            name,
            theme: Theme::of_environment(),
            history: History::new(POINTS, RULES),
            sample: Err("waiting for the first look".to_owned()),
            flows: Vec::new(),
            paused: false,
            help: false,
            filter: String::new(),
            typing: false,
            sort: Sort::Traffic,
            reverse: false,
            pane: Pane::Flows,
            offset: 0,
            page: 0,
        }
    }

    /// Whether there is something new to see.
    pub fn take(&mut self, update: Update) -> bool {
        match &update.sample {
            Ok(sample) => self.history.push(sample),
            Err(_) => self.history.push_gap(),
        }
        if self.paused {
            return false;
        }
        self.sample = update.sample;
        match update.flows {
            Some(flows) => self.flows = flows,
            None if self.sample.is_err() => self.flows.clear(),
            None => {}
        }
        true
    }

    /// The rules that the filter leaves, in order.
    pub fn rules(&self) -> Vec<(&RuleStats, Rate)> {
        let Ok(sample) = &self.sample else {
            return Vec::new();
        };
        let is_wanted = |rule: &RuleStats| {
            self.filter.is_empty() || rule.rule.to_string().contains(&self.filter)
        };
        let rules = sample.rules().filter(|(rule, _)| is_wanted(rule));
        let mut rules: Vec<_> = rules
            .map(|(rule, rate)| (rule, rate.unwrap_or_default()))
            .collect();
        // Stable: rules that are alike stay in the order of `status`.
        if self.sort != Sort::Rule {
            rules.sort_by(|a, b| self.sort.weigh(b).total_cmp(&self.sort.weigh(a)));
        }
        if self.reverse {
            rules.reverse();
        }
        rules
    }
}

impl Sort {
    const ALL: [Self; 6] = [
        Self::Traffic,
        Self::Packets,
        Self::Connections,
        Self::Live,
        Self::Unanswered,
        Self::Rule,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Packets => "packets",
            Self::Connections => "conns",
            Self::Live => "live",
            Self::Unanswered => "unanswered",
            Self::Rule => "rule",
        }
    }

    pub fn next(self) -> Self {
        next(&Self::ALL, self)
    }

    fn weigh(self, (rule, rate): &(&RuleStats, Rate)) -> f64 {
        match self {
            Self::Traffic => rate.bytes(),
            Self::Packets => rate.packets(),
            Self::Connections => rate.connections,
            Self::Live => rule.live as f64,
            Self::Unanswered => rule.unanswered_syns() as f64,
            Self::Rule => 0.0,
        }
    }
}

impl Pane {
    pub const ALL: [Self; 5] = [
        Self::Flows,
        Self::Clients,
        Self::Listeners,
        Self::Skipped,
        Self::Histograms,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Flows => "Flows",
            Self::Clients => "Clients",
            Self::Listeners => "Listeners",
            Self::Skipped => "Left alone",
            Self::Histograms => "Delays",
        }
    }

    pub fn next(self) -> Self {
        next(&Self::ALL, self)
    }

    pub fn previous(self) -> Self {
        let mut all = Self::ALL;
        all.reverse();
        next(&all, self)
    }

    pub fn needs_flows(self) -> bool {
        matches!(self, Self::Flows | Self::Clients)
    }
}

fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let mut rest = all.iter().skip_while(|each| **each != now).skip(1);
    rest.next().or(all.first()).copied().unwrap_or(now)
}

/// For the test that a panic leaves the terminal as it was.
pub fn panic_on_request() {
    if std::env::var_os("REDIRECTOR_PANIC_IN_TOP").is_some() {
        panic!("on request");
    }
}
