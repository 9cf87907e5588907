//! A newer binary in our place: a package's upgrade replaces the file, and a SIGHUP tells us. The process
//! stays the same one, so a service manager has nothing to restart, and nothing is unloaded.

use std::{
    env, fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

/// What stands where our binary stood, if it is another.
pub fn find() -> Option<PathBuf> {
    let path = env::current_exe().ok()?;
    // The kernel marks what is gone.
    let path = PathBuf::from(path.to_str()?.trim_end_matches(" (deleted)"));
    let found = fs::metadata(&path).ok()?;
    let own = fs::metadata(Path::new("/proc/self/exe")).ok()?;
    let is_other = (found.dev(), found.ino()) != (own.dev(), own.ino());
    is_other.then_some(path)
}

/// Only an error returns. What this process keeps is free from then on, until the successor takes it over.
pub fn become_it(binary: &Path) -> io::Error {
    Command::new(binary).args(env::args_os().skip(1)).exec()
}
