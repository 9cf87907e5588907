//! The way back of the files.

use std::path::{Path, PathBuf};

use super::{
    error::Error,
    journal::{FileEntry, Journal},
    permanent::{LIMITS, SYSCTL},
};
use crate::durable;

/// What came of a file of the journal.
#[derive(Debug)]
pub enum Fate {
    Removed,
    Gone,
    /// Somebody has edited it since.
    Foreign,
    Failed(Error),
}

/// Removes what still is as it was written, and the directories that were made for it.
pub fn remove(journal: &mut Journal, dry_run: bool) -> Vec<(PathBuf, Fate)> {
    let rows = remove_if(journal, dry_run, |_| true);
    if journal.files.is_empty() {
        let directories = std::mem::take(&mut journal.directories);
        if !dry_run {
            durable::remove_directories(&directories);
        }
    }
    rows
}

/// The same of a file for the whole host that is not among those that are wanted now; drop-ins may be other
/// applications'.
pub fn remove_unwanted(
    journal: &mut Journal,
    wanted: &[PathBuf],
    dry_run: bool,
) -> Vec<(PathBuf, Fate)> {
    let is_unwanted = |path: &Path| {
        [SYSCTL, LIMITS]
            .iter()
            .any(|whole| path == Path::new(whole))
            && !wanted.iter().any(|wanted| wanted == path)
    };
    remove_if(journal, dry_run, is_unwanted)
}

fn remove_if(
    journal: &mut Journal,
    dry_run: bool,
    is_meant: impl Fn(&Path) -> bool,
) -> Vec<(PathBuf, Fate)> {
    let mut rows = Vec::with_capacity(journal.files.len());
    journal.files.retain(|entry| {
        if !is_meant(&entry.path) {
            return true;
        }
        let fate = remove_one(entry, dry_run);
        let stays = matches!(fate, Fate::Failed(_));
        rows.push((entry.path.clone(), fate));
        stays
    });
    rows
}

fn remove_one(entry: &FileEntry, dry_run: bool) -> Fate {
    if !dry_run {
        // What is wrong with its directory is told of the file itself.
        let _ = durable::remove_unfinished(&entry.path);
    }
    match durable::read(&entry.path) {
        Ok(None) => Fate::Gone,
        Ok(Some(there)) if !entry.wrote.iter().any(|text| there == text.as_bytes()) => {
            Fate::Foreign
        }
        Ok(Some(_)) if dry_run => Fate::Removed,
        Ok(Some(_)) => match durable::remove(&entry.path) {
            Ok(()) => Fate::Removed,
            Err(error) => Fate::Failed(Error::io("remove", &entry.path)(error)),
        },
        Err(error) => Fate::Failed(Error::io("read", &entry.path)(error)),
    }
}
