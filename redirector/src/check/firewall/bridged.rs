//! Does netfilter meet a bridge's packets at its ports, before they come to the bridge (`br_netfilter`)? To conntrack a
//! client is connected to the wire port then, and answered by another: all but its first packet is invalid.

use std::{fs, net::IpAddr};

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer, shut},
    message::{self, RuleText, accept_first, stopped_by},
    ruleset::{Chain, Hook, Table},
    ways,
};
use crate::{
    check::{Finding, Level, Versions, interface::Links, interfaces, subject},
    config::{Config, Protocol, Rule},
};

/// What bridges call for packets of IP: `net.bridge.bridge-nf-call-iptables`, and for IPv6.
pub fn read() -> Versions {
    let calls = |tool: &str| {
        let path = format!("/proc/sys/net/bridge/bridge-nf-call-{tool}");
        fs::read_to_string(path).is_ok_and(|value| value.trim() == "1")
    };
    Versions {
        ipv4: calls("iptables"),
        ipv6: calls("ip6tables"),
    }
}

/// One for each bridge with ports and each chain that certainly stops what is invalid there. Of UDP nothing is.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    links: &Links,
    calls: Versions,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let has_ports = |name: &&str| {
        links
            .values()
            .any(|link| link.bridge.as_deref() == Some(*name))
    };
    let locals: Vec<_> = links
        .values()
        .flat_map(|link| &link.addresses)
        .copied()
        .collect();
    let mut findings = Vec::new();
    let is_tcp = |rule: &&Rule| rule.protocol == Protocol::Tcp;
    for rule in config.rules.iter().filter(is_tcp) {
        let ways = ways(config, rule, links);
        for bridge in interfaces(config, rule).filter(has_ports) {
            let is_called = |way: &&message::Way<'_>| {
                way.interface == bridge && if way.ipv6 { calls.ipv6 } else { calls.ipv4 }
            };
            let called: Vec<_> = ways.iter().filter(is_called).map(|way| way.ipv6).collect();
            for chain in chains {
                let Some(passage) = Passage::by(rule, bridge, chain.2) else {
                    continue;
                };
                let met = called
                    .iter()
                    .filter_map(|ipv6| passage.packet(*ipv6, &locals, chain));
                if let Some((cause, versions)) = shut(*chain, met) {
                    let stopped = stopped_by(&cause, chain.0, text);
                    findings.push(finding(rule, &passage, versions, &stopped, chain));
                }
            }
        }
    }
    findings
}

/// Where a chain sees packets of a rule.
struct Passage<'a> {
    rule: &'a Rule,
    bridge: &'a str,
    port: u16,
    is_answer: bool,
}

impl<'a> Passage<'a> {
    /// Prerouting is passed at the bridge's ports, ahead of the rewrite.
    fn by(rule: &'a Rule, bridge: &'a str, chain: &Chain) -> Option<Self> {
        let (port, is_answer) = match chain.base.as_ref()?.hook {
            Hook::Prerouting => (rule.from, false),
            Hook::Input => (rule.to, false),
            Hook::Output | Hook::Postrouting => (rule.to, true),
            Hook::Ingress | Hook::Elsewhere => return None,
        };
        Some(Self {
            rule,
            bridge,
            port: port.get(),
            is_answer,
        })
    }

    /// `None` where the first packet is stopped as well, which is not for the bridge to be blamed for.
    fn packet<'b>(
        &self,
        ipv6: bool,
        locals: &'b [IpAddr],
        &(table, name, chain): &(&Table, &str, &Chain),
    ) -> Option<Packet<'b>>
    where
        'a: 'b,
    {
        let later = Packet {
            ipv6,
            protocol: self.rule.protocol,
            port: self.port,
            interface: self.bridge,
            destination: self.rule.address.filter(|_| !self.is_answer),
            source: None,
            locals,
            way: if self.is_answer { Way::Out } else { Way::Later },
        };
        let first = Packet {
            way: Way::In,
            ..later
        };
        let is_open =
            self.is_answer || !matches!(answer(table, name, chain, &first), Some(Answer::Shut(_)));
        is_open.then_some(later)
    }

    /// What to accept, in the words of iptables and of nft.
    fn words(&self) -> (String, String) {
        let Self { bridge, port, .. } = self;
        let protocol = self.rule.protocol;
        let (way, end) = match self.is_answer {
            true => ('o', "sport"),
            false => ('i', "dport"),
        };
        (
            format!("-{way} {bridge} -p {protocol} --{end} {port}"),
            format!("{way}ifname {bridge} {protocol} {end} {port}"),
        )
    }
}

