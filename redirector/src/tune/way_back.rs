//! The way back: what still is as we left it becomes what it was.

use std::io;

use super::{
    host::{Host, Limits, Reading},
    journal::{Journal, KeyEntry, LimitEntry, Namespace},
};
use crate::kernel::Way;

/// What would come, or came, of an entry of the journal.
#[derive(Debug)]
pub enum Fate {
    Restored,
    /// It is as it was already.
    Back,
    /// Somebody else has changed it since.
    Foreign,
    Gone,
    /// An application has more files open than the limit of before allows.
    InUse(u64),
    /// Another network namespace's.
    Elsewhere(Way),
    Failed(io::Error),
}

#[derive(Debug)]
pub struct KeyBack {
    pub key: String,
    pub now: Option<String>,
    pub was: String,
    pub fate: Fate,
}

#[derive(Debug)]
pub struct LimitBack {
    pub process: String,
    pub now: Option<Limits>,
    pub was: Limits,
    pub fate: Fate,
}

/// Restores nothing if `host` is `None`, but tells the same. What is done with is taken out of the
/// journal.
pub fn keys(
    journal: &mut Journal,
    namespace: Namespace,
    host: &mut impl Host,
    dry_run: bool,
) -> Vec<KeyBack> {
    let mut rows = Vec::with_capacity(journal.keys.len());
    // The last one first: what made room for others is taken back after them.
    let entries = std::mem::take(&mut journal.keys);
    let mut kept = Vec::new();
    for entry in entries.into_iter().rev() {
        let (now, fate) = key(&entry, namespace, host, dry_run);
        rows.push(KeyBack {
            key: entry.key.clone(),
            now,
            was: entry.was.clone(),
            fate,
        });
        if rows.last().is_some_and(|row| row.fate.is_open()) {
            kept.push(entry);
        }
    }
    kept.reverse();
    journal.keys = kept;
    rows
}

fn key(
    entry: &KeyEntry,
    namespace: Namespace,
    host: &mut impl Host,
    dry_run: bool,
) -> (Option<String>, Fate) {
    if !entry.is_of(namespace) {
        let way = entry
            .namespace
            .map_or(Way::Unknown, |own| Way::to(own.inode));
        return (None, Fate::Elsewhere(way));
    }
    let Ok(name) = entry.key.parse() else {
        return (None, Fate::Gone);
    };
    let now = match host.read(&name) {
        Reading::Value { text, .. } => text,
        Reading::Missing => return (None, Fate::Gone),
        Reading::Unreadable(why) => return (None, Fate::Failed(io::Error::other(why))),
    };
    let fate = if entry.is_back(&now) {
        Fate::Back
    } else if !entry.is_ours(&now) {
        Fate::Foreign
    } else if dry_run {
        Fate::Restored
    } else {
        match host.write(&name, &entry.was) {
            Ok(()) => Fate::Restored,
            Err(error) => Fate::Failed(error),
        }
    };
    (Some(now), fate)
}

pub fn limits(journal: &mut Journal, host: &mut impl Host, dry_run: bool) -> Vec<LimitBack> {
    let mut rows = Vec::with_capacity(journal.limits.len());
    journal.limits.retain(|entry| {
        let (now, fate) = limit(entry, host, dry_run);
        let stays = fate.is_open();
        rows.push(LimitBack {
            process: entry.process().to_string(),
            now,
            was: entry.was,
            fate,
        });
        stays
    });
    rows
}

fn limit(entry: &LimitEntry, host: &mut impl Host, dry_run: bool) -> (Option<Limits>, Fate) {
    let process = entry.process();
    let now = match host.limits(&process) {
        Ok(now) => now,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, Fate::Gone),
        Err(error) => return (None, Fate::Failed(error)),
    };
    let open = host.open_files(&process).unwrap_or(0);
    let fate = if now == entry.was {
        Fate::Back
    } else if !entry.wrote.contains(&now) {
        Fate::Foreign
    } else if entry.was.soft.is_some_and(|soft| open >= soft) {
        Fate::InUse(open)
    } else if dry_run {
        Fate::Restored
    } else {
        match host.set_limits(&process, entry.was) {
            Ok(()) => Fate::Restored,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Fate::Gone,
            Err(error) => Fate::Failed(error),
        }
    };
    (Some(now), fate)
}

impl Fate {
    /// Whether the journal has to remember it still.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::InUse(_) | Self::Elsewhere(_) | Self::Failed(_))
    }
}
