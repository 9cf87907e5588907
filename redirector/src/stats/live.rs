//! How many connections each rule has now.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
};

use aya::maps::MapError;
use procfs::net::{TcpNetEntry, TcpState};
use redirector_common::abi::{Flow, FlowKey, KEY_FLOW, NO_PORT, NO_RULE, Protocol};

use super::flows::address;
use crate::kernel::{Error, Instance, Plain};

/// By the rule's number. The flow table may still hold a TCP connection that has ended, and a socket does
/// not tell whether it was redirected, so both are asked. Where there is no socket to see, because it is a
/// container's or the instance is another network namespace's, the table alone is.
pub fn read(instance: &Instance) -> Result<HashMap<u32, u64>, Error> {
    let flows = redirected(instance)?;
    let has_tcp = flows.iter().any(|(key, _)| key.protocol == Protocol::TCP);
    let sockets = (has_tcp && instance.is_here()).then(connected).flatten();
    let mut live = HashMap::new();
    for (key, flow) in flows {
        let is_open = match &sockets {
            Some(sockets) if key.protocol == Protocol::TCP && !flow.is_socketless() => {
                sockets.contains(&ends(&key))
            }
            _ => true,
        };
        if is_open {
            *live.entry(flow.rule).or_default() += 1;
        }
    }
    Ok(live)
}

fn redirected(instance: &Instance) -> Result<Vec<(FlowKey, Flow)>, Error> {
    let mut flows = Vec::new();
    for entry in instance.maps.flows()?.iter() {
        match entry {
            Ok((Plain(key), Plain(flow))) => {
                if key.kind == KEY_FLOW && flow.from != NO_PORT && flow.rule != NO_RULE {
                    flows.push((key, flow));
                }
            }
            // Evicted while we were walking.
            Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(Error::map("FLOWS")(error)),
        }
    }
    Ok(flows)
}

/// Remote and local end of a socket.
type Ends = (SocketAddr, SocketAddr);

fn ends(key: &FlowKey) -> Ends {
    (
        (address(key.remote), key.remote_port.get()).into(),
        (address(key.local), key.local_port.get()).into(),
    )
}

/// Every TCP socket that has a connection; `None` where that cannot be read.
fn connected() -> Option<HashSet<Ends>> {
    let entries = procfs::net::tcp().ok()?.into_iter();
    // A kernel without IPv6 has no tcp6.
    let entries = entries.chain(procfs::net::tcp6().unwrap_or_default());
    let is_connected = |entry: &TcpNetEntry| {
        !matches!(
            entry.state,
            TcpState::TimeWait | TcpState::Close | TcpState::Listen | TcpState::NewSynRecv
        )
    };
    let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    Some(
        entries
            .filter(is_connected)
            .map(|entry| {
                (
                    canonical(entry.remote_address),
                    canonical(entry.local_address),
                )
            })
            .collect(),
    )
}
