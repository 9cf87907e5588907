//! Bad input: a clear line, and everything as it was.

use std::fs;

use super::limits::READ_ONLY_PROC_SYS;
use super::{Host, row};

#[test]
fn read_only_proc_sys_is_reported_and_no_failure() {
    let host = Host::with_mounts(READ_ONLY_PROC_SYS);
    host.lower();
    let before = host.values();
    let table = host.tune("apply", 0).stdout;
    for key in super::OWN_KEYS {
        assert!(
            row(&table, key).contains("/proc/sys is read-only here"),
            "{table}"
        );
    }
    assert_eq!(host.values(), before);
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
}

#[test]
fn a_key_that_is_missing_is_reported_and_no_failure() {
    let host = Host::new();
    host.lower();
    let config =
        host.config("[tuning.sysctl]\n\"net.core.no_such_key\" = 1\n\"kernel.no/such.key\" = 1");
    let table = host.tune(&format!("apply {config}"), 0).stdout;
    assert!(
        row(&table, "net.core.no_such_key").contains(" - "),
        "{table}"
    );
    assert!(
        row(&table, "kernel.no/such.key").contains("this kernel has no such key"),
        "{table}"
    );
    assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    host.tune("revert", 0);
}

/// It would be another one's value that has no way back.
#[test]
fn a_key_that_changes_others_is_reported_and_no_failure() {
    const KEYS: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv4.conf.lo.forwarding"];
    const COARSE: &str = "net.ipv4.neigh.lo.base_reachable_time";
    let host = Host::new();
    for key in KEYS {
        host.set(key, "0");
    }
    let fine = host.value(&format!("{COARSE}_ms"));
    let config = host.config(&format!(
        "[tuning.sysctl]\n\"net.ipv4.ip_forward\" = 1\n\"{COARSE}\" = 60"
    ));
    let table = host.tune(&format!("apply {config}"), 0).stdout;
    let row = row(&table, KEYS[0]);
    assert!(
        row.contains("net.ipv4.conf.*.forwarding") && row.contains("/etc/sysctl.d"),
        "{row}"
    );
    for key in KEYS {
        assert_eq!(host.value(key), "0\n", "{key}");
    }
    assert_eq!(host.value(&format!("{COARSE}_ms")), fine);
    host.tune("revert", 0);
}

/// What is written here, and what the journal tells of, may be in different ones.
#[test]
fn a_key_of_another_ipc_namespace_is_reported_and_no_failure() {
    let mut host = Host::new();
    host.mounts = "set -- unshare --ipc -- \"$@\" && ".to_owned();
    let config = host.config("[tuning.sysctl]\n\"kernel.msgmax\" = 100000");
    let table = host.tune(&format!("apply {config}"), 0).stdout;
    let told = row(&table, "kernel.msgmax");
    assert!(told.contains("another ipc namespace"), "{told}");

    let mut journal = host.journal().expect("a journal");
    journal["keys"] = serde_json::json!([
        { "key": "kernel.msgmax", "namespace": null, "was": "4096", "wrote": ["8192"] },
    ]);
    fs::write(host.journal_path(), journal.to_string()).expect("a journal");
    let table = host.tune("revert", 1).stdout;
    let told = row(&table, "kernel.msgmax");
    assert!(told.contains("another ipc namespace"), "{told}");
    let journal = host.journal().expect("a journal");
    assert_eq!(journal["keys"][0]["was"], "4096", "{journal}");
}

