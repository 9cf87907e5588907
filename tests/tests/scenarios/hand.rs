//! A TCP client made by hand, packet by packet.

use std::net::SocketAddr;

use integration::packet::Packet;
use integration::scenario::Stage;
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, RST, SYN, Transport};

/// A whole connection of the ghost, every packet with what `shape` adds.
pub fn talk(stage: &Stage, shape: fn(&mut Craft)) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open_shaped(stage, shape);
    let server = listener.accept();
    hand.send(ACK, b"by hand");
    server.expect(b"by hand").send(b"answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
    server.expect_reset();
}

/// A connection of the ghost to port 80.
pub struct Hand<'a> {
    stage: &'a Stage,
    source: SocketAddr,
    shape: fn(&mut Craft),
    sequence: u32,
    acknowledgment: u32,
}

impl<'a> Hand<'a> {
    pub fn open(stage: &'a Stage) -> Self {
        Self::open_shaped(stage, |_| {})
    }

    /// Every packet has what `shape` adds.
    pub fn open_shaped(stage: &'a Stage, shape: fn(&mut Craft)) -> Self {
        let mut hand = Self::begin(stage, shape);
        hand.await_syn_ack();
        hand.send(ACK, b"");
        hand
    }

    /// Sends a SYN.
    pub fn begin(stage: &'a Stage, shape: fn(&mut Craft)) -> Self {
        let address = stage.family().of(GHOST);
        let mut hand = Self {
            stage,
            source: stage.client_source(SocketAddr::new(address, stage.source_port(0))),
            shape,
            sequence: 1000,
            acknowledgment: 0,
        };
        hand.send(SYN, b"");
        hand
    }

    pub fn await_syn_ack(&mut self) {
        let answer = self.expect("a SYN-ACK", |packet| packet.syn && packet.ack);
        self.sequence += 1;
        self.acknowledgment = answer.sequence.wrapping_add(1);
    }

    pub fn send(&mut self, flags: u8, payload: &[u8]) {
        self.stage.wire().send(&self.craft(flags, payload));
        self.advance(payload);
    }

    /// A payload is on its way.
    pub fn advance(&mut self, payload: &[u8]) {
        self.sequence += u32::try_from(payload.len()).expect("a short payload");
    }

    pub fn craft(&self, flags: u8, payload: &[u8]) -> Craft {
        let to = self.stage.server(80);
        let transport = Transport::Tcp {
            flags,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
        };
        let mut craft = Craft {
            payload: payload.to_vec(),
            ..Craft::new(
                (self.source.ip(), self.source.port()),
                (to.ip(), to.port()),
                transport,
            )
        };
        (self.shape)(&mut craft);
        craft
    }

    /// Whether a packet is to the ghost from the port that it asked.
    pub fn is_answer(&self, packet: &Packet) -> bool {
        packet.source == self.stage.server(80) && packet.destination == self.source
    }

    /// An answer.
    #[track_caller]
    pub fn expect(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Packet {
        self.stage
            .wire()
            .expect(what, |packet| self.is_answer(packet) && is_it(packet))
    }
}
