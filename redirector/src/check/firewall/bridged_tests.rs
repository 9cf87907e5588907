use super::*;
use crate::check::{
    firewall::{base_chains, fixtures, plain_text, ruleset::Family},
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
    found_where(&Calls::new(calls, []), tables, rules, ports)
}

fn found_where(calls: &Calls, tables: &[Table], rules: &[&str], ports: &[&str]) -> Vec<Finding> {
    let config = config(rules.iter().map(|each| rule(each)).collect());
    let chains = base_chains(tables);
    findings(&config, &chains, &links(ports), calls, &plain_text)
}

fn filter(rules: &[&str], family: Family) -> Vec<Table> {
    let save = format!("*filter\n{}\nCOMMIT\n", rules.join("\n"));
    fixtures::saved(&save, family)
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

#[test]
fn for_what_a_bridge_calls_by_an_option_of_its_own() {
    const SYSCTL: &str = "sysctl net.bridge.bridge-nf-call-iptables=0";
    const OPTION: &str = "ip link set eth0 type bridge nf_call_iptables 0";
    let rules = [
        ":INPUT ACCEPT [0:0]",
        "-A INPUT -m conntrack --ctstate INVALID -j DROP",
    ];
    let tables = filter(&rules, Family::Ip);
    let ipv4 = Versions::of(false);
    for (sysctls, bridge, own, off) in [
        (Versions::NONE, "eth0", ipv4, Some(OPTION.to_owned())),
        (Versions::NONE, "eth0", Versions::of(true), None),
        (Versions::NONE, "br0", ipv4, None),
        (BOTH, "br0", ipv4, Some(SYSCTL.to_owned())),
        (BOTH, "eth0", BOTH, Some(format!("{SYSCTL} && {OPTION}"))),
    ] {
        let calls = Calls::new(sysctls, [(bridge.to_owned(), own)]);
        let found = found_where(&calls, &tables, &["80:8000/tcp"], &["port0"]);
        let help = found.first().and_then(|finding| finding.help.as_deref());
        let found_off = help.and_then(|help| Some(help.split_once(", or")?.0));
        assert_eq!(found_off, off.as_deref(), "{found:?}");
    }
}

/// It translates, and asks conntrack about what it forwards.
#[test]
fn docker_alone_stops_nothing() {
    for tables in [fixtures::nft("docker"), fixtures::iptables("docker")] {
        assert_eq!(found(&tables, &["80:8000/tcp"], &["port0"], BOTH), []);
    }
}
