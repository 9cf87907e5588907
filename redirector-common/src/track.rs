//! Who remembers that a connection was redirected: its socket where it has one, else a flow table.

use crate::{
    Direction, Packet, Peer, Segment, Skip, State, Table,
    abi::{
        FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, KEY_FLOW, NO_PORT, NO_RULE, PORT_CHANGED,
        Port, Protocol, SECOND, SocketFlow, TICK,
    },
    decision::Decision,
    earlier,
    ip::{Addresses, addresses},
    moved,
    parse::Ends,
};

/// After which a connection's origin moves from the flow table into its socket, where nothing evicts it,
/// in [`TICK`]s. Shorter connections never pay for the allocation.
const SOCKET_AFTER: u32 = SECOND;

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
    let mut found = Addresses::default();
    if addresses(packet, ends.is_ipv6, ends.network, &mut found) != 0 {
        return Err(Skip::Malformed);
    }
    let Addresses {
        source,
        destination,
    } = found;
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
    flow.is_of(from, client)
        .then_some(Translation::to(key.local_port, flow.rule))
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
    let known = known(state, acknowledgment, key, from, client);
    let register = Decision::from_result(Ok(known)).to_register();
    Decision::from_register(state.opaque(register))
}

/// Records a flow seen from the client. It becomes proof of a connection when it is answered.
#[inline(always)]
pub fn begin<S: State>(state: &mut S, key: &FlowKey, mut flow: Flow) {
    flow.created = (state.now() >> TICK) as u32;
    state.insert_flow(Table::Pending, key, &flow);
}

/// Records a connection of which a later packet is all that is known.
#[inline(never)]
pub fn resume<S: State>(state: &mut S, key: &FlowKey, from: Port, client: Port, rule: u32) {
    let socketless = if state.peer(key) == Peer::None {
        FLOW_SOCKETLESS
    } else {
        0
    };
    let flow = Flow {
        client,
        flags: socketless,
        ..Flow::resumed(from, rule)
    };
    begin(state, key, flow);
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
            created: (state.now() >> TICK) as u32,
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
    // What answers a SYN is about that, whatever was known of the tuple before.
    let about = Answer::of(segment);
    if about.is(Answer::SYN_ACK | Answer::REFUSAL)
        && let Ok(Some(to)) = claimed(state, key, segment, about)
    {
        return Some(to);
    }
    let Some(flow) = state.flow(Table::Answered, key) else {
        return claimed(state, key, segment, about).unwrap_or_default();
    };
    if flow.from == NO_PORT {
        return None;
    }
    if is_tcp && flow.age(state.now()) > SOCKET_AFTER {
        let origin = SocketFlow {
            rule: flow.rule,
            from: flow.from,
            client: flow.client,
        };
        state.remember_on_socket(key, origin);
    }
    Some(Translation::of(&flow))
}

/// What a packet of the application tells of its flow.
#[derive(Clone, Copy)]
struct Answer(u32);

impl Answer {
    const SYN_ACK: u32 = 1;
    /// An RST that acknowledges something.
    const REFUSAL: u32 = 1 << 1;
    const RESET: u32 = 1 << 2;
    const ACKNOWLEDGES: u32 = 1 << 3;
    const PAYLOAD: u32 = 1 << 4;

    #[inline(always)]
    fn of(segment: &Segment) -> Self {
        let flags = segment.flags;
        let bit = |is_set: bool, bit| if is_set { bit } else { 0 };
        Self(
            bit(flags.is_syn_ack(), Self::SYN_ACK)
                | bit(flags.is_reset() && flags.acknowledges(), Self::REFUSAL)
                | bit(flags.is_reset(), Self::RESET)
                | bit(flags.acknowledges(), Self::ACKNOWLEDGES)
                | bit(segment.has_payload(), Self::PAYLOAD),
        )
    }

    #[inline(always)]
    const fn is(self, any: u32) -> bool {
        self.0 & any != 0
    }
}

#[inline(always)]
fn claimed<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    segment: &Segment,
    about: Answer,
) -> Result<Option<Translation>, Skip> {
    pending(state, key, about, segment.sequence, segment.acknowledgment).into_result()
}

/// A flow that is not proven. A SYN-ACK proves nothing, since a spoofed SYN causes one, nor does an ACK
/// or RST of a handshake under way. The client's ACK that quotes its number does, and so does what the
/// application acknowledges or says beyond it. What is not about the SYN that the flow is known by is
/// another connection's.
#[inline(never)]
fn pending<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    about: Answer,
    sequence: u32,
    acknowledgment: u32,
) -> Decision {
    let Some(flow) = state.flow(Table::Pending, key) else {
        return Decision::PASS;
    };
    if flow.is_opened() && about.is(Answer::ACKNOWLEDGES) {
        let acknowledged = flow.acknowledged(acknowledgment);
        if acknowledged == 0 {
            return Decision::PASS;
        }
        if about.is(Answer::SYN_ACK) {
            accept(state, key, sequence);
        } else if about.is(Answer::RESET) {
            if acknowledged == 1 {
                // Refused.
                state.remove_flow(Table::Pending, key);
            }
        } else if about.is(Answer::PAYLOAD) || acknowledged > 1 {
            settle(state, key);
        }
    } else if !about.is(Answer::RESET | Answer::SYN_ACK) {
        settle(state, key);
    }
    Decision::redirect(Translation::of(&flow))
}

/// The application takes a SYN: whatever had its tuple, here or on the wire, is over.
#[inline(always)]
fn accept<S: State>(state: &mut S, key: &mut FlowKey, sequence: u32) {
    let Some(mut flow) = state.flow(Table::Pending, key) else {
        return;
    };
    flow.flags |= FLOW_SYN_ACK;
    if state.peer(key) == Peer::None {
        flow.flags |= FLOW_SOCKETLESS;
    }
    flow.expected = sequence.wrapping_add(1);
    state.insert_flow(Table::Pending, key, &flow);
    forget(state, Table::Answered, key);
    let (target, port) = (key.local_port, key.remote_port);
    key.local_port = flow.from;
    if flow.client == NO_PORT {
        moved::forget(state, key);
    } else {
        key.remote_port = flow.client;
    }
    let entry = state.port(key.protocol, flow.from);
    if entry.is_some_and(|entry| entry.flags & PORT_CHANGED != 0) {
        forget_earlier(state, key, target);
    }
    key.local_port = target;
    key.remote_port = port;
}

/// What the key's tuple on the wire led to before its port's rules were changed is over.
#[inline(never)]
fn forget_earlier<S: State>(state: &mut S, key: &mut FlowKey, target: Port) {
    let from = key.local_port;
    earlier::find(state, key, |state, key, to| {
        if to.local != target
            && let Some(flow) = state.flow(Table::Answered, key)
            && flow.is_of(from, NO_PORT)
        {
            state.remove_flow(Table::Answered, key);
        }
        None::<()>
    });
}

/// Both sides were seen: the flow is real, whatever floods the other table. Once a connection.
#[inline(never)]
fn settle<S: State>(state: &mut S, key: &mut FlowKey) {
    let Some(flow) = state.flow(Table::Pending, key) else {
        return;
    };
    state.insert_flow(Table::Answered, key, &flow);
    state.remove_flow(Table::Pending, key);
    if flow.client != NO_PORT {
        moved::mark(state, Table::Moved, key, &flow);
    }
    if flow.is_opened() && flow.rule != NO_RULE {
        state.count_connection(flow.rule);
    }
}
