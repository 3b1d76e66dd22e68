//! Merging numbers: the documents' weighted average, and a robust one.
//!
//! The robust merge averages what lies near the weighted median and then clamps the average
//! between the weighted lower and upper third. The average is precise among honest reporters;
//! the clamp keeps it inside their range when less than a third of the weight lies.

use super::policy::{ConsensusPolicy, MergeMode};
use crate::domain::units::ONE;

/// One validator's number and its weight (greater than 0).
pub(super) type Sample = (i64, i64);

/// A merged number with the steps that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) value: i64,
    /// The average before it was clamped.
    pub(super) average: i64,
    pub(super) median: i64,
    /// Farthest distance from the median that still counts; `None` in mode `seed`.
    pub(super) reach: Option<i64>,
    pub(super) lower_third: i64,
    pub(super) upper_third: i64,
}

impl Merged {
    pub(super) fn clips(&self, value: i64) -> bool {
        self.reach.is_some_and(|reach| distance(value, self.median) > reach)
    }
}

/// Merges the samples, which it sorts. `unit` is the size below which a number is not measured
/// relative to itself (a score of 1, one task, one token). `None` without samples.
pub(super) fn merge_numbers(
    samples: &mut [Sample],
    unit: i64,
    policy: &ConsensusPolicy,
) -> Option<Merged> {
    // Equal numbers may stand in any order: only their common weight matters below.
    samples.sort_unstable_by_key(|sample| sample.0);
    let total = total(samples);
    let median = lower_quantile(samples, total, 2)?;
    let lower_third = lower_quantile(samples, total, 3)?;
    let upper_third = upper_third(samples, total)?;
    let reach = match policy.mode {
        MergeMode::Seed => None,
        MergeMode::Robust => Some(reach(samples, total, median, unit, policy)),
    };
    let mut merged =
        Merged { value: median, average: median, median, reach, lower_third, upper_third };
    merged.average = average(samples, &merged)?;
    merged.value = match policy.mode {
        MergeMode::Seed => merged.average,
        MergeMode::Robust => merged.average.clamp(lower_third, upper_third),
    };
    Some(merged)
}

/// The weighted lower median of samples in any order, which it sorts.
pub(super) fn lower_median(samples: &mut [Sample]) -> Option<i64> {
    samples.sort_unstable_by_key(|sample| sample.0);
    lower_quantile(samples, total(samples), 2)
}

fn total(samples: &[Sample]) -> i128 {
    samples.iter().map(|sample| i128::from(sample.1)).sum()
}

/// The smallest value with at least 1/`parts` of the weight at or below it.
fn lower_quantile(sorted: &[Sample], total: i128, parts: i128) -> Option<i64> {
    first_reaching(sorted.iter(), total, parts)
}

/// The largest value with at least a third of the weight at or above it.
fn upper_third(sorted: &[Sample], total: i128) -> Option<i64> {
    first_reaching(sorted.iter().rev(), total, 3)
}

fn first_reaching<'s>(
    samples: impl Iterator<Item = &'s Sample>,
    total: i128,
    parts: i128,
) -> Option<i64> {
    let mut sum = 0_i128;
    for &(value, weight) in samples {
        sum += i128::from(weight);
        if sum * parts >= total {
            return Some(value);
        }
    }
    None
}

/// The clip distance: `clip_factor` times 1.4826 times the weighted median distance from the
/// median (which makes it a standard deviation for normal noise), or the floor.
fn reach(sorted: &[Sample], total: i128, median: i64, unit: i64, policy: &ConsensusPolicy) -> i64 {
    let deviation = i128::from(median_distance(sorted, total, median));
    let size = i128::from(median.max(unit));
    let floor = size * i128::from(policy.scale_floor) / i128::from(ONE);
    let scale = (deviation * 14_826 / 10_000).max(floor);
    i64::try_from(scale * i128::from(policy.clip_factor)).unwrap_or(i64::MAX)
}

