//! Open files of the applications behind the rules.

use std::fs;

use integration::process::Background;
use integration::wait;

use super::application::Application;
use super::{Host, key, row};

const MILLION: u64 = 1_024_000;

/// Whether this test may raise hard limits, which is asked of the kernel.
pub fn may_raise() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .expect("capabilities");
    let effective = u64::from_str_radix(line.trim(), 16).expect("a mask");
    const CAP_SYS_RESOURCE: u32 = 24;
    effective & 1 << CAP_SYS_RESOURCE != 0
}

/// With CAP_SYS_RESOURCE all of it, without up to the hard limit, and that is said.
#[test]
fn master_and_workers_are_raised_at_once_and_put_back() {
    let host = Host::new();
    let application = Application::start(&host, "root root");
    let before = application.limits();
    let hard = before[0].1;
    assert!(before.iter().all(|&(soft, _)| soft == 200), "{before:?}");
    let (code, raised) = match may_raise() || hard >= MILLION {
        true => (0, (MILLION, hard.max(MILLION))),
        false => (4, (hard, hard)),
    };

    let rehearsal = host.tune("apply --dry-run", 0).stdout;
    assert_eq!(application.limits(), before);
    let table = host.tune("apply", code).stdout;
    assert_eq!(application.limits(), [raised; 3], "{table}");
    for table in [&rehearsal, &table] {
        for pid in application.processes() {
            let word = format!("(pid {pid})");
            let line = table.lines().find(|line| line.contains(&word));
            let line = line.unwrap_or_else(|| panic!("no {word}: {table}"));
            assert!(
                line.contains("8000/tcp") && line.contains("1024000"),
                "{line}"
            );
            assert_eq!(line.contains("CAP_SYS_RESOURCE"), code == 4, "{line}");
        }
    }

    let document = host.check("");
    let applications = document["nofile"]["applications"]
        .as_array()
        .expect("applications");
    assert_eq!(applications.len(), 3, "{document}");
    for each in applications {
        assert_eq!(each["soft"], raised.0, "{document}");
        assert_eq!(each["met"], code == 0, "{document}");
        assert_eq!(each["targets"][0]["port"], 8000);
    }

    host.tune("revert", 0);
    // Hard limits too: whoever raised them may lower them.
    assert_eq!(application.limits(), before);
    assert_eq!(host.journal(), None);
}

#[test]
fn a_small_nofile_needs_no_rights() {
    let host = Host::new();
    let application = Application::start(&host, "root root");
    let before = application.limits();
    let config = host.config("[tuning]\nnofile = 1500");
    host.tune(&format!("apply {config}"), 0);
    assert!(application.limits().iter().all(|&(soft, _)| soft == 1500));
    // A floor.
    let config = host.config("[tuning]\nnofile = 1200");
    host.tune(&format!("apply {config}"), 0);
    assert!(application.limits().iter().all(|&(soft, _)| soft == 1500));
    host.tune("revert", 0);
    assert_eq!(application.limits(), before);
}

#[test]
fn an_application_that_has_ended_is_no_matter_to_revert() {
    let host = Host::new();
    let application = Application::start(&host, "root root");
    let config = host.config("[tuning]\nnofile = 1500");
    host.tune(&format!("apply {config}"), 0);
    drop(application);
    wait::until("nobody listens", || !host.namespace.listens_on(8000));
    let table = host.tune("revert", 0).stdout;
    assert!(table.contains("is gone"), "{table}");
    assert_eq!(host.journal(), None);
}

/// Sockets of UDP count as listeners do, and a rule's source does not.
#[test]
fn whoever_has_the_port_of_a_rule_is_meant() {
    let host = Host::new();
    let application = Application::start(&host, "root root");
    let output = host.tune("apply --dry-run 8000:9000 53:5353/udp", 0);
    assert!(!output.stdout.contains("nginx"), "{output:#?}");
    for target in ["9000/tcp", "5353/udp"] {
        assert!(output.stderr.contains(target), "{output:#?}");
    }
    let output = host.tune("apply --dry-run 81:8000/both", 0);
    assert!(output.stdout.contains("nginx"), "{output:#?}");
    assert!(output.stderr.contains("8000/udp"), "{output:#?}");
    assert_eq!(application.limits()[0].0, 200);
}

/// It has to be raised first, and where that cannot be, no process gets more.
#[test]
fn nofile_above_nr_open() {
    let host = Host::with_mounts(READ_ONLY_PROC_SYS);
    let application = Application::start(&host, "root root");
    let before = application.limits();
    let nr_open: u64 = fs::read_to_string("/proc/sys/fs/nr_open")
        .expect("a number")
        .trim()
        .parse()
        .expect("a number");
    let config = host.config(&format!("[tuning]\nnofile = {}", nr_open + 1));
    let rehearsal = host.tune(&format!("apply --dry-run {config}"), 0).stdout;
    let nr_open_row = row(&rehearsal, "fs.nr_open");
    assert!(
        nr_open_row.contains("must allow") || nr_open_row.contains("read-only"),
        "{nr_open_row}"
    );
    let output = host.tune(&format!("apply {config}"), if may_raise() { 1 } else { 4 });
    assert!(
        row(&output.stdout, "fs.nr_open").contains("read-only here"),
        "{output:#?}"
    );
    let expected = match may_raise() {
        true => "fs.nr_open allows no more than",
        false => "CAP_SYS_RESOURCE",
    };
    assert!(output.stdout.contains(expected), "{output:#?}");
    assert_ne!(application.limits(), before);
    assert_eq!(key(&host.check(&config), "fs.nr_open")["met"], false);
    host.tune("revert", 0);
    assert_eq!(application.limits(), before);
}

