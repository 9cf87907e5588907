use std::net::SocketAddr;

use redirector_common::native::craft::{ACK, Craft, Fragment, RST, SYN, Transport};

use super::{Wire, normalise};
use crate::scenario::names::Names;
use crate::topology::{CLIENT, SERVER};

const FIN: u8 = 0x01;

#[test]
fn acknowledgments_and_retransmissions_are_dropped() {
    for (client, server) in sockets() {
        let wire = lines(&[
            segment(client, server, SYN, 100, b""),
            segment(client, server, SYN, 100, b""),
            segment(server, client, SYN | ACK, 500, b""),
            segment(client, server, ACK, 101, b""),
            // Out of order, overlapping, twice.
            segment(client, server, ACK, 104, b"def"),
            segment(client, server, ACK, 101, b"abcd"),
            segment(client, server, ACK, 104, b"def"),
            // A keepalive.
            segment(client, server, ACK, 100, b"x"),
            segment(client, server, FIN | ACK, 107, b""),
            segment(client, server, FIN | ACK, 107, b""),
            segment(server, client, RST | ACK, 501, b""),
        ]);
        assert_eq!(
            wire.lines,
            [
                "client:P1 > server:80 tcp: SYN",
                "client:P1 > server:80 tcp: 6 bytes bef57ec7",
                "client:P1 > server:80 tcp: FIN",
                "server:80 > client:P1 tcp: SYN-ACK",
                "server:80 > client:P1 tcp: RST",
            ]
        );
        assert_eq!(wire.faults, [""; 0]);
    }
}

#[test]
fn a_retransmission_with_other_bytes_is_told() {
    for (client, server) in sockets() {
        let wire = lines(&[
            segment(client, server, ACK, 101, b"abc"),
            segment(client, server, ACK, 101, b"abX"),
            segment(client, server, ACK, 106, b"f"),
        ]);
        assert_eq!(
            wire.lines,
            [
                "client:P1 > server:80 tcp: 4 bytes cd096b81",
                "client:P1 > server:80 tcp: 2 bytes never seen",
                "client:P1 > server:80 tcp: other bytes sent again",
            ]
        );
    }
}

#[test]
fn a_port_used_again_begins_anew() {
    for (client, server) in sockets() {
        let wire = lines(&[
            segment(client, server, SYN, 100, b""),
            segment(client, server, FIN | ACK, 101, b""),
            segment(client, server, SYN, 900, b""),
            segment(client, server, ACK, 901, b"abc"),
        ]);
        let events: Vec<_> = wire.lines.iter().map(|line| &line[27..]).collect();
        assert_eq!(events, ["SYN", "FIN", "SYN", "3 bytes ba7816bf"]);
    }
}

#[test]
fn a_strangers_syn_does_not_begin_a_live_connection_anew() {
    for (client, server) in sockets() {
        let wire = lines(&[
            segment(client, server, SYN, 100, b""),
            segment(client, server, ACK, 101, b"abc"),
            segment(client, server, SYN, 5000, b""),
            segment(client, server, RST, 5001, b""),
            segment(client, server, ACK, 104, b"def"),
            segment(client, server, FIN | ACK, 107, b""),
        ]);
        let events: Vec<_> = wire.lines.iter().map(|line| &line[27..]).collect();
        assert_eq!(events, ["SYN", "6 bytes bef57ec7", "FIN", "SYN", "RST"]);
    }
}

#[test]
fn fragments_are_put_together() {
    for (client, server) in sockets() {
        let mut first = craft(client, server, Transport::Udp { checksum: true }, b"");
        first.payload = b"abc".repeat(8);
        first.beyond = b"def".to_vec();
        first.fragment = Some(Fragment {
            offset: 0,
            more: true,
        });
        let mut last = first.clone();
        last.payload = std::mem::take(&mut last.beyond);
        last.fragment = Some(Fragment {
            offset: 4,
            more: false,
        });
        let wire = lines(&[last.clone(), first]);
        assert_eq!(
            wire.lines,
            ["client:P1 > server:80 udp: 27 bytes 6957b0f0, in 2 fragments"]
        );
        assert_eq!(wire.faults, [""; 0]);
        assert_eq!(
            lines(&[last]).lines,
            ["client > server: 3 bytes of a datagram, 1 fragments only"]
        );
    }
}

