//! The histograms, in the units that people use.

use redirector_common::abi::{self, BUCKETS, DELAY_UNIT};

/// Those of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Bytes from the network header onwards, of redirected packets in both directions.
    pub packet_size: Histogram,
    /// Seconds from a client's SYN to the application's SYN-ACK: whether it keeps up.
    pub syn_ack_delay: Histogram,
    /// Seconds from there to the client's ACK: its round trip.
    pub ack_delay: Histogram,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// From the lowest; the last one has no bound.
    pub buckets: Vec<Bucket>,
    /// Of all values, in the histogram's unit; `None` where it is not kept: the packets' sizes are
    /// among the rules' bytes.
    pub sum: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The highest value that it counts, in the histogram's unit; `None` for any.
    pub le: Option<f64>,
    /// Values up to that and above the bucket before, so not cumulative.
    pub count: u64,
}

/// The powers of two that are told apart: 32 bytes to 64 KiB.
const SIZES: std::ops::RangeInclusive<u32> = 5..=16;
/// 1 µs to 17 s, in units of 256 ns.
const DELAYS: std::ops::RangeInclusive<u32> = 2..=26;

impl Histograms {
    /// `entries` are those of the map.
    pub fn of(entries: &[u64]) -> Self {
        let second = f64::from(1 << DELAY_UNIT) / 1e9;
        let delay = |of| Histogram {
            sum: entry(entries, abi::Histogram::sum(of)).map(|sum| sum as f64 * second),
            ..Histogram::of(entries, of, DELAYS, second)
        };
        Self {
            packet_size: Histogram::of(entries, abi::Histogram::PacketSize, SIZES, 1.0),
            syn_ack_delay: delay(abi::Histogram::SynAckDelay),
            ack_delay: delay(abi::Histogram::AckDelay),
        }
    }
}

impl Histogram {
    fn of(
        entries: &[u64],
        of: abi::Histogram,
        powers: std::ops::RangeInclusive<u32>,
        unit: f64,
    ) -> Self {
        let mut buckets: Vec<_> = powers
            .clone()
            .map(|power| Bucket {
                le: Some(f64::from(power).exp2() * unit),
                count: 0,
            })
            .chain([Bucket { le: None, count: 0 }])
            .collect();
        for power in 0..BUCKETS {
            let place = power.saturating_sub(*powers.start()) as usize;
            let place = place.min(buckets.len() - 1);
            buckets[place].count += entry(entries, of.first() + power).unwrap_or(0);
        }
        Self { buckets, sum: None }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }
}

fn entry(entries: &[u64], index: u32) -> Option<u64> {
    entries.get(index as usize).copied()
}

#[cfg(test)]
mod tests {
    use redirector_common::abi::HISTOGRAM_ENTRIES;

    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_of_its_bound() {
        for (bytes, le) in [
            (20, Some(32.0)),
            (33, Some(64.0)),
            (1500, Some(2048.0)),
            (65_536, Some(65_536.0)),
            (200_000, None),
        ] {
            let mut entries = vec![0; HISTOGRAM_ENTRIES as usize];
            entries[abi::Histogram::PacketSize.bucket(bytes) as usize] = 7;
            let histograms = Histograms::of(&entries);
            let filled: Vec<_> = histograms
                .packet_size
                .buckets
                .iter()
                .filter(|bucket| bucket.count > 0)
                .collect();
            assert_eq!(filled, [&Bucket { le, count: 7 }], "{bytes}");
            assert_eq!(histograms.syn_ack_delay.count(), 0);
        }
    }

    #[test]
    fn delays_are_in_seconds() {
        let mut entries = vec![0; HISTOGRAM_ENTRIES as usize];
        let millisecond = 1_000_000 >> DELAY_UNIT;
        entries[abi::Histogram::AckDelay.bucket(millisecond) as usize] = 2;
        entries[abi::Histogram::AckDelay.sum() as usize] = 2 * u64::from(millisecond);
        let histogram = Histograms::of(&entries).ack_delay;
        let at = histogram.buckets.iter().position(|each| each.count == 2);
        let le = |at: usize| histogram.buckets[at].le.unwrap();
        let at = at.unwrap();
        assert!(le(at - 1) < 0.001 && 0.001 <= le(at), "{histogram:?}");
        assert!((histogram.sum.unwrap() - 0.002).abs() < 1e-6);
        assert_eq!(histogram.buckets[0].le, Some(1.024e-6));
        assert_eq!(histogram.buckets.last().unwrap().le, None);
    }
}
