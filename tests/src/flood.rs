//! SYNs from addresses that do not exist.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Namespace;
use crate::random::Random;

const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
type Syn = [u8; IPV4_HEADER + TCP_HEADER];

/// Sends `count` SYNs to `target`, each from a random address and port. The sending host
/// drops the answers: they are not for it, and it does not forward.
pub fn syn_flood(from: &Namespace, target: SocketAddrV4, count: u64) {
    // RFC 791 raw sockets take a whole packet and do not look at its source address.
    let raw = from
        .enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))))
        .expect("a raw socket");
    let mut random = Random::from_printed_seed();
    let destination = SocketAddr::V4(target).into();
    for _ in 0..count {
        let syn = syn(&mut random, target);
        let sent = raw.send_to(&syn, &destination).expect("a SYN leaves");
        assert_eq!(sent, syn.len());
    }
}

fn syn(random: &mut Random, target: SocketAddrV4) -> Syn {
    let mut syn: Syn = [0; IPV4_HEADER + TCP_HEADER];
    let (ip, tcp) = syn.split_at_mut(IPV4_HEADER);
    let source = routable(random);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&40u16.to_be_bytes());
    ip[8] = 64;
    ip[9] = 6;
    ip[12..16].copy_from_slice(&source.octets());
    ip[16..20].copy_from_slice(&target.ip().octets());
    // The kernel writes the checksum of the IP header.

    let [port_high, port_low, sequence @ ..]: [u8; 6] = random.bytes();
    tcp[0..2].copy_from_slice(&[port_high | 0x04, port_low]);
    tcp[2..4].copy_from_slice(&target.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence);
    tcp[12] = 5 << 4;
    tcp[13] = 0x02;
    tcp[14..16].copy_from_slice(&0xffffu16.to_be_bytes());
    let checksum = checksum(source, *target.ip(), tcp);
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    syn
}

/// Any unicast address outside the networks of the tests.
fn routable(random: &mut Random) -> Ipv4Addr {
    loop {
        let [first, rest @ ..]: [u8; 4] = random.bytes();
        if (1..224).contains(&first) && first != 127 && first != 10 {
            return Ipv4Addr::new(first, rest[0], rest[1], rest[2]);
        }
    }
}

fn checksum(source: Ipv4Addr, destination: Ipv4Addr, tcp: &[u8]) -> u16 {
    let words = [
        &source.octets()[..],
        &destination.octets(),
        &[0, 6, 0, TCP_HEADER as u8],
        tcp,
    ];
    let total: u32 = words
        .iter()
        .flat_map(|bytes| bytes.chunks_exact(2))
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (total & 0xffff) + (total >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}
