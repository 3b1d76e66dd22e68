//! Validators that err together count as one.
//!
//! Honest errors are independent, so two residual vectors that correlate have one author. When a
//! large minority lies, though, the middle moves and all honest ones seem to err the same way:
//! therefore a plain correlation makes a clique only among dissenters, and others must be copies.

use super::super::event::Event;
use super::super::policy::ReputationPolicy;
use super::super::validator::Validator;
use super::bias::Scale;
use super::profile::Profile;
use crate::domain::ids::MinerUid;
use crate::domain::units::{ONE, Stake};

/// Residuals are cut here: a few wild values must not be the whole correlation. 0.5.
const RESIDUAL_MAX: i64 = 500_000;

/// Typical error below which everybody is simply right: exact measures are no copies. 0.005.
const ERROR_MIN: i64 = 5_000;

/// Groups the active validators and gives each its share of its clique's weight: together they
/// weigh what the heaviest of them would alone.
pub(super) fn group(
    policy: &ReputationPolicy,
    round: i64,
    validators: &mut [Validator],
    profiles: &[Profile],
    scale: &Scale,
) -> Vec<Event> {
    let miners = profiles.iter().map(|p| p.numbers.len()).max().unwrap_or(0).max(1);
    let wanted = i64::try_from(policy.clique_miners_max).unwrap_or(ONE).saturating_mul(ONE);
    let share = wanted / i64::try_from(miners).unwrap_or(ONE);
    let sample = Sample { scale, round, share };
    // By hotkey, so that the order of appearance settles nothing.
    let mut order: Vec<(&mut Validator, Vector)> = validators
        .iter_mut()
        .zip(profiles)
        .map(|(validator, profile)| (validator, sample.vector(profile)))
        .collect();
    order.sort_unstable_by(|a, b| a.0.hotkey.cmp(&b.0.hotkey));
    let mut cliques: Vec<Vec<usize>> = Vec::new();
    for (place, (validator, vector)) in order.iter().enumerate() {
        if !validator.is_active {
            continue;
        }
        let is_theirs = |clique: &&mut Vec<usize>| {
            let first = clique.first().and_then(|first| order.get(*first));
            first.is_some_and(|(leader, other)| {
                are_one(policy, (leader, other), (validator, vector))
            })
        };
        match cliques.iter_mut().find(is_theirs) {
            Some(clique) => clique.push(place),
            None => cliques.push(vec![place]),
        }
    }
    let mut events = Vec::new();
    for clique in cliques {
        let claim = |place: &usize| order.get(*place).map_or(0, |(v, _)| claim(v));
        let sum: u128 = clique.iter().map(claim).sum();
        let most = clique.iter().map(claim).max().unwrap_or(0);
        let share = (most * ONE.unsigned_abs() as u128).checked_div(sum);
        let share = share.and_then(|share| i64::try_from(share).ok()).unwrap_or(ONE);
        let mut joined = Vec::new();
        for place in &clique {
            let Some((validator, _)) = order.get_mut(*place) else { continue };
            if clique.len() > 1 && !std::mem::replace(&mut validator.in_clique, true) {
                joined.push(validator.hotkey.clone());
            }
            validator.in_clique = clique.len() > 1;
            validator.set_clique_share(share);
        }
        if !joined.is_empty() {
            events.push(Event::Clique { hotkeys: joined, share });
        }
    }
    events
}

fn claim(validator: &Validator) -> u128 {
    let stake = validator.stake.unwrap_or(Stake::from_rao(1)).rao().unsigned_abs();
    u128::from(stake) * u128::from(validator.track.claim().unsigned_abs())
}

/// Residuals of a sample of miners, by uid.
type Vector = Vec<(MinerUid, i64)>;

/// Which miners are compared in this round: others each round, and in no pattern of uids, so that
/// no group of miners stays unseen.
struct Sample<'s> {
    scale: &'s Scale,
    round: i64,
    /// Share of the miners, millionths.
    share: i64,
}

impl Sample<'_> {
    fn vector(&self, profile: &Profile) -> Vector {
        let bias = self.scale.bias_of(profile).unwrap_or(0) + self.scale.centre;
        let cut = |residual: i64| (residual - bias).clamp(-RESIDUAL_MAX, RESIDUAL_MAX);
        let chosen = profile.numbers.iter().filter(|number| self.has(number.uid));
        chosen.filter_map(|number| Some((number.uid, cut(number.residual?)))).collect()
    }

    /// By the finaliser of SplitMix64 over uid and round.
    const fn has(&self, uid: MinerUid) -> bool {
        let z = (self.round.unsigned_abs() << 16) ^ uid.0 as u64;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % ONE.unsigned_abs() < self.share.unsigned_abs()
    }
}

fn are_one(policy: &ReputationPolicy, a: (&Validator, &Vector), b: (&Validator, &Vector)) -> bool {
    let dissents = |v: &Validator| ONE - v.track.agreement() > policy.dissent_min;
    let threshold = if dissents(a.0) && dissents(b.0) {
        policy.clique_correlation
    } else {
        policy.copy_correlation
    };
    let (mut left, mut right) = (a.1.iter().peekable(), b.1.iter().peekable());
    let (mut common, mut product, mut squares) = (0_usize, 0_i64, (0_i64, 0_i64));
    while let (Some(&&(uid, x)), Some(&&(other, y))) = (left.peek(), right.peek()) {
        if uid <= other {
            left.next();
        }
        if other <= uid {
            right.next();
        }
        if uid == other {
            common += 1;
            product += x * y;
            squares = (squares.0 + x * x, squares.1 + y * y);
        }
    }
    let floor = i64::try_from(common).unwrap_or(i64::MAX).saturating_mul(ERROR_MIN * ERROR_MIN);
    if common < policy.clique_miners_min.max(1) || squares.0.min(squares.1) < floor || product <= 0
    {
        return false;
    }
    // cos^2 >= threshold^2, without a root; in thousands, to stay within 128 bits.
    let (product, threshold) = (i128::from(product / 1_000), i128::from(threshold));
    let bound = i128::from(squares.0 / 1_000) * i128::from(squares.1 / 1_000);
    let one = i128::from(ONE);
    product * product * one / threshold * one >= bound * threshold
}
