//! Whether bpffs is mounted, and how it gets there.

use std::{fs, path::Path};

use nix::{
    errno::Errno,
    mount::{self, MsFlags},
    sys::statfs::{BPF_FS_MAGIC, statfs},
    unistd::getppid,
};

use super::MOUNT_POINT;
use crate::kernel::Error;

pub fn is_mounted() -> Result<bool, Error> {
    match statfs(MOUNT_POINT) {
        Ok(found) => Ok(found.filesystem_type() == BPF_FS_MAGIC),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => Err(Error::io("look at", MOUNT_POINT)(errno.into())),
    }
}

pub fn mount() -> Result<(), Error> {
    refuse_private()?;
    let path = Path::new(MOUNT_POINT);
    mount::mount(
        Some("bpf"),
        path,
        Some("bpf"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
        Some("mode=700"),
    )
    .map_err(|errno| Error::Mount {
        path: path.into(),
        source: errno.into(),
    })
}

pub fn refuse_private() -> Result<(), Error> {
    if mounts_last() {
        return Ok(());
    }
    Err(Error::PrivateMount {
        path: MOUNT_POINT.into(),
    })
}

/// Whether the first process shares our mounts, or where that may not be known, our parent. Where
/// they do not (`ip netns exec`), a mount and all pins in it are gone as soon as this command ends.
fn mounts_last() -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let other = of("1").or_else(|| of(&getppid().to_string()));
    other.is_none() || other == of("self")
}
