//! What a packet's way tells whoever traces.

use crate::{
    Direction, Segment,
    abi::{ANY_ADDRESS, NO_PORT, NO_RULE, Port, TRACE_REDIRECTED, TraceRecord},
    decision::Decision,
    headers::ipproto,
    track::Translation,
};

/// A packet that was redirected, or left alone for a reason: in registers, because it crosses from one BPF
/// function to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Offset of the network header, protocol, TCP flags, version of IP and direction.
    pub place: u64,
    /// Source port, destination port, bytes.
    pub ends: u64,
    /// Sequence and acknowledgment number.
    pub numbers: u64,
    pub decision: u64,
}

const IPV6: u64 = 1 << 40;
const EGRESS: u64 = 1 << 41;

impl Traced {
    #[inline(always)]
    pub fn new(segment: &Segment, direction: Direction, decision: Decision) -> Self {
        let ends = &segment.ends;
        let is_ipv6 = if ends.is_ipv6 { IPV6 } else { 0 };
        let is_egress = match direction {
            Direction::Ingress => 0,
            Direction::Egress => EGRESS,
        };
        Self {
            place: ends.network as u64 & 0xffff
                | u64::from(ends.protocol.number() & 0xff) << 16
                | u64::from(segment.flags.bits() & 0xff) << 24
                | is_ipv6
                | is_egress,
            ends: u64::from(ends.source_port.to_be())
                | u64::from(ends.destination_port.to_be()) << 16
                | u64::from(segment.bytes) << 32,
            numbers: u64::from(segment.sequence) | u64::from(segment.acknowledgment) << 32,
            decision: decision.to_register(),
        }
    }

    /// Bytes from the start of the packet to its addresses and whether they are of IPv6; `None` where it
    /// was not read that far.
    #[inline(always)]
    pub fn addresses(&self) -> Option<(u32, bool)> {
        if self.ends >> 32 == 0 {
            return None;
        }
        let network = self.place as u32 & 0xffff;
        if self.place & IPV6 != 0 {
            Some((network + 8, true))
        } else {
            Some((network + 12, false))
        }
    }

    /// But for the addresses.
    #[inline(always)]
    pub fn record(&self, time: u64, ifindex: u32) -> TraceRecord {
        let protocol = (self.place >> 16) as u8;
        let is_error = protocol == 0 && self.ends >> 32 != 0;
        let is_egress = self.place & EGRESS != 0;
        let from = Port::from_be(self.ends as u16);
        let to = Port::from_be((self.ends >> 16) as u16);
        let (client_port, local_port) = if is_egress { (to, from) } else { (from, to) };
        let unchanged = Translation::to(local_port, NO_RULE);
        let (after, verdict) = match Decision::from_register(self.decision).into_result() {
            Ok(Some(after)) => (after, TRACE_REDIRECTED),
            Ok(None) => (unchanged, TRACE_REDIRECTED),
            Err(skip) => (unchanged, skip as u8),
        };
        let client_after = if after.remote == NO_PORT {
            client_port
        } else {
            after.remote
        };
        TraceRecord {
            time,
            client: ANY_ADDRESS,
            local: ANY_ADDRESS,
            ifindex,
            rule: after.rule,
            bytes: (self.ends >> 32) as u32,
            sequence: self.numbers as u32,
            acknowledgment: (self.numbers >> 32) as u32,
            client_port: [client_port, client_after],
            local_port: [local_port, after.local],
            protocol: match (is_error, self.place & IPV6 != 0) {
                (false, _) => protocol,
                (true, false) => ipproto::ICMP,
                (true, true) => ipproto::ICMPV6,
            },
            flags: (self.place >> 24) as u8,
            is_egress: u8::from(is_egress),
            verdict,
        }
    }
}
