//! What is so, what is wanted, and what the next boot brings.

use std::path::PathBuf;

use serde::Serialize;

use super::{ports, shown, spaced, wanted};
use crate::{
    config::{Port, Protocol},
    output::{
        SCHEMA,
        listeners::{self, Process},
        render, table,
    },
    tune::{Application, KeyRow, LimitRow, Limits, Line, Report, Step},
};

/// The document of `tune check`.
#[derive(Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub keys: Vec<Key>,
    pub nofile: Nofile,
    #[serde(flatten)]
    pub listening: listeners::Document,
    /// A line each.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Key {
    pub key: String,
    /// As the kernel shows it; null where there is no such key.
    pub now: Option<String>,
    pub wanted: String,
    /// Whether it is to be that, and not at least that.
    pub exact: bool,
    pub met: bool,
    /// What `apply` would write; null: nothing.
    pub apply: Option<String>,
    /// null: the kernel's own value, whatever that will be.
    pub at_boot: Option<AtBoot>,
    pub why: String,
}

#[derive(Debug, Serialize)]
pub struct AtBoot {
    pub value: String,
    pub file: PathBuf,
    pub met: bool,
}

#[derive(Debug, Serialize)]
pub struct Nofile {
    pub wanted: u64,
    pub applications: Vec<Limited>,
    pub at_boot: Vec<NofileAtBoot>,
}

#[derive(Debug, Serialize)]
pub struct Limited {
    pub process: Process,
    pub targets: Vec<Target>,
    /// null: no limit, or not known.
    pub soft: Option<u64>,
    pub hard: Option<u64>,
    pub met: bool,
    /// What `apply` would set; null: nothing.
    pub apply: Option<Limits>,
    /// null: nothing stands in the way.
    pub why: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Target {
    pub protocol: Protocol,
    pub port: Port,
}

/// What a file says of open files.
#[derive(Debug, Serialize)]
pub struct NofileAtBoot {
    /// A service, or logins.
    pub of: String,
    /// null: no file does.
    pub value: Option<String>,
    pub file: Option<PathBuf>,
}

impl Document {
    pub fn new(report: &Report) -> Self {
        let keys = report.keys.iter().map(|status| {
            let KeyRow { wish, now, step } = &status.row;
            Key {
                key: wish.key.to_string(),
                now: now.clone(),
                wanted: wish.value.to_string(),
                exact: wish.exact,
                met: status.row.is_met(),
                apply: match step {
                    Step::Write(value) => Some(value.to_string()),
                    Step::Keep | Step::Cannot(_) => None,
                },
                at_boot: status.at_boot.as_ref().map(|line| AtBoot {
                    value: line.value.clone(),
                    file: line.file.clone(),
                    met: status.enough_at_boot == Some(true),
                }),
                why: status.row.reason(),
            }
        });
        let at_boot = report.nofile_at_boot.iter().map(|(of, line)| NofileAtBoot {
            of: of.clone(),
            value: line.as_ref().map(|line| line.value.clone()),
            file: line.as_ref().map(|line| line.file.clone()),
        });
        let listening = report
            .listening
            .as_ref()
            .map(|listening| listeners::Document::new(listening, &report.bounds));
        Self {
            schema: SCHEMA,
            keys: keys.collect(),
            nofile: Nofile {
                wanted: report.nofile,
                applications: report.limits.iter().map(Limited::from).collect(),
                at_boot: at_boot.collect(),
            },
            listening: listening.unwrap_or_default(),
            notes: report.notes.clone(),
        }
    }
}

impl From<&LimitRow> for Limited {
    fn from(row: &LimitRow) -> Self {
        let Application { process, ports } = &row.application;
        let targets = ports
            .iter()
            .map(|&(protocol, port)| Target { protocol, port });
        Self {
            process: process.into(),
            targets: targets.collect(),
            soft: row.was.and_then(|limits| limits.soft),
            hard: row.was.and_then(|limits| limits.hard),
            met: row.was.is_some() && row.step.set.is_none() && row.step.short.is_none(),
            apply: row.step.set,
            why: row.complaint(),
        }
    }
}

/// The document of `tune check` for people.
pub fn text(report: &Report) -> String {
    let mut keys = table(&["KEY", "NOW", "WANTED", "AT BOOT", "WHY"], 0..0);
    for status in &report.keys {
        let row = &status.row;
        let why = match &row.step {
            Step::Write(value) => format!("`tune apply` writes {value}: {}", row.wish.why),
            Step::Keep | Step::Cannot(_) => row.reason(),
        };
        keys.add_row([
            row.wish.key.to_string(),
            row.now.as_deref().map_or_else(|| "-".to_owned(), spaced),
            wanted(row),
            at_boot(
                status.at_boot.as_ref(),
                status.enough_at_boot == Some(false),
            ),
            why,
        ]);
    }
    let mut text = render(&keys);
    if !report.limits.is_empty() {
        text += "\n";
        text += &applications(report);
    }
    text += "\n";
    let mut files = table(&["OPEN FILES OF", "AT BOOT"], 0..0);
    for (of, line) in &report.nofile_at_boot {
        files.add_row([of.clone(), at_boot(line.as_ref(), false)]);
    }
    text += &render(&files);
    text += "\n";
    match &report.listening {
        Ok(listening) => text += &listeners::text(listening),
        Err(error) => text += &format!("backlogs cannot be read: {error}\n"),
    }
    text
}

fn applications(report: &Report) -> String {
    let mut limits = table(&["OPEN FILES OF", "PORTS", "NOW", "WANTED", "WHY"], 0..0);
    for row in &report.limits {
        let why = match (row.step.set, row.complaint()) {
            (Some(set), None) => format!("`tune apply` sets {set}"),
            (Some(set), Some(complaint)) => format!("`tune apply` sets {set}; {complaint}"),
            (None, complaint) => complaint.unwrap_or_else(|| "enough".to_owned()),
        };
        limits.add_row([
            row.application.process.to_string(),
            ports(&row.application),
            shown(row.was),
            report.nofile.to_string(),
            why,
        ]);
    }
    render(&limits)
}

fn at_boot(line: Option<&Line>, is_short: bool) -> String {
    line.map_or_else(
        || "-".to_owned(),
        |line| {
            let short = if is_short { ", too little" } else { "" };
            format!("{} ({}{short})", line.value, line.file.display())
        },
    )
}
