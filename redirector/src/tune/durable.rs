//! Files that are there whole or not at all, also after a power cut.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::Error;

/// Complete on the disk, under another name. Gone when dropped, unless committed.
pub struct Staged {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Staged {
    /// Whoever writes has a lock, so that the other name is theirs.
    pub fn new(path: &Path, text: &str) -> Result<Self, Error> {
        let temporary = unfinished(path);
        let staged = Self {
            path: path.to_owned(),
            temporary: Some(temporary.clone()),
        };
        remove_unfinished(path)?;
        write(&temporary, text).map_err(Error::io("write", path))?;
        Ok(staged)
    }

    pub fn commit(mut self) -> Result<(), Error> {
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path).map_err(Error::io("write", &self.path))?;
            self.temporary = None;
            sync_directory_of(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(temporary);
        }
    }
}

pub fn replace(path: &Path, text: &str) -> Result<(), Error> {
    Staged::new(path, text)?.commit()
}

/// Nothing if there is none.
pub fn remove(path: &Path) -> Result<(), Error> {
    unlink(path).map_err(Error::io("remove", path))?;
    sync_directory_of(path)
}

/// What a death in the middle of writing the file has left.
pub fn remove_unfinished(path: &Path) -> Result<(), Error> {
    unlink(&unfinished(path)).map_err(Error::io("write", path))
}

fn unlink(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// `None` if there is none. What is no file, such as a link to /dev/null, holds nothing.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match read_regular(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Waits for nobody, as a pipe in the place of a file would have it.
fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// That others may look into, whatever the umask says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Those that are empty, the last one first.
pub fn remove_directories(directories: &[PathBuf]) {
    for directory in directories.iter().rev() {
        // Not empty: others have something in it by now.
        let _ = fs::remove_dir(directory);
    }
}

/// Which of a directory and those above it are missing, from above.
pub fn missing_directories(directory: &Path) -> Vec<PathBuf> {
    let missing = directory.ancestors().take_while(|path| !path.exists());
    let mut missing: Vec<_> = missing.map(Path::to_owned).collect();
    missing.reverse();
    missing
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    // Whatever the umask says: others are to read it.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_directory_of(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("write", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_committed_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("90-redirector.conf");
        replace(&path, "one").unwrap();
        drop(Staged::new(&path, "two").unwrap());
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        // As a death in between leaves it.
        fs::write(directory.path().join("90-redirector.conf.new"), "half").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o644
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_written_is_named_as_it_was_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("90-redirector.conf");
        fs::create_dir(directory.path().join("90-redirector.conf.new")).unwrap();
        let error = replace(&path, "one").unwrap_err().to_string();
        assert_eq!(error, format!("cannot write {}", path.display()));
    }

    #[test]
    fn directories_that_are_missing() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        let expected = [directory.path().join("a"), deep.clone()];
        assert_eq!(missing_directories(&deep), expected);
        assert!(missing_directories(directory.path()).is_empty());
    }
}
