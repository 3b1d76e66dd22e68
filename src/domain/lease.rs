//! Leases: a miner's right to answer one slot until a deadline, and what follows when it is lost.
//!
//! A lease is fenced by its attempt: a slot's attempts only grow, and only the current one can
//! finish the slot. Expiry is a transition of the row made by the sweep; an answer is never judged
//! by comparing clocks.

use serde::{Deserialize, Serialize};

use super::ids::LeaseToken;
use super::limits;
use super::task::text_enum;
use super::units::Millis;

text_enum! {
    /// Who holds a lease.
    HolderKind {
        /// A miner that polls this server.
        Miner = "miner",
        /// A validator that serves the task over its own network.
        Validator = "validator",
    }
}

text_enum! {
    /// Why an attempt ended without an answer.
    LossReason {
        /// Nobody fetched it in time.
        OfferExpired = "offer_expired",
        /// It was fetched, and then nothing was heard in time.
        RunExpired = "run_expired",
        /// The miner gave it back since it has no room.
        Busy = "busy",
        /// The miner cannot do this kind of work.
        Unsupported = "unsupported",
        /// The miner tried and failed; another may succeed.
        Failed = "failed",
        /// The work itself is impossible; nobody will succeed.
        Impossible = "impossible",
        /// The miner's registration closed, or an operator shut the holder out.
        Retired = "retired",
        /// The client cancelled, or other answers sufficed.
        Superseded = "superseded",
    }
}

impl LossReason {
    /// Whether the miner is to blame: it counts against the slot's attempts and the miner's record,
    /// and the miner does not get this task again.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::OfferExpired
            | Self::RunExpired
            | Self::Unsupported
            | Self::Failed
            | Self::Impossible => true,
            Self::Busy | Self::Retired | Self::Superseded => false,
        }
    }

    /// Whether another attempt can help.
    #[must_use]
    pub const fn retryable(self) -> bool {
        !matches!(self, Self::Impossible | Self::Superseded)
    }
}

/// Times and counts of leases, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeasePolicy {
    /// Milliseconds within which an offer must be fetched.
    pub offer_millis: i64,
    /// Milliseconds that a heartbeat adds at least.
    pub heartbeat_millis: i64,
    /// Failures after which a slot is given up.
    pub attempts_max: u16,
    /// First pause before another attempt, in milliseconds; doubles.
    pub backoff_millis: i64,
    /// Longest pause, in milliseconds.
    pub backoff_millis_max: i64,
}

impl Default for LeasePolicy {
    fn default() -> Self {
        Self {
            offer_millis: limits::OFFER_MILLIS,
            heartbeat_millis: limits::HEARTBEAT_MILLIS,
            attempts_max: limits::ATTEMPTS_MAX,
            backoff_millis: limits::BACKOFF_MILLIS,
            backoff_millis_max: limits::BACKOFF_MILLIS_MAX,
        }
    }
}

/// What becomes of a slot whose lease was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLoss {
    /// Queued again, not before this moment.
    Retry(Millis),
    /// Given up.
    GiveUp,
}

impl LeasePolicy {
    /// Decides what becomes of the slot of `token`, lost for `reason` after `failures` failures
    /// (this one included).
    #[must_use]
    pub fn after_loss(
        &self,
        token: LeaseToken,
        reason: LossReason,
        failures: u16,
        now: Millis,
    ) -> AfterLoss {
        if !reason.retryable() || failures >= self.attempts_max {
            return AfterLoss::GiveUp;
        }
        if reason == LossReason::Retired {
            return AfterLoss::Retry(now);
        }
        let doublings = u32::from(token.attempt.saturating_sub(1)).min(20);
        let pause = self.backoff_millis.saturating_mul(1 << doublings).min(self.backoff_millis_max);
        AfterLoss::Retry(now.plus(pause + jitter_millis(token, pause / 2)))
    }

    /// Until when an offer made now lives.
    #[must_use]
    pub fn offered_until(&self, now: Millis, deadline: Millis) -> Millis {
        now.plus(self.offer_millis).min(deadline)
    }

    /// Until when a lease lives that was fetched now, for work of `run_millis`.
    #[must_use]
    pub fn running_until(&self, now: Millis, run_millis: i64, deadline: Millis) -> Millis {
        now.plus(run_millis).min(deadline)
    }

    /// Until when a lease lives after a heartbeat now. A heartbeat never shortens it.
    #[must_use]
    pub fn beaten_until(&self, now: Millis, expires_at: Millis, deadline: Millis) -> Millis {
        now.plus(self.heartbeat_millis).min(deadline).max(expires_at)
    }
}

/// Spreads retries over `span` milliseconds, the same for the same attempt on every host.
fn jitter_millis(token: LeaseToken, span: i64) -> i64 {
    let seed =
        token.task.0.as_u128() as u64 ^ (u64::from(token.slot) << 32 | u64::from(token.attempt));
    // SplitMix64's finaliser: spreads ids made in one burst over the whole span.
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33;
    i64::try_from(mixed).unwrap_or(0) % span.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::TaskId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn token(attempt: u16) -> LeaseToken {
        LeaseToken { task: TaskId(Uuid::from_u128(7)), slot: 0, attempt }
    }

    #[test]
    fn permanent_errors_are_not_retried() {
        let policy = LeasePolicy::default();
        let now = Millis(0);
        assert_eq!(policy.after_loss(token(1), LossReason::Impossible, 1, now), AfterLoss::GiveUp);
        assert_eq!(policy.after_loss(token(3), LossReason::Failed, 3, now), AfterLoss::GiveUp);
        assert!(matches!(
            policy.after_loss(token(9), LossReason::Busy, 0, now),
            AfterLoss::Retry(_)
        ));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_stay_bounded(attempt in 1_u16..1000, id in any::<u128>()) {
            let policy = LeasePolicy { attempts_max: u16::MAX, ..LeasePolicy::default() };
            let token = LeaseToken { task: TaskId(Uuid::from_u128(id)), slot: 0, attempt };
            let AfterLoss::Retry(at) = policy.after_loss(token, LossReason::Failed, 1, Millis(0))
            else { panic!("gave up") };
            prop_assert!(at.0 >= policy.backoff_millis.min(policy.backoff_millis_max));
            prop_assert!(at.0 <= policy.backoff_millis_max * 3 / 2);
        }

        #[test]
        fn no_lease_outlives_the_deadline_or_shrinks(
            now in 0_i64..1_000_000, left in 0_i64..1_000_000, deadline in 0_i64..1_000_000,
        ) {
            let policy = LeasePolicy::default();
            let deadline = Millis(now + deadline);
            let expires = Millis((now + left).min(deadline.0));
            let beaten = policy.beaten_until(Millis(now), expires, deadline);
            prop_assert!(beaten >= expires && beaten <= deadline);
            prop_assert!(policy.offered_until(Millis(now), deadline) <= deadline);
        }
    }
}
