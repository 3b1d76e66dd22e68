//! One validator's track record, and its phases.
//!
//! ```text
//!             trust < 0.6                 trust >= 0.85
//!   trusted ──────────────▶ quarantined ───────────────▶ probation ──5 good reports──▶ trusted
//!                                ▲                           │
//!                                └───────── trust < 0.6 ─────┘
//! ```

use serde::{Deserialize, Serialize};

use super::super::event::Event;
use super::super::policy::ReputationPolicy;
use crate::domain::ids::Hotkey;
use crate::domain::task::text_enum;
use crate::domain::units::{ONE, Score};

/// Steps remembered; older ones are in the audit trail.
const HISTORY_MAX: usize = 16;

/// Successive measures that make a bias constant.
const BIAS_MEASURES: usize = 3;

/// Good reports that everybody is credited with: nobody is ruined by its first report.
const PRIOR: i64 = ONE;

text_enum! {
    /// Where a validator stands.
    Phase {
        /// It counts as far as it is trusted.
        Trusted = "trusted",
        /// It counts nothing.
        Quarantined = "quarantined",
        /// It counts half, until it has proved itself.
        Probation = "probation",
    }
}

text_enum! {
    /// Why a validator's reputation moved.
    Reason {
        /// Nothing was judged yet.
        New = "new",
        /// Its words agree with what others say and we saw.
        Agrees = "agrees",
        /// Its numbers are not those of the others.
        NumbersDiffer = "numbers_differ",
        /// Its votes are not those of the others.
        VotesDiffer = "votes_differ",
        /// We saw something else.
        ContradictedByObservation = "contradicted_by_observation",
    }
}

/// One judged report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The round that ended.
    pub round: i64,
    /// Share of the report's words that agree, millionths.
    pub agreement: i64,
    /// Trust after it, millionths.
    pub trust: i64,
    /// Where the validator stood after it.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
}

/// A validator's track record. Its serde form is the stored one: integers only. Shares and scores
/// are in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReputationState {
    /// Decayed count of good reports.
    pub agreed: i64,
    /// Decayed count of bad ones.
    pub dissented: i64,
    /// Where it stands.
    pub phase: Phase,
    /// Why, as of the last judged report.
    pub reason: Reason,
    /// Good reports left of a probation.
    pub probation_left: u32,
    /// Constant bias that is taken off its scores.
    pub bias: i64,
    /// The last measures of its bias, oldest first.
    pub biases: Vec<i64>,
    /// Share of its own weight that is left to it in its clique; 1 outside of one.
    pub clique_share: i64,
    /// The newest report judged: signed nanoseconds and tie-break.
    pub judged: Option<(i64, u64)>,
    /// Its newest report is too old to count.
    pub silent: bool,
    /// Its trust fell within the kept history.
    pub drifting: bool,
    /// The last judged reports, oldest first; at most 16.
    pub history: Vec<Step>,
}

impl Default for ReputationState {
    fn default() -> Self {
        Self {
            agreed: 0,
            dissented: 0,
            phase: Phase::Trusted,
            reason: Reason::New,
            probation_left: 0,
            bias: 0,
            biases: Vec::new(),
            clique_share: ONE,
            judged: None,
            silent: false,
            drifting: false,
            history: Vec::new(),
        }
    }
}

/// What one report was worth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judgement {
    pub(super) agreement: i64,
    /// How much evidence it is, millionths of a full report.
    pub(super) weight: i64,
    pub(super) dissent: Reason,
}

impl ReputationState {
    /// The mean of its decayed Beta distribution with a prior of one good report.
    #[must_use]
    pub fn trust(&self) -> i64 {
        let good = self.agreed + PRIOR;
        (good * ONE).checked_div(good + self.dissented).unwrap_or(0)
    }

    /// What its stake is multiplied with: trust^16, halved on probation, shared in a clique. The
    /// power makes one wrong word in ten cost three quarters of the weight, and one in a hundred
    /// a sixth.
    #[must_use]
    pub fn reputation(&self) -> Score {
        let share = match self.phase {
            Phase::Trusted => ONE,
            Phase::Quarantined => 0,
            Phase::Probation => ONE / 2,
        };
        let whole = self.power() * share / ONE * self.clique_share / ONE;
        // Only quarantine takes everything: a weight of 0 is no vote, and silently none at that.
        Score::clamped(if share == 0 { 0 } else { whole.max(1) })
    }

