//! From the start of a packet to what its IP header carries.

use crate::{
    LinkLayer, Packet, Skip,
    abi::Address,
    headers::{
        ETH_P_8021AD, ETH_P_8021Q, ETH_P_IPV4, ETH_P_IPV6, Ethernet, Ipv4, Ipv6, Ipv6Extension,
        Vlan, ipproto,
    },
};

/// IEEE 802.1ad: a service tag and a customer tag.
const MAX_VLAN_TAGS: usize = 2;

/// Longer chains of IPv6 extension headers are left alone.
pub const MAX_IPV6_EXTENSIONS: usize = 6;

/// An IP packet, or the first fragment of one, that carries TCP, UDP or ICMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    pub is_ipv6: bool,
    /// Bytes from the start of the packet to the network header.
    pub network: usize,
    /// Bytes from the start of the packet to what the IP headers carry.
    pub transport: usize,
    /// Its number (IANA).
    pub protocol: u32,
    /// Bytes from the network header to the end, as the header says; 0 where it does not.
    pub length: u32,
}

impl Datagram {
    /// Whether it carries the ICMP of its IP version.
    #[inline(always)]
    pub fn is_icmp(&self) -> bool {
        self.protocol == u32::from(icmp_of(self.is_ipv6))
    }

    /// Bytes from the start of the packet to the end of the datagram: without link-layer padding,
    /// or all there is where the header tells nothing. One that was cut short reaches nobody
    /// (`ip_rcv_core()` in `net/ipv4/ip_input.c`).
    #[inline(always)]
    pub fn end<P: Packet>(&self, packet: &P) -> Result<usize, Skip> {
        let rest = packet
            .length()
            .checked_sub(self.network)
            .ok_or(Skip::Malformed)?;
        let length = self.length as usize;
        if length > rest {
            return Err(Skip::Malformed);
        }
        let length = if length == 0 { rest } else { length };
        Ok(packet.opaque((self.network + length) as u32) as usize)
    }
}

/// What a packet carries. `None`: nothing that could be ours.
#[inline(always)]
pub fn datagram<P: Packet>(packet: &P) -> Result<Option<Datagram>, Skip> {
    let Some((is_ipv6, network)) = network_layer(packet)? else {
        return Ok(None);
    };
    let network = packet.opaque(network as u32) as usize;
    datagram_at(packet, is_ipv6, network)
}

/// The same for a network header whose place is known.
#[inline(always)]
pub fn datagram_at<P: Packet>(
    packet: &P,
    is_ipv6: bool,
    network: usize,
) -> Result<Option<Datagram>, Skip> {
    let (next_header, transport, length) = if is_ipv6 {
        ipv6(packet, network)?
    } else {
        ipv4(packet, network)?
    };
    if !matches!(next_header, ipproto::TCP | ipproto::UDP) && next_header != icmp_of(is_ipv6) {
        return Ok(None);
    }
    // One state for the verifier from here on, instead of one for each way through the headers.
    Ok(Some(Datagram {
        is_ipv6: packet.opaque(u32::from(is_ipv6)) != 0,
        network,
        transport: packet.opaque(transport as u32) as usize,
        protocol: packet.opaque(u32::from(next_header)),
        length: packet.opaque(length),
    }))
}

#[derive(Clone, Copy, Default)]
#[repr(C, align(8))]
pub struct Addresses {
    pub source: Address,
    pub destination: Address,
}

/// Source and destination; apart from [`datagram`] because most packets never need them.
#[inline(always)]
pub fn addresses<P: Packet>(packet: &P, is_ipv6: bool, network: usize) -> Result<Addresses, Skip> {
    let mut found = Addresses::default();
    if read_addresses(packet, is_ipv6, network, &mut found) != 0 {
        return Err(Skip::Malformed);
    }
    Ok(found)
}

/// Not 0 if the packet ends before. A function of its own, like [`locate`](crate::parse::locate).
#[inline(never)]
fn read_addresses<P: Packet>(
    packet: &P,
    is_ipv6: bool,
    network: usize,
    found: &mut Addresses,
) -> u32 {
    if is_ipv6 {
        let Ok(ip) = packet.header::<Ipv6>(network) else {
            return 1;
        };
        *found = Addresses {
            source: ip.source,
            destination: ip.destination,
        };
    } else {
        let Ok(ip) = packet.header::<Ipv4>(network) else {
            return 1;
        };
        // For the verifier like an IPv6 address from here on.
        let zero = packet.opaque(0);
        *found = Addresses {
            source: Address::ipv4_with(zero, ip.source),
            destination: Address::ipv4_with(zero, ip.destination),
        };
    }
    0
}

/// Whether it is IPv6, and the offset of its header. `None`: not IP.
#[inline(always)]
fn network_layer<P: Packet>(packet: &P) -> Result<Option<(bool, usize)>, Skip> {
    if packet.link_layer() == LinkLayer::None {
        // The version is where IPv6 has it too, and no IP header is shorter.
        return Ok(match packet.header::<Ipv4>(0)?.version() {
            4 => Some((false, 0)),
            6 => Some((true, 0)),
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
        ETH_P_IPV4 => Some((false, offset)),
        ETH_P_IPV6 => Some((true, offset)),
        _ => None,
    })
}

/// Protocol number, offset behind the header and length of the datagram in bytes.
type Carried = (u8, usize, u32);

/// Instead of a protocol: nothing of ours.
const NOTHING: u8 = 0xff;

#[inline(always)]
fn ipv4<P: Packet>(packet: &P, offset: usize) -> Result<Carried, Skip> {
    let ip = packet.header::<Ipv4>(offset)?;
    let header_length = ip.header_length();
    if ip.version() != 4 || header_length < size_of::<Ipv4>() {
        return Err(Skip::Malformed);
    }
    if !matches!(ip.protocol, ipproto::TCP | ipproto::UDP | ipproto::ICMP) {
        return Ok((NOTHING, offset, 0));
    }
    if ip.is_later_fragment() {
        return Err(Skip::Fragment);
    }
    let length = u32::from(u16::from_be(ip.total_length));
    Ok((ip.protocol, offset + header_length, length))
}

#[inline(always)]
fn ipv6<P: Packet>(packet: &P, offset: usize) -> Result<Carried, Skip> {
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
    Ok((next_header, offset, length))
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
fn icmp_of(is_ipv6: bool) -> u8 {
    if is_ipv6 {
        ipproto::ICMPV6
    } else {
        ipproto::ICMP
    }
}
