//! Command lines of a shell, as guides and scripts have them. Only `iptables` and `ip6tables` are
//! followed; nothing is executed or expanded.

use super::{
    change::Change,
    flow::{Flow, Place},
    iptables,
    model::{Families, Kind, Line, Listing},
    options,
    prefix::{self, When},
    ruleset::{NO_RULE, Ruleset},
    settings, unfollowed,
};

/// The text so far.
#[derive(Default)]
struct Script {
    lines: Vec<Line>,
    ruleset: Ruleset,
    flow: Flow,
    /// Lines of which nothing is taken, and why.
    refused: Vec<(usize, String)>,
}

/// Does what it is told, and not what the text would do: prose between commands says nothing.
pub fn parse(text: &str) -> Listing {
    let mut script = Script::default();
    for (number, line) in logical_lines(text) {
        script.flow.begin(&line);
        let kind = script.line(number, &line);
        script.flow.end(&line);
        script.lines.push(Line {
            number,
            text: line,
            kind,
        });
    }
    let mut listing = Listing {
        lines: script.lines,
        chains: Vec::new(),
    };
    script.ruleset.build(&mut listing);
    for (number, why) in &script.refused {
        listing.refuse(*number, why);
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
        // A comment ends with its line; a command behind the prompt of root does not.
        let is_comment = content.starts_with('#')
            && !content.split_whitespace().any(|word| tool(word).is_some());
        let goes_on = goes_on && !is_comment;
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

/// For a line of which nothing is followed: why, where it redirects all the same.
fn unfollowed(line: &str, why: &str) -> Kind {
    unfollowed::reason(line).map_or(Kind::Other, |_| Kind::Left(why.to_owned()))
}

/// Whether the command behind this one may not run. That one of iptables succeeds is taken for granted.
fn may_stop(command: &[String], may_run: bool) -> bool {
    let is_tool = || {
        let first = without_prefix(command).first();
        first.is_some_and(|word| tool(word).is_some())
    };
    match command.last().map(String::as_str) {
        Some("&&") => may_run || !is_tool(),
        Some("||" | "|" | "&") => true,
        _ => false,
    }
}

/// What a compound command runs.
fn without_keywords(words: &[String]) -> &[String] {
    let is_keyword = |word: &&String| matches!(word.as_str(), "then" | "do" | "else" | "{" | "(");
    &words[words.iter().take_while(is_keyword).count()..]
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
            return unfollowed(line, "it is a comment; without the # it would be a command");
        }
        let line = match prefix::hooked(line) {
            Some((When::Up, command)) => command,
            Some((When::Down, command)) => {
                return unfollowed(command, "it is for when an interface or a service stops");
            }
            None => line,
        };
        // A word such as `don't` in prose leaves a quote open.
        let Some(words) = shlex::split(line) else {
            return match line.split_whitespace().any(|word| tool(word).is_some()) {
                true => Kind::Left("a quote in it is not closed".into()),
                false => unfollowed::reason(line).map_or(Kind::Other, |why| Kind::Left(why.into())),
            };
        };
        let mut kinds = Vec::new();
        let mut may_run = false;
        for command in commands(line, &words) {
            kinds.push(self.command(number, command, may_run));
            may_run = may_stop(command, may_run);
        }
        if let Some((_, why)) = self.refused.iter().find(|(refused, _)| *refused == number) {
            return Kind::Left(why.clone());
        }
        // Where a rule remains, it speaks for the line whatever is said here.
        let first = [
            |kind: &Kind| matches!(kind, Kind::Left(_)),
            |kind: &Kind| *kind == Kind::Rule,
        ]
        .into_iter()
        .find_map(|is_it| kinds.iter().position(is_it))
        .unwrap_or_default();
        match kinds.is_empty() {
            true => Kind::Other,
            false => kinds.swap_remove(first),
        }
    }

    fn command(&mut self, number: usize, command: &[String], may_run: bool) -> Kind {
        let command: Vec<String> = command
            .iter()
            .map(|word| word.trim_end_matches(';').to_owned())
            .filter(|word| !matches!(word.as_str(), "" | "&&" | "||" | "|" | "&"))
            .collect();
        let inner = without_keywords(&command);
        let is_inner = inner.len() < command.len();
        let words = without_prefix(inner);
        let Some((first, rest)) = words.split_first() else {
            return Kind::Other;
        };
        match tool(first) {
            Some(families) => {
                let place = self.flow.place(may_run || is_inner);
                let doubt = is_inner.then(|| unfollowed::IN_WORDS.to_owned());
                self.follow(number, families, rest, place, doubt)
            }
            None if first == "sysctl" => match rest.iter().find(|word| word.contains('=')) {
                Some(setting) => Kind::Left(
                    settings::explain(setting).unwrap_or_else(|| settings::SETTING.to_owned()),
                ),
                None => Kind::Other,
            },
            None => match unfollowed::reason(&command.join(" ")) {
                Some(why) => self.refuse(number, why),
                None => Kind::Other,
            },
        }
    }

    fn follow(
        &mut self,
        number: usize,
        families: Families,
        words: &[String],
        mut place: Place,
        doubt: Option<String>,
    ) -> Kind {
        let words = options::separate(words);
        let filled = words
            .iter()
            .find(|word| word.contains(['$', '`']) || word.contains("%i"));
        let filled = filled.map(|word| {
            format!(
                "{word:?} is for the shell to fill in; import what iptables-save prints instead"
            )
        });
        place.may_run |= filled.is_some();
        let kind = match Change::read(families, &words) {
            Some(change) if change.table == "nat" => {
                let doubt = filled.clone().or(doubt);
                self.ruleset.change(number, change, place, doubt)
            }
            Some(change) => match iptables::outside_nat(&change.rule) {
                Some(why) if change.verb.adds() => self.refuse(number, why),
                _ if change.verb.adds() => Kind::Other,
                _ => Kind::Left(NO_RULE.into()),
            },
            None => Kind::Left(NO_RULE.into()),
        };
        filled.map_or(kind, Kind::Left)
    }

    /// Then nothing is taken of the rest of the line either.
    fn refuse(&mut self, number: usize, why: &str) -> Kind {
        self.refused.push((number, why.to_owned()));
        Kind::Left(why.to_owned())
    }
}
