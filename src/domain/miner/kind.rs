//! A miner's record at one kind of work: success, speed and scores, each decayed with every
//! outcome, so that it says how the miner is now. Statistics: a crash may lose the last half minute
//! of it, which the next outcomes make good.

use serde::{Deserialize, Serialize};

use super::breaker::{Breaker, Gate};
use super::latency::Latencies;
use crate::domain::ids::LeaseToken;
use crate::domain::kind::KindIndex;
use crate::domain::units::{Millis, ONE, Score};

/// What is left of older evidence with each outcome, in millionths: a memory of a hundred outcomes.
const KEEP: i64 = 990_000;
/// An honest "busy" against a failure, in millionths: the slot lost a moment, not a lease's life.
const BUSY: i64 = 200_000;
/// Share of the newest answer in the mean latency, one in so many.
const EWMA: i64 = 8;
/// Evidence that weighs as much as the validators' verdict, in millionths of an outcome: with
/// twenty outcomes both count half.
const EVIDENCE_EVEN: i64 = 20 * ONE;
/// Full scores that every miner begins with, in millionths of a score, so that the first single
/// score does not decide.
const SCORES_PRIOR: i64 = 5 * ONE;
/// Score from which an answer is valid.
const VALID: Score = Score::clamped(ONE / 2);

/// One miner's record at one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KindRecord {
    /// Leases answered, ever.
    pub answered: u64,
    /// Leases lost by the miner's fault, ever.
    pub failed: u64,
    /// Decayed successes, millionths.
    good: i64,
    /// Decayed failures, millionths.
    bad: i64,
    /// Decayed number of scores, millionths.
    scored: i64,
    /// Valid answers in a row: those scored at least one half, with no failure in between.
    valid_in_row: u32,
    /// Decayed sum of scores, millionths.
    score_sum: i64,
    /// Mean time from fetch to answer, microseconds; 0 before the first answer.
    latency_micros: i64,
    latencies: Latencies,
    /// Whether to leave it alone.
    pub breaker: Breaker,
}

const fn kept(evidence: i64) -> i64 {
    // Evidence never exceeds a hundred outcomes: no overflow.
    evidence.saturating_mul(KEEP) / ONE
}

impl KindRecord {
    /// A lease was answered, `elapsed_millis` after its fetch where that is known.
    pub fn answered(&mut self, elapsed_millis: Option<i64>) {
        self.answered = self.answered.saturating_add(1);
        self.outcome(ONE, 0);
        self.breaker.succeeded();
        let Some(millis) = elapsed_millis else { return };
        // A day is more than any lease lives; the bound keeps the sums small.
        let millis = millis.clamp(0, crate::domain::units::DAY);
        self.latencies.note(millis, KEEP);
        let micros = millis.saturating_mul(1_000).max(1);
        self.latency_micros = match self.latency_micros {
            0 => micros,
            mean => mean + (micros - mean) / EWMA,
        };
    }

    /// A lease was lost by the miner's fault.
    pub fn failed(&mut self, now: Millis) {
        self.failed = self.failed.saturating_add(1);
        self.valid_in_row = 0;
        self.outcome(0, ONE);
        self.breaker.failed(now);
    }

    /// The miner gave a lease back since it has no room.
    pub fn busy(&mut self) {
        self.outcome(0, BUSY);
    }

    /// A response was scored.
    pub fn scored(&mut self, score: Score) {
        self.valid_in_row = if score >= VALID { self.valid_in_row.saturating_add(1) } else { 0 };
        self.scored = kept(self.scored).saturating_add(ONE);
        self.score_sum = kept(self.score_sum).saturating_add(score.millionths());
    }

    fn outcome(&mut self, good: i64, bad: i64) {
        self.good = kept(self.good).saturating_add(good);
        self.bad = kept(self.bad).saturating_add(bad);
    }

    /// Recent outcomes, in millionths of one.
    #[must_use]
    pub const fn evidence_millionths(&self) -> i64 {
        self.good.saturating_add(self.bad)
    }

