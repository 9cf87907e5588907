//! What became of each line.

use serde::Serialize;

use super::SCHEMA;
use crate::import::{Format, Imported, Outcome, Source};

#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    pub schema: u32,
    pub sources: Vec<SourceDocument<'a>>,
    /// The configuration, in TOML; null where nothing was taken.
    pub config: Option<&'a str>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SourceDocument<'a> {
    /// A file, or the tool that listed the running rules.
    pub name: &'a str,
    pub format: Format,
    pub lines: Vec<LineDocument<'a>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LineDocument<'a> {
    /// From 1.
    pub line: usize,
    pub text: &'a str,
    pub outcome: &'static str,
    /// As they would be written on the command line.
    pub rules: Vec<String>,
    /// What was widened, or why it was left.
    pub reasons: Vec<String>,
}

impl<'a> Document<'a> {
    pub fn new(sources: &'a [Source], imported: &Imported, config: Option<&'a str>) -> Self {
        let sources = sources.iter().enumerate().map(|(index, source)| {
            let lines = source.listing.lines.iter().map(|line| {
                let outcome = imported.outcomes.get(&(index, line.number));
                let (word, rules, reasons) = parts(outcome.unwrap_or(&Outcome::Other));
                LineDocument {
                    line: line.number,
                    text: &line.text,
                    outcome: word,
                    rules,
                    reasons,
                }
            });
            SourceDocument {
                name: &source.name,
                format: source.format,
                lines: lines.collect(),
            }
        });
        Self {
            schema: SCHEMA,
            sources: sources.collect(),
            config,
        }
    }
}

/// The same for people: every line that matters, with what it became; the rest is counted.
pub fn text(document: &Document<'_>) -> String {
    let mut text = String::new();
    for source in &document.sources {
        let (other, telling): (Vec<_>, Vec<_>) = source
            .lines
            .iter()
            .partition(|line| line.outcome == "other");
        for line in &telling {
            text += &format!("{}:{}: {}\n", source.name, line.line, line.text);
            let rules = line.rules.join(" ");
            text += &match (line.outcome, line.reasons.is_empty()) {
                ("left", _) => format!("    left: {}\n", line.reasons.join("; ")),
                (_, true) => format!("    taken: {rules}\n"),
                (_, false) => format!(
                    "    taken: {rules}\n    widened: {}\n",
                    line.reasons.join("; ")
                ),
            };
        }
        if !telling.is_empty() || document.sources.len() == 1 {
            text += &others(source.name, other.len());
        }
    }
    text
}

fn others(name: &str, count: usize) -> String {
    match count {
        0 => String::new(),
        1 => format!("{name}: 1 other line has no redirect\n"),
        count => format!("{name}: {count} other lines have no redirect\n"),
    }
}

fn parts(outcome: &Outcome) -> (&'static str, Vec<String>, Vec<String>) {
    match outcome {
        Outcome::Taken { rules, widened } => {
            let rules = rules.iter().map(ToString::to_string).collect();
            let word = if widened.is_empty() {
                "taken"
            } else {
                "widened"
            };
            (word, rules, widened.clone())
        }
        Outcome::Left(why) => ("left", Vec::new(), vec![why.clone()]),
        Outcome::Other => ("other", Vec::new(), Vec::new()),
    }
}
