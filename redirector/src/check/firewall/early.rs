//! Rules that were about a wire port before the redirect, in chains that meet a packet before netfilter's own
//! redirect would, or by the port that conntrack saw first. They see the target port from now on.

use std::net::IpAddr;

use super::{
    conditions::{Packet, Tri, Way, fits, matched},
    message::{RuleText, place},
    ruleset::{Chain, Family, Field, Hook, Rule as FirewallRule, Step, Table, Value, Verdict},
};
use crate::{
    check::{Finding, Level, Versions, interfaces, subject},
    config::{Config, Rule},
};

const ID: &str = "early-rule";

/// Conditions of jumps within jumps; the kernel allows 16 jumps (NFT_JUMP_STACK_SIZE).
const DEEPEST: usize = 32;

/// Rules by all ways that lead to them.
const MOST: usize = 100_000;

/// One for each chain in which a rule names the wire port, and none the target.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    locals: &[IpAddr],
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &(table, name, chain) in chains {
        let reached = Reached::by(table, name, chain, locals);
        for rule in &config.rules {
            if let Some((inner, lost)) = reached.lost(config, rule) {
                findings.push(finding(rule, table, inner, text(table, inner, &lost.name)));
            }
        }
    }
    findings
}

/// The rules of a base chain and of those that it jumps to.
struct Reached<'a> {
    table: &'a Table,
    devices: &'a [String],
    locals: &'a [IpAddr],
    /// Only what is about the port that conntrack saw first.
    is_late: bool,
    rules: Vec<Place<'a>>,
}

/// A rule, its chain's name, and what a packet must meet to come there.
struct Place<'a> {
    chain: &'a str,
    rule: &'a FirewallRule,
    guards: Vec<Guard<'a>>,
}

#[derive(Clone, Copy)]
enum Guard<'a> {
    Rule(&'a [Step]),
    Entry(&'a [Field], &'a [Value]),
}

impl<'a> Reached<'a> {
    fn by(table: &'a Table, name: &'a str, chain: &'a Chain, locals: &'a [IpAddr]) -> Self {
        let mut reached = Self {
            table,
            devices: &[],
            locals,
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
            Hook::Output | Hook::Postrouting | Hook::Elsewhere => return reached,
        }
        reached.follow(name, chain, &[]);
        reached
    }

    fn follow(&mut self, name: &'a str, chain: &'a Chain, guards: &[Guard<'a>]) {
        for rule in &chain.rules {
            self.rules.push(Place {
                chain: name,
                rule,
                guards: guards.to_vec(),
            });
            for step in &rule.steps {
                match step {
                    Step::Verdict(verdict) => {
                        self.jump(verdict, guards, &[Guard::Rule(&rule.steps)]);
                    }
                    Step::Map(key, entries) => entries.iter().for_each(|(value, verdict)| {
                        let own = [Guard::Rule(&rule.steps), Guard::Entry(key, value)];
                        self.jump(verdict, guards, &own);
                    }),
                    Step::Match(_) => {}
                }
            }
        }
    }

    fn jump(&mut self, verdict: &'a Verdict, guards: &[Guard<'a>], own: &[Guard<'a>]) {
        if let Verdict::Jump(next) | Verdict::Goto(next) = verdict
            && guards.len() < DEEPEST
            && self.rules.len() < MOST
            && let Some((next, chain)) = self.table.chains.get_key_value(next)
        {
            self.follow(next, chain, &[guards, own].concat());
        }
    }

    /// The first rule that meets packets to the wire port and none to the target, unless another one does
    /// so the other way round.
    fn lost(&self, config: &Config, rule: &Rule) -> Option<(&'a str, &'a FirewallRule)> {
        let meets_only = |place: &Place<'_>, port: u16, other: u16| {
            self.packets(config, rule)
                .any(|packet| place.meets(packet(port)) && !place.meets(packet(other)))
        };
        let (from, to) = (rule.from.get(), rule.to.get());
        let mut candidates = self
            .rules
            .iter()
            .filter(|place| !self.is_late || place.rule.steps.iter().any(is_about_original));
        if candidates.clone().any(|place| meets_only(place, to, from)) {
            return None;
        }
        candidates
            .find(|place| meets_only(place, from, to))
            .map(|place| (place.chain, place.rule))
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
                    source: None,
                    locals: self.locals,
                    way: Way::In,
                }
            })
    }
}

impl Place<'_> {
    /// Whether a packet may come to it, and meet its conditions.
    fn meets(&self, packet: Packet<'_>) -> bool {
        let guards = self.guards.iter().all(|guard| match guard {
            Guard::Rule(steps) => meets(steps, &packet),
            Guard::Entry(key, value) => fits(key, value, &packet) != Tri::No,
        });
        guards && meets(&self.rule.steps, &packet)
    }
}

fn meets(steps: &[Step], packet: &Packet<'_>) -> bool {
    steps.iter().all(|step| match step {
        Step::Match(condition) => matched(condition, packet) != Tri::No,
        Step::Map(key, entries) => entries
            .iter()
            .any(|(value, _)| fits(key, value, packet) != Tri::No),
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
        forbids_import: Versions {
            ipv4: table.family != Family::Ip6,
            ipv6: table.family != Family::Ip,
        },
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(format!("repeat it there for {to}/{protocol}"))
}