/// The weighted lower median of the distances, walking outwards from the median on both sides:
/// the samples are sorted already, so nothing is sorted again.
fn median_distance(sorted: &[Sample], total: i128, median: i64) -> i64 {
    let start = sorted.partition_point(|sample| sample.0 < median);
    let (below, above) = sorted.split_at_checked(start).unwrap_or((sorted, &[]));
    let (mut below, mut above) = (below.iter().rev().peekable(), above.iter().peekable());
    let mut sum = 0_i128;
    loop {
        let down = below.peek().map(|sample| distance(sample.0, median));
        let up = above.peek().map(|sample| distance(sample.0, median));
        let (next, nearest) = match (down, up) {
            (Some(down), Some(up)) if down < up => (below.next(), down),
            (Some(down), None) => (below.next(), down),
            (_, Some(up)) => (above.next(), up),
            (None, None) => return 0,
        };
        sum += next.map_or(0, |sample| i128::from(sample.1));
        if sum * 2 >= total {
            return nearest;
        }
    }
}

/// The weighted average of what is not clipped, rounded to nearest.
fn average(samples: &[Sample], merged: &Merged) -> Option<i64> {
    let (mut sum, mut weights) = (0_i128, 0_i128);
    for &(value, weight) in samples {
        if !merged.clips(value) {
            sum += i128::from(value) * i128::from(weight);
            weights += i128::from(weight);
        }
    }
    let rounded = (2 * sum + weights).checked_div_euclid(2 * weights)?;
    i64::try_from(rounded).ok()
}

fn distance(a: i64, b: i64) -> i64 {
    i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX)
}

/// How far from the published number a word may lie and still agree with it.
pub(super) fn tolerance(published: i64, unit: i64, policy: &ConsensusPolicy) -> u64 {
    let size = i128::from(published.max(unit));
    u64::try_from(size * i128::from(policy.tolerance) / i128::from(ONE)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn robust(samples: &[Sample]) -> Merged {
        merge_numbers(&mut samples.to_vec(), ONE, &ConsensusPolicy::default()).unwrap()
    }

    #[test]
    fn numbers_are_averaged_clipped_and_clamped() {
        for (samples, value) in [
            (&[(5, 1)][..], 5),
            (&[(800_000, 1), (820_000, 1)], 800_000 + 10_000),
            (&[(800_000, 1), (810_000, 1), (820_000, 1)], 810_000),
            (&[(800_000, 1), (810_000, 1), (820_000, 1), (0, 1)], 810_000),
            (&[(800_000, 3), (810_000, 1), (1_000_000, 1)], 802_500),
            (&[(0, 1), (1_000_000, 1)], 0),
            (&[(0, 5), (20_000, 3), (29_000, 1)], 9_889),
            (&[(500_000, 5), (520_000, 2)], 500_000),
        ] {
            let merged = robust(samples);
            assert_eq!(merged.value, value, "{samples:?} {merged:?}");
        }
        assert_eq!(merge_numbers(&mut [], ONE, &ConsensusPolicy::default()), None);
    }

    #[test]
    fn seed_mode_is_the_plain_weighted_average() {
        let policy = ConsensusPolicy { mode: MergeMode::Seed, ..ConsensusPolicy::default() };
        let merged = merge_numbers(&mut [(0, 1), (800_000, 3)], ONE, &policy).unwrap();
        assert_eq!(merged.value, 600_000);
    }

    #[test]
    fn the_largest_stakes_do_not_overflow() {
        let mut samples = [(i64::MAX, 1_000_000_000_000), (i64::MAX - 7, 1_000_000_000_000)];
        let merged = merge_numbers(&mut samples, ONE, &ConsensusPolicy::default()).unwrap();
        assert_eq!(merged.value, i64::MAX - 3);
    }

    #[test]
    fn lower_median_takes_the_lower_of_two_middles() {
        assert_eq!(lower_median(&mut [(9, 1), (1, 1)]), Some(1));
        assert_eq!(lower_median(&mut [(9, 2), (1, 1)]), Some(9));
        assert_eq!(lower_median(&mut []), None);
    }
}
