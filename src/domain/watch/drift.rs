//! How far what a validator submitted is from the incentive that came of it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::audit::{Fact, SYSTEM};
use crate::domain::chain::{Snapshot, Submission};
use crate::domain::ids::MinerUid;
use crate::domain::limits::DRIFT_SHOWN;
use crate::domain::units::ONE;

/// One uid's shares, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart {
    /// Whose.
    pub uid: MinerUid,
    /// Of what was submitted.
    pub submitted: i64,
    /// Of the incentive.
    pub incentive: i64,
}

/// A vector beside the incentive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Half the sum of all differences of shares, in millionths, rounded up: 0 for the same shares,
    /// a whole for two vectors that have no uid in common.
    pub distance: i64,
    /// The uids that are farthest apart.
    pub worst: Vec<Apart>,
}

/// Compares shares uid by uid, exactly. `None` where either side has nothing: then nobody has a share.
#[must_use]
pub fn drift(weights: &[(MinerUid, u16)], snapshot: &Snapshot) -> Option<Drift> {
    let mut both: BTreeMap<MinerUid, (u128, u128)> = BTreeMap::new();
    for (uid, weight) in weights {
        both.entry(*uid).or_default().0 += u128::from(*weight);
    }
    for (uid, neuron) in &snapshot.neurons {
        both.entry(*uid).or_default().1 += u128::from(neuron.incentive);
    }
    let all_submitted: u128 = both.values().map(|(submitted, _)| submitted).sum();
    let all_incentive: u128 = both.values().map(|(_, incentive)| incentive).sum();
    let whole = all_submitted * all_incentive;
    if whole == 0 {
        return None;
    }
    // Times both sums, all differences are whole numbers, far below 2^127.
    let difference = |(submitted, incentive): (u128, u128)| {
        (submitted * all_incentive).abs_diff(incentive * all_submitted)
    };
    let sum: u128 = both.values().copied().map(difference).sum();
    let one = u128::from(ONE.unsigned_abs());
    let distance = (sum * one).div_ceil(2 * whole);
    let mut uids: Vec<_> = both.into_iter().collect();
    uids.sort_by_key(|(uid, pair)| (std::cmp::Reverse(difference(*pair)), *uid));
    let share = |part: u128, all: u128| i64::try_from(part * one / all).unwrap_or(ONE);
    let apart = |(uid, (submitted, incentive)): (MinerUid, (u128, u128))| Apart {
        uid,
        submitted: share(submitted, all_submitted),
        incentive: share(incentive, all_incentive),
    };
    let worst = uids.into_iter().take(DRIFT_SHOWN).map(apart).collect();
    Some(Drift { distance: i64::try_from(distance).unwrap_or(ONE), worst })
}

impl Drift {
    /// The event of a submission that was settled, where it drifted further than `most` millionths.
    #[must_use]
    pub fn fact(&self, of: &Submission, most: i64) -> Option<Fact> {
        if self.distance <= most {
            return None;
        }
        let shown = |apart: &Apart| {
            json!({
                "uid": apart.uid,
                "submitted_millionths": apart.submitted,
                "incentive_millionths": apart.incentive,
            })
        };
        let detail = json!({
            "distance_millionths": self.distance,
            "block": of.block,
            "consensus_block": of.settled.map(|settled| settled.consensus_block),
            "validator": of.validator,
            "worst": self.worst.iter().map(shown).collect::<Vec<_>>(),
        });
        let subject = format!("{} at block {}", of.validator, of.block);
        Some(Fact::new(SYSTEM, "weights.drift", &subject, &detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chain::{Mode, Neuron, Snapshot};
    use crate::domain::ids::Hotkey;

    fn weights(of: &[(u16, u16)]) -> Vec<(MinerUid, u16)> {
        of.iter().map(|(uid, weight)| (MinerUid(*uid), *weight)).collect()
    }

    fn snapshot(incentives: &[(u16, u16)]) -> Snapshot {
        let neuron = |uid: u16| {
            json!({
                "uid": uid, "hotkey": format!("hot{uid}"), "stake": 1, "validator_permit": false,
                "last_update": 1, "block_at_registration": 1, "incentive": 0,
            })
        };
        let neurons: Vec<_> = incentives.iter().map(|(uid, _)| neuron(*uid)).collect();
        let body = json!({ "netuid": 5, "block": 900, "tempo": 360, "neurons": neurons });
        let mut snapshot = Snapshot::parse(&body).unwrap();
        for (uid, incentive) in incentives {
            let neuron: &mut Neuron = snapshot.neurons.get_mut(&MinerUid(*uid)).unwrap();
            neuron.incentive = *incentive;
        }
        snapshot
    }

    fn distance(of: &[(u16, u16)], incentives: &[(u16, u16)]) -> Option<i64> {
        drift(&weights(of), &snapshot(incentives)).map(|drift| drift.distance)
    }

    #[test]
    fn only_shares_count() {
        assert_eq!(distance(&[(0, 1), (1, 3)], &[(0, 100), (1, 300), (2, 0)]), Some(0));
        assert_eq!(distance(&[(0, 9)], &[(1, 7)]), Some(ONE));
        assert_eq!(distance(&[(0, 1), (1, 1)], &[(0, 1)]), Some(ONE / 2));
        assert_eq!(distance(&[(7, 1), (0, 3)], &[(0, 1)]), Some(ONE / 4), "uid 7 is gone");
        assert_eq!(distance(&[(0, 3)], &[(0, 1), (1, 2)]), Some(666_667), "rounded up");
    }

    #[test]
    fn the_largest_numbers_are_counted_exactly() {
        let all = |weight| (0..4_096).map(|uid| (uid, weight)).collect::<Vec<_>>();
        assert_eq!(distance(&all(u16::MAX), &all(u16::MAX)), Some(0));
        assert_eq!(distance(&all(u16::MAX), &all(1)), Some(0));
    }

    #[test]
    fn nobody_has_a_share_of_nothing() {
        assert_eq!(distance(&[(0, 1)], &[(0, 0), (1, 0)]), None);
        assert_eq!(distance(&[], &[(0, 1)]), None);
    }

    #[test]
    fn the_worst_three_are_named_farthest_first() {
        let submitted = weights(&[(0, 40), (1, 30), (2, 20), (3, 10)]);
        let found = drift(&submitted, &snapshot(&[(0, 10), (1, 31), (2, 19), (3, 40)])).unwrap();
        let worst: Vec<_> = found.worst.iter().map(|apart| apart.uid.0).collect();
        assert_eq!((found.distance, &worst[..]), (310_000, &[0, 3, 1][..]));
        let first = Apart { uid: MinerUid(0), submitted: 400_000, incentive: 100_000 };
        assert_eq!(found.worst[0], first);
    }

    #[test]
    fn only_what_is_above_the_limit_is_told() {
        let of = Submission::new(Hotkey::parse("hot1").unwrap(), 800, Mode::Plain);
        let found = drift(&weights(&[(0, 9), (1, 1)]), &snapshot(&[(0, 8), (1, 2)])).unwrap();
        assert_eq!(found.distance, 100_000);
        assert_eq!(found.fact(&of, 100_000), None);
        let fact = found.fact(&of, 99_999).unwrap();
        assert_eq!((fact.action(), fact.subject()), ("weights.drift", "hot1 at block 800"));
        assert_eq!(fact.detail()["distance_millionths"], 100_000);
        assert_eq!(fact.detail()["worst"][1]["incentive_millionths"], 200_000);
    }
}
