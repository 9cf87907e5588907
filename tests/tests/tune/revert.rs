//! The way back where something is in it, or where it leads nowhere. What it restores is tested with what was
//! changed.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use integration::wait;

use super::{Host, row};

#[test]
fn without_permission() {
    let mut host = Host::new();
    host.lower();
    let before = host.values();
    host.tune("apply", 0);
    let (tuned, tree) = (host.values(), host.tree());
    host.mounts = "set -- nsenter --setuid 65534 --setgid 65534 -- \"$@\" && ".to_owned();
    for verb in ["revert", "revert --dry-run"] {
        let output = host.tune(verb, 4);
        assert_eq!(output.stdout, "", "{output:#?}");
        let lines: Vec<_> = output.stderr.lines().collect();
        assert!(
            lines.len() == 1
                && lines[0].starts_with("error: cannot ")
                && lines[0].contains("/var/lib/redirector")
                && lines[0].contains("Permission denied"),
            "{output:#?}"
        );
    }
    assert_eq!((host.values(), host.tree()), (tuned, tree));
    host.mounts.clear();
    host.tune("revert", 0);
    assert_eq!(host.values(), before);
}

/// What may be taken back is, the rest stays in the journal.
#[test]
fn with_less_permission_than_apply_had() {
    let mut host = Host::new();
    host.lower();
    let before = host.values();
    host.tune("apply --permanent", 0);
    let directory = host.etc("sysctl.d");
    std::os::unix::fs::chown(&directory, Some(65534), None).expect("another owner");
    host.without = Some("dac_override");
    let output = host.tune("revert", 4);
    let file = "/etc/sysctl.d/90-redirector.conf";
    let line = row(&output.stdout, file);
    assert!(
        line.contains("cannot remove") && line.contains("Permission denied"),
        "{output:#?}"
    );
    assert_eq!(host.values(), before);
    let journal = host.journal().expect("a journal");
    assert_eq!(journal["files"][0]["path"], file, "{journal}");
    assert_eq!(journal["keys"], serde_json::json!([]), "{journal}");
    host.without = None;
    host.tune("revert", 0);
    assert_eq!(host.journal(), None);
    assert!(!directory.exists());
}

/// The values are what matters.
#[test]
fn a_journal_that_has_become_read_only() {
    let mut host = Host::new();
    host.lower();
    let before = host.values();
    host.tune("apply --permanent", 0);
    host.mounts = "mount -o remount,ro,bind /var/lib && ".to_owned();
    let output = host.tune("revert", 1);
    assert_eq!(host.values(), before);
    for (changed, fate) in [
        ("net.core.somaxconn", "restored"),
        ("/etc/sysctl.d/90-redirector.conf", "removed"),
    ] {
        assert!(row(&output.stdout, changed).ends_with(fate), "{output:#?}");
    }
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(
        lines.len() == 1
            && lines[0].starts_with("error: ")
            && lines[0].contains("/var/lib/redirector/tune.json: Read-only file system"),
        "{output:#?}"
    );
    host.mounts.clear();
    let again = host.tune("revert", 0).stdout;
    assert!(
        row(&again, "net.core.somaxconn").ends_with("is back already"),
        "{again}"
    );
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
}

/// As a death at any time leaves it: the journal tells of more than was done.
#[test]
fn a_journal_that_is_ahead_and_one_of_an_earlier_boot() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    host.tune("apply", 0);
    let journal = fs::read_to_string(host.journal_path()).expect("a journal");
    // Nothing of it was written.
    for (key, value) in &before {
        host.set(key, value.trim());
    }
    let table = host.tune("revert", 0).stdout;
    assert!(
        row(&table, "net.core.somaxconn").contains("is back already"),
        "{table}"
    );
    assert_eq!(host.values(), before);

    host.tune("apply", 0);
    let after = host.values();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let earlier = journal.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    assert_ne!(earlier, journal);
    fs::write(host.journal_path(), earlier).expect("a journal");
    let reverted = host.tune("revert", 0);
    assert!(
        reverted.stderr.contains("of an earlier boot"),
        "{reverted:#?}"
    );
    assert_eq!(host.values(), after);
    assert_eq!(host.journal(), None);
}

