//! Follows the chains as a packet does: which lines can be taken whole, and which cannot because others
//! come before them.

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

/// The lines with redirects, each once, in the order in which packets meet them.
pub fn fates(listing: &Listing) -> Vec<(usize, Fate)> {
    let mut fates = Vec::new();
    for chain in &listing.chains {
        let mut walk = Walk {
            listing,
            chain,
            before: Vec::new(),
        };
        for rules in chain.rules.chunk_by(|one, other| one.line == other.line) {
            let fate = walk.line(rules);
            walk.before.extend(rules.iter().map(|rule| Before {
                rule,
                taken: match &fate {
                    Some(Fate::Taken(entries)) => entries.clone(),
                    _ => Vec::new(),
                },
            }));
            fates.extend(fate.map(|fate| (rules[0].line, fate)));
        }
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
    /// What its line was taken as; empty where it was left.
    taken: Vec<Entry>,
}

impl Walk<'_> {
    /// `None` for a line that redirects nothing.
    fn line(&self, rules: &[Rule]) -> Option<Fate> {
        let is_ours =
            |rule: &Rule| matches!(rule.action, Action::Redirect(_) | Action::Elsewhere(_));
        if !rules.iter().any(is_ours) {
            return None;
        }
        let mut taken = Vec::new();
        for rule in rules {
            match self.rule(rule) {
                Ok(entries) => taken.extend(entries),
                Err(why) => return Some(Fate::Left(why)),
            }
        }
        Some(Fate::Taken(taken))
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
            Hook::Prerouting | Hook::Other => "packets",
        };
        Err(format!(
            "line {line} comes first and has some of its {whose}"
        ))
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
