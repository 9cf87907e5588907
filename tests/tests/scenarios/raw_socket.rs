//! Segments that a program on the server writes itself, beside the sockets whose connections they are of.

use std::net::SocketAddr;

use integration::scenario::{Family, Scenario, Stage};
use integration::wait;
use redirector_common::native::craft::{ACK, Craft, Transport};
use socket2::{Domain, Protocol, Socket, Type};

use crate::idle::until_old;
use crate::pair::Pair;

const ETHERNET_AND_IPV4: usize = 14 + 20;

pub const SCENARIOS: &[Scenario] = &[Scenario::new("one_raw_socket", one_raw_socket)
    .families(&[Family::V4])
    .checks("a raw socket that is connected sends for two connections, each by its own port")];

/// Its kind counts as connected, and has no connection of its own that it could remember.
fn one_raw_socket(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [(80, 0), (8000, 1)].map(|(port, number)| {
        let dial = stage.dial(port).from(stage.source_port(number));
        let pair = Pair::of(dial, &listener);
        pair.exchange("hello");
        (port, pair)
    });
    until_old();
    let client = pairs[0].1.client.local();
    let raw = stage.server_host().enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP));
        let socket = socket.expect("a raw socket");
        let to = SocketAddr::new(client.ip(), 0);
        socket.connect(&to.into()).expect("a destination");
        socket
    });
    for _ in 0..2 {
        for (port, pair) in &pairs {
            let (from, to) = (stage.server(*port), pair.client.local());
            let count = || next(stage, from, to).1;
            let before = count();
            raw.send(&acknowledgment(stage, from, to))
                .expect("a segment");
            wait::until("the segment leaves by the port of its connection", || {
                count() == before + 1
            });
        }
    }
}

/// Of the application at 8000, which says nothing new. The client reached it by `from`.
fn acknowledgment(stage: &Stage, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let transport = Transport::Tcp {
        flags: ACK,
        sequence: next(stage, from, to).0,
        acknowledgment: next(stage, to, from).0,
    };
    let frame = Craft {
        payload: Vec::new(),
        ..Craft::new((from.ip(), 8000), (to.ip(), to.port()), transport)
    };
    frame.frame().bytes.split_off(ETHERNET_AND_IPV4)
}

/// The sequence number that comes next, and the packets so far.
fn next(stage: &Stage, from: SocketAddr, to: SocketAddr) -> (u32, usize) {
    let packets = stage.wire().packets().into_iter();
    let its: Vec<_> = packets
        .filter(|packet| (packet.source, packet.destination) == (from, to))
        .collect();
    let last = its.last().expect("a packet");
    let length = u32::try_from(last.payload.len()).expect("a short payload");
    let flag = u32::from(last.syn || last.fin);
    (last.sequence.wrapping_add(length + flag), its.len())
}
