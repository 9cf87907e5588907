//! What a packet's way tells whoever traces.

use crate::{
    Direction, Segment, Skip,
    abi::{Address, NO_PORT, NO_RULE, Port, TraceRecord},
    decision::Decision,
    headers::ipproto,
};

/// A packet that was redirected, or left alone for a reason: in registers, because it crosses from one BPF
/// function to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Offset of the network header, protocol, TCP flags, version of IP and direction.
    place: u64,
    /// Source port, destination port, bytes.
    ends: u64,
    /// Sequence and acknowledgment number.
    numbers: u64,
    /// A [`Decision`].
    decision: u64,
}

const IPV6: u64 = 1 << 40;
const EGRESS: u64 = 1 << 41;

/// The same in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub direction: Direction,
    /// Of the client and of this host; `None` where it was not read that far.
    pub addresses: Option<(Address, Address)>,
    /// The client's port before and after; [`NO_PORT`] for an ICMP error.
    pub client_port: [Port; 2],
    /// This host's port before and after; [`NO_PORT`] for an ICMP error.
    pub local_port: [Port; 2],
    /// An IP protocol number (IANA), 0 where it was not read that far.
    pub protocol: u8,
    /// As on the wire.
    pub flags: u8,
    /// From the network header onwards; 0 where it was not read that far.
    pub bytes: u32,
    /// TCP's numbers in host byte order; 0 for others.
    pub sequence: u32,
    pub acknowledgment: u32,
    /// The rule's number, [`NO_RULE`] without one.
    pub rule: u32,
    /// Why it was left alone, if it was.
    pub skipped: Option<Skip>,
}

impl Traced {
    #[inline(always)]
    pub fn new(segment: &Segment, direction: Direction, decision: Decision) -> Self {
        let ends = &segment.ends;
        let is_egress = match direction {
            Direction::Ingress => 0,
            Direction::Egress => EGRESS,
        };
        Self {
            place: (ends.network as u64 & 0xffff)
                | (u64::from(ends.protocol.number() & 0xff) << 16)
                | (u64::from(segment.flags.bits() & 0xff) << 24)
                | (u64::from(ends.is_ipv6) * IPV6)
                | is_egress,
            ends: u64::from(ends.source_port.to_be())
                | (u64::from(ends.destination_port.to_be()) << 16)
                | (u64::from(segment.bytes) << 32),
            numbers: u64::from(segment.sequence) | (u64::from(segment.acknowledgment) << 32),
            decision: decision.to_register(),
        }
    }

    #[inline(always)]
    pub const fn from_words([place, ends, numbers, decision]: [u64; 4]) -> Self {
        Self {
            place,
            ends,
            numbers,
            decision,
        }
    }

    #[inline(always)]
    pub const fn to_words(self) -> [u64; 4] {
        [self.place, self.ends, self.numbers, self.decision]
    }

    /// Bytes from the start of the packet to its addresses, and whether they are of IPv6; `None` where it
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

    /// TCP's, as on the wire.
    #[inline(always)]
    pub const fn flags(&self) -> u32 {
        (self.place >> 24) as u32 & 0xff
    }

    #[inline(always)]
    pub fn is_of_rule(&self, rule: u32) -> bool {
        Decision::from_register(self.decision).rule() == Some(rule)
    }
}