    /// Recent outcomes.
    #[must_use]
    pub const fn evidence(&self) -> i64 {
        self.evidence_millionths() / ONE
    }

    /// Share of recent leases answered; `None` before the first outcome.
    #[must_use]
    pub fn success_rate(&self) -> Option<Score> {
        let rate = self.good.saturating_mul(ONE).checked_div(self.evidence_millionths())?;
        Some(Score::clamped(rate))
    }

    /// Valid answers in a row.
    #[must_use]
    pub const fn valid_in_row(&self) -> u32 {
        self.valid_in_row
    }

    /// Recent mean score; `None` before the first score.
    #[must_use]
    pub fn score(&self) -> Option<Score> {
        let mean = self.score_sum.saturating_mul(ONE).checked_div(self.scored)?;
        Some(Score::clamped(mean))
    }

    /// Recent mean time from fetch to answer, in milliseconds.
    #[must_use]
    pub fn latency_millis(&self) -> Option<i64> {
        (self.latency_micros > 0).then_some(self.latency_micros / 1_000)
    }

    /// The time within which 95 % of its recent answers came, in milliseconds.
    #[must_use]
    pub fn latency_p95_millis(&self) -> Option<i64> {
        self.latencies.quantile_millis(950_000)
    }

    /// When its recent answers came.
    #[must_use]
    pub const fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// What we saw: success rate, times `min(1, the kind's p50 / own latency)`, times the mean
    /// score (with five full scores to begin with). `None` before the first outcome.
    #[must_use]
    pub fn observed(&self, kind_p50_millis: Option<i64>) -> Option<Score> {
        let success = self.success_rate()?.millionths();
        let p50_micros = kind_p50_millis.map(|millis| millis.max(1).saturating_mul(1_000));
        let speed = match p50_micros {
            Some(p50) if self.latency_micros > p50 => p50.saturating_mul(ONE) / self.latency_micros,
            _ => ONE,
        };
        let scores = SCORES_PRIOR.saturating_add(self.score_sum);
        let quality =
            scores.saturating_mul(ONE) / (SCORES_PRIOR.saturating_add(self.scored.max(0)));
        Some(Score::clamped(success * speed / ONE * quality.clamp(0, ONE) / ONE))
    }

    /// Performance to rank by: the verdict and our own observation, blended by evidence.
    #[must_use]
    pub fn blended(&self, verdict: Score, kind_p50_millis: Option<i64>) -> Score {
        let Some(observed) = self.observed(kind_p50_millis) else { return verdict };
        blend(verdict, observed, self.evidence_millionths())
    }
}

fn blend(verdict: Score, observed: Score, evidence: i64) -> Score {
    let evidence = i128::from(evidence.max(0));
    let sum = i128::from(verdict.millionths()) * i128::from(EVIDENCE_EVEN)
        + i128::from(observed.millionths()) * evidence;
    let blended = sum / (i128::from(EVIDENCE_EVEN) + evidence);
    Score::clamped(i64::try_from(blended).unwrap_or(0))
}

/// A miner's records by kind; those of kinds that it never worked at take no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KindRecords(Vec<Option<Box<KindRecord>>>);

impl KindRecords {
    /// The record at a kind, if there is one.
    #[must_use]
    pub fn get(&self, kind: KindIndex) -> Option<&KindRecord> {
        self.0.get(usize::from(kind.0))?.as_deref()
    }

    /// Changes the record at a kind, begun when there is none.
    pub fn change(&mut self, kind: KindIndex, change: impl FnOnce(&mut KindRecord)) {
        let place = usize::from(kind.0);
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        if let Some(record) = self.0.get_mut(place) {
            change(record.get_or_insert_default());
        }
    }

    /// All records, by kind.
    pub fn iter(&self) -> impl Iterator<Item = (KindIndex, &KindRecord)> {
        (0_u16..)
            .map(KindIndex)
            .zip(&self.0)
            .filter_map(|(kind, one)| Some((kind, one.as_deref()?)))
    }

