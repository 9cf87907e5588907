//! Follows the chains as a packet does: which lines can be taken whole, and which cannot because others
//! come before them.

use std::collections::BTreeMap;

use super::{
    entry::{self, Entry},
    model::{Action, Chain, Conditions, Hook, Listing, Rule},
};

/// What became of the redirects of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Taken(Vec<Entry>),
    /// Why.
    Left(String),
}

/// The lines with redirects, each once.
pub fn fates(listing: &Listing) -> Vec<(usize, Fate)> {
    // A line may have rules in several places, and is taken with all of them or not at all.
    let mut left = BTreeMap::new();
    loop {
        let fates = listing
            .chains
            .iter()
            .flat_map(|chain| in_chain(listing, chain, &left))
            .collect::<Vec<_>>();
        let taken: Vec<_> = fates
            .iter()
            .filter(|(_, fate)| matches!(fate, Fate::Taken(_)))
            .map(|(line, _)| *line)
            .collect();
        let before = left.len();
        for (line, fate) in &fates {
            if let Fate::Left(why) = fate
                && taken.contains(line)
            {
                left.entry(*line).or_insert_with(|| why.clone());
            }
        }
        if left.len() == before {
            return merged(fates);
        }
    }
}

fn merged(fates: Vec<(usize, Fate)>) -> Vec<(usize, Fate)> {
    let mut merged: Vec<(usize, Fate)> = Vec::new();
    for (line, fate) in fates {
        let found = merged.iter_mut().find(|(other, _)| *other == line);
        match (found, fate) {
            (Some((_, Fate::Taken(all))), Fate::Taken(entries)) => all.extend(entries),
            (Some(_), _) => {}
            (None, fate) => merged.push((line, fate)),
        }
    }
    merged
}

/// In the order in which packets meet them. What is known to be left stays so.
fn in_chain(
    listing: &Listing,
    chain: &Chain,
    left: &BTreeMap<usize, String>,
) -> Vec<(usize, Fate)> {
    let mut fates = Vec::new();
    let mut walk = Walk {
        listing,
        chain,
        before: Vec::new(),
    };
    for rules in chain.rules.chunk_by(|one, other| one.line == other.line) {
        let line = rules[0].line;
        let start = walk.before.len();
        let fate = walk.line(rules);
        let fate = match left.get(&line) {
            Some(why) => fate.map(|_| Fate::Left(why.clone())),
            None => fate,
        };
        if !matches!(fate, Some(Fate::Taken(_))) {
            walk.before[start..]
                .iter_mut()
                .for_each(|before| before.taken.clear());
        }
        fates.extend(fate.map(|fate| (line, fate)));
    }
    fates
}

struct Walk<'a> {
    listing: &'a Listing,
    chain: &'a Chain,
    before: Vec<Before<'a>>,
}

struct Before<'a> {
    rule: &'a Rule,
    /// What it was taken as; empty where its line was left.
    taken: Vec<Entry>,
}

impl<'a> Walk<'a> {
    /// `None` for a line that redirects nothing. Of several rules on a line, the earlier come before the others.
    fn line(&mut self, rules: &'a [Rule]) -> Option<Fate> {
        let mut taken = Vec::new();
        let mut left = None;
        for rule in rules {
            let entries = self.rule(rule).unwrap_or_else(|why| {
                left.get_or_insert(why);
                Vec::new()
            });
            taken.extend(entries.iter().cloned());
            self.before.push(Before {
                rule,
                taken: entries,
            });
        }
        let is_ours =
            |rule: &Rule| matches!(rule.action, Action::Redirect(_) | Action::Elsewhere(_));
        rules
            .iter()
            .any(is_ours)
            .then(|| left.map_or(Fate::Taken(taken), Fate::Left))
    }

    fn rule(&self, rule: &Rule) -> Result<Vec<Entry>, String> {
        let to = match &rule.action {
            Action::Redirect(to) => *to,
            Action::Elsewhere(why) => return Err(why.clone()),
            Action::Pass | Action::Jump(_) | Action::Nothing => return Ok(Vec::new()),
        };
        let Some(hook) = self.chain.hook else {
            return Err(format!(
                "it is in the chain {}, which is reached by jumps, and those are not followed",
                self.chain.name
            ));
        };
        let entries = entry::entries(&rule.conditions, hook, to)?;
        for before in &self.before {
            if before.rule.conditions.may_meet(&rule.conditions) {
                self.heed(before, rule, &entries, hook)?;
            }
        }
        Ok(entries)
    }

    /// An earlier rule has its packets first. That is no hindrance where our rules say the same.
    fn heed(
        &self,
        before: &Before<'_>,
        rule: &Rule,
        entries: &[Entry],
        hook: Hook,
    ) -> Result<(), String> {
        let line = match &before.rule.action {
            Action::Nothing => return Ok(()),
            Action::Jump(chain) => match self.stops(chain, &rule.conditions, MAX_DEPTH) {
                Some(line) => line.unwrap_or(before.rule.line),
                None => return Ok(()),
            },
            Action::Redirect(_) if agree(&before.taken, entries) => return Ok(()),
            Action::Redirect(_) | Action::Elsewhere(_) | Action::Pass => before.rule.line,
        };
        let whose = match hook {
            Hook::Output => "this host's packets",
            Hook::Prerouting | Hook::Other => "its packets",
        };
        let what = match line == rule.line {
            true => "an earlier rule on the line".to_owned(),
            false => format!("line {line}"),
        };
        Err(format!("{what} comes first and has some of {whose}"))
    }

    /// Whether a chain may keep packets from what comes after the jump to it, and by which line.
    fn stops(&self, name: &str, conditions: &Conditions, depth: u8) -> Option<Option<usize>> {
        let find = |chain: &&Chain| {
            chain.name == name
                && chain.table == self.chain.table
                && chain.family == self.chain.family
        };
        // A target that is no chain of this listing may do anything.
        let Some(chain) = self.listing.chains.iter().find(find) else {
            return Some(None);
        };
        if depth == 0 {
            return Some(None);
        }
        chain
            .rules
            .iter()
            .filter(|rule| rule.conditions.may_meet(conditions))
            .find_map(|rule| match &rule.action {
                Action::Nothing => None,
                // `RETURN` of a chain that was jumped to goes on behind the jump, `ACCEPT` does not.
                Action::Pass | Action::Redirect(_) | Action::Elsewhere(_) => Some(Some(rule.line)),
                Action::Jump(next) => self.stops(next, conditions, depth - 1),
            })
    }
}

/// Chains do not loop, but garbage may.
const MAX_DEPTH: u8 = 8;

/// Whether for every packet of both the earlier entry also wins with us, or says the same.
fn agree(earlier: &[Entry], later: &[Entry]) -> bool {
    !earlier.is_empty()
        && earlier.iter().all(|earlier| {
            later
                .iter()
                .filter(|later| later.protocol == earlier.protocol && later.from == earlier.from)
                .all(|later| later.to == earlier.to || earlier.rank() > later.rank())
        })
}
