//! The journal's file, and the lock that keeps two changes apart.

use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

use super::{Error, journal::Journal};
use crate::durable;

/// Also the lock: nobody but root may open it, so nobody else can hold it.
const DIRECTORY: &str = "/var/lib/redirector";
const FILE: &str = "tune.json";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The right to change things, for as long as this lives.
pub struct Store {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl Store {
    /// Waits for whoever else is tuning.
    pub fn lock() -> Result<Self, Error> {
        Self::lock_at(Path::new(DIRECTORY))
    }

    /// The same where nothing was ever tuned: then there is nothing to undo.
    pub fn lock_if_there() -> Result<Option<Self>, Error> {
        match fs::exists(DIRECTORY).map_err(Error::io("read", DIRECTORY))? {
            true => Self::lock().map(Some),
            false => Ok(None),
        }
    }

    pub fn journal(&self) -> Result<Option<Journal>, Error> {
        read(&self.directory)
    }

    pub fn save(&self, journal: &Journal) -> Result<(), Error> {
        let path = self.directory.join(FILE);
        if journal.is_empty() {
            return durable::remove(&path).map_err(Error::io("remove", path));
        }
        let text = serde_json::to_string_pretty(journal).map_err(|error| Error::Journal {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        durable::replace(&path, &(text + "\n")).map_err(Error::io("write", path))
    }

    /// Nothing of us is left where the journal is empty.
    pub fn close(self) {
        let _ = durable::remove_unfinished(&self.directory.join(FILE));
        // Not empty is the other normal case.
        let _ = fs::remove_dir(&self.directory);
    }

    fn lock_at(directory: &Path) -> Result<Self, Error> {
        loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(Error::io("make", directory))?;
            let file = File::open(directory).map_err(Error::io("open", directory))?;
            let lock = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| Error::io("lock", directory)(errno.into()))?;
            let ours = lock.metadata().map_err(Error::io("look at", directory))?;
            // Whoever had it may have removed it.
            if fs::metadata(directory)
                .is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()))
            {
                return Ok(Self {
                    directory: directory.to_owned(),
                    _lock: lock,
                });
            }
        }
    }
}

/// Without a lock, for those who change nothing; `None` also where it may not be read.
pub fn look() -> Result<Option<Journal>, Error> {
    match read(Path::new(DIRECTORY)) {
        Err(error) if error.is_permission() => Ok(None),
        journal => journal,
    }
}

/// The same for whoever has to see it.
pub fn read_if_there() -> Result<Option<Journal>, Error> {
    read(Path::new(DIRECTORY))
}

pub fn boot() -> Result<String, Error> {
    let text = fs::read_to_string(BOOT_ID).map_err(Error::io("read", BOOT_ID))?;
    Ok(text.trim().to_owned())
}

fn read(directory: &Path) -> Result<Option<Journal>, Error> {
    let path = directory.join(FILE);
    let Some(text) = durable::read(&path).map_err(Error::io("read", &path))? else {
        return Ok(None);
    };
    match Journal::parse(&text) {
        Ok(journal) => Ok(Some(journal)),
        Err(reason) => Err(Error::Journal { path, reason }),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn two_who_tune_are_kept_apart() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("redirector");
        let first = Store::lock_at(&directory).unwrap();
        let (sender, receiver) = mpsc::channel();
        let second = thread::spawn({
            let directory = directory.clone();
            move || {
                let store = Store::lock_at(&directory).unwrap();
                sender.send(()).unwrap();
                store.close();
            }
        });
        // The first one has it, so nothing can have come.
        assert!(receiver.try_recv().is_err());
        first.close();
        receiver.recv().unwrap();
        second.join().unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn a_journal_comes_back_as_it_was() {
        let parent = tempfile::tempdir().unwrap();
        let store = Store::lock_at(&parent.path().join("redirector")).unwrap();
        assert_eq!(store.journal().unwrap(), None);
        let mut journal = Journal::new("boot");
        journal.directories.push("/etc/sysctl.d".into());
        store.save(&journal).unwrap();
        assert_eq!(store.journal().unwrap(), Some(journal));
        for garbage in [&b"{\"schema\": 2}"[..], b"", b"\xff{}"] {
            fs::write(store.directory.join(FILE), garbage).unwrap();
            let error = store.journal().unwrap_err().to_string();
            assert!(error.contains("move it away"), "{error}");
        }
        store.save(&Journal::new("boot")).unwrap();
        assert_eq!(store.journal().unwrap(), None);
        // As a death in between leaves it.
        fs::write(store.directory.join("tune.json.new"), "half").unwrap();
        store.close();
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
    }
}
