//! What a file for `nft -f` may hold.

use super::*;

fn chain(rules: &str) -> String {
    format!(
        "table ip nat {{\nchain pre {{\ntype nat hook prerouting priority -100; policy accept;\n{rules}\n}}\n}}\n"
    )
}

const WEB: &str = "tcp dport 80 redirect to :8000";

#[test]
fn a_backslash_at_the_end_of_a_line_continues_it() {
    for text in [
        "ip saddr 10.0.0.0/8 \\\n  tcp dport 80 redirect to :8000",
        "ip saddr 10.0.0.0/8\\\ntcp dport 80 \\\nredirect to :8000",
    ] {
        left(&chain(text), ":8000", "ip saddr 10.0.0.0/8");
        let (_, sources) = import(&chain(text));
        let line = sources[0]
            .listing
            .lines
            .iter()
            .find(|line| line.text.contains(":8000"));
        assert_eq!(line.map(|line| line.number), Some(4), "{text}");
    }
    taken(&chain("tcp dport 80 \\\n redirect to :8000"), ":8000");
    // A comment ends with its line.
    left(
        &chain("ip saddr 10.0.0.1 accept # it stays \\\ntcp dport 80 redirect to :8000"),
        ":8000",
        "line 4",
    );
}

#[test]
fn a_dormant_table_does_nothing() {
    let awake = chain(WEB);
    let dormant =
        chain("tcp dport 80 redirect to :9000").replace("nat {\n", "sleepy {\nflags dormant\n");
    for text in [format!("{awake}{dormant}"), format!("{dormant}{awake}")] {
        left(&text, "9000", "its table is dormant");
        taken(&text, "8000");
    }
    taken(&format!("{dormant}table ip sleepy {{ }}"), "9000");
    let later = format!("{}table ip nat {{ flags dormant; }}", chain(WEB));
    left(&later, "8000", "its table is dormant");
}

#[test]
fn what_is_deleted_again_is_gone() {
    for delete in [
        "flush ruleset",
        "flush ruleset ip",
        "delete table ip nat",
        "destroy table nat",
        "flush table ip nat",
        "flush chain ip nat pre",
    ] {
        let text = format!(
            "{}{delete}\n{}",
            chain("tcp dport 80 redirect to :9000"),
            chain(WEB)
        );
        left(&text, "9000", "line 7 deletes it again");
        taken(&text, "8000");
    }
    for other in [
        "flush ruleset ip6",
        "delete table ip6 nat",
        "flush table ip filter",
        "flush chain ip nat out",
        "flush set ip nat pre",
    ] {
        taken(&format!("{}{other}", chain(WEB)), "8000");
    }
    taken(
        &format!("table ip nat\ndelete table ip nat\n{}", chain(WEB)),
        "8000",
    );
}

#[test]
fn commands_behind_a_table_count() {
    let narrow = "rule ip nat pre ip saddr 10.0.0.0/8 accept";
    left(
        &format!("{}insert {narrow}", chain(WEB)),
        "8000",
        "line 7 comes first",
    );
    taken(&format!("{}add {narrow}", chain(WEB)), "8000");
    let added = format!(
        "{}add rule nat pre tcp dport {{ 80, 81 }} redirect to :8000",
        chain("")
    );
    assert_eq!(taken(&added, "8000").0, ["80:8000/tcp", "81:8000/tcp"]);
    let text = "table ip nat { }\nadd chain ip nat pre { type nat hook prerouting priority -100; }\nadd rule ip nat pre tcp dport 80 redirect to :8000";
    taken(text, "8000");
    left(
        &added.replace("nat pre", "nat other"),
        "8000",
        "its chain is not in this text",
    );
    // Blocks of one chain are one chain.
    let again = "table ip nat {\nchain pre {\ntcp dport 81 redirect to :8001\n}\n}\n";
    taken(&format!("{}{again}", chain(WEB)), "8001");
    left(
        &format!("{}{again}", chain("ip saddr 10.0.0.1 accept")),
        "8001",
        "line 4 comes first",
    );
}

#[test]
fn changes_by_number_leave_the_chain() {
    for change in [
        "delete rule ip nat pre handle 4",
        "replace rule ip nat pre handle 4 accept",
        "add rule ip nat pre index 0 accept",
        "insert rule ip nat pre position 4 accept",
        "delete table ip handle 3",
    ] {
        left(
            &format!("{}{change}", chain(WEB)),
            "8000",
            "line 7 changes its chain by a number",
        );
    }
    let text = format!(
        "{}replace rule ip nat pre handle 4 tcp dport 81 redirect to :8001",
        chain(WEB)
    );
    left(&text, "8001", "by a number that this text does not explain");
    let elsewhere = "delete rule ip nat out handle 4";
    taken(&format!("{}{elsewhere}", chain(WEB)), "8000");
}

