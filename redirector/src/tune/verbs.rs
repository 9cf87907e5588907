//! What the commands do, from facts to changes.

use std::{io, path::PathBuf};

use super::{
    KeyRow, Report, Request, Reverted, Tuned, applications,
    boot::Boot,
    changes::{self, Outcome},
    error::Error,
    facts::{
        bounds, forget_gone_namespaces, journal, key_rows, limits_of, namespace, nofile_at_boot,
        notes, owners, status, wanted, wanted_somaxconn, warn_of_other_namespace,
    },
    host::{Access, Host, Linux, Reading},
    journal::{Journal, Namespace},
    permanent::{self, Prepared, Wanted},
    removal,
    store::{self, Store},
    way_back,
};
use crate::{
    config::{Key, Protocol},
    stats::listeners::{Bounds, Listening},
};

pub fn validate(request: &Request) -> Result<(), Error> {
    key_rows(request, |key| Linux.read(key)).map(drop)
}

/// What `apply` would do.
pub fn rehearse(request: &Request, permanent: bool) -> Result<Tuned, Error> {
    let namespace = namespace()?;
    let mut journal = journal()?;
    let rows = key_rows(request, |key| Linux.read(key))?;
    let found = applications::find(&request.targets)?;
    let mut notes = notes(request, &found);
    let (files, removed) = if permanent {
        let files = permanent_files(request, &found, &rows, &journal, namespace, &mut notes);
        let files = paths(&files);
        let removed = removal::remove_unwanted(&mut journal, &files, true);
        (files, removed)
    } else {
        (Vec::new(), Vec::new())
    };
    let has_hidden = found.is_denied();
    let limits = changes::limit_rows(found.applications, limits_of(request, &rows), &Linux);
    Ok(Tuned {
        keys: rows
            .into_iter()
            .map(|row| (row, Outcome::Unchanged))
            .collect(),
        nofile: request.tuning.nofile,
        limits,
        has_hidden,
        files,
        removed,
        notes,
    })
}

/// Waits for whoever else is tuning. What is wrong with the request, and files that cannot be written,
/// are told before anything is changed.
pub fn apply(request: &Request, permanent: bool) -> Result<Tuned, Error> {
    let namespace = namespace()?;
    let store = Store::lock()?;
    let outcome = apply_locked(request, permanent, namespace, &store);
    store.close();
    outcome
}

fn apply_locked(
    request: &Request,
    permanent: bool,
    namespace: Namespace,
    store: &Store,
) -> Result<Tuned, Error> {
    let rows = key_rows(request, |key| Linux.read(key))?;
    let boot_id = store::boot()?;
    let mut journal = store.journal()?.unwrap_or_else(|| Journal::new(&boot_id));
    journal.enter(&boot_id);
    journal.forget_ended(&Linux);
    let gone = forget_gone_namespaces(&mut journal, namespace);
    let found = applications::find(&request.targets)?;
    let has_hidden = found.is_denied();
    let mut notes = notes(request, &found);
    notes.extend(gone);
    let prepared = if permanent {
        let files = permanent_files(request, &found, &rows, &journal, namespace, &mut notes);
        let paths = paths(&files);
        Some((paths, prepare(files, &mut journal, store)?))
    } else {
        None
    };
    let mut save = |journal: &Journal| store.save(journal);
    let outcomes = changes::keys(&rows, namespace, &mut Linux, &mut journal, &mut save)?;
    let files = limits_of(request, &key_rows(request, |key| Linux.read(key))?);
    let mut limits = changes::limit_rows(found.applications, files, &Linux);
    changes::limits(&mut limits, files, &mut Linux, &mut journal, &mut save)?;
    let (written, removed) = match prepared {
        Some((wanted, prepared)) => {
            save(&journal)?;
            let written = prepared.commit()?;
            journal.has_files();
            let removed = removal::remove_unwanted(&mut journal, &wanted, false);
            (written, removed)
        }
        None => (Vec::new(), Vec::new()),
    };
    save(&journal)?;
    notes.extend(after(request, &written));
    Ok(Tuned {
        keys: rows.into_iter().zip(outcomes).collect(),
        nofile: request.tuning.nofile,
        limits,
        has_hidden,
        files: written,
        removed,
        notes,
    })
}

/// Those of `apply --permanent`, with a note for what they do not reach.
fn permanent_files(
    request: &Request,
    found: &applications::Found,
    rows: &[KeyRow],
    journal: &Journal,
    namespace: Namespace,
    notes: &mut Vec<String>,
) -> Vec<Wanted> {
    let owners = owners(request, found, notes);
    warn_of_other_namespace(notes);
    wanted(request, rows, journal, namespace, &Boot::read(), &owners)
}

fn paths(files: &[Wanted]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path.clone()).collect()
}

