//! What every format is parsed into: chains of nat rules, and the lines they stand in. Conditions that the
//! redirector cannot express are kept in their own words.

use std::{net::IpAddr, ops::RangeInclusive};

use crate::config::Protocol;

pub type Ports = RangeInclusive<u16>;

/// One listing: a file, or what one tool says of the running rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Every line with something in it, in order.
    pub lines: Vec<Line>,
    pub chains: Vec<Chain>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// Without blanks around it.
    pub text: String,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Chain`]s have what it says.
    Rule,
    /// Worth an explanation: why nothing is taken of it.
    Left(String),
    /// Says nothing about redirects.
    Other,
}

/// A chain of type nat, or one that others jump to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// As nft writes it: `ip`, `ip6`, `inet`.
    pub family: String,
    pub table: String,
    pub name: String,
    /// `None`: only reached by jumps.
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Packets that come in.
    Prerouting,
    /// This host's own, before they reach an interface.
    Output,
    /// Where no destination is translated.
    Other,
}

/// All of its conditions must hold. A line with several destinations or a map has become several rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub line: usize,
    /// nft's.
    pub handle: Option<u64>,
    pub conditions: Conditions,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub families: Families,
    /// Empty: any. A protocol without ports is in `others`.
    pub protocols: Vec<Protocol>,
    /// `None`: all of them.
    pub ports: Option<Vec<Ports>>,
    /// Names, or patterns with `*`; empty: every interface.
    pub inbound: Vec<String>,
    pub outbound: Vec<String>,
    pub destination: Destination,
    /// Whatever else it asks for, as it is written.
    pub others: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    pub ipv4: bool,
    pub ipv6: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    Any,
    /// The host's own addresses.
    Local,
    Network(IpAddr, u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Redirect(u16),
    /// A redirect or DNAT that no rule of ours is; why.
    Elsewhere(String),
    /// Ends the chain.
    Pass,
    Jump(String),
    /// Counts, logs or marks, and goes on.
    Nothing,
}

impl Listing {
    pub fn line(&self, number: usize) -> Option<&str> {
        let index = self.lines.binary_search_by_key(&number, |line| line.number);
        Some(&self.lines[index.ok()?].text)
    }

    /// Leaves what is redirected by any rule of a line.
    pub fn refuse(&mut self, number: usize, why: &str) {
        let rules = self.chains.iter_mut().flat_map(|chain| &mut chain.rules);
        rules
            .filter(|rule| rule.line == number)
            .for_each(|rule| rule.refuse(why));
    }
}

impl Rule {
    /// Leaves it where it redirects.
    pub fn refuse(&mut self, why: &str) {
        if matches!(self.action, Action::Redirect(_) | Action::Elsewhere(_)) {
            self.action = Action::Elsewhere(why.to_owned());
        }
    }
}

impl Families {
    pub const IPV4: Self = Self {
        ipv4: true,
        ipv6: false,
    };
    pub const IPV6: Self = Self {
        ipv4: false,
        ipv6: true,
    };
    pub const BOTH: Self = Self {
        ipv4: true,
        ipv6: true,
    };

    /// Of an nft table, and of any name as good.
    pub fn of(family: &str) -> Self {
        match family {
            "ip" => Self::IPV4,
            "ip6" => Self::IPV6,
            _ => Self::BOTH,
        }
    }

    pub fn of_address(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::IPV4,
            IpAddr::V6(_) => Self::IPV6,
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 && other.ipv4,
            ipv6: self.ipv6 && other.ipv6,
        }
    }

    pub fn or(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 || other.ipv4,
            ipv6: self.ipv6 || other.ipv6,
        }
    }

    pub fn has(self, address: &IpAddr) -> bool {
        !self.and(Self::of_address(address)).is_none()
    }

    pub fn is_none(self) -> bool {
        !self.ipv4 && !self.ipv6
    }
}

impl Conditions {
    pub fn new(families: Families) -> Self {
        Self {
            families,
            protocols: Vec::new(),
            ports: None,
            inbound: Vec::new(),
            outbound: Vec::new(),
            destination: Destination::Any,
            others: Vec::new(),
        }
    }

    /// Whether one packet may meet both; false only where it cannot.
    pub fn may_meet(&self, other: &Self) -> bool {
        let ports = match (&self.ports, &other.ports) {
            (Some(own), Some(others)) => own
                .iter()
                .any(|own| others.iter().any(|other| meet(own, other))),
            _ => true,
        };
        let protocols = self.protocols.is_empty()
            || other.protocols.is_empty()
            || self
                .protocols
                .iter()
                .any(|own| other.protocols.contains(own));
        let destinations = match (self.destination, other.destination) {
            (Destination::Network(own, bits), Destination::Network(other, others)) => {
                in_network(own, other, bits.min(others))
            }
            _ => true,
        };
        ports
            && protocols
            && destinations
            && !self.families.and(other.families).is_none()
            && interfaces_meet(&self.inbound, &other.inbound)
            && interfaces_meet(&self.outbound, &other.outbound)
    }
}

/// Whether two lists of names and patterns may mean one interface; an empty list means all.
pub fn interfaces_meet(own: &[String], others: &[String]) -> bool {
    let names_meet = |own: &String| others.iter().any(|other| may_be_one(own, other));
    own.is_empty() || others.is_empty() || own.iter().any(names_meet)
}

/// Patterns end in their only `*`, as far as it is known here.
fn may_be_one(one: &str, other: &str) -> bool {
    let stem = |name: &str| name.find('*').map(|at| name[..at].to_owned());
    match (stem(one), stem(other)) {
        (None, None) => one == other,
        (Some(stem), None) => other.starts_with(&stem),
        (None, Some(stem)) => one.starts_with(&stem),
        (Some(one), Some(other)) => one.starts_with(&other) || other.starts_with(&one),
    }
}

fn meet(one: &Ports, other: &Ports) -> bool {
    one.start() <= other.end() && other.start() <= one.end()
}

fn in_network(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 0),
        IpAddr::V6(address) => (u128::from(address), 1),
    };
    let ((one, version), (other, others)) = (number(one), number(other));
    version == others && (bits == 0 || (one ^ other) >> (128 - u32::from(bits.min(128))) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str, bits: u8) -> Conditions {
        Conditions {
            destination: Destination::Network(text.parse().unwrap(), bits),
            ..Conditions::new(Families::BOTH)
        }
    }

    #[test]
    fn networks_meet_where_one_holds_the_other() {
        assert!(network("127.0.0.0", 8).may_meet(&network("127.0.0.1", 32)));
        assert!(!network("127.0.0.0", 8).may_meet(&network("128.0.0.1", 32)));
        assert!(network("0.0.0.0", 0).may_meet(&network("128.0.0.1", 32)));
        assert!(!network("::", 0).may_meet(&network("128.0.0.1", 32)));
    }

    #[test]
    fn patterns_meet_what_begins_like_them() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        for (one, other, expected) in [
            (&["eth0"][..], &["eth1"][..], false),
            (&["eth*"], &["eth1"], true),
            (&["eth*"], &["e*"], true),
            (&["eth*"], &["wlan*"], false),
            (&[], &["lo"], true),
        ] {
            assert_eq!(interfaces_meet(&words(one), &words(other)), expected);
        }
    }
}
