//! Does a host firewall let the target port in? The rewrite comes before netfilter, which sees the target port only.

mod answers;
mod bridge_calls;
mod bridged;
pub mod conditions;
mod early;
mod evaluate;
mod iptables;
mod iptables_options;
mod kernel;
mod masquerade;
mod message;
mod new_source;
mod nft;
mod nft_match;
mod nft_statement;
mod read;
pub mod ruleset;

use std::{collections::HashMap, net::IpAddr};

use self::{
    bridge_calls::Calls,
    conditions::Packet,
    evaluate::{Answer, answer},
    masquerade::Masqueraded,
    message::{Obstacle, Way, finding, scope},
    ruleset::{Chain, PortGroups, Table},
};
pub use self::{
    message::{RuleText, place, plain_text},
    read::{read, texts},
};
use super::{Finding, Level, Versions, interface::Links, interfaces, subject};
use crate::config::{Config, Protocol, Rule};

const ID: &str = "firewall";

pub struct Firewall {
    pub tables: Vec<Table>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    /// Whether bridges have it look at what they carry.
    pub bridges_call: Calls,
    pub masqueraded: Masqueraded,
}

impl Firewall {
    /// Whether a chain of type nat is there, with or without rules.
    pub fn translates(&self) -> bool {
        let chains = self.tables.iter().flat_map(|table| table.chains.values());
        chains
            .filter_map(|chain| chain.base.as_ref())
            .any(|base| base.nat)
    }
}

pub fn findings(
    config: &Config,
    firewall: &Firewall,
    links: &Links,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !firewall.unread.is_empty() {
        let message = format!(
            "the firewall could not be read, so it may stop these ports: {}",
            firewall.unread.join("; ")
        );
        findings.push(
            Finding::new(ID, Level::Warning, ID, message)
                .help("run this as root, with nft and iptables installed"),
        );
    }
    let mut judge = Judge {
        chains: base_chains(&firewall.tables),
        groups: PortGroups::new(&firewall.tables),
        known: HashMap::new(),
        locals: links
            .values()
            .flat_map(|link| link.addresses.clone())
            .collect(),
        complete: firewall.unread.is_empty(),
    };
    for rule in &config.rules {
        let own = judge.rule(config, rule, links, text);
        if own.is_empty() && firewall.unread.is_empty() {
            let message = format!("no firewall stops {}/{}", rule.to, rule.protocol);
            findings.push(Finding::new(ID, Level::Ok, subject(rule), message));
        }
        findings.extend(own);
    }
    findings.extend(early::findings(config, &judge.chains, &judge.locals, text));
    findings.extend(bridged::findings(
        config,
        &judge.chains,
        links,
        &firewall.bridges_call,
        text,
    ));
    findings.extend(answers::findings(config, &judge.chains, links, text));
    findings.extend(masquerade::findings(
        config,
        &judge.chains,
        links,
        firewall.masqueraded,
        text,
    ));
    findings
}

fn base_chains(tables: &[Table]) -> Vec<(&Table, &str, &Chain)> {
    let mut chains: Vec<_> = tables
        .iter()
        .flat_map(|table| {
            table
                .chains
                .iter()
                .map(move |(name, chain)| (table, name.as_str(), chain))
        })
        .filter(|(_, _, chain)| chain.base.is_some())
        .collect();
    chains.sort_by(|a, b| (&a.0.name, a.1).cmp(&(&b.0.name, b.1)));
    chains
}

type Question<'a> = (usize, Protocol, Option<IpAddr>, &'a str, bool);

struct Judge<'a> {
    chains: Vec<(&'a Table, &'a str, &'a Chain)>,
    groups: PortGroups,
    known: HashMap<Question<'a>, Vec<Obstacle<'a>>>,
    locals: Vec<IpAddr>,
    /// Everything could be read.
    complete: bool,
}

impl<'a> Judge<'a> {
    fn rule(
        &mut self,
        config: &'a Config,
        rule: &'a Rule,
        links: &Links,
        text: &RuleText<'_>,
    ) -> Vec<Finding> {
        let ways = ways(config, rule, links);
        let mut met: Vec<(Obstacle<'a>, Vec<Way<'a>>)> = Vec::new();
        for way in &ways {
            for obstacle in self.obstacles(rule, *way, rule.to.get()) {
                let same = |(other, _): &&mut (Obstacle<'_>, _)| {
                    std::ptr::eq(other.table, obstacle.table)
                        && other.chain == obstacle.chain
                        && other.answer == obstacle.answer
                };
                match met.iter_mut().find(same) {
                    Some((_, ways)) => ways.push(*way),
                    None => met.push((obstacle, vec![*way])),
                }
            }
        }
        let mut findings = Vec::new();
        for (obstacle, stopped) in met {
            // An operator who restricts the source port too knows what they do.
            let as_the_source = self.complete
                && stopped.iter().all(|way| {
                    self.obstacles(rule, *way, rule.from.get())
                        .iter()
                        .any(|o| matches!(o.answer, Answer::Partly { .. }))
                });
            let versions = Versions {
                ipv4: stopped.iter().any(|way| !way.ipv6),
                ipv6: stopped.iter().any(|way| way.ipv6),
            };
            findings.push(finding(
                rule,
                &obstacle,
                (&scope(&ways, &stopped), &versions),
                as_the_source,
                text,
            ));
        }
        findings
    }

    fn obstacles(&mut self, rule: &Rule, way: Way<'a>, port: u16) -> Vec<Obstacle<'a>> {
        let Way { interface, ipv6 } = way;
        let question = (
            self.groups.of(port),
            rule.protocol,
            rule.address,
            interface,
            ipv6,
        );
        if let Some(known) = self.known.get(&question) {
            return known.clone();
        }
        let packet = Packet {
            ipv6,
            protocol: rule.protocol,
            port,
            interface,
            destination: rule.address,
            source: None,
            locals: &self.locals,
            way: conditions::Way::In,
        };
        let found: Vec<_> = self
            .chains
            .iter()
            .filter_map(
                |&(table, chain, inner)| match answer(table, chain, inner, &packet)? {
                    Answer::Open => None,
                    answer => Some(Obstacle {
                        table,
                        chain,
                        answer,
                    }),
                },
            )
            .collect();
        self.known.insert(question, found.clone());
        found
    }
}

fn ways<'a>(config: &'a Config, rule: &'a Rule, links: &Links) -> Vec<Way<'a>> {
    let mut ways = Vec::new();
    for interface in interfaces(config, rule) {
        let routable = links.get(interface).is_some_and(|link| link.routable_ipv6);
        for ipv6 in [false, true] {
            if rule
                .address
                .map_or(!ipv6 || routable, |address| address.is_ipv6() == ipv6)
            {
                ways.push(Way { interface, ipv6 });
            }
        }
    }
    ways
}

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod tests;
