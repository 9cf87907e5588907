//! What was tuned, what could be, and what was taken back.

pub mod check;
pub mod revert;

use super::{render, table};
use crate::tune::{
    Application, File, KeyRow, LimitOutcome, LimitRow, Limits, Outcome, Step, Tuned,
};

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
    for (path, fate) in &tuned.removed {
        text += &format!("{} {}\n", path.display(), revert::of_file(fate, dry_run));
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

/// The files themselves, each behind its name.
pub fn exported(files: &[File]) -> String {
    let files = files
        .iter()
        .map(|file| format!("### {}\n{}", file.path.display(), file.text));
    files.collect::<Vec<_>>().join("\n")
}

fn wanted(row: &KeyRow) -> String {
    let prefix = if row.wish.exact { "=" } else { "" };
    format!("{prefix}{}", row.wish.value)
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
