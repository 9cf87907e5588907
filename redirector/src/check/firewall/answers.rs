//! Do answers to this host's own connections get out? OUTPUT and POSTROUTING see them leave from the target port, and
//! have seen the connection begin with the wire port: to conntrack they are part of none.

use std::net::IpAddr;

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::shut,
    message::{RuleText, accept_first, stopped_by},
    ruleset::{Chain, Table},
};
use crate::{
    check::{Finding, Level, Versions, interface::Links, interfaces, subject},
    config::{Config, Protocol, Rule},
};

const LOOPBACK: &str = "lo";

/// One for each chain that certainly stops them. Conntrack takes an answer of UDP for a new connection.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    links: &Links,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let Some(loopback) = links.get(LOOPBACK) else {
        return Vec::new();
    };
    let is_own = |rule: &&Rule| {
        rule.protocol == Protocol::Tcp && interfaces(config, rule).any(|name| name == LOOPBACK)
    };
    let mut findings = Vec::new();
    for rule in config.rules.iter().filter(is_own) {
        for &(table, name, chain) in chains {
            let has = |ipv6: &bool| {
                let is_it = |address: &IpAddr| address.is_ipv6() == *ipv6;
                rule.address.as_ref().is_none_or(is_it) && loopback.addresses.iter().any(is_it)
            };
            let packets = [false, true].into_iter().filter(has).map(|ipv6| Packet {
                ipv6,
                protocol: rule.protocol,
                port: rule.to.get(),
                interface: LOOPBACK,
                destination: None,
                source: None,
                locals: &loopback.addresses,
                way: Way::Out,
            });
            if let Some((cause, versions)) = shut((table, name, chain), packets) {
                let stopped = stopped_by(&cause, table, text);
                findings.push(finding(rule, versions, &stopped).help(format!(
                    "accept what leaves by lo before that: {}",
                    accept_first(table, name, "-o lo", "oif lo")
                )));
            }
        }
    }
    findings
}

fn finding(rule: &Rule, versions: Versions, cause: &str) -> Finding {
    let Rule { from, protocol, .. } = rule;
    let message = format!(
        "answers to this host's own connections to {from}/{protocol}{} are stopped by {cause}: they leave by lo as part of no \
         connection that conntrack knows",
        versions.scope()
    );
    Finding {
        forbids_import: versions,
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::check::{
        firewall::{base_chains, iptables, plain_text, ruleset::Family},
        interface::Link,
        tests::{config, rule},
    };

    fn loopback(addresses: &[IpAddr]) -> Links {
        let link = Link {
            addresses: addresses.to_vec(),
            ..Link::default()
        };
        Links::from([(LOOPBACK.to_owned(), link)])
    }

    /// None where the host has no IPv6.
    #[test]
    fn ipv6_is_warned_of_where_there_is_some() {
        let save = "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n";
        let tables = iptables::parse(save, Family::Ip6, "ip6tables");
        let chains = base_chains(&tables);
        let config = config(vec![rule("80:8000/tcp")]);
        let [ipv4, ipv6] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let of =
            |addresses: &[IpAddr]| findings(&config, &chains, &loopback(addresses), &plain_text);
        assert_eq!(of(&[ipv4]), []);
        let found = of(&[ipv4, ipv6]);
        let [finding] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(finding.forbids_import, Versions::of(true));
        let said = finding.to_string();
        assert!(said.contains("80/tcp over IPv6 are"), "{said}");
        assert!(
            said.ends_with(": ip6tables -I OUTPUT -o lo -j ACCEPT"),
            "{said}"
        );
    }

    /// By one chain; and what it stops may have left OUTPUT.
    #[test]
    fn both_versions_of_ip_are_stopped() {
        let save = "*mangle\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n";
        let tables = iptables::parse(save, Family::Inet, "iptables");
        let addresses = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let found = findings(
            &config(vec![rule("80:8000/tcp")]),
            &base_chains(&tables),
            &loopback(&addresses),
            &plain_text,
        );
        let [finding] = &found[..] else {
            panic!("{found:?}");
        };
        let both = Versions {
            ipv4: true,
            ipv6: true,
        };
        assert_eq!(finding.forbids_import, both);
        let said = finding.to_string();
        assert!(said.contains("80/tcp are stopped"), "{said}");
        assert!(
            said.ends_with(": iptables -t mangle -I POSTROUTING -o lo -j ACCEPT"),
            "{said}"
        );
    }

    #[test]
    fn answers_to_the_hosts_own_connections() {
        let stopped = "-A OUTPUT -m conntrack --ctstate INVALID -j DROP";
        let links = loopback(&[Ipv4Addr::LOCALHOST.into()]);
        for (rules, is_stopped) in [
            (vec![stopped], true),
            (vec!["-A OUTPUT -o lo -j ACCEPT", stopped], false),
            (vec!["-A OUTPUT -o eth0 -j ACCEPT", stopped], true),
            (vec!["-A OUTPUT -p tcp --syn -j DROP"], false),
            (
                vec!["-A OUTPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"],
                false,
            ),
        ] {
            let save = format!(
                "*filter\n:OUTPUT ACCEPT [0:0]\n{}\nCOMMIT\n",
                rules.join("\n")
            );
            let tables = iptables::parse(&save, Family::Ip, "iptables");
            let chains = base_chains(&tables);
            for (interface, is_own) in [("lo", true), ("eth0", false)] {
                let mut config = config(vec![rule("80:8000/tcp")]);
                config.interfaces.retain(|each| each.name == interface);
                let found = findings(&config, &chains, &links, &plain_text);
                assert_eq!(
                    found.len(),
                    usize::from(is_stopped && is_own),
                    "{rules:?}: {found:?}"
                );
            }
        }
    }
}
