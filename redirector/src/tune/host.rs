//! What tuning reads and writes of a running kernel. Tests have another one.

use std::{fmt, fs, io, path::Path};

use nix::{
    fcntl::AtFlags,
    unistd::{AccessFlags, faccessat},
};
use procfs::process::{LimitValue, Process};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde::{Deserialize, Serialize};

use super::scope;
use crate::{config::Key, holders::Holder};

const PROC_SYS: &str = "/proc/sys";

pub trait Host {
    fn read(&self, key: &Key) -> Reading;
    fn write(&mut self, key: &Key, text: &str) -> io::Result<()>;
    /// Of open files. `NotFound` if the process has ended.
    fn limits(&self, process: &Holder) -> io::Result<Limits>;
    fn set_limits(&mut self, process: &Holder, limits: Limits) -> io::Result<()>;
    /// How many files it has open.
    fn open_files(&self, process: &Holder) -> io::Result<u64>;
}

/// What a key has now, and whether that may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    Value {
        text: String,
        access: Access,
    },
    Missing,
    /// The kernel shows no value that could be restored.
    Unreadable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Writable,
    /// Nobody may write this key here.
    ReadOnlyKey,
    ReadOnlyMount,
    Denied,
}

/// Of open files; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// The kernel that this process runs on.
pub struct Linux;

impl Host for Linux {
    fn read(&self, key: &Key) -> Reading {
        if let Some(why) = scope::out_of_reach(key) {
            return Reading::Unreadable(why);
        }
        let path = key.below(Path::new(PROC_SYS));
        match read_at_once(&path) {
            Ok(text) => Reading::Value {
                text: text.trim_end_matches('\n').to_owned(),
                access: access(&path),
            },
            Err(error) if is_missing(&error) => Reading::Missing,
            Err(error) => Reading::Unreadable(error.to_string()),
        }
    }

    fn write(&mut self, key: &Key, text: &str) -> io::Result<()> {
        // In one call of write(2), as the kernel takes each for a whole value; without the newline there
        // would be none for a value that is empty.
        let line = format!("{text}\n");
        fs::OpenOptions::new()
            .write(true)
            .open(key.below(Path::new(PROC_SYS)))
            .and_then(|mut file| io::Write::write_all(&mut file, line.as_bytes()))
    }

    fn limits(&self, process: &Holder) -> io::Result<Limits> {
        let limits = same(process)?.limits().map_err(io_error)?.max_open_files;
        let number = |limit| match limit {
            LimitValue::Unlimited => None,
            LimitValue::Value(number) => Some(number),
        };
        Ok(Limits {
            soft: number(limits.soft_limit),
            hard: number(limits.hard_limit),
        })
    }

    fn set_limits(&mut self, process: &Holder, limits: Limits) -> io::Result<()> {
        let same = same(process)?;
        let pid = Pid::from_raw(process.pid).ok_or(io::ErrorKind::NotFound)?;
        let new = Rlimit {
            current: limits.soft,
            maximum: limits.hard,
        };
        match prlimit(Some(pid), Resource::Nofile, new) {
            Ok(_) => {}
            Err(rustix::io::Errno::SRCH) => return Err(io::ErrorKind::NotFound.into()),
            Err(errno) => return Err(errno.into()),
        }
        // Through the directory that was opened before: it leads to no other process.
        same.stat().map(drop).map_err(io_error)
    }

    fn open_files(&self, process: &Holder) -> io::Result<u64> {
        let count = same(process)?.fd_count().map_err(io_error)?;
        Ok(count as u64)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |limit: Option<u64>| {
            limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
        };
        match (self.soft, self.hard) {
            (soft, hard) if soft == hard => f.write_str(&part(soft)),
            (soft, hard) => write!(f, "{} / {}", part(soft), part(hard)),
        }
    }
}

/// The process, if it still is the one that was found.
fn same(found: &Holder) -> io::Result<Process> {
    let process = Process::new(found.pid).map_err(io_error)?;
    let stat = process.stat().map_err(io_error)?;
    if stat.starttime == found.started {
        Ok(process)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// In one call of read(2): after it some keys, such as sets of ports, have no more to tell.
fn read_at_once(path: &Path) -> io::Result<String> {
    // More than any key has; of all ports every other one makes 192 KiB.
    let mut bytes = vec![0; 1 << 20];
    let length = io::Read::read(&mut fs::File::open(path)?, &mut bytes)?;
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn access(path: &Path) -> Access {
    // With the effective user, which is whom the kernel asks for.
    match faccessat(
        nix::fcntl::AT_FDCWD,
        path,
        AccessFlags::W_OK,
        AtFlags::AT_EACCESS,
    ) {
        Ok(()) => Access::Writable,
        Err(nix::errno::Errno::EROFS) => Access::ReadOnlyMount,
        Err(_) if is_read_only(path) => Access::ReadOnlyKey,
        Err(_) => Access::Denied,
    }
}

fn is_read_only(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

fn io_error(error: procfs::ProcError) -> io::Error {
    match error {
        procfs::ProcError::NotFound(_) => io::ErrorKind::NotFound.into(),
        procfs::ProcError::PermissionDenied(_) => io::ErrorKind::PermissionDenied.into(),
        procfs::ProcError::Io(error, _) if error.raw_os_error() == Some(libc::ESRCH) => {
            io::ErrorKind::NotFound.into()
        }
        procfs::ProcError::Io(error, _) => error,
        other => io::Error::other(other),
    }
}
