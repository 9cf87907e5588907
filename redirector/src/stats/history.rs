//! What was seen lately, within a fixed bound: `points` samples of all rules together, and of the
//! `rules` busiest ones each.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant, SystemTime},
};

use super::{Rate, RuleStats, Sample};
use crate::config::Rule;

/// A clock that goes this far wrong from one sample to the next was set.
const SET: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct History {
    points: usize,
    rules: usize,
    times: VecDeque<SystemTime>,
    /// When the last one was, by a clock that nobody sets.
    last: Option<Instant>,
    total: Series,
    of_rules: HashMap<Rule, Series>,
}

/// The points of one rule, as old as the times of the [`History`], the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Series(VecDeque<Point>);

/// Rates a second. NaN where nothing was known: not loaded, or no such rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub in_bytes: f32,
    pub out_bytes: f32,
    pub in_packets: f32,
    pub out_packets: f32,
    pub connections: f32,
    /// Not a rate.
    pub live: f32,
}

impl History {
    pub fn new(points: usize, rules: usize) -> Self {
        Self {
            points,
            rules,
            times: VecDeque::with_capacity(points),
            last: None,
            total: Series::default(),
            of_rules: HashMap::new(),
        }
    }

    pub fn times(&self) -> impl ExactSizeIterator<Item = SystemTime> {
        self.times.iter().copied()
    }

    pub fn total(&self) -> &Series {
        &self.total
    }

    /// `None`: others were busier.
    pub fn rule(&self, rule: &Rule) -> Option<&Series> {
        self.of_rules.get(rule)
    }

    /// Of the busiest rules, in no order.
    pub fn series(&self) -> impl Iterator<Item = (&Rule, &Series)> {
        self.of_rules.iter()
    }

    pub fn push(&mut self, sample: &Sample) {
        self.advance(sample.snapshot.time, sample.snapshot.at);
        let (_, live) = sample.snapshot.total();
        self.total.set_last(Point::new(sample.total(), live));
        for (RuleStats { rule, live, .. }, rate) in sample.rules() {
            if !self.of_rules.contains_key(rule) && !self.make_room(&rate.unwrap_or_default()) {
                continue;
            }
            let series = self.of_rules.entry(rule.clone());
            let series = series.or_insert_with(|| Series::unknown(self.times.len()));
            series.set_last(Point::new(rate, *live));
        }
    }

    /// A moment of which nothing is known.
    pub fn push_gap(&mut self) {
        self.advance(SystemTime::now(), Instant::now());
    }

    fn advance(&mut self, at: SystemTime, now: Instant) {
        self.follow_clock(at, now);
        while self.times.len() >= self.points {
            self.times.pop_front();
        }
        self.times.push_back(at);
        let length = self.times.len();
        self.total.advance(length);
        self.of_rules.retain(|_, series| {
            series.advance(length);
            series.is_known()
        });
    }

    /// Where the clock has been set, the times before are told by what it says now: they stay in order, and
    /// as far apart as they were.
    fn follow_clock(&mut self, at: SystemTime, now: Instant) {
        let last = self.last.replace(now);
        let (Some(last), Some(then)) = (last, self.times.back()) else {
            return;
        };
        let expected = *then + now.saturating_duration_since(last);
        let (ahead, behind) = (at.duration_since(expected), expected.duration_since(at));
        for time in &mut self.times {
            let moved = match (&ahead, &behind) {
                (Ok(step), _) if *step > SET => time.checked_add(*step),
                (_, Ok(step)) if *step > SET => time.checked_sub(*step),
                _ => None,
            };
            *time = moved.unwrap_or(*time);
        }
    }

    /// Whether there is a place for one more rule, if need be that of the least busy one.
    fn make_room(&mut self, newcomer: &Rate) -> bool {
        if self.of_rules.len() < self.rules {
            return true;
        }
        if newcomer.bytes() == 0.0 {
            return false;
        }
        let weighed = self
            .of_rules
            .iter()
            .map(|(rule, series)| (series.bytes(), rule));
        let least = weighed.min_by(|a, b| a.0.total_cmp(&b.0));
        match least.map(|(bytes, rule)| (bytes, rule.clone())) {
            Some((bytes, rule)) if newcomer.bytes() > bytes => {
                self.of_rules.remove(&rule);
                true
            }
            _ => false,
        }
    }
}

impl Series {
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Point> + DoubleEndedIterator {
        self.0.iter()
    }

    fn unknown(length: usize) -> Self {
        Self(std::iter::repeat_n(Point::UNKNOWN, length).collect())
    }

    fn advance(&mut self, length: usize) {
        self.0.push_back(Point::UNKNOWN);
        while self.0.len() > length {
            self.0.pop_front();
        }
    }

    fn set_last(&mut self, point: Point) {
        if let Some(last) = self.0.back_mut() {
            *last = point;
        }
    }

    fn is_known(&self) -> bool {
        self.0.iter().any(|point| !point.live.is_nan())
    }

    /// The sum of its points, in bytes of both directions.
    fn bytes(&self) -> f64 {
        let known = self.0.iter().filter(|point| !point.in_bytes.is_nan());
        known
            .map(|point| f64::from(point.in_bytes + point.out_bytes))
            .sum()
    }
}

impl Point {
    const UNKNOWN: Self = Self {
        in_bytes: f32::NAN,
        out_bytes: f32::NAN,
        in_packets: f32::NAN,
        out_packets: f32::NAN,
        connections: f32::NAN,
        live: f32::NAN,
    };

    fn new(rate: Option<Rate>, live: u64) -> Self {
        let rate = rate.map(|rate| Self {
            in_bytes: rate.in_bytes as f32,
            out_bytes: rate.out_bytes as f32,
            in_packets: rate.in_packets as f32,
            out_packets: rate.out_packets as f32,
            connections: rate.connections as f32,
            ..Self::UNKNOWN
        });
        Self {
            live: live as f32,
            ..rate.unwrap_or(Self::UNKNOWN)
        }
    }

    pub fn bytes(&self) -> f32 {
        self.in_bytes + self.out_bytes
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
