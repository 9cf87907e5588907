use super::*;
use crate::check::{
    firewall::{base_chains, fixtures, nft, plain_text, ruleset::Family},
    interface::{self, Link},
    tests::{config, rule},
};

const FIRST: &str = "192.0.2.1";

/// `addresses` are those of eth0, and of lo where they are preceded by it.
fn found(tables: &[Table], addresses: &[&str]) -> Vec<Finding> {
    let first = Masqueraded::To(FIRST.parse().expect("an address"));
    found_where(first, tables, addresses)
}

fn found_where(masqueraded: Masqueraded, tables: &[Table], addresses: &[&str]) -> Vec<Finding> {
    let mut links = Links::new();
    for address in addresses {
        let (name, address) = address.split_once(' ').unwrap_or(("eth0", address));
        let link: &mut Link = links.entry(name.to_owned()).or_default();
        link.addresses.push(address.parse().expect("an address"));
    }
    let config = config(vec![rule("80:8000/tcp")]);
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
    fixtures::saved(&save, family)
}

#[test]
fn the_kernel_chooses_none_of_loopback() {
    let links = interface::read().expect("the interfaces");
    let mut addresses = links.values().flat_map(|link| link.addresses.clone());
    let is_global = |address: &IpAddr| address.is_ipv4() && !address.is_loopback();
    match read() {
        Masqueraded::To(address) => {
            assert!(is_global(&address), "{address}");
            assert!(addresses.any(|own| own == address), "{address}");
        }
        found => {
            assert_eq!(found, Masqueraded::Nothing);
            assert_eq!(addresses.find(is_global), None);
        }
    }
}

#[test]
fn what_the_kernel_does_not_say_is_not_guessed() {
    let tables = saved(&["-j MASQUERADE"], Family::Ip);
    let addresses = ["lo 127.0.0.1", "10.0.0.1", FIRST];
    for (masqueraded, met) in [
        (Masqueraded::Unknown, "127.0.0.1"),
        (Masqueraded::Nothing, "10.0.0.1, 127.0.0.1, 192.0.2.1"),
    ] {
        let findings = found_where(masqueraded, &tables, &addresses);
        let [finding] = &findings[..] else {
            panic!("{findings:?}");
        };
        let said = finding.to_string();
        assert!(said.contains(&format!("of {met} get")), "{said}");
    }
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
