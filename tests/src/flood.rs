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
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    for _ in 0..count {
        let [port_high, port_low] = random.bytes();
        let port = u16::from_be_bytes([port_high | 0x04, port_low]);
        let source = SocketAddrV4::new(routable(&mut random), port);
        send(&raw, &syn(source, target, random.bytes()), target);
    }
}

/// Sends one SYN that claims to come from `source`, with a sequence number of its own.
pub fn spoofed_syn(from: &Namespace, source: SocketAddrV4, target: SocketAddrV4) {
    let sequence = Random::from_printed_seed().bytes();
    send(&raw_socket(from), &syn(source, target, sequence), target);
}

/// RFC 791 raw sockets take a whole packet and do not look at its source address.
fn raw_socket(on: &Namespace) -> Socket {
    on.enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))))
        .expect("a raw socket")
}

fn send(raw: &Socket, syn: &Syn, target: SocketAddrV4) {
    let destination = SocketAddr::V4(target).into();
    let sent = raw.send_to(syn, &destination).expect("a SYN leaves");
    assert_eq!(sent, syn.len());
}

fn syn(source: SocketAddrV4, target: SocketAddrV4, sequence: [u8; 4]) -> Syn {
    let mut syn: Syn = [0; IPV4_HEADER + TCP_HEADER];
    let (ip, tcp) = syn.split_at_mut(IPV4_HEADER);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&40u16.to_be_bytes());
    ip[8] = 64;
    ip[9] = 6;
    ip[12..16].copy_from_slice(&source.ip().octets());
    ip[16..20].copy_from_slice(&target.ip().octets());
    // The kernel writes the checksum of the IP header.

    tcp[0..2].copy_from_slice(&source.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&target.port().to_be_bytes());
    tcp[4..8].copy_from_slice(&sequence);
    tcp[12] = 5 << 4;
    tcp[13] = 0x02;
    tcp[14..16].copy_from_slice(&0xffffu16.to_be_bytes());
    let checksum = checksum(*source.ip(), *target.ip(), tcp);
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

/// Adversary: three packets a source, by which a stranger enters the table of answered flows.
pub fn triple_flood(from: &Namespace, target: SocketAddrV4, count: u64) {
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    for _ in 0..count {
        let [port_high, port_low] = random.bytes();
        let port = u16::from_be_bytes([port_high | 0x04, port_low]);
        let source = SocketAddrV4::new(routable(&mut random), port);
        let first = u32::from_be_bytes(random.bytes());
        for (flags, sequence) in [
            (2u8, first),
            (2, first.wrapping_add(1 << 30)),
            (4, first.wrapping_add(1)),
        ] {
            let mut packet = syn(source, target, sequence.to_be_bytes());
            let tcp = &mut packet[IPV4_HEADER..];
            tcp[13] = flags;
            tcp[16..18].fill(0);
            let sum = checksum(*source.ip(), *target.ip(), tcp);
            tcp[16..18].copy_from_slice(&sum.to_be_bytes());
            send(&raw, &packet, target);
        }
    }
}

/// Adversary: one datagram a source, without a checksum.
pub fn datagram_flood(from: &Namespace, target: SocketAddrV4, is_enough: impl Fn() -> bool) {
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    let mut sent = 0u32;
    while sent % 256 != 0 || !is_enough() {
        let [port_high, port_low] = random.bytes();
        let mut packet = [0u8; 29];
        packet[0] = 0x45;
        packet[3] = 29;
        packet[8] = 64;
        packet[9] = 17;
        packet[12..16].copy_from_slice(&routable(&mut random).octets());
        packet[16..20].copy_from_slice(&target.ip().octets());
        packet[20] = port_high | 4;
        packet[21] = port_low;
        packet[22..24].copy_from_slice(&target.port().to_be_bytes());
        packet[25] = 9;
        let destination = SocketAddr::V4(target).into();
        raw.send_to(&packet, &destination)
            .expect("a datagram leaves");
        sent += 1;
    }
    println!("{sent} datagrams");
}
