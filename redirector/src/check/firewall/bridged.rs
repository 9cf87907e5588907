//! Does netfilter meet a bridge's packets at its ports, before they come to the bridge (`br_netfilter`)? To conntrack a
//! client is connected to the wire port then, and answered by another.

use std::fs;

use super::{
    ID,
    ruleset::{Field, Step, Table},
};
use crate::{
    check::{Finding, Level, Versions, interface::Links},
    config::Config,
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

/// One for each bridge with ports, where some rule asks conntrack.
pub fn findings(config: &Config, tables: &[Table], links: &Links, calls: Versions) -> Vec<Finding> {
    if calls == Versions::NONE || !tables.iter().any(tracks) {
        return Vec::new();
    }
    let tool = if calls.ipv4 { "iptables" } else { "ip6tables" };
    let mut findings = Vec::new();
    for name in config.interfaces.iter().map(|interface| &interface.name) {
        let is_its = |bridge: &Option<String>| bridge.as_ref() == Some(name);
        let mut ports: Vec<_> = links
            .iter()
            .filter(|(_, link)| is_its(&link.bridge))
            .map(|(port, _)| port.as_str())
            .collect();
        ports.sort_unstable();
        let Some(port) = ports.first() else { continue };
        let message = format!(
            "what comes by the ports of {name} meets netfilter before the redirector (bridge-nf-call-{tool} is 1): conntrack \
             sees the wire port asked and another one answer, and a firewall that drops what is invalid stops that"
        );
        let finding = Finding {
            forbids_import: calls,
            ..Finding::new(ID, Level::Warning, name, message)
        };
        findings.push(finding.help(format!(
            "sysctl net.bridge.bridge-nf-call-{tool}=0, or redirect on the ports instead: -i {port}"
        )));
    }
    findings
}

fn tracks(table: &Table) -> bool {
    const ASKS: [Field; 2] = [Field::ConnectionState, Field::ConnectionStatus];
    let mut chains = table.chains.values();
    chains.any(|chain| {
        let has_nat = chain.base.as_ref().is_some_and(|base| base.nat);
        let mut steps = chain.rules.iter().flat_map(|rule| &rule.steps);
        let asks = |field: &Field| ASKS.contains(field);
        has_nat && !chain.rules.is_empty()
            || steps.any(|step| match step {
                Step::Match(m) => m.key.iter().any(asks),
                Step::Map(key, _) => key.iter().any(asks),
                Step::Verdict(_) => false,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{
        firewall::{iptables, ruleset::Family},
        interface::Link,
        tests::{config, rule},
    };

    #[test]
    fn a_bridge_whose_ports_call_a_firewall_that_tracks() {
        let port = Link {
            bridge: Some("eth0".to_owned()),
            ..Link::default()
        };
        let links = Links::from([
            ("eth0".to_owned(), Link::default()),
            ("port0".to_owned(), port),
        ]);
        let config = config(vec![rule("80:8000/tcp")]);
        let of = |line: &str, links: &Links, calls| {
            let save = format!("*filter\n:INPUT ACCEPT [0:0]\n{line}\nCOMMIT\n");
            let tables = iptables::parse(&save, Family::Ip, "iptables");
            findings(&config, &tables, links, calls)
        };
        let tracking = "-A INPUT -m conntrack --ctstate INVALID -j DROP";
        let found = of(tracking, &links, Versions::of(false));
        let [finding] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(finding.to_string().ends_with("-i port0"), "{finding}");
        assert_eq!(finding.forbids_import, Versions::of(false));
        assert_eq!(of(tracking, &links, Versions::NONE), []);
        assert_eq!(
            of("-A INPUT -p icmp -j DROP", &links, Versions::of(false)),
            []
        );
        let alone = Links::from([("eth0".to_owned(), Link::default())]);
        assert_eq!(of(tracking, &alone, Versions::of(false)), []);
    }
}
