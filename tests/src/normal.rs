//! What a host sends, without what two hosts choose differently: so that their answers can be
//! compared byte by byte.

use std::net::IpAddr;

/// Fields of 0 where the sender is free, sequence numbers counted from the server's first one. Panics
/// on a wrong checksum.
pub fn normalise(packet: &[u8], first: Option<u32>) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let Some((protocol, transport)) = network(&mut bytes, true) else {
        return bytes;
    };
    let pseudo = pseudo_header(&bytes, protocol, bytes.len() - transport);
    let wrong = |what: &str| panic!("a wrong checksum of {what}: {packet:02x?}");
    match protocol {
        TCP => {
            if sum(&[&pseudo, &bytes[transport..]].concat()) != 0xffff {
                wrong("TCP");
            }
            relative(&mut bytes, transport + 4, first);
            // The window tells how quick the application was.
            bytes[transport + 14..][..4].fill(0);
        }
        UDP => {
            let has_one = bytes[transport + 6..][..2] != [0, 0];
            if has_one && sum(&[&pseudo, &bytes[transport..]].concat()) != 0xffff {
                wrong("UDP");
            }
        }
        ICMP | ICMPV6 => {
            let prefix = if protocol == ICMP { &[][..] } else { &pseudo };
            if sum(&[prefix, &bytes[transport..]].concat()) != 0xffff {
                wrong("ICMP");
            }
            bytes[transport + 2..][..2].fill(0);
            quote(&mut bytes[transport + 8..], first);
        }
        _ => {}
    }
    bytes
}

/// Bytes to the transport header, and its protocol, of a whole packet without a link layer.
pub fn transport(packet: &[u8]) -> Option<(u8, usize)> {
    network(&mut packet.to_vec(), false)
}

/// The destination address of a packet without a link layer.
pub fn destination(packet: &[u8]) -> IpAddr {
    if packet[0] >> 4 == 4 {
        let bytes: [u8; 4] = packet[16..20].try_into().expect("4 bytes");
        bytes.into()
    } else {
        let bytes: [u8; 16] = packet[24..40].try_into().expect("16 bytes");
        bytes.into()
    }
}

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// What the client sent; the acknowledgment in it counts from the server's first number too.
fn quote(bytes: &mut [u8], first: Option<u32>) {
    if let Some((TCP, transport)) = network(bytes, false)
        && bytes.len() >= transport + 12
    {
        relative(bytes, transport + 8, first);
        if bytes.len() >= transport + 18 {
            bytes[transport + 16..][..2].fill(0);
        }
    }
}

fn network(bytes: &mut [u8], is_own: bool) -> Option<(u8, usize)> {
    match bytes.first()? >> 4 {
        4 => {
            let length = usize::from(bytes[0] & 0xf) * 4;
            bytes.get(..length.max(20))?;
            if is_own {
                assert_eq!(sum(&bytes[..length]), 0xffff, "a wrong checksum of IP");
                bytes[4..6].fill(0);
                bytes[10..12].fill(0);
            }
            let later = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x1fff != 0;
            (!later).then_some((bytes[9], length))
        }
        6 => {
            bytes.get(..40)?;
            if is_own {
                // The flow label.
                bytes[1] &= 0xf0;
                bytes[2..4].fill(0);
            }
            let (mut next, mut at) = (bytes[6], 40);
            while let 0 | 43 | 44 | 60 = next {
                let header = bytes.get(at..at + 8)?;
                let units = if next == 44 { 0 } else { header[1] };
                if next == 44 && u16::from_be_bytes([header[2], header[3]]) & 0xfff8 != 0 {
                    return None;
                }
                next = header[0];
                at += 8 * (usize::from(units) + 1);
            }
            Some((next, at))
        }
        _ => None,
    }
}

fn relative(bytes: &mut [u8], at: usize, first: Option<u32>) {
    let field = &mut bytes[at..at + 4];
    let number = u32::from_be_bytes([field[0], field[1], field[2], field[3]]);
    // A RST to what acknowledges nothing has 0.
    if let Some(first) = first
        && number != 0
    {
        field.copy_from_slice(&number.wrapping_sub(first).to_be_bytes());
    }
}

fn pseudo_header(packet: &[u8], protocol: u8, length: usize) -> Vec<u8> {
    let addresses = match packet[0] >> 4 {
        4 => &packet[12..20],
        _ => &packet[8..40],
    };
    [
        addresses,
        &(length as u32).to_be_bytes(),
        &[0, 0, 0, protocol],
    ]
    .concat()
}

/// The ones' complement sum of RFC 1071; over data with a right checksum it is 0xffff.
pub fn sum(bytes: &[u8]) -> u16 {
    let mut total: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
