//! What source NAT makes of a packet that is given up as soon as its source changes.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::conditions::{Packet, Way};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewSource {
    /// The address that the kernel chooses.
    Masquerade,
    /// One from the first to the last; those keep theirs (`get_unique_tuple()` in net/netfilter/nf_nat_core.c).
    Within(IpAddr, IpAddr),
    /// Another port, whatever the address.
    Random,
    Unknown,
}

impl NewSource {
    /// Of the targets MASQUERADE and SNAT.
    pub fn of_iptables(target: &str, arguments: &[&str]) -> Self {
        let is_random = |word: &&str| matches!(*word, "--random" | "--random-fully");
        let mut words = arguments.iter();
        if words.clone().any(is_random) {
            Self::Random
        } else if target == "MASQUERADE" {
            Self::Masquerade
        } else {
            let to = words.find(|word| **word == "--to-source");
            to.and_then(|_| words.next())
                .map_or(Self::Unknown, |to| Self::between(without_port(to)))
        }
    }

    /// Of the statements masquerade and snat.
    pub fn of_nft(statement: &str, inner: &Json) -> Self {
        let flags = &inner["flags"];
        let is_random = |flag: &Json| matches!(flag.as_str(), Some("random" | "fully-random"));
        if is_random(flags)
            || flags
                .as_array()
                .is_some_and(|all| all.iter().any(is_random))
        {
            return Self::Random;
        }
        let to = &inner["addr"];
        match (statement, to.as_str(), to["range"].as_array()) {
            ("masquerade", ..) => Self::Masquerade,
            (_, Some(to), _) => Self::between((to, to)),
            (.., Some(ends)) => match &ends[..] {
                [first, last] => Self::between((
                    first.as_str().unwrap_or_default(),
                    last.as_str().unwrap_or_default(),
                )),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }

    fn between((first, last): (&str, &str)) -> Self {
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) => Self::Within(first, last),
            _ => Self::Unknown,
        }
    }

    /// Whether the packet certainly gets another one.
    pub fn changes(&self, packet: &Packet<'_>) -> bool {
        let Way::Own { stays } = packet.way else {
            return false;
        };
        match self {
            Self::Masquerade => !stays,
            Self::Within(first, last) => packet
                .source
                .is_some_and(|source| !(*first..=*last).contains(&source)),
            Self::Random => true,
            Self::Unknown => false,
        }
    }
}

/// From `FIRST[-LAST][:PORTS]`, where brackets part an IPv6 address from its ports.
fn without_port(to: &str) -> (&str, &str) {
    let inside = to.strip_prefix('[').and_then(|to| to.split_once(']'));
    let addresses = match inside {
        Some((addresses, _)) => addresses,
        None if to.contains('.') => to.split(':').next().unwrap_or(to),
        None => to,
    };
    addresses.split_once('-').unwrap_or((addresses, addresses))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn within(first: &str, last: &str) -> NewSource {
        let address = |text: &str| text.parse().expect("an address");
        NewSource::Within(address(first), address(last))
    }

    #[test]
    fn as_iptables_writes_it() {
        for (words, expected) in [
            ("MASQUERADE", NewSource::Masquerade),
            ("MASQUERADE --to-ports 1024-65535", NewSource::Masquerade),
            ("MASQUERADE --random-fully", NewSource::Random),
            (
                "SNAT --to-source 192.0.2.1",
                within("192.0.2.1", "192.0.2.1"),
            ),
            (
                "SNAT --to-source 192.0.2.1-192.0.2.9:1024-2000",
                within("192.0.2.1", "192.0.2.9"),
            ),
            ("SNAT --to-source 192.0.2.1 --random", NewSource::Random),
            (
                "SNAT --to-source 2001:db8::1",
                within("2001:db8::1", "2001:db8::1"),
            ),
            (
                "SNAT --to-source [2001:db8::1-2001:db8::9]:1024-2000",
                within("2001:db8::1", "2001:db8::9"),
            ),
            ("SNAT --to-source :1024-2000", NewSource::Unknown),
            ("SNAT", NewSource::Unknown),
        ] {
            let words: Vec<_> = words.split(' ').collect();
            let found = NewSource::of_iptables(words[0], &words[1..]);
            assert_eq!(found, expected, "{words:?}");
        }
    }

    #[test]
    fn as_nft_writes_it() {
        for (statement, inner, expected) in [
            ("masquerade", json!(null), NewSource::Masquerade),
            (
                "masquerade",
                json!({"flags": "persistent"}),
                NewSource::Masquerade,
            ),
            (
                "masquerade",
                json!({"flags": ["fully-random", "persistent"]}),
                NewSource::Random,
            ),
            (
                "snat",
                json!({"family": "ip", "addr": "192.0.2.1", "port": 1024}),
                within("192.0.2.1", "192.0.2.1"),
            ),
            (
                "snat",
                json!({"addr": {"range": ["192.0.2.1", "192.0.2.6"]}}),
                within("192.0.2.1", "192.0.2.6"),
            ),
            (
                "snat",
                json!({"addr": "192.0.2.1", "flags": "random"}),
                NewSource::Random,
            ),
            (
                "snat",
                json!({"addr": {"map": {"key": {}, "data": {}}}}),
                NewSource::Unknown,
            ),
            (
                "snat",
                json!({"port": {"range": [1024, 65535]}}),
                NewSource::Unknown,
            ),
        ] {
            assert_eq!(NewSource::of_nft(statement, &inner), expected, "{inner}");
        }
    }
}
