//! Netfilter goes on with what it has redirected for as long as it tracks connections. It stops, and forgets them
//! all, with the last rule that asks for it (`nf_ct_netns_put()` in `net/netfilter/nf_conntrack_proto.c`).

use super::{lower::Imported, running::Running};

/// Said in the rules themselves, for whoever finds them.
const COMMENT: &str = "redirector-import";

/// A rule that does nothing but ask for it, in the words of one tool.
pub struct Keeper {
    pub add: String,
    pub delete: String,
    /// The command that takes it away.
    pub command: String,
}

/// By iptables-restore or ip6tables-restore of one back end.
pub fn iptables(restore: &str) -> Keeper {
    let rule = format!("INPUT -m conntrack --ctstate INVALID -m comment --comment {COMMENT}");
    Keeper {
        add: format!("*filter\n-A {rule}\nCOMMIT\n"),
        delete: format!("*filter\n-D {rule}\nCOMMIT\n"),
        command: format!("{} -D {rule}", restore.trim_end_matches("-restore")),
    }
}

/// In a table of its own.
pub fn nft() -> Keeper {
    const TABLE: &str = "inet redirector-import";
    Keeper {
        add: format!(
            "add table {TABLE}\n\
             add chain {TABLE} keep {{ type filter hook input priority 0; }}\n\
             add rule {TABLE} keep ct state invalid comment \"{COMMENT}\"\n"
        ),
        delete: format!("delete table {TABLE}\n"),
        command: format!("nft delete table {TABLE}"),
    }
}

/// What asks for it, in the words of iptables-save and of nft.
const ASKING: [&str; 14] = [
    " conntrack ",
    " state ",
    " connmark ",
    " connlimit ",
    " connbytes ",
    " helper ",
    "-j MASQUERADE",
    "-j REDIRECT",
    "-j DNAT",
    "-j SNAT",
    "-j CONNMARK",
    "-j CT ",
    "ct ",
    "masquerade",
];

/// Whether a rule that stays does so anyway, as far as the tools list them.
pub fn is_kept_by_others(running: &[Running], imported: &Imported) -> bool {
    running.iter().enumerate().any(|(index, running)| {
        let lines = running.own_lines();
        lines
            .into_iter()
            .any(|line| !imported.takes((index, line.number)) && asks(&line.text))
    })
}

fn asks(line: &str) -> bool {
    let translates = ["redirect", "dnat", "snat"];
    let is_rule = !line.starts_with([':', '*', '#']) && !line.trim_end().ends_with('{');
    is_rule
        && (ASKING.iter().any(|words| line.contains(words))
            || line
                .split_whitespace()
                .any(|word| translates.contains(&word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks() {
        for (line, expected) in [
            ("-A INPUT -m conntrack --ctstate NEW -j ACCEPT", true),
            ("[3:180] -A POSTROUTING -o eth9 -j MASQUERADE", true),
            ("ct state established,related accept", true),
            ("tcp dport 80 redirect to :8000 # handle 4", true),
            ("-A INPUT -p tcp --dport 8000 -j ACCEPT", false),
            ("tcp dport 8000 accept # handle 5", false),
            (":PREROUTING ACCEPT [0:0]", false),
            ("chain redirect {", false),
        ] {
            assert_eq!(asks(line), expected, "{line}");
        }
    }
}
