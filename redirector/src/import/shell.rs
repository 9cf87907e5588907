//! Command lines of a shell, as guides and scripts have them. Only `iptables` and `ip6tables` are
//! followed; nothing is executed or expanded.

use super::{
    change::{Change, Verb},
    iptables,
    model::{Families, Kind, Line, Listing},
    prefix::{self, When},
    save, settings,
};

const NO_RULE: &str = "it adds no rule";
const IN_WORDS: &str =
    "it has a redirect in words that are not understood; give it as an iptables command of its own";

/// The text so far.
#[derive(Default)]
struct Script {
    listing: Listing,
    added: Vec<Added>,
    /// Grows where another branch may begin, of which the earlier ones do not run.
    branch: usize,
}

struct Added {
    number: usize,
    change: Change,
    branch: usize,
}

/// Does what it is told, and not what the text would do: prose between commands says nothing.
pub fn parse(text: &str) -> Listing {
    let mut script = Script::default();
    for (number, line) in logical_lines(text) {
        script.branch += usize::from(begins_branch(&line));
        let kind = script.line(number, &line);
        // Of `case`.
        script.branch += usize::from(line.ends_with(";;"));
        script.listing.lines.push(Line {
            number,
            text: line,
            kind,
        });
    }
    script.listing
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

/// Several on a line, apart by `;`, `&&` and the like. Quotes are gone already, so where there are any only
/// a word of its own counts.
fn commands<'a>(line: &str, words: &'a [String]) -> Vec<&'a [String]> {
    let quoted = line.contains(['"', '\'', '\\']);
    let is_end = |word: &String| {
        matches!(word.as_str(), ";" | "&&" | "||" | "|" | "&") || (!quoted && word.ends_with(';'))
    };
    words.split_inclusive(is_end).collect()
}

/// For a line that is not followed: why, where it redirects all the same.
fn in_words(line: &str, why: &str) -> Kind {
    let words: Vec<_> = line
        .split(|letter: char| letter.is_whitespace() || "'\";()".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let is_target = |word: &str| matches!(word, "REDIRECT" | "DNAT");
    let is_pair = |pair: &[&str]| match pair {
        ["-j" | "--jump", target] => is_target(target),
        ["redirect", "to"] => words
            .iter()
            .any(|word| word.starts_with(':') || word.parse::<u16>().is_ok()),
        _ => false,
    };
    let mut behind_tool = words.iter().skip_while(|word| tool(word).is_none());
    let forwards = |word: &&str| {
        word.starts_with("--add-forward-port")
            || (*word == "forward-port" && line.contains("to-port"))
    };
    let redirects = words.windows(2).any(is_pair)
        || behind_tool.any(|word| is_target(word))
        || words.iter().any(forwards);
    match redirects {
        true => Kind::Left(why.to_owned()),
        false => Kind::Other,
    }
}

/// Of `if`, or behind a function.
fn begins_branch(line: &str) -> bool {
    line.split([' ', ';'])
        .any(|word| matches!(word, "else" | "elif" | "}"))
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

impl Script {
    fn line(&mut self, number: usize, line: &str) -> Kind {
        if let Some(why) = settings::explain(line) {
            return Kind::Left(why);
        }
        let line = prefix::without_prompt(line);
        if line.starts_with('#') {
            return in_words(line, "it is a comment; without the # it would be a command");
        }
        let line = match prefix::hooked(line) {
            Some((When::Up, command)) => command,
            Some((When::Down, command)) => {
                return in_words(command, "it is for when an interface or a service stops");
            }
            None => line,
        };
        // A word such as `don't` in prose leaves a quote open.
        let Some(words) = shlex::split(line) else {
            return match line.split_whitespace().any(|word| tool(word).is_some()) {
                true => Kind::Left("a quote in it is not closed".into()),
                false => in_words(line, IN_WORDS),
            };
        };
        let mut kinds = commands(line, &words)
            .into_iter()
            .map(|command| self.command(number, command))
            .collect::<Vec<_>>();
        if kinds.is_empty() {
            return Kind::Other;
        }
        // Where a rule remains, it speaks for the line whatever is said here.
        let first = [
            |kind: &Kind| matches!(kind, Kind::Left(_)),
            |kind: &Kind| *kind == Kind::Rule,
        ]
        .into_iter()
        .find_map(|is_it| kinds.iter().position(is_it))
        .unwrap_or_default();
        kinds.swap_remove(first)
    }

    fn command(&mut self, number: usize, command: &[String]) -> Kind {
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
            Some(families) => self.follow(number, families, rest),
            None if first == "sysctl" => match rest.iter().find(|word| word.contains('=')) {
                Some(setting) => Kind::Left(
                    settings::explain(setting).unwrap_or_else(|| settings::SETTING.to_owned()),
                ),
                None => Kind::Other,
            },
            None => in_words(&words.join(" "), IN_WORDS),
        }
    }

    fn follow(&mut self, number: usize, families: Families, words: &[String]) -> Kind {
        if let Some(word) = words
            .iter()
            .find(|word| word.contains(['$', '`']) || word.contains("%i"))
        {
            return Kind::Left(format!(
                "{word:?} is for the shell to fill in; import what iptables-save prints instead"
            ));
        }
        match Change::read(families, words) {
            Some(change) if change.verb == Verb::Delete => self.delete(number, &change),
            Some(change) if change.table == "nat" => self.add(number, change),
            Some(_) => Kind::Other,
            None => Kind::Left(NO_RULE.into()),
        }
    }

    fn add(&mut self, number: usize, change: Change) -> Kind {
        let rules = iptables::rules(number, &change.rule, change.families);
        let kind = save::kind(&rules.iter().map(|rule| &rule.action).collect::<Vec<_>>());
        let chain = save::chain(&mut self.listing, &change.chain, change.families);
        change.place(&mut chain.rules, rules);
        self.added.push(Added {
            number,
            change,
            branch: self.branch,
        });
        kind
    }

    fn delete(&mut self, number: usize, change: &Change) -> Kind {
        let is_it = |added: &Added| added.branch == self.branch && added.change.is_of(change);
        let Some(index) = self.added.iter().position(is_it) else {
            return Kind::Left(NO_RULE.into());
        };
        let added = self.added.remove(index).number;
        let gone = iptables::rules(added, &change.rule, change.families);
        let chain = save::chain(&mut self.listing, &change.chain, change.families);
        chain.rules.retain(|rule| !gone.contains(rule));
        if let Some(line) = self
            .listing
            .lines
            .iter_mut()
            .find(|line| line.number == added)
            && line.kind == Kind::Rule
        {
            line.kind = Kind::Left(format!("line {number} deletes it again"));
        }
        Kind::Left(match added == number {
            true => "it deletes what it adds".into(),
            false => format!("it deletes what line {added} adds"),
        })
    }
}
