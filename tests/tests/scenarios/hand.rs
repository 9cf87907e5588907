//! A TCP client made by hand, packet by packet.

use std::net::SocketAddr;

use integration::packet::Packet;
use integration::scenario::Stage;
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, SYN, Transport};

/// A connection of the ghost.
pub struct Hand<'a> {
    stage: &'a Stage,
    source: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    acknowledgment: u32,
}

impl<'a> Hand<'a> {
    /// To port 80.
    pub fn open(stage: &'a Stage) -> Self {
        let mut hand = Self::begin(stage, stage.source_port(0), 80);
        hand.await_syn_ack();
        hand.send(ACK, b"");
        hand
    }

    /// Sends a SYN.
    pub fn begin(stage: &'a Stage, source: u16, port: u16) -> Self {
        let address = stage.family().of(GHOST);
        let hand = Self {
            stage,
            source: stage.client_source(SocketAddr::new(address, source)),
            to: stage.server(port),
            sequence: 1000 * u32::from(port),
            acknowledgment: 0,
        };
        hand.repeat_syn();
        hand
    }

    pub fn repeat_syn(&self) {
        self.stage.wire().send(&self.craft(SYN, b""));
    }

    /// Sends the SYN of another connection.
    pub fn begin_again(&mut self) {
        self.sequence += 1_000_000;
        self.repeat_syn();
    }

    pub fn await_syn_ack(&mut self) {
        let last = self.acknowledgment.wrapping_sub(1);
        let answer = self.expect("a SYN-ACK", |packet| {
            packet.syn && packet.ack && packet.sequence != last
        });
        self.sequence += 1;
        self.acknowledgment = answer.sequence.wrapping_add(1);
    }

    pub fn send(&mut self, flags: u8, payload: &[u8]) {
        self.stage.wire().send(&self.craft(flags, payload));
        self.sequence += u32::try_from(payload.len()).expect("a short payload");
    }

    pub fn craft(&self, flags: u8, payload: &[u8]) -> Craft {
        let transport = Transport::Tcp {
            flags,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
        };
        Craft {
            payload: payload.to_vec(),
            ..Craft::new(
                (self.source.ip(), self.source.port()),
                (self.to.ip(), self.to.port()),
                transport,
            )
        }
    }

    /// A packet to the ghost from the port that it asked.
    #[track_caller]
    pub fn expect(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Packet {
        self.stage.wire().expect(what, |packet| {
            packet.source == self.to && packet.destination == self.source && is_it(packet)
        })
    }
}