fn finding(
    rule: &Rule,
    passage: &Passage<'_>,
    versions: Versions,
    cause: &str,
    &(table, name, _): &(&Table, &str, &Chain),
) -> Finding {
    let Rule { from, protocol, .. } = rule;
    let Passage { bridge, .. } = passage;
    let calls: Vec<_> = [(versions.ipv4, "iptables"), (versions.ipv6, "ip6tables")]
        .into_iter()
        .filter(|(is_concerned, _)| *is_concerned)
        .map(|(_, tool)| format!("net.bridge.bridge-nf-call-{tool}"))
        .collect();
    let message = format!(
        "connections to {from}/{protocol} by the ports of {bridge}{} are stopped by {cause}: there netfilter comes before the \
         redirector ({}), and to conntrack all is invalid but the first packet",
        versions.scope(),
        calls.join(", ")
    );
    let off: Vec<_> = calls.iter().map(|call| format!("{call}=0")).collect();
    let (by_iptables, by_nft) = passage.words();
    Finding {
        forbids_import: versions,
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help(format!(
        "sysctl {}, or accept them before that: {}",
        off.join(" "),
        accept_first(table, name, &by_iptables, &by_nft)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{base_chains, fixtures, iptables, plain_text, ruleset::Family},
        interface::Link,
        tests::{config, rule},
    };

    const BOTH: Versions = Versions {
        ipv4: true,
        ipv6: true,
    };

    fn links(ports: &[&str]) -> Links {
        let bridge = Link {
            routable_ipv6: true,
            ..Link::default()
        };
        let port = Link {
            bridge: Some("eth0".to_owned()),
            ..Link::default()
        };
        let ports = ports.iter().map(|name| ((*name).to_owned(), port.clone()));
        ports.chain([("eth0".to_owned(), bridge)]).collect()
    }

    fn found(tables: &[Table], rules: &[&str], ports: &[&str], calls: Versions) -> Vec<Finding> {
        let config = config(rules.iter().map(|each| rule(each)).collect());
        let chains = base_chains(tables);
        findings(&config, &chains, &links(ports), calls, &plain_text)
    }

    fn filter(rules: &[&str], family: Family) -> Vec<Table> {
        let save = format!("*filter\n{}\nCOMMIT\n", rules.join("\n"));
        let tool = if family == Family::Ip6 {
            "ip6tables"
        } else {
            "iptables"
        };
        iptables::parse(&save, family, tool)
    }

    /// Measured with connections through a bridge between network namespaces.
    #[test]
    fn a_firewall_that_stops_what_is_invalid() {
        let established = "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
        let new = "-A INPUT -p tcp --dport 8000 -m conntrack --ctstate NEW -j ACCEPT";
        let any = "-A INPUT -p tcp --dport 8000 -j ACCEPT";
        let drop = "-m conntrack --ctstate INVALID -j DROP";
        let input = format!("-A INPUT {drop}");
        let output = format!("-A OUTPUT {drop}");
        let forward = format!("-A FORWARD {drop}");
        let accept = ":INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]";
        let deny = ":INPUT DROP [0:0]";
        for (rules, way_out) in [
            (&[accept, &input][..], "INPUT -i eth0 -p tcp --dport 8000"),
            (&[accept, &output], "OUTPUT -o eth0 -p tcp --sport 8000"),
            (
                &[deny, established, new],
                "INPUT -i eth0 -p tcp --dport 8000",
            ),
            (&[deny, established, any], ""),
            // Nothing gets in anyway.
            (&[deny, established], ""),
            (&[accept, any, &input], ""),
            (&[accept, &forward], ""),
            (&[accept, "-A INPUT -p icmp -j DROP"], ""),
        ] {
            let tables = filter(rules, Family::Ip);
            let found = found(&tables, &["80:8000/tcp"], &["port0"], BOTH);
            assert_eq!(
                found.len(),
                usize::from(!way_out.is_empty()),
                "{rules:?}: {found:?}"
            );
            for finding in found {
                let said = finding.to_string();
                assert!(said.ends_with(&format!("{way_out} -j ACCEPT")), "{said}");
                assert_eq!(finding.forbids_import, Versions::of(false));
            }
        }
    }

    #[test]
    fn for_what_bridges_call() {
        let invalid = "-A INPUT -m conntrack --ctstate INVALID -j DROP";
        let of = |family, rules: &[&str], ports: &[&str], calls| {
            let tables = filter(&[":INPUT ACCEPT [0:0]", invalid], family);
            found(&tables, rules, ports, calls)
        };
        let [tcp, port] = [&["80:8000/tcp"][..], &["port0"]];
        for (family, calls, met) in [
            (Family::Inet, BOTH, BOTH),
            (Family::Inet, Versions::of(true), Versions::of(true)),
            (Family::Ip6, BOTH, Versions::of(true)),
            (Family::Ip6, Versions::of(false), Versions::NONE),
            (Family::Ip, Versions::of(true), Versions::NONE),
        ] {
            let found = of(family, tcp, port, calls);
            let forbidden = found.first().map_or(Versions::NONE, |f| f.forbids_import);
            assert_eq!(forbidden, met, "{family:?} {calls:?}");
            for (is_met, name) in [(met.ipv4, "-iptables=0"), (met.ipv6, "-ip6tables=0")] {
                let is_said = found
                    .iter()
                    .any(|finding| finding.to_string().contains(name));
                assert_eq!(is_said, is_met, "{found:?}");
            }
        }
        assert_eq!(of(Family::Inet, tcp, &[], BOTH), []);
        assert_eq!(of(Family::Inet, &["80:8000/udp"], port, BOTH), []);
        let of_ipv6 = of(Family::Inet, &["[2001:db8::1]:80:8000/tcp"], port, BOTH);
        assert_eq!(of_ipv6[0].forbids_import, Versions::of(true));
    }

    /// It translates, and asks conntrack about what it forwards.
    #[test]
    fn docker_alone_stops_nothing() {
        for tables in [fixtures::nft("docker"), fixtures::iptables("docker")] {
            assert_eq!(found(&tables, &["80:8000/tcp"], &["port0"], BOTH), []);
        }
    }
}
