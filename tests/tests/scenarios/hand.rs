//! A TCP client made by hand, packet by packet.

use std::net::SocketAddr;

use integration::packet::Packet;
use integration::scenario::{Peer, Stage};
use integration::topology::GHOST;
use redirector_common::native::craft::{ACK, Craft, RST, SYN, Transport};

/// A whole connection of the ghost, every packet with what `shape` adds.
pub fn talk(stage: &Stage, shape: fn(&mut Craft)) {
    let listener = stage.listen(8000);
    let mut hand = Hand::new(stage, stage.source_port(0), 80).shaped(shape);
    hand.send_syn();
    hand.establish();
    let server = listener.accept();
    hand.converse(&server);
}

/// A connection of the ghost.
pub struct Hand<'a> {
    stage: &'a Stage,
    source: SocketAddr,
    to: SocketAddr,
    shape: fn(&mut Craft),
    sequence: u32,
    acknowledgment: u32,
}

impl<'a> Hand<'a> {
    /// To port 80.
    pub fn open(stage: &'a Stage) -> Self {
        let mut hand = Self::begin(stage, stage.source_port(0), 80);
        hand.establish();
        hand
    }

    /// One that has sent nothing.
    pub fn new(stage: &'a Stage, source: u16, port: u16) -> Self {
        let address = stage.family().of(GHOST);
        Self {
            stage,
            source: stage.client_source(SocketAddr::new(address, source)),
            to: stage.server(port),
            shape: |_| {},
            sequence: 1000 * u32::from(port),
            acknowledgment: 0,
        }
    }

    /// Every packet has what `shape` adds.
    pub fn shaped(self, shape: fn(&mut Craft)) -> Self {
        Self { shape, ..self }
    }

    /// Sends a SYN.
    pub fn begin(stage: &'a Stage, source: u16, port: u16) -> Self {
        let hand = Self::new(stage, source, port);
        hand.send_syn();
        hand
    }

    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// Sends the SYN, or sends it again.
    pub fn send_syn(&self) {
        self.stage.wire().send(&self.craft(SYN, b""));
    }

    /// Sends the SYN of another connection.
    pub fn begin_again(&mut self) {
        self.sequence += 1_000_000;
        self.send_syn();
    }

    fn establish(&mut self) {
        self.await_syn_ack();
        self.send(ACK, b"");
    }

    pub fn await_syn_ack(&mut self) {
        let last = self.acknowledgment.wrapping_sub(1);
        let answer = self.expect("a SYN-ACK", |packet| {
            packet.syn && packet.ack && packet.sequence != last
        });
        self.sequence += 1;
        self.acknowledgment = answer.sequence.wrapping_add(1);
    }

    /// Both speak, and the client aborts.
    #[track_caller]
    pub fn converse(&mut self, server: &Peer) {
        self.send(ACK, b"by hand");
        server.expect(b"by hand").send(b"answer");
        self.expect("the answer", |packet| packet.payload == b"answer");
        self.send(RST, b"");
        server.expect_reset();
    }

    pub fn send(&mut self, flags: u8, payload: &[u8]) {
        self.stage.wire().send(&self.craft(flags, payload));
        self.advance(payload);
    }

    /// A payload is on its way.
    pub fn advance(&mut self, payload: &[u8]) {
        self.sequence += u32::try_from(payload.len()).expect("a short payload");
    }

    /// What is sent from now on acknowledges this.
    pub fn acknowledge(&mut self, packet: &Packet) {
        let length = u32::try_from(packet.payload.len()).expect("a short payload");
        self.acknowledgment = packet.sequence.wrapping_add(length);
    }

    pub fn craft(&self, flags: u8, payload: &[u8]) -> Craft {
        let transport = Transport::Tcp {
            flags,
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
        };
        let mut craft = Craft {
            payload: payload.to_vec(),
            ..Craft::new(
                (self.source.ip(), self.source.port()),
                (self.to.ip(), self.to.port()),
                transport,
            )
        };
        (self.shape)(&mut craft);
        craft
    }

    /// Whether a packet is to the ghost from the port that it asked.
    pub fn is_answer(&self, packet: &Packet) -> bool {
        packet.source == self.to && packet.destination == self.source
    }

    /// An answer.
    #[track_caller]
    pub fn expect(&self, what: &str, is_it: impl Fn(&Packet) -> bool) -> Packet {
        self.stage
            .wire()
            .expect(what, |packet| self.is_answer(packet) && is_it(packet))
    }
}
