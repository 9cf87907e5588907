//! The rules of one slot, between the configuration and the maps `PORTS`, `RULES` and `EARLIER`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use redirector_common::abi::{
    self, ANY_ADDRESS, EARLIER_TARGETS, EarlierKey, EarlierTarget, PORT_CHANGED, PORT_LINKED,
    PORT_SCOPED, PORT_SOURCE, PORT_TARGET, PortEntry, RuleKey, port_index,
};

use super::{
    Error,
    rule_key::{address_of, interface, keys, overtakes, port, protocol_of, scope},
};
use crate::config::{Interface, Protocol, Rule};

/// What the maps hold for one slot, the slot itself left out of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rules: HashMap<RuleKey, abi::Rule>,
    /// Newest first.
    earlier: HashMap<(abi::Protocol, abi::Port), Vec<EarlierTarget>>,
    /// Numbers from here on were never given to a rule.
    unused: u32,
}

impl Table {
    /// What belongs to `slot` among everything in `RULES` and `EARLIER`, and `Settings::unused`.
    pub fn of_slot(
        slot: u32,
        unused: u32,
        rules: impl IntoIterator<Item = (RuleKey, abi::Rule)>,
        earlier: impl IntoIterator<Item = (EarlierKey, EarlierTarget)>,
    ) -> Self {
        let rules = rules
            .into_iter()
            .filter(|(key, _)| u32::from(key.slot) == slot)
            .map(|(key, rule)| (RuleKey { slot: 0, ..key }, rule))
            .collect();
        let mut aged: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for (key, target) in earlier {
            let (of, protocol, port) = abi::port_of_index(key.port);
            if of == slot {
                let targets = aged.entry((protocol, port)).or_default();
                targets.insert(key.age, target);
            }
        }
        let earlier = aged
            .into_iter()
            .map(|(port, targets)| (port, targets.into_values().collect()))
            .collect();
        Self {
            rules,
            earlier,
            unused,
        }
    }

    /// The table after a change to `wanted`. A rule that stays or comes back keeps its number and
    /// so its counters; targets that are no longer wanted are remembered for their live connections.
    /// Numbers of removed rules go to no other rule: their connections are still counted there.
    pub fn next(&self, wanted: &[Rule], capacity: usize) -> Result<Self, Error> {
        let mut unused = self.unused;
        let mut used = HashSet::new();
        let mut rules = HashMap::new();
        let kept: HashSet<_> = wanted.iter().flat_map(keys).collect();
        let moved = self.moved(&kept);
        for rule in wanted {
            let keys = keys(rule);
            let target = abi::Port::new(rule.to.get());
            let moved = || {
                let numbers = moved.get(&(scope(keys.first()?)?, target))?;
                numbers
                    .iter()
                    .find(|number| !used.contains(*number))
                    .copied()
            };
            let number = match self.number_of(&keys, target).or_else(moved) {
                Some(number) if used.insert(number) => number,
                _ => {
                    unused += 1;
                    unused - 1
                }
            };
            let entry = abi::Rule {
                target,
                number,
                reserved: 0,
            };
            rules.extend(keys.into_iter().map(|key| (key, entry)));
        }
        let needed = (unused as usize).max(rules.len());
        if needed > capacity {
            return Err(Error::Full { needed, capacity });
        }
        let earlier = self.earlier_after(&rules);
        Ok(Self {
            rules,
            earlier,
            unused,
        })
    }

