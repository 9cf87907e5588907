//! What was taken back.

use super::{shown, spaced};
use crate::{
    output::{chain, render, table},
    tune::{Fate, FileFate, Reverted},
};

/// What `revert` did, or would do.
pub fn text(reverted: &Reverted, dry_run: bool) -> String {
    let mut rows = table(&["CHANGED", "FOUND", "WAS", "WHAT BECAME OF IT"], 0..0);
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
        rows.add_row([
            path.display().to_string(),
            String::new(),
            String::new(),
            of_file(what, dry_run),
        ]);
    }
    if reverted.is_empty() {
        return "nothing to take back\n".to_owned();
    }
    render(&rows)
}

pub fn of_file(fate: &FileFate, dry_run: bool) -> String {
    match fate {
        FileFate::Removed if dry_run => "would be removed".to_owned(),
        FileFate::Removed => "removed".to_owned(),
        FileFate::Gone => "is gone already".to_owned(),
        FileFate::Foreign => "was edited since, so it stays".to_owned(),
        FileFate::Failed(error) => chain(error),
    }
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