/// Whatever is wrong with one value, no other one is written.
#[test]
fn values_that_do_not_parse_are_refused_before_anything() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    for (tuning, words) in [
        (
            "nofile = 5",
            &["tune.toml:2:10", "nofile 5 is not between"][..],
        ),
        ("nofile = 9999999999", &["tune.toml:2:10", "9999999999"]),
        ("nofile = \"many\"", &["tune.toml:2:10"]),
        ("nofil = 2000", &["tune.toml:2:1", "did you mean `nofile`"]),
        (
            "[tuning.sysctl]\n\"somaxconn\" = 5000",
            &["tune.toml:3:1", "no kernel parameter"],
        ),
        (
            "[tuning.sysctl]\n\"net.core.somaxconn\" = true",
            &["tune.toml:3:1", "a boolean"],
        ),
        (
            "[tuning.sysctl]\n\"net.core.somaxconn\" = \"\"",
            &["tune.toml:3:1", "an empty value"],
        ),
        (
            "[tuning.sysctl]\n\"net.core.somaxconn\" = \"many\"",
            &[
                "net.core.somaxconn",
                "is a number here, and \"many\" is not",
            ],
        ),
        (
            "[tuning.sysctl]\n\"net.core.somaxconn\" = [1, 2]",
            &["has 1 field here", "has 2 fields"],
        ),
        (
            "[tuning.sysctl]\n\"net.ipv4.tcp_rmem\" = 4096",
            &["has 3 fields here", "has 1 field"],
        ),
    ] {
        let config = host.config(&format!("[tuning]\n{tuning}"));
        let tree = host.tree();
        for verb in [
            "tune apply",
            "tune apply --permanent",
            "tune apply --dry-run",
            "tune check",
            "tune export",
            "load --tune -i lo",
        ] {
            let output = host.run(&format!("{verb} {config}"));
            assert_eq!(output.code, Some(2), "{verb}, {tuning}: {output:#?}");
            assert!(output.stderr.starts_with("error: "), "{output:#?}");
            for word in words {
                assert!(output.stderr.contains(word), "{word}: {output:#?}");
            }
        }
        assert_eq!(
            (host.values(), host.tree()),
            (before.clone(), tree),
            "{tuning}"
        );
    }
}

/// It parses, but the kernel wants something else: the rest is done, and the journal tells no lie.
#[test]
fn a_value_that_the_kernel_refuses() {
    let host = Host::new();
    host.lower();
    let control = host.value("net.ipv4.tcp_congestion_control");
    let config = host.config("[tuning.sysctl]\n\"net.ipv4.tcp_congestion_control\" = \"nosuch\"");
    let output = host.tune(&format!("apply {config}"), 1);
    assert!(
        row(&output.stdout, "net.ipv4.tcp_congestion_control").contains("the kernel refused it"),
        "{output:#?}"
    );
    assert_eq!(host.value("net.ipv4.tcp_congestion_control"), control);
    assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    let journal = host.journal().expect("a journal").to_string();
    assert!(!journal.contains("congestion"), "{journal}");
    host.tune("revert", 0);
}

/// The kernel has written two fields when it comes to the third.
#[test]
fn a_list_that_the_kernel_refuses_in_part() {
    let host = Host::new();
    let before = host.value("net.ipv4.tcp_rmem");
    let config = host
        .config("[tuning.sysctl]\n\"net.ipv4.tcp_rmem\" = { exact = [5000, 90000, 99999999999] }");
    let output = host.tune(&format!("apply {config}"), 1);
    assert!(
        row(&output.stdout, "net.ipv4.tcp_rmem").contains("the kernel refused it"),
        "{output:#?}"
    );
    assert_eq!(host.value("net.ipv4.tcp_rmem"), before);
    host.tune("revert", 0);
    assert_eq!(host.value("net.ipv4.tcp_rmem"), before);
}

#[test]
fn names_of_units_and_rules() {
    let host = Host::new();
    for (arguments, word) in [
        ("apply --unit ../../etc/passwd", "is no name of a service"),
        ("apply --unit web.socket", "web.socket"),
        ("check --unit web;reboot", "web;reboot"),
        ("apply 80:0", "80:0"),
        ("apply 80:8000 -c /etc/tune.toml", "exclude each other"),
        ("apply -c /nonexistent.toml", "/nonexistent.toml"),
        ("aply", "apply"),
    ] {
        let output = host.tune(arguments, 2);
        assert!(output.stderr.contains(word), "{output:#?}");
    }
    assert_eq!(host.tree().len(), 2);
}

/// As whoever is not root: reading is allowed, and a change is refused before it begins.
#[test]
fn without_permission() {
    let mut host = Host::new();
    host.lower();
    let before = host.values();
    host.mounts = "set -- nsenter --setuid 65534 --setgid 65534 -- \"$@\" && ".to_owned();
    for arguments in ["tune apply", "tune apply --permanent"] {
        let output = host.run(arguments);
        assert_eq!(output.code, Some(4), "{output:#?}");
        assert!(output.stderr.contains("/var/lib/redirector"), "{output:#?}");
    }
    let rehearsal = host.run("tune apply --dry-run 80:8000");
    assert_eq!(rehearsal.code, Some(0), "{rehearsal:#?}");
    assert!(
        row(&rehearsal.stdout, "net.core.somaxconn").contains("not permitted"),
        "{rehearsal:#?}"
    );
    let exported = host.run("tune export 80:8000");
    assert!(
        exported.stdout.contains("net.core.somaxconn = 1024"),
        "{exported:#?}"
    );
    assert_eq!(host.values(), before);
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
}

