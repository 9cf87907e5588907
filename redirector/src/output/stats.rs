use std::collections::BTreeMap;

use serde::Serialize;

use super::{RuleDocument, SCHEMA, listeners, render, table};
use crate::{config::Name, stats::Snapshot};

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub name: Name,
    pub rules: Vec<Rule>,
    /// Packets left alone, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    pub listening: listeners::Document,
}

#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    #[serde(flatten)]
    pub rule: RuleDocument,
    pub r#in: Traffic,
    pub out: Traffic,
    /// Connections that were established, and UDP flows that were answered.
    pub connections: u64,
}

/// A GSO or GRO super-packet is one packet; bytes count from the network header onwards.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
    /// ICMP errors about the rule's packets; they are not among the packets above.
    pub icmp_errors: u64,
}

impl Document {
    pub fn new(name: Name, snapshot: &Snapshot) -> Self {
        let rules = snapshot.rules.iter().map(|(rule, counters)| Rule {
            rule: rule.into(),
            r#in: Traffic {
                packets: counters.in_packets,
                bytes: counters.in_bytes,
                icmp_errors: counters.in_errors,
            },
            out: Traffic {
                packets: counters.out_packets,
                bytes: counters.out_bytes,
                icmp_errors: counters.out_errors,
            },
            connections: counters.connections,
        });
        Self {
            schema: SCHEMA,
            name,
            rules: rules.collect(),
            skipped: snapshot.skipped.clone(),
            listening: listeners::Document::default(),
        }
    }

    pub fn listening(self, listening: listeners::Document) -> Self {
        Self { listening, ..self }
    }
}

/// The same for people; reasons at 0 are left out.
pub fn text(snapshot: &Snapshot) -> String {
    let header = [
        "RULE",
        "IN PACKETS",
        "IN BYTES",
        "OUT PACKETS",
        "OUT BYTES",
        "CONNECTIONS",
        "ICMP ERRORS",
    ];
    let mut rules = table(&header, 1..7);
    for (rule, counters) in &snapshot.rules {
        rules.add_row([
            rule.to_string(),
            counters.in_packets.to_string(),
            counters.in_bytes.to_string(),
            counters.out_packets.to_string(),
            counters.out_bytes.to_string(),
            counters.connections.to_string(),
            (counters.in_errors + counters.out_errors).to_string(),
        ]);
    }
    let mut skipped = table(&["SKIPPED", "PACKETS"], 1..2);
    let mut any = false;
    for (reason, packets) in snapshot.skipped.iter().filter(|(_, packets)| **packets > 0) {
        skipped.add_row([reason.to_string(), packets.to_string()]);
        any = true;
    }
    let mut text = render(&rules);
    if any {
        text += "\n";
        text += &render(&skipped);
    }
    text
}
