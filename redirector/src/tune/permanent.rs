//! The files by which a boot, a login and a service give the same again.

use std::path::{Path, PathBuf};

use super::{
    boot::{self, Boot, Kind, Line},
    error::Error,
    journal::{Journal, Namespace},
    plan::{KeyRow, Step},
    unit::Unit,
};
use crate::{
    config::Value,
    durable::{self, Staged},
};

pub const SYSCTL: &str = "/etc/sysctl.d/90-redirector.conf";
pub const LIMITS: &str = "/etc/security/limits.d/90-redirector.conf";
const UNITS: &str = "/etc/systemd/system";
const NAME: &str = "90-redirector.conf";

/// By which a file is known as ours.
const HEADER: &str = "\
# Written by `redirector tune apply --permanent`, which replaces it; do not edit.
# `redirector tune revert` removes it. What runs meanwhile stays as it is until the next ";

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub path: PathBuf,
    pub text: String,
}

/// Complete on the disk, not yet in their places. Nothing is left of them when dropped before.
pub struct Prepared {
    staged: Vec<(PathBuf, Staged)>,
    /// Directories.
    made: Vec<PathBuf>,
}

/// What of the keys the next boot would not give by itself: those that are written now, were written in
/// this boot, or stand in our file of an earlier one, also where they cannot be seen from here.
pub fn sysctl(
    rows: &[KeyRow],
    journal: &Journal,
    namespace: Namespace,
    boot: &Boot,
) -> Option<Wanted> {
    let is_ours_file = |line: &Line| is_ours(&line.file);
    let is_ours = |row: &KeyRow, now: &str| {
        let entry = journal.key(&row.wish.key, namespace);
        let line = boot.sysctl(&row.wish.key);
        entry.is_some_and(|entry| entry.is_ours(now)) || line.is_some_and(is_ours_file)
    };
    let line = |row: &KeyRow| {
        let value = match (&row.step, &row.now) {
            (Step::Write(value), _) => value.clone(),
            (Step::Keep, Some(now)) if row.wish.exact || is_ours(row, now) => {
                Value::from(now.as_str())
            }
            (Step::Cannot(_), _) => {
                let line = boot.sysctl(&row.wish.key)?;
                is_ours_file(line).then(|| Value::from(line.value.as_str()))?
            }
            _ => return None,
        };
        Some(format!(
            "\n# {}\n{} = {value}\n",
            row.wish.why, row.wish.key
        ))
    };
    let lines: String = rows.iter().filter_map(line).collect();
    let text = format!("{HEADER}boot.\n{lines}");
    (!lines.is_empty()).then(|| Wanted {
        path: SYSCTL.into(),
        text,
    })
}

/// For those who log in. Where others allow as much, that stays.
pub fn limits(nofile: u64, exact: bool, boot: &Boot) -> Option<Wanted> {
    let mut lines = String::new();
    // A line for everybody is not one for root (limits.conf(5)).
    for domain in ["*", "root"] {
        for (kind, name) in [(Kind::Soft, "soft"), (Kind::Hard, "hard")] {
            let others = boot.limit_but(domain, kind, is_ours);
            if exact || !others.is_some_and(|line| boot::allows(&line.value, nofile)) {
                lines += &format!("{domain:<4} {name} nofile {nofile}\n");
            }
        }
    }
    (!lines.is_empty()).then(|| Wanted {
        path: LIMITS.into(),
        text: format!("{HEADER}login.\n\n{lines}"),
    })
}

/// For a service, which those limits do not reach. Where it is allowed as much, that stays.
pub fn drop_in(unit: &Unit, nofile: u64, exact: bool, boot: &Boot) -> Option<Wanted> {
    let others = boot.unit_but(unit, is_ours);
    if !exact && others.is_some_and(|line| boot::allows(&line.value, nofile)) {
        return None;
    }
    Some(Wanted {
        path: Path::new(UNITS).join(format!("{unit}.d")).join(NAME),
        text: format!("{HEADER}start.\n\n[Service]\nLimitNOFILE={nofile}\n"),
    })
}

/// Whether a file is one of these.
pub fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == NAME)
        && durable::read(path).is_ok_and(|text| text.is_some_and(|text| is_our_text(&text)))
}