/// Nothing is changed at all where the files cannot be written.
#[test]
fn etc_that_is_full_or_read_only() {
    // Room for the directories, but not for the text of the second file.
    let full = "mkdir /etc/security /etc/security/limits.d && mount -t tmpfs -o nr_inodes=1 tmpfs /etc/security/limits.d";
    let read_only = "mount -o remount,ro,bind /etc";
    for (mounts, word) in [
        (full, "No space left"),
        (read_only, "Read-only file system"),
    ] {
        let host = Host::with_mounts(mounts);
        host.lower();
        let before = host.values();
        let output = host.tune("apply --permanent", 1);
        assert!(
            output.stderr.contains("/etc/") && output.stderr.contains(word),
            "{output:#?}"
        );
        assert_eq!(host.values(), before);
        let files = host.tree().into_values().flatten().count();
        assert_eq!(files, 0, "{:?}", host.tree());
        assert!(!host.etc("sysctl.d").exists(), "{:?}", host.tree());
        // Without files it works.
        let host = Host {
            mounts: String::new(),
            ..host
        };
        host.tune("apply", 0);
        host.tune("revert", 0);
        assert_eq!(host.values(), before);
    }
}

#[test]
fn a_state_directory_that_is_read_only() {
    let host = Host::with_mounts("mount -o remount,ro,bind /var/lib");
    host.lower();
    let before = host.values();
    let output = host.tune("apply", 1);
    assert!(
        output
            .stderr
            .contains("cannot make /var/lib/redirector: Read-only file system"),
        "{output:#?}"
    );
    assert_eq!(host.values(), before);
    assert_eq!(host.tune("revert", 0).stdout, "nothing to take back\n");
}

#[test]
fn a_file_of_somebody_else_by_our_name() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    host.write_etc("security/limits.d/90-redirector.conf", "www - nofile 5\n");
    let tree = host.tree();
    let output = host.tune("apply --permanent", 1);
    assert!(
        output
            .stderr
            .contains("/etc/security/limits.d/90-redirector.conf is not redirector's"),
        "{output:#?}"
    );
    assert_eq!((host.values(), host.tree()), (before, tree));
}

/// It would be read to its end.
#[test]
fn pipes_in_the_place_of_files() {
    let host = Host::new();
    host.lower();
    for file in ["sysctl.d/50-pipe.conf", "security/limits.d/50-pipe.conf"] {
        host.write_etc(file, "");
        host.make_pipe(file);
    }
    host.check("");
    host.tune("apply --permanent", 0);
    host.tune("revert", 0);
    host.make_pipe("sysctl.d/90-redirector.conf");
    let before = host.values();
    let output = host.tune("apply --permanent", 1);
    assert_eq!(
        output.stderr,
        "error: /etc/sysctl.d/90-redirector.conf is not redirector's; move it away, or use `redirector tune export`\n"
    );
    assert_eq!(host.values(), before);
}

#[test]
fn a_journal_that_cannot_be_understood() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    host.tune("apply", 0);
    let path = host.journal_path();
    let journal = fs::read_to_string(&path).expect("a journal");
    for bad in [
        "",
        "{",
        "{\"schema\": 2}",
        &journal.replacen("\"schema\": 1", "\"schema\": 9", 1),
    ] {
        fs::write(&path, bad).expect("a journal");
        for verb in ["apply --exact", "revert"] {
            let output = host.tune(verb, 1);
            assert!(
                output.stderr.contains("/var/lib/redirector/tune.json"),
                "{output:#?}"
            );
            assert!(output.stderr.contains("move it away"), "{output:#?}");
        }
        assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    }
    fs::write(&path, journal).expect("a journal");
    host.tune("revert", 0);
    assert_eq!(host.values(), before);
}
