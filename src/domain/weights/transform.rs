//! Steps 5 to 7: raw weights are bent so that the best stand out, or placed where that would leave
//! them too much alike, and divided by their sum.

use serde::{Deserialize, Serialize};

use super::number::{percentile, population_std};
use super::policy::Policy;
use super::record::Record;

/// What all miners share of the last steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// The largest raw weight.
    pub raw_max: f64,
    /// Relative weight at which the curve turns up, `M`; absent when nobody has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub midpoint: Option<f64>,
    /// Population standard deviation of the positive transformed weights.
    pub std: f64,
    /// Whether places count instead.
    pub rank_fallback: bool,
    /// What the weights were divided by.
    pub sum: f64,
}

/// Gives every record its weight.
pub(super) fn weigh(policy: &Policy, records: &mut [Record]) -> Transform {
    let raw_max = records.iter().map(|record| record.raw_calculated_weight).fold(0.0, f64::max);
    // Nobody has anything: all stay 0, instead of 0/0.
    if raw_max > 0.0 {
        for record in &mut *records {
            record.relative_weight = record.raw_calculated_weight / raw_max;
        }
    }
    let mut positive: Vec<f64> =
        records.iter().map(|record| record.relative_weight).filter(|&x| x > 0.0).collect();
    positive.sort_unstable_by(f64::total_cmp);
    let midpoint = percentile(&positive, policy.transform_percentile);
    for record in &mut *records {
        // The curve is above 0 also at 0: who has nothing is not on it.
        if let (true, Some(midpoint)) = (record.relative_weight > 0.0, midpoint) {
            record.transformed_weight = bend(policy, record.relative_weight, midpoint);
        }
    }
    let bent: Vec<f64> =
        records.iter().map(|record| record.transformed_weight).filter(|&t| t > 0.0).collect();
    let std = population_std(&bent);
    let rank_fallback = bent.len() > 1 && std < policy.fallback_std;
    if rank_fallback {
        place(policy, records);
    } else {
        for record in &mut *records {
            record.weight = record.transformed_weight;
        }
    }
    // The sum of nothing is -0.
    let sum = records.iter().map(|record| record.weight).sum::<f64>() + 0.0;
    if sum > 0.0 {
        for record in &mut *records {
            record.weight /= sum;
        }
    }
    Transform { raw_max, midpoint, std, rank_fallback, sum }
}

/// The curve: an asymmetric sigmoid around the midpoint, and a small part that stays proportional.
fn bend(policy: &Policy, x: f64, midpoint: f64) -> f64 {
    let steep = libm::exp(-policy.transform_slope * (x - midpoint));
    let bottom = libm::pow(1.0 + policy.transform_delay * steep, 1.0 / policy.transform_asymmetry);
    policy.transform_height / bottom + policy.transform_linear * x
}

/// Places by raw weight among those that have any, 1 for the best; each is worth
/// `1 / place^exponent`. Equal raw weights share the mean of their places, or else the order of uids
/// would decide who is paid more.
fn place(policy: &Policy, records: &mut [Record]) {
    let mut earning: Vec<&mut Record> =
        records.iter_mut().filter(|record| record.transformed_weight > 0.0).collect();
    let raw = |record: &Record| record.raw_calculated_weight;
    earning.sort_by(|a, b| raw(b).total_cmp(&raw(a)));
    let mut before = 0;
    for equals in earning.chunk_by_mut(|a, b| raw(a) == raw(b)) {
        let (first, last) = (before + 1, before + equals.len());
        let place = (first + last) as f64 / 2.0;
        let worth = 1.0 / libm::pow(place, policy.fallback_exponent);
        for record in equals {
            record.place = Some(place);
            record.weight = worth;
        }
        before = last;
    }
}
