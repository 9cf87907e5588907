//! BPF links: what is pinned, and what it still holds to.

use std::{io, path::Path};

use crate::kernel::{Error, sys};

/// A deleted interface leaves the link with index 0 (`kernel/bpf/tcx.c`, `tcx_link_fdinfo()`;
/// `net/core/dev.c`, `bpf_xdp_link_show_fdinfo()`).
pub fn is_attached(pin: &Path, ifindex: u32) -> Result<bool, Error> {
    let link = match sys::object_get(pin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        link => link.map_err(Error::io("open", pin))?,
    };
    let found = sys::fdinfo(&link, "ifindex").map_err(Error::io("read", pin))?;
    Ok(found.and_then(|index| index.parse().ok()) == Some(ifindex))
}
