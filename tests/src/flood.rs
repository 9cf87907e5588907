//! Packets from addresses that do not exist.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Namespace;
use crate::random::Random;

const IPV4_HEADER: usize = 20;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
type Segment = [u8; IPV4_HEADER + TCP_HEADER];

/// Sends `count` SYNs to `target`, each from a random address and port. The sending host
/// drops the answers: they are not for it, and it does not forward.
pub fn syn_flood(from: &Namespace, target: SocketAddrV4, count: u64) {
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    for _ in 0..count {
        let source = stranger(&mut random);
        send(&raw, &segment(source, target, SYN, random.bytes()), target);
    }
}

/// Sends what looks like a conversation from `count` random addresses and ports, without an answer
/// heard: a SYN, one out of the first one's window, which the kernel answers with an ACK, and an RST.
pub fn handshake_flood(from: &Namespace, target: SocketAddrV4, count: u64) {
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    for _ in 0..count {
        let source = stranger(&mut random);
        let first = u32::from_be_bytes(random.bytes());
        for (flags, offset) in [(SYN, 0), (SYN, 1 << 30), (RST, 1)] {
            let sequence = first.wrapping_add(offset).to_be_bytes();
            send(&raw, &segment(source, target, flags, sequence), target);
        }
    }
}

/// Sends `count` datagrams, each from a random address and port, and after every 64 lets the server
/// answer them.
pub fn datagram_flood(
    from: &Namespace,
    target: SocketAddrV4,
    count: u64,
    mut answer: impl FnMut(),
) {
    const AT_ONCE: u64 = 64;
    let raw = raw_socket(from);
    let mut random = Random::from_printed_seed();
    for number in 1..=count {
        send(&raw, &datagram(stranger(&mut random), target), target);
        if number % AT_ONCE == 0 {
            answer();
        }
    }
}

/// Sends one SYN that claims to come from `source`, with a sequence number of its own.
pub fn spoofed_syn(from: &Namespace, source: SocketAddrV4, target: SocketAddrV4) {
    let sequence = Random::from_printed_seed().bytes();
    let syn = segment(source, target, SYN, sequence);
    send(&raw_socket(from), &syn, target);
}

/// RFC 791 raw sockets take a whole packet and do not look at its source address.
fn raw_socket(on: &Namespace) -> Socket {
    on.enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))))
        .expect("a raw socket")
}

fn send(raw: &Socket, packet: &[u8], target: SocketAddrV4) {
    let destination = SocketAddr::V4(target).into();
    let sent = raw.send_to(packet, &destination).expect("a packet leaves");
    assert_eq!(sent, packet.len());
}

fn segment(source: SocketAddrV4, target: SocketAddrV4, flags: u8, sequence: [u8; 4]) -> Segment {
    let mut packet: Segment = [0; IPV4_HEADER + TCP_HEADER];
    let tcp = write_ip(&mut packet, 6, source, target);
    tcp[4..8].copy_from_slice(&sequence);
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    tcp[14..16].copy_from_slice(&0xffffu16.to_be_bytes());
    let checksum = checksum(*source.ip(), *target.ip(), tcp);
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Without a payload and without a checksum.
fn datagram(source: SocketAddrV4, target: SocketAddrV4) -> [u8; IPV4_HEADER + UDP_HEADER] {
    let mut packet = [0; IPV4_HEADER + UDP_HEADER];
    let udp = write_ip(&mut packet, 17, source, target);
    udp[5] = UDP_HEADER as u8;
    packet
}

/// Everything but what follows the ports, which are the first of what is returned.
fn write_ip(
    packet: &mut [u8],
    protocol: u8,
    source: SocketAddrV4,
    target: SocketAddrV4,
) -> &mut [u8] {
    let length = packet.len() as u16;
    let (ip, transport) = packet.split_at_mut(IPV4_HEADER);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[8] = 64;
    ip[9] = protocol;
    ip[12..16].copy_from_slice(&source.ip().octets());
    ip[16..20].copy_from_slice(&target.ip().octets());
    // The kernel writes the checksum of the IP header.

    transport[0..2].copy_from_slice(&source.port().to_be_bytes());
    transport[2..4].copy_from_slice(&target.port().to_be_bytes());
    transport
}

/// With a port from 1024 on.
fn stranger(random: &mut Random) -> SocketAddrV4 {
    let [high, low] = random.bytes();
    let port = u16::from_be_bytes([high | 0x04, low]);
    SocketAddrV4::new(routable(random), port)
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
