//! Which processes hold sockets.

use std::{
    collections::{HashMap, HashSet},
    fmt::{self, Write},
};

use procfs::{
    ProcError,
    process::{FDTarget, Process, all_processes},
};

/// A process that has a descriptor of a socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub pid: i32,
    /// When it began, in ticks since boot: with it the number is no other process's.
    pub started: u64,
    pub name: String,
}

/// By the inode of the socket.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    by_inode: HashMap<u64, Vec<Holder>>,
    /// Some processes may not be looked into. Root may not either without CAP_SYS_PTRACE, if they are another
    /// user's or have a capability more (`__ptrace_may_access()` in `kernel/ptrace.c`), and not list what another
    /// user's have without CAP_DAC_READ_SEARCH (`proc_fd_permission()` in `fs/proc/fd.c`).
    pub hidden: bool,
}

impl Holders {
    /// The one with the lowest process id of each socket: of a master and its workers, the master. Does
    /// not look further than it must.
    pub fn first(inodes: HashSet<u64>) -> Self {
        Self::search(inodes, Search::First)
    }

    /// All of each socket.
    pub fn all(inodes: HashSet<u64>) -> Self {
        Self::search(inodes, Search::All)
    }

    /// In the order of their process ids.
    pub fn of(&self, inode: u64) -> &[Holder] {
        self.by_inode.get(&inode).map_or(&[], Vec::as_slice)
    }

    pub fn knows(&self, inode: u64) -> bool {
        self.by_inode.contains_key(&inode)
    }

    /// Without those of other sockets, and with what another search has found.
    pub fn updated(mut self, inodes: &HashSet<u64>, found: Self) -> Self {
        self.by_inode.retain(|inode, _| inodes.contains(inode));
        self.by_inode.extend(found.by_inode);
        self.hidden |= found.hidden;
        self
    }

    fn search(mut inodes: HashSet<u64>, search: Search) -> Self {
        let mut holders = Self::default();
        if inodes.is_empty() {
            return holders;
        }
        let mut seen = HashSet::new();
        for _ in 0..PASSES {
            let mut processes: Vec<_> = all_processes().into_iter().flatten().flatten().collect();
            processes.retain(|process| seen.insert(process.pid));
            processes.sort_unstable_by_key(|process| process.pid);
            let mut has_one_ended = false;
            for process in processes {
                has_one_ended |= holders.look_into(&process, &mut inodes, search) == Looked::Ended;
                if inodes.is_empty() {
                    return holders;
                }
            }
            // It may have handed its sockets to one that began meanwhile, as a daemon does.
            if !has_one_ended {
                break;
            }
        }
        holders
    }

    fn look_into(
        &mut self,
        process: &Process,
        inodes: &mut HashSet<u64>,
        search: Search,
    ) -> Looked {
        let descriptors = match process.fd() {
            Ok(descriptors) => descriptors,
            Err(error) => return self.refused(&error),
        };
        let mut any = false;
        for target in descriptors.flatten().map(|descriptor| descriptor.target) {
            any = true;
            let FDTarget::Socket(inode) = target else {
                continue;
            };
            if !inodes.contains(&inode) {
                continue;
            }
            let Some(holder) = Holder::new(process) else {
                return Looked::Ended;
            };
            let known = self.by_inode.entry(inode).or_default();
            if !known.contains(&holder) {
                known.push(holder);
            }
            if search == Search::First {
                inodes.remove(&inode);
            }
        }
        if any {
            return Looked::Through;
        }
        // The list is for root, where it leads to may be not; procfs leaves those out. The working
        // directory is as much of a secret (`proc_pid_readlink()` in `fs/proc/base.c`).
        process
            .cwd()
            .map_or_else(|error| self.refused(&error), |_| Looked::Through)
    }

    fn refused(&mut self, error: &ProcError) -> Looked {
        self.hidden |= matches!(error, ProcError::PermissionDenied(_));
        match error {
            ProcError::NotFound(_) => Looked::Ended,
            _ => Looked::Through,
        }
    }
}

/// More than it takes where processes begin and end all the time.
const PASSES: usize = 8;

#[derive(PartialEq, Eq)]
enum Looked {
    Through,
    /// It has ended meanwhile.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    First,
    All,
}

impl Holder {
    /// `None` if it has ended meanwhile.
    fn new(process: &Process) -> Option<Self> {
        let stat = process.stat().ok()?;
        Some(Self {
            pid: process.pid,
            started: stat.starttime,
            name: stat.comm,
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its process chose it, and a terminal would obey control characters.
        for letter in self.name.chars() {
            if letter.is_control() {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        write!(f, " (pid {})", self.pid)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd};

    use super::*;

    #[test]
    fn own_socket_is_found_once_however_often_it_is_held() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _again = listener.try_clone().unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap();
        let inode = inode.trim_start_matches("socket:[").trim_end_matches(']');
        let inode: u64 = inode.parse().unwrap();
        for holders in [Holders::first([inode].into()), Holders::all([inode].into())] {
            let [holder] = holders.of(inode) else {
                panic!("{holders:?}");
            };
            assert_eq!(holder.pid.unsigned_abs(), std::process::id());
            assert!(holder.started > 0);
        }
        assert!(!Holders::all([u64::MAX].into()).knows(u64::MAX));
    }
}
