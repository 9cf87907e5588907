use crate::{
    Direction, LinkLayer, Packet, Skip,
    abi::{Port, Protocol},
    headers::{ETH_P_IPV4, ETH_P_IPV6, Ethernet, Ipv4, Ipv6, Tcp, Udp, ipproto},
    ip::{Datagram, datagram},
};

/// RFC 9293 section 3.1; no flag is set for UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags(u32);

impl TcpFlags {
    const SYN: u32 = 1 << 1;
    const RST: u32 = 1 << 2;
    const ACK: u32 = 1 << 4;

    #[inline(always)]
    pub fn from_bits(bits: u8) -> Self {
        Self(u32::from(bits))
    }

    #[inline(always)]
    pub fn begins_or_resets(self) -> bool {
        self.0 & (Self::SYN | Self::RST) != 0
    }

    /// The first segment of a connection: SYN without ACK.
    #[inline(always)]
    pub fn is_opening(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    #[inline(always)]
    pub fn acknowledges(self) -> bool {
        self.0 & Self::ACK != 0
    }

    #[inline(always)]
    pub fn is_reset(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// As on the wire.
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// 1 if it is one, else 0.
    #[inline(always)]
    pub fn resets(self) -> u32 {
        (self.0 & Self::RST) / Self::RST
    }

    /// The listener's answer to it.
    #[inline(always)]
    pub fn is_syn_ack(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST) == Self::SYN | Self::ACK
    }
}

/// Whose packet it is: the ports, and where the addresses are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Ends {
    pub protocol: Protocol,
    pub is_ipv6: bool,
    /// Bytes from the start of the packet to the network header.
    pub network: usize,
    pub source_port: Port,
    pub destination_port: Port,
}

/// A TCP segment or UDP datagram, or the first fragment of one. What is read together is aligned together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Segment {
    pub ends: Ends,
    /// Bytes from the start of the packet to the transport header.
    pub transport: usize,
    /// TCP sequence and acknowledgment numbers in host byte order; 0 for UDP.
    pub sequence: u32,
    pub acknowledgment: u32,
    pub flags: TcpFlags,
    /// Bytes from the network header to the payload.
    pub headers: u32,
    /// Bytes from the network header to the end of the payload.
    pub bytes: u32,
}

impl Segment {
    #[inline(always)]
    pub fn has_payload(&self) -> bool {
        self.bytes > self.headers
    }
}

/// Finds the ports. `None`: neither TCP nor UDP over IP.
pub fn parse<P: Packet>(packet: &P) -> Result<Option<Segment>, Skip> {
    match datagram(packet)? {
        Some(datagram) if !datagram.is_icmp() => segment(packet, &datagram).map(Some),
        _ => Ok(None),
    }
}

/// Ports where headers are as they usually are: no tags, options or extension headers.
#[derive(Clone, Copy)]
pub struct Plain {
    pub is_ipv6: bool,
    pub protocol: Protocol,
    pub source_port: Port,
    pub destination_port: Port,
}

impl Plain {
    /// That of this host's end.
    #[inline(always)]
    pub const fn port(&self, direction: Direction) -> Port {
        match direction {
            Direction::Ingress => self.destination_port,
            Direction::Egress => self.source_port,
        }
    }
}

