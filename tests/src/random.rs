//! Random numbers from a printed seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// Xorshift64*: fast in unoptimised builds, and good enough for addresses and ports.
#[derive(Clone)]
pub struct Random {
    state: u64,
    seed: u64,
}

impl Random {
    /// Takes the seed from `REDIRECTOR_SEED`, else from the clock, and prints it.
    pub fn from_printed_seed() -> Self {
        let seed = std::env::var("REDIRECTOR_SEED").map_or_else(
            |_| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(1, |now| {
                        now.as_secs() << 20 | u64::from(now.subsec_micros())
                    })
            },
            |seed| seed.parse().expect("REDIRECTOR_SEED is a number"),
        );
        println!("seed: REDIRECTOR_SEED={seed}");
        Self {
            state: seed.max(1),
            seed,
        }
    }

    /// What a failure has to name.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn word(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.word() >> 56) as u8)
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.word() >> 32) as usize % limit
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
