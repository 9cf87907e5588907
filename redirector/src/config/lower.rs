//! Holds a draft against the host and its own rules. No I/O.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    net::IpAddr,
};

use super::{
    Config, Hook, MAX_RULES, Port, Protocol, Rule, Selector, Tuning,
    draft::{Draft, DraftRule, Origin},
    error::{Earlier, Error, Problem},
    select::{Absent, DEFAULT_INTERFACE, LOOPBACK, Scope, Selection},
};
use crate::host::Network;

/// A valid configuration, and what its user should hear about it.
#[derive(Debug)]
pub struct Resolved {
    pub config: Config,
    pub origin: Origin,
    /// What the file has under `[tuning]`.
    pub tuning: Option<Tuning>,
    pub notices: Vec<Notice>,
}

/// Not wrong, but worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// eth0 is missing and nobody named an interface.
    DefaultRoute { interface: String },
    /// No interface has this name or matches this pattern; it is waited for.
    Awaited { selector: Selector, host: String },
    /// The same for a change that does not wait itself.
    StaysWanted { selector: Selector },
    /// The target of a rule is the source of another one.
    NotChained {
        rule: String,
        next: String,
        more: usize,
    },
}

impl Draft {
    /// Every interface that was named must exist. Takes time linear in the number of rules.
    pub fn lower(&self, network: &Network) -> Result<Resolved, Error> {
        self.lower_with(network, self.absent)
    }

    /// The same for `run`: interfaces that do not exist are waited for, and so are their rules.
    pub fn lower_awaiting(&self, network: &Network) -> Result<Resolved, Error> {
        self.lower_with(network, Absent::Awaited)
    }

    fn lower_with(&self, network: &Network, absent: Absent) -> Result<Resolved, Error> {
        if self.xdp_mode.is_some() && self.hook != Hook::Xdp {
            return Err(Error::new(Problem::ModeWithoutXdp));
        }
        let mut notices = Vec::new();
        let words = self.words(network, absent, &mut notices)?;
        let mut selection = self.select(&words, network, absent)?;
        let rules = self.rules(network, &mut selection)?;
        selection.require_room()?;
        notices.extend(selection.notices);
        notices.extend(not_chained(&rules));
        Ok(Resolved {
            config: Config {
                interfaces: selection.interfaces,
                wanted: match absent {
                    Absent::Refused | Absent::Lost => Vec::new(),
                    Absent::Awaited | Absent::Kept => selection.wanted,
                },
                hook: self.hook,
                xdp_mode: self.xdp_mode.unwrap_or_default(),
                rules,
            },
            origin: self.origin.clone(),
            tuning: self.tuning.clone(),
            notices,
        })
    }

    fn rules(&self, network: &Network, selection: &mut Selection) -> Result<Vec<Rule>, Error> {
        let scopes = self
            .rules
            .iter()
            .map(|rule| self.scope(rule, network, selection))
            .collect::<Result<Vec<_>, _>>()?;
        let entries = self
            .rules
            .iter()
            .zip(&scopes)
            .map(|(rule, scope)| rule.spec.protocol.each().len() * scope.entries())
            .sum();
        if entries > MAX_RULES {
            return Err(Error::new(Problem::TooManyRules(entries)));
        }
        let mut rules = Vec::with_capacity(entries);
        let mut seen = HashMap::with_capacity(entries);
        for (draft, scope) in self.rules.iter().zip(scopes) {
            let interfaces = match scope {
                Scope::Instance => Vec::new(),
                Scope::Interfaces(interfaces) => interfaces,
                Scope::Awaited => continue,
            };
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
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultRoute { interface } => write!(
                f,
                "{DEFAULT_INTERFACE} does not exist and no interface was named: \
                 using {interface}, the default route's, and {LOOPBACK}"
            ),
            Self::Awaited { selector, host } if selector.is_pattern() => {
                write!(f, "no interface matches {selector}: waiting for one{host}")
            }
            Self::Awaited { selector, host } => {
                write!(f, "{selector} does not exist: waiting for it{host}")
            }
            Self::StaysWanted { selector } => {
                write!(
                    f,
                    "no interface is there for {selector}, which stays wanted"
                )
            }
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

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
