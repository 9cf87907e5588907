//! What a script or guide does with its rules, and how it writes commands.

use super::*;

const ADD: &str =
    "iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-port 8000";

fn delete() -> String {
    ADD.replace("-A ", "-D ").replace("-p tcp", " -p  tcp")
}

#[test]
fn a_rule_that_is_deleted_again_is_left() {
    let text = format!("{ADD}\n{} 2>/dev/null\n", delete());
    left(&text, "-A", "line 2 deletes it again");
    left(&text, "-D", "it deletes what line 1 adds");
    let text = format!("{}\n{ADD}\n", delete());
    taken(&text, "-A");
    left(&text, "-D", "it adds no rule");
    let text = format!("{ADD}\n{ADD}\n{}\n", delete());
    let (imported, _) = import(&text);
    assert!(matches!(imported.outcomes[&(0, 1)], Outcome::Left(_)));
    assert!(matches!(imported.outcomes[&(0, 2)], Outcome::Taken { .. }));
    for other in [
        "8000|8001",
        "PREROUTING|OUTPUT",
        "iptables|ip6tables",
        "nat|filter",
    ] {
        let (from, to) = other.split_once('|').unwrap();
        let text = format!("{ADD}\n{}\n", delete().replace(from, to));
        taken(&text, "-A");
        left(&text, "-D", "it adds no rule");
    }
    let text = format!("{ADD}; {}", delete());
    left(&text, "-A", "it deletes what it adds");
}

/// As scripts of an init do.
#[test]
fn what_another_branch_deletes_stays() {
    for between in [" ;;\nstop)", "\n;;\nstop)", "\nelse", "\n}\nstop() {"] {
        let text = format!("{ADD}{between}\n{}\n", delete());
        taken(&text, "-A");
    }
}

#[test]
fn a_command_stands_behind_a_prompt_or_an_option() {
    for before in [
        "$ ",
        "root@host:~# ",
        "[root@host ~]# ",
        "[me@host ~]$ sudo ",
        "post-up ",
        "up ",
        "pre-up ",
        "PostUp = ",
        "ExecStart=/sbin/",
        "ExecStartPost=-/usr/sbin/",
    ] {
        let line = format!("{before}{ADD}");
        assert_eq!(taken(&line, "-A").0, ["80:8000/tcp"], "{line}");
    }
    left(&format!("post-down {}", delete()), "-D", "stops");
    left(
        &format!("PostUp = {}", ADD.replace("eth0", "%i")),
        "-A",
        "to fill in",
    );
}

#[test]
fn a_redirect_that_is_not_understood_is_told() {
    for line in [
        format!("for p in 1; do {ADD} ; done"),
        format!("su -c '{ADD}'"),
        format!("start) {ADD} ;;"),
        format!("host# {ADD}"),
        ADD.replace("iptables", "$IPTABLES"),
        "With iptables the target REDIRECT does that".into(),
    ] {
        left(&line, "", "give it as an iptables command of its own");
    }
    for line in [
        "nft add rule ip nat prerouting tcp dport 80 redirect to :8000",
        "nft 'add rule ip nat prerouting tcp dport 80 redirect to 8000'",
        "add rule ip nat prerouting tcp dport 80 dnat to :8000",
    ] {
        left(line, "", "import what `nft list ruleset` prints");
    }
    for line in [
        "firewall-cmd --add-forward-port=port=80:proto=tcp:toport=8000",
        r#"<forward-port port="80" protocol="tcp" to-port="8000"/>"#,
        r#"<rule family="ipv4"><forward-port port="80" protocol="tcp" to-port="8000"/></rule>"#,
    ] {
        left(line, "", "a forward of firewalld");
    }
    left(&format!("# {ADD}"), "", "comment");
    for line in [
        "# Redirect the web",
        "We redirect to the application",
        "firewall-cmd --reload",
        "up to you",
        "su -c 'iptables -A INPUT -j ACCEPT'",
    ] {
        assert_eq!(outcome(line, ""), Outcome::Other, "{line}");
    }
}
