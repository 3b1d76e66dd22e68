//! The figures of the merge, each with its default and reason.

use serde::{Deserialize, Serialize};

use crate::domain::units::{MINUTE, SECOND};

/// How numbers are merged and how much of the weight a vote needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum MergeMode {
    /// As the documents say: weighted averages, majorities of those who spoke. One liar moves it;
    /// kept for comparison.
    Seed,
    /// Medians, clipping and quorums: less than a third of the weight cannot move it out of the
    /// honest range.
    #[default]
    Robust,
}

/// Every figure of the merge. Shares are in millionths, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsensusPolicy {
    /// Which merge.
    pub mode: MergeMode,
    /// Distinct validators below which a verdict is `single_source`; 2.
    pub validators_min: usize,
    /// Share that a vote needs; 0.6.
    pub majority: i64,
    /// Mean dissent above which a verdict is contested; 0.3.
    pub conflict_max: i64,
    /// Scales from the median beyond which a number counts nothing; 4. The scale is estimated from
    /// few heavy validators and often too small: 3 would cost six per cent of the precision among
    /// honest ones, 4 costs two.
    pub clip_factor: i64,
    /// Smallest scale, as a share of the number's size: without a floor, validators who agree to
    /// the digit would clip everybody else; 0.01.
    pub scale_floor: i64,
    /// Distance from the published number that still counts as agreeing; 0.15.
    pub tolerance: i64,
    /// Share of the highest weight that makes a report eligible for "most recent"; 0.8.
    pub recent_share: i64,
    /// Report period of a validator that has not shown its own yet; 20 min.
    pub period_default: i64,
    /// Shortest period believed; 1 min.
    pub period_min: i64,
    /// Longest period believed; 60 min.
    pub period_max: i64,
    /// Own periods after which a validator is no longer active; 3.
    pub active_periods: i64,
    /// Length of a round; 60 s.
    pub round: i64,
    /// How validators earn and lose weight.
    pub reputation: ReputationPolicy,
}

/// Every figure of the validators' reputations. Shares and scores are in millionths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReputationPolicy {
    /// Off: every validator keeps the reputation of its standing, and no bias is removed.
    pub enabled: bool,
    /// What is left of older evidence with each report; 0.8, a memory of five reports: long enough
    /// to forgive one bad one, short enough that a good past does not shield a liar for long.
    pub decay: i64,
    /// Judged miners that make a report full evidence; 16. Fewer weigh in proportion.
    pub evidence_full: i64,
    /// How much more our own observation counts than the other validators; 8. At half of the
    /// miners observed it outvotes any majority.
    pub observation_factor: i64,
    /// Own answers of a miner below which it is not held as observed; 20.
    pub observation_min: u32,
    /// Typical spreads within which a number agrees; 4, which normal noise leaves once in 16,000.
    pub tolerance_scales: i64,
    /// Least distance that still agrees; 0.1. Validators who agree to the digit must not make
    /// everybody else a liar.
    pub tolerance_min: i64,
    /// Largest distance that still agrees; 0.25. Whoever spreads noise must not hide behind it.
    pub tolerance_max: i64,
    /// Constant bias below which nothing is removed; 0.01, which is three errors of its estimate.
    pub bias_min: i64,
    /// Largest constant bias that is removed; 0.25. Beyond that the scale has too little room left
    /// for a grader to be only strict.
    pub bias_max: i64,
    /// Trust below which a validator counts nothing; 0.6, which takes more wrong than right.
    pub quarantine_below: i64,
    /// Trust above which it may count again; 0.85. The gap keeps it from flickering.
    pub release_above: i64,
    /// Good reports at half the weight after a quarantine; 5, one memory.
    pub probation_reports: u32,
    /// Share of wrong words in a report that makes its author a dissenter; 0.05.
    pub dissent_min: i64,
    /// Correlation of two dissenters' residuals that makes them one; 0.9. Honest ones reach 0.8 when
    /// a large minority of liars displaces the middle.
    pub clique_correlation: i64,
    /// Correlation that makes any two one: one copies the other; 0.98.
    pub copy_correlation: i64,
    /// Common miners below which no clique is seen; 32.
    pub clique_miners_min: usize,
    /// Miners sampled for it per round, a bound on its cost; 128.
    pub clique_miners_max: usize,
    /// Fall of trust within the kept history that is reported as drift; 0.1.
    pub drift: i64,
}

impl Default for ReputationPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            decay: 800_000,
            evidence_full: 16,
            observation_factor: 8,
            observation_min: 20,
            tolerance_scales: 4,
            tolerance_min: 100_000,
            tolerance_max: 250_000,
            bias_min: 10_000,
            bias_max: 250_000,
            quarantine_below: 600_000,
            release_above: 850_000,
            probation_reports: 5,
            dissent_min: 50_000,
            clique_correlation: 900_000,
            copy_correlation: 980_000,
            clique_miners_min: 32,
            clique_miners_max: 128,
            drift: 100_000,
        }
    }
}

impl Default for ConsensusPolicy {
    fn default() -> Self {
        Self {
            mode: MergeMode::Robust,
            validators_min: 2,
            majority: 600_000,
            conflict_max: 300_000,
            clip_factor: 4,
            scale_floor: 10_000,
            tolerance: 150_000,
            recent_share: 800_000,
            period_default: 20 * MINUTE,
            period_min: MINUTE,
            period_max: 60 * MINUTE,
            active_periods: 3,
            round: 60 * SECOND,
            reputation: ReputationPolicy::default(),
        }
    }
}
