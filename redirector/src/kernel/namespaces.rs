//! The network namespaces that can be entered from here, to tell which ones are no more.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};
use procfs::process::{Process, all_processes};

use super::sys;

/// Of the first pid namespace, in which every process is seen (`PROC_PID_INIT_INO` in `linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// Those of every thread, and those that are mounted somewhere.
#[derive(Debug, Default)]
pub struct Namespaces {
    seen: HashSet<u64>,
    /// Those that were asked about, by their inodes.
    open: HashMap<u64, File>,
    /// There are no others.
    complete: bool,
}

impl Namespaces {
    /// Looks for those with these inodes. Takes time linear in the number of all threads.
    pub fn look(wanted: &HashSet<u64>) -> Self {
        let processes: Vec<_> = all_processes().into_iter().flatten().flatten().collect();
        let sees_all = inode(Path::new("/proc/self/ns/pid")).ok() == Some(FIRST_PID_NAMESPACE)
            && processes.iter().any(|process| process.pid == 1);
        let mut found = Self::default();
        let mut mounts = HashSet::new();
        let (mut marked, mut known, mut hidden) = (HashSet::new(), HashSet::new(), HashSet::new());
        for process in &processes {
            for task in process.tasks().into_iter().flatten().flatten() {
                let task = PathBuf::from(format!("/proc/{}/task/{}", task.pid, task.tid));
                let file = task.join("ns/net");
                match inode(&file) {
                    Ok(inode) => {
                        found.add(inode, &file, wanted);
                        if marked.insert(inode) {
                            known.extend(mark(&task));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        hidden.insert(mark(&task));
                    }
                    // It has ended.
                    Err(_) => {}
                }
            }
            let mount_namespace = inode(&PathBuf::from(format!("/proc/{}/ns/mnt", process.pid)));
            if mount_namespace.map_or(true, |inode| mounts.insert(inode)) {
                found.add_mounted(process, wanted);
            }
        }
        let is_known = |mark: &Option<u64>| mark.is_some_and(|mark| known.contains(&mark));
        found.complete = sees_all && hidden.iter().all(is_known);
        found
    }

    /// Whether it is certain that there is none with this inode, which was asked about, and this cookie. Who
    /// holds one by a descriptor alone is nobody who could be shown the way to it.
    pub fn are_without(&self, inode: u64, cookie: u64) -> bool {
        match self.open.get(&inode) {
            // Its inode is another one's by now, or it is still there.
            Some(file) => cookie_of(file).is_ok_and(|other| other != cookie),
            None => self.complete && !self.seen.contains(&inode),
        }
    }

    fn add(&mut self, inode: u64, path: &Path, wanted: &HashSet<u64>) {
        if wanted.contains(&inode)
            && !self.open.contains_key(&inode)
            // What the path belongs to may have ended meanwhile.
            && let Ok(file) = File::open(path)
            && file.metadata().is_ok_and(|metadata| metadata.ino() == inode)
        {
            self.open.insert(inode, file);
        }
        self.seen.insert(inode);
    }

    fn add_mounted(&mut self, process: &Process, wanted: &HashSet<u64>) {
        for mount in process.mountinfo().into_iter().flatten() {
            let inode = mount.root.strip_prefix("net:[");
            let inode = inode.and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            if let (Some(inode), Ok(place)) = (inode, mount.mount_point.strip_prefix("/")) {
                let root = PathBuf::from(format!("/proc/{}/root", process.pid));
                self.add(inode, &root.join(place), wanted);
            }
        }
    }
}

/// What those in one network namespace have in common, also where it may not be seen which one that is.
fn mark(task: &Path) -> Option<u64> {
    inode(&task.join("net/dev")).ok()
}

fn inode(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.ino())
}

/// A thread enters it.
fn cookie_of(file: &File) -> io::Result<u64> {
    let enter = || {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        sys::namespace_cookie()
    };
    let ended = thread::scope(|scope| scope.spawn(enter).join());
    ended.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel;

    #[test]
    fn the_own_one_is_there() {
        let inode = kernel::namespace_inode().unwrap();
        let cookie = kernel::namespace_cookie().unwrap();
        let namespaces = Namespaces::look(&[inode, 1].into());
        assert!(!namespaces.are_without(inode, cookie));
        // For whoever may enter it.
        let other = cookie.wrapping_add(1);
        let may_enter = cookie_of(&namespaces.open[&inode]).is_ok();
        assert_eq!(namespaces.are_without(inode, other), may_enter);
        assert_eq!(namespaces.are_without(1, other), namespaces.complete);
    }
}
