//! A drain: no new connections are redirected, and live ones go on until they end.
//!
//! It is a reload to no rules at all, whose targets stay known for what is live. So whoever dies on the way
//! leaves an instance that a reload brings back.

use std::{
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use aya::maps::MapError;
use redirector_common::abi::{Flow, FlowKey, Protocol, SLOTS, SocketFlow};

use super::{
    Error,
    bpffs::{self, BpfFs},
    capability,
    instance::Instance,
    load::{switch, write_slot},
    maps::Plain,
    netlink::{Connection, connections},
    supervision,
    unload::unload_locked,
};
use crate::{check::Netfilter, config::Name};

/// What has no socket here is over once its rules have seen no packet for so long.
const QUIET: Duration = Duration::from_secs(2);

/// An instance that redirects nothing new.
pub struct Drain {
    instance: Instance,
    /// The slot without rules.
    slot: u32,
    /// Only where there is something that has no socket here.
    traffic: Option<Traffic>,
}

/// What is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// TCP connections that have a socket here.
    pub connections: usize,
    /// Whether UDP, or connections that a container has, still send packets.
    pub others: bool,
}

/// Packets of all rules.
struct Traffic {
    packets: u64,
    since: Instant,
}

impl Drain {
    /// `None` where nothing is loaded.
    pub fn begin(name: &Name) -> Result<Option<Self>, Error> {
        capability::require()?;
        let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
            return Ok(None);
        };
        supervision::refuse(name)?;
        Self::begin_locked(name)
    }

    /// Of every instance of this network namespace; of none if a `redirector run` keeps one of them.
    pub fn begin_all() -> Result<Vec<Self>, Error> {
        capability::require()?;
        let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
            return Ok(Vec::new());
        };
        let names = bpffs::names()?;
        let is_here = |name: &&Name| matches!(Instance::find(name), Ok(Some(it)) if it.is_here());
        let here: Vec<_> = names.iter().filter(is_here).collect();
        here.iter().try_for_each(|name| supervision::refuse(name))?;
        let drains = here.into_iter().map(Self::begin_locked);
        drains.filter_map(Result::transpose).collect()
    }

    /// For whoever holds the lock on the bpffs, and the instance's if anybody does.
    pub(super) fn begin_locked(name: &Name) -> Result<Option<Self>, Error> {
        let Some(instance) = Instance::find(name)? else {
            return Ok(None);
        };
        instance.require_namespace()?;
        let capacity = instance.maps.counters()?.len() as usize;
        let table = instance.table(instance.settings.slot)?;
        let table = table.next(&[], capacity)?;
        let slot = (instance.settings.slot + 1) % SLOTS;
        write_slot(&instance.maps, slot, &instance.table(slot)?, &table)?;
        switch(&instance.maps, slot, &table, Netfilter::Continues)?;
        let mut drain = Self {
            instance,
            slot,
            traffic: None,
        };
        if drain.has_flows_without_socket()? {
            drain.traffic = Some(Traffic {
                packets: drain.packets()?,
                since: Instant::now(),
            });
        }
        Ok(Some(drain))
    }

    pub fn name(&self) -> &Name {
        &self.instance.name
    }

    pub fn look(&mut self) -> Result<Live, Error> {
        let storage = self.instance.maps.sockets()?;
        let connections = connections::<SocketFlow>(Some(storage.as_fd()))
            .map_err(Error::io("ask", "sock_diag about connections"))?;
        let mut live = Live::default();
        for connection in &connections {
            live.connections += usize::from(self.is_ours(connection)?);
        }
        let packets = self.packets()?;
        if let Some(traffic) = &mut self.traffic {
            if traffic.packets != packets {
                *traffic = Traffic {
                    packets,
                    since: Instant::now(),
                };
            }
            live.others = traffic.since.elapsed() < QUIET;
        }
        Ok(live)
    }

    /// Unloads, unless there are rules again.
    pub fn finish(self) -> Result<bool, Error> {
        let Some(_bpffs) = BpfFs::lock_if_mounted()? else {
            return Ok(false);
        };
        supervision::refuse(&self.instance.name)?;
        self.finish_locked()
    }

    /// As [`begin_locked`](Self::begin_locked).
    pub(super) fn finish_locked(self) -> Result<bool, Error> {
        let name = &self.instance.name;
        let Some(now) = Instance::find(name)? else {
            return Ok(false);
        };
        if now.settings.slot != self.slot || now.settings.since != self.instance.settings.since {
            return Err(Error::DrainUndone { name: name.clone() });
        }
        unload_locked(name)
    }

    /// Whether a connection that some port's rules led to its own came through another one.
    fn is_ours(&self, connection: &Connection<SocketFlow>) -> Result<bool, Error> {
        if connection.stored.is_some() {
            return Ok(true);
        }
        let key = connection.key;
        let maps = &self.instance.maps;
        for table in [maps.flows()?, maps.pending()?] {
            match table.get(&Plain(key), 0) {
                Ok(Plain(flow)) => return Ok(flow.is_redirected(key.local_port)),
                Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(Error::map("FLOWS")(error)),
            }
        }
        Ok(false)
    }

    fn has_flows_without_socket(&self) -> Result<bool, Error> {
        let maps = &self.instance.maps;
        let mut found = false;
        let mut look = |key: FlowKey, flow: Flow| {
            found |= (flow.is_socketless() || key.protocol == Protocol::UDP)
                && flow.is_redirected(key.local_port);
        };
        maps.each_flow(&mut look)?;
        maps.each_pending(&mut look)?;
        Ok(found)
    }

    fn packets(&self) -> Result<u64, Error> {
        let numbers: Vec<_> = (0..self.instance.settings.unused).collect();
        let counters = self.instance.counters(&numbers)?;
        let packets = counters
            .iter()
            .map(|each| each.in_packets + each.out_packets);
        Ok(packets.sum())
    }
}
