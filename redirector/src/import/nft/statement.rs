//! One rule of nft.

use super::{
    super::{
        iptables::{TPROXY, network},
        ports,
    },
    target::{self, Target},
    tokens::Token,
    value::{self, Value},
};
use crate::{
    config::Protocol,
    import::model::{Action, Conditions, Destination, Families, Ports, Rule},
};

/// Never fails: words that are not understood are a condition in their own words.
pub fn rules(line: usize, statement: &[Token], families: Families) -> Vec<Rule> {
    let mut reading = Reading {
        rest: statement,
        conditions: Conditions::new(families),
        destinations: Vec::new(),
        mapped: Vec::new(),
        action: Action::Nothing,
        handle: None,
    };
    while !reading.rest.is_empty() {
        reading.expression();
    }
    reading.rules(line)
}

struct Reading<'a> {
    rest: &'a [Token],
    conditions: Conditions,
    destinations: Vec<Destination>,
    /// Of a redirect to a map: ports, and the one each goes to.
    mapped: Vec<(Ports, u16)>,
    action: Action,
    handle: Option<u64>,
}

impl<'a> Reading<'a> {
    fn expression(&mut self) {
        if let Some(Token::Handle(handle)) = self.rest.first() {
            self.handle = Some(*handle);
            return self.skip(1);
        }
        let words: Vec<_> = self.rest.iter().map_while(Token::word).take(4).collect();
        match words[..] {
            ["meta", ..] => self.skip(1),
            ["iifname" | "iif", ..] => {
                self.names(1, |conditions, names| conditions.inbound = names);
            }
            ["oifname" | "oif", ..] => {
                self.names(1, |conditions, names| conditions.outbound = names);
            }
            [protocol @ ("tcp" | "udp"), "dport", ..] => {
                self.protocols(&[protocol.to_owned()]);
                self.ports();
            }
            ["th", "dport", ..] => self.ports(),
            ["l4proto", ..] => self.protocol_value(1),
            [family @ "ip", "protocol", ..] | [family @ "ip6", "nexthdr", ..] => {
                self.narrow(Families::of(family));
                self.protocol_value(2);
            }
            ["nfproto", family @ ("ipv4" | "ipv6"), ..] => {
                let family = if family == "ipv4" { "ip" } else { "ip6" };
                self.narrow(Families::of(family));
                self.skip(2);
            }
            [family @ ("ip" | "ip6"), "daddr", ..] => {
                self.narrow(Families::of(family));
                self.addresses();
            }
            ["fib", "daddr", "type", "local"] => {
                self.destinations.push(Destination::Local);
                self.skip(4);
            }
            // Only the first packet of a connection meets a chain of type nat.
            ["ct", "state", "new", ..] => self.skip(3),
            ["ct", "status", ..] => {
                let (words, rest) = value::flags(self.rest, 2);
                self.conditions.others.push(words);
                self.rest = rest;
            }
            // Its verdicts are several, or in another place.
            ["vmap", ..] => self.end(Action::Pass),
            ["counter", "packets", _, "bytes"] => self.skip(5),
            ["counter", ..] => self.skip(1),
            ["comment", _, ..] => self.skip(2),
            ["log", "prefix", ..] => self.skip(3),
            ["log", ..] => self.skip(1),
            [
                "accept" | "return" | "drop" | "masquerade" | "snat" | "reject" | "queue",
                ..,
            ] => {
                self.end(Action::Pass);
            }
            ["jump" | "goto", chain, ..] => self.end(Action::Jump(chain.to_owned())),
            ["redirect", ..] => self.translate(target::redirect),
            ["dnat", ..] => self.translate(target::dnat),
            ["tproxy", ..] | ["xt", "target", "TPROXY", ..] => {
                self.end(Action::Elsewhere(TPROXY.into()));
            }
            ["xt", "target", ..] => self.end(Action::Elsewhere(
                "nft does not show all of this rule of iptables; import what iptables-save prints"
                    .into(),
            )),
            _ => {
                let text = self.rest.first().map(value::text).unwrap_or_default();
                self.conditions.others.push(text);
                self.skip(1);
            }
        }
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// A verdict: what follows it are its flags and the handle.
    fn end(&mut self, action: Action) {
        self.action = action;
        let handle = self.rest.iter().find_map(|token| match token {
            Token::Handle(handle) => Some(*handle),
            _ => None,
        });
        self.handle = self.handle.or(handle);
        self.rest = &[];
    }

    fn narrow(&mut self, families: Families) {
        self.conditions.families = self.conditions.families.and(families);
    }

    /// Skips `key` words and takes the value behind them.
    fn value(&mut self, key: usize) -> Value {
        let (value, rest) = value::take(self.rest, key);
        self.rest = rest;
        value
    }

    fn names(&mut self, key: usize, put: impl Fn(&mut Conditions, Vec<String>)) {
        match self.value(key) {
            // It may be any.
            Value::Words(names) if names.iter().any(|name| name.contains('$')) => {
                self.conditions.others.push(names.join(", "));
            }
            Value::Words(names) => put(&mut self.conditions, names),
            Value::Opaque(words) => self.conditions.others.push(words),
        }
    }

    fn protocol_value(&mut self, key: usize) {
        match self.value(key) {
            Value::Words(names) => self.protocols(&names),
            Value::Opaque(words) => self.conditions.others.push(words),
        }
    }

    fn protocols(&mut self, names: &[String]) {
        let read: Option<Vec<_>> = names
            .iter()
            .map(|name| match name.as_str() {
                "tcp" | "6" => Some(Protocol::Tcp),
                "udp" | "17" => Some(Protocol::Udp),
                _ => None,
            })
            .collect();
        match read {
            Some(protocols) => self.conditions.protocols = protocols,
            None => self.conditions.others.push(names.join(", ")),
        }
    }

    fn ports(&mut self) {
        let read = match self.value(2) {
            Value::Words(words) => words
                .iter()
                .map(|word| ports::range(word, '-'))
                .collect::<Option<Vec<_>>>()
                .ok_or(words.join(", ")),
            Value::Opaque(words) => Err(words),
        };
        match read {
            Ok(ports) if self.conditions.ports.is_none() => self.conditions.ports = Some(ports),
            Ok(_) => self.conditions.others.push("another dport".into()),
            Err(words) => self.conditions.others.push(words),
        }
    }

    fn addresses(&mut self) {
        let read = match self.value(2) {
            Value::Words(words) => words
                .iter()
                .map(|word| network(word))
                .collect::<Option<Vec<_>>>()
                .ok_or(words.join(", ")),
            Value::Opaque(words) => Err(words),
        };
        match read {
            Ok(destinations) => self.destinations.extend(destinations),
            Err(words) => self.conditions.others.push(words),
        }
    }

    fn translate(&mut self, read: fn(&'a [Token]) -> Target<'a>) {
        let action = match read(&self.rest[1..]) {
            Target::Is(action) => action,
            Target::Map(..) if self.conditions.ports.is_some() => {
                Action::Elsewhere("it has a map and a list of ports".into())
            }
            Target::Map(protocol, pairs) => {
                if matches!(protocol, "tcp" | "udp") {
                    self.protocols(&[protocol.to_owned()]);
                }
                self.mapped = pairs;
                // Each of the pairs has its own.
                Action::Redirect(0)
            }
        };
        self.end(action);
    }

    fn rules(mut self, line: usize) -> Vec<Rule> {
        if self.destinations.len() > 1 {
            self.destinations.retain(|each| *each != Destination::Local);
        }
        if self.destinations.is_empty() {
            self.destinations.push(Destination::Any);
        }
        let mut rules = Vec::new();
        for &destination in &self.destinations {
            let conditions = Conditions {
                destination,
                ..self.conditions.clone()
            };
            let rule = |ports: Option<Vec<Ports>>, action: Action| Rule {
                line,
                handle: self.handle,
                conditions: Conditions {
                    ports,
                    ..conditions.clone()
                },
                action,
            };
            if self.mapped.is_empty() {
                rules.push(rule(conditions.ports.clone(), self.action.clone()));
            }
            let mapped = self.mapped.iter();
            rules.extend(
                mapped.map(|(from, to)| rule(Some(vec![from.clone()]), Action::Redirect(*to))),
            );
        }
        rules
    }
}
