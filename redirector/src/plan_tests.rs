use std::time::SystemTime;

use super::*;
use crate::config::{Hook, RuleSpec, XdpMode};

fn interface(index: u32) -> Interface {
    Interface {
        name: format!("if{index}"),
        index,
    }
}

fn rule(text: &str) -> Rule {
    let (spec, interfaces) = text.split_once(" on ").unwrap_or((text, ""));
    let spec: RuleSpec = spec.parse().expect("a rule");
    let indices = interfaces.split(',').filter(|index| !index.is_empty());
    Rule {
        protocol: spec.protocol.each()[0],
        address: spec.address,
        from: spec.from,
        to: spec.to,
        interfaces: indices
            .map(|index| interface(index.parse().expect("an index")))
            .collect(),
    }
}

fn config(interfaces: &[u32], rules: &[&str]) -> Config {
    Config {
        interfaces: interfaces.iter().copied().map(interface).collect(),
        wanted: Vec::new(),
        hook: Hook::Auto,
        xdp_mode: XdpMode::Auto,
        rules: rules.iter().copied().map(rule).collect(),
    }
}

/// Interfaces with whether both halves are there.
fn loaded(interfaces: &[(u32, bool)], rules: &[&str]) -> Loaded {
    Loaded {
        since: SystemTime::UNIX_EPOCH,
        missing: Vec::new(),
        wanted: Vec::new(),
        interfaces: interfaces
            .iter()
            .map(|&(index, attached)| LoadedInterface {
                interface: interface(index),
                attached,
                place: Presence::Here,
                hook: IngressHook::Tcx,
            })
            .collect(),
        rules: (0..)
            .zip(rules)
            .map(|(number, text)| LoadedRule {
                number,
                rule: rule(text),
            })
            .collect(),
        is_outdated: false,
    }
}

#[test]
fn from_nothing_everything_is_new() {
    let plan = Plan::new(None, &config(&[2, 1], &["80:8000", "443:4430"]));
    assert_eq!(
        plan.to_string(),
        "+ if2\n\
         + if1\n\
         + 80:8000/tcp\n\
         + 443:4430/tcp\n"
    );
}

#[test]
fn interfaces() {
    for (before, wanted, detach, attach) in [
        (&[(1, true)][..], &[1][..], &[][..], &[][..]),
        (&[(1, true)], &[1, 2], &[], &[2]),
        (&[(1, true), (2, true)], &[2], &[1], &[]),
        (&[(1, true)], &[2], &[1], &[2]),
        // What somebody detached, or one half of it, is attached again.
        (&[(1, false)], &[1], &[], &[1]),
        (&[(1, false)], &[2], &[1], &[2]),
        (&[(2, true), (1, true)], &[1, 2], &[], &[]),
    ] {
        let plan = Plan::new(Some(&loaded(before, &[])), &config(wanted, &[]));
        let indices = |interfaces: &[Interface]| -> Vec<u32> {
            interfaces.iter().map(|interface| interface.index).collect()
        };
        assert_eq!(indices(&plan.detach), detach, "{before:?} to {wanted:?}");
        assert_eq!(indices(&plan.attach), attach, "{before:?} to {wanted:?}");
        let is_empty = detach.is_empty() && attach.is_empty();
        assert_eq!(plan.is_empty(), is_empty, "{before:?} to {wanted:?}");
    }
}

/// An interface that came back has its name and another index.
#[test]
fn an_interface_is_its_index() {
    let mut wanted = config(&[7], &[]);
    wanted.interfaces[0].name = "if1".to_owned();
    let plan = Plan::new(Some(&loaded(&[(1, true)], &[])), &wanted);
    assert_eq!((plan.detach[0].index, plan.attach[0].index), (1, 7));
}

#[test]
fn changes_of_rules() {
    for (before, wanted, expected) in [
        (&["80:8000"][..], &["80:8000"][..], ""),
        (&["80:8000", "443:4430"], &["443:4430", "80:8000"], ""),
        (&["80:8000 on 1,2"], &["80:8000 on 2,1"], ""),
        (&["80:8000"], &["80:8001"], "~ 80:8001/tcp (was to 8000)\n"),
        (&["80:8000", "443:4430"], &["80:8000"], "- 443:4430/tcp\n"),
        (&["80:8000"], &["80:8000", "80:8000/udp"], "+ 80:8000/udp\n"),
        (
            &["80:8000"],
            &["192.0.2.1:80:8000"],
            "- 80:8000/tcp\n+ 192.0.2.1:80:8000/tcp\n",
        ),
        (
            &["80:8000"],
            &["80:8000 on 2"],
            "- 80:8000/tcp\n+ 80:8000/tcp on if2\n",
        ),
        (
            &["192.0.2.1:80:8000", "80:8000"],
            &["80:9000", "192.0.2.1:80:9001", "443:4430"],
            "~ 80:9000/tcp (was to 8000)\n\
             ~ 192.0.2.1:80:9001/tcp (was to 8000)\n\
             + 443:4430/tcp\n",
        ),
    ] {
        let interfaces = &[(1, true), (2, true)];
        let plan = Plan::new(Some(&loaded(interfaces, before)), &config(&[1, 2], wanted));
        assert_eq!(plan.to_string(), expected, "{before:?} to {wanted:?}");
        assert_eq!(plan.is_empty(), expected.is_empty());
    }
}