    /// How the miner may be used for a kind now.
    #[must_use]
    pub fn gate(&self, kind: KindIndex, now: Millis) -> Gate {
        self.get(kind).map_or(Gate::Closed, |record| record.breaker.gate(now))
    }

    /// Whether it is left alone now for any kind.
    #[must_use]
    pub fn quarantined(&self, now: Millis) -> bool {
        self.iter().any(|(_, record)| matches!(record.breaker.gate(now), Gate::Open(_)))
    }

    /// Recent outcomes at a kind.
    #[must_use]
    pub fn evidence(&self, kind: KindIndex) -> i64 {
        self.get(kind).map_or(0, KindRecord::evidence)
    }

    /// Performance to rank by at a kind.
    #[must_use]
    pub fn blended(&self, kind: KindIndex, verdict: Score, p50_millis: Option<i64>) -> Score {
        self.get(kind).map_or(verdict, |record| record.blended(verdict, p50_millis))
    }

    /// What we saw over all kinds, weighted by evidence, and that evidence in millionths of an
    /// outcome. `p50s` are the kinds' medians in milliseconds, by kind.
    #[must_use]
    pub fn observed(&self, p50s: &[Option<i64>]) -> Option<(Score, i64)> {
        let (mut sum, mut evidence) = (0_i128, 0_i64);
        for (kind, record) in self.iter() {
            let p50 = p50s.get(usize::from(kind.0)).copied().flatten();
            let Some(observed) = record.observed(p50) else { continue };
            let weight = record.evidence_millionths();
            sum += i128::from(observed.millionths()) * i128::from(weight);
            evidence = evidence.saturating_add(weight);
        }
        let mean = sum.checked_div(i128::from(evidence))?;
        Some((Score::clamped(i64::try_from(mean).unwrap_or(0)), evidence))
    }

    /// Performance over all kinds, for lists that are of no kind.
    #[must_use]
    pub fn blended_overall(&self, verdict: Score, p50s: &[Option<i64>]) -> Score {
        self.observed(p50s)
            .map_or(verdict, |(observed, evidence)| blend(verdict, observed, evidence))
    }

    /// A lease was granted: see [`Breaker::granted`].
    pub fn granted(&mut self, kind: KindIndex, lease: LeaseToken, deadline: Millis, now: Millis) {
        if let Some(record) = self.get_mut(kind) {
            record.breaker.granted(lease, deadline, now);
        }
    }

    /// A lease ended, or was not granted after all: see [`Breaker::ended`].
    pub fn ended(&mut self, kind: KindIndex, lease: LeaseToken, now: Millis) {
        if let Some(record) = self.get_mut(kind) {
            record.breaker.ended(lease, now);
        }
    }

    fn get_mut(&mut self, kind: KindIndex) -> Option<&mut KindRecord> {
        self.0.get_mut(usize::from(kind.0))?.as_deref_mut()
    }

