//! Does netfilter change the source of this host's own connections on their way to lo? The answer leaves from the
//! target port, which is part of no connection that conntrack knows, and nobody turns its address back.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, UdpSocket},
};

use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer},
    message::{RuleText, accept_first, stopped_by},
    ruleset::{Chain, Table},
};
use crate::{
    check::{Finding, Level, Versions, interface::Links, interfaces, subject},
    config::{Config, Rule},
};

const LOOPBACK: &str = "lo";

/// The address that masquerading gives to what leaves by lo. The kernel chooses the same for what has no source yet
/// and goes to a group there (`inet_select_addr()` in net/ipv4/devinet.c). `None`: there is none, and it drops.
pub fn read() -> Option<IpAddr> {
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    setsockopt(&socket, BindToDevice, &OsString::from(LOOPBACK)).ok()?;
    // Sends nothing.
    socket.connect((GROUP, DISCARD)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

/// One for each rule and chain that certainly does. `masqueraded` is what [`read`] found.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    links: &Links,
    masqueraded: Option<IpAddr>,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let is_own = |rule: &&Rule| interfaces(config, rule).any(|name| name == LOOPBACK);
    let addresses = links.values().flat_map(|link| &link.addresses).copied();
    let locals: BTreeSet<_> = addresses.filter(is_usable).collect();
    let on_loopback = links.get(LOOPBACK).map_or(&[][..], |link| &link.addresses);
    // IPv6 masquerades by the destination. So does IPv4 among the addresses of lo, but for 127.0.0.1 and its like.
    let stays = |local: &IpAddr| {
        local.is_ipv6()
            || masqueraded == Some(*local)
            || on_loopback.contains(local) && !local.is_loopback()
    };
    let mut findings = Vec::new();
    for rule in config.rules.iter().filter(is_own) {
        let is_its = |local: &&IpAddr| rule.address.is_none_or(|address| address == **local);
        for &(table, name, chain) in chains {
            let mut cause = None;
            let met: Vec<_> = locals
                .iter()
                .filter(is_its)
                .filter(|local| {
                    let packet = own(rule, local, stays(local));
                    let Some(Answer::Shut(found)) = answer(table, name, chain, &packet) else {
                        return false;
                    };
                    cause.get_or_insert(found);
                    true
                })
                .collect();
            if let Some(cause) = cause {
                let stopped = stopped_by(&cause, table, text);
                findings.push(finding(rule, &met, &stopped).help(format!(
                    "accept what leaves by lo before that: {}",
                    accept_first(table, name, "-o lo", "oif lo")
                )));
            }
        }
    }
    findings
}

/// To an address of its own, which it also comes from: those of one network come from the first, but are masqueraded
/// where they answer.
fn own<'a>(rule: &Rule, local: &'a IpAddr, stays: bool) -> Packet<'a> {
    Packet {
        ipv6: local.is_ipv6(),
        protocol: rule.protocol,
        port: rule.from.get(),
        interface: LOOPBACK,
        destination: Some(*local),
        source: Some(*local),
        locals: std::slice::from_ref(local),
        way: Way::Own { stays },
    }
}

