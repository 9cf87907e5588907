//! Texts that change what they have added, and words of a shell.

use super::*;

const WEB: &str = "iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-port 8000";
const OTHER: &str = "iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-port 9000";
const STAYS: &str = "iptables -t nat -A PREROUTING -s 10.0.0.0/8 -j RETURN";

fn script(lines: &[&str]) -> String {
    lines.join("\n")
}

#[test]
fn what_is_flushed_is_gone() {
    for flush in [
        "-F",
        "--flush",
        "-F PREROUTING",
        "-FPREROUTING",
        "--flush PREROUTING 2>/dev/null",
    ] {
        let flush = format!("iptables -t nat {flush}");
        let text = script(&[OTHER, &flush, WEB]);
        left(&text, "9000", "line 2 deletes it again");
        left(&text, &flush, "it deletes what line 1 adds");
        taken(&text, "8000");
        taken(&script(&[STAYS, &flush, WEB]), "8000");
    }
    for flush in [
        "iptables -F",
        "ip6tables -t nat -F",
        "iptables -t nat -F OUTPUT",
        "iptables -t nat -X",
    ] {
        let text = script(&[OTHER, flush, WEB]);
        taken(&text, "9000");
        left(&text, "8000", "line 1 comes first");
        left(&text, flush, "it adds no rule");
    }
    let text = script(&[WEB, &WEB.replace("80 ", "81 "), "iptables -t nat -F"]);
    left(&text, "-F", "it deletes what the lines 1, 2 add");
}

/// What may be gone is not taken, and what may be there still comes first.
#[test]
fn what_may_be_flushed_is_left() {
    for (before, after) in [
        ("if test -e x; then\n", "\nfi"),
        ("test -e x && ", ""),
        ("if test -e x; then ", "; fi"),
        ("clear() {\n", "\n}"),
        ("iptables -t nat -L || ", ""),
    ] {
        let flush = format!("{before}iptables -t nat -F{after}");
        let text = script(&[STAYS, OTHER, &flush, WEB]);
        left(&text, "9000", "may delete it again");
        left(&text, "8000", "line 1 comes first");
    }
    let text = script(&["if test -e x; then", OTHER, "fi", "iptables -t nat -F", WEB]);
    left(&text, "9000", "line 4 deletes it again");
    taken(&text, "8000");
}

#[test]
fn numbers_count_in_chains_that_the_text_builds() {
    let flush = "iptables -t nat -F";
    let delete = |number: u8| format!("iptables -t nat -D PREROUTING {number}");
    let text = script(&[flush, STAYS, OTHER, &delete(1)]);
    taken(&text, "9000");
    let text = script(&[flush, STAYS, OTHER, &delete(2), &delete(1), WEB]);
    left(&text, "9000", "line 4 deletes it again");
    taken(&text, "8000");
    left(&script(&[flush, OTHER, &delete(2)]), "-D", "adds no rule");
    let narrow = "iptables -t nat -R PREROUTING 1 -s 10.0.0.0/8 -p tcp --dport 80 -j REDIRECT --to-port 8001";
    let text = script(&[flush, WEB, narrow]);
    left(&text, "8000", "line 3 replaces it");
    left(&text, "8001", "-s 10.0.0.0/8");
    let wide = narrow.replace("-s 10.0.0.0/8", "");
    let text = script(&[
        "iptables -t nat -F PREROUTING",
        STAYS,
        &wide,
        OTHER.replace("80 ", "81 ").as_str(),
    ]);
    taken(&text, "8001");
    taken(&text, "9000");
}

#[test]
fn numbers_that_the_text_does_not_explain_leave_the_chain() {
    let what = "of its chain by a number that this text does not explain";
    for change in [
        "-D PREROUTING 1",
        "-D PREROUTING $n",
        "-R PREROUTING 1 -s 10.0.0.1 -j RETURN",
    ] {
        let change = format!("iptables -t nat {change}");
        let text = script(&[WEB, &change]);
        left(&text, "8000", what);
        let text = script(&[STAYS, &change, WEB]);
        left(&text, "8000", "line 1 comes first");
    }
    let replace = OTHER.replace("-A PREROUTING", "-R PREROUTING 1");
    left(
        &replace,
        "9000",
        "by a number that this text does not explain",
    );
    let two = "iptables -t nat -A PREROUTING -s 10.0.0.1,10.0.0.2 -j RETURN";
    let text = script(&[
        "iptables -t nat -F",
        two,
        WEB,
        "iptables -t nat -D PREROUTING 3",
    ]);
    left(&text, "8000", what);
}

#[test]
fn a_rule_that_is_deleted_in_other_words_is_left() {
    let delete = "iptables -t nat -D PREROUTING --dport 80 -p tcp -j REDIRECT --to-ports 8000";
    left(&script(&[WEB, delete]), "-A", "line 2 may delete it again");
}

