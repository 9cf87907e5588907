//! Tuning for massive connections: floors under what the kernel and the applications have, never less
//! than there is, and a way back.
//!
//! [`plan`] says what would be changed, without I/O. [`journal`] remembers what was there before.

mod applications;
mod boot;
mod changes;
mod error;
mod facts;
mod files;
mod guide;
mod host;
mod journal;
mod permanent;
mod plan;
mod removal;
mod scope;
mod store;
mod unit;
mod verbs;
mod way_back;
#[cfg(test)]
mod way_back_tests;

use std::path::PathBuf;

pub use self::{
    applications::Targets,
    boot::Line,
    changes::{Application, LimitOutcome, LimitRow, Outcome},
    error::Error,
    facts::bounds,
    guide::remark,
    host::Limits,
    permanent::Wanted as File,
    plan::{KeyRow, Step},
    removal::Fate as FileFate,
    unit::Unit,
    verbs::{apply, check, export, rehearse, rehearse_revert, revert},
    way_back::{Fate, KeyBack, LimitBack},
};
use crate::{
    config::Tuning,
    stats::listeners::{Bounds, Listening},
};

/// What is to be tuned.
#[derive(Clone, Debug)]
pub struct Request {
    pub tuning: Tuning,
    /// Where the rules lead: whoever listens there is the application.
    pub targets: Targets,
    /// `None`: the services that the applications belong to.
    pub unit: Option<Unit>,
}

/// What was or would be changed.
#[derive(Debug)]
pub struct Tuned {
    pub keys: Vec<(KeyRow, Outcome)>,
    pub nofile: u64,
    pub limits: Vec<LimitRow>,
    /// An application may not be seen, and so not be raised.
    pub has_hidden: bool,
    /// Those that were or would be written.
    pub files: Vec<PathBuf>,
    /// Those in which nothing is left that is wanted.
    pub removed: Vec<(PathBuf, FileFate)>,
    /// What the operator should hear besides, a line each.
    pub notes: Vec<String>,
}

/// What is so now, and what the next boot will bring.
#[derive(Debug)]
pub struct Report {
    pub keys: Vec<KeyStatus>,
    pub nofile: u64,
    pub limits: Vec<LimitRow>,
    /// Which files speak of `nofile`, for whom, and how.
    pub nofile_at_boot: Vec<(String, Option<Line>)>,
    /// Or why it cannot be told.
    pub listening: Result<Listening, String>,
    pub bounds: Bounds,
    /// A line each.
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct KeyStatus {
    pub row: KeyRow,
    /// `None`: the kernel's own value.
    pub at_boot: Option<Line>,
    /// `None`: nobody knows what the kernel's own value will be.
    pub enough_at_boot: Option<bool>,
}

/// What was or would be taken back.
#[derive(Debug, Default)]
pub struct Reverted {
    pub keys: Vec<KeyBack>,
    pub limits: Vec<LimitBack>,
    pub files: Vec<(PathBuf, FileFate)>,
    /// What the operator should hear besides, a line each.
    pub notes: Vec<String>,
    /// Why the journal still tells of what was taken back.
    pub unsaved: Option<Error>,
}

impl Request {
    /// Whether what is asked for fits this kernel's keys.
    pub fn validate(&self) -> Result<(), Error> {
        verbs::validate(self)
    }
}

impl Tuned {
    /// Whether something wanted could not be had for want of rights.
    pub fn is_denied(&self) -> bool {
        let denied = |(row, outcome): &(KeyRow, Outcome)| match outcome {
            Outcome::Refused(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
            _ => row.step == Step::Cannot(plan::Obstacle::Denied),
        };
        self.has_hidden
            || self.keys.iter().any(denied)
            || self.limits.iter().any(LimitRow::is_denied)
            || is_denied(&self.removed)
    }

    /// Whether something wanted could not be had that nobody could expect to be refused.
    pub fn has_failed(&self) -> bool {
        let refused = |(_, outcome): &(KeyRow, Outcome)| matches!(outcome, Outcome::Refused(_));
        self.is_denied()
            || self.keys.iter().any(refused)
            || self.limits.iter().any(LimitRow::has_failed)
            || has_failed(&self.removed)
    }
}

impl Reverted {
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.limits.is_empty() && self.files.is_empty()
    }

    /// Whether something could not be taken back for want of rights.
    pub fn is_denied(&self) -> bool {
        let denied = |fate: &Fate| matches!(fate, Fate::Failed(error) if error.kind() == std::io::ErrorKind::PermissionDenied);
        self.keys.iter().any(|row| denied(&row.fate))
            || self.limits.iter().any(|row| denied(&row.fate))
            || is_denied(&self.files)
    }

    pub fn has_failed(&self) -> bool {
        let fates = self.keys.iter().map(|row| &row.fate);
        let mut fates = fates.chain(self.limits.iter().map(|row| &row.fate));
        fates.any(|fate| matches!(fate, Fate::Failed(_))) || has_failed(&self.files)
    }
}

fn is_denied(files: &[(PathBuf, FileFate)]) -> bool {
    let mut files = files.iter();
    files.any(|(_, fate)| matches!(fate, FileFate::Failed(error) if error.is_permission()))
}

fn has_failed(files: &[(PathBuf, FileFate)]) -> bool {
    let mut files = files.iter();
    files.any(|(_, fate)| matches!(fate, FileFate::Failed(_)))
}
