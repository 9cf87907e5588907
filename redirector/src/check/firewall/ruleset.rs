//! What nft and iptables agree on: tables of chains of rules, lowered to the tests a packet meets.

use std::{collections::HashMap, net::IpAddr};

use super::new_source::NewSource;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Ip,
    Ip6,
    Inet,
    Netdev,
}

impl Family {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Netdev => "netdev",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Output,
    Postrouting,
    /// Forward, egress: never met by a packet for this host.
    Elsewhere,
}

#[derive(Debug)]
pub struct Table {
    /// The command that edits this table: `nft`, `iptables`, `ip6tables-legacy`, ...
    pub tool: &'static str,
    pub family: Family,
    pub name: String,
    pub chains: HashMap<String, Chain>,
}

#[derive(Debug, Default)]
pub struct Chain {
    pub base: Option<Base>,
    pub rules: Vec<Rule>,
}

#[derive(Debug)]
pub struct Base {
    pub hook: Hook,
    pub nat: bool,
    pub policy_drops: bool,
    /// Empty: every device.
    pub devices: Vec<String>,
}

#[derive(Debug)]
pub struct Rule {
    pub name: RuleName,
    pub steps: Vec<Step>,
}

/// How a message can show the rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleName {
    /// nft's JSON has no text; the handle finds it in `nft -a list chain`.
    Handle(u64),
    Text(String),
}

#[derive(Debug)]
pub enum Step {
    Match(Match),
    Map(Vec<Field>, Vec<(Vec<Value>, Verdict)>),
    Verdict(Verdict),
}

/// One of `values` fits; each value has one part per field of `key`.
#[derive(Debug)]
pub struct Match {
    pub key: Vec<Field>,
    pub values: Vec<Vec<Value>>,
    pub negated: bool,
}

impl Match {
    pub fn one(field: Field, value: Value) -> Self {
        Self {
            key: vec![field],
            values: vec![vec![value]],
            negated: false,
        }
    }

    /// A condition that cannot be evaluated; `usually` is what most packets will meet.
    pub fn opaque(usually: bool) -> Self {
        Self {
            negated: usually,
            ..Self::one(Field::Opaque, Value::Opaque)
        }
    }

    /// About TCP flags, by whether a lone SYN meets it.
    pub fn lone_syn(holds: bool) -> Self {
        Self::one(Field::LoneSyn, Value::Number(holds.into()))
    }

    pub fn constant(holds: bool) -> Self {
        Self {
            negated: !holds,
            ..Self::one(Field::Opaque, Value::Any)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Port,
    /// That conntrack saw first. It has seen no other, if the redirect is ours.
    OriginalPort,
    Protocol,
    Version,
    Interface,
    OutInterface,
    Source,
    Destination,
    DestinationType,
    PacketType,
    ConnectionState,
    ConnectionStatus,
    ConnectionDirection,
    /// TCP flags: 1 for a condition that a lone SYN meets, else 0.
    LoneSyn,
    Opaque,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Any,
    Number(u64),
    Range(u64, u64),
    /// A name, or for interfaces a pattern that may end in `*`.
    Name(String),
    Prefix(IpAddr, u8),
    Opaque,
}

impl Value {
    pub fn name(name: &str) -> Self {
        Self::Name(name.to_owned())
    }

    pub fn address(text: &str) -> Self {
        let (address, length) = text
            .split_once('/')
            .map_or((text, None), |(a, l)| (a, Some(l)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Self::Opaque;
        };
        let whole = if address.is_ipv4() { 32 } else { 128 };
        match length.map_or(Ok(whole), str::parse) {
            Ok(length) if length <= whole => Self::Prefix(address, length),
            _ => Self::Opaque,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    Return,
    Continue,
    Jump(String),
    Goto(String),
    /// Destination NAT, to the place in words: `port 8000`, `172.17.0.2:8080`.
    Translate(String),
    /// Source NAT. Where the source stays, it accepts.
    Source(NewSource),
    Opaque,
}

/// Ports that no rule tells apart get the same verdict: this gives each such group a number.
pub struct PortGroups(Vec<u64>);

impl PortGroups {
    pub fn new(tables: &[Table]) -> Self {
        let mut edges = Vec::new();
        for step in tables
            .iter()
            .flat_map(|t| t.chains.values())
            .flat_map(|c| &c.rules)
            .flat_map(|r| &r.steps)
        {
            match step {
                Step::Match(m) => m
                    .values
                    .iter()
                    .for_each(|v| edges_of(&m.key, v, &mut edges)),
                Step::Map(key, entries) => entries
                    .iter()
                    .for_each(|(v, _)| edges_of(key, v, &mut edges)),
                Step::Verdict(_) => {}
            }
        }
        edges.sort_unstable();
        edges.dedup();
        Self(edges)
    }

    pub fn of(&self, port: u16) -> usize {
        self.0.partition_point(|edge| *edge <= u64::from(port))
    }
}

fn edges_of(key: &[Field], values: &[Value], edges: &mut Vec<u64>) {
    for (field, value) in key.iter().zip(values) {
        match (field, value) {
            (Field::Port | Field::OriginalPort, Value::Number(n)) => {
                edges.extend([*n, n.saturating_add(1)])
            }
            (Field::Port | Field::OriginalPort, Value::Range(low, high)) => {
                edges.extend([*low, high.saturating_add(1)])
            }
            _ => {}
        }
    }
}
