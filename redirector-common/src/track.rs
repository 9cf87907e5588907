//! Who remembers that a connection was redirected: its socket where it has one, else a flow table.

use crate::{
    Direction, Packet, Peer, Skip, State, Table,
    abi::{
        FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, Histogram, KEY_FLOW, NO_PORT, NO_RULE,
        PORT_CHANGED, Port, Protocol, TICK, UDP_IDLE, UDP_REFRESH,
    },
    decision::Decision,
    earlier,
    ip::{Addresses, addresses},
    moved, outgoing,
    parse::Ends,
    recent,
};

/// What a packet is rewritten to, and for which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(8))]
pub struct Translation {
    /// The port of this host's end.
    pub local: Port,
    /// The client's, or [`NO_PORT`] where it stays.
    pub remote: Port,
    pub rule: u32,
}

impl Translation {
    /// To the ports that a flow has on the wire, or that a marker leads to.
    #[inline(always)]
    pub const fn of(flow: &Flow) -> Self {
        Self {
            local: flow.from,
            remote: flow.client,
            rule: flow.rule,
        }
    }

    /// The client's port stays.
    #[inline(always)]
    pub const fn to(local: Port, rule: u32) -> Self {
        Self {
            local,
            remote: NO_PORT,
            rule,
        }
    }
}

/// The flow that a packet belongs to, with its own local port.
#[inline(always)]
pub fn key<P: Packet, S: State>(
    packet: &P,
    state: &S,
    ends: &Ends,
    direction: Direction,
) -> Result<FlowKey, Skip> {
    let Addresses {
        source,
        destination,
    } = addresses(packet, ends.is_ipv6, ends.network)?;
    let (remote, remote_port, local, local_port) = match direction {
        Direction::Ingress => (source, ends.source_port, destination, ends.destination_port),
        Direction::Egress => (destination, ends.destination_port, source, ends.source_port),
    };
    Ok(FlowKey {
        remote,
        local,
        remote_port: remote_port.unbounded(state),
        local_port,
        scope: packet.opaque(if remote.is_link_local() {
            state.ifindex()
        } else {
            0
        }),
        kind: KEY_FLOW,
        protocol: ends.protocol,
    })
}

/// A flow from wire port `from` that has been seen before, for a packet from its client. The key's local
/// port is the target; `client` is the client's port on the wire where the key has another, else
/// [`NO_PORT`].
#[inline(always)]
pub fn known<S: State>(
    state: &mut S,
    acknowledgment: u32,
    key: &mut FlowKey,
    from: Port,
    client: Port,
) -> Option<Flow> {
    let flow = match state.flow(Table::Answered, key) {
        Some(flow) => flow,
        None => {
            let flow = state.flow(Table::Pending, key)?;
            if flow.is_opened() && !flow.fits(acknowledgment) {
                // Of another connection than the SYN's.
                return None;
            }
            if flow.flags & FLOW_SYN_ACK != 0
                && flow.expected == acknowledgment
                && flow.is_of(from, client)
            {
                settle(state, key);
            }
            flow
        }
    };
    flow.is_of(from, client).then_some(flow)
}

/// [`known`] where it is seldom asked, in a register.
#[inline(never)]
pub fn known_seldom<S: State>(
    state: &mut S,
    acknowledgment: u32,
    key: &mut FlowKey,
    from: Port,
    client: Port,
) -> Decision {
    let known = known(state, acknowledgment, key, from, client)
        .map(|flow| Translation::to(key.local_port, flow.rule));
    let register = Decision::from_result(Ok(known)).to_register();
    Decision::from_register(state.opaque(register))
}

/// Records a flow seen from the client. It becomes proof of a connection when it is answered.
#[inline(always)]
pub fn begin<S: State>(state: &mut S, key: &FlowKey, mut flow: Flow) {
    flow.note(state.clock());
    if key.protocol == Protocol::UDP {
        flow.opening = flow.created;
    }
    state.insert_flow(Table::Pending, key, &flow);
}

/// Records a connection of which a later packet is all that is known.
#[inline(never)]
pub fn resume<S: State>(state: &mut S, key: &FlowKey, from: Port, client: Port, rule: u32) {
    let peer = state.peer(key);
    if peer == Peer::Handshake
        && let Some(before) = state.flow(Table::Pending, key)
        && before.is_opened()
        && before.is_of(from, client)
    {
        // A stray packet: the ACK that its SYN-ACK waits for proves it.
        return;
    }
    let socketless = if peer == Peer::None {
        FLOW_SOCKETLESS
    } else {
        0
    };
    let flow = Flow {
        client,
        flags: socketless,
        ..Flow::resumed(from, rule)
    };
    let flow = flow.unbounded(state);
    begin(state, key, flow);
    // Over, or its owner would have been asked.
    end_answered(state, key, |before| !before.is_of(from, client));
}

