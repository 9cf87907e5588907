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
    /// user's or have a capability more (`__ptrace_may_access()` in `kernel/ptrace.c`).
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
        let mut processes: Vec<_> = all_processes().into_iter().flatten().flatten().collect();
        processes.sort_unstable_by_key(|process| process.pid);
        for process in processes {
            let descriptors = match process.fd() {
                Ok(descriptors) => descriptors,
                Err(error) => {
                    holders.hidden |= is_denied(&error);
                    continue;
                }
            };
            let mut any = false;
            for target in descriptors.flatten().map(|descriptor| descriptor.target) {
                any = true;
                let FDTarget::Socket(inode) = target else {
                    continue;
                };
                let is_wanted = match search {
                    Search::First => inodes.remove(&inode),
                    Search::All => inodes.contains(&inode),
                };
                if is_wanted && let Some(holder) = Holder::new(&process) {
                    let known = holders.by_inode.entry(inode).or_default();
                    if !known.contains(&holder) {
                        known.push(holder);
                    }
                }
                if inodes.is_empty() {
                    return holders;
                }
            }
            // The list is for root, where it leads to may be not; procfs leaves those out. The working
            // directory is as much of a secret (`proc_pid_readlink()` in `fs/proc/base.c`).
            holders.hidden |= !any && process.cwd().is_err_and(|error| is_denied(&error));
        }
        holders
    }
}

const fn is_denied(error: &ProcError) -> bool {
    matches!(error, ProcError::PermissionDenied(_))
}

#[derive(Clone, Copy)]
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
