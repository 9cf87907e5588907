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

#[test]
fn a_line_that_sends_to_the_same_port_is_not_said_to_send_elsewhere() {
    let chain = |family: &str, rules: &str| {
        format!(
            "table {family} nat {{\n chain p {{ type nat hook prerouting priority 0;\n{rules}\n }}\n}}\n"
        )
    };
    let rule = |to: u16| format!("tcp dport 80 redirect to :{to}");
    for (to, why) in [
        (8000, "more than line 4 of test sends there"),
        (9000, "what line 4 of test sends elsewhere"),
    ] {
        let v4 = chain("ip", &format!("tcp dport 80 accept\n{}", rule(to)));
        let text = v4 + &chain("ip6", &rule(8000));
        let (imported, _) = import(&text);
        match &imported.outcomes[&(0, 9)] {
            Outcome::Left(words) => assert!(words.contains(why), "{words}"),
            other => panic!("{other:?}"),
        }
    }
}
