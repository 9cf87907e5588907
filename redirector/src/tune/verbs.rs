//! What the commands do, from facts to changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    KeyStatus, Report, Request, Reverted, Tuned, Unit,
    applications::{self, Found},
    boot::{Boot, Kind, Line},
    changes::{self, Files, Outcome},
    error::Error,
    host::{Access, Host, Linux, Reading},
    journal::{Journal, Namespace},
    permanent::{self, Prepared, Wanted},
    plan::{self, KeyRow, NR_OPEN},
    store::{self, Store},
    unit::Owner,
    way_back,
};
use crate::{
    config::{Key, Value},
    kernel,
    stats::listeners::{Bounds, Listening},
};

const SOMAXCONN: &str = "net.core.somaxconn";

pub fn validate(request: &Request) -> Result<(), Error> {
    key_rows(request, |key| Linux.read(key)).map(drop)
}

/// What `apply` would do.
pub fn rehearse(request: &Request, permanent: bool) -> Result<Tuned, Error> {
    let namespace = namespace()?;
    let journal = journal()?;
    let rows = key_rows(request, |key| Linux.read(key))?;
    let found = applications::find(&request.targets)?;
    let boot = Boot::read();
    let mut notes = notes(request, &found);
    let files = match permanent {
        true => {
            let owners = owners(request, &found, &mut notes);
            warn_of_other_namespace(&mut notes);
            wanted(request, &rows, &journal, namespace, &boot, &owners)
        }
        false => Vec::new(),
    };
    let limits = changes::limit_rows(found.applications, limits_of(request, &rows), &Linux);
    Ok(Tuned {
        keys: rows
            .into_iter()
            .map(|row| (row, Outcome::Unchanged))
            .collect(),
        nofile: request.tuning.nofile,
        limits,
        files: files.into_iter().map(|file| file.path).collect(),
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
    let found = applications::find(&request.targets)?;
    let mut notes = notes(request, &found);
    let prepared = if permanent {
        let owners = owners(request, &found, &mut notes);
        warn_of_other_namespace(&mut notes);
        let boot = Boot::read();
        let files = wanted(request, &rows, &journal, namespace, &boot, &owners);
        Some(Prepared::new(files, &mut journal)?)
    } else {
        None
    };
    let mut save = |journal: &Journal| store.save(journal);
    let outcomes = changes::keys(&rows, namespace, &mut Linux, &mut journal, &mut save)?;
    let files = limits_of(request, &key_rows(request, |key| Linux.read(key))?);
    let mut limits = changes::limit_rows(found.applications, files, &Linux);
    changes::limits(&mut limits, files, &mut Linux, &mut journal, &mut save)?;
    let written = match prepared {
        Some(prepared) => {
            save(&journal)?;
            let written = prepared.commit()?;
            journal.has_files();
            written
        }
        None => Vec::new(),
    };
    save(&journal)?;
    notes.extend(after(request, &written));
    Ok(Tuned {
        keys: rows.into_iter().zip(outcomes).collect(),
        nofile: request.tuning.nofile,
        limits,
        files: written,
        notes,
    })
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
    let targets = request.targets.iter();
    let tcp = targets.filter(|(protocol, _)| *protocol == crate::config::Protocol::Tcp);
    let listening = Listening::of(&tcp.map(|(_, port)| (*port, None)).collect(), &bounds, None);
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

/// Takes back what still is as it was left.
pub fn revert() -> Result<Reverted, Error> {
    let Some(store) = Store::lock_if_there()? else {
        return Ok(Reverted::default());
    };
    let outcome = match store.journal() {
        Ok(Some(mut journal)) => take_back(&mut journal, false).and_then(|reverted| {
            store.save(&journal)?;
            Ok(reverted)
        }),
        Ok(None) => Ok(Reverted::default()),
        Err(error) => Err(error),
    };
    store.close();
    outcome
}

/// What `revert` would do.
pub fn rehearse_revert() -> Result<Reverted, Error> {
    match store::read_if_there()? {
        Some(mut journal) => take_back(&mut journal, true),
        None => Ok(Reverted::default()),
    }
}

/// What is known of this network namespace's backlogs.
pub fn bounds() -> Bounds {
    let earlier = || {
        let key: Key = SOMAXCONN.parse().ok()?;
        let journal = journal().ok()?;
        let entry = journal.key(&key, namespace().ok()?)?;
        entry.was.trim().parse().ok()
    };
    Bounds {
        earlier: earlier(),
        wanted: super::guide::somaxconn(),
    }
}

fn take_back(journal: &mut Journal, dry_run: bool) -> Result<Reverted, Error> {
    let of_earlier_boot = journal.enter(&store::boot()?);
    // What was allowed by a key is taken back before it.
    let limits = way_back::limits(journal, &mut Linux, dry_run);
    let keys = way_back::keys(journal, namespace()?, &mut Linux, dry_run);
    let files = permanent::remove(journal, dry_run);
    Ok(Reverted {
        of_earlier_boot,
        keys,
        limits,
        files,
    })
}

fn namespace() -> Result<Namespace, Error> {
    let cookie =
        kernel::namespace_cookie().map_err(Error::io("look at", "/proc/thread-self/ns/net"))?;
    Ok(Namespace {
        cookie,
        inode: kernel::namespace_inode()?,
    })
}

/// As far as it may be read.
fn journal() -> Result<Journal, Error> {
    let boot = store::boot()?;
    let mut journal = store::look()?.unwrap_or_else(|| Journal::new(&boot));
    journal.enter(&boot);
    Ok(journal)
}

fn key_rows(request: &Request, read: impl Fn(&Key) -> Reading) -> Result<Vec<KeyRow>, Error> {
    plan::keys(plan::wishes(&request.tuning), read, !kernel::is_of_host())
}

/// Once the keys are as the rows have it.
fn limits_of(request: &Request, rows: &[KeyRow]) -> Files {
    let row = rows.iter().find(|row| row.wish.key.to_string() == NR_OPEN);
    let nr_open = row.and_then(KeyRow::then).and_then(|value| value.count());
    Files {
        nofile: request.tuning.nofile,
        exact: request.tuning.exact,
        // The kernel has the last word where it cannot be read.
        nr_open: nr_open.unwrap_or(request.tuning.nofile),
        may_raise: kernel::may_raise_limits(),
    }
}

fn wanted_somaxconn(rows: &[KeyRow]) -> u32 {
    let row = rows
        .iter()
        .find(|row| row.wish.key.to_string() == SOMAXCONN);
    let wanted = row.and_then(|row| row.wish.value.count());
    wanted.map_or(0, |wanted| u32::try_from(wanted).unwrap_or(u32::MAX))
}

fn wanted(
    request: &Request,
    rows: &[KeyRow],
    journal: &Journal,
    namespace: Namespace,
    boot: &Boot,
    units: &BTreeSet<Unit>,
) -> Vec<Wanted> {
    let (nofile, exact) = (request.tuning.nofile, request.tuning.exact);
    let units = units
        .iter()
        .filter_map(|unit| permanent::drop_in(unit, nofile, exact, boot));
    permanent::sysctl(rows, journal, namespace, boot)
        .into_iter()
        .chain(permanent::limits(nofile, exact, boot))
        .chain(units)
        .collect()
}

/// The services of the applications, with a note for each that has none.
fn owners(request: &Request, found: &Found, notes: &mut Vec<String>) -> BTreeSet<Unit> {
    if let Some(unit) = &request.unit {
        return BTreeSet::from([unit.clone()]);
    }
    let mut units = BTreeSet::new();
    let mut others: BTreeMap<String, String> = BTreeMap::new();
    for application in &found.applications {
        let process = &application.process;
        let help = match Owner::of(process) {
            Owner::Service(unit) => {
                units.insert(unit);
                continue;
            }
            Owner::UserService(name) => {
                format!(
                    "is {name} of a user's own manager: give that service LimitNOFILE={}",
                    request.tuning.nofile
                )
            }
            Owner::Scope(name) if name.starts_with("session") => {
                format!("runs in a login session ({name}): limits.d holds for the next one")
            }
            Owner::Scope(name) => {
                format!(
                    "runs in {name}: whoever starts that sets its limits (docker run --ulimit nofile=...)"
                )
            }
            Owner::None => {
                "belongs to no service of systemd that is to be seen here; --unit names one"
                    .to_owned()
            }
        };
        // Of many workers one is enough.
        others.entry(help).or_insert_with(|| process.to_string());
    }
    notes.extend(
        others
            .into_iter()
            .map(|(help, process)| format!("{process} {help}")),
    );
    units
}

fn notes(request: &Request, found: &Found) -> Vec<String> {
    let empty = found.empty.iter().map(|(protocol, port)| {
        let hidden = match found.hidden {
            true => " that may be seen",
            false => "",
        };
        format!(
            "no process{hidden} has {port}/{protocol}; once the application runs, `redirector tune apply` \
             raises its limit to {}",
            request.tuning.nofile
        )
    });
    empty.collect()
}

fn warn_of_other_namespace(notes: &mut Vec<String>) {
    if !kernel::is_of_host() {
        notes.push("sysctl.d is for the host's own network namespace; this one gets nothing from it at boot".to_owned());
    }
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
    let targets = request
        .targets
        .iter()
        .map(|(_, port)| (*port, None))
        .collect();
    if let Ok(listening) = Listening::of(&targets, &bounds, None) {
        notes.extend(listening.hints(&bounds));
    }
    if !written.is_empty() {
        let boot = Boot::read();
        let statuses = rows.into_iter().map(|row| status(row, &boot));
        notes.extend(statuses.filter_map(|status| status.overruled()));
    }
    notes
}

fn status(row: KeyRow, boot: &Boot) -> KeyStatus {
    let at_boot = boot.sysctl(&row.wish.key).cloned();
    let enough_at_boot = at_boot.as_ref().map(|line| {
        let value = Value::from(line.value.as_str());
        let met = match row.wish.exact {
            true => value.replaced_by(&row.wish.value),
            false => value.raised_to(&row.wish.value),
        };
        met.is_ok_and(|met| met == value)
    });
    KeyStatus {
        row,
        at_boot,
        enough_at_boot,
    }
}

impl KeyStatus {
    /// Where a file takes back at the next boot what is there now.
    pub fn overruled(&self) -> Option<String> {
        let line = self
            .at_boot
            .as_ref()
            .filter(|_| self.enough_at_boot == Some(false))?;
        Some(format!(
            "at the next boot {} sets {} to {}: change that line",
            line.file.display(),
            self.row.wish.key,
            line.value
        ))
    }
}

fn nofile_at_boot(boot: &Boot, units: &BTreeSet<Unit>) -> Vec<(String, Option<Line>)> {
    let everywhere = |_: &std::path::Path| false;
    let logins = [("*", "logins"), ("root", "logins of root")];
    let logins = logins.into_iter().flat_map(|(domain, who)| {
        [(Kind::Soft, "soft"), (Kind::Hard, "hard")].map(|(kind, name)| {
            (
                format!("{who}, {name}"),
                boot.limit_but(domain, kind, everywhere).cloned(),
            )
        })
    });
    let units = units
        .iter()
        .map(|unit| (unit.to_string(), boot.unit_but(unit, everywhere)));
    logins.chain(units).collect()
}
