//! The lock that keeps two changes apart.

use std::fs::{self, File};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::process::Background;
use crate::wait;

const MOUNT_POINT: &str = "/sys/fs/bpf";

/// Keeps others from changing anything until it is dropped.
pub fn lock() -> Flock<File> {
    let file = File::open(MOUNT_POINT).expect("bpffs");
    Flock::lock(file, FlockArg::LockExclusive).expect("the lock")
}

/// Waits until a process waits for the lock.
#[track_caller]
pub fn until_waited_for(process: &Background) {
    let files = format!("/proc/{}/fd", process.pid());
    wait::until("it waits for the lock", || {
        let files = fs::read_dir(&files).expect("its files").flatten();
        let mut targets = files.filter_map(|file| fs::read_link(file.path()).ok());
        targets.any(|target| target == Path::new(MOUNT_POINT))
    });
}
