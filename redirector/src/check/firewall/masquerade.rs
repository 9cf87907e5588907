//! Does netfilter masquerade this host's own connections on their way to lo? The answer leaves from the target port,
//! which is part of no connection that conntrack knows, and nobody turns its address back.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer},
    message::{RuleText, stopped_by},
    ruleset::{Chain, Table},
};
use crate::{
    check::{Finding, Level, Versions, interfaces, subject},
    config::{Config, Rule},
};

const LOOPBACK: &str = "lo";

/// One for each rule and chain that certainly does.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    locals: &[IpAddr],
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let is_own = |rule: &&Rule| interfaces(config, rule).any(|name| name == LOOPBACK);
    let locals: BTreeSet<_> = locals.iter().copied().filter(is_usable).collect();
    let mut findings = Vec::new();
    for rule in config.rules.iter().filter(is_own) {
        let is_its = |local: &&IpAddr| rule.address.is_none_or(|address| address == **local);
        for &(table, name, chain) in chains {
            let mut cause = None;
            let met: Vec<_> = locals
                .iter()
                .filter(is_its)
                .filter(|local| {
                    let packet = own(rule, local);
                    let Some(Answer::Shut(found)) = answer(table, name, chain, &packet) else {
                        return false;
                    };
                    cause.get_or_insert(found);
                    true
                })
                .collect();
            if let Some(cause) = cause {
                let is_all = met.len() == locals.iter().filter(is_its).count();
                findings.push(finding(
                    rule,
                    &met,
                    is_all,
                    &stopped_by(&cause, table, text),
                ));
            }
        }
    }
    findings
}

/// To an address of its own, which it also comes from.
fn own<'a>(rule: &Rule, local: &'a IpAddr) -> Packet<'a> {
    Packet {
        ipv6: local.is_ipv6(),
        protocol: rule.protocol,
        port: rule.from.get(),
        interface: LOOPBACK,
        destination: Some(*local),
        source: Some(*local),
        locals: std::slice::from_ref(local),
        way: Way::Own,
    }
}

/// A link-local address is reached over its own link's name, and masqueraded by nobody.
fn is_usable(address: &IpAddr) -> bool {
    !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn finding(rule: &Rule, met: &[&IpAddr], is_all: bool, cause: &str) -> Finding {
    /// More addresses say no more.
    const MOST: usize = 3;
    let Rule { from, protocol, .. } = rule;
    let mut places: Vec<_> = met.iter().take(MOST).map(ToString::to_string).collect();
    if met.len() > MOST {
        places.push(format!("{} more", met.len() - MOST));
    }
    let place = match is_all {
        true => "any of its addresses".to_owned(),
        false => places.join(", "),
    };
    let message = format!(
        "this host's own connections to {from}/{protocol} of {place} get no answer: {cause} changes their source address on \
         the way to lo"
    );
    let forbids_import = |ipv6| {
        met.iter()
            .any(|address| address.is_loopback() && address.is_ipv6() == ipv6)
    };
    Finding {
        forbids_import: Versions {
            ipv4: forbids_import(false),
            ipv6: forbids_import(true),
        },
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(
        "accept what leaves by lo before that (iptables -t nat -I POSTROUTING -o lo -j ACCEPT; nft: oif lo accept)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{base_chains, fixtures, iptables, plain_text, ruleset::Family},
        tests::{config, rule},
    };

    fn found(tables: &[Table], locals: &[&str]) -> Vec<Finding> {
        let locals: Vec<_> = locals
            .iter()
            .map(|each| each.parse().expect("an address"))
            .collect();
        let config = config(vec![rule("80:8000/tcp")]);
        findings(&config, &base_chains(tables), &locals, &plain_text)
    }

    #[test]
    fn dockers_own_rule_is_about_the_address_of_its_bridge() {
        for tables in [fixtures::nft("docker"), fixtures::iptables("docker")] {
            let of = |locals: &[&str]| found(&tables, locals);
            assert_eq!(of(&["127.0.0.1", "192.0.2.1", "::1", "fe80::1"]), []);
            let findings = of(&["127.0.0.1", "172.17.0.1"]);
            let [finding] = &findings[..] else {
                panic!("{findings:?}");
            };
            assert!(
                finding.to_string().contains("of 172.17.0.1 get"),
                "{finding}"
            );
            assert_eq!(finding.forbids_import, Versions::NONE);
        }
    }

    #[test]
    fn where_what_leaves_by_lo_is_masqueraded() {
        for (rules, is_met) in [
            (&["-A POSTROUTING -j MASQUERADE"][..], true),
            (
                &[
                    "-A POSTROUTING -o lo -j ACCEPT",
                    "-A POSTROUTING -j MASQUERADE",
                ],
                false,
            ),
            (&["-A POSTROUTING -o eth0 -j MASQUERADE"], false),
            (&["-A POSTROUTING -p udp -j MASQUERADE"], false),
            (
                &["-A POSTROUTING -m mark --mark 0x4000 -j MASQUERADE"],
                false,
            ),
            (
                &["-A POSTROUTING -s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE"],
                false,
            ),
            (
                &["-A POSTROUTING ! -o eth0 -j SNAT --to-source 192.0.2.1"],
                true,
            ),
        ] {
            let save = format!(
                "*nat\n:POSTROUTING ACCEPT [0:0]\n{}\nCOMMIT\n",
                rules.join("\n")
            );
            let tables = iptables::parse(&save, Family::Ip, "iptables");
            let findings = found(&tables, &["127.0.0.1", "10.0.0.1"]);
            assert_eq!(
                findings.len(),
                usize::from(is_met),
                "{rules:?}: {findings:?}"
            );
            for finding in findings {
                assert!(
                    finding.to_string().contains("any of its addresses"),
                    "{finding}"
                );
                assert_eq!(finding.forbids_import, Versions::of(false));
            }
        }
    }
}