/// The journal is ahead of the files also while they have not got their names; if they cannot be written
/// it is as before.
fn prepare(files: Vec<Wanted>, journal: &mut Journal, store: &Store) -> Result<Prepared, Error> {
    let before = journal.clone();
    let files = permanent::announce(files, journal)?;
    store.save(journal)?;
    let prepared = Prepared::new(files);
    if prepared.is_err() {
        store.save(&before)?;
    }
    prepared
}

/// The files that would be written here, as whoever may write everything would.
pub fn export(request: &Request) -> Result<(Vec<Wanted>, Vec<String>), Error> {
    let namespace = namespace()?;
    let journal = journal()?;
    let as_root = |key: &Key| match Linux.read(key) {
        Reading::Value {
            text,
            access: Access::ReadOnlyMount | Access::Denied,
        } => Reading::Value {
            text,
            access: Access::Writable,
        },
        reading => reading,
    };
    let rows = key_rows(request, as_root)?;
    let found = applications::find(&request.targets)?;
    let mut notes = Vec::new();
    let owners = owners(request, &found, &mut notes);
    let files = wanted(request, &rows, &journal, namespace, &Boot::read(), &owners);
    Ok((files, notes))
}

pub fn check(request: &Request) -> Result<Report, Error> {
    let rows = key_rows(request, |key| Linux.read(key))?;
    let found = applications::find(&request.targets)?;
    let boot = Boot::read();
    let mut notes = notes(request, &found);
    let mut owner_notes = Vec::new();
    let owners = owners(request, &found, &mut owner_notes);
    let nofile_at_boot = nofile_at_boot(&boot, &owners);
    let bounds = Bounds {
        wanted: wanted_somaxconn(&rows),
        ..bounds()
    };
    let listening = listening(request, &bounds);
    if let Ok(listening) = &listening {
        notes.extend(listening.hints(&bounds));
    }
    let limits = changes::limit_rows(found.applications, limits_of(request, &rows), &Linux);
    Ok(Report {
        keys: rows.into_iter().map(|row| status(row, &boot)).collect(),
        nofile: request.tuning.nofile,
        limits,
        nofile_at_boot,
        listening: listening.map_err(|error| error.to_string()),
        bounds,
        notes,
    })
}

fn listening(request: &Request, bounds: &Bounds) -> io::Result<Listening> {
    let targets = request.targets.iter();
    let tcp = targets.filter(|(protocol, _)| *protocol == Protocol::Tcp);
    Listening::of(&tcp.map(|(_, port)| (*port, None)).collect(), bounds, None)
}

/// Takes back what still is as it was left.
pub fn revert() -> Result<Reverted, Error> {
    let Some(store) = Store::lock_if_there()? else {
        return Ok(Reverted::default());
    };
    let outcome = revert_locked(&store);
    store.close();
    outcome
}

fn revert_locked(store: &Store) -> Result<Reverted, Error> {
    let Some(before) = store.journal()? else {
        return Ok(Reverted::default());
    };
    let mut journal = before.clone();
    let mut reverted = take_back(&mut journal, false)?;
    if journal != before {
        reverted.unsaved = store.save(&journal).err();
    }
    Ok(reverted)
}

/// What `revert` would do.
pub fn rehearse_revert() -> Result<Reverted, Error> {
    match store::read_if_there()? {
        Some(mut journal) => take_back(&mut journal, true),
        None => Ok(Reverted::default()),
    }
}

fn take_back(journal: &mut Journal, dry_run: bool) -> Result<Reverted, Error> {
    let namespace = namespace()?;
    let of_earlier_boot = match journal.enter(&store::boot()?) {
        0 => None,
        count => Some(format!(
            "the journal is of an earlier boot; what it tells of {count} running values went with that"
        )),
    };
    let of_gone_namespaces = forget_gone_namespaces(journal, namespace);
    // What was allowed by a key is taken back before it.
    let limits = way_back::limits(journal, &mut Linux, dry_run);
    let keys = way_back::keys(journal, namespace, &mut Linux, dry_run);
    let files = removal::remove(journal, dry_run);
    Ok(Reverted {
        keys,
        limits,
        files,
        notes: of_earlier_boot
            .into_iter()
            .chain(of_gone_namespaces)
            .collect(),
        unsaved: None,
    })
}

/// What is left to do once it is applied.
fn after(request: &Request, written: &[PathBuf]) -> Vec<String> {
    let mut notes = Vec::new();
    if written.iter().any(|path| path.starts_with("/etc/systemd")) {
        notes.push(
            "`systemctl daemon-reload` has systemd read the drop-in before the next boot"
                .to_owned(),
        );
    }
    let rows = key_rows(request, |key| Linux.read(key)).unwrap_or_default();
    let bounds = Bounds {
        wanted: wanted_somaxconn(&rows),
        ..bounds()
    };
    if let Ok(listening) = listening(request, &bounds) {
        notes.extend(listening.hints(&bounds));
    }
    if !written.is_empty() {
        let boot = Boot::read();
        let statuses = rows.into_iter().map(|row| status(row, &boot));
        notes.extend(statuses.filter_map(|status| status.overruled()));
    }
    notes
}