/// It may be in the way of what comes behind it.
#[test]
fn what_the_shell_fills_in_counts() {
    for stays in [
        "-s $LAN -j RETURN",
        "-i $LAN -j RETURN",
        "-s `hostname -I` -j RETURN",
        "-s $(hostname -I) -j RETURN",
        "$STAYS",
    ] {
        let stays = format!("iptables -t nat -A PREROUTING {stays}");
        let text = script(&[&stays, WEB]);
        left(&text, "PREROUTING", "for the shell to fill in");
        left(&text, "8000", "line 1 comes first");
    }
    let text = script(&[
        "for lan in $LANS; do iptables -t nat -A PREROUTING -s 10.0.0.1 -j RETURN; done",
        WEB,
    ]);
    left(&text, "8000", "line 1 comes first");
}

#[test]
fn nothing_is_taken_of_a_line_with_more_than_is_followed() {
    for other in [
        "su -c 'iptables -t nat -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-port 8001'",
        "iptables -t nat -A PREROUTING -p tcp --dport $PORT -j REDIRECT --to-port 8001",
        "iptables -A PREROUTING -p tcp --dport 81 -j REDIRECT --to-port 8001",
    ] {
        for text in [format!("{WEB} && {other}"), format!("{other} ; {WEB}")] {
            assert!(matches!(outcome(&text, ""), Outcome::Left(_)), "{text}");
        }
    }
}

#[test]
fn redirects_of_other_tables_are_told() {
    let web = WEB.replace("-t nat ", "");
    left(&web, "", "in the table nat only");
    left(
        &web.replace("-A", "-t filter -I"),
        "",
        "in the table nat only",
    );
    let tproxy = "-A PREROUTING -p tcp --dport 80 -j TPROXY --on-port 8000 --tproxy-mark 1";
    for text in [
        format!("iptables -t mangle {tproxy}"),
        format!("*mangle\n{tproxy}\nCOMMIT"),
        format!("su -c 'iptables -t mangle {tproxy}'"),
    ] {
        let why = if text.contains("su") {
            "words"
        } else {
            "transparent proxy"
        };
        left(&text, "TPROXY", why);
    }
    assert_eq!(
        outcome("iptables -t mangle -A PREROUTING -j MARK --set-mark 1", ""),
        Outcome::Other
    );
}

#[test]
fn values_may_stand_in_the_word_of_their_option() {
    let text =
        "iptables -tnat -APREROUTING -ieth0 -ptcp -mtcp --dport=96 -jREDIRECT --to-ports=8010";
    assert_eq!(taken(text, "").0, ["96:8010/tcp"]);
    assert!(config(text).starts_with("interfaces = [\"eth0\"]"));
    let text = script(&[WEB, &WEB.replace("-t nat -A ", "-tnat -D")]);
    left(&text, "-A", "line 2 deletes it again");
    left(
        "iptables -tnat -APREROUTING -s10.0.0.1 -ptcp --dport=96 -jREDIRECT --to-ports=8010",
        "",
        "-s 10.0.0.1",
    );
}

#[test]
fn every_address_is_no_condition() {
    for (tool, any) in [
        ("iptables", "-s 0.0.0.0/0"),
        ("iptables", "-s 0/0"),
        ("iptables", "-d 0/0"),
        ("iptables", "--src 0.0.0.0/0.0.0.0"),
        ("ip6tables", "-s ::/0"),
        ("ip6tables", "-d ::/0"),
    ] {
        let text = WEB
            .replace("iptables", tool)
            .replace("-p tcp", &format!("{any} -p tcp"));
        taken(&text, "");
    }
    left(&WEB.replace("-p tcp", "! -s 0/0 -p tcp"), "", "! -s 0/0");
    left(
        &WEB.replace("-p tcp", "-s 0.0.0.0 -p tcp"),
        "",
        "-s 0.0.0.0",
    );
}

/// It reads more than iptables-save prints.
#[test]
fn a_file_for_iptables_restore_may_change_its_chains() {
    let web = WEB.replace("iptables -t nat ", "");
    let other = web.replace("8000", "9000");
    let narrow = "-I PREROUTING -s 10.0.0.0/8 -j RETURN";
    left(
        &nat(&format!("{web}\n{narrow}")),
        "8000",
        "line 5 comes first",
    );
    let text = nat(&format!("{other}\n-F PREROUTING\n{web}"));
    left(&text, "9000", "line 5 deletes it again");
    taken(&text, "8000");
    let text = nat(&format!("{other}\n-D PREROUTING 1\n{web}"));
    left(&text, "9000", "line 5 deletes it again");
    taken(&text, "8000");
    left(
        &nat(&format!("{web}\nbut why")),
        "but",
        "not a line of iptables-save",
    );
}

#[test]
fn a_comment_is_not_continued() {
    let text = script(&["# who stays \\", STAYS, WEB]);
    left(&text, "8000", "line 2 comes first");
}
