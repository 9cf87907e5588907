//! TCX, Linux 6.6 and newer.

use std::{io, os::fd::OwnedFd, path::Path};

use redirector_common::Direction;

use super::Site;
use crate::kernel::{
    Error,
    sys::{self, Access, MAX_PROGRAMS},
};

/// `include/uapi/linux/bpf.h`.
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
/// Before no one in particular: first.
const BPF_F_BEFORE: u32 = 1 << 3;

pub fn attach(directory: &Path, site: &Site, direction: Direction) -> Result<OwnedFd, Error> {
    let path = directory.join("programs").join(site.program(direction));
    let program = sys::object_get(&path, Access::ReadWrite).map_err(Error::io("open", &path))?;
    sys::link_create(
        &program,
        site.interface.index,
        hook(direction),
        BPF_F_BEFORE,
    )
    .map_err(|error| match error.raw_os_error() {
        Some(libc::ERANGE) => full(site, direction),
        _ => site.refused(direction, error.to_string()),
    })
}

/// Fails where no program fits any more.
pub fn refuse_full(site: &Site, direction: Direction) -> Result<(), Error> {
    match programs(site.interface.index, direction) {
        Ok(ids) if ids.len() >= MAX_PROGRAMS => Err(full(site, direction)),
        // Whoever may not ask is refused elsewhere.
        _ => Ok(()),
    }
}

fn full(site: &Site, direction: Direction) -> Error {
    let reason = format!(
        "its TCX hook has {MAX_PROGRAMS} programs, and no room for more; `bpftool net show dev {}` lists them, and one \
         must be detached",
        site.interface.name
    );
    site.refused(direction, reason)
}

/// The ids of everybody's programs, in the order in which packets meet them. Kernels without TCX answer
/// `EINVAL`.
pub fn programs(ifindex: u32, direction: Direction) -> io::Result<Vec<u32>> {
    sys::query(ifindex, hook(direction))
}

const fn hook(direction: Direction) -> u32 {
    match direction {
        Direction::Ingress => BPF_TCX_INGRESS,
        Direction::Egress => BPF_TCX_EGRESS,
    }
}
