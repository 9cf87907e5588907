use super::*;

fn value(text: &str) -> Value {
    Value::from(text)
}

#[test]
fn keys_are_paths_below_proc_sys() {
    for (text, path) in [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        (
            "net.ipv4.conf.eth0/10.rp_filter",
            "net/ipv4/conf/eth0.10/rp_filter",
        ),
        (
            "net/ipv4/conf/eth0.10/rp_filter",
            "net/ipv4/conf/eth0.10/rp_filter",
        ),
        ("fs.file-max", "fs/file-max"),
    ] {
        let key: Key = text.parse().unwrap();
        assert_eq!(key.path(), path);
        assert_eq!(key.to_string().parse::<Key>().unwrap(), key);
    }
}

#[test]
fn what_leads_elsewhere_is_no_key() {
    for text in [
        "",
        "somaxconn",
        "net..core",
        "net.core.",
        ".net.core",
        "/etc/passwd",
        "net/../../etc/passwd",
        "net.core./././etc",
        "net.core.some conn",
        "net.core.*",
        "net.core.a=b",
        "net.core.\n",
    ] {
        assert!(text.parse::<Key>().is_err(), "{text:?}");
    }
}

#[test]
fn floors_are_of_each_field() {
    let raised = |now, floor| {
        value(now)
            .raised_to(&value(floor))
            .map(|value| value.to_string())
    };
    let rmem = raised("4096\t131072\t6291456", "4096 87380 16777216");
    assert_eq!(rmem.unwrap(), "4096 131072 16777216");
    assert_eq!(raised("-1", "-2").unwrap(), "-1");
    assert_eq!(raised("cubic", "bbr").unwrap(), "bbr");
    assert!(raised("1 2 3", "1").is_err());
    assert!(raised("1", "one").is_err());
}

#[test]
fn ranges_are_widened_at_both_ends() {
    let widened = |now, range| {
        value(now)
            .widened_to(&value(range))
            .map(|value| value.to_string())
    };
    for (now, range, expected) in [
        ("32768\t60999", "1024 65535", "1024 65535"),
        ("32768\t60999", "40000 50000", "32768 60999"),
        ("32768\t60999", "40000 65000", "32768 65000"),
        ("32768\t60999", "10000 20000", "10000 60999"),
        // Nobody's.
        ("1\t0", "100 200", "100 200"),
    ] {
        assert_eq!(widened(now, range).unwrap(), expected, "{now}, {range}");
    }
    assert!(widened("32768 60999", "65000 1024").is_err());
    assert!(widened("32768 60999", "1024").is_err());
    assert!(widened("32768 60999", "all ports").is_err());
}

#[test]
fn values_are_one_line() {
    assert!("".parse::<Value>().is_err());
    assert!(" \t".parse::<Value>().is_err());
    assert!("1\n2".parse::<Value>().is_err());
    assert_eq!(" 1\t2 ".parse::<Value>().unwrap(), value("1 2"));
}
