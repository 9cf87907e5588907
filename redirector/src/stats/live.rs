//! How many connections each rule has now.

use std::collections::{HashMap, HashSet};

use redirector_common::abi::{Flow, FlowKey, KEY_FLOW, NO_RULE, Protocol};

use crate::kernel::{Error, Instance, connections};

/// By the rule's number. The flow table may still hold a TCP connection that has ended, and a socket does
/// not tell whether it was redirected, so both are asked. Where there is no socket to see, because it is a
/// container's or the instance is another network namespace's, the table alone is.
pub fn read(instance: &Instance) -> Result<HashMap<u32, u64>, Error> {
    let mut flows = Vec::new();
    instance.maps.each_flow(|key, flow| {
        if is_redirected(&key, &flow) {
            flows.push((key, flow));
        }
    })?;
    let has_tcp = flows.iter().any(|(key, _)| key.protocol == Protocol::TCP);
    let sockets = (has_tcp && instance.is_here()).then(connected).flatten();
    let mut live = HashMap::new();
    for (key, flow) in flows {
        let is_open = match &sockets {
            Some(sockets) if key.protocol == Protocol::TCP && !flow.is_socketless() => {
                sockets.contains(&anywhere(key))
            }
            _ => true,
        };
        if is_open {
            *live.entry(flow.rule).or_default() += 1;
        }
    }
    Ok(live)
}

fn is_redirected(key: &FlowKey, flow: &Flow) -> bool {
    key.kind == KEY_FLOW && !flow.is_outgoing() && flow.rule != NO_RULE
}

/// A socket with a link-local peer is bound to a bridge where its packets are met on a port of that.
fn anywhere(key: FlowKey) -> FlowKey {
    FlowKey { scope: 0, ..key }
}

/// The flow of every TCP connection that has a socket, redirected or not; `None` where that cannot be read.
fn connected() -> Option<HashSet<FlowKey>> {
    let sockets = connections::<()>(None).ok()?;
    Some(
        sockets
            .into_iter()
            .map(|socket| anywhere(socket.key))
            .collect(),
    )
}
