//! Files that are there whole or not at all, also after a power cut.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Complete on the disk, under another name. Gone when dropped, unless committed.
pub struct Staged {
    path: PathBuf,
    temporary: Option<PathBuf>,
}

impl Staged {
    /// With these permissions, whatever the umask says.
    pub fn new(path: &Path, text: &str, mode: u32) -> io::Result<Self> {
        let temporary = unfinished(path);
        let staged = Self {
            path: path.to_owned(),
            temporary: Some(temporary.clone()),
        };
        remove_unfinished(path)?;
        write(&temporary, text, mode)?;
        Ok(staged)
    }

    pub fn commit(mut self) -> io::Result<()> {
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path)?;
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

/// That others may read.
pub const READABLE: u32 = 0o644;

pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    Staged::new(path, text, READABLE)?.commit()
}

/// Nothing if there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    unlink(path)?;
    sync_directory_of(path)
}

/// What a death in the middle of writing the file has left.
pub fn remove_unfinished(path: &Path) -> io::Result<()> {
    unlink(&unfinished(path))
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
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_at_once(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits for nobody, as a pipe in the place of a file would have it.
fn read_at_once(path: &Path) -> io::Result<Vec<u8>> {
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

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // Whatever the umask says.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_committed_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("90-redirector.conf");
        replace(&path, "one").unwrap();
        drop(Staged::new(&path, "two", READABLE).unwrap());
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
    fn directories_that_are_missing() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        let expected = [directory.path().join("a"), deep.clone()];
        assert_eq!(missing_directories(&deep), expected);
        assert!(missing_directories(directory.path()).is_empty());
    }
}
