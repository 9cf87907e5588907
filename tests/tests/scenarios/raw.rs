//! Packets that no kernel would send.

use integration::scenario::{Scenario, Stage};
use redirector_common::native::craft::{ACK, RST};

use crate::hand::Hand;

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
