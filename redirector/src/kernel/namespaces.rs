//! The network namespaces that can be entered from here, to tell which ones are no more.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};
use procfs::{
    ProcError,
    process::{Process, all_processes},
};

use super::sys;

/// Of the first pid namespace, in which every process is seen (`PROC_PID_INIT_INO` in `linux/proc_ns.h`).
const FIRST_PID_NAMESPACE: u64 = 0xefff_fffc;

/// Where processes end all the time, another look may do without one that does.
const LOOKS: usize = 10;

/// Those of every thread, and those that are mounted somewhere.
#[derive(Debug, Default)]
pub struct Namespaces {
    seen: HashSet<u64>,
    /// Those that were asked about, by their inodes.
    open: HashMap<u64, File>,
    /// There are no others.
    complete: bool,
    /// The marks of those that may not be seen, if there is one.
    hidden: HashSet<Option<u64>>,
    /// The mark of each that is seen, if there is one.
    known: HashMap<u64, Option<u64>>,
    /// The mount namespaces that were looked through.
    mounts: HashSet<u64>,
    /// Processes and threads that had ended, some of them perhaps before this look.
    ended: HashSet<i32>,
    /// Others have ended meanwhile.
    torn: bool,
}

impl Namespaces {
    /// Looks for those with these inodes. Takes time linear in the number of all threads.
    pub fn look(wanted: &HashSet<u64>) -> Self {
        let mut found = Self::default();
        for _ in 0..LOOKS {
            let before = mem::take(&mut found.ended);
            found = Self::look_once(wanted);
            // Who ends meanwhile may leave its namespace to somebody who was not looked at.
            if !found.torn && found.ended.is_subset(&before) {
                return found;
            }
        }
        found.complete = false;
        found
    }

    fn look_once(wanted: &HashSet<u64>) -> Self {
        let mut found = Self::default();
        let mut processes = Vec::new();
        for process in all_processes().into_iter().flatten() {
            match process {
                Ok(process) => processes.push(process),
                Err(error) if has_ended(&error) => found.torn = true,
                Err(_) => found.hidden.extend([None]),
            }
        }
        let sees_all = inode(Path::new("/proc/self/ns/pid")).ok() == Some(FIRST_PID_NAMESPACE)
            && processes.iter().any(|process| process.pid == 1);
        for process in &processes {
            found.add_process(process, wanted);
        }
        let marks: HashSet<_> = found.known.values().flatten().collect();
        let is_known = |mark: &Option<u64>| mark.as_ref().is_some_and(|mark| marks.contains(mark));
        found.complete = sees_all && found.hidden.iter().all(is_known);
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

    fn add_process(&mut self, process: &Process, wanted: &HashSet<u64>) {
        // Not by way of procfs, which leaves out those that end while it lists them.
        let directory = PathBuf::from(format!("/proc/{}/task", process.pid));
        let count = || fs::metadata(&directory).map_or(0, |it| it.nlink().saturating_sub(2));
        let before = count();
        let threads = match fs::read_dir(&directory) {
            Ok(threads) => threads,
            Err(error) => return self.has_missed(process.pid, &error.into()),
        };
        let mut listed = 0;
        for thread in threads {
            listed += 1;
            let name = thread.map(|thread| thread.file_name());
            match name.map(|name| name.to_string_lossy().parse()) {
                Ok(Ok(tid)) => self.add_thread(process.pid, tid, wanted),
                Ok(Err(_)) => {}
                Err(error) => self.has_missed(process.pid, &error.into()),
            }
        }
        // The kernel's list ends at a thread that ends just then, without it (`proc_task_readdir()` in `fs/proc/base.c`).
        self.torn |= listed < before.min(count());
        let namespace = inode(&PathBuf::from(format!("/proc/{}/ns/mnt", process.pid)));
        // Also where it may not be seen which one it is.
        if namespace.map_or(true, |inode| self.mounts.insert(inode)) {
            self.add_mounted(process, wanted);
        }
    }

    fn add_thread(&mut self, pid: i32, tid: i32, wanted: &HashSet<u64>) {
        let task = PathBuf::from(format!("/proc/{pid}/task/{tid}"));
        let file = task.join("ns/net");
        match inode(&file) {
            Ok(inode) => {
                self.add(inode, &file, wanted);
                self.known.entry(inode).or_insert_with(|| mark(&task));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.hidden.insert(mark(&task));
            }
            Err(_) => {
                self.ended.insert(tid);
            }
        }
    }

    fn add_mounted(&mut self, process: &Process, wanted: &HashSet<u64>) {
        let mounts = match process.mountinfo() {
            Ok(mounts) => mounts,
            Err(error) => return self.has_missed(process.pid, &error),
        };
        for mount in mounts {
            let inode = mount.root.strip_prefix("net:[");
            let inode = inode.and_then(|rest| rest.strip_suffix(']')?.parse().ok());
            if let (Some(inode), Ok(place)) = (inode, mount.mount_point.strip_prefix("/")) {
                let root = PathBuf::from(format!("/proc/{}/root", process.pid));
                self.add(inode, &root.join(place), wanted);
            }
        }
    }

    fn has_missed(&mut self, id: i32, error: &ProcError) {
        if has_ended(error) {
            self.ended.insert(id);
        } else {
            self.hidden.insert(None);
        }
    }
}

/// `EINVAL` is what the mounts of a zombie give.
fn has_ended(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => {
            matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL))
        }
        _ => false,
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
