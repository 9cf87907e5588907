//! Commands of nft outside its blocks.

use super::{reader::Reader, ruleset::Table, tokens::Token};
use crate::import::{model::Chain, unfollowed};

const BY_NUMBER: &str = "it is put in its chain by a number that this text does not explain";
const NO_CHAIN: &str =
    "its chain is not in this text; import what `nft list ruleset` prints instead";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    First,
    Last,
    InPlace,
}

impl Reader<'_> {
    /// Everything: blocks of tables, and commands.
    pub fn text(&mut self) {
        while let Some(line) = self.line() {
            let words = self.words();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["table", ref rest @ ..] | ["add" | "create", "table", ref rest @ ..] => {
                    self.skip(words.len());
                    if let Some((table, _)) = Table::read(rest) {
                        self.table(&table);
                    }
                }
                ["chain", ref rest @ ..] | ["add" | "create", "chain", ref rest @ ..] => {
                    self.skip(words.len());
                    if let Some((table, [name, ..])) = Table::read(rest) {
                        self.chain(&table, name);
                    }
                }
                [
                    "add" | "insert" | "replace" | "delete" | "destroy" | "flush" | "define"
                    | "redefine" | "undefine" | "include" | "rule",
                    ..,
                ] => {
                    if let Some((statement, line)) = self.statement() {
                        self.command(line, &statement);
                    }
                }
                [] => self.skip(1),
                _ => {
                    if let Some(why) = unfollowed::reason(&words.join(" ")) {
                        self.ruleset.leave(line, why);
                    }
                    self.skip(words.len());
                }
            }
        }
    }

    /// `include` and the like, which may stand anywhere. Whether it is one.
    pub fn directive(&mut self, line: usize, statement: &[Token]) -> bool {
        match statement {
            [Token::Word(word), Token::Quoted(_)] if word == "include" => {
                self.ruleset.include(line);
            }
            [Token::Word(word), value @ ..] if matches!(word.as_str(), "define" | "redefine") => {
                self.variables.define(value);
            }
            [Token::Word(word), name] if word == "undefine" => {
                self.variables.undefine(name.word().unwrap_or_default());
            }
            _ => return false,
        }
        true
    }

    fn command(&mut self, line: usize, statement: &[Token]) {
        if self.directive(line, statement) {
            return;
        }
        let words: Vec<_> = statement.iter().map_while(Token::word).collect();
        match words[..] {
            ["rule", ..] => self.put(line, &statement[1..], Put::Last),
            ["add", "rule", ..] => self.put(line, &statement[2..], Put::Last),
            ["insert", "rule", ..] => self.put(line, &statement[2..], Put::First),
            ["replace", "rule", ..] => self.put(line, &statement[2..], Put::InPlace),
            ["flush", "ruleset", ref family @ ..] => self.ruleset.remove(line, |chain: &Chain| {
                family.first().is_none_or(|family| chain.family == *family)
            }),
            ["flush", "table" | "chain", ref rest @ ..] => self.ruleset.clear(line, meant(rest)),
            ["delete" | "destroy", "rule", ref rest @ ..] => self.ruleset.doubt(line, meant(rest)),
            ["delete" | "destroy", "table" | "chain", ref rest @ ..]
                if rest.contains(&"handle") =>
            {
                self.ruleset.doubt(line, |_| true);
            }
            ["delete" | "destroy", "table" | "chain", ref rest @ ..] => {
                self.ruleset.remove(line, meant(rest));
            }
            _ => self.leave_unfollowed(line, statement),
        }
    }

    /// `[FAMILY] TABLE CHAIN [handle NUMBER] RULE`
    fn put(&mut self, line: usize, statement: &[Token], put: Put) {
        let words: Vec<_> = statement.iter().map_while(Token::word).collect();
        let Some((table, [name, rest @ ..])) = Table::read(&words) else {
            return self.leave_unfollowed(line, statement);
        };
        let is_placed = matches!(rest, ["handle" | "position" | "index", _, ..]);
        let used = words.len() - rest.len() + if is_placed { 2 } else { 0 };
        let why = if !self.ruleset.has(&table, name) {
            Some(NO_CHAIN)
        } else if is_placed || put == Put::InPlace {
            self.ruleset.doubt(line, meant(&words));
            Some(BY_NUMBER)
        } else {
            None
        };
        let mut rules = self.rules(line, &statement[used..], &table);
        if let Some(why) = why {
            rules.iter_mut().for_each(|rule| rule.refuse(why));
        }
        self.ruleset
            .add(&table, name, rules, put == Put::First && !is_placed);
    }

    fn leave_unfollowed(&mut self, line: usize, statement: &[Token]) {
        let words: Vec<_> = statement.iter().filter_map(Token::word).collect();
        if let Some(why) = unfollowed::reason(&words.join(" ")) {
            self.ruleset.leave(line, why);
        }
    }
}

/// Of `[FAMILY] TABLE [CHAIN]`.
fn meant<'a>(words: &'a [&'a str]) -> impl Fn(&Chain) -> bool + 'a {
    let table = Table::read(words);
    move |chain| {
        table.as_ref().is_some_and(|(table, rest)| {
            table.has(chain) && rest.first().is_none_or(|name| chain.name == *name)
        })
    }
}
