//! What `--permanent` writes, `export` prints, and the next boot will read.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Host, key, row};

const SYSCTL: &str = "sysctl.d/90-redirector.conf";
const LIMITS: &str = "security/limits.d/90-redirector.conf";
const DROP_IN: &str = "systemd/system/web.service.d/90-redirector.conf";

#[test]
fn permanent_files_come_and_go() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    host.write_etc("sysctl.d/10-own.conf", "net.core.somaxconn = 512\n");
    let tree = host.tree();
    let rehearsal = host
        .tune("apply --permanent --unit web --dry-run", 0)
        .stdout;
    assert_eq!(host.tree(), tree);
    let table = host.tune("apply --permanent --unit web", 0);
    for file in [SYSCTL, LIMITS, DROP_IN] {
        assert!(
            rehearsal.contains(&format!("would write /etc/{file}")),
            "{rehearsal}"
        );
        assert!(
            table.stdout.contains(&format!("wrote /etc/{file}")),
            "{table:#?}"
        );
        let metadata = fs::metadata(host.etc(file)).expect("a file");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644, "{file}");
        let text = fs::read_to_string(host.etc(file)).expect("a file");
        assert!(
            text.contains("redirector tune apply") && text.contains("redirector tune revert"),
            "{text}"
        );
    }
    assert!(
        table
            .stderr
            .contains("this one gets nothing from it at boot"),
        "{table:#?}"
    );
    assert!(
        table.stderr.contains("systemctl daemon-reload"),
        "{table:#?}"
    );

    let read = |file| fs::read_to_string(host.etc(file)).expect("a file");
    let sysctl: Vec<_> = read(SYSCTL)
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(str::to_owned)
        .collect();
    assert_eq!(
        sysctl,
        [
            "net.ipv4.tcp_rmem = 4096 87380 16777216",
            "net.ipv4.tcp_wmem = 4096 65536 16777216",
            "net.core.somaxconn = 1024",
            "net.ipv4.tcp_max_syn_backlog = 2048",
            "net.ipv4.tcp_syncookies = 1",
        ]
    );
    for line in [
        "*    soft nofile 1024000",
        "*    hard nofile 1024000",
        "root soft nofile 1024000",
        "root hard nofile 1024000",
    ] {
        assert!(read(LIMITS).lines().any(|each| each == line), "{line}");
    }
    assert!(read(DROP_IN).ends_with("[Service]\nLimitNOFILE=1024000\n"));

    // Again, as after a boot: what was raised before is not forgotten.
    let written = host.tree();
    host.tune("apply --permanent --unit web", 0);
    assert_eq!(host.tree(), written);

    host.tune("revert", 0);
    assert_eq!(host.values(), before);
    assert_eq!(host.tree(), tree);
}

/// What this boot got from our file is in that file again.
#[test]
fn a_file_of_an_earlier_boot_is_kept() {
    let host = Host::new();
    host.lower();
    host.tune("apply --permanent", 0);
    let sysctl = fs::read_to_string(host.etc(SYSCTL)).expect("a file");
    fs::remove_dir_all(host.directory.path().join("var/redirector")).expect("the journal is gone");
    host.tune("apply --permanent", 0);
    assert_eq!(
        fs::read_to_string(host.etc(SYSCTL)).expect("a file"),
        sysctl
    );
    host.tune("revert", 0);
    assert!(!host.etc(SYSCTL).exists());
}

#[test]
fn a_file_that_nothing_wants_any_more_is_removed() {
    let host = Host::new();
    host.write_etc(
        "security/limits.conf",
        "* - nofile unlimited\nroot - nofile unlimited\n",
    );
    host.tune("apply", 0);
    // So few files want no more of the whole host.
    let files = "[tuning]\nnofile = 1024\n";
    let keys = "[tuning.sysctl]\n\"net.ipv4.tcp_keepalive_time\" = 8000";
    let config = host.config(&format!("{files}{keys}"));
    host.tune(&format!("apply --permanent {config}"), 0);
    let written = fs::read_to_string(host.etc(SYSCTL)).expect("a file");
    assert!(
        written.contains("net.ipv4.tcp_keepalive_time = 8000"),
        "{written}"
    );
    host.tune("revert", 0);
    for key in super::OWN_KEYS {
        // So that none of them is wanted at the next boot.
        let most = if key.contains("mem") {
            "8192 200000 33554432"
        } else {
            "65000"
        };
        host.set(key, if key.contains("cookies") { "2" } else { most });
    }
    host.tune(&format!("apply --permanent {config}"), 0);
    let config = host.config(files);
    let command = format!("apply --permanent {config}");
    let rehearsal = host.tune(&format!("{command} --dry-run"), 0).stdout;
    assert!(
        rehearsal.contains(&format!("/etc/{SYSCTL} would be removed\n")),
        "{rehearsal}"
    );
    assert!(host.etc(SYSCTL).exists());
    let table = host.tune(&command, 0).stdout;
    assert!(
        table.contains(&format!("/etc/{SYSCTL} removed\n")),
        "{table}"
    );
    assert!(!host.etc(SYSCTL).exists());
    host.tune("revert", 0);
    assert_eq!(host.value("net.ipv4.tcp_keepalive_time"), "7200\n");
    assert!(!host.etc("sysctl.d").exists());
}

