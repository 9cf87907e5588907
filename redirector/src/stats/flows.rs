//! Tracked flows, as the two flow tables have them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};
use redirector_common::{
    Table,
    abi::{self, Flow, FlowKey, KEY_FLOW, NO_PORT, TICK},
};

use crate::{
    config::Protocol,
    kernel::{Error, Instance},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedFlow {
    pub protocol: Protocol,
    pub client: (IpAddr, u16),
    /// The client's port as the application sees it, if that is another.
    pub moved_to: Option<u16>,
    pub address: IpAddr,
    /// The port on the wire.
    pub from: u16,
    /// The application's port.
    pub to: u16,
    pub answered: bool,
    pub age: Duration,
}

/// Every redirected flow, the oldest first. Long-lived TCP connections whose socket remembers
/// them can be missing once the table has made room for others.
pub fn read(instance: &Instance) -> Result<Vec<TrackedFlow>, Error> {
    let mut flows: HashMap<FlowKey, (Flow, Table)> = HashMap::new();
    let maps = &instance.maps;
    maps.each_pending(|key, flow| _ = flows.insert(key, (flow, Table::Pending)))?;
    maps.each_flow(|key, flow| _ = flows.insert(key, (flow, Table::Answered)))?;
    let now = monotonic();
    let mut flows: Vec<_> = flows
        .into_iter()
        .filter(|(key, (flow, _))| key.kind == KEY_FLOW && flow.is_redirected(key.local_port))
        .map(|(key, (flow, table))| TrackedFlow {
            protocol: if key.protocol == abi::Protocol::UDP {
                Protocol::Udp
            } else {
                Protocol::Tcp
            },
            client: (address(key.remote), client_port(&key, &flow)),
            moved_to: (flow.client != NO_PORT).then(|| key.remote_port.get()),
            address: address(key.local),
            from: flow.from.get(),
            to: key.local_port.get(),
            answered: table == Table::Answered,
            age: Duration::from_nanos(u64::from(flow.age(now)) << TICK),
        })
        .collect();
    flows.sort_by(|a, b| b.age.cmp(&a.age).then_with(|| a.client.cmp(&b.client)));
    Ok(flows)
}

/// On the wire; the application sees another one if it was moved.
fn client_port(key: &FlowKey, flow: &Flow) -> u16 {
    if flow.client == NO_PORT {
        key.remote_port.get()
    } else {
        flow.client.get()
    }
}

pub(super) fn address(address: abi::Address) -> IpAddr {
    Ipv6Addr::from(address.octets()).to_canonical()
}

/// The clock that the BPF programs read, in nanoseconds.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE).map_or(Duration::ZERO, Duration::from);
    now.as_nanos() as u64
}
