//! Do answers to this host's own connections get out? OUTPUT sees them leave from the target port, and has seen the
//! connection begin with the wire port: to conntrack they are part of none.

use std::net::IpAddr;

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer},
    message::{RuleText, stopped_by},
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
            let stops = [false, true].into_iter().filter(has).find_map(|ipv6| {
                let packet = Packet {
                    ipv6,
                    protocol: rule.protocol,
                    port: rule.to.get(),
                    interface: LOOPBACK,
                    destination: None,
                    source: None,
                    locals: &loopback.addresses,
                    way: Way::Out,
                };
                match answer(table, name, chain, &packet)? {
                    Answer::Shut(cause) => Some((cause, ipv6)),
                    _ => None,
                }
            });
            if let Some((cause, ipv6)) = stops {
                findings.push(finding(rule, ipv6, &stopped_by(&cause, table, text)));
            }
        }
    }
    findings
}

fn finding(rule: &Rule, ipv6: bool, cause: &str) -> Finding {
    let Rule { from, protocol, .. } = rule;
    let (family, iptables) = match ipv6 {
        true => (" over IPv6", "ip6tables"),
        false => ("", "iptables"),
    };
    let message = format!(
        "answers to this host's own connections to {from}/{protocol}{family} are stopped by {cause}: they leave by lo as part \
         of no connection that conntrack knows"
    );
    Finding {
        forbids_import: Versions::of(ipv6),
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(format!(
        "accept what leaves by lo before that ({iptables} -I OUTPUT -o lo -j ACCEPT; nft: oif lo accept)"
    ))
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
        assert!(finding.to_string().contains("(ip6tables -I"), "{finding}");
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
