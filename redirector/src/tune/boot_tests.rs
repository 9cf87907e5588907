use super::*;

fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn the_last_file_wins_by_its_name() {
    let root = root(&[
        (
            "usr/lib/sysctl.d/99-vendor.conf",
            "net.core.somaxconn = 1\n",
        ),
        (
            "etc/sysctl.d/90-redirector.conf",
            "net.core.somaxconn = 1024\nnet.core.rmem_max=2\n",
        ),
        ("etc/sysctl.d/50-hidden.conf", ""),
        (
            "usr/lib/sysctl.d/50-hidden.conf",
            "net.core.rmem_max = 3\nnet.core.wmem_max = 3\n",
        ),
        (
            "run/sysctl.d/95-run.conf",
            "# net.core.rmem_max = 4\n; net.core.rmem_max = 4\n",
        ),
        ("etc/sysctl.d/99-note.txt", "net.core.rmem_max = 5\n"),
        (
            "etc/sysctl.d/10-slash.conf",
            "-net/ipv4/tcp_syncookies=1\nnet.ipv4.conf.*.rp_filter = 2\n",
        ),
        (
            "etc/sysctl.d/05-named.conf",
            "net.ipv4.conf.eth0.rp_filter = 0\n",
        ),
    ]);
    let boot = Boot::read_below(root.path());
    let value = |key: &str| {
        boot.sysctl(&key.parse().unwrap())
            .map(|line| line.value.as_str())
    };
    assert_eq!(value("net.core.somaxconn"), Some("1"));
    assert_eq!(value("net.core.rmem_max"), Some("2"));
    assert_eq!(value("net.core.wmem_max"), None);
    assert_eq!(value("net.ipv4.tcp_syncookies"), Some("1"));
    assert_eq!(value("net.ipv4.conf.eth1.rp_filter"), Some("2"));
    assert_eq!(value("net.ipv4.conf.eth0.rp_filter"), Some("0"));
    let ours = |file: &Path| file.ends_with("90-redirector.conf");
    assert_eq!(
        boot.sysctl_but(&"net.core.rmem_max".parse().unwrap(), ours),
        None
    );
}

#[test]
fn sysctl_conf_counts_where_somebody_reads_it() {
    let files = [
        ("etc/sysctl.conf", "net.core.somaxconn = 7\n"),
        ("etc/sysctl.d/90-x.conf", "net.core.somaxconn = 8\n"),
    ];
    let key: Key = "net.core.somaxconn".parse().unwrap();
    let value = |root: &tempfile::TempDir| {
        Boot::read_below(root.path())
            .sysctl(&key)
            .unwrap()
            .value
            .clone()
    };
    let root = root(&files);
    assert_eq!(value(&root), "7");
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    assert_eq!(value(&root), "8");
    std::os::unix::fs::symlink(
        "../sysctl.conf",
        root.path().join("etc/sysctl.d/99-sysctl.conf"),
    )
    .unwrap();
    assert_eq!(value(&root), "7");
}

#[test]
fn limits_of_logins() {
    let root = root(&[
        (
            "etc/security/limits.conf",
            "*  soft  nofile  1024000 # guide\n* hard nproc 5\nroot - nofile 1\n",
        ),
        (
            "etc/security/limits.d/20-x.conf",
            "* hard nofile unlimited\n",
        ),
    ]);
    let boot = Boot::read_below(root.path());
    let value = |domain, kind| {
        boot.limit_but(domain, kind, |_| false)
            .map(|line| line.value.as_str())
    };
    assert_eq!(value("*", Kind::Soft), Some("1024000"));
    assert_eq!(value("*", Kind::Hard), Some("unlimited"));
    assert_eq!(value("root", Kind::Hard), Some("1"));
    assert_eq!(value("www", Kind::Hard), None);
}

#[test]
fn limits_of_services() {
    let root = root(&[
        ("usr/lib/systemd/system/app@.service", "LimitNOFILE=1\n"),
        (
            "usr/lib/systemd/system/web.service",
            "[Service]\nLimitNOFILE=65536\n",
        ),
        (
            "etc/systemd/system/web.service.d/50-more.conf",
            "[Service]\nLimitNOFILE=infinity\n",
        ),
        (
            "run/systemd/system/reset.service",
            "[Service]\nLimitNOFILE=5\nLimitNOFILE=\n",
        ),
        (
            "etc/systemd/system/app@.service.d/a.conf",
            "[Service]\nLimitNOFILE = 1024:2048\n",
        ),
    ]);
    let boot = Boot::read_below(root.path());
    let value = |unit: &str| {
        boot.unit_but(&unit.parse().unwrap(), |_| false)
            .map(|line| line.value)
    };
    assert_eq!(value("web").as_deref(), Some("infinity"));
    assert_eq!(value("app@1").as_deref(), Some("1024:2048"));
    assert_eq!(value("reset"), None);
    assert_eq!(value("other"), None);
}

#[test]
fn what_a_limit_allows() {
    for (limit, enough) in [
        ("1024000", true),
        ("1023999", false),
        ("infinity", true),
        ("unlimited", true),
        ("1024:1024000", false),
        ("2000000:infinity", true),
        ("much", false),
    ] {
        assert_eq!(allows(limit, 1_024_000), enough, "{limit}");
    }
}

#[test]
fn a_comment_in_another_encoding_hides_no_line() {
    let root = root(&[]);
    for (path, text) in [
        (
            "etc/sysctl.d/10-local.conf",
            &b"# f\xfcr M\xfcller\nnet.core.somaxconn = 7\n"[..],
        ),
        (
            "etc/security/limits.d/10-local.conf",
            b"# f\xfcr M\xfcller\nroot hard nofile 7\n",
        ),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let boot = Boot::read_below(root.path());
    let key = "net.core.somaxconn".parse().unwrap();
    assert_eq!(boot.sysctl(&key).unwrap().value, "7");
    let limit = boot.limit_but("root", Kind::Hard, |_| false);
    assert_eq!(limit.unwrap().value, "7");
}
