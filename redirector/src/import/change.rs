//! A command of iptables that changes a chain.

use super::{
    model::{Families, Rule},
    options,
};

/// `-A CHAIN ...`, `-I CHAIN [NUMBER] ...` or `-D CHAIN ...`, with `-t TABLE` anywhere.
#[derive(Debug)]
pub struct Change {
    pub families: Families,
    pub table: String,
    pub chain: String,
    pub verb: Verb,
    pub rule: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Append,
    /// Before the rule of this number, from 1.
    Insert(usize),
    Delete,
}

impl Change {
    pub fn read(families: Families, words: &[String]) -> Option<Self> {
        let mut table = "filter".to_owned();
        let mut change: Option<(Verb, String)> = None;
        let mut rule = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            if let Some(glued) = output(word) {
                if !glued {
                    words.next();
                }
                continue;
            }
            let (option, value) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => (option, Some(value)),
                _ => (word.as_str(), None),
            };
            let mut value = || value.map(str::to_owned).or_else(|| words.next().cloned());
            match options::whole(option) {
                "-t" | "--table" => table = value()?,
                "-A" | "--append" => change = Some((Verb::Append, value()?)),
                "-D" | "--delete" => change = Some((Verb::Delete, value()?)),
                "-I" | "--insert" => {
                    let chain = value()?;
                    let number = words.peek().and_then(|word| word.parse().ok());
                    if number.is_some() {
                        words.next();
                    }
                    change = Some((Verb::Insert(number.unwrap_or(1)), chain));
                }
                _ => rule.push(word.clone()),
            }
        }
        let (verb, chain) = change?;
        Some(Self {
            families,
            table,
            chain,
            verb,
            rule,
        })
    }

    /// Whether both are about one rule.
    pub fn is_of(&self, other: &Self) -> bool {
        (self.families, &self.table, &self.chain, &self.rule)
            == (other.families, &other.table, &other.chain, &other.rule)
    }

    /// A rule of several parts counts once for the number of an insertion.
    pub fn place(&self, chain: &mut Vec<Rule>, rules: Vec<Rule>) {
        let Verb::Insert(before) = self.verb else {
            return chain.extend(rules);
        };
        let mut starts: Vec<_> = (0..chain.len())
            .filter(|&at| at == 0 || chain[at].line != chain[at - 1].line)
            .collect();
        starts.push(chain.len());
        let at = starts[before.saturating_sub(1).min(starts.len() - 1)];
        chain.splice(at..at, rules);
    }
}

/// Where a command's output goes, and whether the file's name is in the same word.
fn output(word: &str) -> Option<bool> {
    let file = word
        .trim_start_matches(['1', '2', '&'])
        .strip_prefix(['>', '<'])?;
    Some(!matches!(file, "" | ">"))
}
