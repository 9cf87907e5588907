//! The processes behind the rules: whoever holds a socket on one of their targets.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{changes::Application, error::Error};
use crate::{
    check,
    config::{Port, Protocol},
    holders::{Holder, Holders},
    kernel,
};

pub type Targets = BTreeSet<Target>;

type Target = (Protocol, Port);

/// What was found behind the targets.
#[derive(Debug, Default)]
pub struct Found {
    /// A master and all its workers, in the order of their process ids.
    pub applications: Vec<Application>,
    /// Nobody has a socket there.
    pub empty: Targets,
    /// Somebody has, but no process is to be seen.
    pub unseen: Targets,
    /// Some processes may not be looked into.
    pub hidden: bool,
}

pub fn find(targets: &Targets) -> Result<Found, Error> {
    let sockets = sockets(targets)?;
    let holders = Holders::all(sockets.iter().map(|(_, inode)| *inode).collect());
    let mut applications: BTreeMap<Holder, Targets> = BTreeMap::new();
    let mut empty = targets.clone();
    let mut unseen = Targets::new();
    for (target, inode) in sockets {
        if !holders.knows(inode) {
            empty.remove(&target);
            unseen.insert(target);
        }
        for holder in holders
            .of(inode)
            .iter()
            .filter(|holder| !is_manager(holder))
        {
            applications
                .entry(holder.clone())
                .or_default()
                .insert(target);
            empty.remove(&target);
        }
    }
    let applications = applications.into_iter();
    Ok(Found {
        applications: applications
            .map(|(process, ports)| Application { process, ports })
            .collect(),
        empty,
        unseen,
        hidden: holders.hidden,
    })
}

impl Found {
    /// Whether an application was missed for want of rights.
    pub fn is_denied(&self) -> bool {
        self.hidden && !self.unseen.is_empty()
    }
}

/// systemd holds the sockets of services that it starts when somebody connects; it is no application.
fn is_manager(holder: &Holder) -> bool {
    holder.pid == 1 && holder.name == "systemd"
}

/// With their inodes.
fn sockets(targets: &Targets) -> Result<Vec<(Target, u64)>, Error> {
    let ports = |protocol| {
        let ports = targets.iter().filter(move |(each, _)| *each == protocol);
        ports.map(|(protocol, port)| (*protocol, port.get()))
    };
    let mut by_list: HashSet<_> = ports(Protocol::Udp).collect();
    let mut found = Vec::new();
    match kernel::listeners() {
        Ok(listeners) => {
            found.extend(
                listeners
                    .into_iter()
                    .map(|each| (Protocol::Tcp, each.address, each.inode)),
            );
        }
        // A kernel without tcp_diag has a list too, of every connection.
        Err(_) => by_list.extend(ports(Protocol::Tcp)),
    }
    found.extend(check::bound_sockets(&by_list)?);
    let target = |(protocol, address, inode): (Protocol, std::net::SocketAddr, u64)| {
        let target = (protocol, Port::new(address.port())?);
        targets.contains(&target).then_some((target, inode))
    };
    Ok(found.into_iter().filter_map(target).collect())
}
