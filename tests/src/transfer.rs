//! Bulk data over a connection, hashed at both ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use sha2::{Digest, Sha256};

use crate::random::Random;

const BLOCK: usize = 1 << 20;
const PART: usize = 1 << 12;

/// What one end saw of a transfer.
#[derive(Debug, PartialEq, Eq)]
pub struct Hashed {
    pub bytes: u64,
    pub sha256: [u8; 32],
}

/// Sends `blocks` MiB from one end to the other and closes that direction.
/// Gives what was sent and what was received.
#[track_caller]
pub fn transfer(from: &mut TcpStream, to: &mut TcpStream, blocks: u64) -> (Hashed, Hashed) {
    thread::scope(|scope| {
        let sender = scope.spawn(|| send(from, blocks));
        let received = receive(to);
        (sender.join().expect("the sender"), received)
    })
}

fn send(stream: &mut TcpStream, blocks: u64) -> Hashed {
    let mut random = Random::from_printed_seed();
    let mut block = random.bytes::<PART>().repeat(BLOCK / PART);
    let mut hash = Sha256::new();
    let mut number = 0u64;
    for _ in 0..blocks {
        // No part equals another, so that a lost or a repeated one shows.
        for part in block.chunks_exact_mut(PART) {
            part[..8].copy_from_slice(&number.to_ne_bytes());
            number += 1;
        }
        hash.update(&block);
        stream.write_all(&block).expect("write");
    }
    stream.shutdown(Shutdown::Write).expect("shutdown");
    Hashed {
        bytes: blocks * BLOCK as u64,
        sha256: hash.finalize().into(),
    }
}

fn receive(stream: &mut TcpStream) -> Hashed {
    let mut block = vec![0; BLOCK];
    let mut hash = Sha256::new();
    let mut bytes = 0;
    loop {
        let length = stream.read(&mut block).expect("read");
        if length == 0 {
            return Hashed {
                bytes,
                sha256: hash.finalize().into(),
            };
        }
        hash.update(&block[..length]);
        bytes += length as u64;
    }
}