/// Most packets of a host are none of ours, and this is all they pay for.
#[inline(always)]
pub fn glance<P: Packet>(packet: &P) -> Option<Plain> {
    let network = packet.link_layer().length();
    let is_ip = |ethertype| {
        packet.link_layer() == LinkLayer::None
            || packet
                .glance::<Ethernet>(0)
                .is_some_and(|ethernet| ethernet.ethertype == ethertype)
    };
    // Without options; a later fragment has no ports.
    let ip = packet.glance::<Ipv4>(network)?;
    let (is_ipv6, number, udp) = if ip.is_plain() && is_ip(ETH_P_IPV4) {
        let udp = packet.glance::<Udp>(network + size_of::<Ipv4>())?;
        (false, ip.protocol, udp)
    } else if ip.version() == 6 && is_ip(ETH_P_IPV6) {
        let next_header = packet.glance::<Ipv6>(network)?.next_header;
        let udp = packet.glance::<Udp>(network + size_of::<Ipv6>())?;
        (true, next_header, udp)
    } else {
        return None;
    };
    if !matches!(number, ipproto::TCP | ipproto::UDP) {
        return None;
    }
    // Both begin with the ports.
    Some(Plain {
        is_ipv6,
        protocol: Protocol::from_number(u32::from(number)),
        source_port: udp.source_port,
        destination_port: udp.destination_port,
    })
}

/// What [`locate`] found; a [`Skip`] is [`SKIP`] plus its discriminant.
pub const NOTHING: u32 = 0;
pub const SEGMENT: u32 = 1;
/// An ICMP message: of the segment `ends.is_ipv6`, `ends.network`, `transport` and `bytes` hold.
pub const MESSAGE: u32 = 2;
pub const SKIP: u32 = 3;

/// From the start of a packet to its ports. A function of its own, so that the headers on its stack are
/// gone when flows are looked for.
#[inline(never)]
pub fn locate<P: Packet>(packet: &P, found: &mut Segment) -> u32 {
    let (kind, segment) = match located(packet) {
        Ok(located) => located,
        Err(skip) => return SKIP + skip as u32,
    };
    if kind != NOTHING {
        *found = segment;
    }
    kind
}

#[inline(always)]
fn located<P: Packet>(packet: &P) -> Result<(u32, Segment), Skip> {
    let Some(datagram) = datagram(packet)? else {
        return Ok((NOTHING, Segment::default()));
    };
    if !datagram.is_icmp() {
        return Ok((SEGMENT, segment(packet, &datagram)?));
    }
    let message = Segment {
        ends: Ends {
            is_ipv6: datagram.is_ipv6,
            network: datagram.network,
            ..Ends::default()
        },
        transport: datagram.transport,
        bytes: (datagram.end(packet)? - datagram.network) as u32,
        ..Segment::default()
    };
    Ok((MESSAGE, message))
}

/// The same once the IP headers are known to carry TCP or UDP.
#[inline(always)]
fn segment<P: Packet>(packet: &P, datagram: &Datagram) -> Result<Segment, Skip> {
    let protocol = Protocol::from_number(datagram.protocol);
    let transport = datagram.transport;
    let end = datagram.end(packet)?;
    let (source_port, destination_port, flags, sequence, acknowledgment, own_header) =
        if protocol == Protocol::TCP {
            // Bytes beyond the datagram's end are padding, whatever they look like.
            if transport + size_of::<Tcp>() > end {
                return Err(Skip::Malformed);
            }
            let tcp = packet.header::<Tcp>(transport)?;
            (
                tcp.source_port,
                tcp.destination_port,
                tcp.flags,
                u32::from_be(tcp.sequence),
                u32::from_be(tcp.acknowledgment),
                u32::from(tcp.data_offset >> 4) * 4,
            )
        } else {
            if transport + size_of::<Udp>() > end {
                return Err(Skip::Malformed);
            }
            let udp = packet.header::<Udp>(transport)?;
            (
                udp.source_port,
                udp.destination_port,
                0,
                0,
                0,
                size_of::<Udp>() as u32,
            )
        };
    let network = datagram.network;
    // One state for the verifier from here on.
    Ok(Segment {
        ends: Ends {
            protocol,
            is_ipv6: datagram.is_ipv6,
            network,
            source_port,
            destination_port,
        },
        transport,
        flags: TcpFlags(packet.opaque(u32::from(flags))),
        sequence: packet.opaque(sequence),
        acknowledgment: packet.opaque(acknowledgment),
        headers: packet.opaque((transport - network) as u32 + own_header),
        bytes: (end - network) as u32,
    })
}
