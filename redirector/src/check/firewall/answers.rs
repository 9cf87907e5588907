//! Do answers to this host's own connections get out? OUTPUT sees them leave from the target port, and has seen the
//! connection begin with the wire port: to conntrack they are part of none.

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer},
    message::{RuleText, stopped_by},
    ruleset::{Chain, Table},
};
use crate::{
    check::{Finding, Level, interfaces, subject},
    config::{Config, Protocol, Rule},
};

const LOOPBACK: &str = "lo";

/// One for each chain that certainly stops them. Conntrack takes an answer of UDP for a new connection.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let is_own = |rule: &&Rule| {
        rule.protocol == Protocol::Tcp && interfaces(config, rule).any(|name| name == LOOPBACK)
    };
    let mut findings = Vec::new();
    for rule in config.rules.iter().filter(is_own) {
        for &(table, name, chain) in chains {
            let stops = [false, true].into_iter().find_map(|ipv6| {
                let packet = Packet {
                    ipv6,
                    protocol: rule.protocol,
                    port: rule.to.get(),
                    interface: LOOPBACK,
                    destination: None,
                    way: Way::Out,
                };
                match answer(table, name, chain, &packet)? {
                    Answer::Shut(cause) => Some(cause),
                    _ => None,
                }
            });
            if let Some(cause) = stops {
                findings.push(finding(rule, &stopped_by(&cause, table, text)));
            }
        }
    }
    findings
}

fn finding(rule: &Rule, cause: &str) -> Finding {
    let Rule { from, protocol, .. } = rule;
    let message = format!(
        "answers to this host's own connections to {from}/{protocol} are stopped by {cause}: they leave by lo as part \
         of no connection that conntrack knows"
    );
    Finding {
        forbids_import: true,
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
    .help("accept what leaves by lo before that (iptables -I OUTPUT -o lo -j ACCEPT; nft: oif lo accept)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{base_chains, iptables, plain_text, ruleset::Family},
        tests::{config, rule},
    };

    #[test]
    fn answers_to_the_hosts_own_connections() {
        let stopped = "-A OUTPUT -m conntrack --ctstate INVALID -j DROP";
        for (rules, is_stopped) in [
            (vec![stopped], true),
            (vec!["-A OUTPUT -o lo -j ACCEPT", stopped], false),
            (vec!["-A OUTPUT -o eth0 -j ACCEPT", stopped], true),
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
                let found = findings(&config, &chains, &plain_text);
                assert_eq!(
                    found.len(),
                    usize::from(is_stopped && is_own),
                    "{rules:?}: {found:?}"
                );
            }
        }
    }
}
