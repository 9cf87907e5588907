use crate::{
    Checksum, Direction, Packet, Segment, Skip,
    abi::{NO_PORT, Protocol},
    checksum::partial,
    headers::{Tcp, Udp},
    ip::{Addresses, addresses},
    parse::Ends,
    track::Translation,
};

/// A segment's ports and the checksum over them.
#[inline(always)]
pub fn segment<P: Packet>(
    packet: &mut P,
    segment: &Segment,
    direction: Direction,
    to: Translation,
) -> Result<(), Skip> {
    let checksum = checksum(segment.ends.protocol, segment.transport);
    ports(
        packet,
        &segment.ends,
        segment.transport,
        checksum,
        direction,
        to,
    )
}

/// Where the checksum is that a transport header at this offset has.
#[inline(always)]
pub fn checksum(protocol: Protocol, transport: usize) -> Checksum {
    if protocol == Protocol::TCP {
        Checksum {
            offset: transport + core::mem::offset_of!(Tcp, checksum),
            zero_is_none: false,
        }
    } else {
        Checksum {
            offset: transport + core::mem::offset_of!(Udp, checksum),
            zero_is_none: true,
        }
    }
}

/// The ports at `transport`, of a packet that crosses the interface in this direction.
#[inline(always)]
pub fn ports<P: Packet>(
    packet: &mut P,
    ends: &Ends,
    transport: usize,
    checksum: Checksum,
    direction: Direction,
    to: Translation,
) -> Result<(), Skip> {
    let source = (transport, ends.source_port);
    let destination = (transport + 2, ends.destination_port);
    let (local, remote) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    packet.replace_u16(local.0, local.1.to_wire(), to.local.to_wire(), checksum)?;
    if to.remote == NO_PORT {
        return Ok(());
    }
    packet.replace_u16(remote.0, remote.1.to_wire(), to.remote.to_wire(), checksum)
}

/// Whether a device is still to compute the checksum, as far as the packet tells: 1 in 65,536 finished
/// checksums looks like that as well.
#[inline(always)]
pub fn is_unfinished<P: Packet>(packet: &P, segment: &Segment) -> Result<bool, Skip> {
    let Segment {
        ends, transport, ..
    } = *segment;
    let checksum = if ends.protocol == Protocol::TCP {
        packet.header::<Tcp>(transport)?.checksum
    } else {
        packet.header::<Udp>(transport)?.checksum
    };
    let Addresses {
        source,
        destination,
    } = addresses(packet, ends.is_ipv6, ends.network)?;
    let length = segment.bytes - (transport - ends.network) as u32;
    let unfinished = partial(source, destination, ends.protocol, length);
    Ok(checksum.to_ne_bytes() == unfinished)
}
