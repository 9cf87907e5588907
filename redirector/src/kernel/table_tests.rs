use std::time::Instant;

use proptest::{collection::vec, prelude::*, sample::subsequence};
use redirector_common::abi::{NO_PORT, Protocol as Number};

use super::*;
use crate::config::RuleSpec;

const ROOM: usize = 64;
const SLOT: u32 = 1;

/// Rules written `FROM:TO[/udp]`, perhaps with an address before and ` on 2,3` behind.
fn rules(text: &[&str]) -> Vec<Rule> {
    let each = text.iter().map(|text| {
        let (spec, interfaces) = text.split_once(" on ").unwrap_or((text, ""));
        let spec: RuleSpec = spec.parse().expect("a rule");
        let indices = interfaces.split(',').filter(|index| !index.is_empty());
        let [protocol] = spec.protocol.each() else {
            panic!("{text}: one protocol")
        };
        Rule {
            protocol: *protocol,
            address: spec.address,
            from: spec.from,
            to: spec.to,
            interfaces: indices
                .map(|index| Interface {
                    name: format!("if{index}"),
                    index: index.parse().expect("an index"),
                })
                .collect(),
        }
    });
    each.collect()
}

/// A table that went through these sets of rules.
fn after(changes: &[&[&str]]) -> Table {
    changes.iter().fold(Table::default(), |table, change| {
        table.next(&rules(change), ROOM).expect("there is room")
    })
}

fn active(table: &Table) -> Vec<(u32, String)> {
    let active = table.active(&[]).into_iter();
    active
        .map(|(number, rule)| (number, rule.to_string()))
        .collect()
}

fn entry(table: &Table, port: u16) -> PortEntry {
    let index = port_index(SLOT, Number::TCP, abi::Port::new(port));
    table.ports(SLOT).get(&index).copied().unwrap_or_default()
}

/// Earlier targets of a TCP port and their rules, newest first.
fn earlier(table: &Table, port: u16) -> Vec<(u16, u32)> {
    let port = port_index(SLOT, Number::TCP, abi::Port::new(port));
    let mut found: Vec<_> = table
        .earlier(SLOT)
        .filter(|(key, _)| key.port == port)
        .map(|(key, earlier)| (key.age, (earlier.target.get(), earlier.rule)))
        .collect();
    found.sort_unstable();
    for (position, (age, _)) in (0..).zip(&found) {
        assert_eq!(position, *age, "no gaps");
    }
    found.into_iter().map(|(_, target)| target).collect()
}

#[test]
fn rules_that_stay_keep_their_numbers() {
    for (changes, expected) in [
        (
            &[&["80:8000", "443:4430"][..], &["443:4430", "80:8001"]][..],
            &[(0, "80:8001/tcp"), (1, "443:4430/tcp")][..],
        ),
        (
            &[&["80:8000", "443:4430"], &["53:5300/udp", "443:4430"]],
            &[(1, "443:4430/tcp"), (2, "53:5300/udp")],
        ),
        (
            &[
                &["80:8000"],
                &["192.0.2.1:80:8000", "80:8000", "80:8000/udp"],
            ],
            &[
                (0, "80:8000/tcp"),
                (1, "192.0.2.1:80:8000/tcp"),
                (2, "80:8000/udp"),
            ],
        ),
        (
            &[&["80:8000 on 2,3"], &["80:8001 on 3,4"]],
            &[(0, "80:8001/tcp on if3, if4")],
        ),
        (
            &[&["80:8000 on 2,3"], &["80:8000 on 2", "80:8001 on 3"]],
            &[(0, "80:8000/tcp on if2"), (1, "80:8001/tcp on if3")],
        ),
    ] {
        let table = after(changes);
        let expected: Vec<_> = expected
            .iter()
            .map(|(number, rule)| (*number, (*rule).to_owned()))
            .collect();
        assert_eq!(active(&table), expected, "{changes:?}");
    }
}

#[test]
fn a_rule_of_many_interfaces_is_one_of_the_counters() {
    let table = after(&[&["80:8000 on 2,3,4"]]);
    let numbers: Vec<_> = table.rules(0).map(|(_, rule)| rule.number).collect();
    assert_eq!(numbers, [0, 0, 0]);
}

