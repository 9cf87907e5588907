use std::time::{Duration, Instant};

use super::*;
use crate::config::Draft;

const RULE: &str = "[[redirect]]\nfrom = 80\nto = 8000\n";

fn message(text: &str) -> String {
    let draft = Draft::parse(Path::new("f.toml"), text.to_owned());
    draft.unwrap_err().to_string()
}

#[test]
fn reads_every_key() {
    let file = parse(
        Path::new("f.toml"),
        r#"
        interfaces = ["eth0", "lo"]
        hook = "tc"
        [[redirect]]
        from = 80
        to = 8000
        [[redirect]]
        from = 443
        to = 4430
        protocol = "both"
        address = "2001:db8::1"
        interfaces = ["eth0"]
        "#,
    )
    .unwrap();
    let names = |words: &[Word]| {
        words
            .iter()
            .map(|word| word.text.clone())
            .collect::<Vec<_>>()
    };
    let rules: Vec<_> = file
        .rules
        .iter()
        .map(|rule| rule.spec.to_string())
        .collect();
    assert_eq!(names(&file.interfaces), ["eth0", "lo"]);
    assert_eq!(file.hook, Hook::Tc);
    assert_eq!(rules, ["80:8000/tcp", "[2001:db8::1]:443:4430/both"]);
    assert_eq!(names(&file.rules[0].interfaces), [""; 0]);
    assert_eq!(names(&file.rules[1].interfaces), ["eth0"]);
}

#[test]
fn an_error_shows_the_line_and_the_word() {
    assert_eq!(
        message("interface = [\"eth0\"]\n"),
        "f.toml:1:1: unknown key `interface`, did you mean `interfaces`?\n\
         \x20 |\n\
         1 | interface = [\"eth0\"]\n\
         \x20 | ^^^^^^^^^"
    );
    assert_eq!(
        message("# é\n[[redirect]]\n\tfrom = 0 # é\r\n"),
        "f.toml:3:9: port \"0\" is not between 1 and 65535\n\
         \x20 |\n\
         3 | \tfrom = 0 # é\n\
         \x20 | \t       ^"
    );
}

#[test]
fn refuses_with_the_word_and_the_way_out() {
    for (text, first_line) in [
        (
            "interfaces = [\"eth0\"\n[[redirect]]\n",
            "f.toml:2:1: missing comma between array elements, expected `,`",
        ),
        ("from\n", "f.toml:1:5: key with no value, expected `=`"),
        (
            "[tunning]\n",
            "f.toml:1:2: unknown key `tunning`, did you mean `tuning`?",
        ),
        (
            "[tuning]\nnofiles = 1\n",
            "f.toml:2:1: unknown key `nofiles`, did you mean `nofile`?",
        ),
        (
            "[tuning]\nnofile = 100\n",
            "f.toml:2:10: nofile 100 is not between 1024 and 2147483584",
        ),
        (
            "[tuning.sysctl]\n\"somaxconn\" = 4096\n",
            "f.toml:2:1: \"somaxconn\" is no kernel parameter; they are written as net.core.somaxconn is",
        ),
        (
            "hook = \"tcx\"\n",
            "f.toml:1:8: unknown value `tcx`, did you mean `tc`?",
        ),
        (
            "hook = \"ebpf\"\n",
            "f.toml:1:8: unknown value `ebpf`, expected auto, tc, xdp",
        ),
        (
            "interfaces = \"eth0\"\n",
            "f.toml:1:14: invalid type: string \"eth0\", expected a list",
        ),
        (
            &format!("interfaces = []\n{RULE}"),
            "f.toml:1:14: the list of interfaces is empty; name at least one, or leave the key out",
        ),
        (
            &format!("{RULE}interfaces = []\n"),
            "f.toml:4:14: the list of interfaces is empty; name at least one, or leave the key out",
        ),
        (
            "hook = \"tc\"\n",
            "f.toml: no [[redirect]], so there is nothing to redirect",
        ),
        (
            "",
            "f.toml: no [[redirect]], so there is nothing to redirect",
        ),
        (
            "[redirect]\nfrom = 80\n",
            "f.toml:1:1: expected a list of tables: write [[redirect]]",
        ),
        ("[[redirect]]\nfrom = 80\n", "f.toml:1:1: missing key `to`"),
        (
            "[[redirect]]\nfrom = \"80\"\n",
            "f.toml:2:8: invalid type: string \"80\", expected a port number between 1 and 65535",
        ),
        (
            "[[redirect]]\nfrom = 80\nto = 65536\n",
            "f.toml:3:6: port \"65536\" is not between 1 and 65535",
        ),
        (
            "[[redirect]]\nfrom = 80\nto = 80\n",
            "f.toml:3:6: port 80 is redirected to itself; \
             use another port after the colon, or drop the rule",
        ),
        (&format!("{RULE}from = 81\n"), "f.toml:4:1: duplicate key"),
        (
            &format!("{RULE}adress = \"203.0.113.5\"\n"),
            "f.toml:4:1: unknown key `adress`, did you mean `address`?",
        ),
        (
            &format!("{RULE}address = \"0.0.0.0\"\n"),
            "f.toml:4:11: 0.0.0.0 means every address; leave the address out",
        ),
        (
            &format!("{RULE}address = \"localhost\"\n"),
            "f.toml:4:11: \"localhost\" is not an IP address; \
             interfaces are named apart, with -i or `interfaces`",
        ),
        (
            &format!("{RULE}protocol = \"upd\"\n"),
            "f.toml:4:12: protocol \"upd\" is not tcp, udp or both, did you mean `udp`?",
        ),
    ] {
        assert_eq!(
            message(text).lines().next(),
            Some(first_line),
            "for {text:?}"
        );
    }
}

#[test]
fn ten_thousand_rules_are_read_at_once() {
    let text: String = (1..=10_000)
        .map(|port| format!("[[redirect]]\nfrom = {port}\nto = {}\n", port + 20_000))
        .collect();
    let start = Instant::now();
    assert_eq!(
        parse(Path::new("f.toml"), &text).unwrap().rules.len(),
        10_000
    );
    // Far above what it takes, also unoptimised on a busy machine; a quadratic parser takes longer.
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}
