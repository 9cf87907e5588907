//! What was tuned, what could be, and what was taken back.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    SCHEMA,
    listeners::{self, Process},
    render, table,
};
use crate::{
    config::{Port, Protocol},
    tune::{
        Application, Fate, File, FileFate, KeyRow, LimitOutcome, LimitRow, Limits, Line, Outcome,
        Report, Reverted, Step, Tuned,
    },
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

/// What `apply` did, or would do.
pub fn tuned(tuned: &Tuned, dry_run: bool) -> String {
    let now = if dry_run { "WOULD BE" } else { "NOW" };
    let mut keys = table(&["KEY", "WAS", now, "WANTED", "WHY"], 0..0);
    for (row, outcome) in &tuned.keys {
        let was = row.now.as_deref().map_or_else(|| "-".to_owned(), spaced);
        let (now, why) = match outcome {
            Outcome::Unchanged => (
                row.then()
                    .map_or_else(|| "-".to_owned(), |value| value.to_string()),
                row.reason(),
            ),
            Outcome::Written { now } => (spaced(now), row.reason()),
            Outcome::Refused(error) => (was.clone(), format!("the kernel refused it: {error}")),
        };
        keys.add_row([row.wish.key.to_string(), was, now, wanted(row), why]);
    }
    let mut text = render(&keys);
    if !tuned.limits.is_empty() {
        text += "\n";
        text += &limits(&tuned.limits, tuned.nofile, now, dry_run);
    }
    let verb = if dry_run { "would write" } else { "wrote" };
    for file in &tuned.files {
        text += &format!("{verb} {}\n", file.display());
    }
    text
}

/// The same without a table: only what was changed, or could not be.
pub fn lines(tuned: &Tuned) -> Vec<String> {
    let keys = tuned.keys.iter().filter_map(|(row, outcome)| {
        let key = &row.wish.key;
        let was = row.now.as_deref().map(spaced).unwrap_or_default();
        match (outcome, &row.step) {
            (Outcome::Written { now }, _) => {
                Some(format!("tuned {key} from {was} to {}", spaced(now)))
            }
            (Outcome::Refused(error), _) => Some(format!(
                "warning: {key} is {was}, the kernel refused more: {error}"
            )),
            (Outcome::Unchanged, Step::Cannot(_)) => {
                Some(format!("note: {key} is not tuned: {}", row.reason()))
            }
            (Outcome::Unchanged, _) => None,
        }
    });
    let limits = tuned.limits.iter().flat_map(|row| {
        let process = &row.application.process;
        let set = match row.outcome {
            LimitOutcome::Set(set) => Some(format!(
                "tuned open files of {process} from {} to {set}",
                shown(row.was)
            )),
            _ => None,
        };
        let complaint = row
            .complaint()
            .map(|why| format!("warning: open files of {process}: {why}"));
        set.into_iter().chain(complaint)
    });
    let notes = tuned.notes.iter().map(|note| format!("note: {note}"));
    keys.chain(limits).chain(notes).collect()
}

fn limits(rows: &[LimitRow], nofile: u64, now: &str, dry_run: bool) -> String {
    let mut limits = table(
        &["OPEN FILES OF", "PORTS", "WAS", now, "WANTED", "WHY"],
        0..0,
    );
    for row in rows {
        let after = match row.outcome {
            LimitOutcome::Set(set) => Some(set),
            _ if dry_run => row.step.set.or(row.was),
            _ => row.was,
        };
        let why = match (row.complaint(), row.step.set) {
            (Some(complaint), _) => complaint,
            (None, Some(_)) => "each connection is an open file".to_owned(),
            (None, None) => "enough".to_owned(),
        };
        limits.add_row([
            row.application.process.to_string(),
            ports(&row.application),
            shown(row.was),
            shown(after),
            nofile.to_string(),
            why,
        ]);
    }
    render(&limits)
}

/// The document of `tune check` for people.
pub fn report(report: &Report) -> String {
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

/// What `revert` did, or would do.
pub fn reverted(reverted: &Reverted, dry_run: bool) -> String {
    let mut rows = table(&["", "FOUND", "WAS", "WHAT BECAME OF IT"], 0..0);
    for row in &reverted.keys {
        rows.add_row([
            row.key.clone(),
            row.now.as_deref().map_or_else(|| "-".to_owned(), spaced),
            spaced(&row.was),
            fate(&row.fate, dry_run),
        ]);
    }
    for row in &reverted.limits {
        rows.add_row([
            format!("open files of {}", row.process),
            shown(row.now),
            row.was.to_string(),
            fate(&row.fate, dry_run),
        ]);
    }
    for (path, what) in &reverted.files {
        let fate = match what {
            FileFate::Removed if dry_run => "would be removed".to_owned(),
            FileFate::Removed => "removed".to_owned(),
            FileFate::Gone => "is gone already".to_owned(),
            FileFate::Foreign => "was edited since, so it stays".to_owned(),
            FileFate::Failed(error) => error.to_string(),
        };
        rows.add_row([
            path.display().to_string(),
            String::new(),
            String::new(),
            fate,
        ]);
    }
    if reverted.is_empty() {
        return "nothing to take back\n".to_owned();
    }
    render(&rows)
}

/// The files themselves, each behind its name.
pub fn exported(files: &[File]) -> String {
    let files = files
        .iter()
        .map(|file| format!("### {}\n{}", file.path.display(), file.text));
    files.collect::<Vec<_>>().join("\n")
}

fn fate(fate: &Fate, dry_run: bool) -> String {
    match fate {
        Fate::Restored if dry_run => "would be restored".to_owned(),
        Fate::Restored => "restored".to_owned(),
        Fate::Back => "is back already".to_owned(),
        Fate::Foreign => "was changed by somebody else since, so it stays".to_owned(),
        Fate::Gone => "is gone".to_owned(),
        Fate::InUse(open) => {
            format!("stays: {open} files are open, and nothing more could be accepted")
        }
        Fate::Elsewhere(way) => {
            format!("of another network namespace: `{way} redirector tune revert`")
        }
        Fate::Failed(error) => format!("cannot be restored: {error}"),
    }
}

fn wanted(row: &KeyRow) -> String {
    let prefix = if row.wish.exact { "=" } else { "" };
    format!("{prefix}{}", row.wish.value)
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

fn ports(application: &Application) -> String {
    let ports = application.ports.iter();
    let ports: Vec<_> = ports
        .map(|(protocol, port)| format!("{port}/{protocol}"))
        .collect();
    ports.join(" ")
}

fn shown(limits: Option<Limits>) -> String {
    limits.map_or_else(|| "-".to_owned(), |limits| limits.to_string())
}

/// The kernel puts tabs between fields.
fn spaced(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
