//! Configurations for the tests of each question, and the whole examination.

use super::*;
use crate::config::{Hook, Interface, Protocol, XdpMode};

/// `[ADDRESS:]FROM:TO/PROTOCOL`
pub fn rule(text: &str) -> Rule {
    let (ports, protocol) = text.rsplit_once('/').unwrap();
    let mut parts = ports.rsplitn(3, ':');
    let mut port = || parts.next().unwrap().parse().unwrap();
    let (to, from) = (port(), port());
    let address = parts
        .next()
        .map(|a| a.trim_matches(['[', ']']).parse().unwrap());
    let protocol = if protocol == "tcp" {
        Protocol::Tcp
    } else {
        Protocol::Udp
    };
    Rule {
        protocol,
        address,
        from,
        to,
        interfaces: Vec::new(),
    }
}

/// On `eth0` and `lo`.
pub fn config(rules: Vec<Rule>) -> Config {
    let interface = |name: &str, index| Interface {
        name: name.into(),
        index,
    };
    Config {
        wanted: Vec::new(),
        interfaces: vec![interface("eth0", 2), interface("lo", 1)],
        hook: Hook::Auto,
        xdp_mode: XdpMode::Auto,
        rules,
    }
}

#[test]
fn a_rule_is_named_as_it_is_written() {
    for text in [
        "80:8000/tcp",
        "192.0.2.1:443:4430/udp",
        "[2001:db8::1]:80:8000/tcp",
    ] {
        assert_eq!(subject(&rule(text)), text);
    }
}

#[test]
fn programs_find_stable_names() {
    let finding = Finding::new(
        "listener",
        Level::Warning,
        "80:8000/tcp",
        "nothing listens on 8000/tcp",
    );
    let expected = r#"{"id":"listener","level":"warning","subject":"80:8000/tcp","message":"nothing listens on 8000/tcp"}"#;
    assert_eq!(serde_json::to_string(&finding).unwrap(), expected);
}

#[test]
fn every_rule_is_examined() {
    let rules = vec![rule("80:8000/tcp"), rule("443:4430/udp")];
    let findings = examine(&config(rules)).unwrap().findings;
    for subject in ["80:8000/tcp", "443:4430/udp"] {
        assert!(
            findings
                .iter()
                .any(|f| f.id == "listener" && f.subject == subject),
            "{findings:?}"
        );
    }
}
