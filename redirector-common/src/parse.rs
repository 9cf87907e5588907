use crate::{
    LinkLayer, Packet, Skip,
    abi::{Address, Port, Protocol},
    headers::{
        ETH_P_8021AD, ETH_P_8021Q, ETH_P_IPV4, ETH_P_IPV6, Ethernet, Ipv4, Ipv6, Ipv6Extension,
        Tcp, Udp, Vlan, ipproto,
    },
};

/// IEEE 802.1ad: a service tag and a customer tag.
const MAX_VLAN_TAGS: usize = 2;

/// Longer chains of IPv6 extension headers are left alone.
pub const MAX_IPV6_EXTENSIONS: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum IpVersion {
    V4,
    V6,
}

/// RFC 9293 section 3.1; no flag is set for UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpFlags(u32);

impl TcpFlags {
    const SYN: u32 = 1 << 1;
    const RST: u32 = 1 << 2;
    const ACK: u32 = 1 << 4;

    /// The first segment of a connection: SYN without ACK.
    #[inline(always)]
    pub fn is_opening(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    #[inline(always)]
    pub fn is_reset(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// The listener's answer to it.
    #[inline(always)]
    pub fn is_syn_ack(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST) == Self::SYN | Self::ACK
    }
}

/// A TCP segment or UDP datagram, or the first fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub protocol: Protocol,
    pub is_ipv6: bool,
    /// Bytes from the start of the packet to the network header.
    pub network: usize,
    /// Bytes from the start of the packet to the transport header.
    pub transport: usize,
    pub source_port: Port,
    pub destination_port: Port,
    pub flags: TcpFlags,
    /// TCP sequence and acknowledgment numbers in host byte order; 0 for UDP.
    pub sequence: u32,
    pub acknowledgment: u32,
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

/// Finds the ports. `None`: neither TCP nor UDP over IP, so nothing of ours.
#[inline(always)]
pub fn parse<P: Packet>(packet: &P) -> Result<Option<Segment>, Skip> {
    let Some((version, network)) = network_layer(packet)? else {
        return Ok(None);
    };
    let network = packet.opaque(network as u32) as usize;
    let transport = match version {
        IpVersion::V4 => ipv4(packet, network)?,
        IpVersion::V6 => ipv6(packet, network)?,
    };
    let Some((protocol, transport, length)) = transport else {
        return Ok(None);
    };
    let (source_port, destination_port, flags, sequence, acknowledgment, own_header) =
        if protocol == Protocol::TCP {
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
    // One state for the verifier from here on, instead of one for each way through the headers.
    Ok(Some(Segment {
        protocol: Protocol::from_number(packet.opaque(protocol.number())),
        is_ipv6: packet.opaque(u32::from(version == IpVersion::V6)) != 0,
        network,
        transport: packet.opaque(transport as u32) as usize,
        source_port,
        destination_port,
        flags: TcpFlags(packet.opaque(u32::from(flags))),
        sequence: packet.opaque(sequence),
        acknowledgment: packet.opaque(acknowledgment),
        headers: packet.opaque((transport - network) as u32 + own_header),
        bytes: packet.opaque(bytes(packet, network, length)?),
    }))
}

/// Source and destination address of a parsed segment; apart from [`parse`] because most packets
/// never need them.
#[inline(always)]
pub fn addresses<P: Packet>(packet: &P, segment: &Segment) -> Result<(Address, Address), Skip> {
    if segment.is_ipv6 {
        let ip = packet.header::<Ipv6>(segment.network)?;
        Ok((ip.source, ip.destination))
    } else {
        let ip = packet.header::<Ipv4>(segment.network)?;
        Ok((Address::ipv4(ip.source), Address::ipv4(ip.destination)))
    }
}

#[inline(always)]
fn network_layer<P: Packet>(packet: &P) -> Result<Option<(IpVersion, usize)>, Skip> {
    if packet.link_layer() == LinkLayer::None {
        // The version is where IPv6 has it too, and no IP header is shorter.
        return Ok(match packet.header::<Ipv4>(0)?.version() {
            4 => Some((IpVersion::V4, 0)),
            6 => Some((IpVersion::V6, 0)),
            _ => None,
        });
    }
    let mut offset = size_of::<Ethernet>();
    let mut ethertype = packet.header::<Ethernet>(0)?.ethertype;
    for _ in 0..MAX_VLAN_TAGS {
        if ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD {
            ethertype = packet.rare_header::<Vlan>(offset)?.ethertype;
            offset += size_of::<Vlan>();
        }
    }
    Ok(match ethertype {
        ETH_P_IPV4 => Some((IpVersion::V4, offset)),
        ETH_P_IPV6 => Some((IpVersion::V6, offset)),
        _ => None,
    })
}

/// Protocol, offset of the transport header and the datagram's length in bytes by its header.
type Transport = (Protocol, usize, u32);

#[inline(always)]
fn ipv4<P: Packet>(packet: &P, offset: usize) -> Result<Option<Transport>, Skip> {
    let ip = packet.header::<Ipv4>(offset)?;
    let header_length = ip.header_length();
    if ip.version() != 4 || header_length < size_of::<Ipv4>() {
        return Err(Skip::Malformed);
    }
    let Some(protocol) = transport_protocol(ip.protocol) else {
        return Ok(None);
    };
    if ip.is_later_fragment() {
        return Err(Skip::Fragment);
    }
    let length = u32::from(u16::from_be(ip.total_length));
    Ok(Some((protocol, offset + header_length, length)))
}

#[inline(always)]
fn ipv6<P: Packet>(packet: &P, offset: usize) -> Result<Option<Transport>, Skip> {
    let ip = packet.header::<Ipv6>(offset)?;
    if ip.version() != 6 {
        return Err(Skip::Malformed);
    }
    let payload = u32::from(u16::from_be(ip.payload_length));
    // 0: a jumbogram or a BIG TCP super-packet; its length is the packet's.
    let length = if payload == 0 {
        0
    } else {
        payload + size_of::<Ipv6>() as u32
    };
    let mut next_header = ip.next_header;
    let mut offset = offset + size_of::<Ipv6>();
    for _ in 0..MAX_IPV6_EXTENSIONS {
        let is_fragment = next_header == ipproto::FRAGMENT;
        if !is_fragment && !has_units(next_header) {
            break;
        }
        let extension = packet.rare_header::<Ipv6Extension>(offset)?;
        if is_fragment && extension.is_later_fragment() {
            return Err(Skip::Fragment);
        }
        let units = if is_fragment { 0 } else { extension.length };
        next_header = extension.next_header;
        offset += (usize::from(units) + 1) * size_of::<Ipv6Extension>();
    }
    Ok(transport_protocol(next_header).map(|protocol| (protocol, offset, length)))
}

/// Whether an extension header says its length in units of 8 bytes.
#[inline(always)]
fn has_units(next_header: u8) -> bool {
    matches!(
        next_header,
        ipproto::HOP_BY_HOP | ipproto::ROUTING | ipproto::DESTINATION_OPTIONS
    )
}

#[inline(always)]
fn transport_protocol(number: u8) -> Option<Protocol> {
    match number {
        ipproto::TCP => Some(Protocol::TCP),
        ipproto::UDP => Some(Protocol::UDP),
        _ => None,
    }
}

/// `length` without link-layer padding, or all that follows where the header tells nothing or more.
#[inline(always)]
fn bytes<P: Packet>(packet: &P, network: usize, length: u32) -> Result<u32, Skip> {
    let rest = packet
        .length()
        .checked_sub(network)
        .ok_or(Skip::Malformed)? as u32;
    Ok(if length == 0 || length > rest {
        rest
    } else {
        length
    })
}
