//! What stands behind a key in a rule of nft.

use super::tokens::Token;

pub enum Value {
    Words(Vec<String>),
    /// `!= ...`, `@set`, `& ...`, a map, or nothing.
    Opaque(String),
}

/// Behind `key` words, and what follows it.
pub fn take(tokens: &[Token], key: usize) -> (Value, &[Token]) {
    let (names, rest) = tokens.split_at(key.min(tokens.len()));
    let Some(first) = rest.first() else {
        return (opaque(names, &[]), rest);
    };
    if *first == Token::Open {
        let (inside, after) = set(rest);
        let words = inside.iter().filter_map(Token::word);
        return (Value::Words(words.map(str::to_owned).collect()), after);
    }
    let word = first.word().unwrap_or_default();
    // The rule's reader takes it for what it is.
    if word == "vmap" {
        return (opaque(names, &[]), rest);
    }
    let has_argument = matches!(
        word,
        "!=" | "==" | "&" | "|" | "<" | ">" | "<=" | ">=" | "and" | "." | "map"
    );
    if has_argument {
        // It may be a set.
        let (_, after) = take(&rest[1..], 0);
        return (opaque(names, &rest[..rest.len() - after.len()]), after);
    }
    let after = &rest[1..];
    match word.starts_with('@') {
        true => (opaque(names, &rest[..1]), after),
        false => (Value::Words(vec![word.to_owned()]), after),
    }
}

/// Of `ct status`: names of which some are also those of statements, and what combines them.
pub fn flags(tokens: &[Token], key: usize) -> (String, &[Token]) {
    let is_part = |at: usize| match &tokens[at] {
        Token::Open | Token::Close | Token::Comma => true,
        token => match token.word().map(|word| word.trim_matches(['(', ')'])) {
            Some("snat" | "dnat") => {
                let next = tokens.get(at + 1).and_then(Token::word);
                !next.is_some_and(|word| {
                    matches!(word, "to" | "ip" | "ip6") || word.starts_with(':')
                })
            }
            Some(
                "expected" | "seen-reply" | "assured" | "confirmed" | "dying" | "&" | "|" | "=="
                | "!=" | "!" | "and" | "or",
            ) => true,
            Some(word) => {
                word.is_empty() || word.starts_with(|letter: char| letter.is_ascii_digit())
            }
            None => false,
        },
    };
    let key = key.min(tokens.len());
    let end = (key..tokens.len())
        .find(|&at| !is_part(at))
        .unwrap_or(tokens.len());
    let (words, rest) = tokens.split_at(end);
    (joined(words), rest)
}

pub fn text(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Quoted(word) => format!("{word:?}"),
        Token::Open => "{".into(),
        Token::Close => "}".into(),
        Token::Comma => ",".into(),
        Token::End | Token::Handle(_) => String::new(),
    }
}

/// Inside its braces, and behind them.
fn set(tokens: &[Token]) -> (&[Token], &[Token]) {
    let end = tokens.iter().position(|token| *token == Token::Close);
    let end = end.unwrap_or(tokens.len());
    let after = tokens.get(end + 1..).unwrap_or_default();
    (&tokens[1..end.max(1)], after)
}

fn opaque(names: &[Token], value: &[Token]) -> Value {
    let words: Vec<_> = names.iter().chain(value).cloned().collect();
    Value::Opaque(joined(&words))
}

fn joined(tokens: &[Token]) -> String {
    let words: Vec<_> = tokens.iter().map(text).collect();
    words.join(" ").replace(" ,", ",").trim_end().to_owned()
}
