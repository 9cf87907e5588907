//! A private copy of the workspace, which keeps what it has built from one run to the next.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{sys, workspace};

const TOOLCHAIN: &str = "target/ebpf-toolchain/toolchain";
/// What set-up has put there for tests.
const TOOLS: &str = "target/tools";

pub struct Copy {
    root: PathBuf,
    /// Held as long as the copy is used: two runs would break each other's code.
    _lock: fs::File,
}

impl Copy {
    /// Of the files as they are now, committed or not.
    pub fn of_workspace() -> Result<Self> {
        let directory = workspace::root().join("target/mutants");
        fs::create_dir_all(&directory)?;
        let lock = fs::File::create(directory.join("lock"))?;
        lock.try_lock()
            .context("another `cargo xtask mutate` runs here")?;
        let copy = Self {
            root: directory.join("workspace"),
            _lock: lock,
        };
        let files = listed()?;
        for file in files.iter().map(String::as_str).chain([TOOLCHAIN]) {
            copy.update(file)?;
        }
        copy.remove_all_but(&files, Path::new(""))?;
        copy.link(TOOLS)?;
        Ok(copy)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    pub fn write(&self, file: &str, content: &str) -> Result<()> {
        let path = self.path(file);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The cargo that runs us, in the copy.
    pub fn cargo(&self) -> Command {
        let mut cargo = workspace::cargo();
        cargo
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            // Builds are most of the time; the log needs no backtraces.
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("RUST_BACKTRACE", "0");
        cargo
    }

    /// Leaves alone what is the same, so that cargo need not build it again.
    fn update(&self, file: &str) -> Result<()> {
        let [from, to] = [workspace::root(), self.root.clone()].map(|root| root.join(file));
        let content = match fs::read(&from) {
            // Deleted, but git has not been told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return remove(&to),
            content => content.with_context(|| format!("cannot read {}", from.display()))?,
        };
        if fs::read(&to).is_ok_and(|found| found == content) {
            return Ok(());
        }
        fs::create_dir_all(to.parent().unwrap_or(&self.root))
            .and_then(|()| fs::write(&to, content))
            .with_context(|| format!("cannot write {}", to.display()))
    }

    fn link(&self, directory: &str) -> Result<()> {
        let [from, to] = [workspace::root(), self.root.clone()].map(|root| root.join(directory));
        fs::create_dir_all(to.parent().unwrap_or(&self.root))?;
        match symlink(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).with_context(|| format!("cannot link {}", to.display()))
            }
            _ => Ok(()),
        }
    }

    /// A file that was removed or renamed may be a test that still runs.
    fn remove_all_but(&self, files: &HashSet<String>, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(self.root.join(directory))? {
            let entry = entry?;
            let file = directory.join(entry.file_name());
            if file == Path::new("target") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.remove_all_but(files, &file)?;
            } else if !files.contains(&*file.to_string_lossy()) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// What git would have in a commit of everything.
fn listed() -> Result<HashSet<String>> {
    let mut git = Command::new("git");
    git.current_dir(workspace::root()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let Some(list) = sys::ask(&mut git) else {
        bail!("git does not list the files here");
    };
    Ok(list.lines().map(str::to_owned).collect())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
