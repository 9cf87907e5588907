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

impl TraceControl {
    #[inline(always)]
    pub fn wants(&self, record: &TraceRecord) -> bool {
        let wants_client = self.client == ANY_ADDRESS || self.client == record.client;
        let wants_port = self.client_port == NO_PORT || self.client_port == record.wire_client();
        let wants_flags = self.flags == 0 || self.flags & u32::from(record.flags) != 0;
        let wants_rule = self.rule == ANY_RULE || self.rule == record.rule;
        wants_client && wants_port && wants_flags && wants_rule
    }
}

/// What the `TRACED` ring buffer holds: a packet that was redirected, or left alone for a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct TraceRecord {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: u64,
    /// [`ANY_ADDRESS`] where the packet has none, or was not read that far.
    pub client: Address,
    /// This host's.
    pub local: Address,
    /// TCP's numbers in host byte order; 0 for others.
    pub sequence: u32,
    pub acknowledgment: u32,
    /// The interface's index.
    pub ifindex: u32,
    /// The rule's number, [`NO_RULE`](super::NO_RULE) without one.
    pub rule: u32,
    /// From the network header onwards; 0 where the packet was not read that far.
    pub bytes: u32,
    /// The client's port before and after.
    pub client_port: [Port; 2],
    /// This host's port before and after. Of an ICMP error only that in its quote is known, after.
    pub local_port: [Port; 2],
    /// An IP protocol number (IANA), 0 where the packet was not read that far.
    pub protocol: u8,
    /// TCP flags as on the wire.
    pub flags: u8,
    /// 0 in, 1 out.
    pub is_egress: u8,
    /// [`TRACE_REDIRECTED`], or a [`Skip`](crate::Skip)'s discriminant.
    pub verdict: u8,
}

pub const TRACE_REDIRECTED: u8 = u8::MAX;

impl TraceRecord {
    /// The client's port on the wire.
    #[inline(always)]
    pub fn wire_client(&self) -> Port {
        let [before, after] = self.client_port;
        if self.is_egress == 0 { before } else { after }
    }
}

/// Bytes of the `TRACED` ring buffer: some 6,500 records.
pub const TRACED_BYTES: u32 = 1 << 19;
