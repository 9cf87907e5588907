//! Which of several rules comes first, on several lines and on one.

use super::*;

const WEB: &str = "iptables -t nat -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-port 8000";

fn chain(rules: &str) -> String {
    format!(
        "table ip nat {{\nchain pre {{\ntype nat hook prerouting priority -100; policy accept;\n{rules}\n}}\n}}\n"
    )
}

#[test]
fn an_earlier_command_on_the_line_comes_first() {
    let stays = "iptables -t nat -A PREROUTING -s 10.0.0.0/8 -p tcp --dport 80 -j RETURN";
    for between in ["; ", " ; ", " && ", " || "] {
        let why = "an earlier rule on the line comes first";
        left(&format!("{stays}{between}{WEB}\n"), "RETURN", why);
        let other = stays.replace("--dport 80", "--dport 81");
        taken(&format!("{other}{between}{WEB}\n"), "RETURN");
    }
    left(
        &format!("{WEB}; {}", stays.replace("-A", "-I")),
        "",
        "comes first",
    );
}

#[test]
fn a_line_is_taken_with_all_of_its_rules_or_not_at_all() {
    let tls = WEB.replace("80", "443");
    let both = format!("{WEB} && {tls}");
    assert_eq!(
        taken(&both, "").0,
        ["80:8000/tcp", "443:4430/tcp"].map(|rule| rule.replace("4430", "44300"))
    );
    let both = format!("{WEB} && {}", WEB.replace("iptables", "ip6tables"));
    assert_eq!(
        taken(&both, ""),
        (
            vec!["80:8000/tcp".into()],
            vec!["this host's own connections to itself as well".into()]
        )
    );
    for other in [
        WEB.replace("PREROUTING", "OUTPUT"),
        WEB.replace("-p tcp", "-s 10.0.0.1 -p tcp")
            .replace("80 ", "81 "),
    ] {
        for text in [format!("{WEB}; {other}"), format!("{other}; {WEB}")] {
            assert!(matches!(outcome(&text, ""), Outcome::Left(_)), "{text}");
            // Nor does what is left count as taken for what comes behind it.
            left(
                &format!("{text}\n{WEB} # again"),
                "again",
                "line 1 comes first",
            );
        }
    }
}

#[test]
fn an_earlier_statement_of_nft_comes_first() {
    for earlier in [
        "tcp dport 80 drop",
        "ip saddr 10.0.0.1 tcp dport 80 accept",
        "tcp dport 80 redirect to :9000",
    ] {
        let text = chain(&format!("{earlier}; tcp dport 80 redirect to :8000"));
        left(&text, ":8000", "an earlier rule on the line comes first");
    }
    let later = chain(
        "tcp dport 81 redirect to :8001; ip saddr 10.0.0.1 accept\ntcp dport 80 redirect to :8000",
    );
    taken(&later, ":8001");
    left(&later, ":8000", "line 4 comes first");
}

#[test]
fn a_table_on_one_line_has_all_of_its_rules() {
    let text = "table ip nat { chain pre { type nat hook prerouting priority -100; tcp dport 80 redirect to :8000; tcp dport 81 redirect to :8001; } }";
    assert_eq!(taken(text, "").0, ["80:8000/tcp", "81:8001/tcp"]);
    let text = text.replace("tcp dport 81", "ip saddr 10.0.0.1 tcp dport 81");
    left(&text, "", "ip saddr 10.0.0.1");
}

#[test]
fn this_hosts_packets_are_told_in_english() {
    let own = "-A OUTPUT -d 127.0.0.1 -p tcp --dport 80 -j ";
    let text = nat(&format!("{own}RETURN\n{own}REDIRECT --to-ports 8000"));
    left(
        &text,
        "8000",
        "line 4 comes first and has some of this host's packets",
    );
}

/// netfilter asks its rules in order, and ours are asked by how narrow they are.
#[test]
fn the_order_of_rules_counts() {
    let to = |to: u16, conditions: &str| {
        format!("-A PREROUTING {conditions} -p tcp --dport 80 -j REDIRECT --to-ports {to}\n")
    };
    let stays = "-A PREROUTING -s 10.0.0.0/8 -j RETURN\n";
    left(
        &nat(&(stays.to_owned() + &to(8000, ""))),
        "8000",
        "line 4 comes first",
    );
    let narrow_first = to(9000, "-d 203.0.113.5") + &to(8000, "");
    taken(&nat(&narrow_first), "8000");
    taken(&nat(&narrow_first), "9000");
    let wide_first = to(8000, "") + &to(9000, "-d 203.0.113.5");
    left(&nat(&wide_first), "9000", "line 4 comes first");
    taken(&nat(&(to(8000, "-i eth0") + &to(9000, "-i eth1"))), "9000");
    left(
        &nat(&(to(8000, "-i eth0") + &to(9000, "-d 203.0.113.5"))),
        "9000",
        "line 4",
    );
    let jump = ":DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n";
    let docker = |port: u16| {
        let published = format!(
            "-A DOCKER ! -i docker0 -p tcp --dport {port} -j DNAT --to-destination 172.17.0.2:80\n"
        );
        nat(&(jump.to_owned() + &to(8000, "-i eth0") + &published))
    };
    taken(&docker(8080), "8000");
    left(&docker(80), "8000", "line 7 comes first");
}