#[test]
fn what_another_file_may_change_is_left() {
    let include = "include \"/etc/nftables.d/*.nft\"\n";
    let inside = chain(&format!("{WEB}\n{include}"));
    for text in [
        format!("{include}{}", chain(WEB)),
        format!("{}{include}", chain(WEB)),
        inside,
    ] {
        left(&text, "8000", "includes another file");
        left(&text, "include", "it includes another file");
    }
}

/// Twice as long with each line.
#[test]
fn values_of_values_do_not_grow_without_end() {
    for (first, twice) in [("{ 80, 81 }", "{ $A, $A }"), ("8", "$A$A")] {
        let mut text = format!("define A0 = {first}\n");
        for line in 1..=60 {
            let before = format!("$A{}", line - 1);
            text += &format!("define A{line} = {}\n", twice.replace("$A", &before));
        }
        text += &chain("tcp dport $A60 redirect to :8000");
        left(&text, "tcp dport", "has no plain value");
    }
}

#[test]
fn plain_values_are_filled_in() {
    let text = chain("iifname $IF tcp dport $WEB redirect to :$TO");
    let defined = "define TO = 8000\ndefine IF = \"eth0\"\ndefine MORE = { 81,\n82 }\ndefine WEB = { 80, $MORE }\n";
    let text = format!("{defined}{text}");
    assert_eq!(
        taken(&text, "iifname").0,
        ["80:8000/tcp", "81:8000/tcp", "82:8000/tcp"]
    );
    assert!(config(&text).starts_with("interfaces = [\"eth0\"]"));
    assert_eq!(
        taken(&text.replace("$WEB", "{ 79, $WEB }"), "iifname")
            .0
            .len(),
        4
    );
    for other in [
        text.replace("define TO", "define T"),
        text.replace("= 8000", "= { 8000, 8001 }"),
        format!(
            "{}\n",
            text.replacen("define IF", "undefine TO\ndefine IF", 1)
        ),
    ] {
        left(&other, "iifname", "$TO has no plain value");
    }
    // It may be any interface or verdict.
    for earlier in [
        "iifname $X accept",
        "tcp dport $X accept",
        "tcp dport 80 $X",
        "jump $X",
    ] {
        left(
            &chain(&format!("{earlier}\niifname eth0 {WEB}")),
            "8000",
            "line 4 comes first",
        );
    }
}

#[test]
fn states_and_maps_of_verdicts_are_no_targets() {
    for condition in [
        "ct status dnat",
        "ct status & (dnat | snat) == dnat",
        "ct status { snat, dnat }",
        "ct status assured,dnat",
    ] {
        left(
            &chain(&format!("tcp dport 80 {condition} redirect to :8000")),
            "8000",
            "ct status",
        );
        left(
            &chain(&format!("tcp dport 80 {condition} accept\n{WEB}")),
            "8000",
            "line 4 comes first",
        );
    }
    left(
        &chain("tcp dport 80 ct status snat dnat to :8000"),
        "8000",
        "ct status snat",
    );
    for earlier in [
        "tcp dport vmap { 80 : accept }",
        "tcp dport vmap @verdicts",
        "iifname vmap { \"eth1\" : drop }",
        "ip saddr vmap { 10.0.0.1 : jump x, 10.0.0.2 : accept }",
    ] {
        left(
            &chain(&format!("{earlier}\n{WEB}")),
            "8000",
            "line 4 comes first",
        );
    }
}

#[test]
fn redirects_of_other_chains_and_words_are_told() {
    let mangle = chain("tcp dport 80 tproxy to :8000").replace("type nat", "type filter");
    left(&mangle, "8000", "transparent proxy");
    left(
        &chain(WEB).replace("type nat", "type filter"),
        "8000",
        "type nat only",
    );
    let text = format!(
        "{}iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-port 9000\nnft add rule ip nat pre tcp dport {{ 80, 81 }} redirect to :9001",
        chain(WEB)
    );
    left(&text, "9000", "words that are not understood");
    left(&text, "9001", "a command of nft");
}

#[test]
fn port_0_is_none_to_take() {
    left(
        &chain("tcp dport 0 redirect to :8000"),
        "8000",
        "no port from 1 to 65535",
    );
}
