//! Keys and values of the tables of flows.

use bytemuck::{Pod, Zeroable};

use super::{Address, DELAY_UNIT, NO_PORT, Port, Protocol};
use crate::State;

/// Key of the `PENDING`, `FLOWS` and `MOVED` maps: the tuple as the application's socket has it, or, for
/// [`KEY_MOVED`], as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct FlowKey {
    pub remote: Address,
    pub local: Address,
    pub remote_port: Port,
    /// After the rewrite: the target port; under [`KEY_MOVED`] the wire port.
    pub local_port: Port,
    /// The interface of a link-local peer, else 0.
    pub scope: u32,
    /// [`KEY_FLOW`] or [`KEY_MOVED`].
    pub kind: u32,
    pub protocol: Protocol,
}

/// A flow.
pub const KEY_FLOW: u32 = 0;
/// A connection whose client port was moved, because the application's socket would have had the
/// tuple of another connection: leads to the key of its flow.
pub const KEY_MOVED: u32 = 1;

/// Value of the `PENDING`, `FLOWS` and `MOVED` maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Flow {
    /// With [`FLOW_SYN_ACK`] the acknowledgment number that proves that the client saw it, in host byte
    /// order.
    pub expected: u32,
    /// The SYN's sequence number, in host byte order. For UDP when it was last noted to go on, as `created`:
    /// the application answered, or either side of what this host began spoke. [`UDP_REFRESH`] behind at most.
    pub opening: u32,
    /// The rule's number.
    pub rule: u32,
    /// When it was noted, or its SYN answered, in [`TICK`]s of `CLOCK_MONOTONIC`; it wraps after two
    /// years.
    pub created: u32,
    /// The client's port on the wire if it was moved, else [`NO_PORT`]. Under [`KEY_MOVED`] the port
    /// it was moved to.
    pub client: Port,
    /// The port on the wire: the target itself for a direct connection, [`NO_PORT`] for a flow that this
    /// host began from the wire port. Under [`KEY_MOVED`] the target.
    pub from: Port,
    /// The time since the last of those ticks, in [`DELAY_UNIT`]s.
    pub fraction: u16,
    /// `FLOW_*` flags.
    pub flags: u16,
}

/// Nanoseconds, as a power of two: 16.8 ms.
pub const TICK: u32 = 24;

/// About a second, in [`TICK`]s.
pub const SECOND: u32 = 1_000_000_000 >> TICK;

/// How long a UDP flow goes on when it was last noted to, in [`TICK`]s: two minutes, as `nf_conntrack_udp_timeout_stream`.
pub const UDP_IDLE: u32 = 120 * SECOND;

/// How seldom that is noted, in [`TICK`]s.
pub const UDP_REFRESH: u32 = 10 * SECOND;

/// The bits of a time in [`DELAY_UNIT`]s that a flow keeps.
const DELAYS: u64 = (1 << (u32::BITS + TICK - DELAY_UNIT)) - 1;

/// How far acknowledgment numbers of one connection can be from its SYN's, or its SYN-ACK's, before
/// they have proven anything: more than either end sends unasked.
const NEAR: u32 = 1 << 20;

impl Flow {
    /// Whether these are its ports on the wire; [`NO_PORT`] for a client's port that was not moved.
    #[inline(always)]
    pub fn is_of(&self, from: Port, client: Port) -> bool {
        self.from == from && self.client == client
    }

    /// Whether a client began it, and one of its ports is another at the application, whose port is `local`.
    #[inline(always)]
    pub fn is_redirected(&self, local: Port) -> bool {
        !self.is_outgoing() && !self.is_of(local, NO_PORT)
    }

    /// Whether this host began it, from a wire port, or forwards it from there.
    #[inline(always)]
    pub fn is_outgoing(&self) -> bool {
        self.from == NO_PORT
    }

    /// Noted by a SYN, or by UDP's first datagram.
    #[inline(always)]
    pub fn is_opened(&self) -> bool {
        self.flags & FLOW_OPENED != 0
    }

    /// Whether it takes no more than a SYN, which anybody can send, to note it.
    #[inline(always)]
    pub fn is_answered(&self) -> bool {
        self.flags & (FLOW_OPENED | FLOW_SYN_ACK) != FLOW_OPENED
    }

    #[inline(always)]
    pub fn is_socketless(&self) -> bool {
        self.flags & FLOW_SOCKETLESS != 0
    }

    /// Noted within the last second; `now` in nanoseconds.
    #[inline(always)]
    pub fn is_fresh(&self, now: u64) -> bool {
        self.age(now) <= SECOND
    }

