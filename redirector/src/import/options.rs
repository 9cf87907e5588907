//! The names of iptables' long options, which may be cut short.

/// Those that are read here, and those of which a short form could also be one. `--to` is apart: what it is
/// depends on the target.
const NAMES: &[&str] = &[
    "--append",
    "--check",
    "--comment",
    "--ctproto",
    "--ctstate",
    "--ctstatus",
    "--delete",
    "--delete-chain",
    "--destination",
    "--destination-port",
    "--destination-ports",
    "--dport",
    "--dports",
    "--dst",
    "--dst-type",
    "--exact",
    "--flush",
    "--fragment",
    "--goto",
    "--help",
    "--in-interface",
    "--insert",
    "--ipv4",
    "--ipv6",
    "--jump",
    "--line-numbers",
    "--list",
    "--list-rules",
    "--match",
    "--modprobe",
    "--new-chain",
    "--numeric",
    "--out-interface",
    "--persistent",
    "--policy",
    "--ports",
    "--protocol",
    "--random",
    "--random-fully",
    "--rename-chain",
    "--replace",
    "--set",
    "--set-counters",
    "--set-mark",
    "--source",
    "--source-port",
    "--source-ports",
    "--sport",
    "--sports",
    "--src",
    "--src-type",
    "--state",
    "--syn",
    "--table",
    "--tcp-flags",
    "--tcp-option",
    "--to-destination",
    "--to-ports",
    "--verbose",
    "--version",
    "--wait",
    "--wait-interval",
    "--zero",
];

/// As getopt_long(3) takes it: a short form of one name only is that name; any other word stays.
pub fn whole(word: &str) -> &str {
    if !word.starts_with("--") || word.len() < 3 || NAMES.contains(&word) {
        return word;
    }
    let mut found = NAMES.iter().filter(|name| name.starts_with(word));
    match (found.next(), found.next()) {
        (Some(name), None) => name,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_one_option_is_completed() {
        for (word, expected) in [
            ("--to-p", "--to-ports"),
            ("--to-dest", "--to-destination"),
            ("--to", "--to"),
            ("--proto", "--protocol"),
            ("--in", "--in"),
            ("--in-", "--in-interface"),
            ("--dport", "--dport"),
            ("--dp", "--dp"),
            ("--dst", "--dst"),
            ("--ctstat", "--ctstat"),
            ("--", "--"),
            ("-p", "-p"),
        ] {
            assert_eq!(whole(word), expected);
        }
    }
}
