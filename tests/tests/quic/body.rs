//! What requests carry, known to both ends beforehand.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes that differ from those of every other seed, and in which no block comes twice.
pub fn body(size: usize, seed: u64) -> Bytes {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(size + 8);
    let mut word = seed << 40;
    while bytes.len() < size {
        word += 1;
        bytes.extend(word.wrapping_mul(ODD).to_be_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// Bytes as they come, for comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub bytes: usize,
    pub sha256: String,
}

#[derive(Default)]
pub struct Hasher {
    bytes: usize,
    hash: Sha256,
}

impl Hasher {
    pub fn add(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len();
        self.hash.update(chunk);
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn finish(self) -> Seen {
        let digest = self.hash.finalize();
        Seen {
            bytes: self.bytes,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

pub fn seen(bytes: &[u8]) -> Seen {
    let mut hasher = Hasher::default();
    hasher.add(bytes);
    hasher.finish()
}
