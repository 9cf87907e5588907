//! What the application sends: where it goes back to, and what it proves.

use crate::{
    Peer, Segment, Skip, State, Table,
    abi::{
        FLOW_SOCKETLESS, FLOW_SYN_ACK, Flow, FlowKey, Histogram, NO_PORT, NO_RULE, Protocol,
        SECOND, SocketFlow,
    },
    decision::Decision,
    moved, recent,
    track::{self, Translation, settle},
};

/// After which a connection's origin moves from the flow table into its socket, where nothing evicts it,
/// in [`TICK`](crate::abi::TICK)s. Shorter connections never pay for the allocation.
pub const SOCKET_AFTER: u32 = SECOND;

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
        let to = Translation {
            local: flow.from,
            remote: flow.client,
            rule: flow.rule,
        };
        recent::note(state, key, segment, to, true);
        return Some(to);
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
    if flow.is_outgoing() {
        return None;
    }
    if !is_tcp {
        let now = state.now();
        track::refresh(state, Table::Answered, key, &flow, now);
    } else if flow.age(state.now()) > SOCKET_AFTER {
        let origin = SocketFlow {
            rule: state.unbounded(flow.rule.into()) as u32,
            from: flow.from,
            client: flow.client,
        };
        if !state.remember_on_socket(key, origin) && flow.is_socketless() {
            recent::note(state, key, segment, Translation::of(&flow), true);
        }
    } else {
        recent::note(state, key, segment, Translation::of(&flow), false);
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
    if flow.is_outgoing() {
        return Decision::PASS;
    }
    if flow.is_opened() && about.is(Answer::ACKNOWLEDGES) {
        let acknowledged = flow.acknowledged(acknowledgment);
        if acknowledged == 0 {
            if about.is(Answer::SYN_ACK) && flow.is_fresh(state.now()) {
                // Of a SYN before this one, within one handshake.
                return Decision::redirect(Translation::of(&flow));
            }
            return Decision::PASS;
        }
        if about.is(Answer::SYN_ACK) {
            accept(state, key, flow, sequence);
        } else if about.is(Answer::RESET) {
            if acknowledged == 1 {
                // Refused.
                state.remove_flow(Table::Pending, key);
                if !flow.is_answered() {
                    state.count_answered_syn(flow.rule);
                }
            }
        } else if about.is(Answer::PAYLOAD) || acknowledged > 1 {
            settle(state, key);
        }
    } else if !about.is(Answer::RESET | Answer::SYN_ACK) {
        settle(state, key);
    }
    Decision::redirect(Translation::of(&flow))
}

/// The application takes a SYN: whatever had its tuple there is over. What had the same tuple on the wire
/// is so once the client proves that the SYN was its own.
#[inline(always)]
fn accept<S: State>(state: &mut S, key: &mut FlowKey, mut flow: Flow, sequence: u32) {
    if !flow.is_answered() {
        let clock = state.clock();
        if flow.rule != NO_RULE {
            state.count_answered_syn(flow.rule);
            state.observe(Histogram::SynAckDelay, flow.delay(clock));
        }
        flow.note(clock);
    }
    flow.flags |= FLOW_SYN_ACK;
    if state.peer(key) == Peer::None {
        flow.flags |= FLOW_SOCKETLESS;
    }
    flow.expected = state.unbounded(sequence.wrapping_add(1).into()) as u32;
    state.update_flow(Table::Pending, key, &flow);
    state.remove_flow(Table::Answered, key);
}
