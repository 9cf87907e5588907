//! Which build an instance's programs are of: a symbolic link beside its pins, which leads nowhere.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process,
};

use super::{Error, object::OBJECT};

const FILE: &str = "build";

/// Ours: the version, and a hash of the object because one version can have several.
pub fn own() -> String {
    let mut hasher = DefaultHasher::new();
    OBJECT.hash(&mut hasher);
    format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}

/// Of the programs pinned in a directory; `None` where nothing tells.
pub fn of(directory: &Path) -> Option<String> {
    let build = fs::read_link(path(directory)).ok()?;
    Some(build.to_string_lossy().into_owned())
}

/// Notes ours, whatever stood there.
pub fn write(directory: &Path) -> Result<(), Error> {
    let path = path(directory);
    let new = directory.join(format!("{FILE}~{}", process::id()));
    symlink(own(), &new)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error: io::Error| Error::io("write", &path)(error))
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}