impl TraceRecord {
    pub fn told(&self) -> Told {
        let packet = Traced::from_words(self.packet);
        let bytes = (packet.ends >> 32) as u32;
        let is_ipv6 = packet.place & IPV6 != 0;
        let is_read = bytes != 0;
        let [from, to] = [packet.ends, packet.ends >> 16].map(|port| Port::from_be(port as u16));
        let (direction, addresses, client, local) = if packet.place & EGRESS == 0 {
            (
                Direction::Ingress,
                (self.source, self.destination),
                from,
                to,
            )
        } else {
            (Direction::Egress, (self.destination, self.source), to, from)
        };
        let protocol = match ((packet.place >> 16) as u8, is_ipv6) {
            (0, false) if is_read => ipproto::ICMP,
            (0, true) if is_read => ipproto::ICMPV6,
            (protocol, _) => protocol,
        };
        let has_ports = matches!(protocol, ipproto::TCP | ipproto::UDP);
        let (mut after, mut rule, mut skipped) = ((client, local), NO_RULE, None);
        match Decision::from_register(packet.decision).into_result() {
            Ok(Some(to)) => {
                rule = to.rule;
                if has_ports {
                    after.1 = to.local;
                    if to.remote != NO_PORT {
                        after.0 = to.remote;
                    }
                }
            }
            Ok(None) => {}
            Err(skip) => skipped = Some(skip),
        }
        Told {
            direction,
            addresses: is_read.then_some(addresses),
            client_port: [client, after.0],
            local_port: [local, after.1],
            protocol,
            flags: packet.flags() as u8,
            bytes,
            sequence: packet.numbers as u32,
            acknowledgment: (packet.numbers >> 32) as u32,
            rule,
            skipped,
        }
    }
}

impl Told {
    /// The client's port on the wire.
    pub fn wire_port(&self) -> Port {
        let [before, after] = self.client_port;
        match self.direction {
            Direction::Ingress => before,
            Direction::Egress => after,
        }
    }

    pub fn has_ports(&self) -> bool {
        matches!(self.protocol, ipproto::TCP | ipproto::UDP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ends, TcpFlags, abi::Protocol, track::Translation};

    #[test]
    fn a_record_tells_what_was_in_the_packet() {
        let [client, host] = [7, 8].map(|number| Address::ipv4(u32::to_be(number)));
        for (direction, ports, addresses, before, after) in [
            (
                Direction::Ingress,
                [40_000, 80],
                [client, host],
                [40_000, 80],
                [50_000, 8000],
            ),
            (
                Direction::Egress,
                [8000, 50_000],
                [host, client],
                [50_000, 8000],
                [40_000, 80],
            ),
        ] {
            let [source_port, destination_port] = ports.map(Port::new);
            let segment = Segment {
                ends: Ends {
                    protocol: Protocol::TCP,
                    network: 14,
                    source_port,
                    destination_port,
                    ..Ends::default()
                },
                sequence: u32::MAX,
                acknowledgment: 1,
                bytes: 60,
                flags: TcpFlags::default(),
                ..Segment::default()
            };
            let to = Translation {
                local: Port::new(after[1]),
                remote: Port::new(after[0]),
                rule: 3,
            };
            let traced = Traced::new(&segment, direction, Decision::redirect(to));
            assert_eq!(traced.addresses(), Some((26, false)));
            assert!(traced.is_of_rule(3) && !traced.is_of_rule(4));
            let record = TraceRecord {
                source: addresses[0],
                destination: addresses[1],
                packet: traced.to_words(),
                ..TraceRecord::default()
            };
            let told = record.told();
            assert_eq!(told.direction, direction);
            assert_eq!(told.addresses, Some((client, host)));
            let ports = |index: usize| [told.client_port[index], told.local_port[index]];
            assert_eq!(ports(0), before.map(Port::new));
            assert_eq!(ports(1), after.map(Port::new));
            assert_eq!(told.wire_port(), Port::new(40_000));
            assert_eq!((told.sequence, told.acknowledgment), (u32::MAX, 1));
            assert_eq!((told.bytes, told.rule, told.skipped), (60, 3, None));
        }
    }

    #[test]
    fn what_was_not_read_has_no_ends() {
        let decision = Decision::skip(Skip::Fragment);
        let traced = Traced::new(&Segment::default(), Direction::Egress, decision);
        assert_eq!(traced.addresses(), None);
        let record = TraceRecord {
            packet: traced.to_words(),
            ..TraceRecord::default()
        };
        let told = record.told();
        assert_eq!((told.addresses, told.protocol, told.bytes), (None, 0, 0));
        assert_eq!((told.rule, told.skipped), (NO_RULE, Some(Skip::Fragment)));
    }
}
