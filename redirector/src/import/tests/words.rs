//! The words of a rule: short forms, and what is missing or cannot be.

use super::*;

fn web(target: &str) -> String {
    nat(&format!(
        "-A PREROUTING -i eth0 -p tcp --dport 80 -j {target}"
    ))
}

#[test]
fn options_may_be_cut_short() {
    for target in [
        "REDIRECT --to 8000",
        "REDIRECT --to=8000",
        "REDIRECT --to-p 8000",
        "DNAT --to :8000",
        "DNAT --to-dest :8000",
        "DNAT --to-destination :8000",
    ] {
        assert_eq!(taken(&web(target), "-A ").0, ["80:8000/tcp"], "{target}");
    }
    left(&web("DNAT --to 10.0.0.1:8007"), "-A ", "10.0.0.1:8007");
    let rule =
        nat("-A PREROUTING --in-int eth0 --prot tcp --dport 80 --jump REDIRECT --to-port 8000");
    assert_eq!(
        config(&rule),
        r#"interfaces = ["eth0"]  [[redirect]] from = 80 to = 8000 protocol = "tcp""#
    );
}

#[test]
fn a_target_that_is_missing_is_told() {
    for (target, why) in [
        (
            "REDIRECT --to-ports",
            "the port that it sends to is missing",
        ),
        ("REDIRECT --to-ports x", "\"x\", which is no port"),
        ("DNAT", "address or port that it sends to is missing"),
        ("DNAT --to-destination", "is missing"),
        ("DNAT --to-destination :8000-8003", "spreads"),
    ] {
        left(&web(target), "-A ", why);
    }
}

#[test]
fn a_range_of_one_port_is_that_port() {
    for target in ["REDIRECT --to-ports 8000-8000", "DNAT --to :8000-8000"] {
        assert_eq!(taken(&web(target), "-A ").0, ["80:8000/tcp"], "{target}");
    }
}
