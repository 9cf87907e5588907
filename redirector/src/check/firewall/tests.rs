use super::{fixtures, *};
use crate::check::{
    interface::Link,
    tests::{config, rule},
};

const OPEN: &str = "open";
const SHUT: &str = "shut";
const PARTLY: &str = "partly";
const LIMITED: &str = "limited";

fn eth0(ipv6: bool, protocol: Protocol, port: u16) -> Packet<'static> {
    Packet {
        ipv6,
        protocol,
        port,
        interface: "eth0",
        destination: None,
        source: None,
        locals: &[],
        way: conditions::Way::In,
    }
}

/// The worst of all chains.
fn verdict(tables: &[Table], packet: &Packet<'_>) -> &'static str {
    let chains = base_chains(tables);
    let answers: Vec<_> = chains
        .iter()
        .filter_map(|(table, name, chain)| answer(table, name, chain, packet))
        .collect();
    if answers.iter().any(|a| matches!(a, Answer::Shut(_))) {
        SHUT
    } else if answers.iter().any(|a| matches!(a, Answer::Partly { .. })) {
        PARTLY
    } else if answers.iter().any(|a| matches!(a, Answer::Limited { .. })) {
        LIMITED
    } else {
        OPEN
    }
}

fn assert_tcp(tables: &[Table], ipv6: bool, expected: &[(u16, &str)]) {
    for (port, expected) in expected {
        assert_eq!(
            verdict(tables, &eth0(ipv6, Protocol::Tcp, *port)),
            *expected,
            "tcp {port}"
        );
    }
}

/// Real connections over a veth pair, into a namespace with this ruleset, gave the same.
#[test]
fn debians_example_agrees_with_real_connections() {
    let tables = fixtures::nft("debian");
    let ports = [
        (80, OPEN),
        (443, OPEN),
        (8000, SHUT),
        (9050, OPEN),
        (9101, SHUT),
        (22, LIMITED),
        (8443, PARTLY),
        (7000, OPEN),
        (7001, OPEN),
        (7002, SHUT),
        (7100, OPEN),
    ];
    assert_tcp(&tables, false, &ports);
    assert_tcp(
        &tables,
        true,
        &[(80, OPEN), (8000, SHUT), (8443, SHUT), (7001, OPEN)],
    );
    assert_eq!(verdict(&tables, &eth0(false, Protocol::Udp, 80)), SHUT);
    let wireguard = Packet {
        interface: "wg0",
        ..eth0(false, Protocol::Tcp, 8000)
    };
    assert_eq!(verdict(&tables, &wireguard), OPEN);
    let loopback = Packet {
        interface: "lo",
        ..wireguard
    };
    assert_eq!(verdict(&tables, &loopback), OPEN);
}

#[test]
fn firewalld_follows_zones() {
    let tables = fixtures::nft("firewalld");
    for ipv6 in [false, true] {
        assert_tcp(
            &tables,
            ipv6,
            &[
                (22, OPEN),
                (80, OPEN),
                (443, OPEN),
                (8000, SHUT),
                (546, SHUT),
            ],
        );
    }
    assert_eq!(verdict(&tables, &eth0(false, Protocol::Udp, 546)), SHUT);
    assert_eq!(verdict(&tables, &eth0(true, Protocol::Udp, 546)), PARTLY);
}

#[test]
fn a_chain_that_ends_in_accept_raises_no_alarm() {
    let mut tables = fixtures::nft("accept");
    assert_tcp(
        &tables,
        false,
        &[
            (8000, OPEN),
            (5432, SHUT),
            (6000, SHUT),
            (6063, SHUT),
            (6064, OPEN),
        ],
    );
    read::name_devices(&mut tables, |_, _| {
        Some("\t\ttype filter hook ingress device \"eth0\" priority filter; policy accept;".into())
    });
    assert_tcp(&tables, false, &[(6000, SHUT)]);
    let elsewhere = Packet {
        interface: "eth1",
        ..eth0(false, Protocol::Tcp, 6000)
    };
    assert_eq!(
        verdict(&tables, &elsewhere),
        OPEN,
        "the netdev chain sits on eth0"
    );
}

#[test]
fn iptables_extensions_are_understood_from_its_own_listing() {
    let ports = [
        (22, OPEN),
        (80, OPEN),
        (443, OPEN),
        (9050, OPEN),
        (8000, SHUT),
        (7100, OPEN),
        (8443, PARTLY),
    ];
    assert_tcp(&fixtures::iptables("multiport"), false, &ports);
    assert_tcp(&fixtures::iptables("legacy"), false, &ports);
}

/// Without iptables-save nft shows `xt match multiport`: neither an all-clear nor a certain drop.
#[test]
fn hidden_extensions_are_never_an_all_clear() {
    assert_tcp(
        &fixtures::nft("multiport"),
        false,
        &[(80, PARTLY), (8000, PARTLY), (7100, OPEN)],
    );
}

#[test]
fn ufw_follows_its_chains() {
    let ports = [
        (22, OPEN),
        (80, OPEN),
        (443, OPEN),
        (8000, SHUT),
        (8443, PARTLY),
    ];
    assert_tcp(&fixtures::iptables("ufw"), false, &ports);
}

#[test]
fn docker_alone_stops_nothing() {
    assert_tcp(
        &fixtures::iptables("docker"),
        false,
        &[(80, OPEN), (8000, OPEN)],
    );
    assert_tcp(&fixtures::nft("docker"), false, &[(80, OPEN), (8000, OPEN)]);
}

fn found(tables: Vec<Table>, text: &str, unread: &[&str]) -> Vec<(Level, String, Option<String>)> {
    let firewall = Firewall {
        tables,
        unread: unread.iter().map(ToString::to_string).collect(),
        bridges_call: Calls::default(),
        masqueraded: Masqueraded::Unknown,
    };
    let link = Link {
        up: true,
        running: true,
        routable_ipv6: true,
        ..Link::default()
    };
    let links = Links::from([("eth0".to_owned(), link)]);
    findings(&config(vec![rule(text)]), &firewall, &links, &plain_text)
        .into_iter()
        .map(|finding| (finding.level, finding.message, finding.help))
        .collect()
}

#[test]
fn messages_name_the_place_and_the_way_out() {
    for (tables, expected, help) in [
        (
            fixtures::nft("debian"),
            "8000/tcp is stopped on eth0 by `the rule with handle 18` in inet filter input",
            "nft insert rule inet filter input tcp dport 8000 accept",
        ),
        (
            fixtures::nft("firewalld"),
            "8000/tcp is stopped on eth0 by `the rule with handle 32` in inet firewalld filter_IN_public",
            "firewall-cmd --add-port=8000/tcp (and again with --permanent)",
        ),
        (
            fixtures::iptables("legacy"),
            "8000/tcp is stopped on eth0 over IPv4 by the policy of iptables-legacy filter INPUT",
            "iptables-legacy -I INPUT -p tcp --dport 8000 -j ACCEPT",
        ),
        (
            fixtures::iptables("ufw"),
            "8000/tcp is stopped on eth0 over IPv4 by the policy of iptables filter INPUT",
            "ufw allow 8000/tcp",
        ),
    ] {
        let found = found(tables, "80:8000/tcp", &[]);
        assert_eq!(
            found,
            [(Level::Warning, expected.to_owned(), Some(help.to_owned()))]
        );
    }
}

#[test]
fn what_is_open_only_to_some_is_said_and_weighed_by_the_source_port() {
    let message = "8443/tcp is let in on eth0 over IPv4 for some only, by `-A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 8443 -j ACCEPT` \
        in iptables filter INPUT; all else is stopped by the policy of iptables filter INPUT";
    let help = "iptables -I INPUT -p tcp --dport 8443 -j ACCEPT".to_owned();
    let tables = || fixtures::iptables("multiport");
    assert_eq!(
        found(tables(), "80:8443/tcp", &[]),
        [(Level::Warning, message.to_owned(), Some(help))]
    );
    assert_eq!(
        found(tables(), "8443:8443/tcp", &[]),
        [(Level::Ok, message.to_owned(), None)]
    );
}

#[test]
fn an_unread_firewall_is_never_an_all_clear() {
    let found = found(Vec::new(), "80:8000/tcp", &["nft: Operation not permitted"]);
    let [(level, message, _)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(*level, Level::Warning);
    assert!(
        message.ends_with("nft: Operation not permitted"),
        "{message}"
    );
}

#[test]
fn nothing_in_the_way_is_said() {
    let expected = (Level::Ok, "no firewall stops 8000/tcp".to_owned(), None);
    for tables in [Vec::new(), fixtures::iptables("docker")] {
        let found = found(tables, "80:8000/tcp", &[]);
        assert_eq!(found.as_slice(), std::slice::from_ref(&expected));
    }
}

#[test]
fn an_extension_that_hides_a_target_is_never_an_all_clear() {
    let save = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -j XYZ --always\nCOMMIT\n";
    assert_tcp(
        &iptables::parse(save, ruleset::Family::Ip, "iptables"),
        false,
        &[(8000, PARTLY)],
    );
}

#[test]
fn a_denied_crowd_is_a_warning_though_the_policy_accepts() {
    for rule in [
        "! -s 10.0.0.0/8 -p tcp -j DROP",
        "-p tcp -m multiport ! --dports 22,80 -j DROP",
    ] {
        let save = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule}\nCOMMIT\n");
        let verdict = verdict(
            &iptables::parse(&save, ruleset::Family::Ip, "iptables"),
            &eth0(false, Protocol::Tcp, 8000),
        );
        assert_ne!(verdict, OPEN, "{rule}");
    }
}
