//! clsact and BPF filters, where the kernel has no TCX.

use std::{collections::BTreeSet, fs, io, os::fd::AsRawFd, path::Path};

use redirector_common::{
    Direction,
    abi::{ATTACH_OWN_QDISC, InterfaceRecord},
};

use super::{DIRECTIONS, Site, Tc, netlink, records};
use crate::kernel::{
    Error, bpffs,
    netlink::{Clsact, Filter, Netlink, Refusal},
    object,
    sys::{self, Access},
};

/// The name of our filters.
const FILTER: &str = "redirector";

/// The ids of the pinned programs of an instance: filters that run one of them are its own.
pub fn programs(directory: &Path) -> Result<BTreeSet<u32>, Error> {
    let directory = directory.join("programs");
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(Error::io("read", &directory))?,
    };
    let mut ids = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(Error::io("read", &directory))?.path();
        ids.insert(object::program_id(&path)?);
    }
    Ok(ids)
}

/// Attaches before whatever is there already.
pub fn attach(directory: &Path, site: &Site, direction: Direction) -> Result<(), Error> {
    let ifindex = site.interface.index;
    let netlink = netlink()?;
    let refused = |reason| site.refused(direction, reason);
    match netlink.add_clsact(ifindex) {
        Ok(Clsact::Created | Clsact::WasThere) => {}
        Ok(Clsact::Ingress) => return Err(refused(has_ingress(site))),
        Err(error) => return Err(refused(error.to_string())),
    }
    let path = directory.join("programs").join(site.program(direction));
    let program = sys::object_get(&path, Access::ReadWrite).map_err(Error::io("open", &path))?;
    let filters = netlink
        .filters(ifindex, direction)
        .map_err(|error| refused(error.to_string()))?;
    let priority = first_priority(&filters).ok_or_else(|| refused(TAKEN.to_owned()))?;
    let program = program.as_raw_fd();
    netlink
        .add_filter(ifindex, direction, priority, program, FILTER)
        .map_err(|error| refused(error.to_string()))
}

/// Fails where [`attach`] would, and changes nothing.
pub fn rehearse(site: &Site, direction: Direction) -> Result<(), Error> {
    let ifindex = site.interface.index;
    let refused = |reason| site.refused(direction, reason);
    let netlink = netlink()?;
    let ask = |error: Refusal| refused(error.to_string());
    if netlink.has_ingress(ifindex).map_err(ask)? {
        return Err(refused(has_ingress(site)));
    }
    let filters = netlink.filters(ifindex, direction).map_err(ask)?;
    match first_priority(&filters) {
        Some(_) => Ok(()),
        None => Err(refused(TAKEN.to_owned())),
    }
}

const TAKEN: &str = "a filter of another kind has priority 1: move it to a later one";

fn has_ingress(site: &Site) -> String {
    format!(
        "there is an ingress qdisc, which has no egress, in the place of clsact: remove it (tc qdisc del dev {} ingress), \
         and make its filters again on clsact, which has both",
        site.interface.name
    )
}

/// From the next packet on the filter runs another program (`cls_bpf_change()` swaps them under RCU).
pub fn replace(
    ifindex: u32,
    direction: Direction,
    filter: &Filter,
    program: &Path,
) -> Result<(), Error> {
    let program =
        sys::object_get(program, Access::ReadWrite).map_err(Error::io("open", program))?;
    netlink()?
        .replace_filter(ifindex, direction, filter, program.as_raw_fd())
        .map_err(failed)
}

/// A priority of its own before the first one, or together with BPF filters of priority 1, of which
/// the newest comes first (`cls_bpf_change()`).
fn first_priority(filters: &[Filter]) -> Option<u16> {
    match filters.first() {
        None => Some(u16::MAX / 2),
        Some(first) if first.priority > 1 => Some(first.priority - 1),
        Some(first) => (first.kind == "bpf").then_some(1),
    }
}

/// Everybody's, in the order in which packets meet them.
pub fn filters(ifindex: u32, direction: Direction) -> Result<Vec<Filter>, Error> {
    netlink()?.filters(ifindex, direction).map_err(failed)
}

pub fn is_attached(
    ifindex: u32,
    direction: Direction,
    programs: &BTreeSet<u32>,
) -> Result<bool, Error> {
    Ok(filters(ifindex, direction)?
        .iter()
        .any(|filter| programs.contains(&filter.program)))
}

/// For whoever may not ask which programs are ours.
pub fn is_named(ifindex: u32, direction: Direction) -> Result<bool, Error> {
    Ok(filters(ifindex, direction)?
        .iter()
        .any(|filter| filter.name.as_deref() == Some(FILTER)))
}

/// Removes the filters that run one of these programs, and the qdisc if it is ours and nobody else
/// has come to use it.
pub fn remove(ifindex: u32, programs: &BTreeSet<u32>, is_qdisc_ours: bool) -> Result<(), Error> {
    let netlink = netlink()?;
    let mut others = 0;
    for direction in DIRECTIONS.into_iter().rev() {
        for filter in netlink.filters(ifindex, direction).map_err(failed)? {
            if programs.contains(&filter.program) {
                netlink
                    .remove_filter(ifindex, direction, &filter)
                    .map_err(failed)?;
            } else {
                others += 1;
            }
        }
    }
    if is_qdisc_ours && others == 0 {
        remove_qdisc(&netlink, ifindex)?;
    }
    Ok(())
}

fn remove_qdisc(netlink: &Netlink, ifindex: u32) -> Result<(), Error> {
    match netlink.remove_clsact(ifindex) {
        // The interface is gone, or someone else was faster.
        Err(error)
            if matches!(
                error.source.raw_os_error(),
                Some(libc::ENODEV | libc::ENOENT | libc::EINVAL)
            ) =>
        {
            Ok(())
        }
        outcome => outcome.map_err(failed),
    }
}

/// Whether the qdisc is ours to remove once nobody uses it: the load brings it, or an instance that brought
/// it uses it still. The last of ours to leave removes it.
pub fn is_qdisc_ours(ifindex: u32) -> Result<bool, Error> {
    if !netlink()?.has_clsact(ifindex).map_err(failed)? {
        return Ok(true);
    }
    for name in bpffs::names()? {
        let directory = bpffs::directory(&name);
        let records = records(&directory).unwrap_or_default();
        let owns = |(index, record): &(u32, InterfaceRecord)| {
            *index == ifindex && record.attach & ATTACH_OWN_QDISC != 0
        };
        if !records.iter().any(owns) {
            continue;
        }
        let known = programs(&directory)?;
        for direction in DIRECTIONS {
            if is_attached(ifindex, direction, &known)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Site {
    pub fn owns_qdisc(&self) -> bool {
        matches!(self.tc, Tc::Clsact { owns_qdisc: true })
    }
}

fn failed(error: Refusal) -> Error {
    Error::io("ask", "rtnetlink about filters")(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(priority: u16, kind: &str) -> Filter {
        Filter {
            priority,
            handle: 1.into(),
            program: 7,
            name: None,
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn ours_comes_first() {
        for (filters, priority) in [
            (vec![], Some(32_767)),
            (vec![filter(49_152, "flower")], Some(49_151)),
            (vec![filter(2, "flower"), filter(3, "bpf")], Some(1)),
            (vec![filter(1, "bpf"), filter(2, "bpf")], Some(1)),
            (vec![filter(1, "flower")], None),
        ] {
            assert_eq!(first_priority(&filters), priority, "{filters:?}");
        }
    }
}
