//! ICMP errors about packets of a talk, and what a host makes of them.
#![allow(dead_code, reason = "every test is a crate of its own and uses a part")]

use redirector_common::{
    Direction,
    native::{
        Frame,
        craft::{Craft, IcmpError, Transport},
    },
};

use crate::common::{DATA, Host, OPENING, Talk, UDP, each_family, invariants};

pub const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

/// An error about a packet between a port of the server and the talk's client: one that the server
/// sent, if it comes in, else one that the client sent.
pub fn error(direction: Direction, talk: &Talk, port: u16, transport: Transport) -> IcmpError {
    match direction {
        Direction::Ingress => {
            IcmpError::port_unreachable(talk.client.0, talk.from(port, transport))
        }
        Direction::Egress => IcmpError::port_unreachable(talk.server, talk.to(port, transport)),
    }
}

/// The server's port as the wire and the application have it, in that order for errors that come in.
pub fn ports(direction: Direction) -> [u16; 2] {
    match direction {
        Direction::Ingress => [80, 8000],
        Direction::Egress => [8000, 80],
    }
}

/// The same error about a packet with another port of the server.
pub fn with_port(error: &IcmpError, direction: Direction, port: u16) -> IcmpError {
    let mut other = error.clone();
    *server_port(&mut other.quoted, direction) = port;
    other
}

pub fn server_port(quoted: &mut Craft, direction: Direction) -> &mut u16 {
    match direction {
        Direction::Ingress => &mut quoted.source_port,
        Direction::Egress => &mut quoted.destination_port,
    }
}

/// What becomes of a frame.
pub fn crossed(host: &mut Host, frame: &Frame, direction: Direction) -> Vec<u8> {
    let mut frame = frame.clone();
    frame.other_host = host.other_host;
    let _ = invariants::cross(&mut frame, &mut host.memory, direction);
    frame.bytes
}

/// The error comes out as one about a packet with the port, all checksums in full.
#[track_caller]
pub fn becomes(host: &mut Host, error: &IcmpError, direction: Direction, port: u16) {
    let expected = with_port(error, direction, port).frame().bytes;
    let crossed = crossed(host, &error.frame(), direction);
    assert_eq!(crossed, expected, "{direction:?} {error:?}");
}

#[track_caller]
pub fn stays(host: &mut Host, error: &IcmpError, direction: Direction) {
    stays_bytes(host, &error.frame(), direction);
}

#[track_caller]
pub fn stays_bytes(host: &mut Host, frame: &Frame, direction: Direction) {
    assert_eq!(
        crossed(host, frame, direction),
        frame.bytes,
        "{direction:?}"
    );
}

pub const UDP_WITHOUT: Transport = Transport::Udp { checksum: false };

/// A host that has answered the talk's client, and the errors that may follow.
pub fn each_error(check: impl Fn(&mut Host, IcmpError, Direction, u16)) {
    each_family(|talk| {
        for (opening, later) in [(OPENING, DATA), (UDP, UDP), (UDP_WITHOUT, UDP_WITHOUT)] {
            for direction in BOTH {
                let mut host = Host::with(&[(80, 8000)]);
                let opened = host.receive(&talk.to(80, opening));
                assert_eq!(opened, Ok(Some(8000)));
                host.is_answering();
                let [before, after] = ports(direction);
                check(
                    &mut host,
                    error(direction, &talk, before, later),
                    direction,
                    after,
                );
            }
        }
    });
}

pub fn each_changed_error(change: impl Fn(&mut IcmpError)) {
    each_error(|host, mut error, direction, port| {
        change(&mut error);
        becomes(host, &error, direction, port);
    });
}

pub fn each_left_error(change: impl Fn(&mut IcmpError)) {
    each_error(|host, mut error, direction, _| {
        change(&mut error);
        stays(host, &error, direction);
    });
}

/// From the quoted network header to this byte of the quoted transport header.
pub fn cut(error: &mut IcmpError, transport: usize) {
    error.quote_length = error.ports_at() - error.quote_at() + transport;
}

/// Without the carry; two that are equal say the same of their bytes.
pub fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(2);
    let sum: u64 = words
        .map(|word| u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0)))
        .sum();
    sum % 0xffff
}
