//! Holds a draft against the host and its own rules. No I/O.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    net::IpAddr,
};

use super::{
    Config, Hook, Interface, MAX_RULES, Port, Protocol, Rule,
    draft::{Draft, DraftRule, Origin, Word},
    error::{Earlier, Error, Existing, Problem},
};
use crate::host::Network;

const DEFAULT_INTERFACE: &str = "eth0";
const LOOPBACK: &str = "lo";

/// A valid configuration, and what its user should hear about it.
#[derive(Debug)]
pub struct Resolved {
    pub config: Config,
    pub origin: Origin,
    pub notices: Vec<Notice>,
}

/// Not wrong, but worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// eth0 is missing and nobody named an interface.
    DefaultRoute { interface: String },
    /// The target of a rule is the source of another one.
    NotChained {
        rule: String,
        next: String,
        more: usize,
    },
}

impl Draft {
    /// Takes time linear in the number of rules.
    pub fn lower(self, network: &Network) -> Result<Resolved, Error> {
        if self.xdp_mode.is_some() && self.hook != Hook::Xdp {
            return Err(Error::new(Problem::ModeWithoutXdp));
        }
        let mut notices = Vec::new();
        let interfaces = self.instance_interfaces(network, &mut notices)?;
        let rules = self.rules(network, &interfaces)?;
        notices.extend(not_chained(&rules));
        Ok(Resolved {
            config: Config {
                interfaces,
                hook: self.hook,
                xdp_mode: self.xdp_mode.unwrap_or_default(),
                rules,
            },
            origin: self.origin,
            notices,
        })
    }

    fn instance_interfaces(
        &self,
        network: &Network,
        notices: &mut Vec<Notice>,
    ) -> Result<Vec<Interface>, Error> {
        if !self.interfaces.is_empty() {
            let find = |word: &Word| {
                network
                    .interface(&word.text)
                    .ok_or_else(|| self.unknown_interface(word, network))
            };
            return each_once(self.interfaces.iter().map(find));
        }
        let first = match (network.interface(DEFAULT_INTERFACE), &network.default_route) {
            (Some(_), _) => DEFAULT_INTERFACE,
            (None, Some(interface)) => {
                notices.push(Notice::DefaultRoute {
                    interface: interface.clone(),
                });
                interface
            }
            (None, None) => return Err(Error::new(Problem::NoDefaultRoute(existing(network)))),
        };
        each_once([first, LOOPBACK].into_iter().map(|name| {
            let word = Word {
                text: name.to_owned(),
                span: None,
            };
            network
                .interface(name)
                .ok_or_else(|| self.unknown_interface(&word, network))
        }))
    }

    fn rules(&self, network: &Network, instance: &[Interface]) -> Result<Vec<Rule>, Error> {
        let entries = self
            .rules
            .iter()
            .map(|rule| rule.spec.protocol.each().len() * rule.interfaces.len().max(1))
            .sum();
        if entries > MAX_RULES {
            return Err(Error::new(Problem::TooManyRules(entries)));
        }
        let instance: HashMap<_, _> = instance
            .iter()
            .map(|interface| (interface.name.as_str(), interface))
            .collect();
        let mut rules = Vec::with_capacity(entries);
        let mut seen = HashMap::with_capacity(entries);
        for draft in &self.rules {
            let find = |word: &Word| {
                instance
                    .get(word.text.as_str())
                    .copied()
                    .ok_or_else(|| self.foreign_interface(draft, word, network, &instance))
            };
            let interfaces = each_once(draft.interfaces.iter().map(find))?;
            for &protocol in draft.spec.protocol.each() {
                let rule = Rule {
                    protocol,
                    address: draft.spec.address,
                    from: draft.spec.from,
                    to: draft.spec.to,
                    interfaces: interfaces.clone(),
                };
                for key in keys(&rule) {
                    match seen.entry(key) {
                        Entry::Vacant(entry) => _ = entry.insert(draft),
                        Entry::Occupied(entry) => return Err(self.conflict(entry.get(), draft)),
                    }
                }
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    fn conflict(&self, first: &DraftRule, rule: &DraftRule) -> Error {
        let earlier = Earlier {
            rule: first.spec.clone(),
            line: self.line(first.span.as_ref()),
        };
        let spec = rule.spec.clone();
        let problem = if first.spec.to == rule.spec.to {
            Problem::Duplicate {
                rule: spec,
                first: earlier,
            }
        } else {
            Problem::Contradiction {
                rule: spec,
                first: earlier,
            }
        };
        self.error(rule.span.as_ref(), problem)
    }

    fn foreign_interface(
        &self,
        rule: &DraftRule,
        word: &Word,
        network: &Network,
        instance: &HashMap<&str, &Interface>,
    ) -> Error {
        if network.interface(&word.text).is_none() {
            return self.unknown_interface(word, network);
        }
        let mut names: Vec<_> = instance.keys().copied().collect();
        names.sort_unstable();
        let problem = Problem::ForeignInterface {
            rule: rule.spec.clone(),
            name: word.text.clone(),
            instance: names.join(", "),
        };
        self.error(word.span.as_ref(), problem)
    }

    fn unknown_interface(&self, word: &Word, network: &Network) -> Error {
        let (name, host) = (word.text.clone(), existing(network));
        let problem = if self.keeps_interfaces {
            Problem::LoadedInterface { name, host }
        } else {
            Problem::UnknownInterface { name, host }
        };
        self.error(word.span.as_ref(), problem)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultRoute { interface } => write!(
                f,
                "{DEFAULT_INTERFACE} does not exist and no interface was named: \
                 using {interface}, the default route's, and {LOOPBACK}"
            ),
            Self::NotChained { rule, next, more } => {
                write!(f, "the target of {rule} is the source of {next}: ")?;
                f.write_str("a packet is rewritten once, rules do not chain")?;
                match more {
                    0 => Ok(()),
                    more => write!(f, " (and {more} more such rules)"),
                }
            }
        }
    }
}

/// Two rules with a key in common are a duplicate or a contradiction.
fn keys(rule: &Rule) -> Vec<(Protocol, Option<IpAddr>, Port, Option<u32>)> {
    let key = |interface| (rule.protocol, rule.address, rule.from, interface);
    match rule.interfaces.as_slice() {
        [] => vec![key(None)],
        interfaces => interfaces
            .iter()
            .map(|interface| key(Some(interface.index)))
            .collect(),
    }
}

/// One notice at most, however many rules there are.
fn not_chained(rules: &[Rule]) -> Option<Notice> {
    let sources: HashMap<_, _> = rules
        .iter()
        .rev()
        .map(|rule| ((rule.protocol, rule.from), rule))
        .collect();
    let mut chains = rules
        .iter()
        .filter_map(|rule| Some((rule, *sources.get(&(rule.protocol, rule.to))?)));
    let (rule, next) = chains.next()?;
    Some(Notice::NotChained {
        rule: rule.to_string(),
        next: next.to_string(),
        more: chains.count(),
    })
}

/// In the order given.
fn each_once<'a>(
    interfaces: impl Iterator<Item = Result<&'a Interface, Error>>,
) -> Result<Vec<Interface>, Error> {
    let mut unique: Vec<Interface> = Vec::new();
    for interface in interfaces {
        let interface = interface?;
        if !unique.contains(interface) {
            unique.push(interface.clone());
        }
    }
    Ok(unique)
}

fn existing(network: &Network) -> Existing {
    Existing {
        names: network
            .interfaces
            .iter()
            .map(|interface| interface.name.clone())
            .collect(),
        default_route: network.default_route.clone(),
    }
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