/// A link-local address is reached over its own link's name, and masqueraded by nobody.
fn is_usable(address: &IpAddr) -> bool {
    !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn finding(rule: &Rule, met: &[&IpAddr], cause: &str) -> Finding {
    /// More addresses say no more.
    const MOST: usize = 3;
    let Rule { from, protocol, .. } = rule;
    let mut places: Vec<_> = met.iter().take(MOST).map(ToString::to_string).collect();
    if met.len() > MOST {
        places.push(format!("{} more", met.len() - MOST));
    }
    let places = places.join(", ");
    let message = format!(
        "this host's own connections to {from}/{protocol} of {places} get no answer: {cause} changes their source on the way \
         to lo"
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{base_chains, fixtures, iptables, nft, plain_text, ruleset::Family},
        interface::Link,
        tests::{config, rule},
    };

    const FIRST: &str = "192.0.2.1";

    /// `addresses` are those of eth0, and of lo where they are preceded by it.
    fn found(tables: &[Table], addresses: &[&str]) -> Vec<Finding> {
        let mut links = Links::new();
        for address in addresses {
            let (name, address) = address.split_once(' ').unwrap_or(("eth0", address));
            let link: &mut Link = links.entry(name.to_owned()).or_default();
            link.addresses.push(address.parse().expect("an address"));
        }
        let config = config(vec![rule("80:8000/tcp")]);
        let masqueraded = Some(FIRST.parse().expect("an address"));
        findings(
            &config,
            &base_chains(tables),
            &links,
            masqueraded,
            &plain_text,
        )
    }

    fn saved(rules: &[&str], family: Family) -> Vec<Table> {
        let rules = rules.join("\n-A POSTROUTING ");
        let save = format!("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING {rules}\nCOMMIT\n");
        let tool = if family == Family::Ip6 {
            "ip6tables"
        } else {
            "iptables"
        };
        iptables::parse(&save, family, tool)
    }

    #[test]
    fn the_kernel_chooses_none_of_loopback() {
        assert!(read().is_none_or(|address| address.is_ipv4() && !address.is_loopback()));
    }

    #[test]
    fn dockers_own_rule_is_about_the_address_of_its_bridge() {
        for tables in [fixtures::nft("docker"), fixtures::iptables("docker")] {
            let of = |addresses: &[&str]| found(&tables, addresses);
            assert_eq!(of(&["lo 127.0.0.1", FIRST, "lo ::1", "fe80::1"]), []);
            let findings = of(&["lo 127.0.0.1", "172.17.0.1"]);
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
            (&["-j MASQUERADE"][..], true),
            (&["-o lo -j ACCEPT", "-j MASQUERADE"], false),
            (&["-o eth0 -j MASQUERADE"], false),
            (&["-p udp -j MASQUERADE"], false),
            (&["-m mark --mark 0x4000 -j MASQUERADE"], false),
            (&["-s 10.0.0.0/8 ! -d 10.0.0.0/8 -j MASQUERADE"], false),
            (&["! -o eth0 -j SNAT --to-source 192.0.2.1"], true),
            (&["-j SNAT"], false),
        ] {
            let tables = saved(rules, Family::Ip);
            let findings = found(&tables, &["lo 127.0.0.1", "10.0.0.1", FIRST, "lo ::1"]);
            assert_eq!(
                findings.len(),
                usize::from(is_met),
                "{rules:?}: {findings:?}"
            );
            for finding in findings {
                let said = finding.to_string();
                assert!(said.contains("of 10.0.0.1, 127.0.0.1 get"), "{said}");
                assert!(
                    said.ends_with("iptables -t nat -I POSTROUTING -o lo -j ACCEPT"),
                    "{said}"
                );
                assert_eq!(finding.forbids_import, Versions::of(false));
            }
        }
    }

    /// Measured with connections in a network namespace of its own.
    #[test]
    fn an_address_that_stays_is_answered() {
        let ipv6 = ["lo ::1", "2001:db8::1", "2001:db8::7"];
        for (rule, family, addresses, met) in [
            ("MASQUERADE", Family::Ip6, &ipv6[..], ""),
            (
                "MASQUERADE --random",
                Family::Ip6,
                &ipv6,
                "::1, 2001:db8::1, 2001:db8::7",
            ),
            (
                "SNAT --to-source 2001:db8::7",
                Family::Ip6,
                &ipv6,
                "::1, 2001:db8::1",
            ),
            ("MASQUERADE --random-fully", Family::Ip, &[FIRST], FIRST),
            (
                "MASQUERADE",
                Family::Ip,
                &["lo 10.0.0.1", "lo 127.0.0.1", FIRST, "192.0.2.7"],
                "127.0.0.1, 192.0.2.7",
            ),
            (
                "SNAT --to-source 192.0.2.1-192.0.2.6",
                Family::Ip,
                &["lo 127.0.0.1", FIRST, "192.0.2.7"],
                "127.0.0.1, 192.0.2.7",
            ),
        ] {
            let findings = found(&saved(&[&format!("-j {rule}")], family), addresses);
            let said = findings
                .first()
                .map(ToString::to_string)
                .unwrap_or_default();
            let of = said
                .split_once("80/tcp of ")
                .and_then(|(_, rest)| rest.split_once(" get"))
                .map_or("", |(of, _)| of);
            assert_eq!(of, met, "{rule}: {findings:?}");
            for finding in findings {
                let expected = Versions {
                    ipv4: met.starts_with("127.0.0.1"),
                    ipv6: met.starts_with("::1"),
                };
                assert_eq!(finding.forbids_import, expected, "{rule}");
            }
        }
    }

    #[test]
    fn what_nft_translates_for_one_version_of_ip() {
        let listing = r#"{"nftables": [
            {"table": {"family": "inet", "name": "t"}},
            {"chain": {"family": "inet", "table": "t", "name": "p", "type": "nat", "hook": "postrouting"}},
            {"rule": {"family": "inet", "table": "t", "chain": "p", "handle": 2,
                "expr": [{"snat": {"family": "ip6", "addr": "2001:db8::7"}}]}}
        ]}"#;
        let tables = nft::parse(listing).expect("JSON").tables;
        let findings = found(&tables, &["lo 127.0.0.1", "lo ::1", "2001:db8::7", FIRST]);
        let [finding] = &findings[..] else {
            panic!("{findings:?}");
        };
        let said = finding.to_string();
        assert!(said.contains("of ::1 get"), "{said}");
        assert!(
            said.ends_with("nft insert rule inet t p oif lo accept"),
            "{said}"
        );
        assert_eq!(finding.forbids_import, Versions::of(true));
    }
}