/// Root may need a capability for the processes of others, too.
#[test]
fn workers_of_another_user() {
    let host = Host::new();
    let application = Application::start(&host, "nobody nogroup");
    let before = application.limits();
    let config = host.config("[tuning]\nnofile = 1500");
    let output = host.tune(&format!("apply {config}"), if may_raise() { 0 } else { 4 });
    let refused = output
        .stdout
        .matches("another user's process needs CAP_SYS_RESOURCE")
        .count();
    let soft: Vec<_> = application
        .limits()
        .into_iter()
        .map(|(soft, _)| soft)
        .collect();
    match may_raise() {
        true => assert_eq!((refused, &soft[..]), (0, &[1500; 3][..]), "{output:#?}"),
        false => assert_eq!(
            (refused, &soft[..]),
            (2, &[1500, 200, 200][..]),
            "{output:#?}"
        ),
    }
    host.tune("revert", 0);
    assert_eq!(application.limits(), before);
}

/// Root sees what has no more capabilities than itself.
#[test]
fn processes_that_may_not_be_seen() {
    let host = Host {
        without: Some(PTRACE),
        ..Host::new()
    };
    let config = host.config("[tuning]\nnofile = 1500");
    let application = Application::start(&host, "nobody nogroup");
    let before = application.limits();
    let output = host.tune(&format!("apply {config}"), 4);
    let note = "a process has 8000/tcp, but it is not permitted to see which one (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH)";
    assert!(
        output.stderr.contains(note) && !output.stderr.contains("no process"),
        "{output:#?}"
    );
    assert!(!output.stdout.contains("nginx"), "{output:#?}");
    assert_eq!(application.limits(), before);
    let document = host.check(&config);
    assert!(document["listeners"][0]["process"].is_null(), "{document}");
    let notes = document["notes"].to_string();
    let hint = "whose sockets those are is only shown to root with CAP_SYS_PTRACE";
    assert!(notes.contains(note) && notes.contains(hint), "{notes}");
    let checked = host.run("check -i lo 80:8000").stdout;
    assert!(
        checked.contains("8000/tcp: a process that is only shown to root"),
        "{checked}"
    );
    host.tune("revert", 0);
}

/// With the capabilities that its unit has.
#[test]
fn the_service_sees_an_application_of_another_user() {
    const UNIT: &str = include_str!("../../../redirector/package/systemd/redirector-tune.service");
    let (_, rest) = UNIT.split_once("\nCapabilityBoundingSet=").expect("a set");
    let capabilities = rest.lines().next().expect("a line").split_whitespace();
    let kept = capabilities
        .map(|name| name.trim_start_matches("CAP_").to_lowercase())
        // Nobody gets back what this machine does not give.
        .filter(|name| name != "sys_resource" || may_raise());
    let only = kept.fold("-all".to_owned(), |all, name| format!("{all},+{name}"));
    let host = Host {
        mounts: format!(
            "set -- /usr/bin/setpriv --bounding-set={only} --inh-caps={only} -- \"$@\" && "
        ),
        ..Host::new()
    };
    let config = host.config("[tuning]\nnofile = 1500");
    let mut command = host.namespace.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["busybox", "nc", "-l", "-p", "8000"]);
    let application = Background::start(&mut command, Background::directory());
    wait::until("it listens", || host.namespace.listens_on(8000));
    let output = host.run(&format!("tune apply {config}"));
    let pid = application.pid();
    assert!(
        output.stdout.contains(&format!("(pid {pid})")),
        "{output:#?}"
    );
    assert!(!output.stderr.contains("to see which one"), "{output:#?}");
    host.tune("revert", 0);
}

/// The master may be, the workers may not.
#[test]
fn processes_of_which_some_may_be_seen() {
    let host = Host {
        without: Some(PTRACE),
        ..Host::new()
    };
    let config = host.config("[tuning]\nnofile = 1500");
    let application = Application::start_without(&host, Some(PTRACE), "nobody nogroup");
    let output = host.tune(&format!("apply {config}"), 0);
    let soft: Vec<_> = application
        .limits()
        .into_iter()
        .map(|(soft, _)| soft)
        .collect();
    assert_eq!(soft, [1500, 200, 200], "{output:#?}");
    assert!(
        output
            .stderr
            .contains("those that share these sockets keep their limits"),
        "{output:#?}"
    );
    host.tune("revert", 0);
}

const PTRACE: &str = "sys_ptrace";

pub const READ_ONLY_PROC_SYS: &str =
    "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys";
