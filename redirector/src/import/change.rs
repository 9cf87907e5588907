//! A command of iptables that changes a chain.

use super::{
    iptables,
    model::{Families, Rule},
    options,
};

/// `-A CHAIN ...`, `-I CHAIN [NUMBER] ...` and the like, with `-t TABLE` anywhere.
#[derive(Debug)]
pub struct Change {
    pub families: Families,
    pub table: String,
    /// Empty where a table is flushed.
    pub chain: String,
    pub verb: Verb,
    pub rule: Vec<String>,
}

/// Numbers are from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Append,
    /// Before the rule of this number.
    Insert(usize),
    /// The first that is written so.
    Delete,
    DeleteAt(Option<usize>),
    Replace(Option<usize>),
    Flush,
    FlushTable,
    New,
}

impl Verb {
    pub fn adds(self) -> bool {
        matches!(self, Self::Append | Self::Insert(_) | Self::Replace(_))
    }
}

impl Change {
    /// Of words that [`options::separate`] made.
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
            let option = options::whole(option);
            if !matches!(option, "-t" | "--table") && !is_verb(option) {
                rule.push(word.clone());
                continue;
            }
            let mut argument =
                || words.next_if(|word| !word.starts_with(['-', '!']) && output(word).is_none());
            let value = value.map(str::to_owned).or_else(|| argument().cloned());
            if matches!(option, "-t" | "--table") {
                table = value?;
                continue;
            }
            let mut number = || argument().map(|number| number.parse().ok());
            let verb = match option {
                "-A" | "--append" => Verb::Append,
                "-I" | "--insert" => {
                    let number = words.peek().and_then(|word| word.parse().ok());
                    if number.is_some() {
                        words.next();
                    }
                    Verb::Insert(number.unwrap_or(1))
                }
                "-D" | "--delete" => number().map_or(Verb::Delete, Verb::DeleteAt),
                "-R" | "--replace" => Verb::Replace(number()?),
                "-N" | "--new-chain" => Verb::New,
                _ if value.is_none() => Verb::FlushTable,
                _ => Verb::Flush,
            };
            change = Some((
                verb,
                value.or((verb == Verb::FlushTable).then(String::new))?,
            ));
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

    pub fn rules(&self, line: usize) -> Vec<Rule> {
        iptables::rules(line, &self.rule, self.families)
    }

    /// Whether both are about one rule.
    pub fn is_of(&self, other: &Self) -> bool {
        self.is_beside(other) && self.rule == other.rule
    }

    /// Whether both are about one chain.
    pub fn is_beside(&self, other: &Self) -> bool {
        (self.families, &self.table, &self.chain) == (other.families, &other.table, &other.chain)
    }

    /// Whether iptables makes several rules of it, one for each address.
    pub fn is_several(&self) -> bool {
        let is_list = |pair: &[String]| {
            let name = options::whole(&pair[0]);
            matches!(
                name,
                "-s" | "--source" | "--src" | "-d" | "--destination" | "--dst"
            ) && pair[1].contains(',')
        };
        let has_list =
            |word: &String| word.starts_with("--") && word.contains('=') && word.contains(',');
        self.rule.windows(2).any(is_list) || self.rule.iter().any(has_list)
    }
}

fn is_verb(option: &str) -> bool {
    matches!(
        option,
        "-A" | "--append"
            | "-I"
            | "--insert"
            | "-D"
            | "--delete"
            | "-R"
            | "--replace"
            | "-F"
            | "--flush"
            | "-N"
            | "--new-chain"
    )
}

/// Where a command's output goes, and whether the file's name is in the same word.
fn output(word: &str) -> Option<bool> {
    let file = word
        .trim_start_matches(['1', '2', '&'])
        .strip_prefix(['>', '<'])?;
    Some(!matches!(file, "" | ">"))
}
