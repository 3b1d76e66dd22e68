//! The common scale of a round: where the middle of all graders lies, and how far from it a word
//! may be and still agree.
//!
//! A constant bias is relative: somebody must be its zero. That is the weighted median of all
//! validators, so that a minority cannot shift it; where Pithead itself saw enough, it is the
//! median of the third of the weight that comes closest to what was seen, so that a majority
//! cannot either. The zero is set anew each round from the raw words, so that it cannot drift.

use super::super::number::{Sample, lower_median};
use super::super::policy::ReputationPolicy;
use super::super::validator::Validator;
use super::profile::Profile;

/// Miners below which nothing is said about a constant bias.
const MINERS_MIN: usize = 16;

/// What residuals are measured by; millionths.
#[derive(Debug)]
pub(super) struct Scale {
    /// The middle validator's median residual: the zero of all biases.
    pub(super) centre: i64,
    /// What the validators at the zero say more than we observed.
    pub(super) offset: i64,
    /// Distance that still agrees.
    tolerance: i64,
}

impl Scale {
    pub(super) fn measure(
        policy: &ReputationPolicy,
        validators: &[Validator],
        profiles: &[Profile],
    ) -> Self {
        let weighed = || validators.iter().map(|v| v.base).zip(profiles).filter(|pair| pair.0 > 0);
        let reference = reference(&weighed().collect::<Vec<_>>());
        let mut medians: Vec<Sample> =
            reference.iter().filter_map(|&(base, p)| Some((residual_median(p)?, base))).collect();
        let centre = lower_median(&mut medians).unwrap_or(0);
        let mut offsets: Vec<Sample> = reference
            .iter()
            .filter_map(|&(base, p)| {
                // Biased graders belong to it too: what counts is what they say without it.
                let own = residual_median(p).map_or(0, |median| median - centre);
                Some((observation_median(p)? - own, base))
            })
            .collect();
        let offset = lower_median(&mut offsets).unwrap_or(0);
        let mut spreads: Vec<Sample> =
            weighed().filter_map(|(base, p)| Some((spread(p)?, base))).collect();
        let spread = lower_median(&mut spreads).unwrap_or(0);
        let tolerance = spread
            .saturating_mul(policy.tolerance_scales)
            .clamp(policy.tolerance_min, policy.tolerance_max.max(policy.tolerance_min));
        Self { centre, offset, tolerance }
    }

    /// How much more than the middle validator this one says of most miners.
    pub(super) fn bias_of(&self, profile: &Profile) -> Option<i64> {
        residual_median(profile).map(|median| median - self.centre)
    }

    pub(super) const fn agrees(&self, distance: i64, slack: i64) -> bool {
        distance.saturating_abs() <= self.tolerance.saturating_add(slack)
    }
}

/// All validators; with observations, the third of the weight that comes closest to them.
fn reference<'p>(weighed: &[(i64, &'p Profile)]) -> Vec<(i64, &'p Profile)> {
    let total: i64 = weighed.iter().map(|pair| pair.0).sum();
    let mut near: Vec<_> = weighed
        .iter()
        .filter_map(|&(base, profile)| Some((observation_distance(profile)?, base, profile)))
        .collect();
    let seen: i64 = near.iter().map(|entry| entry.1).sum();
    if near.is_empty() || seen * 3 < total {
        return weighed.to_vec();
    }
    near.sort_by_key(|entry| entry.0);
    let (mut sum, mut third) = (0, Vec::new());
    for (_, base, profile) in near {
        third.push((base, profile));
        sum += base;
        if sum * 3 >= total {
            break;
        }
    }
    third
}

fn median(values: impl Iterator<Item = i64>) -> Option<i64> {
    let mut samples: Vec<Sample> = values.map(|value| (value, 1)).collect();
    if samples.len() < MINERS_MIN { None } else { lower_median(&mut samples) }
}

fn residual_median(profile: &Profile) -> Option<i64> {
    median(profile.numbers.iter().filter_map(|number| number.residual))
}

fn observation_median(profile: &Profile) -> Option<i64> {
    median(profile.numbers.iter().filter_map(|number| Some(number.to_observation?.0)))
}

fn observation_distance(profile: &Profile) -> Option<i64> {
    median(profile.numbers.iter().filter_map(|number| Some(number.to_observation?.0.abs())))
}

/// 1.4826 x the median distance from the own median, a standard deviation for normal noise.
fn spread(profile: &Profile) -> Option<i64> {
    let own = residual_median(profile)?;
    let distances =
        profile.numbers.iter().filter_map(|number| Some((number.residual? - own).abs()));
    median(distances).map(|distance| distance * 14_826 / 10_000)
}
