//! Packets that no kernel would send.

use std::net::SocketAddr;

use integration::packet::Packet;
use integration::scenario::{Scenario, Stage};
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, RST, SYN, Transport};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("handshake_by_hand", handshake_by_hand)
        .checks("crafted segments open a connection, carry data and abort it"),
    Scenario::new("bad_checksum", bad_checksum)
        .bad_checksums()
        .checks("a segment with a bad checksum stays bad and is not delivered"),
];

fn handshake_by_hand(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open(stage);
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

fn bad_checksum(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open(stage);
    let server = listener.accept();
    let mut frame = hand.craft(ACK, b"spoilt").frame().bytes;
    *frame.last_mut().expect("a payload") ^= 1;
    stage.wire().send_bytes(&frame[12..]);
    hand.send(ACK, b"spoken");
    server.expect(b"spoken");
    hand.send(RST, b"");
    server.expect_reset();
}

/// A connection of the ghost to port 80.
struct Hand<'a> {
    stage: &'a Stage,
    source: SocketAddr,
    sequence: u32,
    acknowledgment: u32,
}

impl<'a> Hand<'a> {
    fn open(stage: &'a Stage) -> Self {
        let address = stage.family().of(GHOST);
        let mut hand = Self {
            stage,
            source: stage.client_source(SocketAddr::new(address, stage.source_port(0))),
            sequence: 1000,
            acknowledgment: 0,
        };
        hand.send(SYN, b"");
        let answer = hand.expect("a SYN-ACK", |packet| packet.syn && packet.ack);
        hand.sequence += 1;
        hand.acknowledgment = answer.sequence.wrapping_add(1);
        hand.send(ACK, b"");
        hand
    }

    fn send(&mut self, flags: u8, payload: &[u8]) {
        self.stage.wire().send(&self.craft(flags, payload));
        self.sequence += u32::try_from(payload.len()).expect("a short payload");
    }

    fn craft(&self, flags: u8, payload: &[u8]) -> Craft {
        let to = self.stage.server(80);
        let transport = Transport::Tcp {
            flags,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
        };
        Craft {
            payload: payload.to_vec(),
            ..Craft::new(
                (self.source.ip(), self.source.port()),
                (to.ip(), to.port()),
                transport,
            )
        }
    }

    /// A packet to the ghost from the port that it asked.
    fn expect(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Packet {
        let from = self.stage.server(80);
        self.stage.wire().expect(what, |packet| {
            packet.source == from && packet.destination == self.source && is_it(packet)
        })
    }
}
