//! Who else is on the hooks of an interface, in the order in which packets meet the programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use aya::programs::loaded_programs;
use redirector_common::Direction;

use super::{clsact, netlink, own_programs, tcx, xdp};
use crate::{
    config::Name,
    kernel::{Error, bpffs, netlink::XdpMode},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub hook: Hook,
    pub direction: Direction,
    /// To our program of that direction; `None` where that is not attached, or could not be read.
    pub order: Option<Order>,
    /// `None` for a filter without a program.
    pub id: Option<u32>,
    /// Of the program; `None` where it cannot be read, which takes CAP_SYS_ADMIN.
    pub name: Option<String>,
    /// Whose it is, if it is another instance's.
    pub instance: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    Xdp(XdpMode),
    Tcx,
    Clsact { kind: String, priority: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Before,
    After,
}

/// What could be read of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbourhood {
    pub neighbours: Vec<Neighbour>,
    /// What could not be, and why.
    pub unread: Vec<String>,
}

impl Neighbour {
    pub fn is_dispatcher(&self) -> bool {
        matches!(self.hook, Hook::Xdp(_)) && self.name.as_deref() == Some(xdp::DISPATCHER)
    }
}

/// Whose the programs of this host are.
pub struct Owners {
    own: BTreeSet<u32>,
    instances: BTreeMap<u32, Name>,
    names: BTreeMap<u32, String>,
}

impl Owners {
    /// As an instance sees them.
    pub fn of(name: &Name) -> Result<Self, Error> {
        let mut instances = BTreeMap::new();
        for other in bpffs::names()?.iter().filter(|other| *other != name) {
            // Another instance that is just being unloaded hides nobody.
            let programs = own_programs(other).unwrap_or_default();
            instances.extend(programs.into_iter().map(|id| (id, other.clone())));
        }
        let names = loaded_programs().flatten();
        let names =
            names.filter_map(|program| Some((program.id(), program.name_as_str()?.to_owned())));
        Ok(Self {
            own: own_programs(name)?,
            instances,
            names: names.collect(),
        })
    }

    /// Asks and changes nothing. What this process may not read is said and left out.
    pub fn neighbourhood(&self, ifindex: u32) -> Neighbourhood {
        let mut found = Neighbourhood::default();
        for direction in [Direction::Ingress, Direction::Egress] {
            let (met, is_whole) = met(ifindex, direction, &mut found.unread);
            let ours = met.iter().rposition(|each| self.is_own(each.id));
            for (position, each) in met.into_iter().enumerate() {
                if self.is_own(each.id) {
                    continue;
                }
                let order = |ours| {
                    if position < ours {
                        Order::Before
                    } else {
                        Order::After
                    }
                };
                let name = each.id.and_then(|id| self.names.get(&id).cloned());
                found.neighbours.push(Neighbour {
                    hook: each.hook,
                    direction,
                    order: ours.filter(|_| is_whole).map(order),
                    id: each.id,
                    name: name.or(each.name),
                    instance: each.id.and_then(|id| self.instances.get(&id).cloned()),
                });
            }
        }
        found.unread.sort();
        found.unread.dedup();
        found
    }

    fn is_own(&self, id: Option<u32>) -> bool {
        id.is_some_and(|id| self.own.contains(&id))
    }
}

struct Met {
    hook: Hook,
    id: Option<u32>,
    name: Option<String>,
}

/// Everything that a packet of one direction meets, and whether that is everything.
fn met(ifindex: u32, direction: Direction, unread: &mut Vec<String>) -> (Vec<Met>, bool) {
    let mut met = Vec::new();
    let mut is_whole = true;
    let mut fail = |what: &str, why: String| {
        is_whole = false;
        unread.push(format!("{what}: {why}"));
    };
    if direction == Direction::Ingress {
        match netlink().map(|netlink| netlink.xdp(ifindex)) {
            Ok(Ok(attached)) => met.extend(attached.into_iter().map(|xdp| Met {
                hook: Hook::Xdp(xdp.mode),
                id: Some(xdp.program),
                name: None,
            })),
            Ok(Err(error)) => fail("XDP", error.to_string()),
            Err(error) => fail("XDP", error.to_string()),
        }
    }
    match tcx::programs(ifindex, direction) {
        Ok(ids) => met.extend(ids.into_iter().map(|id| Met {
            hook: Hook::Tcx,
            id: Some(id),
            name: None,
        })),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fail("TCX", "it takes CAP_NET_ADMIN to list programs".to_owned());
        }
        Err(error) => fail("TCX", error.to_string()),
    }
    match clsact::filters(ifindex, direction) {
        Ok(filters) => met.extend(filters.into_iter().map(|filter| Met {
            hook: Hook::Clsact {
                kind: filter.kind,
                priority: filter.priority,
            },
            id: Some(filter.program).filter(|id| *id != 0),
            name: filter.name,
        })),
        Err(error) => fail("clsact", error.to_string()),
    }
    // A filter without a program has entries of its own for its tables, or is one of many of its kind.
    met.dedup_by(|next, last| next.id.is_none() && last.id.is_none() && next.hook == last.hook);
    (met, is_whole)
}
