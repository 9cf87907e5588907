//! Command lines of a shell, as guides and scripts have them. Only `iptables` and `ip6tables` are
//! followed; nothing is executed or expanded.

use super::{
    iptables,
    model::{Families, Kind, Line, Listing, Rule},
    save, settings,
};

/// Does what it is told, and not what the text would do: prose between commands says nothing.
pub fn parse(text: &str) -> Listing {
    let mut listing = Listing::default();
    for (number, line) in logical_lines(text) {
        let kind = line_kind(&mut listing, number, &line);
        listing.lines.push(Line {
            number,
            text: line,
            kind,
        });
    }
    listing
}

/// Whether a word is one of the tools, by any path.
pub fn tool(word: &str) -> Option<Families> {
    let name = word.rsplit('/').next().unwrap_or_default();
    let families = match name.split('-').next() {
        Some("iptables") => Families::IPV4,
        Some("ip6tables") => Families::IPV6,
        _ => return None,
    };
    matches!(
        name.split_once('-').map(|(_, back_end)| back_end),
        None | Some("nft" | "legacy")
    )
    .then_some(families)
}

/// Ends of lines behind a backslash are none.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let (content, goes_on) = match line.strip_suffix('\\') {
            Some(content) => (content.trim(), true),
            None => (line.trim(), false),
        };
        match lines.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(content);
            }
            _ => lines.push((index + 1, content.to_owned())),
        }
        open = goes_on;
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

fn line_kind(listing: &mut Listing, number: usize, line: &str) -> Kind {
    if let Some(why) = settings::explain(line) {
        return Kind::Left(why);
    }
    let line = line.strip_prefix("$ ").unwrap_or(line);
    // A word such as `don't` in prose leaves a quote open.
    let Some(words) = shlex::split(line) else {
        return match line.split_whitespace().any(|word| tool(word).is_some()) {
            true => Kind::Left("a quote in it is not closed".into()),
            false => Kind::Other,
        };
    };
    let mut kinds = commands(line, &words)
        .into_iter()
        .map(|command| command_kind(listing, number, command))
        .collect::<Vec<_>>();
    let worth = |kind: &Kind| *kind != Kind::Other;
    let first = kinds.iter().position(worth).unwrap_or_default();
    if kinds.is_empty() {
        return Kind::Other;
    }
    kinds.swap_remove(first)
}

/// Several on a line, apart by `;`, `&&` and the like. Quotes are gone already, so where there are any only
/// a word of its own counts.
fn commands<'a>(line: &str, words: &'a [String]) -> Vec<&'a [String]> {
    let quoted = line.contains(['"', '\'', '\\']);
    let is_end = |word: &String| {
        matches!(word.as_str(), ";" | "&&" | "||" | "|" | "&") || (!quoted && word.ends_with(';'))
    };
    words.split_inclusive(is_end).collect()
}

fn command_kind(listing: &mut Listing, number: usize, command: &[String]) -> Kind {
    let command: Vec<String> = command
        .iter()
        .map(|word| word.trim_end_matches(';').to_owned())
        .filter(|word| !matches!(word.as_str(), "" | "&&" | "||" | "|" | "&"))
        .collect();
    let words = without_prefix(&command);
    let Some((first, rest)) = words.split_first() else {
        return Kind::Other;
    };
    match tool(first) {
        Some(families) => follow(listing, number, families, rest),
        None if first == "sysctl" => match rest.iter().find(|word| word.contains('=')) {
            Some(setting) => Kind::Left(
                settings::explain(setting).unwrap_or_else(|| settings::SETTING.to_owned()),
            ),
            None => Kind::Other,
        },
        None => Kind::Other,
    }
}

/// `sudo -n`, `env`, and variables before the command.
fn without_prefix(words: &[String]) -> &[String] {
    let skipped = words
        .iter()
        .take_while(|word| {
            matches!(word.as_str(), "sudo" | "env" | "exec" | "-n" | "-E" | "-H")
                || word.split_once('=').is_some_and(|(name, _)| {
                    !name.is_empty()
                        && name
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                })
        })
        .count();
    &words[skipped..]
}

fn follow(listing: &mut Listing, number: usize, families: Families, words: &[String]) -> Kind {
    if let Some(word) = words.iter().find(|word| word.contains(['$', '`'])) {
        return Kind::Left(format!(
            "{word:?} is for the shell to fill in; import what iptables-save prints instead"
        ));
    }
    let Some(change) = Change::read(words) else {
        return Kind::Left("it adds no rule".into());
    };
    if change.table != "nat" {
        return Kind::Other;
    }
    let rules = iptables::rules(number, &change.rule, families);
    let kind = save::kind(&rules.iter().map(|rule| &rule.action).collect::<Vec<_>>());
    let chain = save::chain(listing, &change.chain, families);
    place(&mut chain.rules, rules, change.before);
    kind
}

/// A rule of several parts counts once for the number of an insertion.
fn place(chain: &mut Vec<Rule>, rules: Vec<Rule>, before: Option<usize>) {
    let Some(before) = before else {
        return chain.extend(rules);
    };
    let mut starts: Vec<_> = (0..chain.len())
        .filter(|&at| at == 0 || chain[at].line != chain[at - 1].line)
        .collect();
    starts.push(chain.len());
    let at = starts[before.saturating_sub(1).min(starts.len() - 1)];
    chain.splice(at..at, rules);
}

/// `-A CHAIN ...` or `-I CHAIN [NUMBER] ...`, with `-t TABLE` anywhere.
struct Change {
    table: String,
    chain: String,
    /// The number of the rule to stand before, from 1.
    before: Option<usize>,
    rule: Vec<String>,
}

impl Change {
    fn read(words: &[String]) -> Option<Self> {
        let mut change = Self {
            table: "filter".to_owned(),
            chain: String::new(),
            before: None,
            rule: Vec::new(),
        };
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-t" | "--table" => change.table.clone_from(words.next()?),
                "-A" | "--append" => change.chain.clone_from(words.next()?),
                "-I" | "--insert" => {
                    change.chain.clone_from(words.next()?);
                    let number = words.peek().and_then(|word| word.parse().ok());
                    if number.is_some() {
                        words.next();
                    }
                    change.before = Some(number.unwrap_or(1));
                }
                // Where its output goes.
                ">" | ">>" | "2>" | "<" => _ = words.next(),
                _ => match word.strip_prefix("--table=") {
                    Some(table) => table.clone_into(&mut change.table),
                    None => change.rule.push(word.clone()),
                },
            }
        }
        (!change.chain.is_empty()).then_some(change)
    }
}
