//! Is the same port redirected already, by nft or iptables?

use super::{
    Finding, Level,
    firewall::{
        RuleText,
        conditions::{Packet, Way, may_apply},
        place,
        ruleset::{Family, Field, Hook, Rule as NatRule, RuleName, Step, Table, Verdict},
    },
    places, subject,
};
use crate::config::{Config, Rule};

struct Redirect<'a> {
    table: &'a Table,
    chain: &'a str,
    /// It acts on this host's own connections, before they reach any interface.
    outgoing: bool,
    rule: &'a NatRule,
    to: &'a str,
}

pub fn findings(config: &Config, tables: &[Table], text: &RuleText<'_>) -> Vec<Finding> {
    let redirects = redirects(tables);
    let mut findings = Vec::new();
    for rule in &config.rules {
        let applying = redirects
            .iter()
            .filter(|redirect| applies(redirect, config, rule));
        findings.extend(applying.map(|redirect| finding(rule, redirect, text)));
    }
    findings
}

/// Rules that name a port and send it elsewhere. One that names none is reached by jumps for certain ports only.
fn redirects(tables: &[Table]) -> Vec<Redirect<'_>> {
    let mut redirects = Vec::new();
    for table in tables {
        let mut chains: Vec<_> = table.chains.iter().collect();
        chains.sort_unstable_by_key(|(name, _)| *name);
        for (name, chain) in chains {
            let outgoing = chain
                .base
                .as_ref()
                .is_some_and(|base| base.hook == Hook::Output);
            for rule in &chain.rules {
                let names_port = |step: &Step| matches!(step, Step::Match(m) if m.key.contains(&Field::Port) && !m.negated);
                if let Some(Step::Verdict(Verdict::Translate(to))) = rule.steps.last()
                    && rule.steps.iter().any(names_port)
                {
                    redirects.push(Redirect {
                        table,
                        chain: name,
                        outgoing,
                        rule,
                        to,
                    });
                }
            }
        }
    }
    redirects
}

fn applies(redirect: &Redirect<'_>, config: &Config, rule: &Rule) -> bool {
    let ipv6 = rule
        .address
        .map_or(redirect.table.family == Family::Ip6, |address| {
            address.is_ipv6()
        });
    let carried = match redirect.table.family {
        Family::Ip => !ipv6,
        Family::Ip6 => ipv6,
        Family::Inet | Family::Netdev => true,
    };
    let (protocol, port, destination) = (rule.protocol, rule.from.get(), rule.address);
    carried
        && places(config, rule)
            .filter(|interface| !redirect.outgoing || interface.is_loopback())
            .map(|interface| interface.name.as_str())
            .any(|interface| {
                may_apply(
                    &redirect.rule.steps,
                    &Packet {
                        ipv6,
                        protocol,
                        port,
                        interface,
                        destination,
                        source: None,
                        locals: &[],
                        way: Way::In,
                    },
                )
            })
}

fn finding(rule: &Rule, redirect: &Redirect<'_>, text: &RuleText<'_>) -> Finding {
    let Redirect {
        table, chain, to, ..
    } = redirect;
    let written = text(table, chain, &redirect.rule.name);
    let (from, protocol) = (rule.from, rule.protocol);
    let effect = if redirect.outgoing {
        "it still takes this host's own connections, before they reach us"
    } else if to.starts_with("port ") {
        "ours comes first, so it keeps its live connections and gets no new ones"
    } else {
        "ours comes first, so those connections stay on this host"
    };
    let message = format!(
        "{} sends {from}/{protocol} to {to} already (`{written}`); {effect}",
        place(table, chain)
    );
    let help = match &redirect.rule.name {
        _ if chain.starts_with("DOCKER") => {
            format!("stop publishing port {from} from the container, or leave this rule out")
        }
        RuleName::Text(rule) => {
            format!(
                "{} -t {} {}",
                table.tool,
                table.name,
                rule.replacen("-A ", "-D ", 1)
            )
        }
        RuleName::Handle(handle) => {
            format!(
                "nft delete rule {} {} {chain} handle {handle}",
                table.family.name(),
                table.name
            )
        }
    };
    Finding::new("existing-redirect", Level::Warning, subject(rule), message).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{fixtures, plain_text},
        tests::{config, rule},
    };

    fn messages(tables: &[Table], text: &str) -> Vec<(String, Option<String>)> {
        let found = findings(&config(vec![rule(text)]), tables, &plain_text);
        found
            .into_iter()
            .map(|finding| (finding.message, finding.help))
            .collect()
    }

    #[test]
    fn an_iptables_redirect_of_the_same_port_is_idle() {
        let found = messages(&fixtures::iptables("legacy"), "80:8000/tcp");
        let message = "iptables-legacy nat PREROUTING sends 80/tcp to port 8000 already \
            (`-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8000`); ours comes first, so it keeps its live connections and gets no new ones";
        let help = "iptables-legacy -t nat -D PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8000";
        assert_eq!(found, [(message.to_owned(), Some(help.to_owned()))]);
    }

    #[test]
    fn nft_redirects_of_both_hooks_are_told_apart() {
        let found = messages(&fixtures::nft("accept"), "80:8000/tcp");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].0.contains("before they reach us"), "{found:?}");
        assert_eq!(
            found[1].1.as_deref(),
            Some("nft delete rule inet nat prerouting handle 3")
        );
    }

    #[test]
    fn a_published_container_port_is_named() {
        let found = messages(&fixtures::iptables("docker"), "80:8000/tcp");
        assert!(
            found[0]
                .0
                .contains("sends 80/tcp to 172.17.0.2:8080 already"),
            "{found:?}"
        );
    }

    #[test]
    fn other_ports_and_protocols_are_left_alone() {
        for text in ["443:4430/tcp", "80:8000/udp", "[2001:db8::1]:80:8000/tcp"] {
            assert_eq!(messages(&fixtures::iptables("legacy"), text), []);
        }
    }
}