    /// In [`TICK`]s; `now` in nanoseconds, of a clock that may be behind by less than one.
    #[inline(always)]
    pub fn age(&self, now: u64) -> u32 {
        since(self.created, now)
    }

    /// `clock` in nanoseconds.
    #[inline(always)]
    pub fn note(&mut self, clock: u64) {
        self.created = (clock >> TICK) as u32;
        self.fraction = (clock >> DELAY_UNIT) as u16;
    }

    /// How long ago that was, in [`DELAY_UNIT`]s, up to [`u32::MAX`]; `clock` in nanoseconds. Clocks of two
    /// CPUs may differ a little.
    #[inline(always)]
    pub fn delay(&self, clock: u64) -> u32 {
        let noted = u64::from(self.created) << (TICK - DELAY_UNIT) | u64::from(self.fraction);
        let delay = (clock >> DELAY_UNIT).wrapping_sub(noted) & DELAYS;
        if delay > DELAYS / 2 {
            return 0;
        }
        delay.min(u64::from(u32::MAX)) as u32
    }

    /// How long ago UDP was last noted to go on, likewise.
    #[inline(always)]
    pub fn idle(&self, now: u64) -> u32 {
        since(self.opening, now)
    }

    /// Bytes, the SYN included, that an acknowledgment of the application acknowledges; 0 if it is about
    /// another SYN.
    #[inline(always)]
    pub fn acknowledged(&self, acknowledgment: u32) -> u32 {
        let distance = acknowledgment.wrapping_sub(self.opening);
        if distance <= NEAR { distance } else { 0 }
    }

    /// Whether the client can send this acknowledgment: 0 where it acknowledges nothing.
    #[inline(always)]
    pub fn fits(&self, acknowledgment: u32) -> bool {
        acknowledgment == 0
            || self.flags & FLOW_SYN_ACK != 0 && acknowledgment.wrapping_sub(self.expected) <= NEAR
    }

    /// [`State::unbounded`], for a flow that is written to the stack.
    #[inline(always)]
    pub fn unbounded<S: State>(self, state: &S) -> Self {
        Self {
            rule: state.unbounded(self.rule.into()) as u32,
            client: self.client.unbounded(state),
            ..self
        }
    }

    /// Seen in the middle of a connection.
    pub const fn resumed(from: Port, rule: u32) -> Self {
        Self {
            opening: 0,
            expected: 0,
            rule,
            created: 0,
            flags: 0,
            from,
            client: NO_PORT,
            fraction: 0,
        }
    }

    /// Seen from its first datagram.
    pub const fn opened(from: Port, rule: u32) -> Self {
        Self {
            flags: FLOW_OPENED,
            ..Self::resumed(from, rule)
        }
    }

    /// Seen from its SYN with this sequence number.
    pub const fn opened_by_syn(from: Port, rule: u32, sequence: u32) -> Self {
        Self {
            opening: sequence,
            ..Self::opened(from, rule)
        }
    }
}

/// Its first packet was seen, so it counts as a connection once it is answered.
pub const FLOW_OPENED: u16 = 1;
/// The application's SYN-ACK was seen.
pub const FLOW_SYN_ACK: u16 = 1 << 1;
/// No lookup finds a socket of its tuple: it is a container's, or under SYN cookies, or its socket is
/// bound to another device.
pub const FLOW_SOCKETLESS: u16 = 1 << 2;

/// [`TICK`]s from `then` to `now`, which is in nanoseconds and may be behind by less than one.
#[inline(always)]
pub fn since(then: u32, now: u64) -> u32 {
    let ticks = ((now >> TICK) as u32).wrapping_sub(then);
    if ticks == u32::MAX { 0 } else { ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_exact_to_the_unit() {
        let unit = 1 << DELAY_UNIT;
        for noted in [0, 12_345, 1 << TICK, (1 << 56) - unit, u64::MAX << 20] {
            let mut flow = Flow::default();
            flow.note(noted);
            for delay in [0, 1, 70_000, 4_000_000_000] {
                assert_eq!(flow.delay(noted.wrapping_add(delay * unit)), delay as u32);
            }
            assert_eq!(flow.delay(noted.wrapping_add(1 << 50)), u32::MAX);
            assert_eq!(flow.delay(noted.wrapping_sub(unit)), 0);
        }
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_flow_old() {
        let mut flow = Flow::default();
        flow.note(5 << TICK);
        assert_eq!(flow.age((5 << TICK) - 1), 0);
        assert_eq!(flow.age(6 << TICK), 1);
        assert!(flow.is_fresh((5 << TICK) - 1));
    }
}
