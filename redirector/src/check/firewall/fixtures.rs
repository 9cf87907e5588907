//! Rulesets as nft 1.0.6 and iptables 1.8.9 print them, captured from network namespaces.

use super::{
    iptables, nft,
    ruleset::{Family, Table},
};

pub fn nft(name: &str) -> Vec<Table> {
    let text = match name {
        "accept" => include_str!("fixtures/accept.json"),
        "debian" => include_str!("fixtures/debian.json"),
        "docker" => include_str!("fixtures/docker.json"),
        "firewalld" => include_str!("fixtures/firewalld.json"),
        "multiport" => include_str!("fixtures/multiport.json"),
        "ufw" => include_str!("fixtures/ufw.json"),
        other => panic!("no fixture {other}"),
    };
    nft::parse(text).unwrap().tables
}

/// What the tool of the family has saved.
pub fn saved(save: &str, family: Family) -> Vec<Table> {
    let tool = if family == Family::Ip6 {
        "ip6tables"
    } else {
        "iptables"
    };
    iptables::parse(save, family, tool)
}

pub fn iptables(name: &str) -> Vec<Table> {
    let (text, tool) = match name {
        "docker" => (include_str!("fixtures/docker.save"), "iptables"),
        "legacy" => (include_str!("fixtures/legacy.save"), "iptables-legacy"),
        "multiport" => (include_str!("fixtures/multiport.save"), "iptables"),
        "ufw" => (include_str!("fixtures/ufw.save"), "iptables"),
        other => panic!("no fixture {other}"),
    };
    iptables::parse(text, Family::Ip, tool)
}