/// Its connections are still counted there.
#[test]
fn a_rule_keeps_its_number_when_its_interface_is_made_again() {
    let before = &["80:8000 on 2", "80:8000 on 3", "80:8000"][..];
    let again = after(&[before, &["80:8000 on 5", "80:8000 on 4", "80:8000"]]);
    let numbers = [
        (0, "80:8000/tcp on if5".to_owned()),
        (1, "80:8000/tcp on if4".to_owned()),
        (2, "80:8000/tcp".to_owned()),
    ];
    assert_eq!(active(&again), numbers);
    let one_stays = after(&[before, &["80:8000 on 4", "80:8000 on 3"]]);
    assert_eq!(active(&one_stays)[0], (0, "80:8000/tcp on if4".to_owned()));
    // However often: numbers are not used up.
    let generations: Vec<_> = (2..2 + 10 * ROOM)
        .map(|index| format!("80:8000 on {index}"))
        .collect();
    let changes: Vec<_> = generations.iter().map(|rule| [rule.as_str()]).collect();
    let changes: Vec<_> = changes.iter().map(|change| &change[..]).collect();
    assert_eq!(active(&after(&changes)).len(), 1);
}

#[test]
fn the_number_of_a_removed_rule_is_not_given_away() {
    for changes in [
        &[&["80:8000", "81:8100"][..], &["80:8000"], &["443:4430"]][..],
        &[
            &["80:8000", "192.0.2.1:80:8000"],
            &["80:8000"],
            &[],
            &["443:4430"],
        ],
    ] {
        assert_eq!(active(&after(changes))[0].0, 2, "{changes:?}");
    }
}

#[test]
fn earlier_targets_newest_first() {
    for (changes, expected) in [
        (&[&["80:8000"][..]][..], &[][..]),
        (&[&["80:8000"], &["80:8001"]], &[(8000, 0)]),
        (
            &[&["80:8000"], &["80:8001"], &["80:8002"]],
            &[(8001, 0), (8000, 0)],
        ),
        (&[&["80:8000"], &["443:4430"], &["443:4431"]], &[(8000, 0)]),
        (
            &[&["80:8000", "192.0.2.1:80:9000"], &["80:8000"]],
            &[(9000, 1)],
        ),
        // Packets of its flows meet the more specific rule from now on.
        (
            &[&["80:8000"], &["80:8000", "192.0.2.1:80:9000"]],
            &[(8000, 0)],
        ),
        (&[&["80:8000 on 2"], &["80:8000 on 2", "80:9000"]], &[]),
    ] {
        let table = after(changes);
        assert_eq!(earlier(&table, 80), expected, "{changes:?}");
        let is_changed = entry(&table, 80).flags & PORT_CHANGED != 0;
        assert_eq!(is_changed, !expected.is_empty(), "{changes:?}");
        for (target, _) in expected {
            assert_ne!(entry(&table, *target).flags & PORT_TARGET, 0, "{changes:?}");
        }
    }
}

#[test]
fn the_oldest_targets_are_forgotten() {
    let changes: Vec<_> = (8000..8020)
        .map(|to| rules(&[&format!("80:{to}")]))
        .collect();
    let table = changes.iter().fold(Table::default(), |table, change| {
        table.next(change, 1).expect("one number for all")
    });
    let targets: Vec<_> = earlier(&table, 80)
        .into_iter()
        .map(|(target, _)| target)
        .collect();
    let newest: Vec<_> = (8000..8019).rev().take(EARLIER_TARGETS as usize).collect();
    assert_eq!(targets, newest);
}

#[test]
fn ports_say_what_a_packet_needs() {
    let table = after(&[&["80:8000", "81:8100 on 2", "8000:9000", "192.0.2.1:80:8001"]]);
    for (port, target, flags) in [
        (80, 8000, PORT_SOURCE | PORT_SCOPED),
        (81, 0, PORT_SOURCE | PORT_SCOPED | PORT_LINKED),
        (8000, 9000, PORT_SOURCE | PORT_TARGET),
        (8001, 0, PORT_TARGET),
        (8100, 0, PORT_TARGET),
        (9000, 0, PORT_TARGET),
        (82, 0, 0),
    ] {
        let entry = entry(&table, port);
        assert_eq!((entry.target.get(), entry.flags), (target, flags), "{port}");
    }
    let of_udp = port_index(SLOT, Number::UDP, abi::Port::new(80));
    assert_eq!(table.ports(SLOT).get(&of_udp), None);
}