    /// Whether there is no record at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(answered: u32, failed: u32) -> KindRecord {
        let mut record = KindRecord::default();
        (0..answered).for_each(|_| record.answered(Some(1_000)));
        (0..failed).for_each(|_| record.failed(Millis(0)));
        record
    }

    #[test]
    fn evidence_moves_the_blend_from_the_verdict_to_what_we_saw() {
        let verdict = Score::clamped(900_000);
        assert_eq!(record(0, 0).blended(verdict, None), verdict);
        let half = record(0, 20).blended(verdict, None).millionths();
        assert!((450_000..500_000).contains(&half), "{half}");
        assert!(record(0, 1_000).blended(verdict, None).millionths() < 160_000);
        assert!(record(1_000, 0).blended(verdict, None).millionths() > 980_000);
    }

    #[test]
    fn a_slow_miner_performs_worse_and_a_fast_one_no_better_than_the_middle() {
        let of = |p50| record(50, 0).observed(Some(p50)).unwrap().millionths();
        assert_eq!([of(500), of(1_000), of(5_000)], [500_000, 1_000_000, 1_000_000]);
    }

    #[test]
    fn busy_costs_less_than_a_failure() {
        let rate = |change: fn(&mut KindRecord)| {
            let mut record = record(20, 0);
            change(&mut record);
            record.success_rate().unwrap()
        };
        let failed = rate(|r| r.failed(Millis(0)));
        let busy = rate(KindRecord::busy);
        assert!(failed < busy && busy < Score::ONE);
        let mut record = record(0, 0);
        (0..100).for_each(|_| record.busy());
        assert_eq!(record.breaker.gate(Millis(0)), Gate::Closed, "and opens no breaker");
    }

    #[test]
    fn a_miner_that_fails_at_one_kind_still_gets_the_others() {
        let (tts, stt) = (KindIndex(1), KindIndex(0));
        let mut records = KindRecords::default();
        (0..3).for_each(|_| records.change(tts, |r| r.failed(Millis(0))));
        assert!(matches!(records.gate(tts, Millis(0)), Gate::Open(_)));
        assert_eq!(records.gate(stt, Millis(0)), Gate::Closed);
        assert!(records.quarantined(Millis(0)) && !records.quarantined(Millis(60_000)));
    }

    #[test]
    fn a_row_of_valid_answers_ends_with_a_bad_score_or_a_failure() {
        let row = |outcomes: &[fn(&mut KindRecord)]| {
            let mut record = KindRecord::default();
            outcomes.iter().for_each(|outcome| outcome(&mut record));
            record.valid_in_row()
        };
        let good: fn(&mut KindRecord) = |r| r.scored(Score::clamped(500_000));
        assert_eq!(row(&[good, good, |r| r.answered(None), good]), 3);
        assert_eq!(row(&[good, good, |r| r.scored(Score::clamped(499_999)), good]), 1);
        assert_eq!(row(&[good, good, |r| r.failed(Millis(0))]), 0);
    }

    #[test]
    fn a_record_survives_its_stored_form() {
        let mut kept = record(7, 5);
        kept.scored(Score::clamped(123_456));
        let stored = serde_json::to_value(kept).unwrap();
        assert_eq!(serde_json::from_value::<KindRecord>(stored).unwrap(), kept);
    }

    fn any_record() -> impl Strategy<Value = KindRecord> {
        proptest::collection::vec((0_u8..4, 0_i64..400_000), 0..300).prop_map(|outcomes| {
            let mut record = KindRecord::default();
            for (what, number) in outcomes {
                match what {
                    0 => record.answered(Some(number)),
                    1 => record.failed(Millis(number)),
                    2 => record.busy(),
                    _ => record.scored(Score::clamped(number * 3)),
                }
            }
            record
        })
    }

    proptest! {
        #[test]
        fn a_better_score_never_lowers_what_we_saw(
            record in any_record(), a in 0_i64..=ONE, b in 0_i64..=ONE, p50 in 1_i64..400_000,
        ) {
            let after = |score| {
                let mut record = record;
                record.scored(Score::clamped(score));
                record.observed(Some(p50))
            };
            prop_assert!(after(a.min(b)) <= after(a.max(b)));
        }

        #[test]
        fn an_answer_never_lowers_the_success_rate_and_a_failure_never_raises_it(
            record in any_record(),
        ) {
            let Some(before) = record.success_rate() else { return Ok(()) };
            let (mut better, mut worse) = (record, record);
            better.answered(None);
            worse.failed(Millis(0));
            prop_assert!(better.success_rate() >= Some(before));
            prop_assert!(worse.success_rate() <= Some(before));
        }

        #[test]
        fn whatever_was_before_recent_behaviour_decides(mut record in any_record()) {
            let mut good = record;
            (0..600).for_each(|_| good.answered(Some(100)));
            (0..600).for_each(|_| record.failed(Millis(0)));
            prop_assert!(good.success_rate().unwrap().millionths() > 990_000);
            prop_assert!(record.success_rate().unwrap().millionths() < 10_000);
            let latency = good.latency_millis().unwrap();
            prop_assert!((100..=101).contains(&latency), "{latency}");
            prop_assert!(good.evidence() <= 100);
        }
    }
}
