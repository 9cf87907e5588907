//! From lines to the configuration, and what to say of each line.

use std::collections::BTreeMap;

use super::{
    Format,
    entry::{EVERY_INTERFACE, Entry, LOOPBACK},
    group::{Group, add, is_own_loopback, joins},
    model::{Families, Kind, Listing, interfaces_meet},
    steal,
    walk::{Fate, fates},
};
use crate::config::RuleSpec;

/// A listing and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub format: Format,
    pub listing: Listing,
}

impl Source {
    /// The format is that of the text.
    pub fn new(name: &str, text: &str) -> Self {
        Self::in_format(name, super::format(name, text), text)
    }

    pub fn in_format(name: &str, format: Format, text: &str) -> Self {
        Self {
            name: name.to_owned(),
            format,
            listing: super::parse(format, text),
        }
    }
}

/// A line: its source's index, and its number.
pub type Place = (usize, usize);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken {
        rules: Vec<RuleSpec>,
        /// What they take beyond the line.
        widened: Vec<String>,
    },
    /// Why.
    Left(String),
    /// Says nothing about redirects.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub outcomes: BTreeMap<Place, Outcome>,
    /// Names and patterns.
    pub interfaces: Vec<String>,
    pub rules: Vec<Rule>,
}

impl Imported {
    pub fn takes(&self, line: Place) -> bool {
        matches!(self.outcomes.get(&line), Some(Outcome::Taken { .. }))
    }
}

/// A rule of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub spec: RuleSpec,
    /// `None`: all of the instance.
    pub interfaces: Option<Vec<String>>,
    /// Whose traffic was redirected before.
    pub families: Families,
    pub lines: Vec<Place>,
}

pub fn lower(sources: &[Source]) -> Imported {
    let mut outcomes = BTreeMap::new();
    let mut taken: Vec<(Place, Vec<Entry>)> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        for line in &source.listing.lines {
            let outcome = match &line.kind {
                Kind::Left(why) => Outcome::Left(why.clone()),
                Kind::Rule | Kind::Other => Outcome::Other,
            };
            outcomes.insert((index, line.number), outcome);
        }
        for (number, fate) in fates(&source.listing) {
            match fate {
                Fate::Taken(entries) => taken.push(((index, number), entries)),
                Fate::Left(why) => _ = outcomes.insert((index, number), Outcome::Left(why)),
            }
        }
    }
    // Those for one address first: whether 127.0.0.1 is a case of its own depends on the others.
    taken.sort_by_key(|(_, entries)| entries.iter().any(is_own_loopback));
    let groups = loop {
        let groups = join(&mut taken, &mut outcomes, sources);
        let steals = |(place, entries): &(Place, Vec<Entry>)| {
            let why = steal::from(*place, entries, sources, &outcomes)?;
            Some((*place, why))
        };
        match taken.iter().find_map(steals) {
            None => break groups,
            Some((place, why)) => {
                outcomes.insert(place, Outcome::Left(why));
                taken.retain(|(other, _)| *other != place);
            }
        }
    };
    for (place, entries) in &taken {
        outcomes.insert(*place, explain(entries, &groups));
    }
    let interfaces = interfaces(&groups);
    let rules = groups
        .into_iter()
        .map(|group| Rule {
            spec: group.entry.spec(),
            interfaces: restricted(&group.entry.interfaces, &interfaces),
            families: group.entry.families,
            lines: group.lines,
        })
        .collect();
    Imported {
        outcomes,
        interfaces,
        rules,
    }
}

/// Leaves the lines that contradict others.
fn join(
    taken: &mut Vec<(Place, Vec<Entry>)>,
    outcomes: &mut BTreeMap<Place, Outcome>,
    sources: &[Source],
) -> Vec<Group> {
    let mut groups = Vec::new();
    taken.retain(|(place, entries)| {
        let why = contradicted(entries, &groups, sources);
        if let Some(why) = why {
            outcomes.insert(*place, Outcome::Left(why));
            return false;
        }
        for entry in entries {
            add(&mut groups, entry, *place);
        }
        true
    });
    groups
}

/// What a line of another chain or tool says of the same packets.
fn contradicted(entries: &[Entry], groups: &[Group], sources: &[Source]) -> Option<String> {
    let against = |entry: &Entry| {
        groups.iter().find(|group| {
            let other = &group.entry;
            (other.protocol, other.address, other.from)
                == (entry.protocol, entry.address, entry.from)
                && other.to != entry.to
                && (other.rank() == entry.rank())
                && interfaces_meet(&other.interfaces, &entry.interfaces)
        })
    };
    let group = entries.iter().find_map(against)?;
    let (index, line) = *group.lines.first()?;
    Some(format!(
        "line {line} of {} sends the same port to {}, and a rule is for IPv4 and IPv6",
        sources[index].name, group.entry.to
    ))
}

fn explain(entries: &[Entry], groups: &[Group]) -> Outcome {
    let mut rules = Vec::new();
    let mut widened = Vec::new();
    for entry in entries {
        let Some(group) = groups.iter().find(|group| joins(&group.entry, entry)) else {
            continue;
        };
        rules.push(group.entry.spec());
        let mut say = |words: String| {
            if !widened.contains(&words) {
                widened.push(words);
            }
        };
        if let Some(address) = entry.address
            && group.entry.address.is_none()
        {
            say(format!("every address of this host, not {address} only"));
        }
        entry.widened.clone().into_iter().for_each(&mut say);
        let families = group.entry.families;
        if group.entry.address.is_none() && families != Families::BOTH {
            let other = if families.ipv4 { "IPv6" } else { "IPv4" };
            say(format!("{other} as well"));
        }
        let alone = !group.names(entry.families).any(|name| name == LOOPBACK);
        if entry.interfaces == [EVERY_INTERFACE] && alone {
            say("this host's own connections to itself as well".to_owned());
        }
        group.elsewhere(entry).for_each(&mut say);
    }
    rules.dedup();
    Outcome::Taken { rules, widened }
}

/// In order, but `lo` last; `*` has all others in it.
fn interfaces(groups: &[Group]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in groups.iter().flat_map(|group| &group.entry.interfaces) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.iter().any(|name| name == EVERY_INTERFACE) {
        return vec![EVERY_INTERFACE.to_owned()];
    }
    names.sort_by_key(|name| name == LOOPBACK);
    names
}

fn restricted(own: &[String], all: &[String]) -> Option<Vec<String>> {
    let every = own.iter().any(|name| name == EVERY_INTERFACE);
    let is_all = every || all.iter().all(|name| own.contains(name));
    (!is_all).then(|| own.to_vec())
}
