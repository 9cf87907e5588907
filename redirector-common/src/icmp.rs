//! An ICMP error (RFC 792, RFC 4443) quotes the packet that it is about. A quote that comes in is of
//! a packet that left from the wire port, and the application's socket knows the target; a quote that
//! goes out is of a packet as this host got it after the rewrite, and the client knows the wire port.

use crate::{
    Checksum, Direction, Packet, Peer, Skip, State,
    abi::{
        EARLIER_TARGETS, Flow, FlowKey, NO_PORT, PORT_CHANGED, PORT_SOURCE, PORT_TARGET, Port,
        PortEntry, Protocol,
    },
    decision::Decision,
    headers::{Icmp, Tcp, Udp},
    ip::{Datagram, datagram_at},
    moved,
    parse::Ends,
    rewrite, rules,
    track::{self, Translation},
};

/// The quote's ports change, and one checksum: the quoted one if the quote has it, because it then
/// makes up for the port in the error's own; else the error's.
#[inline(always)]
pub fn translate<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    error: &Datagram,
    direction: Direction,
) -> Result<Option<Translation>, Skip> {
    let end = error.end(packet)?;
    let (header, is_ipv6) = (error.transport, error.is_ipv6);
    let quote = find(packet, header, end, is_ipv6);
    if !quote.is_found()? {
        return Ok(None);
    }
    let decision = match direction {
        Direction::Ingress => inbound(packet, state, header, quote, is_ipv6),
        Direction::Egress => outbound(packet, state, header, quote, is_ipv6),
    };
    decision.into_result()
}

#[inline(never)]
fn inbound<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    header: usize,
    quote: Quote,
    is_ipv6: bool,
) -> Decision {
    let direction = Direction::Ingress;
    Decision::from_result(change(packet, state, header, quote, is_ipv6, direction))
}

#[inline(never)]
fn outbound<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    header: usize,
    quote: Quote,
    is_ipv6: bool,
) -> Decision {
    let direction = Direction::Egress;
    Decision::from_result(change(packet, state, header, quote, is_ipv6, direction))
}

#[inline(always)]
fn change<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    header: usize,
    quote: Quote,
    is_ipv6: bool,
    direction: Direction,
) -> Result<Option<Translation>, Skip> {
    // Both protocols begin with the ports.
    let udp = packet.rare_header::<Udp>(quote.transport())?;
    let ends = Ends {
        protocol: quote.protocol(),
        is_ipv6,
        network: header + size_of::<Icmp>(),
        source_port: udp.source_port,
        destination_port: udp.destination_port,
    };
    let local_port = match direction {
        Direction::Ingress => ends.source_port,
        Direction::Egress => ends.destination_port,
    };
    let Some(entry) = state.port(ends.protocol, local_port) else {
        return Ok(None);
    };
    if !concerns(state, entry, direction) {
        return Ok(None);
    }
    if packet.is_other_host() {
        return Err(Skip::OtherHost);
    }
    // The packet that it is about crossed the other way.
    let crossed = direction.reverse();
    let mut key = track::key(packet, state, &ends, crossed)?;
    let to = match direction {
        Direction::Ingress => {
            let target = rules::target(packet, state, &key, entry).local;
            application(state, &mut key, entry, target)
        }
        Direction::Egress => client(state, &key),
    };
    let Some(to) = to else {
        return Ok(None);
    };
    let checksum = if quote.has_checksum() {
        rewrite::checksum(ends.protocol, quote.transport())
    } else {
        Checksum {
            offset: header + core::mem::offset_of!(Icmp, checksum),
            zero_is_none: false,
        }
    };
    rewrite::ports(packet, &ends, quote.transport(), checksum, crossed, to)?;
    Ok(Some(to))
}

/// What an error is about, in one register, as a BPF function returns it; a structure with gaps would
/// be copied across words of the stack.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Quote(u64);

/// The lowest 8 bits; a [`Skip`] is [`SKIP`] plus its discriminant. Above them whether there is a
/// checksum, the protocol and the offset.
const NOTHING: u64 = 0;
const FOUND: u64 = 1;
const SKIP: u64 = 2;

impl Quote {
    #[inline(always)]
    fn new(protocol: Protocol, transport: usize, has_checksum: u32) -> Self {
        let protocol = u64::from(protocol.number());
        Self(FOUND | u64::from(has_checksum) << 8 | protocol << 16 | (transport as u64) << 32)
    }

    #[inline(always)]
    fn is_found(self) -> Result<bool, Skip> {
        match self.0 & 0xff {
            NOTHING => Ok(false),
            FOUND => Ok(true),
            skip => Err(Skip::from_discriminant((skip - SKIP) as u32)),
        }
    }

    #[inline(always)]
    fn protocol(self) -> Protocol {
        Protocol::from_number(self.0 as u32 >> 16)
    }

