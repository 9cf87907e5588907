//! Who remembers that a connection was redirected: its socket where it has one, else a flow table.

use crate::{
    Direction, Packet, Segment, Skip, State, Table,
    abi::{
        FLOW_OPENED, FLOW_REPEATED, FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, KEY_FLOW,
        NO_PORT, NO_RULE, Port, Protocol, SocketFlow,
    },
    ip::addresses,
    moved,
    parse::Ends,
};

/// Nanoseconds after which a connection's origin moves from the flow table into its socket, where
/// nothing evicts it. Shorter connections never pay for the allocation.
const SOCKET_AFTER: u64 = 1_000_000_000;

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
    let (source, destination) = addresses(packet, ends.is_ipv6, ends.network)?;
    let (remote, remote_port, local, local_port) = match direction {
        Direction::Ingress => (source, ends.source_port, destination, ends.destination_port),
        Direction::Egress => (destination, ends.destination_port, source, ends.source_port),
    };
    Ok(FlowKey {
        remote,
        local,
        remote_port,
        local_port,
        scope: packet.opaque(if remote.is_link_local() {
            state.ifindex()
        } else {
            0
        }),
        protocol: ends.protocol,
        kind: KEY_FLOW,
    })
}

/// The translation of a flow from wire port `from` that has been seen before, for a packet from its
/// client. The key's local port is the target; `client` is the client's port on the wire where the key
/// has another, else [`NO_PORT`].
#[inline(always)]
pub fn known<S: State>(
    state: &mut S,
    acknowledgment: u32,
    key: &mut FlowKey,
    from: Port,
    client: Port,
) -> Option<Translation> {
    let flow = match state.flow(Table::Answered, key) {
        Some(flow) => flow,
        None => {
            let flow = state.flow(Table::Pending, key)?;
            if flow.flags & FLOW_SYN_ACK != 0
                && flow.expected == acknowledgment
                && flow.is_of(from, client)
            {
                settle(state, key, 0);
            }
            flow
        }
    };
    flow.is_of(from, client)
        .then_some(Translation::to(key.local_port, flow.rule))
}

/// What either table knows of a tuple, without consequences.
#[inline(always)]
pub fn flow<S: State>(state: &S, key: &FlowKey) -> Option<Flow> {
    state
        .flow(Table::Answered, key)
        .or_else(|| state.flow(Table::Pending, key))
}

/// Records a flow seen from the client. It becomes proof of a connection when it is answered.
#[inline(always)]
pub fn begin<S: State>(state: &mut S, key: &FlowKey, mut flow: Flow) {
    flow.created = state.now();
    state.insert_flow(Table::Pending, key, &flow);
}

/// Whether the flow's last packet was the SYN with this sequence number.
#[inline(always)]
pub fn was_begun_by<S: State>(state: &S, key: &FlowKey, sequence: u32) -> bool {
    matches!(
        state.flow(Table::Pending, key),
        Some(flow) if flow.flags & (FLOW_OPENED | FLOW_REPEATED) != 0
            && flow.flags & FLOW_SYN_ACK == 0
            && flow.expected == sequence
    )
}

/// A client's packet says that what `table` knows of its tuple is over.
#[inline(always)]
pub fn forget<S: State>(state: &mut S, table: Table, key: &FlowKey) {
    if state.flow(table, key).is_some() {
        state.remove_flow(table, key);
    }
}

/// Records that this host itself began a flow from a wire port. UDP only: for TCP the socket tells.
#[inline(never)]
pub fn note_outgoing<S: State>(state: &mut S, key: &FlowKey) {
    if !is_outgoing(state, key) {
        let flow = Flow {
            created: state.now(),
            ..Flow::default()
        };
        state.insert_flow(Table::Answered, key, &flow);
    }
}

/// Whether this host itself began the flow; the key's local port is the wire port.
#[inline(always)]
pub fn is_outgoing<S: State>(state: &S, key: &FlowKey) -> bool {
    matches!(state.flow(Table::Answered, key), Some(flow) if flow.from == NO_PORT)
}

/// What the application's packet goes back to, if its connection was redirected.
#[inline(always)]
pub fn answer<S: State>(
    state: &mut S,
    segment: &Segment,
    key: &mut FlowKey,
) -> Option<Translation> {
    let is_tcp = segment.ends.protocol == Protocol::TCP;
    if is_tcp && let Some(flow) = state.socket_flow() {
        if flow.client != NO_PORT && flow.client != key.remote_port {
            moved::keep(state, key, flow.from, flow.client, flow.rule);
        }
        return Some(Translation {
            local: flow.from,
            remote: flow.client,
            rule: flow.rule,
        });
    }
    let flow = match state.flow(Table::Answered, key) {
        Some(flow) => flow,
        None => {
            let flow = state.flow(Table::Pending, key)?;
            let socketless = if state.has_socket() {
                0
            } else {
                FLOW_SOCKETLESS
            };
            if segment.flags.is_syn_ack() {
                expect_ack(state, key, segment.sequence, socketless);
            } else if !segment.flags.is_reset()
                && (flow.flags & FLOW_SYN_ACK == 0 || segment.has_payload())
            {
                settle(state, key, socketless);
            }
            flow
        }
    };
    if flow.from == NO_PORT {
        return None;
    }
    if is_tcp && state.now().saturating_sub(flow.created) > SOCKET_AFTER {
        let origin = SocketFlow {
            rule: flow.rule,
            from: flow.from,
            client: flow.client,
        };
        state.remember_on_socket(key, origin);
    }
    Some(Translation::of(&flow))
}

/// A SYN-ACK proves nothing, since a spoofed SYN causes one, nor does an ACK or RST of a handshake
/// under way. The client's ACK that quotes its number does, and so does data.
#[inline(never)]
fn expect_ack<S: State>(state: &mut S, key: &FlowKey, sequence: u32, socketless: u16) {
    if let Some(mut flow) = state.flow(Table::Pending, key) {
        flow.flags |= FLOW_SYN_ACK | socketless;
        flow.expected = sequence.wrapping_add(1);
        state.insert_flow(Table::Pending, key, &flow);
    }
}

/// Both sides were seen: the flow is real, whatever floods the other table. Once a connection.
#[inline(never)]
fn settle<S: State>(state: &mut S, key: &mut FlowKey, socketless: u16) {
    let Some(mut flow) = state.flow(Table::Pending, key) else {
        return;
    };
    flow.flags |= socketless;
    state.insert_flow(Table::Answered, key, &flow);
    if flow.client != NO_PORT {
        moved::mark(state, Table::Moved, key, &flow);
    }
    if flow.flags & FLOW_OPENED != 0 && flow.rule != NO_RULE {
        state.count_connection(flow.rule);
    }
}

/// Whether a connected socket is the one that the flow of `key` leads to from `from`.
#[inline(always)]
pub fn is_ours<S: State>(
    state: &S,
    key: &FlowKey,
    origin: Option<SocketFlow>,
    from: Port,
    client: Port,
) -> bool {
    match origin {
        Some(origin) => origin.from == from && origin.client == client,
        None => flow(state, key).is_some_and(|flow| flow.is_of(from, client)),
    }
}
