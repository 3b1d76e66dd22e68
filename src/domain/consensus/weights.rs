//! Base weights of the active validators, and how a report's weight fades with its age.

use crate::domain::units::{ONE, Score, Stake};

/// Shares of `stake x reputation` in millionths, in the order given: they sum to exactly one and
/// none exceeds a third (an equal share when fewer than four count). When no stake is known all
/// stakes are taken as equal; an unknown stake beside known ones counts nothing.
///
/// The order of `claims` must be canonical (by hotkey): it settles who gets a left-over millionth.
#[must_use]
pub fn base_weights(claims: &[(Option<Stake>, Score)]) -> Vec<i64> {
    let products = products(claims);
    let mut order: Vec<(usize, u128)> =
        products.iter().copied().enumerate().filter(|(_, product)| *product > 0).collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let cap = cap(order.len());
    let mut left = ONE.unsigned_abs().into();
    let mut sum: u128 = order.iter().map(|(_, product)| product).sum();
    let mut weights = vec![0_i64; claims.len()];
    let mut shares: Vec<(usize, u128, u128)> = Vec::with_capacity(order.len());
    // From the largest down: what a capped one leaves over lifts all that follow.
    for (index, product) in order {
        let capped = shares.is_empty() && product * left > cap * sum;
        if capped {
            put(&mut weights, index, cap.min(left));
            left -= cap.min(left);
            sum -= product;
        } else {
            shares.push((index, product * left / sum, product * left % sum));
        }
    }
    let mut over = left.saturating_sub(shares.iter().map(|share| share.1).sum());
    shares.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
    for (index, share, _) in shares {
        let extra = u128::from(over > 0);
        over -= extra;
        put(&mut weights, index, share + extra);
    }
    weights
}

fn products(claims: &[(Option<Stake>, Score)]) -> Vec<u128> {
    let known = claims.iter().any(|(stake, _)| stake.is_some_and(|stake| stake > Stake::ZERO));
    let product = |&(stake, reputation): &(Option<Stake>, Score)| {
        let stake = if known { stake.unwrap_or_default().rao() } else { 1 };
        u128::from(stake.unsigned_abs()) * u128::from(reputation.millionths().unsigned_abs())
    };
    claims.iter().map(product).collect()
}

/// Below a third from four on, so that no single validator is "a third of the weight".
const fn cap(count: usize) -> u128 {
    match count {
        0 | 1 => 1_000_000,
        2 => 500_000,
        3 => 333_334,
        _ => 333_333,
    }
}

fn put(weights: &mut [i64], index: usize, weight: u128) {
    if let Some(slot) = weights.get_mut(index) {
        *slot = i64::try_from(weight).unwrap_or(0);
    }
}

/// Taylor series of 2^-x: the powers of -ln 2 over factorials, highest first, times 2^30. Wrong by
/// less than two millionths for x within 0..=1.
const HALVING: [i64; 8] = [
    -16_377,
    165_394,
    -1_431_680,
    10_327_387,
    -59_597_083,
    257_941_248,
    -744_261_118,
    1_073_741_824,
];

/// 2^(-age/period) in millionths; 1 for an age of 0 or less.
#[must_use]
pub(super) fn decay(age_millis: i64, period_millis: i64) -> i64 {
    // Ages and periods are far below 2^33 ms (99 days); the shift below needs that.
    let (age, period) = (age_millis.max(0), period_millis.clamp(1, 1 << 33));
    let halvings = age / period;
    if halvings > 30 {
        return 0;
    }
    let part = ((age % period) << 30) / period;
    let mut sum = 0;
    for coefficient in HALVING {
        sum = coefficient + ((sum * part) >> 30);
    }
    ((sum * ONE + (1 << 29)) >> 30) >> halvings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(stakes: &[i64]) -> Vec<i64> {
        let claims: Vec<_> =
            stakes.iter().map(|rao| (Some(Stake::from_rao(*rao)), Score::ONE)).collect();
        base_weights(&claims)
    }

    #[test]
    fn stakes_are_filled_up_to_a_third() {
        for (stakes, expected) in [
            (&[][..], &[][..]),
            (&[7], &[1_000_000]),
            (&[9, 1], &[500_000, 500_000]),
            (&[9, 0], &[1_000_000, 0]),
            (&[98, 1, 1], &[333_334, 333_333, 333_333]),
            (&[97, 1, 1, 1], &[333_333, 222_223, 222_222, 222_222]),
            (&[50, 45, 3, 2], &[333_333, 333_333, 200_000, 133_334]),
            (&[1, 2, 3, 4], &[111_111, 222_223, 333_333, 333_333]),
            (&[0, 0], &[500_000, 500_000]),
            (&[1, 1, 1, 1, 4], &[166_667, 166_667, 166_667, 166_666, 333_333]),
        ] {
            assert_eq!(weights(stakes), expected, "{stakes:?}");
        }
    }

    #[test]
    fn unknown_stakes_are_equal_only_when_all_are_unknown() {
        let one = Score::ONE;
        assert_eq!(base_weights(&[(None, one), (None, one)]), [500_000, 500_000]);
        let known = Some(Stake::from_rao(5));
        assert_eq!(base_weights(&[(None, one), (known, one)]), [0, 1_000_000]);
        assert_eq!(base_weights(&[(known, Score::ZERO), (known, one)]), [0, 1_000_000]);
        assert_eq!(base_weights(&[(known, Score::ZERO)]), [0]);
    }

    #[test]
    fn a_report_halves_with_each_period() {
        let expected = [(0, 1_000_000), (-9, 1_000_000), (1_000, 500_000), (3_000, 125_000)];
        for (age, share) in expected {
            assert!((decay(age, 1_000) - share).abs() <= 2, "{age}: {}", decay(age, 1_000));
        }
        assert!((decay(500, 1_000) - 707_107).abs() <= 3);
        assert_eq!(decay(i64::MAX, 1), 0);
    }

    proptest! {
        #[test]
        fn weights_sum_to_one_stay_below_the_cap_and_follow_the_stake(
            stakes in prop::collection::vec(0..9_200_000_000_000_000_000_i64, 1..80),
            reputations in prop::collection::vec(1..=1_000_000_i64, 80),
        ) {
            let claims: Vec<_> = stakes.iter().zip(&reputations)
                .map(|(rao, rep)| (Some(Stake::from_rao(*rao)), Score::clamped(*rep))).collect();
            let shares = base_weights(&claims);
            let counting = products(&claims).iter().filter(|product| **product > 0).count();
            prop_assert_eq!(shares.iter().sum::<i64>(), ONE);
            prop_assert!(shares.iter().all(|share| *share as u128 <= cap(counting)));
            let mut reversed = claims;
            reversed.reverse();
            let mut mirror = base_weights(&reversed);
            mirror.reverse();
            for (a, b) in shares.iter().zip(&mirror) {
                prop_assert!((a - b).abs() <= 1, "order moves no more than the left-over millionth");
            }
        }

        #[test]
        fn decay_never_rises_with_age(age in 0..10_000_000_i64, step in 0..1_000_000_i64) {
            prop_assert!(decay(age + step, 1_200_000) <= decay(age, 1_200_000) + 2);
        }
    }
}
