//! Kernel parameters: floors, letters, the way back.

use integration::random::Random;
use integration::scale;

use super::{Host, OWN_KEYS, key, row};

/// The guide's nine, with the value that a floor makes of what [`Host::lower`] set; `None` for those that a
/// network namespace may not change.
const GUIDE: [(&str, &str, Option<&str>); 9] = [
    ("net.core.rmem_max", "16777216", None),
    ("net.core.wmem_max", "16777216", None),
    (
        "net.ipv4.tcp_rmem",
        "4096 87380 16777216",
        Some("4096\t87380\t16777216\n"),
    ),
    (
        "net.ipv4.tcp_wmem",
        "4096 65536 16777216",
        Some("4096\t65536\t16777216\n"),
    ),
    ("net.ipv4.tcp_mem", "50576 64768 98152", None),
    ("net.core.netdev_max_backlog", "2048", None),
    ("net.core.somaxconn", "1024", Some("1024\n")),
    ("net.ipv4.tcp_max_syn_backlog", "2048", Some("2048\n")),
    ("net.ipv4.tcp_syncookies", "1", Some("1\n")),
];

#[test]
fn every_key_of_the_guide_is_a_floor_and_has_a_row() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    let rehearsal = host.tune("apply --dry-run", 0).stdout;
    assert_eq!(host.values(), before, "{rehearsal}");
    let table = host.tune("apply", 0).stdout;
    for (name, wanted, raised) in GUIDE {
        let was = before.get(name).map(|text| text.trim().replace('\t', " "));
        for table in [&rehearsal, &table] {
            let row = row(table, name);
            assert!(row.contains(wanted), "{row}");
            match (raised, &was) {
                (Some(_), Some(was)) => assert!(row.contains(was.as_str()), "{row}"),
                _ => assert!(row.contains("the whole host"), "{row}"),
            }
        }
        if let Some(raised) = raised {
            assert_eq!(host.value(name), raised);
        }
    }
    let reverted = host.tune("revert", 0).stdout;
    assert_eq!(host.values(), before, "{reverted}");
    for name in OWN_KEYS {
        assert!(row(&reverted, name).ends_with("restored"), "{reverted}");
    }
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
    assert_eq!(host.tune("revert", 0).stdout, "nothing to take back\n");
}

#[test]
fn what_is_more_than_the_floor_is_not_touched() {
    let host = Host::new();
    for (key, value) in [
        ("net.ipv4.tcp_rmem", "8192 200000 33554432"),
        ("net.ipv4.tcp_wmem", "4096 100000 8388608"),
        ("net.core.somaxconn", "65000"),
        ("net.ipv4.tcp_max_syn_backlog", "1000000"),
        ("net.ipv4.tcp_syncookies", "2"),
    ] {
        host.set(key, value);
    }
    let mut expected = host.values();
    host.tune("apply", 0);
    // One field of three.
    expected.insert("net.ipv4.tcp_wmem", "4096\t100000\t16777216\n".to_owned());
    assert_eq!(host.values(), expected);
}

#[test]
fn to_the_letter_and_back_from_wherever_it_was() {
    let host = Host::new();
    let mut random = Random::from_printed_seed();
    for round in 0..scale(5) {
        let mut number = |most: usize| random.below(most) + 1;
        let mut vector = || {
            let mut fields = [number(1 << 16), number(1 << 20), number(1 << 30)];
            fields.sort_unstable();
            // Some kernels take no less than a page.
            let fields = fields.map(|field| field + 4095);
            fields.map(|field| field.to_string()).join(" ")
        };
        let [rmem, wmem] = [vector(), vector()];
        host.set("net.ipv4.tcp_rmem", &rmem);
        host.set("net.ipv4.tcp_wmem", &wmem);
        host.set("net.core.somaxconn", &number(65_535).to_string());
        host.set("net.ipv4.tcp_max_syn_backlog", &number(1 << 24).to_string());
        host.set("net.ipv4.tcp_syncookies", &(number(3) - 1).to_string());
        let before = host.values();
        let case = format!("round {round} of seed {}: {before:?}", random.seed());
        // Floors first, or not.
        if round % 2 == 1 {
            host.tune("apply", 0);
        }
        host.tune("apply --exact", 0);
        for (name, _, written) in GUIDE {
            if written.is_some() {
                let text = host.value(name).replace('\t', " ");
                let (_, wanted, _) = GUIDE.iter().find(|(key, ..)| *key == name).expect("a key");
                assert_eq!(text.trim(), *wanted, "{name}, {case}");
            }
        }
        host.tune("revert", 0);
        assert_eq!(host.values(), before, "{case}");
        assert_eq!(host.tree().len(), 2, "{case}");
    }
}

#[test]
fn further_keys_come_from_the_configuration() {
    let host = Host::new();
    host.lower();
    let timeout = host.value("net.ipv4.tcp_fin_timeout");
    let config = host.config(
        "[tuning.sysctl]\n\
         \"net.core.somaxconn\" = 8192\n\
         \"net.ipv4.tcp_fin_timeout\" = { exact = 15 }\n\
         \"net.ipv4.tcp_keepalive_time\" = 60\n\
         \"net.ipv4.tcp_tw_recycle\" = 1\n",
    );
    let table = host.tune(&format!("apply {config}"), 0).stdout;
    assert_eq!(host.value("net.core.somaxconn"), "8192\n");
    assert_eq!(host.value("net.ipv4.tcp_fin_timeout"), "15\n");
    // A floor.
    assert_eq!(host.value("net.ipv4.tcp_keepalive_time"), "7200\n");
    assert!(
        row(&table, "net.ipv4.tcp_tw_recycle").contains("removed in Linux 4.12"),
        "{table}"
    );
    host.tune("revert", 0);
    assert_eq!(host.value("net.ipv4.tcp_fin_timeout"), timeout);
    assert_eq!(host.value("net.core.somaxconn"), "128\n");
}

