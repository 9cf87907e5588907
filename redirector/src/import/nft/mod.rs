//! `nft list ruleset`, with `-a` or without.

mod statement;
mod target;
mod tokens;
mod value;

pub use self::tokens::without_handle;
use self::tokens::{Placed, Token, tokens};
use super::model::{Chain, Families, Hook, Kind, Line, Listing};

/// Never fails: what is not understood is left.
pub fn parse(text: &str) -> Listing {
    let (tokens, lines) = tokens(text);
    let mut reader = Reader {
        rest: &tokens,
        chains: Vec::new(),
        rules: Vec::new(),
    };
    reader.tables();
    let Reader { chains, rules, .. } = reader;
    let kind = |number| match rules.binary_search(&number) {
        Ok(_) => Kind::Rule,
        Err(_) => Kind::Other,
    };
    let lines = lines.into_iter().map(|line| Line {
        number: line.number,
        text: without_handle(&line.text).to_owned(),
        kind: kind(line.number),
    });
    Listing {
        lines: lines.filter(|line| !line.text.is_empty()).collect(),
        chains,
    }
}

struct Reader<'a> {
    rest: &'a [Placed],
    chains: Vec<Chain>,
    /// Lines of redirects, in order.
    rules: Vec<usize>,
}

impl Reader<'_> {
    /// `table FAMILY NAME { ... }`, the family being `ip` where there is none.
    fn tables(&mut self) {
        while let Some((token, _)) = self.next() {
            if token.word() != Some("table") {
                continue;
            }
            let words = self.words_to_open();
            let (family, name) = match &words[..] {
                [family, name, ..] => (family.clone(), name.clone()),
                [name] => ("ip".to_owned(), name.clone()),
                [] => continue,
            };
            self.table(&family, &name);
        }
    }

    fn table(&mut self, family: &str, table: &str) {
        while let Some((token, _)) = self.next() {
            match token {
                Token::Close => return,
                Token::Open => self.skip_block(),
                token if token.word() == Some("chain") => {
                    if let Some(name) = self.words_to_open().first() {
                        self.chain(family, table, name);
                    }
                }
                _ => {}
            }
        }
    }

    fn chain(&mut self, family: &str, table: &str, name: &str) {
        let mut chain = Chain {
            family: family.to_owned(),
            table: table.to_owned(),
            name: name.to_owned(),
            hook: None,
            rules: Vec::new(),
        };
        let mut is_other_type = false;
        while let Some((statement, line)) = self.statement() {
            let words: Vec<_> = statement.iter().filter_map(Token::word).collect();
            if words.is_empty() {
                continue;
            }
            match words[..] {
                ["type", kind, "hook", hook, ..] => {
                    is_other_type = kind != "nat";
                    chain.hook = Some(match hook {
                        "prerouting" => Hook::Prerouting,
                        "output" => Hook::Output,
                        _ => Hook::Other,
                    });
                }
                ["policy" | "comment", ..] => {}
                _ => {
                    let rules = statement::rules(line, &statement, Families::of(family));
                    let actions: Vec<_> = rules.iter().map(|rule| &rule.action).collect();
                    if super::save::kind(&actions) == Kind::Rule && !is_other_type {
                        self.rules.push(line);
                    }
                    chain.rules.extend(rules);
                }
            }
        }
        if !is_other_type {
            self.chains.push(chain);
        }
    }

    fn next(&mut self) -> Option<(Token, usize)> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some((first.token.clone(), first.line))
    }

    fn words_to_open(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some((token, _)) = self.next() {
            match token {
                Token::Open => break,
                token => words.extend(token.word().map(str::to_owned)),
            }
        }
        words
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

    /// The next statement of a chain and its first line; `None` behind the chain's end. Ends of lines inside
    /// a set are none.
    fn statement(&mut self) -> Option<(Vec<Token>, usize)> {
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
