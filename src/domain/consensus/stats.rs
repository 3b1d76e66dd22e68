//! The key figures of consensus, kept as counters: nothing is scanned to answer.

use serde::Serialize;

use super::verdict::Verdict;
use crate::domain::units::{ONE, Score};

/// The key figures of seed 001.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ConsensusStats {
    /// Reports applied since the table was made.
    pub total_reports: u64,
    /// Miners with a verdict.
    pub known_miners: usize,
    /// Miners heard of from enough validators.
    pub consensus_miners: usize,
    /// Validators ever heard of.
    pub known_validators: usize,
    /// Validators whose newest report counts.
    pub active_validators: usize,
    /// Mean confidence of all verdicts.
    pub mean_confidence: Score,
    /// Share of verdicts with a conflict.
    pub conflict_rate: Score,
    /// Share of known miners that have a consensus.
    pub coverage: Score,
    /// Share of known validators that are active.
    pub participation: Score,
}

/// Running sums over the verdicts in force.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) reports: u64,
    verdicts: i64,
    consensus: i64,
    conflicted: i64,
    confidence: i64,
}

impl Counters {
    pub(super) fn add(&mut self, verdict: &Verdict) {
        self.shift(verdict, 1);
    }

    pub(super) fn remove(&mut self, verdict: &Verdict) {
        self.shift(verdict, -1);
    }

    fn shift(&mut self, verdict: &Verdict, by: i64) {
        self.verdicts += by;
        self.consensus += by * i64::from(!verdict.single_source);
        self.conflicted += by * i64::from(!verdict.conflicts.is_empty());
        self.confidence += by * verdict.confidence.millionths();
    }

    pub(super) fn stats(&self, known: usize, active: usize) -> ConsensusStats {
        let per_verdict = |sum: i64| Score::clamped(sum.checked_div(self.verdicts).unwrap_or(0));
        let validators = i64::try_from(known).unwrap_or(i64::MAX);
        let participating = i64::try_from(active).unwrap_or(0) * ONE;
        ConsensusStats {
            total_reports: self.reports,
            known_miners: usize::try_from(self.verdicts).unwrap_or(0),
            consensus_miners: usize::try_from(self.consensus).unwrap_or(0),
            known_validators: known,
            active_validators: active,
            mean_confidence: per_verdict(self.confidence),
            conflict_rate: per_verdict(self.conflicted * ONE),
            coverage: per_verdict(self.consensus * ONE),
            participation: Score::clamped(participating.checked_div(validators).unwrap_or(0)),
        }
    }
}