/// The kernel takes no lower end below its unprivileged ports.
#[test]
fn a_range_becomes_wider() {
    const RANGE: &str = "net.ipv4.ip_local_port_range";
    let host = Host::new();
    for (now, wanted, then) in [
        ("32768 60999", "[1024, 65535]", "1024\t65535\n"),
        ("32768 60999", "[40000, 65000]", "32768\t65000\n"),
        ("32768 60999", "[40000, 50000]", "32768\t60999\n"),
        (
            "10000 65535",
            "{ exact = [40000, 50000] }",
            "40000\t50000\n",
        ),
    ] {
        goes_there_and_back(&host, RANGE, now, wanted, then);
    }
    let config = host.config(&format!("[tuning.sysctl]\n\"{RANGE}\" = [65000, 1024]"));
    let refused = host.tune(&format!("apply {config}"), 2).stderr;
    assert!(
        refused.contains(RANGE) && refused.contains("from its lower end to its upper one"),
        "{refused}"
    );
}

/// Also from none and back to none, which only a newline says.
#[test]
fn a_set_of_ports_becomes_larger() {
    const PORTS: &str = "net.ipv4.ip_local_reserved_ports";
    let host = Host::new();
    for (now, wanted, then) in [
        ("", "8000", "8000\n"),
        ("8080,9000", "\"9001-9010,4430\"", "4430,8080,9000-9010\n"),
        ("8000-8100", "[8000, 8100]", "8000-8100\n"),
        (
            "1000,2000,3000,4000,5000,60000-60003,60010,60020,60030",
            "8000",
            "1000,2000,3000,4000,5000,8000,60000-60003,60010,60020,60030\n",
        ),
        ("9000", "{ exact = \"8081,8080\" }", "8080-8081\n"),
    ] {
        goes_there_and_back(&host, PORTS, now, wanted, then);
    }
    let config = host.config(&format!("[tuning.sysctl]\n\"{PORTS}\" = \"http\""));
    let refused = host.tune(&format!("apply {config}"), 2).stderr;
    assert!(
        refused.contains(PORTS) && refused.contains("is a set of ports here"),
        "{refused}"
    );
}

/// What is wanted of a key is there, is enough for the next boot too, and is taken back.
#[track_caller]
fn goes_there_and_back(host: &Host, name: &str, now: &str, wanted: &str, then: &str) {
    host.set(name, &format!("{now}\n"));
    let before = host.value(name);
    let config = host.config(&format!("[tuning.sysctl]\n\"{name}\" = {wanted}"));
    host.tune(&format!("apply --permanent {config}"), 0);
    assert_eq!(host.value(name), then, "{wanted}");
    let document = host.check(&config);
    assert_eq!(key(&document, name)["met"], true, "{document}");
    assert_ne!(key(&document, name)["at_boot"]["met"], false, "{document}");
    host.tune("revert", 0);
    assert_eq!(host.value(name), before, "{wanted}");
    assert_eq!(host.journal(), None);
}

#[test]
fn what_somebody_else_has_set_since_stays() {
    let host = Host::new();
    host.lower();
    host.tune("apply", 0);
    host.set("net.core.somaxconn", "5000");
    let rehearsal = host.tune("revert --dry-run", 0).stdout;
    assert_eq!(host.value("net.ipv4.tcp_max_syn_backlog"), "2048\n");
    let reverted = host.tune("revert", 0).stdout;
    for table in [rehearsal, reverted] {
        assert!(
            row(&table, "net.core.somaxconn").contains("changed by somebody else"),
            "{table}"
        );
    }
    assert_eq!(host.value("net.core.somaxconn"), "5000\n");
    assert_eq!(host.value("net.ipv4.tcp_max_syn_backlog"), "128\n");
    assert_eq!(host.journal(), None);
}

#[test]
fn check_changes_nothing_and_tells_all() {
    let host = Host::new();
    host.lower();
    let (before, tree) = (host.values(), host.tree());
    let document = host.check("");
    assert_eq!((host.values(), host.tree()), (before, tree));
    let somaxconn = key(&document, "net.core.somaxconn");
    assert_eq!(somaxconn["now"], "128");
    assert_eq!(somaxconn["wanted"], "1024");
    assert_eq!(somaxconn["apply"], "1024");
    assert_eq!(somaxconn["met"], false);
    assert_eq!(document["nofile"]["wanted"], 1_024_000);
    host.tune("apply", 0);
    let document = host.check("");
    for name in OWN_KEYS {
        assert_eq!(key(&document, name)["met"], true, "{document}");
    }
    let text = host.tune("check", 0).stdout;
    assert!(
        row(&text, "net.core.somaxconn").contains("as wanted"),
        "{text}"
    );
    host.tune("revert", 0);
}

#[test]
fn two_at_once_are_kept_apart() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    let commands: Vec<_> = ["apply", "apply --exact", "apply", "apply --exact"]
        .iter()
        .map(|verb| host.command(&format!("tune {verb}")))
        .collect();
    std::thread::scope(|scope| {
        for mut command in commands {
            scope.spawn(move || integration::process::run(&mut command).success("tune apply"));
        }
    });
    host.tune("revert", 0);
    assert_eq!(host.values(), before);
    assert_eq!(host.tree().len(), 2, "{:?}", host.tree());
}