    /// The entries of `RULES` for `slot`.
    pub fn rules(&self, slot: u32) -> impl Iterator<Item = (RuleKey, abi::Rule)> + '_ {
        let slot = slot as u8;
        self.rules
            .iter()
            .map(move |(key, rule)| (RuleKey { slot, ..*key }, *rule))
    }

    /// The entries of `EARLIER` for `slot`.
    pub fn earlier(&self, slot: u32) -> impl Iterator<Item = (EarlierKey, EarlierTarget)> + '_ {
        self.earlier
            .iter()
            .flat_map(move |((protocol, port), targets)| {
                let port = port_index(slot, *protocol, *port);
                (0..)
                    .zip(targets)
                    .map(move |(age, target)| (EarlierKey { port, age }, *target))
            })
    }

    /// The entries of `PORTS` for `slot` that are not empty.
    pub fn ports(&self, slot: u32) -> HashMap<u32, PortEntry> {
        let mut ports: HashMap<u32, PortEntry> = HashMap::new();
        let mut entry = |protocol, port, change: &dyn Fn(&mut PortEntry)| {
            change(ports.entry(port_index(slot, protocol, port)).or_default());
        };
        for (key, rule) in &self.rules {
            let protocol = protocol_of(key);
            entry(protocol, key.port, &|source| {
                source.flags |= PORT_SOURCE;
                if key.address == ANY_ADDRESS && key.ifindex == 0 {
                    source.target = rule.target;
                    source.rule = rule.number;
                } else {
                    source.flags |= PORT_SCOPED;
                }
                if key.ifindex != 0 {
                    source.flags |= PORT_LINKED;
                }
            });
            entry(protocol, rule.target, &|target| target.flags |= PORT_TARGET);
        }
        for ((protocol, port), targets) in &self.earlier {
            entry(*protocol, *port, &|source| {
                source.flags |= PORT_SOURCE | PORT_CHANGED;
            });
            for earlier in targets {
                entry(*protocol, earlier.target, &|target| {
                    target.flags |= PORT_TARGET;
                });
            }
        }
        ports
    }

    pub fn unused(&self) -> u32 {
        self.unused
    }

    /// Numbers of rules of single interfaces that go. One that comes for another interface, which may be
    /// the same one made again, is the same rule.
    fn moved(&self, kept: &HashSet<RuleKey>) -> HashMap<(RuleKey, abi::Port), BTreeSet<u32>> {
        let mut moved: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (key, rule) in self.rules.iter().filter(|(key, _)| !kept.contains(key)) {
            if let Some(scope) = scope(key) {
                let numbers = moved.entry((scope, rule.target)).or_default();
                numbers.insert(rule.number);
            }
        }
        moved
    }

    /// The number of the rule with one of these keys, or of a removed one for the port and target.
    fn number_of(&self, keys: &[RuleKey], target: abi::Port) -> Option<u32> {
        let present = keys.iter().find_map(|key| self.rules.get(key));
        present.map(|rule| rule.number).or_else(|| {
            let key = keys.first()?;
            let mut earlier = self.earlier.get(&(protocol_of(key), key.port))?.iter();
            let removed = earlier.find(|earlier| earlier.target == target)?.rule;
            let taken = self.rules.values().any(|rule| rule.number == removed);
            (!taken).then_some(removed)
        })
    }

    /// Earlier targets once `rules` are in force.
    fn earlier_after(
        &self,
        rules: &HashMap<RuleKey, abi::Rule>,
    ) -> HashMap<(abi::Protocol, abi::Port), Vec<EarlierTarget>> {
        let mut earlier = self.earlier.clone();
        let mut added: HashMap<_, Vec<_>> = HashMap::new();
        for key in rules.keys().filter(|key| !self.rules.contains_key(key)) {
            let keys = added.entry((key.protocol, key.port)).or_default();
            keys.push(key);
        }
        // In an order of its own, so that the same change keeps the same targets.
        let mut rules_before: Vec<_> = self.rules.iter().collect();
        rules_before.sort_by_key(|(_, before)| before.number);
        for (key, before) in rules_before {
            let stays = rules
                .get(key)
                .is_some_and(|after| after.target == before.target);
            let mut added = added.get(&(key.protocol, key.port)).into_iter().flatten();
            if stays && !added.any(|added| overtakes(added, key)) {
                continue;
            }
            let targets = earlier.entry((protocol_of(key), key.port)).or_default();
            targets.retain(|earlier| earlier.target != before.target);
            let newest = EarlierTarget {
                target: before.target,
                rule: before.number,
                reserved: 0,
            };
            targets.insert(0, newest);
            targets.truncate(EARLIER_TARGETS as usize);
        }
        earlier
    }

    /// The rules in force by number, which is the order in which they were first loaded.
    pub fn active(&self, interfaces: &[Interface]) -> Vec<(u32, Rule)> {
        let mut active: BTreeMap<u32, Rule> = BTreeMap::new();
        for (key, rule) in &self.rules {
            let (Some(from), Some(to)) = (port(key.port), port(rule.target)) else {
                continue;
            };
            let entry = active.entry(rule.number).or_insert_with(|| Rule {
                protocol: match protocol_of(key) {
                    abi::Protocol::UDP => Protocol::Udp,
                    _ => Protocol::Tcp,
                },
                address: address_of(key.address),
                from,
                to,
                interfaces: Vec::new(),
            });
            if key.ifindex != 0 {
                entry.interfaces.push(interface(key.ifindex, interfaces));
                entry.interfaces.sort_by_key(|interface| interface.index);
            }
        }
        active.into_iter().collect()
    }
}

/// How many numbers and table entries `rules` take.
pub fn size(rules: &[Rule]) -> usize {
    rules.iter().map(|rule| rule.interfaces.len().max(1)).sum()
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
