//! How many miners a task gets beyond the first: by trust, and for stragglers.
//!
//! *Adaptive replication* is BOINC's: a miner whose answers were valid `n` times in a row has its
//! answer checked by others with probability `1/n`, one with a short row always. *Hedging* gives a
//! straggler's slot to a second miner, for a small share of all leases.

use serde::{Deserialize, Serialize};

use super::units::{Millis, ONE};

/// Valid answers in a row below which a miner's answer never stands alone.
pub const TRUSTED_ROW: u32 = 10;

/// Whether an answer of a miner with so many valid ones in a row is to be checked by others. `lot`
/// is a random number below 1,000,000.
#[must_use]
pub fn replicate(valid_in_row: u32, lot: i64) -> bool {
    valid_in_row < TRUSTED_ROW || lot.saturating_mul(i64::from(valid_in_row)) < ONE
}

/// When and how often stragglers get a second miner, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HedgePolicy {
    /// Second leases per lease, in millionths; 0 turns hedging off.
    pub share_millionths: i64,
    /// Milliseconds that a lease may take at least, however fast the others are.
    pub after_millis_min: i64,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { share_millionths: 50_000, after_millis_min: 2_000 }
    }
}

impl HedgePolicy {
    /// When a lease of now is late, where 95 % of the answers of its kind come within
    /// `p95_millis`. `None` without experience, or when hedging is off.
    #[must_use]
    pub fn late_at(&self, now: Millis, p95_millis: Option<i64>) -> Option<Millis> {
        let p95 = p95_millis.filter(|_| self.share_millionths > 0)?;
        Some(now.plus(p95.max(self.after_millis_min)))
    }
}

/// Second leases saved up at most.
const SAVED_MAX: i64 = 10;

/// What hedging may spend: each lease earns a share of a second one.
#[derive(Debug, Clone, Copy, Default)]
pub struct HedgeBudget {
    millionths: i64,
}

impl HedgeBudget {
    /// A lease was opened.
    pub fn earn(&mut self, policy: &HedgePolicy) {
        let earned = self.millionths.saturating_add(policy.share_millionths);
        self.millionths = earned.min(SAVED_MAX * ONE);
    }

    /// Whether a second lease can be paid.
    #[must_use]
    pub const fn can_spend(&self) -> bool {
        self.millionths >= ONE
    }

    /// Pays for a second lease.
    pub fn spend(&mut self) {
        self.millionths = self.millionths.saturating_sub(ONE).max(0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_row_is_always_checked_and_a_long_one_rarely() {
        assert!((0..TRUSTED_ROW).all(|row| replicate(row, ONE - 1)));
        for row in [10, 25, 1_000] {
            let checked = (0..ONE).step_by(7).filter(|lot| replicate(row, *lot)).count() as f64;
            let share = checked / (ONE as f64 / 7.0);
            assert!((share - 1.0 / f64::from(row)).abs() < 0.001, "{row}: {share}");
        }
    }

    #[test]
    fn without_experience_or_when_off_nothing_is_late() {
        let policy = HedgePolicy::default();
        assert_eq!(policy.late_at(Millis(0), None), None);
        assert_eq!(policy.late_at(Millis(5), Some(30_000)), Some(Millis(30_005)));
        assert_eq!(policy.late_at(Millis(5), Some(3)), Some(Millis(2_005)));
        let off = HedgePolicy { share_millionths: 0, ..policy };
        assert_eq!(off.late_at(Millis(0), Some(9)), None);
    }

    proptest! {
        #[test]
        fn hedges_keep_within_their_share(
            share in 0_i64..400_000, steps in proptest::collection::vec(any::<bool>(), 1..3_000),
        ) {
            let policy = HedgePolicy { share_millionths: share, ..HedgePolicy::default() };
            let (mut budget, mut leases, mut hedges) = (HedgeBudget::default(), 0_i64, 0_i64);
            for hedge in steps {
                if hedge && budget.can_spend() {
                    budget.spend();
                    hedges += 1;
                } else {
                    budget.earn(&policy);
                    leases += 1;
                }
            }
            prop_assert!(hedges * ONE <= leases * share);
        }
    }
}
