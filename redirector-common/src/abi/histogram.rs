//! Histograms by powers of two.

/// What is measured. The discriminant says where in the `HISTOGRAMS` map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Histogram {
    /// Bytes from the network header onwards, of redirected packets in both directions.
    PacketSize = 0,
    /// From a client's SYN to the application's first SYN-ACK, in [`DELAY_UNIT`]s.
    SynAckDelay = 1,
    /// From that to the client's ACK, which is its round trip, in [`DELAY_UNIT`]s.
    AckDelay = 2,
}

/// Nanoseconds, as a power of two: 256 ns.
pub const DELAY_UNIT: u32 = 8;

/// Entries of one histogram in the `HISTOGRAMS` map: its buckets, and behind them the sum of what they
/// count. The bucket `n` counts values up to 2^n and above 2^(n-1); the last one also those above.
const ENTRIES: u32 = 32;
const SUM: u32 = ENTRIES - 1;
/// Buckets of one histogram.
pub const BUCKETS: u32 = SUM;

/// Entries of the `HISTOGRAMS` map.
pub const HISTOGRAM_ENTRIES: u32 = Histogram::ALL.len() as u32 * ENTRIES;

impl Histogram {
    pub const ALL: [Self; 3] = [Self::PacketSize, Self::SynAckDelay, Self::AckDelay];

    /// The entry of the bucket that counts `value`.
    #[inline(always)]
    pub const fn bucket(self, value: u32) -> u32 {
        let bucket = bit_length(value.saturating_sub(1));
        let bucket = if bucket < BUCKETS {
            bucket
        } else {
            BUCKETS - 1
        };
        self.first() + bucket
    }

    /// The entry of the sum; that of packet sizes is in [`RuleCounters`](super::RuleCounters).
    #[inline(always)]
    pub const fn sum(self) -> u32 {
        self.first() + SUM
    }

    /// The entry of the first bucket.
    #[inline(always)]
    pub const fn first(self) -> u32 {
        self as u32 * ENTRIES
    }
}

/// How many bits `value` takes.
#[inline(always)]
const fn bit_length(value: u32) -> u32 {
    u64::BITS - (value as u64).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_with_its_power_of_two() {
        for (value, bucket) in [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 3),
            (64, 6),
            (65, 7),
            (65_536, 16),
            (65_537, 17),
            (1 << 30, 30),
            (u32::MAX, 30),
        ] {
            assert_eq!(Histogram::PacketSize.bucket(value), bucket, "{value}");
        }
    }

    #[test]
    fn bit_lengths_are_those_of_the_standard_library() {
        for shift in 0..32 {
            for value in [1_u32 << shift, (1 << shift) - 1, (1 << shift) + 1] {
                assert_eq!(bit_length(value), u32::BITS - value.leading_zeros());
            }
        }
    }

    #[test]
    fn histograms_do_not_overlap() {
        for (index, histogram) in Histogram::ALL.into_iter().enumerate() {
            assert_eq!(histogram as usize, index);
            assert!(histogram.bucket(u32::MAX) < histogram.sum());
            assert!(histogram.sum() < HISTOGRAM_ENTRIES);
        }
        assert!(Histogram::PacketSize.sum() < Histogram::SynAckDelay.first());
    }
}
