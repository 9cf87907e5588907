//! The configuration that an import writes.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::durable::{self, Staged};

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} exists; --force replaces it, or name another file", .0.display())]
    Exists(PathBuf),
    #[error("{} is not a file, and stays as it is; name another one", .0.display())]
    NotFile(PathBuf),
    #[error("cannot write {}: {error}", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
}

/// Before anything is explained or tried. A name that leads nowhere is there as well.
pub fn require_absent(file: &Path) -> Result<(), WriteError> {
    match fs::symlink_metadata(file) {
        Ok(_) => Err(WriteError::Exists(file.to_owned())),
        Err(_) => Ok(()),
    }
}

/// A file that is written, but has not its name yet. Dropped, it has never been.
pub struct Written<'a> {
    file: &'a Path,
    staged: Option<Staged>,
    /// The directory that was made for it.
    directory: Option<&'a Path>,
}

impl<'a> Written<'a> {
    /// In the place of a file that is there only if it may be replaced, with its permissions. Through a
    /// link it is the file behind it.
    pub fn new(file: &'a Path, config: &str, may_replace: bool) -> Result<Self, WriteError> {
        if !may_replace {
            require_absent(file)?;
        }
        let unwritable = |error: io::Error| WriteError::Unwritable {
            path: file.to_owned(),
            error,
        };
        let (path, mode) = match fs::metadata(file) {
            Ok(there) if !there.is_file() => return Err(WriteError::NotFile(file.to_owned())),
            Ok(there) => (
                fs::canonicalize(file).map_err(unwritable)?,
                there.permissions().mode() & 0o7777,
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (file.to_owned(), durable::READABLE)
            }
            Err(error) => return Err(unwritable(error)),
        };
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
        directory
            .map_or(Ok(()), fs::create_dir)
            .map_err(unwritable)?;
        let mut written = Self {
            file,
            staged: None,
            directory,
        };
        written.staged = Some(Staged::new(&path, config, mode).map_err(unwritable)?);
        Ok(written)
    }

    pub fn commit(mut self) -> Result<(), WriteError> {
        let Some(staged) = self.staged.take() else {
            return Ok(());
        };
        staged.commit().map_err(|error| WriteError::Unwritable {
            path: self.file.to_owned(),
            error,
        })
    }
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        self.staged = None;
        if let Some(directory) = self.directory {
            // With the file in it, it stays.
            let _ = fs::remove_dir(directory);
        }
    }
}
