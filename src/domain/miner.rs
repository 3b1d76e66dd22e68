//! What this server itself knows of a miner: how its leases ended, and whether to leave it alone
//! for a while. What validators say about it is the consensus' part.

use super::limits;
use super::units::{Millis, ONE, Score};

/// How a miner's leases and evaluations went so far. Counters move in the transactions that end
/// leases, so that they survive a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Record {
    /// Leases answered.
    pub answered: i64,
    /// Leases lost by the miner's own fault.
    pub lost: i64,
    /// Responses that were scored.
    pub scored: i64,
    /// Sum of those scores, in millionths.
    pub score_sum: i64,
}

/// Observations that weigh as much as the validators' verdict: with as many, both count half.
const EVIDENCE_EVEN: i64 = 20;

impl Record {
    /// Outcomes known.
    #[must_use]
    pub const fn evidence(&self) -> i64 {
        self.answered.saturating_add(self.lost)
    }

    /// What we saw: share of leases answered, times the mean score where there is one.
    #[must_use]
    pub fn observed(&self) -> Option<Score> {
        let evidence = self.evidence();
        if evidence <= 0 {
            return None;
        }
        let success = self.answered.saturating_mul(ONE) / evidence;
        let quality = if self.scored > 0 { self.score_sum / self.scored } else { ONE };
        Some(Score::clamped(success.saturating_mul(quality) / ONE))
    }

    /// Performance to rank by: the verdict and our own observation, blended by evidence.
    #[must_use]
    pub fn blended(&self, verdict: Score) -> Score {
        let Some(observed) = self.observed() else { return verdict };
        let evidence = self.evidence().min(1_000_000);
        let sum = verdict.millionths() * EVIDENCE_EVEN + observed.millionths() * evidence;
        Score::clamped(sum / (EVIDENCE_EVEN + evidence))
    }
}

/// Circuit breaker of one miner: after some failures in a row it gets nothing for a while, then
/// one task as a probe; the pause doubles with each further failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    until: Millis,
}

impl Breaker {
    /// An answer came: all is forgiven.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
        self.until = Millis(0);
    }

    /// A lease was lost by the miner's fault.
    pub fn failed(&mut self, now: Millis) {
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(limits::BREAKER_FAILURES) {
            let pause = limits::BREAKER_MILLIS.saturating_mul(1 << beyond.min(20));
            self.until = now.plus(pause.min(limits::BREAKER_MILLIS_MAX));
        }
    }

    /// How the miner may be used now.
    #[must_use]
    pub fn gate(&self, now: Millis) -> Gate {
        if self.failures < limits::BREAKER_FAILURES {
            Gate::Closed
        } else if now < self.until {
            Gate::Open(self.until)
        } else {
            Gate::HalfOpen
        }
    }
}

/// What a [`Breaker`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Everything.
    Closed,
    /// One task at a time, to probe.
    HalfOpen,
    /// Nothing until then.
    Open(Millis),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_moves_the_blend_from_the_verdict_to_what_we_saw() {
        let verdict = Score::clamped(900_000);
        let record = |answered, lost| Record { answered, lost, ..Record::default() };
        assert_eq!(record(0, 0).blended(verdict), verdict);
        assert_eq!(record(0, 20).blended(verdict).millionths(), 450_000);
        assert!(record(0, 1_000).blended(verdict).millionths() < 20_000);
        assert!(record(1_000, 0).blended(verdict).millionths() > 990_000);
    }

    #[test]
    fn a_better_score_never_lowers_what_we_saw() {
        let observed =
            |score_sum| Record { answered: 5, lost: 1, scored: 5, score_sum }.observed().unwrap();
        assert!((0..50).all(|i| observed(i * 100_000) <= observed((i + 1) * 100_000)));
    }

    #[test]
    fn a_failing_miner_pauses_probes_and_returns() {
        let mut breaker = Breaker::default();
        let at = |secs: i64| Millis(secs * 1_000);
        breaker.failed(at(0));
        breaker.failed(at(0));
        assert_eq!(breaker.gate(at(0)), Gate::Closed);
        breaker.failed(at(0));
        assert_eq!(breaker.gate(at(0)), Gate::Open(at(30)));
        assert_eq!(breaker.gate(at(30)), Gate::HalfOpen);
        breaker.failed(at(30));
        assert_eq!(breaker.gate(at(31)), Gate::Open(at(90)));
        for _ in 0..100 {
            breaker.failed(at(90));
        }
        assert_eq!(breaker.gate(at(91)), Gate::Open(at(90 + 1_800)));
        breaker.succeeded();
        assert_eq!(breaker.gate(at(91)), Gate::Closed);
    }
}
