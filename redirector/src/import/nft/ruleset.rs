//! The chains as the blocks and commands of a text build them, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        iptables::TPROXY,
        model::{Action, Chain, Hook, Kind, Line, Listing, Rule},
    },
    tokens,
};

const NAT_ONLY: &str = "redirect and dnat work in chains of the type nat only";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// `ip` where none is written.
    pub family: String,
    pub name: String,
}

#[derive(Default)]
pub struct Ruleset {
    chains: Vec<Chain>,
    /// Chains of other types, which translate nothing.
    others: Vec<(Table, String)>,
    dormant: Vec<Table>,
    /// Lines of redirects.
    rules: BTreeSet<usize>,
    /// Lines of which nothing is taken, and why.
    left: BTreeMap<usize, String>,
    included: Option<usize>,
}

impl Table {
    /// With what stands behind its name.
    pub fn read<'a>(words: &'a [&'a str]) -> Option<(Self, &'a [&'a str])> {
        let families = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
        let (family, rest) = match words {
            [family, rest @ ..] if families.contains(family) && !rest.is_empty() => (*family, rest),
            _ => ("ip", words),
        };
        let (name, rest) = rest.split_first()?;
        let table = Self {
            family: family.to_owned(),
            name: (*name).to_owned(),
        };
        Some((table, rest))
    }

    pub fn has(&self, chain: &Chain) -> bool {
        (&self.family, &self.name) == (&chain.family, &chain.table)
    }
}

impl Ruleset {
    /// A table that is named again without its flag wakes up.
    pub fn table(&mut self, table: &Table, is_dormant: bool) {
        self.dormant.retain(|other| other != table);
        if is_dormant {
            self.dormant.push(table.clone());
        }
    }

    pub fn has(&self, table: &Table, name: &str) -> bool {
        let mut chains = self.chains.iter();
        chains.any(|chain| table.has(chain) && chain.name == name)
    }

    /// Finds or makes it.
    pub fn chain(&mut self, table: &Table, name: &str) -> &mut Chain {
        let is_it = |chain: &Chain| table.has(chain) && chain.name == name;
        let found = self.chains.iter().position(is_it);
        let index = found.unwrap_or_else(|| {
            self.chains.push(Chain {
                family: table.family.clone(),
                table: table.name.clone(),
                name: name.to_owned(),
                hook: None,
                rules: Vec::new(),
            });
            self.chains.len() - 1
        });
        &mut self.chains[index]
    }

    pub fn hook(&mut self, table: &Table, name: &str, kind: &str, hook: &str) {
        self.chain(table, name).hook = Some(match hook {
            "prerouting" => Hook::Prerouting,
            "output" => Hook::Output,
            _ => Hook::Other,
        });
        if kind != "nat" {
            self.others.push((table.clone(), name.to_owned()));
        }
    }

    /// At the end of a chain, or before all of it.
    pub fn add(&mut self, table: &Table, name: &str, rules: Vec<Rule>, is_first: bool) {
        for rule in &rules {
            if redirects(rule) {
                self.rules.insert(rule.line);
            }
        }
        let rules_so_far = &mut self.chain(table, name).rules;
        let at = if is_first { 0 } else { rules_so_far.len() };
        rules_so_far.splice(at..at, rules);
    }

    /// `line` takes all rules of these chains away.
    pub fn clear(&mut self, line: usize, is_meant: impl Fn(&Chain) -> bool) {
        for chain in self.chains.iter_mut().filter(|chain| is_meant(chain)) {
            let gone = chain.rules.drain(..).filter(redirects);
            let why = format!("line {line} deletes it again");
            self.left.extend(gone.map(|rule| (rule.line, why.clone())));
        }
    }

    pub fn remove(&mut self, line: usize, is_meant: impl Fn(&Chain) -> bool) {
        self.clear(line, &is_meant);
        self.others.retain(|(table, name)| {
            let chain = self
                .chains
                .iter()
                .find(|chain| table.has(chain) && chain.name == *name);
            !chain.is_some_and(&is_meant)
        });
        self.chains.retain(|chain| !is_meant(chain));
    }

    /// `line` changes these chains in a way that the text does not tell.
    pub fn doubt(&mut self, line: usize, is_meant: impl Fn(&Chain) -> bool) {
        let why =
            format!("line {line} changes its chain by a number that this text does not explain");
        let chains = self.chains.iter_mut().filter(|chain| is_meant(chain));
        for rule in chains.flat_map(|chain| &mut chain.rules) {
            rule.refuse(&why);
        }
    }

    pub fn leave(&mut self, line: usize, why: &str) {
        self.left.insert(line, why.to_owned());
    }

    pub fn include(&mut self, line: usize) {
        self.included.get_or_insert(line);
        self.leave(
            line,
            "it includes another file, which is not read; import what `nft list ruleset` prints",
        );
    }

    pub fn build(mut self, lines: Vec<tokens::Line>) -> Listing {
        self.leave_other_types();
        self.leave_dormant();
        let kind = |number| match self.left.get(&number) {
            Some(why) => Kind::Left(why.clone()),
            None if self.rules.contains(&number) => Kind::Rule,
            None => Kind::Other,
        };
        let lines = lines.into_iter().map(|line| Line {
            number: line.number,
            text: tokens::without_handle(&line.text).to_owned(),
            kind: kind(line.number),
        });
        let mut listing = Listing {
            lines: lines.filter(|line| !line.text.is_empty()).collect(),
            chains: self.chains,
        };
        for (number, why) in &self.left {
            listing.refuse(*number, why);
        }
        if let Some(line) = self.included {
            let why = format!(
                "line {line} includes another file, which may change what it does; import what \
                 `nft list ruleset` prints instead"
            );
            let rules = listing.chains.iter_mut().flat_map(|chain| &mut chain.rules);
            rules.for_each(|rule| rule.refuse(&why));
        }
        listing
    }

    fn leave_other_types(&mut self) {
        for (table, name) in std::mem::take(&mut self.others) {
            let is_it = |chain: &Chain| table.has(chain) && chain.name == name;
            let Some(index) = self.chains.iter().position(is_it) else {
                continue;
            };
            for rule in self.chains.remove(index).rules {
                self.rules.remove(&rule.line);
                match rule.action {
                    Action::Redirect(_) => self.leave(rule.line, NAT_ONLY),
                    Action::Elsewhere(why) if why == TPROXY => self.leave(rule.line, TPROXY),
                    _ => {}
                }
            }
        }
    }

    fn leave_dormant(&mut self) {
        for table in std::mem::take(&mut self.dormant) {
            for chain in self.chains.iter_mut().filter(|chain| table.has(chain)) {
                let asleep = chain.rules.drain(..).filter(redirects);
                let why = "its table is dormant".to_owned();
                self.left
                    .extend(asleep.map(|rule| (rule.line, why.clone())));
            }
        }
    }
}

fn redirects(rule: &Rule) -> bool {
    matches!(rule.action, Action::Redirect(_) | Action::Elsewhere(_))
}
