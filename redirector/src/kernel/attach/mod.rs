//! Attach points: which program goes where, and whether it is still there.
//!
//! TCX and XDP are links, which live as long as their pins. Below Linux 6.6 there is clsact instead,
//! whose filters live until somebody removes them: they are known by the ids of the pinned programs.

mod clsact;
mod explain;
mod link;
mod neighbours;
mod rehearse;
mod replace;
mod site;
mod state;
mod tcx;
mod xdp;

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::net::if_::{if_nameindex, if_nametoindex};
use redirector_common::{
    Direction,
    abi::{ATTACH_CLSACT, ATTACH_OWN_QDISC, InterfaceRecord},
};

pub use self::{
    explain::{Explanation, Probed, explain},
    neighbours::{Hook as NeighbourHook, Neighbour, Neighbourhood, Order, Owners},
    rehearse::rehearse,
    replace::run_pinned,
    site::{Reason, Site, Tc, choose, has_tcx, own_programs},
    state::{has_filters, holds, is_gone, state},
    xdp::{ForeignXdp, settle},
};
use super::{Error, Maps, fault::Steps, maps::Plain, namespace, netlink::Netlink};
use crate::config::Interface;

/// In the order in which they come; they go in the reverse one. Egress alone redirects nothing,
/// ingress alone would leave clients without an answer.
const DIRECTIONS: [Direction; 2] = [Direction::Egress, Direction::Ingress];

/// The programs that these interfaces need, and those that most others would.
pub fn programs(sites: &[Site]) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::new();
    if sites.is_empty() {
        needed.extend(["ingress", "egress"]);
    }
    for site in sites {
        needed.extend(DIRECTIONS.map(|direction| site.program(direction)));
        needed.extend(site.xdp.into_iter().flat_map(xdp::programs));
    }
    needed
}

/// What is attached, and not pinned yet.
#[derive(Default)]
pub struct Attached {
    /// They go with this process until they are pinned.
    links: Vec<(PathBuf, OwnedFd)>,
    /// What the operator should hear.
    pub notices: Vec<String>,
}

/// Attaches to each interface what is not attached, before whatever is there already. A death before
/// the pins detaches the links; filters stay, and [`remove`] or [`discard`] finds them.
pub fn attach(directory: &Path, sites: &[Site], steps: &mut Steps) -> Result<Attached, Error> {
    let mut attached = Attached::default();
    for site in sites {
        attach_site(directory, site, steps, &mut attached)
            .map_err(|error| or_vanished(&site.interface, error))?;
    }
    Ok(attached)
}

/// What the kernel says of an interface that has gone differs from hook to hook, and is no help.
fn or_vanished(interface: &Interface, error: Error) -> Error {
    match if_nametoindex(&interface.name[..]) {
        Ok(index) if index == interface.index => error,
        _ => Error::Vanished {
            interface: interface.name.clone(),
        },
    }
}

fn attach_site(
    directory: &Path,
    site: &Site,
    steps: &mut Steps,
    attached: &mut Attached,
) -> Result<(), Error> {
    for direction in DIRECTIONS {
        if has_tc(directory, site, direction)? {
            continue;
        }
        match site.tc {
            Tc::Tcx => {
                let pin = pin(directory, site.interface.index, name(direction));
                // The link of an interface that is gone.
                link::detach(&pin)?;
                steps.next()?;
                let link = tcx::attach(directory, site, direction)?;
                attached.links.push((pin, link));
            }
            Tc::Clsact { .. } => {
                steps.next()?;
                clsact::attach(directory, site, direction)?;
            }
        }
    }
    let pin = pin(directory, site.interface.index, XDP);
    match site.xdp {
        Some(mode) if !xdp::fits(directory, &pin, site.interface.index, mode)? => {
            steps.next()?;
            link::detach(&pin)?;
            let (link, notice) = xdp::attach(directory, &site.interface, mode)?;
            attached.links.push((pin, link));
            attached.notices.extend(notice);
        }
        Some(_) => {}
        None if pin.exists() => {
            steps.next()?;
            link::detach(&pin)?;
        }
        None => {}
    }
    Ok(())
}

