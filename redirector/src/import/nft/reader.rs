//! The blocks of nft: tables, and the chains in them.

use super::{
    ruleset::{Ruleset, Table},
    statement,
    tokens::{Placed, Token},
    variables::{self, Variables},
};
use crate::import::model::{Action, Families, Rule};

pub struct Reader<'a> {
    rest: &'a [Placed],
    pub ruleset: Ruleset,
    pub variables: Variables,
}

impl<'a> Reader<'a> {
    pub fn new(tokens: &'a [Placed]) -> Self {
        Self {
            rest: tokens,
            ruleset: Ruleset::default(),
            variables: Variables::default(),
        }
    }

    /// Of what comes next.
    pub fn line(&self) -> Option<usize> {
        self.rest.first().map(|placed| placed.line)
    }

    /// Those that come next, on this line.
    pub fn words(&self) -> Vec<String> {
        let words = self.rest.iter().map_while(|placed| placed.token.word());
        words.map(str::to_owned).collect()
    }

    pub fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Behind its name.
    pub fn table(&mut self, table: &Table) {
        let mut is_dormant = false;
        if self.opens() {
            while let Some(line) = self.line() {
                let words = self.words();
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                match words[..] {
                    ["chain", name, ..] => {
                        self.skip(words.len());
                        self.chain(table, name);
                    }
                    ["flags", ..] => {
                        is_dormant |= self.flags().contains("dormant");
                    }
                    ["define" | "redefine" | "undefine" | "include", ..] => {
                        if let Some((statement, _)) = self.statement() {
                            self.directive(line, &statement);
                        }
                    }
                    _ => {
                        self.skip(words.len());
                        match self.next() {
                            None | Some((Token::Close, _)) => break,
                            Some((Token::Open, _)) => self.skip_block(),
                            _ => {}
                        }
                    }
                }
            }
        }
        self.ruleset.table(table, is_dormant);
    }

    /// Behind its name.
    pub fn chain(&mut self, table: &Table, name: &str) {
        self.ruleset.chain(table, name);
        if !self.opens() {
            return;
        }
        while let Some((statement, line)) = self.statement() {
            let words: Vec<_> = statement.iter().filter_map(Token::word).collect();
            match words[..] {
                [] | ["policy" | "comment", ..] => {}
                ["type", kind, "hook", hook, ..] => self.ruleset.hook(table, name, kind, hook),
                _ if self.directive(line, &statement) => {}
                _ => {
                    let rules = self.rules(line, &statement, table);
                    self.ruleset.add(table, name, rules, false);
                }
            }
        }
    }

    pub fn rules(&self, line: usize, statement: &[Token], table: &Table) -> Vec<Rule> {
        let mut rules = statement::rules(line, statement, Families::of(&table.family));
        if let Some(name) = variables::unknown(statement) {
            let why = format!(
                "{name} has no plain value in this text; import what `nft list ruleset` prints \
                 instead"
            );
            for rule in &mut rules {
                rule.refuse(&why);
                // The verdict may be in it.
                if rule.action == Action::Nothing {
                    rule.action = Action::Pass;
                }
            }
        }
        rules
    }

    fn next(&mut self) -> Option<(Token, usize)> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some((first.token.clone(), first.line))
    }

    /// Goes into the block that begins here.
    fn opens(&mut self) -> bool {
        let is_open = self
            .rest
            .first()
            .is_some_and(|placed| placed.token == Token::Open);
        self.skip(usize::from(is_open));
        is_open
    }

    /// To the end of the statement.
    fn flags(&mut self) -> String {
        let statement = self.statement();
        let tokens = statement.map_or_else(Vec::new, |(tokens, _)| tokens);
        let words: Vec<_> = tokens.iter().filter_map(Token::word).collect();
        words.join(" ")
    }

    /// To the end of a block that has just opened.
    fn skip_block(&mut self) {
        let mut depth = 1;
        while depth > 0
            && let Some((token, _)) = self.next()
        {
            match token {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                _ => {}
            }
        }
    }

    /// The next statement of a chain and its first line; `None` behind the chain's end.
    pub fn statement(&mut self) -> Option<(Vec<Token>, usize)> {
        let (tokens, line) = self.statement_as_written()?;
        Some((self.variables.fill(tokens), line))
    }

    /// Ends of lines inside a set are none.
    fn statement_as_written(&mut self) -> Option<(Vec<Token>, usize)> {
        let mut statement = Vec::new();
        let mut line = 0;
        let mut depth = 0usize;
        loop {
            let before = self.rest;
            let Some((token, at)) = self.next() else {
                break;
            };
            if statement.is_empty() {
                line = at;
            }
            match &token {
                Token::Open => depth += 1,
                Token::Close if depth == 0 && statement.is_empty() => return None,
                Token::Close if depth == 0 => {
                    self.rest = before;
                    break;
                }
                Token::Close => depth -= 1,
                Token::End if depth == 0 => return Some((statement, line)),
                _ => {}
            }
            if token != Token::End {
                statement.push(token);
            }
        }
        (!statement.is_empty()).then_some((statement, line))
    }
}
