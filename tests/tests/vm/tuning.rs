//! The keys of the whole machine, which no network namespace may change: this machine is ours alone.

use std::fs;
use std::process::Command;

use integration::process::run;
use integration::redirector::binary;

/// The guide's nine as they are set here first, and what a floor and the letter make of them.
const KEYS: [(&str, &str, &str, &str); 9] = [
    ("net.core.rmem_max", "212992", "16777216", "16777216"),
    ("net.core.wmem_max", "33554432", "33554432", "16777216"),
    (
        "net.ipv4.tcp_rmem",
        "4096 131072 6291456",
        "4096 131072 16777216",
        "4096 87380 16777216",
    ),
    (
        "net.ipv4.tcp_wmem",
        "4096 16384 4194304",
        "4096 65536 16777216",
        "4096 65536 16777216",
    ),
    (
        "net.ipv4.tcp_mem",
        "22000 70000 90000",
        "50576 70000 98152",
        "50576 64768 98152",
    ),
    ("net.core.netdev_max_backlog", "1000", "2048", "2048"),
    ("net.core.somaxconn", "4096", "4096", "1024"),
    ("net.ipv4.tcp_max_syn_backlog", "128", "2048", "2048"),
    ("net.ipv4.tcp_syncookies", "2", "2", "1"),
];

#[test]
fn every_key_of_the_guide_on_the_machine_itself() {
    for (key, first, ..) in KEYS {
        fs::write(path(key), first).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    fs::write(path("fs.nr_open"), "1000000").expect("fs.nr_open");
    let before = values();
    let rehearsal = tune("apply --dry-run");
    assert_eq!(values(), before);
    for (arguments, is_exact) in [("apply", false), ("apply --exact", true)] {
        let table = tune(arguments);
        for (key, _, raised, exact) in KEYS {
            let expected = if is_exact { exact } else { raised };
            assert_eq!(
                value(key).trim().replace('\t', " "),
                expected,
                "{key}: {table}"
            );
            for table in [&rehearsal, &table] {
                assert!(
                    table.lines().any(|line| line.starts_with(key)),
                    "{key}: {table}"
                );
            }
        }
        // It has to allow nofile, and no more than that is asked of it.
        assert_eq!(value("fs.nr_open"), "1024000\n", "{table}");
    }
    let table = tune("revert");
    assert_eq!(values(), before, "{table}");
    assert!(
        !fs::exists("/var/lib/redirector").expect("an answer"),
        "{table}"
    );
}

fn tune(arguments: &str) -> String {
    let mut command = Command::new(binary());
    command.arg("tune").args(arguments.split_whitespace());
    run(&mut command).success(arguments)
}

fn values() -> Vec<String> {
    let keys = KEYS.iter().map(|(key, ..)| *key);
    keys.chain(["fs.nr_open", "fs.file-max"])
        .map(value)
        .collect()
}

fn value(key: &str) -> String {
    fs::read_to_string(path(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
}

fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}
