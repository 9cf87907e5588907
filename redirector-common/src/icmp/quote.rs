//! What an ICMP error quotes.

use crate::{
    Packet, Skip,
    abi::Protocol,
    headers::{Icmp, Ipv4, Ipv6, Tcp, Udp},
    ip::datagram_at,
};

/// What an error is about, in one register, as a BPF function returns it; a structure with gaps would
/// be copied across words of the stack.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Quote(u64);

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
    pub fn is_found(self) -> Result<bool, Skip> {
        match self.0 & 0xff {
            NOTHING => Ok(false),
            FOUND => Ok(true),
            skip => Err(Skip::from_discriminant((skip - SKIP) as u32)),
        }
    }

    #[inline(always)]
    pub fn protocol(self) -> Protocol {
        Protocol::from_number(self.0 as u32 >> 16)
    }

    /// Bytes from the start of the packet to the transport header in the quote.
    #[inline(always)]
    pub fn transport(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Whether the quote has a checksum over the ports.
    #[inline(always)]
    pub fn has_checksum(self) -> bool {
        self.0 & 1 << 8 != 0
    }
}

/// The [`Quote`] of an ICMP message, if that is an error and quotes something that has ports. Offsets are
/// bytes from the start of the packet: the network header, the ICMP header, the end of the datagram.
#[inline(never)]
pub fn find<P: Packet>(
    packet: &P,
    network: usize,
    header: usize,
    end: usize,
    is_ipv6: bool,
) -> Quote {
    match quote(packet, network, header, end, is_ipv6) {
        Ok(Some(quote)) => quote,
        Ok(None) => Quote(NOTHING),
        Err(skip) => Quote(SKIP + skip as u64),
    }
}

#[inline(always)]
fn quote<P: Packet>(
    packet: &P,
    outer: usize,
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
    if !is_told_to_sender(packet, outer, network, is_ipv6)? {
        return Ok(None);
    }
    let has_checksum = packet.opaque(u32::from(has_checksum));
    Ok(Some(Quote::new(protocol, quoted.transport, has_checksum)))
}

/// Whether the packet's destination is the source of what it quotes, as `nf_conntrack_inet_error()` in
/// `net/netfilter/nf_conntrack_proto_icmp.c` asks.
#[inline(always)]
fn is_told_to_sender<P: Packet>(
    packet: &P,
    outer: usize,
    quoted: usize,
    is_ipv6: bool,
) -> Result<bool, Skip> {
    if is_ipv6 {
        let told = packet.rare_header::<Ipv6>(outer)?.destination;
        Ok(packet.rare_header::<Ipv6>(quoted)?.source == told)
    } else {
        let told = packet.rare_header::<Ipv4>(outer)?.destination;
        Ok(packet.rare_header::<Ipv4>(quoted)?.source == told)
    }
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
