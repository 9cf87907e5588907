//! XDP links. An interface has one XDP program, so a foreign one stays and ours is refused.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use aya::programs::loaded_programs;

use super::{XDP_PROGRAM, clsact, link, netlink};
use crate::{
    config::{self, Interface},
    kernel::{Error, netlink::XdpMode, sys},
    plan::IngressHook,
};

/// `include/uapi/linux/bpf.h`.
const BPF_XDP: u32 = 37;

/// The link, and why it is another mode than the first choice.
pub fn attach(
    directory: &Path,
    interface: &Interface,
    mode: config::XdpMode,
) -> Result<(OwnedFd, Option<String>), Error> {
    if let Some(other) = foreign(directory, interface.index)? {
        return Err(Error::ForeignXdp {
            interface: interface.name.clone(),
            other,
        });
    }
    let path = directory.join("programs").join(XDP_PROGRAM);
    let program = sys::object_get(&path).map_err(Error::io("open", &path))?;
    let attach = |mode: XdpMode| {
        sys::link_create(&program, interface.index, BPF_XDP, mode.flags())
            .map_err(|error| reason(interface, &program, mode, &error))
    };
    let refused = |mode, reason| Error::Xdp {
        interface: interface.name.clone(),
        mode,
        reason,
    };
    match mode {
        config::XdpMode::Native => attach(XdpMode::Native)
            .map(|link| (link, None))
            .map_err(|reason| refused(XdpMode::Native, reason)),
        config::XdpMode::Generic => attach(XdpMode::Generic)
            .map(|link| (link, None))
            .map_err(|reason| refused(XdpMode::Generic, reason)),
        config::XdpMode::Auto => attach(XdpMode::Native).map_or_else(
            |why| {
                let link =
                    attach(XdpMode::Generic).map_err(|reason| refused(XdpMode::Generic, reason))?;
                let name = &interface.name;
                let told = format!("{name} runs XDP generically: its driver refuses it ({why})");
                Ok((link, Some(told)))
            },
            |link| Ok((link, None)),
        ),
    }
}

/// Whether what is pinned holds to the interface, in a mode that will do.
pub fn fits(pin: &Path, ifindex: u32, mode: config::XdpMode) -> Result<bool, Error> {
    if !link::is_attached(pin, ifindex)? {
        return Ok(false);
    }
    Ok(match mode {
        config::XdpMode::Auto => true,
        config::XdpMode::Native => hook(ifindex)? == IngressHook::XdpNative,
        config::XdpMode::Generic => hook(ifindex)? == IngressHook::XdpGeneric,
    })
}

/// Who has the interface's XDP already: its name, id and mode.
fn foreign(directory: &Path, ifindex: u32) -> Result<Option<String>, Error> {
    let attached = netlink()?.xdp(ifindex).map_err(failed)?;
    let own = clsact::programs(directory)?;
    let Some(other) = attached.iter().find(|xdp| !own.contains(&xdp.program)) else {
        return Ok(None);
    };
    let mut programs = loaded_programs().flatten();
    let name = programs
        .find(|program| program.id() == other.program)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .unwrap_or_default();
    Ok(Some(format!(
        "\"{name}\" (id {}, {})",
        other.program, other.mode
    )))
}

/// The mode that the kernel runs it in.
pub fn hook(ifindex: u32) -> Result<IngressHook, Error> {
    let attached = netlink()?.xdp(ifindex).map_err(failed)?;
    let is_native = attached.iter().any(|xdp| xdp.mode == XdpMode::Native);
    Ok(if is_native {
        IngressHook::XdpNative
    } else {
        IngressHook::XdpGeneric
    })
}

/// In the driver's words, if it has any.
fn reason(interface: &Interface, program: &OwnedFd, mode: XdpMode, error: &io::Error) -> String {
    let told = netlink().ok().and_then(|netlink| {
        netlink
            .try_xdp(interface.index, program.as_raw_fd(), mode)
            .err()
    });
    match told {
        Some(refusal) if refusal.reason.is_some() => refusal.to_string(),
        _ => error.to_string(),
    }
}

fn failed(error: crate::kernel::netlink::Refusal) -> Error {
    Error::io("ask", "rtnetlink about XDP")(io::Error::other(error))
}
