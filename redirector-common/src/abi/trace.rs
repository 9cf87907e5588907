//! What `redirector trace` asks of the programs, and what they tell.

use bytemuck::{Pod, Zeroable};

use super::{ANY_ADDRESS, Address, NO_PORT, Port};

/// The only value of the `TRACE` map: which packets to tell of. It is in force for as long as its reader
/// renews it, so that nothing is told once the reader has gone, however it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TraceControl {
    /// Nanoseconds of `CLOCK_MONOTONIC`; 0 for nothing. The first packet after that makes it 0.
    pub until: u64,
    /// [`ANY_ADDRESS`] for every client.
    pub client: Address,
    /// Whoever wrote this.
    pub reader: u64,
    /// One of so many of these packets, on average.
    pub every: u32,
    /// The rule's number, or [`ANY_RULE`].
    pub rule: u32,
    /// TCP flags as on the wire, of which a packet has at least one; 0 for every packet.
    pub flags: u32,
    /// [`NO_PORT`] for every port of the client, which is that on the wire.
    pub client_port: Port,
    pub reserved: u16,
}

/// In the place of a rule's number: also packets of none.
pub const ANY_RULE: u32 = u32::MAX;

/// What the `TRACED` ring buffer holds: a packet that was redirected, or left alone for a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TraceRecord {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// [`ANY_ADDRESS`] where the packet has none, or was not read that far.
    pub source: Address,
    pub destination: Address,
    /// [`Traced`](crate::Traced).
    pub packet: [u64; 4],
    /// The interface's index.
    pub ifindex: u64,
}

impl TraceControl {
    /// Whether it may be one of these: the client may be at either end.
    #[inline(always)]
    pub fn may_want(&self, record: &TraceRecord) -> bool {
        let is_client = self.client == ANY_ADDRESS
            || self.client == record.source
            || self.client == record.destination;
        let packet = crate::Traced::from_words(record.packet);
        is_client
            && (self.flags == 0 || self.flags & packet.flags() != 0)
            && (self.rule == ANY_RULE || packet.is_of_rule(self.rule))
    }

    /// Whether it is one of these, once it is certain where the client is.
    pub fn wants(&self, client: Address, wire_port: Port) -> bool {
        (self.client == ANY_ADDRESS || self.client == client)
            && (self.client_port == NO_PORT || self.client_port == wire_port)
    }
}

/// Bytes of the `TRACED` ring buffer: some 5,900 records.
pub const TRACED_BYTES: u32 = 1 << 19;
