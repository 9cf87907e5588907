//! nft counters of a host: an independent count of what was redirected.

use serde_json::Value;

use crate::datapath::nft;
use crate::netns::Namespace;
use crate::redirector::json;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub packets: u64,
    /// IP packets, network header included; a GSO super-packet is one packet.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub incoming: Count,
    pub outgoing: Count,
}

/// Counts what enters for a target port and what leaves from it: on ingress the redirection is
/// done before `input`, and on egress it is undone after `postrouting`, so that only targets are
/// seen here.
pub struct NftCounters(Namespace);

impl NftCounters {
    /// Watches targets such as `tcp 8000` and `udp 5353`.
    pub fn start(host: &Namespace, targets: &[(&str, u16)]) -> Self {
        let mut counters = String::new();
        let [mut incoming, mut outgoing] = [String::new(), String::new()];
        for (protocol, port) in targets {
            let [name_in, name_out] = ["in", "out"].map(|side| name(protocol, *port, side));
            counters += &format!("counter {name_in} {{ }}\ncounter {name_out} {{ }}\n");
            incoming += &format!("{protocol} dport {port} counter name {name_in}\n");
            outgoing += &format!("{protocol} sport {port} counter name {name_out}\n");
        }
        nft(
            host,
            &format!(
                "table inet witness {{
                     {counters}
                     chain incoming {{ type filter hook input priority raw; {incoming} }}
                     chain outgoing {{ type filter hook postrouting priority raw; {outgoing} }}
                 }}"
            ),
        );
        Self(host.clone())
    }

    pub fn read(&self, protocol: &str, port: u16) -> Counts {
        let count = |side| named(&self.0, "witness", &name(protocol, port, side));
        Counts {
            incoming: count("in"),
            outgoing: count("out"),
        }
    }
}

/// A counter by name, of a table of family `inet`.
pub fn named(host: &Namespace, table: &str, name: &str) -> Count {
    let listing = json(&host.run(&format!("nft --json list counters table inet {table}")));
    let counter = listing["nftables"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|object| &object["counter"])
        .find(|counter| counter["name"] == name)
        .unwrap_or_else(|| panic!("a counter named {name} in {listing}"));
    count_of(counter)
}

/// The counts of one rule in `stats --json`.
pub fn counts_of_rule(stats: &Value, protocol: &str, from: u16) -> Counts {
    let rule = rule(stats, protocol, from);
    Counts {
        incoming: count_of(&rule["in"]),
        outgoing: count_of(&rule["out"]),
    }
}

/// One rule of `stats --json` or `status --json`.
pub fn rule<'a>(document: &'a Value, protocol: &str, from: u16) -> &'a Value {
    document["rules"]
        .as_array()
        .and_then(|rules| {
            rules
                .iter()
                .find(|rule| rule["protocol"] == protocol && rule["from"] == from)
        })
        .unwrap_or_else(|| panic!("a rule {protocol} {from} in {document}"))
}

fn count_of(object: &Value) -> Count {
    let number = |field: &str| {
        object[field]
            .as_u64()
            .unwrap_or_else(|| panic!("a number `{field}` in {object}"))
    };
    Count {
        packets: number("packets"),
        bytes: number("bytes"),
    }
}

fn name(protocol: &str, port: u16, side: &str) -> String {
    format!("{protocol}_{port}_{side}")
}