fn has_tc(directory: &Path, site: &Site, direction: Direction) -> Result<bool, Error> {
    let index = site.interface.index;
    match site.tc {
        Tc::Tcx => link::is_attached(&pin(directory, index, name(direction)), index),
        Tc::Clsact { .. } => clsact::is_attached(index, direction, &clsact::programs(directory)?),
    }
}

/// Makes the links outlive this process.
pub fn pin_all(attached: Attached, steps: &mut Steps) -> Result<Vec<String>, Error> {
    for (path, link) in attached.links {
        steps.next()?;
        super::sys::object_pin(&link, &path).map_err(Error::io("pin", path))?;
    }
    Ok(attached.notices)
}

/// Detaches from one interface.
pub fn remove(directory: &Path, ifindex: u32, record: &InterfaceRecord) -> Result<(), Error> {
    link::detach(&pin(directory, ifindex, XDP))?;
    for direction in DIRECTIONS.into_iter().rev() {
        link::detach(&pin(directory, ifindex, name(direction)))?;
    }
    if record.attach & ATTACH_CLSACT != 0 {
        let known = clsact::programs(directory)?;
        clsact::remove(ifindex, &known, record.attach & ATTACH_OWN_QDISC != 0)?;
    }
    Ok(())
}

/// Detaches everything of an instance, also of one that was only half made.
///
/// Links are detached wherever they hold. Interface indexes mean others in another network namespace, so
/// filters of an instance of another one are not looked for.
pub fn discard(directory: &Path) -> Result<(), Error> {
    for pin in link_pins(directory)? {
        link::detach(&pin)?;
    }
    if elsewhere(directory)?.is_some() {
        return Ok(());
    }
    let known = clsact::programs(directory)?;
    if known.is_empty() {
        return Ok(());
    }
    match records(directory) {
        Ok(records) => {
            for (ifindex, record) in records {
                if record.attach & ATTACH_CLSACT != 0 {
                    clsact::remove(ifindex, &known, record.attach & ATTACH_OWN_QDISC != 0)?;
                }
            }
        }
        // Of another version: wherever they are.
        Err(_) if !has_tcx() => {
            for ifindex in interfaces()? {
                clsact::remove(ifindex, &known, false)?;
            }
        }
        Err(_) => {}
    }
    Ok(())
}

/// The inode of an instance's network namespace, if that is another one.
fn elsewhere(directory: &Path) -> Result<Option<u64>, Error> {
    let settings = Maps::new(directory.join("maps")).settings();
    let netns = settings
        .ok()
        .and_then(|settings| settings.get(&0, 0).ok())
        .map(|Plain(settings)| settings.netns)
        // Not written yet, or not to be read.
        .filter(|netns| *netns != 0);
    let here = namespace::current()?;
    Ok(netns.filter(|netns| *netns != here))
}

fn link_pins(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = directory.join("links");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", &directory))?,
    };
    let mut pins = Vec::new();
    for entry in entries {
        pins.push(entry.map_err(Error::io("read", &directory))?.path());
    }
    Ok(pins)
}

fn records(directory: &Path) -> Result<Vec<(u32, InterfaceRecord)>, Error> {
    let map = Maps::new(directory.join("maps")).interfaces()?;
    map.iter()
        .map(|entry| entry.map(|(Plain(index), Plain(record))| (index, record)))
        .collect::<Result<_, _>>()
        .map_err(Error::map("INTERFACES"))
}

fn interfaces() -> Result<Vec<u32>, Error> {
    let interfaces =
        if_nameindex().map_err(|errno| Error::io("list", "interfaces")(errno.into()))?;
    Ok(interfaces.iter().map(|each| each.index()).collect())
}

fn netlink() -> Result<Netlink, Error> {
    Netlink::open().map_err(Error::io("open", "a netlink socket"))
}

/// By index, because bpffs allows no dots as in `eth0.10`.
fn pin(directory: &Path, ifindex: u32, what: &str) -> PathBuf {
    directory.join("links").join(format!("{ifindex}-{what}"))
}

const XDP: &str = "xdp";

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}
