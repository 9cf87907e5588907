//! XDP links. An interface has one XDP program, so a foreign one stays and ours is refused.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
};

use aya::programs::loaded_programs;

use super::{XDP, link, link_pins, netlink, own_programs, pin};
use crate::{
    config::{self, Config, Hook, Interface, Name},
    kernel::{
        Error, bpffs,
        netlink::XdpMode,
        object::{self, INGRESS_XDP, INGRESS_XDP_GENERIC},
        sys::{self, Access},
    },
    plan::IngressHook,
};

/// `include/uapi/linux/bpf.h`.
const BPF_XDP: u32 = 37;

pub const DISPATCHER: &str = "xdp_dispatcher";

/// The programs that may be attached.
pub const fn programs(mode: config::XdpMode) -> &'static [&'static str] {
    match mode {
        config::XdpMode::Auto => &[INGRESS_XDP, INGRESS_XDP_GENERIC],
        config::XdpMode::Native => &[INGRESS_XDP],
        config::XdpMode::Generic => &[INGRESS_XDP_GENERIC],
    }
}

const fn program(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => INGRESS_XDP,
        XdpMode::Generic => INGRESS_XDP_GENERIC,
    }
}

/// The link, and why it is another mode than the first choice.
pub fn attach(
    directory: &Path,
    interface: &Interface,
    mode: config::XdpMode,
) -> Result<(OwnedFd, Option<String>), Error> {
    let refused = |mode, reason| Error::Xdp {
        interface: interface.name.clone(),
        mode,
        reason,
    };
    let only = |mode| {
        let link = attach_in(directory, interface, mode)?;
        link.map_err(|reason| refused(mode, reason))
    };
    match mode {
        config::XdpMode::Native => Ok((only(XdpMode::Native)?, None)),
        config::XdpMode::Generic => Ok((only(XdpMode::Generic)?, None)),
        config::XdpMode::Auto => match attach_in(directory, interface, XdpMode::Native)? {
            Ok(link) => Ok((link, None)),
            Err(why) => {
                let name = &interface.name;
                let told = format!("{name} runs XDP generically: its driver refuses it ({why})");
                Ok((only(XdpMode::Generic)?, Some(told)))
            }
        },
    }
}

/// The link, or why the kernel or the driver refuses this mode.
fn attach_in(
    directory: &Path,
    interface: &Interface,
    mode: XdpMode,
) -> Result<Result<OwnedFd, String>, Error> {
    let path = pinned(directory, mode);
    let program = sys::object_get(&path, Access::ReadWrite).map_err(Error::io("open", &path))?;
    Ok(
        sys::link_create(&program, interface.index, BPF_XDP, mode.flags())
            .map_err(|error| reason(interface, &program, mode, &error)),
    )
}

/// Whether what is pinned holds to the interface, in a mode that will do.
pub fn fits(
    directory: &Path,
    pin: &Path,
    ifindex: u32,
    mode: config::XdpMode,
) -> Result<bool, Error> {
    if !link::is_attached(pin, ifindex)? {
        return Ok(false);
    }
    Ok(match mode {
        config::XdpMode::Auto => true,
        config::XdpMode::Native => hook(directory, pin)? == IngressHook::XdpNative,
        config::XdpMode::Generic => hook(directory, pin)? == IngressHook::XdpGeneric,
    })
}

/// The mode to keep where it is not asked for. What auto had chosen for an interface that is gone or another one by now,
/// auto chooses again: whoever asks for a mode has its program alone, see [`settle`].
pub fn kept(
    directory: &Path,
    ifindex: u32,
    mode: config::XdpMode,
) -> Result<config::XdpMode, Error> {
    let may_choose =
        mode == config::XdpMode::Native && pinned(directory, XdpMode::Generic).exists();
    if may_choose && !fits(directory, &pin(directory, ifindex, XDP), ifindex, mode)? {
        return Ok(config::XdpMode::Auto);
    }
    Ok(mode)
}

