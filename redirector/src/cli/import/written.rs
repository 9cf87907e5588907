//! The configuration that an import writes, and the way back.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} exists; --force replaces it, or name another file", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {error}", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
}

/// Before anything is explained or tried.
pub fn require_absent(file: &Path) -> Result<(), WriteError> {
    match fs::symlink_metadata(file) {
        Ok(_) => Err(WriteError::Exists(file.to_owned())),
        Err(_) => Ok(()),
    }
}

/// A file that was written, what was in its place, and the directory that was made for it.
pub struct Written<'a> {
    file: &'a Path,
    before: Option<Vec<u8>>,
    directory: Option<&'a Path>,
}

impl<'a> Written<'a> {
    /// Over a file that is there only if it may be replaced.
    pub fn new(file: &'a Path, config: &str, may_replace: bool) -> Result<Self, WriteError> {
        let unwritable = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists(file.to_owned()),
            _ => WriteError::Unwritable {
                path: file.to_owned(),
                error,
            },
        };
        let before = match fs::read(file) {
            Ok(before) if may_replace => Some(before),
            Err(error) if may_replace && error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable(error));
            }
            _ => None,
        };
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
        directory
            .map_or(Ok(()), fs::create_dir)
            .map_err(unwritable)?;
        let this = Self {
            file,
            before,
            directory,
        };
        if this.before.is_some() {
            replace(file, config.as_bytes()).map_err(unwritable)?;
            return Ok(this);
        }
        let mut created = File::create_new(file).map_err(unwritable)?;
        match created.write_all(config.as_bytes()) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.undo();
                Err(unwritable(error))
            }
        }
    }

    /// Whatever fails here, the error that led here is the one worth telling.
    pub fn undo(&self) {
        let _ = match &self.before {
            Some(before) => replace(self.file, before),
            None => fs::remove_file(self.file),
        };
        if let Some(directory) = self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// There is the one or the other at any moment.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_added_extension("new");
    let written = File::create(&beside).and_then(|mut created| {
        created.write_all(bytes)?;
        created.sync_all()?;
        fs::rename(&beside, file)
    });
    if written.is_err() {
        // The error that led here is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}
