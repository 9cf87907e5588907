use proptest::prelude::*;

use super::*;

fn writable(text: &str) -> Reading {
    Reading::Value {
        text: text.to_owned(),
        access: Access::Writable,
    }
}

fn row(key: &str, tuning: &Tuning, reading: Reading, elsewhere: bool) -> KeyRow {
    let rows = keys(wishes(tuning), |_| reading.clone(), elsewhere);
    let mut rows = rows.unwrap_or_else(|error| panic!("{error}")).into_iter();
    rows.find(|row| row.wish.key.to_string() == key).unwrap()
}

/// The tables of the guide and of a modern kernel, side by side.
#[test]
fn the_guide_is_a_floor_of_each_field() {
    const SAME: &str = "";
    let modern = [
        ("net.core.rmem_max", "4194304", "16777216", "16777216"),
        ("net.core.wmem_max", "4194304", "16777216", "16777216"),
        (
            "net.ipv4.tcp_rmem",
            "4096 131072 33554432",
            SAME,
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
            "287898 383867 575796",
            SAME,
            "50576 64768 98152",
        ),
        ("net.core.netdev_max_backlog", "1000", "2048", "2048"),
        ("net.core.somaxconn", "4096", SAME, "1024"),
        ("net.ipv4.tcp_max_syn_backlog", "2048", SAME, SAME),
        ("net.ipv4.tcp_syncookies", "1", SAME, SAME),
        ("fs.nr_open", "1048576", SAME, SAME),
        ("fs.file-max", "9223372036854775807", SAME, SAME),
    ];
    for exact in [false, true] {
        let tuning = Tuning {
            exact,
            ..Tuning::default()
        };
        let read = |key: &Key| {
            let (_, now, ..) = modern.iter().find(|row| row.0 == key.to_string()).unwrap();
            writable(&now.replace(' ', "\t"))
        };
        let rows = keys(wishes(&tuning), read, false).unwrap();
        assert_eq!(rows.len(), modern.len());
        for (row, (key, _, raised, written)) in rows.iter().zip(modern) {
            let expected = if exact { written } else { raised };
            let step = match expected {
                SAME => Step::Keep,
                value => Step::Write(Value::from(value)),
            };
            assert_eq!((row.wish.key.to_string().as_str(), &row.step), (key, &step));
        }
    }
}

#[test]
fn the_configuration_comes_before_the_guide() {
    let setting = |key: &str, value: &str, exact| Setting {
        key: key.parse().unwrap(),
        value: value.parse().unwrap(),
        exact,
    };
    let tuning = Tuning {
        nofile: 2_000_000,
        settings: vec![
            setting("net.core.somaxconn", "8192", false),
            setting("net.ipv4.tcp_fin_timeout", "15", true),
            setting("fs.nr_open", "1500000", false),
        ],
        ..Tuning::default()
    };
    let wishes = wishes(&tuning);
    let wanted = |key: &str| {
        let mut found = wishes.iter().filter(|wish| wish.key.to_string() == key);
        let wish = found.next().unwrap();
        assert!(found.next().is_none(), "{key} twice");
        (wish.value.to_string(), wish.exact)
    };
    assert_eq!(wanted("net.core.somaxconn"), ("8192".to_owned(), false));
    assert_eq!(wanted("net.ipv4.tcp_fin_timeout"), ("15".to_owned(), true));
    assert_eq!(wanted("fs.nr_open"), ("2000000".to_owned(), false));
    assert_eq!(wanted("fs.file-max"), ("2000000".to_owned(), false));
}

#[test]
fn what_cannot_be_set_is_told() {
    let tuning = Tuning::default();
    let key = "net.core.netdev_max_backlog";
    let reading = |access| Reading::Value {
        text: "1000".to_owned(),
        access,
    };
    for (reading, elsewhere, obstacle) in [
        (Reading::Missing, false, Obstacle::Missing { remark: None }),
        (Reading::Missing, true, Obstacle::OfHost),
        (reading(Access::ReadOnlyKey), true, Obstacle::OfHost),
        (reading(Access::ReadOnlyKey), false, Obstacle::ReadOnlyKey),
        (
            reading(Access::ReadOnlyMount),
            true,
            Obstacle::ReadOnlyMount,
        ),
        (reading(Access::Denied), false, Obstacle::Denied),
    ] {
        // As missing as the others are, the vectors would not fit the number.
        let rows = keys(
            wishes(&tuning),
            |each| match each.to_string() == key {
                true => reading.clone(),
                false => Reading::Missing,
            },
            elsewhere,
        );
        let rows = rows.unwrap();
        let row = rows
            .iter()
            .find(|row| row.wish.key.to_string() == key)
            .unwrap();
        assert_eq!(row.step, Step::Cannot(obstacle));
    }
    let recycle = Tuning {
        settings: vec![Setting {
            key: "net.ipv4.tcp_tw_recycle".parse().unwrap(),
            value: "1".parse().unwrap(),
            exact: false,
        }],
        ..tuning
    };
    let row = row("net.ipv4.tcp_tw_recycle", &recycle, Reading::Missing, true);
    assert!(
        row.reason().contains("removed in Linux 4.12"),
        "{}",
        row.reason()
    );
}

#[test]
fn a_value_that_does_not_fit_is_refused() {
    for (now, word) in [("4096", "1 field here"), ("1 2", "2 fields here")] {
        let error = keys(wishes(&Tuning::default()), |_| writable(now), false).unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains(word),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn floors_lower_nothing_and_leave_nothing_below(
        now in prop::collection::vec(0..1_u64 << 40, 1..4),
        floor in prop::collection::vec(0..1_u64 << 40, 1..4),
    ) {
        let text = |fields: &[u64]| fields.iter().map(u64::to_string).collect::<Vec<_>>().join("\t");
        let raised = Value::from(text(&now).as_str()).raised_to(&Value::from(text(&floor).as_str()));
        prop_assert_eq!(raised.is_ok(), now.len() == floor.len());
        if let Ok(raised) = raised {
            let expected: Vec<_> = now.iter().zip(&floor).map(|(now, floor)| *now.max(floor)).collect();
            prop_assert_eq!(raised.to_string().replace(' ', "\t"), text(&expected));
        }
    }
}
