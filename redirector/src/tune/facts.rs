//! What the commands want to know before they do anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    KeyStatus, Request, Unit,
    applications::Found,
    boot::{Boot, Kind, Line},
    changes::Files,
    error::Error,
    guide,
    host::Reading,
    journal::{Journal, Namespace},
    permanent::{self, Wanted},
    plan::{self, KeyRow, NR_OPEN},
    store,
    unit::Owner,
};
use crate::{
    config::{Key, Value},
    kernel,
    stats::listeners::Bounds,
};

const SOMAXCONN: &str = "net.core.somaxconn";

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
        wanted: guide::somaxconn(),
    }
}

pub(super) fn namespace() -> Result<Namespace, Error> {
    let cookie =
        kernel::namespace_cookie().map_err(Error::io("look at", "/proc/thread-self/ns/net"))?;
    Ok(Namespace {
        cookie,
        inode: kernel::namespace_inode()?,
    })
}

/// As far as it may be read.
pub(super) fn journal() -> Result<Journal, Error> {
    let boot = store::boot()?;
    let mut journal = store::look()?.unwrap_or_else(|| Journal::new(&boot));
    journal.enter(&boot);
    Ok(journal)
}

/// Takes out of the journal what went with network namespaces that are gone, with a note if that is
/// something.
pub(super) fn forget_gone_namespaces(journal: &mut Journal, here: Namespace) -> Option<String> {
    let mut others = journal.namespaces();
    others.retain(|other| other.cookie != here.cookie);
    if others.is_empty() {
        return None;
    }
    let namespaces = kernel::Namespaces::look(&others.iter().map(|other| other.inode).collect());
    others.retain(|other| namespaces.are_without(other.inode, other.cookie));
    match journal.forget_namespaces(&others) {
        0 => None,
        1 => Some("1 value went with a network namespace that is gone".to_owned()),
        more => Some(format!(
            "{more} values went with network namespaces that are gone"
        )),
    }
}

pub(super) fn key_rows(
    request: &Request,
    read: impl Fn(&Key) -> Reading,
) -> Result<Vec<KeyRow>, Error> {
    plan::keys(plan::wishes(&request.tuning), read, !has_host_keys())
}

/// Once the keys are as the rows have it.
pub(super) fn limits_of(request: &Request, rows: &[KeyRow]) -> Files {
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

pub(super) fn wanted_somaxconn(rows: &[KeyRow]) -> u32 {
    let row = rows
        .iter()
        .find(|row| row.wish.key.to_string() == SOMAXCONN);
    let wanted = row.and_then(|row| row.wish.value.count());
    wanted.map_or(0, |wanted| u32::try_from(wanted).unwrap_or(u32::MAX))
}

pub(super) fn wanted(
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
pub(super) fn owners(request: &Request, found: &Found, notes: &mut Vec<String>) -> BTreeSet<Unit> {
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

pub(super) fn notes(request: &Request, found: &Found) -> Vec<String> {
    let empty = found.empty.iter().map(|(protocol, port)| {
        format!(
            "no process has {port}/{protocol}; once the application runs, `redirector tune apply` raises its limit to {}",
            request.tuning.nofile
        )
    });
    let unseen = found.unseen.iter().map(|(protocol, port)| match found.hidden {
        true => format!(
            "a process has {port}/{protocol}, but it is not permitted to see which one (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH): its limit stays"
        ),
        false => format!(
            "{port}/{protocol} is the kernel's or a process's in another container: its limit cannot be raised from here"
        ),
    });
    // A socket may have more holders than one.
    let shared = (found.hidden && !found.applications.is_empty()).then(|| {
        "not all processes are permitted to be seen (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH): those that share these sockets keep their limits"
            .to_owned()
    });
    empty.chain(unseen).chain(shared).collect()
}

/// Keys of the whole host are only seen from its own network namespace.
fn has_host_keys() -> bool {
    Path::new("/proc/sys/net/core/netdev_max_backlog").exists()
}

pub(super) fn warn_of_other_namespace(notes: &mut Vec<String>) {
    let is_of_host = kernel::is_first_process_here().unwrap_or_else(has_host_keys);
    if !is_of_host {
        notes.push("sysctl.d is for the host's own network namespace; this one gets nothing from it at boot".to_owned());
    }
}

pub(super) fn status(row: KeyRow, boot: &Boot) -> KeyStatus {
    let at_boot = boot.sysctl(&row.wish.key).cloned();
    let enough_at_boot = at_boot.as_ref().map(|line| {
        let value = Value::from(line.value.as_str());
        row.wish.is_met_by(&value)
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

pub(super) fn nofile_at_boot(boot: &Boot, units: &BTreeSet<Unit>) -> Vec<(String, Option<Line>)> {
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
