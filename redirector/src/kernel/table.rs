//! The rules of one slot, between the configuration and the maps `PORTS` and `RULES`.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
};

use redirector_common::abi::{
    self, ANY_ADDRESS, NO_PORT, PORT_RETIRED, PORT_SCOPED, PORT_SOURCE, PORT_TARGET, PortEntry,
    RETIRED_TARGETS, RuleKey, port_index,
};

use super::Error;
use crate::config::{Interface, Port, Protocol, Rule};

/// What `RULES` holds for one slot; its keys have slot 0 here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rules: HashMap<RuleKey, abi::Rule>,
}

impl Table {
    /// The rules of `slot` among everything in the map.
    pub fn of_slot(slot: u32, entries: &[(RuleKey, abi::Rule)]) -> Self {
        let rules = entries
            .iter()
            .filter(|(key, _)| u32::from(key.slot) == slot)
            .map(|(key, rule)| (RuleKey { slot: 0, ..*key }, *rule))
            .collect();
        Self { rules }
    }

    /// The table after a change to `wanted`. A rule that stays keeps its number and so its
    /// counters; targets that are no longer wanted are remembered for their live connections.
    pub fn next(&self, wanted: &[Rule], capacity: usize) -> Result<Self, Error> {
        let mut rules: HashMap<_, _> = self
            .rules
            .iter()
            .map(|(key, rule)| (*key, retarget(*rule, NO_PORT)))
            .collect();
        let mut unused = self
            .rules
            .values()
            .map(|rule| rule.number + 1)
            .max()
            .unwrap_or(0);
        let mut used = HashSet::new();
        for rule in wanted {
            let keys = keys(rule);
            let known = keys.iter().find_map(|key| self.rules.get(key));
            let number = match known {
                Some(known) if used.insert(known.number) => known.number,
                _ => {
                    unused += 1;
                    unused - 1
                }
            };
            let target = abi::Port::new(rule.to.get());
            for key in keys {
                let before = self.rules.get(&key).copied().unwrap_or_default();
                let entry = retarget(before, target);
                rules.insert(key, abi::Rule { number, ..entry });
            }
        }
        let needed = usize::try_from(unused)
            .unwrap_or(usize::MAX)
            .max(rules.len());
        if needed > capacity {
            return Err(Error::Full { needed, capacity });
        }
        Ok(Self { rules })
    }

    /// The entries of `RULES` for `slot`.
    pub fn entries(&self, slot: u32) -> impl Iterator<Item = (RuleKey, abi::Rule)> + '_ {
        let slot = slot as u8;
        self.rules
            .iter()
            .map(move |(key, rule)| (RuleKey { slot, ..*key }, *rule))
    }

    /// The entries of `PORTS` for `slot` that are not empty.
    pub fn ports(&self, slot: u32) -> HashMap<u32, PortEntry> {
        let mut ports: HashMap<u32, PortEntry> = HashMap::new();
        for (key, rule) in &self.rules {
            let protocol = protocol_of(key);
            let source = ports
                .entry(port_index(slot, protocol, key.port))
                .or_default();
            source.flags |= PORT_SOURCE;
            if key.address == ANY_ADDRESS && key.ifindex == 0 {
                source.target = rule.target;
                source.rule = rule.number;
            } else {
                source.flags |= PORT_SCOPED;
            }
            if rule.retired[0] != NO_PORT {
                source.flags |= PORT_RETIRED;
            }
            for target in rule.retired.into_iter().chain([rule.target]) {
                if target != NO_PORT {
                    let index = port_index(slot, protocol, target);
                    ports.entry(index).or_default().flags |= PORT_TARGET;
                }
            }
        }
        ports
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

fn keys(rule: &Rule) -> Vec<RuleKey> {
    let key = RuleKey {
        address: rule.address.map_or(ANY_ADDRESS, address),
        ifindex: 0,
        port: abi::Port::new(rule.from.get()),
        protocol: match rule.protocol {
            Protocol::Tcp => abi::Protocol::TCP,
            Protocol::Udp => abi::Protocol::UDP,
        }
        .number() as u8,
        slot: 0,
    };
    if rule.interfaces.is_empty() {
        return vec![key];
    }
    let ifindex = |interface: &Interface| interface.index;
    rule.interfaces
        .iter()
        .map(|interface| RuleKey {
            ifindex: ifindex(interface),
            ..key
        })
        .collect()
}

/// `rule` with another target; the one it had goes to the front of the retired ones.
fn retarget(rule: abi::Rule, target: abi::Port) -> abi::Rule {
    if rule.target == target {
        return rule;
    }
    let mut retired = [NO_PORT; RETIRED_TARGETS];
    let earlier = [rule.target]
        .into_iter()
        .chain(rule.retired)
        .filter(|earlier| *earlier != NO_PORT && *earlier != target);
    for (place, earlier) in retired.iter_mut().zip(earlier) {
        *place = earlier;
    }
    abi::Rule {
        target,
        retired,
        ..rule
    }
}

fn protocol_of(key: &RuleKey) -> abi::Protocol {
    abi::Protocol::from_number(u32::from(key.protocol))
}

fn address(address: IpAddr) -> abi::Address {
    match address {
        IpAddr::V4(address) => abi::Address::ipv4(address.octets()),
        IpAddr::V6(address) => abi::Address::ipv6(address.octets()),
    }
}

fn address_of(address: abi::Address) -> Option<IpAddr> {
    (address != ANY_ADDRESS).then(|| Ipv6Addr::from(address.octets()).to_canonical())
}

fn port(port: abi::Port) -> Option<Port> {
    Port::new(port.get())
}

/// The name the interface had at load, or its index where that is all we know.
fn interface(index: u32, interfaces: &[Interface]) -> Interface {
    interfaces
        .iter()
        .find(|interface| interface.index == index)
        .cloned()
        .unwrap_or_else(|| Interface {
            name: format!("if{index}"),
            index,
        })
}
