//! How long answers took lately: a small histogram whose buckets grow by the square root of two,
//! so that a quantile is known to a fifth, in 128 bytes and without floats.

use serde::{Deserialize, Serialize};

use crate::domain::units::ONE;

/// Buckets, from 8 ms to six minutes; what is beyond counts in the outermost.
const BUCKETS: usize = 32;
/// Half octaves below the first bucket: it begins at 2^3 ms.
const FIRST: u32 = 6;

/// Decayed counts of answers by their time from fetch to answer, in millionths of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies([u32; BUCKETS]);

/// The half octave of a time: the largest `n` with `2^(n/2) <= millis`.
const fn half_octave(millis: u64) -> u32 {
    let octave = match millis.checked_ilog2() {
        Some(octave) => octave,
        None => return 0,
    };
    let squared = (millis as u128) * (millis as u128);
    2 * octave + if squared >> (2 * octave + 1) > 0 { 1 } else { 0 }
}

fn bucket(millis: i64) -> usize {
    let half = half_octave(millis.max(0).unsigned_abs());
    usize::try_from(half.saturating_sub(FIRST)).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Where a bucket begins, in milliseconds.
fn begin(bucket: usize) -> i64 {
    let half = u32::try_from(bucket).unwrap_or(0).saturating_add(FIRST).min(62);
    i64::try_from((1_u64 << half).isqrt()).unwrap_or(i64::MAX)
}

impl Latencies {
    /// Notes an answer after `millis`; of what was known before, `keep` millionths stay.
    pub fn note(&mut self, millis: i64, keep: i64) {
        for count in &mut self.0 {
            *count = u32::try_from(i64::from(*count) * keep.clamp(0, ONE) / ONE).unwrap_or(0);
        }
        if let Some(count) = self.0.get_mut(bucket(millis)) {
            *count = count.saturating_add(ONE as u32);
        }
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    /// How many answers these are, in millionths of an answer.
    #[must_use]
    pub fn count_millionths(&self) -> i64 {
        self.0.iter().map(|&count| i64::from(count)).sum()
    }

    /// The time within which `share` millionths of the answers came, in milliseconds; `None` before
    /// the first answer.
    #[must_use]
    pub fn quantile_millis(&self, share: i64) -> Option<i64> {
        let all = self.count_millionths();
        let mut left = i128::from(all) * i128::from(share.clamp(0, ONE)) / i128::from(ONE);
        for (place, &count) in self.0.iter().enumerate() {
            let count = i128::from(count);
            if count > 0 && left <= count {
                let (from, to) = (begin(place), begin(place + 1));
                let into = i128::from(to - from) * left / count;
                return Some(from + i64::try_from(into).unwrap_or(0));
            }
            left -= count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_begin_where_they_should() {
        assert_eq!([begin(0), begin(1), begin(2), begin(31)], [8, 11, 16, 370_727]);
        assert_eq!(
            [bucket(-1), bucket(0), bucket(8), bucket(12), bucket(i64::MAX)],
            [0, 0, 0, 1, 31]
        );
    }

    #[test]
    fn without_an_answer_nothing_is_known() {
        assert_eq!(Latencies::default().quantile_millis(ONE / 2), None);
    }

    proptest! {
        #[test]
        fn a_quantile_is_known_to_its_bucket(
            mut millis in proptest::collection::vec(8_i64..300_000, 1..60), share in 1_i64..=ONE,
        ) {
            let mut latencies = Latencies::default();
            millis.iter().for_each(|&millis| latencies.note(millis, ONE));
            millis.sort_unstable();
            let rank = (millis.len() as i64 * share).div_euclid(ONE).max(0) as usize;
            let got = latencies.quantile_millis(share).unwrap();
            // Between the neighbours of the exact one, each widened to its bucket.
            let low = millis[rank.saturating_sub(1).min(millis.len() - 1)];
            let high = millis[rank.min(millis.len() - 1)];
            prop_assert!(got >= begin(bucket(low)) && got <= begin(bucket(high) + 1),
                "{got} for {low}..={high}");
        }

        #[test]
        fn what_was_long_ago_counts_nothing(old in 8_i64..300_000, new in 8_i64..300_000) {
            let mut latencies = Latencies::default();
            (0..100).for_each(|_| latencies.note(old, 900_000));
            (0..200).for_each(|_| latencies.note(new, 900_000));
            let median = latencies.quantile_millis(ONE / 2).unwrap();
            prop_assert!(median >= begin(bucket(new)) && median <= begin(bucket(new) + 1));
        }
    }
}