#[test]
fn a_removed_rule_leaves_its_port_behind() {
    let entry = entry(&after(&[&["80:8000"], &["443:4430"]]), 80);
    assert_eq!(entry.target, NO_PORT);
    assert_eq!(entry.flags, PORT_SOURCE | PORT_CHANGED);
}

#[test]
fn what_does_not_fit_is_refused() {
    for (changes, capacity, needed) in [
        (&[&["80:8000", "443:4430"][..]][..], 1, 2),
        (&[&["80:8000 on 2,3,4"]], 2, 3),
        // A number each, though never two at once.
        (&[&["80:8000"], &["81:8000"], &["82:8000"]], 2, 3),
    ] {
        let (last, before) = changes.split_last().expect("a change");
        let table = after(before);
        match table.next(&rules(last), capacity) {
            Err(Error::Full {
                needed: n,
                capacity: c,
            }) => assert_eq!((n, c), (needed, capacity)),
            other => panic!("{changes:?}: {other:?}"),
        }
        table.next(&rules(last), needed).expect("it fits");
    }
}

#[test]
fn ten_thousand_rules_are_no_trouble() {
    const RULES: u16 = 10_000;
    let set = |to: u16| -> Vec<Rule> {
        let one = |number: u16| {
            let spec = format!("10.0.{}.{}:80:{to}", number >> 8, number & 0xff);
            rules(&[&format!("{}:{to}", 20_000 + number), &spec])
        };
        (0..RULES / 2).flat_map(one).collect()
    };
    let start = Instant::now();
    let before = Table::default()
        .next(&set(8000), RULES.into())
        .expect("there is room");
    let table = before
        .next(&set(8001), RULES.into())
        .expect("there is room");
    assert_eq!(table.ports(SLOT).len(), usize::from(RULES) / 2 + 3);
    assert_eq!(table.active(&[]).len(), usize::from(RULES));
    assert!(start.elapsed().as_secs() < 5, "even in a debug build");
}

fn history() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    const RULES: [&str; 8] = [
        "80:8000",
        "192.0.2.1:80:8001",
        "[2001:db8::1]:80:8002 on 2",
        "80:8003 on 3",
        "443:4430",
        "80:8000/udp",
        "8000:9000",
        "443:4431 on 2,3",
    ];
    vec(subsequence(RULES.to_vec(), 0..=RULES.len()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_history(history in history()) {
        let mut table = Table::default();
        for change in &history {
            let wanted = rules(change);
            let next = table.next(&wanted, ROOM).expect("there is room");
            // In force is what is wanted, each under a number of its own.
            let mut found: Vec<_> = next.active(&[]).into_iter().map(|(_, rule)| rule.to_string()).collect();
            let mut expected: Vec<_> = wanted.iter().map(Rule::to_string).collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
            // What stayed has its number, what is new has none of before.
            let before: HashMap<_, _> = active(&table).into_iter().map(|(number, rule)| (rule, number)).collect();
            for (number, rule) in active(&next) {
                match before.get(&rule) {
                    Some(kept) => prop_assert_eq!(number, *kept),
                    None => prop_assert!(!before.values().any(|other| *other == number)),
                }
            }
            // What is not wanted any more is remembered.
            for (key, rule) in &table.rules {
                let targets = next.earlier.get(&(protocol_of(key), key.port));
                let is_kept = next.rules.get(key).is_some_and(|after| after.target == rule.target);
                let is_known = targets.is_some_and(|targets| targets.iter().any(|earlier| earlier.target == rule.target));
                prop_assert!(is_kept || is_known);
            }
            // Written to the maps and read back it is the same; the other slot is not.
            prop_assert_eq!(&Table::of_slot(SLOT, next.unused(), next.rules(SLOT), next.earlier(SLOT)), &next);
            prop_assert_eq!(Table::of_slot(0, 0, next.rules(SLOT), next.earlier(SLOT)), Table::default());
            table = next;
        }
    }
}
