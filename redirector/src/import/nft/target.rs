//! Where a rule of nft sends packets.

use super::{super::ports, tokens::Token};
use crate::import::model::{Action, Ports};

#[derive(Debug)]
pub enum Target<'a> {
    Is(Action),
    /// Ports, and the one each goes to; at least one. The protocol is the key's.
    Map(&'a str, Vec<(Ports, u16)>),
}

/// Behind `redirect`: `[to [:]PORT]`, `to [:]tcp dport map { FROM : TO, ... }`.
pub fn redirect(rest: &[Token]) -> Target<'_> {
    let words: Vec<_> = rest.iter().map_while(Token::word).collect();
    let to = match words[..] {
        ["to", to, ..] => to.trim_start_matches(':'),
        [to, ..] if to.starts_with(':') => &to[1..],
        _ => return elsewhere("it keeps the port, so there is none to change"),
    };
    let map = words.iter().position(|word| *word == "map");
    match map {
        Some(map) if ports::single(to).is_none() => mapped(rest, to, &words[..map]),
        _ => Target::Is(ports::redirected(to)),
    }
}

/// Behind `dnat`: `[ip|ip6] [to] TARGET`.
pub fn dnat(rest: &[Token]) -> Target<'_> {
    let mut words = rest.iter().map_while(Token::word);
    let target = words.find(|word| !matches!(*word, "to" | "ip" | "ip6"));
    Target::Is(ports::translated(target.unwrap_or_default()))
}

fn elsewhere<'a>(why: impl Into<String>) -> Target<'a> {
    Target::Is(Action::Elsewhere(why.into()))
}

fn mapped<'a>(rest: &'a [Token], protocol: &'a str, key: &[&str]) -> Target<'a> {
    let open = rest.iter().position(|token| *token == Token::Open);
    let (Some(open), Some(&"dport")) = (open, key.last()) else {
        return elsewhere("its map is not written out in the rule");
    };
    let elements: Vec<_> = rest[open + 1..]
        .iter()
        .take_while(|token| **token != Token::Close)
        .map(|token| token.word().unwrap_or(","))
        .collect();
    let pairs: Option<Vec<_>> = elements
        .concat()
        .split(',')
        .filter(|element| !element.is_empty())
        .map(|element| {
            let (from, to) = element.split_once(':')?;
            Some((ports::range(from, '-')?, ports::single(to)?))
        })
        .collect();
    match pairs {
        Some(pairs) if !pairs.is_empty() => Target::Map(protocol, pairs),
        _ => elsewhere("its map has more than ports"),
    }
}
