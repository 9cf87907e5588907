//! Which interfaces of the host a draft and its rules are for.

use std::collections::{HashMap, HashSet};

use super::{
    Interface, MAX_INTERFACES, Notice, Selector,
    draft::{Draft, DraftRule, Word},
    error::{Error, Existing, Problem},
};
use crate::host::Network;

pub(super) const DEFAULT_INTERFACE: &str = "eth0";
pub(super) const LOOPBACK: &str = "lo";

/// What becomes of a name or pattern that no interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Refused,
    /// As above; it was loaded.
    Lost,
    Awaited,
    /// It stays wanted, as it was. A rule's alone is refused: the rule would be lost.
    Kept,
}

/// The instance's interfaces.
pub(super) struct Selection {
    absent: Absent,
    /// Each once, in the order asked for, those of a pattern in the order of the host.
    pub interfaces: Vec<Interface>,
    pub wanted: Vec<Selector>,
    pub notices: Vec<Notice>,
    by_name: HashMap<String, usize>,
}

/// The interfaces of a rule.
pub(super) enum Scope {
    Instance,
    /// At least one.
    Interfaces(Vec<Interface>),
    /// None of them exists.
    Awaited,
}

impl Scope {
    /// How many places of the rule table a protocol takes.
    pub fn entries(&self) -> usize {
        match self {
            Self::Instance => 1,
            Self::Interfaces(interfaces) => interfaces.len(),
            Self::Awaited => 0,
        }
    }
}

impl Draft {
    /// The names and patterns asked for, or those by default.
    pub(super) fn words(
        &self,
        network: &Network,
        absent: Absent,
        notices: &mut Vec<Notice>,
    ) -> Result<Vec<Word>, Error> {
        if !self.interfaces.is_empty() {
            return Ok(self.interfaces.clone());
        }
        let first = match (network.interface(DEFAULT_INTERFACE), &network.default_route) {
            (Some(_), _) => DEFAULT_INTERFACE,
            (None, Some(interface)) => {
                notices.push(Notice::DefaultRoute {
                    interface: interface.clone(),
                });
                interface
            }
            (None, None) if absent == Absent::Awaited => DEFAULT_INTERFACE,
            (None, None) => return Err(Error::new(Problem::NoDefaultRoute(existing(network)))),
        };
        let word = |name: &str| Word {
            text: name.to_owned(),
            span: None,
        };
        Ok([first, LOOPBACK].map(word).into())
    }

    pub(super) fn select(
        &self,
        words: &[Word],
        network: &Network,
        absent: Absent,
    ) -> Result<Selection, Error> {
        let mut selection = Selection {
            absent,
            interfaces: Vec::new(),
            wanted: Vec::new(),
            notices: Vec::new(),
            by_name: HashMap::new(),
        };
        let mut seen = HashSet::new();
        for word in words {
            let selector = self.selector(word)?;
            let matching = network.matching(&selector);
            if matching.is_empty() {
                if matches!(absent, Absent::Refused | Absent::Lost) {
                    return Err(self.unmatched(word, &selector, existing(network)));
                }
                selection.await_one(&selector, network);
            }
            let new = matching.into_iter().filter(|each| seen.insert(each.index));
            selection.interfaces.extend(new.cloned());
            selection.want(selector);
        }
        let names = selection.interfaces.iter().map(|each| each.name.clone());
        selection.by_name = names.zip(0..).collect();
        Ok(selection)
    }

    /// Those of the instance's interfaces that a rule is for.
    pub(super) fn scope(
        &self,
        rule: &DraftRule,
        network: &Network,
        selection: &mut Selection,
    ) -> Result<Scope, Error> {
        if rule.interfaces.is_empty() {
            return Ok(Scope::Instance);
        }
        let mut scope: Vec<Interface> = Vec::new();
        for word in &rule.interfaces {
            let selector = self.selector(word)?;
            let matching = selection.matching(&selector);
            if matching.is_empty() {
                self.require_awaitable(rule, word, &selector, network, selection)?;
                selection.await_one(&selector, network);
                if !selector.is_pattern() {
                    selection.want(selector);
                }
                continue;
            }
            for interface in matching {
                if !scope.contains(&interface) {
                    scope.push(interface);
                }
            }
        }
        Ok(match scope.is_empty() {
            true => Scope::Awaited,
            false => Scope::Interfaces(scope),
        })
    }

