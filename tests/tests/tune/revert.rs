//! The way back where something is in it. What it restores is tested with what was changed.

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
    host.mounts = "set -- setpriv --bounding-set=-dac_override -- \"$@\" && ".to_owned();
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
    host.mounts.clear();
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