    /// trust^16, millionths: four squarings.
    fn power(&self) -> i64 {
        (0..4).fold(self.trust(), |power, _| power * power / ONE)
    }

    /// Its claim to weight inside a clique.
    pub(super) fn claim(&self) -> i64 {
        if self.phase == Phase::Quarantined { 0 } else { self.power() }
    }

    pub(super) fn agreement(&self) -> i64 {
        self.history.last().map_or(ONE, |step| step.agreement)
    }

    /// Takes a measure of its bias. Only what three measures in a row agree on is constant: of
    /// those the smallest is removed, so that no leap is ever rewarded.
    pub(super) fn note_bias(&mut self, policy: &ReputationPolicy, measure: Option<i64>) {
        let Some(measure) = measure else { return };
        if self.biases.len() >= BIAS_MEASURES {
            self.biases.remove(0);
        }
        self.biases.push(measure);
        let removable = policy.bias_min..=policy.bias_max;
        let smallest = self.biases.iter().map(|bias| bias.abs()).min().unwrap_or(0);
        let is_one_sided = self.biases.iter().all(|bias| bias.signum() == measure.signum());
        let is_constant = self.is_bias_known() && is_one_sided && removable.contains(&smallest);
        self.bias = if is_constant { smallest * measure.signum() } else { 0 };
    }

    const fn is_bias_known(&self) -> bool {
        self.biases.len() >= BIAS_MEASURES
    }

    /// The bias that is no fault: the constant one, or, of a newcomer, the one it shows.
    pub(super) fn bias_for_judging(&self, policy: &ReputationPolicy, shown: Option<i64>) -> i64 {
        let shown = shown.filter(|bias| bias.abs() <= policy.bias_max);
        if self.is_bias_known() { self.bias } else { shown.unwrap_or(0) }
    }

    /// Takes the judgement of one report in.
    pub(super) fn take(
        &mut self,
        policy: &ReputationPolicy,
        round: i64,
        judgement: Judgement,
        hotkey: Hotkey,
    ) -> Vec<Event> {
        let share = |part: i64| part * judgement.weight / ONE;
        self.agreed = self.agreed * policy.decay / ONE + share(judgement.agreement);
        self.dissented = self.dissented * policy.decay / ONE + share(ONE - judgement.agreement);
        let (before, was_drifting) = (self.phase, self.drifting);
        self.step(policy, &judgement);
        let (trust, phase, reason) = (self.trust(), self.phase, judgement.dissent);
        self.reason = reason;
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(0);
        }
        let best = self.history.iter().map(|step| step.trust).max().unwrap_or(trust);
        self.drifting = best - trust > policy.drift;
        let agreement = judgement.agreement;
        self.history.push(Step { round, agreement, trust, phase, reason });
        let mut events = Vec::new();
        if self.drifting && !was_drifting {
            events.push(Event::ValidatorDrifting { hotkey: hotkey.clone(), best, trust, reason });
        }
        if phase != before {
            events.push(match phase {
                Phase::Quarantined => Event::Quarantined { hotkey, trust, reason },
                Phase::Probation => Event::Probation { hotkey, trust },
                Phase::Trusted => Event::Restored { hotkey, trust },
            });
        }
        events
    }

    fn step(&mut self, policy: &ReputationPolicy, judgement: &Judgement) {
        let trust = self.trust();
        match self.phase {
            Phase::Trusted | Phase::Probation if trust < policy.quarantine_below => {
                self.phase = Phase::Quarantined;
            }
            Phase::Quarantined if trust >= policy.release_above => {
                self.phase = Phase::Probation;
                self.probation_left = policy.probation_reports;
            }
            Phase::Probation if judgement.dissent == Reason::Agrees => {
                self.probation_left = self.probation_left.saturating_sub(1);
                if self.probation_left == 0 {
                    self.phase = Phase::Trusted;
                }
            }
            Phase::Trusted | Phase::Quarantined | Phase::Probation => {}
        }
    }
}