    fn selector(&self, word: &Word) -> Result<Selector, Error> {
        let parsed = word.text.parse();
        parsed.map_err(|error: super::SelectorError| self.error(word.span.as_ref(), error.into()))
    }

    /// Fails unless the instance may come to have what a rule names.
    fn require_awaitable(
        &self,
        rule: &DraftRule,
        word: &Word,
        selector: &Selector,
        network: &Network,
        selection: &Selection,
    ) -> Result<(), Error> {
        let mut wanted = selection.wanted.iter();
        let may_come =
            selector.is_pattern() || wanted.any(|wanted| wanted.matches(selector.as_str()));
        if selection.absent == Absent::Awaited && may_come {
            return Ok(());
        }
        if selector.is_pattern() {
            return Err(self.unmatched(word, selector, selection.existing()));
        }
        if network.interface(&word.text).is_none() && selection.absent != Absent::Awaited {
            return Err(self.unmatched(word, selector, existing(network)));
        }
        let problem = Problem::ForeignInterface {
            rule: rule.spec.clone(),
            name: word.text.clone(),
            instance: selection.names(),
        };
        Err(self.error(word.span.as_ref(), problem))
    }

    fn unmatched(&self, word: &Word, selector: &Selector, host: Existing) -> Error {
        let name = word.text.clone();
        let is_kept = word.span.is_none() && matches!(self.absent, Absent::Lost | Absent::Kept);
        let problem = if selector.is_pattern() {
            let pattern = name;
            Problem::Unmatched { pattern, host }
        } else if is_kept {
            Problem::LoadedInterface { name, host }
        } else {
            Problem::UnknownInterface { name, host }
        };
        self.error(word.span.as_ref(), problem)
    }
}

impl Selection {
    /// Fails if an instance cannot hold so many.
    pub fn require_room(&self) -> Result<(), Error> {
        let most = self.interfaces.len().max(self.wanted.len());
        if most > MAX_INTERFACES {
            return Err(Error::new(Problem::TooManyInterfaces(most)));
        }
        Ok(())
    }

    fn matching(&self, selector: &Selector) -> Vec<Interface> {
        if selector.is_pattern() {
            let interfaces = self.interfaces.iter();
            return interfaces
                .filter(|each| selector.matches(&each.name))
                .cloned()
                .collect();
        }
        let found = self.by_name.get(selector.as_str());
        found
            .map(|&at| self.interfaces[at].clone())
            .into_iter()
            .collect()
    }

    fn want(&mut self, selector: Selector) {
        if !self.wanted.contains(&selector) {
            self.wanted.push(selector);
        }
    }

    fn await_one(&mut self, selector: &Selector, network: &Network) {
        let selector = selector.clone();
        let notice = match self.absent {
            Absent::Kept => Notice::StaysWanted { selector },
            _ => Notice::Awaited {
                selector,
                host: existing(network).to_string(),
            },
        };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// The interfaces of the instance, those that are waited for included.
    fn names(&self) -> String {
        let mut names: Vec<_> = match self.absent {
            Absent::Refused | Absent::Lost => self
                .interfaces
                .iter()
                .map(|each| each.name.as_str())
                .collect(),
            Absent::Awaited | Absent::Kept => self.wanted.iter().map(Selector::as_str).collect(),
        };
        names.sort_unstable();
        names.join(", ")
    }

    fn existing(&self) -> Existing {
        Existing {
            names: self
                .interfaces
                .iter()
                .map(|each| each.name.clone())
                .collect(),
            default_route: None,
        }
    }
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
#[path = "select_tests.rs"]
mod tests;
