//! An ICMP error (RFC 792, RFC 4443) quotes the packet that it is about. A quote that comes in is of
//! a packet that left from the wire port, and the application's socket knows the target; a quote that
//! goes out is of a packet as this host got it after the rewrite, and the client knows the wire port.

mod quote;

use self::quote::Quote;
use crate::{
    Checksum, Direction, Packet, Peer, Segment, Skip, State, Table,
    abi::{
        Flow, FlowKey, NO_PORT, PORT_CHANGED, PORT_SOURCE, PORT_TARGET, Port, PortEntry, Protocol,
    },
    decision::Decision,
    earlier,
    headers::{Icmp, Tcp, Udp},
    moved,
    parse::Ends,
    redirect::is_done,
    rewrite, rules,
    track::{self, Translation},
};

/// Where TCP has its sequence number, within the 8 bytes that every quote has.
const SEQUENCE: usize = core::mem::offset_of!(Tcp, sequence);

/// The quote's ports change, and one checksum: the quoted one if the quote has it, because it then
/// makes up for the port in the error's own; else the error's.
#[inline(always)]
pub fn translate<P: Packet, S: State>(
    packet: &mut P,
    state: &mut S,
    error: &Segment,
    direction: Direction,
) -> Result<Option<Translation>, Skip> {
    let Ends {
        network, is_ipv6, ..
    } = error.ends;
    let header = error.transport;
    let end = network + error.bytes as usize;
    let quote = quote::find(packet, network, header, end, is_ipv6);
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
    if is_done(packet, state) {
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
        Direction::Egress => {
            let sequence = packet.rare_header::<[u8; 4]>(quote.transport() + SEQUENCE)?;
            client(state, &key, u32::from_be_bytes(sequence))
        }
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
    packet.set_mark(state.mark());
    rewrite::ports(packet, &ends, quote.transport(), checksum, crossed, to)?;
    Ok(Some(to))
}

#[inline(always)]
fn concerns<S: State>(state: &S, entry: PortEntry, direction: Direction) -> bool {
    let is_target = entry.flags & PORT_TARGET != 0;
    match direction {
        Direction::Ingress => entry.flags & PORT_SOURCE != 0 || is_target && state.has_moved(),
        Direction::Egress => is_target,
    }
}

/// The application's end of a flow that the client knows by the key's ports. The application has sent
/// what is quoted, so a flow that it has not answered is not meant.
#[inline(always)]
fn application<S: State>(
    state: &mut S,
    key: &mut FlowKey,
    entry: PortEntry,
    target: Port,
) -> Option<Translation> {
    let from = key.local_port;
    let known = |state: &mut S, key: &FlowKey| {
        proven(state, key)
            .or_else(|| state.flow(Table::Pending, key).filter(Flow::is_answered))
            .filter(|flow| flow.is_of(from, NO_PORT))
    };
    key.local_port = target;
    if let Some(flow) = known(state, key) {
        return Some(Translation::to(target, flow.rule));
    }
    key.local_port = from;
    let marker = moved::marker(state, key);
    if marker.is_found() {
        return Some(marker.to());
    }
    if entry.flags & PORT_CHANGED == 0 {
        return None;
    }
    earlier::find(state, key, |state, key, to| {
        let flow = known(state, key)?;
        Some(Translation::to(to.local, flow.rule))
    })
}

/// The client's end of a flow that the application knows by the key's ports. What is quoted has this
/// sequence number: a SYN is none of whatever had its tuple before.
#[inline(always)]
fn client<S: State>(state: &S, key: &FlowKey, sequence: u32) -> Option<Translation> {
    let translation = |flow: &Flow| {
        flow.is_redirected(key.local_port)
            .then_some(Translation::of(flow))
    };
    if key.protocol == Protocol::TCP
        && let Some(flow) = state.flow(Table::Pending, key)
        && flow.is_opened()
        && flow.opening == sequence
    {
        return translation(&flow);
    }
    let flow = proven(state, key).or_else(|| state.flow(Table::Pending, key))?;
    translation(&flow)
}

/// A flow that was answered, from whoever remembers it. An error proves nothing, so nothing is noted.
#[inline(always)]
fn proven<S: State>(state: &S, key: &FlowKey) -> Option<Flow> {
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
    state.flow(Table::Answered, key)
}
