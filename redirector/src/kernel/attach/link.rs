//! BPF links: what is pinned, and what it still holds to.

use std::{fs, io, os::fd::OwnedFd, path::Path};

use crate::kernel::{
    Error,
    sys::{self, Access},
};

/// A deleted interface leaves the link with index 0 (`kernel/bpf/tcx.c`, `tcx_link_fdinfo()`;
/// `net/core/dev.c`, `bpf_xdp_link_show_fdinfo()`).
pub fn is_attached(pin: &Path, ifindex: u32) -> Result<bool, Error> {
    Ok(number(pin, "ifindex")? == Some(ifindex))
}

/// Whether what is pinned holds to any interface, of whichever network namespace.
pub fn holds(pin: &Path) -> Result<bool, Error> {
    Ok(number(pin, "ifindex")?.is_some_and(|ifindex| ifindex != 0))
}

/// The id of the program that a link runs.
pub fn program(pin: &Path) -> Result<Option<u32>, Error> {
    number(pin, "prog_id")
}

/// From the next packet on the link runs another program. One whose interface is gone runs none.
pub fn update(pin: &Path, program: &Path) -> Result<(), Error> {
    let Some(link) = open(pin)? else {
        return Ok(());
    };
    let program =
        sys::object_get(program, Access::ReadWrite).map_err(Error::io("open", program))?;
    match sys::link_update(&link, &program) {
        Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => Ok(()),
        outcome => outcome.map_err(Error::io("update", pin)),
    }
}

/// Detaches at once, so that the interface is free for another. Nothing pinned is fine.
pub fn detach(pin: &Path) -> Result<(), Error> {
    let Some(link) = open(pin)? else {
        return Ok(());
    };
    sys::link_detach(&link).map_err(Error::io("detach", pin))?;
    fs::remove_file(pin).map_err(Error::io("remove", pin))
}

/// A number of a link's fdinfo; `None` where nothing is pinned.
fn number(pin: &Path, key: &str) -> Result<Option<u32>, Error> {
    let Some(link) = open(pin)? else {
        return Ok(None);
    };
    let found = sys::fdinfo(&link, key).map_err(Error::io("read", pin))?;
    Ok(found.and_then(|number| number.parse().ok()))
}

fn open(pin: &Path) -> Result<Option<OwnedFd>, Error> {
    match sys::object_get(pin, Access::ReadWrite) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        link => link.map(Some).map_err(Error::io("open", pin)),
    }
}
