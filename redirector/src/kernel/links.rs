//! Attach points: which program goes where, and whether it is still there.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        links::{FdLink, LinkError},
        tc::TcAttachOptions,
    },
    sys::SyscallError,
};
use libc::{
    ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE, ARPHRD_PPP, ARPHRD_SIT, ARPHRD_TUNNEL,
    ARPHRD_TUNNEL6,
};
use nix::{errno::Errno, ifaddrs::getifaddrs};
use redirector_common::Direction;

use super::{Error, fault::Steps, sys};
use crate::config::Interface;

/// In the order in which links come; they go in the reverse one. Egress alone redirects nothing,
/// ingress alone would leave clients without an answer.
const DIRECTIONS: [Direction; 2] = [Direction::Egress, Direction::Ingress];

/// The programs that these interfaces need.
pub fn programs(interfaces: &[Interface]) -> Result<BTreeSet<&'static str>, Error> {
    let mut needed = BTreeSet::new();
    for interface in interfaces {
        for direction in DIRECTIONS {
            needed.insert(program(interface, direction)?);
        }
    }
    Ok(needed)
}

/// Attaches what is not attached of both programs to each interface, before whatever is there
/// already. The links live with this process until they are pinned, so a death before that detaches
/// them.
pub fn attach(
    directory: &Path,
    interfaces: &[Interface],
    steps: &mut Steps,
) -> Result<Vec<(PathBuf, FdLink)>, Error> {
    let mut links = Vec::new();
    for interface in interfaces {
        for direction in DIRECTIONS {
            let pin = pin(directory, interface.index, direction);
            if is_attached(&pin, interface.index)? {
                continue;
            }
            // The link of an interface that is gone.
            remove_file(&pin)?;
            steps.next()?;
            let path = directory
                .join("programs")
                .join(program(interface, direction)?);
            let link = SchedClassifier::from_pin(path)
                .and_then(|mut program| attach_one(&mut program, interface, direction))
                .map_err(|error| explain(interface, direction, error))?;
            links.push((pin, link));
        }
    }
    Ok(links)
}

/// Makes the links outlive this process.
pub fn pin_all(links: Vec<(PathBuf, FdLink)>, steps: &mut Steps) -> Result<(), Error> {
    for (path, link) in links {
        steps.next()?;
        link.pin(&path)
            .map_err(|source| Error::Pin { path, source })?;
    }
    Ok(())
}

/// Removes the pins of an interface's links, and with them the links.
pub fn remove(directory: &Path, ifindex: u32) -> Result<(), Error> {
    for direction in DIRECTIONS.into_iter().rev() {
        remove_file(&pin(directory, ifindex, direction))?;
    }
    Ok(())
}

/// Whether both links still hold to their interface.
pub fn are_attached(directory: &Path, ifindex: u32) -> Result<bool, Error> {
    for direction in DIRECTIONS {
        if !is_attached(&pin(directory, ifindex, direction), ifindex)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn attach_one(
    program: &mut SchedClassifier,
    interface: &Interface,
    direction: Direction,
) -> Result<FdLink, ProgramError> {
    let hook = match direction {
        Direction::Ingress => TcAttachType::Ingress,
        Direction::Egress => TcAttachType::Egress,
    };
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&interface.name, hook, options)?;
    let link = program.take_link(id)?;
    FdLink::try_from(link).map_err(|error| match error {
        LinkError::SyscallError(error) => error.into(),
        other => ProgramError::IOError(io::Error::other(other)),
    })
}

/// By index, because bpffs allows no dots as in `eth0.10`.
fn pin(directory: &Path, ifindex: u32, direction: Direction) -> PathBuf {
    directory
        .join("links")
        .join(format!("{ifindex}-{}", name(direction)))
}

/// A deleted interface leaves the link with index 0 (`kernel/bpf/tcx.c`, `tcx_link_fdinfo()`).
fn is_attached(pin: &Path, ifindex: u32) -> Result<bool, Error> {
    let link = match sys::object_get(pin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        link => link.map_err(Error::io("open", pin))?,
    };
    let found = sys::fdinfo(&link, "ifindex").map_err(Error::io("read", pin))?;
    Ok(found.and_then(|index| index.parse().ok()) == Some(ifindex))
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

fn program(interface: &Interface, direction: Direction) -> Result<&'static str, Error> {
    Ok(match (has_link_layer(interface)?, direction) {
        (true, Direction::Ingress) => "ingress",
        (true, Direction::Egress) => "egress",
        (false, Direction::Ingress) => "ingress_l3",
        (false, Direction::Egress) => "egress_l3",
    })
}

/// Whether packets begin with an Ethernet header; tun and WireGuard have none. Asked by netlink,
/// because /sys/class/net may show another network namespace.
fn has_link_layer(interface: &Interface) -> Result<bool, Error> {
    let addresses =
        getifaddrs().map_err(|errno| Error::io("look at", &interface.name)(errno.into()))?;
    let hardware = addresses
        .filter(|address| address.interface_name == interface.name)
        .find_map(|address| Some(address.address?.as_link_addr()?.hatype()));
    match hardware {
        Some(ARPHRD_ETHER | ARPHRD_LOOPBACK) => Ok(true),
        // A device without a hardware address, such as tun, has no entry; nor a header to put one in.
        None | Some(ARPHRD_NONE | ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_SIT) => {
            Ok(false)
        }
        other => Err(Error::LinkLayer {
            interface: interface.name.clone(),
            hardware: other,
        }),
    }
}

fn explain(interface: &Interface, direction: Direction, error: ProgramError) -> Error {
    let interface = interface.name.clone();
    if let ProgramError::SyscallError(SyscallError { io_error, .. }) = &error
        && io_error.raw_os_error() == Some(Errno::EINVAL as i32)
    {
        return Error::NoTcx { interface };
    }
    Error::Attach {
        interface,
        direction: name(direction),
        source: error,
    }
}
