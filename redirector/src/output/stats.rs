use std::collections::BTreeMap;

use redirector_common::abi::RuleCounters;
use serde::Serialize;

use super::{RuleDocument, SCHEMA, listeners, render, table};
use crate::{
    config::Name,
    stats::{self, Rate, RuleStats, Sample},
};

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub name: Name,
    /// RFC 3339, in milliseconds.
    pub time: String,
    pub rules: Vec<Rule>,
    /// Packets left alone, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Of all rules together since the load.
    pub histograms: Histograms,
    #[serde(flatten)]
    pub listening: listeners::Document,
}

#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    #[serde(flatten)]
    pub rule: RuleDocument,
    #[serde(flatten)]
    pub counters: Counters,
    /// With `--watch`, from the second document on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateDocument>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counters {
    pub r#in: Traffic,
    pub out: Traffic,
    /// Connections that were established, and UDP flows that were answered.
    pub connections: u64,
    /// TCP connections that are open now, or UDP flows that were answered and are remembered.
    pub live: u64,
    /// SYNs that asked for a connection; one that is repeated within a second counts once.
    pub syns: u64,
    /// Those of them that the application has not answered by SYN-ACK or RST, or not yet.
    pub unanswered_syns: u64,
}

/// A GSO or GRO super-packet is one packet; bytes count from the network header onwards.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
    /// TCP packets with RST; they are among the packets above.
    pub resets: u64,
    /// ICMP errors about the rule's packets; they are not among the packets above.
    pub icmp_errors: u64,
}

/// A second, since the document before.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RateDocument {
    pub r#in: TrafficRate,
    pub out: TrafficRate,
    pub connections: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct TrafficRate {
    pub packets: f64,
    pub bytes: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Histograms {
    /// Of redirected packets in both directions.
    pub packet_size: Histogram,
    /// From a client's SYN to the application's SYN-ACK.
    pub syn_ack_delay: Histogram,
    /// From there to the client's ACK.
    pub ack_delay: Histogram,
}

#[derive(Clone, Debug, Serialize)]
pub struct Histogram {
    pub unit: &'static str,
    pub buckets: Vec<Bucket>,
    pub count: u64,
    /// Of all values, in `unit`; not there for packet sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bucket {
    /// The highest value it counts, in the histogram's unit; null in the last one, which counts any.
    pub le: Option<f64>,
    /// Values up to `le` and above that of the bucket before: not cumulative.
    pub count: u64,
}

impl Document {
    pub fn new(name: Name, sample: &Sample) -> Self {
        let snapshot = &sample.snapshot;
        let rules = sample.rules().map(|(stats, rate)| Rule {
            rate: rate.map(RateDocument::from),
            ..Rule::from(stats)
        });
        let listening = sample.listening.as_ref();
        let listening = listening.map(|it| listeners::Document::new(it, &sample.bounds));
        Self {
            schema: SCHEMA,
            name,
            time: humantime::format_rfc3339_millis(snapshot.time).to_string(),
            rules: rules.collect(),
            skipped: snapshot.skipped.clone(),
            listening: listening.unwrap_or_default(),
            histograms: (&snapshot.histograms).into(),
        }
    }
}

impl From<&RuleStats> for Rule {
    fn from(stats: &RuleStats) -> Self {
        Self {
            rule: (&stats.rule).into(),
            counters: Counters::new(&stats.counters, stats.live),
            rate: None,
        }
    }
}

impl Counters {
    pub fn new(counters: &RuleCounters, live: u64) -> Self {
        Self {
            r#in: Traffic {
                packets: counters.in_packets,
                bytes: counters.in_bytes,
                resets: counters.in_resets,
                icmp_errors: counters.in_errors,
            },
            out: Traffic {
                packets: counters.out_packets,
                bytes: counters.out_bytes,
                resets: counters.out_resets,
                icmp_errors: counters.out_errors,
            },
            connections: counters.connections,
            live,
            syns: counters.syns,
            unanswered_syns: stats::unanswered_syns(counters),
        }
    }
}

impl From<Rate> for RateDocument {
    fn from(rate: Rate) -> Self {
        Self {
            r#in: TrafficRate {
                packets: rate.in_packets,
                bytes: rate.in_bytes,
            },
            out: TrafficRate {
                packets: rate.out_packets,
                bytes: rate.out_bytes,
            },
            connections: rate.connections,
        }
    }
}

impl From<&stats::Histograms> for Histograms {
    fn from(histograms: &stats::Histograms) -> Self {
        let document = |unit, histogram: &stats::Histogram| Histogram {
            unit,
            buckets: histogram.buckets.iter().map(Bucket::from).collect(),
            count: histogram.count(),
            sum: histogram.sum,
        };
        Self {
            packet_size: document("bytes", &histograms.packet_size),
            syn_ack_delay: document("seconds", &histograms.syn_ack_delay),
            ack_delay: document("seconds", &histograms.ack_delay),
        }
    }
}

impl From<&stats::Bucket> for Bucket {
    fn from(bucket: &stats::Bucket) -> Self {
        Self {
            le: bucket.le,
            count: bucket.count,
        }
    }
}

/// The same for people; reasons at 0 are left out. Rates are there from the second sample on.
pub fn text(sample: &Sample) -> String {
    let header = [
        "RULE",
        "IN PACKETS",
        "IN BYTES",
        "OUT PACKETS",
        "OUT BYTES",
        "CONNECTIONS",
        "LIVE",
        "UNANSWERED",
        "RESETS",
        "ICMP ERRORS",
    ];
    let mut rules = table(&header, 1..header.len());
    let has_rates = sample.rates.iter().any(Option::is_some);
    for (stats, rate) in sample.rules() {
        rules.add_row(totals(stats));
        if has_rates {
            rules.add_row(per_second(rate));
        }
    }
    let mut skipped = table(&["SKIPPED", "PACKETS"], 1..2);
    let mut any = false;
    let reasons = sample.snapshot.skipped.iter();
    for (reason, packets) in reasons.filter(|(_, packets)| **packets > 0) {
        skipped.add_row([reason.to_string(), packets.to_string()]);
        any = true;
    }
    let mut text = render(&rules);
    if any {
        text += "\n";
        text += &render(&skipped);
    }
    if let Some(listening) = &sample.listening {
        text += "\n";
        text += &listeners::text(listening);
        for hint in listening.hints(&sample.bounds) {
            text += &format!("{hint}\n");
        }
    }
    text
}

fn totals(stats: &RuleStats) -> [String; 10] {
    let counters = &stats.counters;
    [
        stats.rule.to_string(),
        counters.in_packets.to_string(),
        counters.in_bytes.to_string(),
        counters.out_packets.to_string(),
        counters.out_bytes.to_string(),
        counters.connections.to_string(),
        stats.live.to_string(),
        stats.unanswered_syns().to_string(),
        (counters.in_resets + counters.out_resets).to_string(),
        (counters.in_errors + counters.out_errors).to_string(),
    ]
}

fn per_second(rate: Option<Rate>) -> Vec<String> {
    let of = |field: fn(&Rate) -> f64| {
        rate.as_ref()
            .map_or_else(|| "-".to_owned(), |rate| format!("{:.0}", field(rate)))
    };
    vec![
        "a second".to_owned(),
        of(|rate| rate.in_packets),
        of(|rate| rate.in_bytes),
        of(|rate| rate.out_packets),
        of(|rate| rate.out_bytes),
        of(|rate| rate.connections),
    ]
}