/// Records a flow of which there is a SYN alone. It displaces nothing that is proven, nor what is known
/// of a connection or handshake that a socket has.
#[inline(never)]
pub fn claim<S: State>(state: &mut S, key: &FlowKey, flow: &Flow) {
    if let Some(before) = state.flow(Table::Pending, key)
        && before.is_of(flow.from, flow.client)
    {
        let is_repeated =
            before.is_opened() && before.opening == flow.opening && before.is_fresh(state.now());
        let lives = |peer| matches!(peer, Peer::Handshake | Peer::Connected { .. });
        if is_repeated || before.is_answered() && lives(state.peer(key)) {
            return;
        }
    }
    begin(state, key, *flow);
    if flow.rule != NO_RULE {
        state.count_syn(flow.rule);
    }
}

/// Notes that a UDP flow goes on: the application answers, or what this host began has another packet. `now` in
/// nanoseconds.
#[inline(always)]
pub fn refresh<S: State>(state: &mut S, table: Table, key: &FlowKey, flow: &Flow, now: u64) {
    if flow.idle(now) > UDP_REFRESH {
        let flow = Flow {
            opening: (now >> TICK) as u32,
            ..*flow
        };
        state.update_flow(table, key, &flow);
    }
}

/// Whether a UDP flow has had no answer for so long that it is over.
#[inline(never)]
pub fn is_idle<S: State>(state: &S, key: &FlowKey) -> bool {
    state
        .flow(Table::Answered, key)
        .or_else(|| state.flow(Table::Pending, key))
        .is_none_or(|flow| flow.idle(state.now()) > UDP_IDLE)
}

/// A client's packet says that what `table` knows of its tuple is over. TCP's may be in the cache although it was
/// evicted there; UDP is never in the cache, and others' places there are not to pay for each datagram.
#[inline(always)]
pub fn forget<S: State>(state: &mut S, table: Table, key: &FlowKey) {
    if key.protocol == Protocol::TCP || state.flow(table, key).is_some() {
        state.remove_flow(table, key);
    }
}

/// This host itself begins a connection, from the key's port: what is still known of one that a client had
/// is over, be the port a target, or the wire port of one.
#[inline(never)]
pub fn end<S: State>(state: &mut S, key: &mut FlowKey, target: Port) {
    end_at(state, key, key.local_port);
    end_at(state, key, target);
}

/// With this local port instead of the key's.
#[inline(always)]
pub fn end_at<S: State>(state: &mut S, key: &mut FlowKey, local: Port) {
    let port = key.local_port;
    key.local_port = local;
    forget(state, Table::Answered, key);
    forget(state, Table::Pending, key);
    key.local_port = port;
}

/// Both sides were seen: the flow is real, whatever floods the other table. Once a connection.
#[inline(never)]
pub fn settle<S: State>(state: &mut S, key: &mut FlowKey) {
    let Some(mut flow) = state.flow(Table::Pending, key) else {
        return;
    };
    let is_unseen = key.protocol == Protocol::TCP && flow.is_opened() && !flow.is_answered();
    if is_unseen && state.peer(key) == Peer::None {
        // Its SYN-ACK, which would have told, went another way.
        flow.flags |= FLOW_SOCKETLESS;
    }
    state.insert_flow(Table::Answered, key, &flow);
    state.remove_flow(Table::Pending, key);
    if flow.is_opened() && flow.rule != NO_RULE {
        state.count_connection(flow.rule);
        if flow.flags & FLOW_SYN_ACK != 0 {
            state.observe(Histogram::AckDelay, flow.delay(state.clock()));
        }
    }
    if key.protocol == Protocol::TCP {
        end_others(state, key, &flow);
        // Here, where all that it takes is at hand: a short connection is over before one packet in eight has come.
        recent::enter(state, key, Translation::of(&flow), false);
    }
}

/// What had the same tuple on the wire is over: a connection whose client's port was moved, or one to an
/// earlier target. The key is the flow's own.
#[inline(always)]
fn end_others<S: State>(state: &mut S, key: &mut FlowKey, flow: &Flow) {
    if flow.client != NO_PORT {
        moved::mark(state, Table::Moved, key, flow);
    } else {
        let target = key.local_port;
        key.local_port = flow.from;
        moved::forget(state, key);
        outgoing::forget_forwarded(state, key);
        key.local_port = target;
    }
    let entry = state.port(key.protocol, flow.from);
    if entry.is_some_and(|entry| entry.flags & PORT_CHANGED != 0) {
        end_earlier(state, key, flow.from, flow.client);
    }
}

/// An answered flow of which this is true is over. The table may have evicted it, and the cache not.
#[inline(always)]
fn end_answered<S: State>(state: &mut S, key: &FlowKey, is_over: impl FnOnce(&Flow) -> bool) {
    if state
        .flow(Table::Answered, key)
        .is_none_or(|flow| is_over(&flow))
    {
        state.remove_flow(Table::Answered, key);
    }
}

/// What its tuple on the wire led to before the rules of `from` were changed.
#[inline(never)]
fn end_earlier<S: State>(state: &mut S, key: &mut FlowKey, from: Port, client: Port) {
    let (target, port) = (key.local_port, key.remote_port);
    key.local_port = from;
    if client != NO_PORT {
        key.remote_port = client.unbounded(state);
    }
    earlier::find(state, key, |state, key, to| {
        if to.local != target {
            end_answered(state, key, |flow| flow.is_of(from, NO_PORT));
        }
        None::<()>
    });
    key.local_port = target;
    key.remote_port = port.unbounded(state);
}
