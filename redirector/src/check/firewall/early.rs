//! Rules that were about a wire port before the redirect, in chains that meet a packet before netfilter's own
//! redirect would, or by the port that conntrack saw first. They see the target port from now on.

use super::{
    conditions::{Packet, Tri, Way, fits, matched},
    message::{RuleText, place},
    ruleset::{Chain, Family, Field, Hook, Rule as FirewallRule, Step, Table, Verdict},
};
use crate::{
    check::{Finding, Level, interfaces, subject},
    config::{Config, Rule},
};

const ID: &str = "early-rule";

/// As deep as jumps are followed; the kernel allows no more (NFT_JUMP_STACK_SIZE).
const DEEPEST: u8 = 16;

/// One for each chain in which a rule names the wire port, and none the target.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &config.rules {
        for &(table, name, chain) in chains {
            let reached = Reached::by(table, name, chain);
            if let Some((inner, lost)) = reached.lost(config, rule) {
                findings.push(finding(rule, table, inner, text(table, inner, &lost.name)));
            }
        }
    }
    findings
}

/// The rules of a base chain and of those that it jumps to, each with its chain's name.
struct Reached<'a> {
    table: &'a Table,
    devices: &'a [String],
    /// Only what is about the port that conntrack saw first.
    is_late: bool,
    rules: Vec<(&'a str, &'a FirewallRule)>,
}

impl<'a> Reached<'a> {
    fn by(table: &'a Table, name: &'a str, chain: &'a Chain) -> Self {
        let mut reached = Self {
            table,
            devices: &[],
            is_late: false,
            rules: Vec::new(),
        };
        let Some(base) = chain.base.as_ref().filter(|base| !base.nat) else {
            return reached;
        };
        reached.devices = &base.devices;
        match base.hook {
            Hook::Ingress | Hook::Prerouting => {}
            Hook::Input => reached.is_late = true,
            Hook::Output | Hook::Elsewhere => return reached,
        }
        reached.follow(name, chain, DEEPEST);
        reached
    }

    fn follow(&mut self, name: &'a str, chain: &'a Chain, depth: u8) {
        for rule in &chain.rules {
            self.rules.push((name, rule));
            for step in &rule.steps {
                if let Step::Verdict(Verdict::Jump(next) | Verdict::Goto(next)) = step
                    && depth > 0
                    && let Some((next, chain)) = self.table.chains.get_key_value(next)
                {
                    self.follow(next, chain, depth - 1);
                }
            }
        }
    }

    /// The first rule that meets packets to the wire port and none to the target, unless another one does
    /// so the other way round.
    fn lost(&self, config: &Config, rule: &Rule) -> Option<(&'a str, &'a FirewallRule)> {
        let meets_only = |inner: &FirewallRule, port: u16, other: u16| {
            self.packets(config, rule)
                .any(|packet| meets(inner, packet(port)) && !meets(inner, packet(other)))
        };
        let (from, to) = (rule.from.get(), rule.to.get());
        let mut candidates = self
            .rules
            .iter()
            .filter(|(_, inner)| !self.is_late || inner.steps.iter().any(is_about_original));
        if candidates
            .clone()
            .any(|(_, inner)| meets_only(inner, to, from))
        {
            return None;
        }
        candidates
            .find(|(_, inner)| meets_only(inner, from, to))
            .copied()
    }

    /// A first packet of the rule on each of its interfaces, by its port.
    fn packets<'b>(
        &'b self,
        config: &'b Config,
        rule: &'b Rule,
    ) -> impl Iterator<Item = impl Fn(u16) -> Packet<'b>> {
        let families: &[bool] = match self.table.family {
            Family::Ip => &[false],
            Family::Ip6 => &[true],
            Family::Inet | Family::Netdev => &[false, true],
        };
        let is_here =
            |name: &&str| self.devices.is_empty() || self.devices.iter().any(|each| each == name);
        interfaces(config, rule)
            .filter(is_here)
            .flat_map(move |interface| families.iter().map(move |&ipv6| (interface, ipv6)))
            .filter(|(_, ipv6)| {
                rule.address
                    .is_none_or(|address| address.is_ipv6() == *ipv6)
            })
            .map(move |(interface, ipv6)| {
                move |port| Packet {
                    ipv6,
                    protocol: rule.protocol,
                    port,
                    interface,
                    destination: rule.address,
                    way: Way::In,
                }
            })
    }
}

fn meets(rule: &FirewallRule, packet: Packet<'_>) -> bool {
    rule.steps.iter().all(|step| match step {
        Step::Match(condition) => matched(condition, &packet) != Tri::No,
        Step::Map(key, entries) => entries
            .iter()
            .any(|(value, _)| fits(key, value, &packet) != Tri::No),
        Step::Verdict(_) => true,
    })
}

fn is_about_original(step: &Step) -> bool {
    match step {
        Step::Match(condition) => condition.key.contains(&Field::OriginalPort),
        Step::Map(key, _) => key.contains(&Field::OriginalPort),
        Step::Verdict(_) => false,
    }
}

fn finding(rule: &Rule, table: &Table, chain: &str, written: String) -> Finding {
    let Rule {
        from, to, protocol, ..
    } = rule;
    let message = format!(
        "`{written}` in {} is about {from}/{protocol}, and sees {to}/{protocol} once that is redirected",
        place(table, chain)
    );
    Finding {
        forbids_import: true,
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(format!("repeat it there for {to}/{protocol}"))
}
