//! Does netfilter meet a bridge's packets at its ports, before they come to the bridge (`br_netfilter`)? To conntrack a
//! client is connected to the wire port then, and answered by another: all but its first packet is invalid.

use std::net::IpAddr;

use super::{
    ID,
    bridge_calls::{Calls, Switch},
    conditions::{Packet, Way},
    evaluate::{Answer, answer, shut},
    message::{self, RuleText, accept_first, stopped_by},
    ruleset::{Chain, Hook, Table},
    ways,
};
use crate::{
    check::{Finding, Level, Versions, interface::Links, interfaces, subject},
    config::{Config, Protocol, Rule},
};

/// One for each bridge with ports and each chain that certainly stops what is invalid there. Of UDP nothing is.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    links: &Links,
    calls: &Calls,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let has_ports = |name: &&str| {
        links
            .values()
            .any(|link| link.bridge.as_deref() == Some(*name))
    };
    let locals: Vec<_> = links
        .values()
        .flat_map(|link| &link.addresses)
        .copied()
        .collect();
    let mut findings = Vec::new();
    let is_tcp = |rule: &&Rule| rule.protocol == Protocol::Tcp;
    for rule in config.rules.iter().filter(is_tcp) {
        let ways = ways(config, rule, links);
        for bridge in interfaces(config, rule).filter(has_ports) {
            let is_called =
                |way: &&message::Way<'_>| way.interface == bridge && calls.of(bridge).has(way.ipv6);
            let called: Vec<_> = ways.iter().filter(is_called).map(|way| way.ipv6).collect();
            for chain in chains {
                let Some(passage) = Passage::by(rule, bridge, chain.2) else {
                    continue;
                };
                let met = called
                    .iter()
                    .filter_map(|ipv6| passage.packet(*ipv6, &locals, chain));
                if let Some((cause, versions)) = shut(*chain, met) {
                    let stopped = stopped_by(&cause, chain.0, text);
                    let switches = calls.switches(bridge, versions);
                    findings.push(finding(
                        rule,
                        &passage,
                        (versions, &switches),
                        &stopped,
                        chain,
                    ));
                }
            }
        }
    }
    findings
}

/// Where a chain sees packets of a rule.
struct Passage<'a> {
    rule: &'a Rule,
    bridge: &'a str,
    port: u16,
    is_answer: bool,
}

impl<'a> Passage<'a> {
    /// Prerouting is passed at the bridge's ports, ahead of the rewrite.
    fn by(rule: &'a Rule, bridge: &'a str, chain: &Chain) -> Option<Self> {
        let (port, is_answer) = match chain.base.as_ref()?.hook {
            Hook::Prerouting => (rule.from, false),
            Hook::Input => (rule.to, false),
            Hook::Output | Hook::Postrouting => (rule.to, true),
            Hook::Ingress | Hook::Elsewhere => return None,
        };
        Some(Self {
            rule,
            bridge,
            port: port.get(),
            is_answer,
        })
    }

    /// `None` where the first packet is stopped as well, which is not for the bridge to be blamed for.
    fn packet<'b>(
        &self,
        ipv6: bool,
        locals: &'b [IpAddr],
        &(table, name, chain): &(&Table, &str, &Chain),
    ) -> Option<Packet<'b>>
    where
        'a: 'b,
    {
        let later = Packet {
            ipv6,
            protocol: self.rule.protocol,
            port: self.port,
            interface: self.bridge,
            destination: self.rule.address.filter(|_| !self.is_answer),
            source: None,
            locals,
            way: if self.is_answer { Way::Out } else { Way::Later },
        };
        let first = Packet {
            way: Way::In,
            ..later
        };
        let is_open =
            self.is_answer || !matches!(answer(table, name, chain, &first), Some(Answer::Shut(_)));
        is_open.then_some(later)
    }

    /// What to accept, in the words of iptables and of nft.
    fn words(&self) -> (String, String) {
        let Self { bridge, port, .. } = self;
        let protocol = self.rule.protocol;
        let (way, end) = match self.is_answer {
            true => ('o', "sport"),
            false => ('i', "dport"),
        };
        (
            format!("-{way} {bridge} -p {protocol} --{end} {port}"),
            format!("{way}ifname {bridge} {protocol} {end} {port}"),
        )
    }
}

fn finding(
    rule: &Rule,
    passage: &Passage<'_>,
    (versions, switches): (Versions, &[Switch<'_>]),
    cause: &str,
    &(table, name, _): &(&Table, &str, &Chain),
) -> Finding {
    let Rule { from, protocol, .. } = rule;
    let Passage { bridge, .. } = passage;
    let names: Vec<_> = switches.iter().map(ToString::to_string).collect();
    let message = format!(
        "connections to {from}/{protocol} by the ports of {bridge}{} are stopped by {cause}: there netfilter comes before the \
         redirector ({}), and to conntrack all is invalid but the first packet",
        versions.scope(),
        names.join(", ")
    );
    let off: Vec<_> = switches.iter().map(Switch::off).collect();
    let (by_iptables, by_nft) = passage.words();
    Finding {
        forbids_import: versions,
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(format!(
        "{}, or accept them before that: {}",
        off.join(" && "),
        accept_first(table, name, &by_iptables, &by_nft)
    ))
}

#[cfg(test)]
#[path = "bridged_tests.rs"]
mod tests;
