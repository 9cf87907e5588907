//! Entries that become one rule.

use super::{
    entry::{EVERY_INTERFACE, Entry},
    lower::Place,
    model::Families,
};

pub struct Group {
    pub entry: Entry,
    /// Those whose entries name them; the entry's are of every family.
    named: Vec<(Families, String)>,
    pub lines: Vec<Place>,
}

impl Group {
    pub fn names(&self, families: Families) -> impl Iterator<Item = &str> {
        let named = self.named.iter();
        named
            .filter(move |(own, _)| !own.and(families).is_none())
            .map(|(_, name)| name.as_str())
    }

    /// In words, the interfaces that only lines of the entry's other family name.
    pub fn elsewhere<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = String> + 'a {
        let families = [(Families::IPV4, "IPv4"), (Families::IPV6, "IPv6")];
        let own = families
            .into_iter()
            .filter(|(family, _)| !family.and(entry.families).is_none());
        own.filter_map(move |(family, word)| {
            let names = self.entry.interfaces.iter().map(String::as_str);
            let others: Vec<_> = names
                .filter(|name| !self.names(family).any(|own| has(own, name)))
                .collect();
            match others[..] {
                [] => None,
                _ if others.contains(&EVERY_INTERFACE) => {
                    Some(format!("{word} on every interface as well"))
                }
                _ => Some(format!("{word} on {} as well", others.join(", "))),
            }
        })
    }
}

/// Joins what differs in its interfaces only, and 127.0.0.1 with every address.
pub fn add(groups: &mut Vec<Group>, entry: &Entry, place: Place) {
    let named = entry
        .interfaces
        .iter()
        .map(|name| (entry.families, name.clone()));
    match groups.iter_mut().find(|group| joins(&group.entry, entry)) {
        Some(group) => {
            group.named.extend(named);
            for name in &entry.interfaces {
                if !group.entry.interfaces.contains(name) {
                    group.entry.interfaces.push(name.clone());
                }
            }
            group.entry.families = group.entry.families.or(entry.families);
            if !group.lines.contains(&place) {
                group.lines.push(place);
            }
        }
        None => groups.push(Group {
            entry: entry.clone(),
            named: named.collect(),
            lines: vec![place],
        }),
    }
}

pub fn joins(group: &Entry, entry: &Entry) -> bool {
    (group.protocol, group.from, group.to) == (entry.protocol, entry.from, entry.to)
        && (group.address == entry.address || (group.address.is_none() && is_own_loopback(entry)))
}

/// Whether a name or pattern has all of another.
fn has(own: &str, other: &str) -> bool {
    own == other
        || own
            .strip_suffix('*')
            .is_some_and(|stem| other.starts_with(stem))
}

/// The guide's rules for the host itself.
pub fn is_own_loopback(entry: &Entry) -> bool {
    entry.own && entry.address.is_some_and(|address| address.is_loopback())
}
