//! The end of a TCP connection. Its flow goes then, so that those that have ended take no room from those
//! that live. A late packet of the client resumes it, as one that was evicted.

use crate::{
    Direction, Segment, State, Table,
    abi::{FLOW_FIN_IN, FLOW_FIN_IN_ACKED, FLOW_FIN_OUT, FLOW_FIN_OUT_ACKED, FlowKey, NO_PORT},
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

/// Notes a FIN, or an acknowledgment of one. The flow goes when each side has acknowledged the other's, or
/// at a RST that the other side must believe: of the application's, or with the very number that its socket
/// waits for (RFC 5961 section 3.2).
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
    let is_out = closing.is(Closing::OUT);
    if closing.is(Closing::RESET) {
        if is_out || state.expects(key, closing.number()) {
            state.remove_flow(Table::Answered, key);
        }
        return;
    }
    if closing.is(Closing::FINAL) {
        if is_out {
            flow.flags |= FLOW_FIN_OUT;
            flow.expected = closing.number();
        } else if flow.flags & FLOW_FIN_IN_ACKED == 0 {
            // The one before, if there was any, may have been out of the application's window.
            flow.flags = flow.flags & !FLOW_FIN_OUT_ACKED | FLOW_FIN_IN;
            flow.opening = closing.number();
        }
    }
    let (fin, acked, number) = if is_out {
        (FLOW_FIN_IN, FLOW_FIN_IN_ACKED, flow.opening)
    } else {
        (FLOW_FIN_OUT, FLOW_FIN_OUT_ACKED, flow.expected)
    };
    // The application's socket does not look at the acknowledgment of what it does not expect. Nothing
    // follows a FIN, so its acknowledgment has one number.
    let is_believed =
        is_out || flow.flags & FLOW_FIN_IN != 0 && closing.number().wrapping_sub(flow.opening) <= 1;
    let is_acked = closing.is(Closing::ACKNOWLEDGES)
        && is_believed
        && acknowledgment.wrapping_sub(number) == 1;
    if flow.flags & fin != 0 && is_acked {
        flow.flags |= acked;
    }
    const OVER: u16 = FLOW_FIN_IN_ACKED | FLOW_FIN_OUT_ACKED;
    if flow.flags & OVER == OVER {
        state.remove_flow(Table::Answered, key);
    } else {
        state.update_flow(Table::Answered, key, &flow);
    }
}