    /// Bytes from the start of the packet to the transport header in the quote.
    #[inline(always)]
    fn transport(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Whether the quote has a checksum over the ports.
    #[inline(always)]
    fn has_checksum(self) -> bool {
        self.0 & 1 << 8 != 0
    }
}

/// The [`Quote`] of an ICMP message, if that is an error and quotes something that has ports.
#[inline(never)]
fn find<P: Packet>(packet: &P, header: usize, end: usize, is_ipv6: bool) -> Quote {
    match quote(packet, header, end, is_ipv6) {
        Ok(Some(quote)) => quote,
        Ok(None) => Quote(NOTHING),
        Err(skip) => Quote(SKIP + skip as u64),
    }
}

#[inline(always)]
fn quote<P: Packet>(
    packet: &P,
    header: usize,
    end: usize,
    is_ipv6: bool,
) -> Result<Option<Quote>, Skip> {
    let icmp = packet.rare_header::<Icmp>(header)?;
    if !is_error(&icmp, is_ipv6) {
        return Ok(None);
    }
    let network = header + size_of::<Icmp>();
    let Some(quoted) = datagram_at(packet, is_ipv6, network)? else {
        return Ok(None);
    };
    if quoted.is_icmp() {
        return Ok(None);
    }
    let end = quote_end(&icmp, is_ipv6, network, end);
    // 8 bytes are what every quote has.
    if quoted.transport + size_of::<Udp>() > end {
        return Ok(None);
    }
    let udp = packet.rare_header::<Udp>(quoted.transport)?;
    let protocol = Protocol::from_number(quoted.protocol);
    let has_checksum = if protocol == Protocol::TCP {
        quoted.transport + size_of::<Tcp>() <= end
    } else {
        quoted.transport + size_of::<Udp>() <= end && udp.checksum != 0
    };
    let has_checksum = packet.opaque(u32::from(has_checksum));
    Ok(Some(Quote::new(protocol, quoted.transport, has_checksum)))
}

/// Destination unreachable, time exceeded, parameter problem, and IPv6's packet too big.
#[inline(always)]
fn is_error(icmp: &Icmp, is_ipv6: bool) -> bool {
    if is_ipv6 {
        matches!(icmp.kind, 1..=4)
    } else {
        matches!(icmp.kind, 3 | 11 | 12)
    }
}

/// RFC 4884 section 3: with extensions behind it, a quote has at least as many bytes.
const LEAST_EXTENDED: usize = 128;

/// Where the quote ends and extensions begin. RFC 4884 section 4 has its length in units of 4 bytes
/// for IPv4, and of 8 for IPv6 where no other number takes the place.
#[inline(always)]
fn quote_end(icmp: &Icmp, is_ipv6: bool, quote: usize, end: usize) -> usize {
    let length = if !is_ipv6 {
        usize::from(icmp.rest[1]) * 4
    } else if matches!(icmp.kind, 1 | 3) {
        usize::from(icmp.rest[0]) * 8
    } else {
        0
    };
    if length >= LEAST_EXTENDED && quote + length < end {
        quote + length
    } else {
        end
    }
}

#[inline(always)]
fn concerns<S: State>(state: &S, entry: PortEntry, direction: Direction) -> bool {
    let is_target = entry.flags & PORT_TARGET != 0;
    match direction {
        Direction::Ingress => entry.flags & PORT_SOURCE != 0 || is_target && state.has_moved(),
        Direction::Egress => is_target,
    }
}

/// The application's end of a flow that the client knows by the key's ports.
#[inline(always)]
fn application<S: State>(
    state: &S,
    key: &mut FlowKey,
    entry: PortEntry,
    target: Port,
) -> Option<Translation> {
    let from = key.local_port;
    key.local_port = target;
    if let Some(flow) = known(state, key)
        && flow.from == from
        && flow.client == NO_PORT
    {
        return Some(Translation::to(target, flow.rule));
    }
    key.local_port = from;
    if let Some(marker) = moved::look_up(state, key) {
        return Some(Translation::of(&marker));
    }
    if entry.flags & PORT_CHANGED == 0 {
        return None;
    }
    for age in 0..EARLIER_TARGETS {
        let earlier = state.earlier(key.protocol, from, age)?;
        key.local_port = earlier.target;
        if let Some(flow) = known(state, key)
            && flow.from == from
            && flow.client == NO_PORT
        {
            return Some(Translation::to(earlier.target, flow.rule));
        }
    }
    None
}

/// The client's end of a flow that the application knows by the key's ports.
#[inline(always)]
fn client<S: State>(state: &S, key: &FlowKey) -> Option<Translation> {
    known(state, key)
        .filter(|flow| !flow.is_of(key.local_port, NO_PORT))
        .map(|flow| Translation::of(&flow))
}

/// A redirected flow, from whoever remembers it. An error proves nothing, so nothing is noted.
#[inline(always)]
fn known<S: State>(state: &S, key: &FlowKey) -> Option<Flow> {
    if let Some(flow) = track::flow(state, key) {
        return (flow.from != NO_PORT).then_some(flow);
    }
    if key.protocol == Protocol::TCP
        && let Peer::Connected {
            origin: Some(origin),
        } = state.peer(key)
    {
        return Some(Flow {
            client: origin.client,
            ..Flow::resumed(origin.from, origin.rule)
        });
    }
    None
}
