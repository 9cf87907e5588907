//! Packets that no kernel would send.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use integration::scenario::{Scenario, Stage};
use redirector_common::native::craft::{ACK, RST};
use socket2::{Domain, Socket, Type};

use crate::hand::Hand;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("handshake_by_hand", handshake_by_hand)
        .checks("crafted segments open a connection, carry data and abort it"),
    Scenario::new("simultaneous_open", simultaneous_open)
        .checks("this host opens a connection from the wire port while the other end opens it too"),
    Scenario::new("bad_checksum", bad_checksum)
        .bad_checksums()
        .checks("a segment with a bad checksum stays bad and is not delivered"),
];

fn handshake_by_hand(stage: &Stage) {
    let listener = stage.listen(8000);
    let mut hand = Hand::open(stage);
    hand.converse(&listener.accept());
}

/// RFC 9293 section 3.5: both ends have sent a SYN.
fn simultaneous_open(stage: &Stage) {
    let mut hand = Hand::new(stage, stage.source_port(0), 80);
    let (from, to) = (stage.server(80), hand.source());
    let socket = stage
        .server_host()
        .enter(move || connecting(from, to))
        .expect("a socket that connects");
    hand.expect("the server's SYN", |packet| packet.syn && !packet.ack);
    hand.send_syn();
    hand.await_syn_ack();
    hand.send(ACK, b"by hand");
    let mut stream = TcpStream::from(socket);
    let mut received = [0; 7];
    stream.set_nonblocking(false).expect("a socket that blocks");
    stream.read_exact(&mut received).expect("the hand's bytes");
    assert_eq!(&received, b"by hand");
    stream.write_all(b"answer").expect("an answer");
    hand.expect("the answer", |packet| packet.payload == b"answer");
    hand.send(RST, b"");
}

fn connecting(from: SocketAddr, to: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(from), Type::STREAM, None)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.set_nonblocking(true)?;
    socket.bind(&from.into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
        outcome => outcome.map(|()| socket),
    }
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
