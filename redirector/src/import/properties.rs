//! Whatever text comes in: no parser panics, and what is written loads.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::{
    config::{Draft, Interface},
    host::Network,
};

/// Rules of every format, so that what they say of the same ports meets.
fn rule() -> impl Strategy<Value = String> {
    let port = || usually(&["80", "81"], &["80,443", "80:82", "80-82", "0:70000"]);
    let to = || usually(&["8000", "9000"], &["80", "8000-8003"]);
    let place = || usually(&["eth0", "eth1", ""], &["eth+", "e*", "lo", "[", "a b"]);
    let address = || {
        usually(
            &["", "", "10.1.1.1"],
            &["127.0.0.1", "127.0.0.0/8", "::1", "0.0.0.0/0"],
        )
    };
    let chain = || usually(&["PREROUTING"], &["OUTPUT", "INPUT", "X"]);
    let protocol = || usually(&["tcp"], &["udp", "icmp", "all"]);
    let verb = || {
        usually(
            &["-A", "iptables -t nat -A"],
            &["ip6tables -t nat -I", "[1:2] -A"],
        )
    };
    let target = || {
        usually(
            &["REDIRECT --to-ports "],
            &["DNAT --to-destination :", "RETURN #", "X #"],
        )
    };
    let option = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("{name} {value} "),
    };
    let iptables = (
        verb(),
        chain(),
        place(),
        address(),
        protocol(),
        port(),
        target(),
        to(),
    );
    let iptables = iptables.prop_map(
        move |(verb, chain, place, address, protocol, port, target, to)| {
            let (place, address) = (option("-i", place), option("-d", address));
            format!("{verb} {chain} {place}{address}-p {protocol} --dport {port} -j {target}{to}")
        },
    );
    let nft = (place(), address(), protocol(), port(), to());
    let nft = nft.prop_map(move |(place, address, protocol, port, to)| {
        let (place, address) = (option("iifname", place), option("ip daddr", address));
        format!("{place}{address}{protocol} dport {{ {port} }} redirect to :{to} # handle 3")
    });
    prop_oneof![iptables, nft]
}

fn usually(
    words: &'static [&'static str],
    others: &'static [&'static str],
) -> impl Strategy<Value = &'static str> {
    prop_oneof![
        9 => prop::sample::select(words),
        1 => prop::sample::select(others),
    ]
}

fn word() -> impl Strategy<Value = String> {
    let words = vec![
        "*nat",
        "*filter",
        "-A",
        "-I",
        "PREROUTING",
        "-t nat",
        "iptables",
        "ip6tables",
        "sudo",
        "-p",
        "tcp",
        "--dport",
        "80",
        "-j",
        "REDIRECT",
        "--to-ports",
        "!",
        "\"",
        "'",
        "\\",
        "#",
        ";",
        "$",
        "}",
        "{",
        ",",
        ":",
        "map",
        "COMMIT",
        "chain x {",
        "redirect to",
        "net.core.somaxconn = 1",
        ":X - [0:0]",
    ];
    prop_oneof![
        prop::sample::select(words).prop_map(str::to_owned),
        ".{0,9}"
    ]
}

/// Lines of rules and garbage, behind a heading under which they are read as rules.
fn text() -> impl Strategy<Value = String> {
    let heading = prop::sample::select(vec![
        "*nat",
        "table ip nat {\nchain prerouting {\ntype nat hook prerouting priority 0;",
        "table inet x {\nchain output {\ntype nat hook output priority 0;",
        "",
    ]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", " ", "\\\n"]);
    let part = (prop_oneof![9 => rule(), 1 => word()], end);
    (heading, prop::collection::vec(part, 0..30)).prop_map(|(heading, parts)| {
        let parts: Vec<_> = parts.into_iter().map(|(text, end)| text + end).collect();
        format!("{heading}\n{}", parts.concat())
    })
}

fn interface(name: &str, index: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        index,
    }
}

proptest! {
    /// No text makes a parser panic or a configuration that does not load; lines are told once, in order.
    #[test]
    fn garbage_is_explained(text in text()) {
        let network = Network {
            interfaces: vec![interface("lo", 1), interface("eth0", 2)],
            default_route: None,
        };
        for format in [Format::IptablesSave, Format::Ip6tablesSave, Format::Nft, Format::Shell] {
            let sources = vec![Source::in_format("garbage\n", format, &text)];
            let imported = lower(&sources);
            let lines = &sources[0].listing.lines;
            prop_assert!(lines.is_sorted_by(|one, other| one.number < other.number));
            prop_assert_eq!(imported.outcomes.len(), lines.len());
            let is_taken = |outcome: &Outcome| matches!(outcome, Outcome::Taken { .. });
            prop_assert_eq!(imported.rules.is_empty(), !imported.outcomes.values().any(is_taken));
            if !imported.rules.is_empty() {
                let file = super::text(&imported, &sources);
                let draft = Draft::parse(Path::new("garbage"), file.clone());
                let draft = draft.map_err(|error| TestCaseError::fail(format!("{error}\n{file}")))?;
                let lowered = draft.lower_awaiting(&network);
                lowered.map_err(|error| TestCaseError::fail(format!("{error}\n{file}")))?;
            }
        }
    }

    /// What iptables-save would print for a rule is taken as that rule.
    #[test]
    fn a_rule_comes_back(from in 1u16.., to in 1u16.., udp: bool, address in prop::option::of(any::<u32>())) {
        prop_assume!(from != to);
        let address = address.map(std::net::Ipv4Addr::from);
        prop_assume!(address.is_none_or(|a| !a.is_unspecified() && !a.is_multicast() && !a.is_broadcast()));
        let protocol = if udp { "udp" } else { "tcp" };
        let destination = address.map_or_else(String::new, |a| format!("-d {a}/32 "));
        let rule = format!("-A PREROUTING {destination}-i eth0 -p {protocol} -m {protocol} --dport {from} -j REDIRECT --to-ports {to}");
        let imported = lower(&[Source::new("test", &format!("*nat\n{rule}\n"))]);
        let spec = &imported.rules[0].spec;
        let prefix = address.map_or_else(String::new, |a| format!("{a}:"));
        prop_assert_eq!(spec.to_string(), format!("{prefix}{from}:{to}/{protocol}"));
    }
}