#[test]
fn an_icmp_error_tells_what_it_is_about() {
    let errors: [(&[u8], &str); 2] = [
        (&[3, 4, 0, 0, 0, 0, 5, 0], "3/4 mtu 1280"),
        (&[2, 0, 0, 0, 0, 0, 5, 0], "2/0 mtu 1280"),
    ];
    for ((client, server), (header, words)) in sockets().into_iter().zip(errors) {
        let quoted = craft(client, server, Transport::Udp { checksum: true }, b"abc");
        let good = quoted.frame().bytes;
        let mut bad = good.clone();
        *bad.last_mut().expect("a payload") ^= 1;
        let frames = [&good, &good, &bad, &good].map(|quote| icmp(server, client, header, quote));
        let wire = normalise(&frames, &names());
        let line = format!("server > client icmp: {words} about client:P1 > server:80 udp");
        assert_eq!(wire.lines, [line.clone(), line + " with a bad checksum"]);
        assert_eq!(wire.faults, [""; 0]);
    }
}

#[test]
fn a_bad_checksum_is_a_fault() {
    for (client, server) in sockets() {
        let mut frame = segment(client, server, ACK, 1, b"abc").frame().bytes;
        *frame.last_mut().expect("a payload") ^= 1;
        let wire = normalise(&[frame], &names());
        assert_eq!(wire.faults, ["client:P1 > server:80 tcp: a bad checksum"]);
    }
}

fn sockets() -> Vec<(SocketAddr, SocketAddr)> {
    CLIENT
        .both(40_000)
        .into_iter()
        .zip(SERVER.both(80))
        .collect()
}

fn names() -> Names {
    let hosts = [(CLIENT, "client"), (SERVER, "server")];
    Names::new(
        hosts
            .into_iter()
            .flat_map(|(host, name)| [(host.v4, name), (host.v6, name)]),
    )
}

fn lines(crafts: &[Craft]) -> Wire {
    let frames: Vec<_> = crafts.iter().map(|craft| craft.frame().bytes).collect();
    normalise(&frames, &names())
}

fn segment(from: SocketAddr, to: SocketAddr, flags: u8, sequence: u32, payload: &[u8]) -> Craft {
    let transport = Transport::Tcp {
        flags,
        sequence,
        acknowledgment: 0,
    };
    craft(from, to, transport, payload)
}

fn craft(from: SocketAddr, to: SocketAddr, transport: Transport, payload: &[u8]) -> Craft {
    Craft {
        payload: payload.to_vec(),
        ..Craft::new((from.ip(), from.port()), (to.ip(), to.port()), transport)
    }
}

/// An error message in the frame of a packet that goes the same way.
fn icmp(from: SocketAddr, to: SocketAddr, header: &[u8], quote: &[u8]) -> Vec<u8> {
    let is_v6 = from.is_ipv6();
    let (protocol, header_length) = if is_v6 { (58, 40) } else { (1, 20) };
    let carrier = craft(from, to, Transport::Udp { checksum: false }, b"");
    let mut frame = carrier.frame().bytes[..14 + header_length].to_vec();
    let mut body = [header, &quote[14..]].concat();
    let length = u16::try_from(body.len()).expect("a length");
    let ip = &mut frame[14..];
    if is_v6 {
        ip[6] = protocol;
        ip[4..6].copy_from_slice(&length.to_be_bytes());
        let pseudo = [
            &ip[8..40],
            &[0, 0],
            &length.to_be_bytes(),
            &[0, 0, 0, 58],
            &body,
        ]
        .concat();
        body[2..4].copy_from_slice(&(!crate::packet::sum(&pseudo)).to_be_bytes());
    } else {
        ip[9] = protocol;
        ip[2..4].copy_from_slice(&(length + 20).to_be_bytes());
        ip[10..12].fill(0);
        let checksum = !crate::packet::sum(ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        let checksum = !crate::packet::sum(&body);
        body[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    [frame, body].concat()
}
