//! One option (a switch and its arguments) of an iptables rule, lowered to the conditions it stands for.

use super::ruleset::{Field, Match, Value};

/// Reads a rule's words option by option.
pub struct Options<'a> {
    words: &'a [String],
    malformed: bool,
}

pub struct Switch<'a> {
    pub name: &'a str,
    negated: bool,
    arguments: &'a [String],
}

impl<'a> Options<'a> {
    pub fn new(words: &'a [String]) -> Self {
        Self {
            words,
            malformed: false,
        }
    }

    /// What follows the target's name: the target's own options.
    pub fn rest(&mut self) -> Vec<&'a str> {
        std::mem::take(&mut self.words)
            .iter()
            .map(String::as_str)
            .collect()
    }

    /// Words that belong to no option were seen.
    pub fn leftover(&self) -> Option<()> {
        self.malformed.then_some(())
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Switch<'a>;

    fn next(&mut self) -> Option<Switch<'a>> {
        let negated = self.words.first()? == "!";
        let words = &self.words[usize::from(negated)..];
        let (name, after) = words.split_first()?;
        self.malformed |= !name.starts_with('-');
        // A target takes one word; what follows it is the target's.
        let most = if matches!(name.as_str(), "-j" | "-g") {
            1
        } else {
            after.len()
        };
        let count = after
            .iter()
            .take(most)
            .take_while(|word| *word != "!" && !word.starts_with('-'))
            .count();
        let (arguments, rest) = after.split_at(count);
        self.words = rest;
        Some(Switch {
            name,
            negated,
            arguments,
        })
    }
}

impl<'a> Switch<'a> {
    pub fn first(&self) -> Option<&'a str> {
        self.arguments.first().map(String::as_str)
    }

    /// All of them must hold. Options that are not known yield one that cannot be evaluated.
    pub fn conditions(&self) -> Vec<Match> {
        let argument = self.first().unwrap_or_default();
        let list = |field, value: fn(&str) -> Value| {
            vec![Match {
                key: vec![field],
                values: argument.split(',').map(|one| vec![value(one)]).collect(),
                negated: self.negated,
            }]
        };
        match self.name {
            "-m" => module(argument),
            "-p" => match argument {
                "all" | "0" => Vec::new(),
                _ => list(Field::Protocol, |name| {
                    name.parse()
                        .map_or_else(|_| Value::name(name), Value::Number)
                }),
            },
            "-i" => list(Field::Interface, interface),
            "-o" => list(Field::OutInterface, interface),
            "-s" => list(Field::Source, Value::address),
            "-d" => list(Field::Destination, Value::address),
            "--dport" | "--dports" | "--destination-ports" => list(Field::Port, ports),
            "--ctstate" | "--state" => list(Field::ConnectionState, lower),
            "--ctstatus" => list(Field::ConnectionStatus, lower),
            "--ctorigdstport" => list(Field::OriginalPort, ports),
            "--ctdir" => list(Field::ConnectionDirection, lower),
            "--dst-type" => list(Field::DestinationType, lower),
            "--pkt-type" => list(Field::PacketType, lower),
            "--syn" => vec![Match::lone_syn(!self.negated)],
            "--tcp-flags" => vec![Match::lone_syn(self.lone_syn() != self.negated)],
            // A first packet is no later fragment.
            "-f" => vec![Match::constant(self.negated)],
            "--comment"
            | "--limit-burst"
            | "--hashlimit-burst"
            | "--hashlimit-mode"
            | "--hashlimit-name"
            | "--hashlimit-htable-expire"
            | "--hashlimit-htable-size"
            | "--hashlimit-htable-max"
            | "--hashlimit-srcmask"
            | "--hashlimit-dstmask"
            | "--connlimit-mask"
            | "--connlimit-saddr"
            | "--connlimit-daddr"
            | "--name"
            | "--mask"
            | "--rsource"
            | "--rdest"
            | "--seconds"
            | "--hitcount"
            | "--rttl" => Vec::new(),
            "--limit" | "--hashlimit-upto" | "--connlimit-upto" | "--set" => {
                vec![Match::opaque(!self.negated)]
            }
            _ => vec![Match::opaque(self.negated)],
        }
    }

    fn lone_syn(&self) -> bool {
        let has_syn = |flags: &String| flags == "ALL" || flags.split(',').any(|flag| flag == "SYN");
        match self.arguments {
            [mask, wanted] if has_syn(mask) => wanted == "SYN",
            [_, wanted] => wanted == "NONE",
            _ => false,
        }
    }
}

/// Most modules only add options; these are conditions by themselves or cannot be told from their options.
fn module(name: &str) -> Vec<Match> {
    match name {
        "tcp" | "udp" => vec![Match::one(Field::Protocol, Value::name(name))],
        "icmp" | "icmp6" | "icmpv6" => vec![Match::one(Field::Protocol, Value::name("icmp"))],
        "multiport" | "conntrack" | "state" | "comment" | "addrtype" | "pkttype" | "limit"
        | "hashlimit" | "connlimit" | "recent" | "mark" | "connmark" | "set" | "iprange"
        | "mac" | "physdev" | "owner" => Vec::new(),
        _ => vec![Match::opaque(false)],
    }
}

fn ports(text: &str) -> Value {
    let (low, high) = text.split_once(':').unwrap_or((text, text));
    match (low.parse(), high.parse()) {
        (Ok(low), Ok(high)) => Value::Range(low, high),
        _ => Value::Opaque,
    }
}

fn interface(name: &str) -> Value {
    Value::Name(
        name.strip_suffix('+')
            .map_or(name.into(), |start| format!("{start}*")),
    )
}

fn lower(name: &str) -> Value {
    Value::Name(name.to_lowercase())
}