/// They share the journal, as they share the machine.
#[test]
fn another_network_namespace_keeps_its_values() {
    let host = Host::new();
    host.lower();
    host.tune("apply", 0);
    let (namespace, other) = host.elsewhere();
    other.set("net.core.somaxconn", "1024");
    let table = other.tune("revert", 0).stdout;
    let row = row(&table, "net.core.somaxconn");
    let way = format!(
        "nsenter --net=/run/netns/{} redirector tune revert",
        namespace.name()
    );
    assert!(row.contains(&way), "{row}");
    assert_eq!(other.value("net.core.somaxconn"), "1024\n");
    let host = Host { namespace, ..other };
    assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    host.tune("revert", 0);
    assert_eq!(host.value("net.core.somaxconn"), "128\n");
}

/// Commands that still run may have it among their mounts.
#[test]
fn what_went_with_a_network_namespace_is_forgotten() {
    let host = Host::new();
    host.lower();
    host.tune("apply --permanent", 0);
    let (namespace, host) = host.elsewhere();
    let before = host.values();
    let rows = host.tune("revert --dry-run", 0);
    assert!(!rows.stderr.contains("gone"), "{rows:#?}");
    drop(namespace);
    let note = "note: 5 values went with network namespaces that are gone\n";
    wait::until("it is gone", || {
        host.tune("revert --dry-run", 0).stderr.contains(note)
    });
    // Where processes end all the time, it may take another look.
    wait::until("it is forgotten", || {
        let reverted = host.tune("revert", 0);
        reverted.stderr.contains(note) && !reverted.stdout.contains("net.")
    });
    assert_eq!(host.values(), before);
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
}

/// Each process of the chain is there for a millisecond, and leaves the namespace to its child.
#[test]
fn a_network_namespace_of_short_lived_processes_is_not_forgotten() {
    const CHAIN: &str = "link() { [ -e \"$0\" ] && sleep 0.001 && { link & exit 0; }; }; link";
    let host = Host::new();
    let file = host.directory.path().join("as-long-as-this-is-there");
    fs::write(&file, "").expect("a file");
    let begin = |host: &Host| {
        let mut chain = host.namespace.command("sh");
        chain.args(["-c", CHAIN]).arg(&file).stdout(Stdio::null());
        assert!(chain.status().expect("the first").success());
    };
    is_not_forgotten(host, begin, || {
        fs::remove_file(&file).expect("the end of it");
    });
}

/// The same of threads of one process.
#[test]
fn a_network_namespace_of_short_lived_threads_is_not_forgotten() {
    fn link(is_over: Arc<AtomicBool>) {
        if !is_over.load(Ordering::Relaxed) {
            thread::yield_now();
            thread::spawn(|| link(is_over));
        }
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let begin = |host: &Host| {
        let is_over = is_over.clone();
        host.namespace.enter(|| thread::spawn(|| link(is_over)));
    };
    let end = || is_over.store(true, Ordering::Relaxed);
    is_not_forgotten(Host::new(), begin, end);
}

fn is_not_forgotten(host: Host, begin: impl FnOnce(&Host), end: impl FnOnce()) {
    host.lower();
    host.tune("apply", 0);
    begin(&host);
    let (namespace, host) = host.elsewhere();
    let before = host.values();
    drop(namespace);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let rehearsal = host.tune("revert --dry-run", 0);
        assert!(!rehearsal.stderr.contains("gone"), "{rehearsal:#?}");
        row(&rehearsal.stdout, "net.core.somaxconn");
    }
    let applied = host.tune("apply", 0);
    assert!(!applied.stderr.contains("gone"), "{applied:#?}");
    end();
    let note = "note: 5 values went with network namespaces that are gone\n";
    wait::until("it is gone", || {
        host.tune("revert --dry-run", 0).stderr.contains(note)
    });
    wait::until("apply says so", || {
        host.tune("apply", 0).stderr.contains(note)
    });
    host.tune("revert", 0);
    assert_eq!(host.values(), before);
}

/// Inodes are used again within a boot, cookies are not.
#[test]
fn a_network_namespace_may_have_the_inode_of_another_one() {
    let host = Host::new();
    host.set("net.core.somaxconn", "128");
    host.tune("apply", 0);
    let tuned = host.values();
    let mut journal = host.journal().expect("a journal");
    for entry in journal["keys"].as_array_mut().expect("keys") {
        // The whole host's keys, which are few, belong to none.
        if let Some(namespace) = entry["namespace"].as_object_mut() {
            namespace["cookie"] = u64::MAX.into();
        }
    }
    fs::write(host.journal_path(), journal.to_string()).expect("a journal");
    let reverted = host.tune("revert", 0);
    assert!(reverted.stderr.contains("that are gone"), "{reverted:#?}");
    assert!(!reverted.stdout.contains("net."), "{reverted:#?}");
    assert_eq!(host.values(), tuned);
    assert_eq!(host.journal(), None);
}
