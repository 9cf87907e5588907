//! From a plan to the running kernel and the running applications, the journal always ahead.

use std::{collections::BTreeSet, io};

use super::{
    error::Error,
    files::{self, LimitStep, Short},
    host::{Host, Limits, Reading},
    journal::{Journal, Namespace},
    plan::{KeyRow, Step},
};
use crate::{
    config::{Key, Port, Protocol},
    holders::Holder,
};

/// Puts the journal on the disk.
pub type Save<'a> = dyn FnMut(&Journal) -> Result<(), Error> + 'a;

/// What came of a row of the plan.
#[derive(Debug)]
pub enum Outcome {
    Unchanged,
    Written {
        /// As the kernel shows it.
        now: String,
    },
    Refused(io::Error),
}

/// A process behind a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub process: Holder,
    pub ports: BTreeSet<(Protocol, Port)>,
}

/// How many files processes are to be allowed.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    pub nofile: u64,
    pub exact: bool,
    pub nr_open: u64,
    /// Hard limits can be raised, as far as is known.
    pub may_raise: bool,
}

/// An application, and what comes or came of it.
#[derive(Debug)]
pub struct LimitRow {
    pub application: Application,
    /// `None`: it has ended meanwhile.
    pub was: Option<Limits>,
    pub step: LimitStep,
    pub outcome: LimitOutcome,
}

#[derive(Debug)]
pub enum LimitOutcome {
    Unchanged,
    Set(Limits),
    Ended,
    Refused(io::Error),
}

pub fn keys(
    rows: &[KeyRow],
    namespace: Namespace,
    host: &mut impl Host,
    journal: &mut Journal,
    save: &mut Save<'_>,
) -> Result<Vec<Outcome>, Error> {
    let mut any = false;
    for row in rows {
        if let (Step::Write(value), Some(now)) = (&row.step, &row.now) {
            journal.will_write(&row.wish.key, namespace, now, value);
            any = true;
        }
    }
    if any {
        save(journal)?;
    }
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        let Step::Write(value) = &row.step else {
            outcomes.push(Outcome::Unchanged);
            continue;
        };
        let key = &row.wish.key;
        let written = host.write(key, &value.to_string());
        let was = row.now.clone().unwrap_or_default();
        let mut now = shown(host, key).unwrap_or_else(|| was.clone());
        // The fields before the one that the kernel refuses are written.
        if written.is_err() && now != was && host.write(key, &was).is_ok() {
            now = shown(host, key).unwrap_or(was);
        }
        journal.has_now(key, namespace, &now);
        outcomes.push(match written {
            Ok(()) => Outcome::Written { now },
            Err(error) => Outcome::Refused(error),
        });
    }
    Ok(outcomes)
}

fn shown(host: &impl Host, key: &Key) -> Option<String> {
    match host.read(key) {
        Reading::Value { text, .. } => Some(text),
        Reading::Missing | Reading::Unreadable(_) => None,
    }
}

/// What would be done with each.
pub fn limit_rows(applications: Vec<Application>, files: Files, host: &impl Host) -> Vec<LimitRow> {
    let row = |application: Application| {
        let nothing = LimitStep {
            set: None,
            short: None,
        };
        let (was, step, outcome) = match host.limits(&application.process) {
            Ok(now) => (
                Some(now),
                files.step(now, files.may_raise),
                LimitOutcome::Unchanged,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (None, nothing, LimitOutcome::Ended)
            }
            Err(error) => (None, nothing, LimitOutcome::Refused(error)),
        };
        LimitRow {
            application,
            was,
            step,
            outcome,
        }
    };
    applications.into_iter().map(row).collect()
}

pub fn limits(
    rows: &mut [LimitRow],
    files: Files,
    host: &mut impl Host,
    journal: &mut Journal,
    save: &mut Save<'_>,
) -> Result<(), Error> {
    let mut any = false;
    for row in rows.iter() {
        if let (Some(was), Some(set)) = (row.was, row.step.set) {
            let or = files.step(was, false).set.unwrap_or(was);
            journal.will_limit(&row.application.process, was, &[set, or]);
            any = true;
        }
    }
    if any {
        save(journal)?;
    }
    for row in rows.iter_mut() {
        if let (Some(was), Some(set)) = (row.was, row.step.set) {
            let process = &row.application.process;
            (row.step, row.outcome) = raise(process, was, set, row.step, files, host);
            journal.is_limited(process, host.limits(process).ok());
        }
    }
    Ok(())
}

/// Where it turns out that hard limits cannot be raised, up to that.
fn raise(
    process: &Holder,
    was: Limits,
    set: Limits,
    step: LimitStep,
    files: Files,
    host: &mut impl Host,
) -> (LimitStep, LimitOutcome) {
    let outcome = |set: Limits, result: io::Result<()>| match result {
        Ok(()) => LimitOutcome::Set(set),
        Err(error) if error.kind() == io::ErrorKind::NotFound => LimitOutcome::Ended,
        Err(error) => LimitOutcome::Refused(error),
    };
    match host.set_limits(process, set) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && set.hard != was.hard => {
            let less = files.step(was, false);
            match less.set {
                Some(set) => (less, outcome(set, host.set_limits(process, set))),
                None => (less, LimitOutcome::Unchanged),
            }
        }
        result => (step, outcome(set, result)),
    }
}

impl Files {
    fn step(self, now: Limits, may_raise: bool) -> LimitStep {
        files::step(now, self.nofile, self.exact, self.nr_open, may_raise)
    }
}

impl LimitRow {
    /// Why it is not all that is wanted, or not at all.
    pub fn complaint(&self) -> Option<String> {
        match &self.outcome {
            LimitOutcome::Ended => Some("has ended meanwhile".to_owned()),
            LimitOutcome::Refused(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Some(
                    "not permitted: that of another user's process needs CAP_SYS_RESOURCE"
                        .to_owned(),
                )
            }
            LimitOutcome::Refused(error) => Some(error.to_string()),
            LimitOutcome::Unchanged | LimitOutcome::Set(_) => {
                self.step.short.map(|short| short.to_string())
            }
        }
    }

    /// Whether rights are what is missing.
    pub fn is_denied(&self) -> bool {
        match &self.outcome {
            LimitOutcome::Refused(error) => error.kind() == io::ErrorKind::PermissionDenied,
            LimitOutcome::Ended => false,
            LimitOutcome::Unchanged | LimitOutcome::Set(_) => {
                matches!(self.step.short, Some(Short::Hard | Short::NoWayBack))
            }
        }
    }

    pub fn has_failed(&self) -> bool {
        self.is_denied()
            || matches!(self.outcome, LimitOutcome::Refused(_))
            || matches!(self.step.short, Some(Short::NrOpen(_)))
    }
}
