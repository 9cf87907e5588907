//! The end of a TCP connection. Its flow goes then, so that those that have ended take no room from those
//! that live. A late packet of the client resumes it, as one that was evicted.

use crate::{
    Direction, Segment, State, Table,
    abi::{FLOW_FIN_IN, FLOW_FIN_OUT, FlowKey, NO_PORT},
    owner,
};

/// What a segment says of the end, in one register.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Closing(u64);

impl Closing {
    const FINAL: u64 = 1 << 32;
    const RESET: u64 = 1 << 33;
    const ACKNOWLEDGES: u64 = 1 << 34;
    const OUT: u64 = 1 << 35;

    #[inline(always)]
    pub fn of(segment: &Segment, direction: Direction) -> Self {
        let bit = |is_set: bool, bit| if is_set { bit } else { 0 };
        // A RST's payload is for people.
        let number = if segment.flags.is_reset() {
            segment.sequence
        } else {
            segment.end()
        };
        Self(
            u64::from(number)
                | bit(segment.flags.is_final(), Self::FINAL)
                | bit(segment.flags.is_reset(), Self::RESET)
                | bit(segment.flags.acknowledges(), Self::ACKNOWLEDGES)
                | bit(matches!(direction, Direction::Egress), Self::OUT),
        )
    }

    #[inline(always)]
    const fn is(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    #[inline(always)]
    const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// Notes the application's FIN, and the client's that acknowledges it. The flow goes when the application
/// acknowledges that one, or at its RST: both show what its socket has taken, which a packet that comes in
/// does not. So the flow of a connection that its client ends first stays.
///
/// A direct connection's flow stays, since ingress sees none of its packets, and so does one whose client
/// was moved, to which a marker leads. Where several wire ports lead to one target, or netfilter does
/// too, what is left of a connection there must be told apart from another's.
#[inline(never)]
pub fn close<S: State>(state: &mut S, key: &FlowKey, closing: Closing, acknowledgment: u32) {
    let Some(mut flow) = state.flow(Table::Answered, key) else {
        return;
    };
    if flow.client != NO_PORT || flow.from == key.local_port || owner::keeps_ended(state, key) {
        return;
    }
    let is_final = closing.is(Closing::FINAL);
    let acknowledges =
        |number: u32| closing.is(Closing::ACKNOWLEDGES) && acknowledgment.wrapping_sub(number) == 1;
    if !closing.is(Closing::OUT) {
        if !is_final || flow.flags & FLOW_FIN_OUT == 0 || !acknowledges(flow.expected) {
            return;
        }
        flow.flags |= FLOW_FIN_IN;
        flow.opening = closing.number();
    } else if is_final {
        // Said again, it is not acknowledged yet.
        flow.flags = flow.flags & !FLOW_FIN_IN | FLOW_FIN_OUT;
        flow.expected = closing.number();
    } else if closing.is(Closing::RESET)
        || flow.flags & FLOW_FIN_IN != 0 && acknowledges(flow.opening)
    {
        state.remove_flow(Table::Answered, key);
        return;
    } else {
        return;
    }
    state.update_flow(Table::Answered, key, &flow);
}
