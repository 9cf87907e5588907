//! `define NAME = VALUE`, and `$NAME`.

use std::collections::BTreeMap;

use super::{tokens::Token, value};

#[derive(Default)]
pub struct Variables(BTreeMap<String, Vec<Token>>);

impl Variables {
    /// Of what stands behind the keyword. Only one word, or one set of words, is a plain value.
    pub fn define(&mut self, statement: &[Token]) {
        let Some((name, mut value)) = statement.split_first() else {
            return;
        };
        let name = name.word().unwrap_or_default();
        let (name, first) = name.split_once('=').unwrap_or((name, ""));
        let first = (!first.is_empty()).then(|| Token::Word(first.to_owned()));
        if let Some((Token::Word(sign), after)) = value.split_first()
            && sign == "="
        {
            value = after;
        }
        let value: Vec<_> = first.into_iter().chain(value.iter().cloned()).collect();
        match is_plain(&value) {
            true => _ = self.0.insert(name.to_owned(), value),
            false => _ = self.0.remove(name),
        }
    }

    pub fn undefine(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Names without a plain value stay.
    pub fn fill(&self, tokens: Vec<Token>) -> Vec<Token> {
        let mut filled = Vec::new();
        let mut depth = 0usize;
        for token in tokens {
            match &token {
                Token::Open => depth += 1,
                Token::Close => depth = depth.saturating_sub(1),
                Token::Word(word) if word.contains('$') => {
                    let value = self.value(word).unwrap_or_else(|| vec![token.clone()]);
                    let is_inside = depth > 0 && value[0] == Token::Open;
                    filled.extend(match is_inside {
                        // A set within a set is part of it.
                        true => value[1..value.len() - 1].to_vec(),
                        false => value,
                    });
                    continue;
                }
                _ => {}
            }
            filled.push(token);
        }
        filled
    }

    fn value(&self, word: &str) -> Option<Vec<Token>> {
        let mut parts = word.split('$');
        let before = parts.next()?;
        let mut text = before.to_owned();
        for part in parts {
            let is_end = |letter: char| !letter.is_alphanumeric() && !"_-./".contains(letter);
            let (name, after) = part.split_at(part.find(is_end).unwrap_or(part.len()));
            let value = self.0.get(name)?;
            if word.strip_prefix('$') == Some(name) {
                return Some(value.clone());
            }
            let [value] = &value[..] else {
                return None;
            };
            text += value.word()?;
            text += after;
        }
        Some(vec![Token::Word(text)])
    }
}

/// Tokens of one value, and letters of each: far more than a set of ports has.
const LONGEST: usize = 4096;

/// The first name that has no plain value.
pub fn unknown(tokens: &[Token]) -> Option<String> {
    let is_name = |token: &&Token| matches!(token, Token::Word(word) if word.contains('$'));
    tokens.iter().find(is_name).map(value::text)
}

/// Names within names may make a value of any length.
fn is_plain(value: &[Token]) -> bool {
    if value.len() > LONGEST {
        return false;
    }
    let is_known = |token: &Token| match token {
        Token::Word(word) => !word.contains('$') && !word.starts_with('@') && word.len() <= LONGEST,
        Token::Quoted(_) => true,
        _ => false,
    };
    match value {
        [token] => is_known(token),
        [Token::Open, inside @ .., Token::Close] => inside
            .iter()
            .all(|token| is_known(token) || *token == Token::Comma),
        _ => false,
    }
}
