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

/// Short options that are read here and have a value, which may stand in the same word.
const WITH_VALUE: &str = "tAIDRFNpjgsdiom";

/// As getopt(3) and the shell see the words: `-tnat` are two, and what the shell fills in is one.
pub fn separate(words: &[String]) -> Vec<String> {
    let mut separate: Vec<String> = Vec::new();
    for word in words {
        let last = separate.last().map_or("", String::as_str);
        let is_open =
            last.contains("$(") && !last.ends_with(')') || last.matches('`').count() % 2 == 1;
        let is_text = matches!(last, "--comment" | "--log-prefix");
        let mut letters = word.chars();
        let has_value = letters.next() == Some('-')
            && letters
                .next()
                .is_some_and(|letter| WITH_VALUE.contains(letter))
            && letters.next().is_some();
        match separate.last_mut() {
            Some(last) if is_open => {
                last.push(' ');
                last.push_str(word);
            }
            _ if has_value && !is_text => {
                separate.extend([word[..2].to_owned(), word[2..].to_owned()]);
            }
            _ => separate.push(word.clone()),
        }
    }
    separate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_stand_in_the_word_of_their_option() {
        for (line, expected) in [
            (
                "-tnat -p tcp --dport=96 -jX",
                "-t|nat|-p|tcp|--dport=96|-j|X",
            ),
            ("-A X -s $(hostname -I) -j Y", "-A|X|-s|$(hostname -I)|-j|Y"),
            ("-s `hostname -I` -nvL", "-s|`hostname -I`|-nvL"),
            ("--comment -tfoo", "--comment|-tfoo"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(separate(&words).join("|"), expected);
        }
    }

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