/// Forgets the program of the mode that is not asked for, which auto had loaded. What still runs it keeps it.
pub fn settle(directory: &Path, config: &Config) -> Result<(), Error> {
    let other = match (config.hook, config.xdp_mode) {
        (Hook::Xdp, config::XdpMode::Native) => pinned(directory, XdpMode::Generic),
        (Hook::Xdp, config::XdpMode::Generic) => pinned(directory, XdpMode::Native),
        _ => return Ok(()),
    };
    if !other.exists() {
        return Ok(());
    }
    let id = object::program_id(&other)?;
    for link in link_pins(directory)? {
        if link::program(&link)? == Some(id) {
            return Ok(());
        }
    }
    fs::remove_file(&other).map_err(Error::io("remove", other))
}

/// The mode of a pinned link. Each has its program, so that no interface is asked, which another
/// network namespace may not have.
pub fn hook(directory: &Path, pin: &Path) -> Result<IngressHook, Error> {
    let path = pinned(directory, XdpMode::Native);
    if !path.exists() {
        return Ok(IngressHook::XdpGeneric);
    }
    Ok(if link::program(pin)? == Some(object::program_id(&path)?) {
        IngressHook::XdpNative
    } else {
        IngressHook::XdpGeneric
    })
}

/// The same for whoever may not open links, as rtnetlink tells; `None` where it tells of no program.
pub fn told(ifindex: u32) -> Option<IngressHook> {
    let attached = netlink().ok()?.xdp(ifindex).ok()?;
    let first = attached.first()?;
    Some(match first.mode {
        XdpMode::Native => IngressHook::XdpNative,
        XdpMode::Generic => IngressHook::XdpGeneric,
    })
}

fn pinned(directory: &Path, mode: XdpMode) -> std::path::PathBuf {
    directory.join("programs").join(program(mode))
}

/// An XDP program of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignXdp {
    pub program: u32,
    /// Empty where it cannot be read, which takes CAP_SYS_ADMIN.
    pub name: String,
    pub mode: XdpMode,
    /// Whose it is, if it is another instance's.
    pub instance: Option<Name>,
}

/// Who has the interface's XDP already, other than those that run one of our own programs.
pub fn foreign(ifindex: u32, own: &BTreeSet<u32>) -> Result<Option<ForeignXdp>, Error> {
    let attached = netlink()?
        .xdp(ifindex)
        .map_err(|error| Error::io("ask", "rtnetlink about XDP")(io::Error::other(error)))?;
    let other = attached.iter().find(|xdp| !own.contains(&xdp.program));
    Ok(other.map(|other| ForeignXdp {
        program: other.program,
        name: program_name(other.program).unwrap_or_default(),
        mode: other.mode,
        instance: instance_of(other.program),
    }))
}

fn instance_of(program: u32) -> Option<Name> {
    let runs = |name: &Name| own_programs(name).is_ok_and(|own| own.contains(&program));
    bpffs::names().ok()?.into_iter().find(runs)
}

/// As the kernel has it: 15 bytes at most.
pub fn program_name(id: u32) -> Option<String> {
    let mut programs = loaded_programs().flatten();
    let program = programs.find(|program| program.id() == id)?;
    program.name_as_str().map(str::to_owned)
}

impl ForeignXdp {
    /// The dispatcher of libxdp, which runs several programs one after another
    /// (`lib/libxdp/xdp-dispatcher.c.in` of xdp-tools).
    pub fn is_dispatcher(&self) -> bool {
        self.name == DISPATCHER
    }
}

impl fmt::Display for ForeignXdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.name)?;
        match &self.instance {
            Some(instance) => write!(f, " of instance \"{instance}\"")?,
            None if self.is_dispatcher() => f.write_str(" of libxdp")?,
            None => {}
        }
        write!(f, " (id {}, {})", self.program, self.mode)
    }
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