#[test]
fn others_may_read_whatever_the_umask_says() {
    let mut host = Host::new();
    host.mounts = "umask 077 && ".to_owned();
    host.tune("apply --permanent --unit web", 0);
    for file in [SYSCTL, LIMITS, DROP_IN] {
        let path = host.etc(file);
        let directory = path.parent().expect("a directory");
        for (path, expected) in [(&*path, 0o644), (directory, 0o755)] {
            let mode = fs::metadata(path)
                .expect("it is there")
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, expected, "{}", path.display());
        }
    }
    host.tune("revert", 0);
}

#[test]
fn export_prints_what_permanent_writes() {
    let host = Host::new();
    host.lower();
    let tree = host.tree();
    let exported = host.tune("export --unit web", 0).stdout;
    assert_eq!(host.tree(), tree);
    host.tune("apply --permanent --unit web", 0);
    let expected = [SYSCTL, LIMITS, DROP_IN].map(|file| {
        let text = fs::read_to_string(host.etc(file)).expect("a file");
        format!("### /etc/{file}\n{text}")
    });
    assert_eq!(exported, expected.join("\n"));
    host.tune("revert", 0);
}

#[test]
fn more_than_the_floor_of_others_is_not_written_over() {
    let host = Host::new();
    host.write_etc(
        "security/limits.conf",
        "* soft nofile 2000000\n* hard nofile unlimited\n",
    );
    host.write_etc(
        "systemd/system/web.service",
        "[Service]\nLimitNOFILE=infinity\n",
    );
    host.tune("apply --permanent --unit web", 0);
    let limits = fs::read_to_string(host.etc(LIMITS)).expect("a file");
    assert!(
        !limits.contains('*') && limits.contains("root hard nofile 1024000"),
        "{limits}"
    );
    assert!(!host.etc(DROP_IN).exists());
    host.tune("revert", 0);
    host.tune("apply --permanent --unit web --exact", 0);
    assert!(host.etc(DROP_IN).exists());
    host.tune("revert", 0);
    assert!(!host.etc(DROP_IN).exists());
}

#[test]
fn check_tells_which_file_wins_at_the_next_boot() {
    let host = Host::new();
    host.lower();
    host.write_etc("sysctl.d/99-other.conf", "net.core.somaxconn = 256\n");
    host.write_etc(
        "systemd/system/web.service",
        "[Service]\nLimitNOFILE=65536\n",
    );
    let output = host.tune("apply --permanent --unit web", 0);
    let warning = "at the next boot /etc/sysctl.d/99-other.conf sets net.core.somaxconn to 256";
    assert!(output.stderr.contains(warning), "{output:#?}");
    let document = host.check("--unit web");
    let somaxconn = &key(&document, "net.core.somaxconn")["at_boot"];
    assert_eq!(somaxconn["file"], "/etc/sysctl.d/99-other.conf");
    assert_eq!(somaxconn["value"], "256");
    assert_eq!(somaxconn["met"], false);
    let syncookies = &key(&document, "net.ipv4.tcp_syncookies")["at_boot"];
    assert_eq!(syncookies["file"], "/etc/sysctl.d/90-redirector.conf");
    assert_eq!(syncookies["met"], true);
    let at_boot = document["nofile"]["at_boot"].as_array().expect("a list");
    let web = at_boot
        .iter()
        .find(|each| each["of"] == "web.service")
        .expect("the service");
    assert_eq!(web["value"], "1024000");
    assert_eq!(web["file"], format!("/etc/{DROP_IN}"));
    let text = host.tune("check", 0).stdout;
    assert!(
        row(&text, "net.core.somaxconn").contains("99-other.conf, too little"),
        "{text}"
    );
    host.tune("revert", 0);
}

#[test]
fn what_somebody_has_edited_is_left() {
    let host = Host::new();
    host.lower();
    host.tune("apply --permanent", 0);
    let edited = fs::read_to_string(host.etc(LIMITS)).expect("a file") + "www - nofile 5\n";
    fs::write(host.etc(LIMITS), &edited).expect("a file");
    let table = host.tune("revert", 0).stdout;
    assert!(table.contains("was edited since"), "{table}");
    assert_eq!(
        fs::read_to_string(host.etc(LIMITS)).expect("a file"),
        edited
    );
    assert!(!host.etc(SYSCTL).exists());
}