fn is_our_text(text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').next();
    first == HEADER.lines().next().map(str::as_bytes)
}

/// Those that are not there already, once the journal knows of them and of the directories that will be
/// made for them.
pub fn announce(files: Vec<Wanted>, journal: &mut Journal) -> Result<Vec<Wanted>, Error> {
    let mut missing = Vec::with_capacity(files.len());
    for Wanted { path, text } in files {
        match durable::read(&path).map_err(Error::io("read", &path))? {
            Some(there) if !is_our_text(&there) => return Err(Error::Foreign { path }),
            Some(there)
                if there == text.as_bytes()
                    && journal.files.iter().any(|entry| entry.path == path) =>
            {
                continue;
            }
            _ => {}
        }
        for directory in durable::missing_directories(directory_of(&path)) {
            if !journal.directories.contains(&directory) {
                journal.directories.push(directory);
            }
        }
        journal.will_have(&path, &text);
        missing.push(Wanted { path, text });
    }
    Ok(missing)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

impl Prepared {
    /// All of them or none. The journal on the disk knows them by now.
    pub fn new(files: Vec<Wanted>) -> Result<Self, Error> {
        let mut prepared = Self {
            staged: Vec::new(),
            made: Vec::new(),
        };
        files
            .into_iter()
            .try_for_each(|file| prepared.stage(file))?;
        Ok(prepared)
    }

    pub fn commit(mut self) -> Result<Vec<PathBuf>, Error> {
        let mut written = Vec::new();
        for (path, staged) in std::mem::take(&mut self.staged) {
            staged.commit().map_err(Error::io("write", &path))?;
            written.push(path);
        }
        Ok(written)
    }

    fn stage(&mut self, file: Wanted) -> Result<(), Error> {
        let Wanted { path, text } = file;
        for missing in durable::missing_directories(directory_of(&path)) {
            durable::make_directory(&missing).map_err(Error::io("make", &missing))?;
            self.made.push(missing);
        }
        let staged =
            Staged::new(&path, &text, durable::READABLE).map_err(Error::io("write", &path))?;
        self.staged.push((path, staged));
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        self.staged.clear();
        // Those that hold a file by now stay.
        durable::remove_directories(&self.made);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tune::removal::{Fate, remove};

    #[test]
    fn files_of_a_death_before_they_had_their_names_are_taken_back() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (root.path().join("a/b/one"), root.path().join("a/b/two"));
        let wanted = [&first, &second].map(|path| Wanted {
            path: path.clone(),
            text: HEADER.to_owned(),
        });
        let mut journal = Journal::new("boot");
        let files = announce(wanted.to_vec(), &mut journal).unwrap();
        assert_eq!(journal.directories.len(), 2);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        std::mem::forget(Prepared::new(files).unwrap());
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 2);
        let rows = remove(&mut journal, false);
        assert!(rows.iter().all(|(_, fate)| matches!(fate, Fate::Gone)));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        assert!(journal.is_empty());
    }

    #[test]
    fn a_file_of_others_stays_whatever_it_holds() {
        let root = tempfile::tempdir().unwrap();
        let file = Wanted {
            path: root.path().join("one"),
            text: HEADER.to_owned(),
        };
        for theirs in [&b"net.core.somaxconn = 5\n"[..], b"# M\xfcller\n"] {
            fs::write(&file.path, theirs).unwrap();
            let mut journal = Journal::new("boot");
            let error = announce(vec![file.clone()], &mut journal).unwrap_err();
            assert!(matches!(error, Error::Foreign { .. }), "{error}");
            journal.will_have(&file.path, &file.text);
            let rows = remove(&mut journal, false);
            assert!(matches!(rows[..], [(_, Fate::Foreign)]), "{rows:?}");
            assert_eq!(fs::read(&file.path).unwrap(), theirs);
        }
    }

    #[test]
    fn files_that_are_dropped_leave_no_directories() {
        let root = tempfile::tempdir().unwrap();
        let file = Wanted {
            path: root.path().join("a/b/one"),
            text: HEADER.to_owned(),
        };
        let files = announce(vec![file], &mut Journal::new("boot")).unwrap();
        drop(Prepared::new(files).unwrap());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
