//! How long answers took: counts by bounds that are the same for all who count.

use std::time::Duration;

/// Answers by how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many were within each of [`Times::BOUNDS`] and not within the one before; last those above all.
    pub counts: [u64; BUCKETS],
    /// All of them together.
    pub sum: Duration,
}

pub(super) const BUCKETS: usize = Times::BOUNDS.len() + 1;

impl Times {
    /// In nanoseconds: from what a single answer takes to what nobody should wait.
    pub const BOUNDS: [u64; 14] = [
        2_000,
        5_000,
        10_000,
        20_000,
        50_000,
        100_000,
        200_000,
        500_000,
        1_000_000,
        2_000_000,
        5_000_000,
        10_000_000,
        50_000_000,
        200_000_000,
    ];

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Those of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let counts = std::array::from_fn(|bucket| self.counts[bucket] + other.counts[bucket]);
        Self { counts, sum: self.sum + other.sum }
    }

    /// Those that have come since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].saturating_sub(before.counts[bucket]));
        Self { counts, sum: self.sum.saturating_sub(before.sum) }
    }

    /// The bound that this part of them, 0 to 1, kept within; `None` when there are none, or when they kept within none.
    pub fn within(&self, part: f64) -> Option<Duration> {
        let (wanted, mut seen) = ((self.count() as f64 * part).ceil().max(1.0) as u64, 0);
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Self::BOUNDS.get(bucket).map(|bound| Duration::from_nanos(*bound))
    }
}

pub(super) fn bucket_of(time: Duration) -> usize {
    let nanoseconds = time.as_nanos();
    Times::BOUNDS.partition_point(|bound| u128::from(*bound) < nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_within_its_bound() {
        let bucket = |nanoseconds| bucket_of(Duration::from_nanos(nanoseconds));
        assert_eq!([0, 2_000, 2_001, 200_000_000, 200_000_001].map(bucket), [0, 0, 1, 13, 14]);
        assert!(Times::BOUNDS.is_sorted());
    }

    #[test]
    fn a_part_keeps_within_a_bound() {
        let mut times = Times::default();
        assert_eq!(times.within(0.5), None);
        (times.counts[1], times.counts[4], times.counts[14]) = (50, 49, 1);
        let bounds = [0.5, 0.51, 0.99, 1.0].map(|part| times.within(part).map(|bound| bound.as_micros()));
        assert_eq!(bounds, [Some(5), Some(50), Some(50), None]);
        assert_eq!(times.and(&times).since(&times), times);
    }
}
