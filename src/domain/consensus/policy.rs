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
    /// Scales from the median beyond which a number counts nothing; 3.
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
}

impl Default for ConsensusPolicy {
    fn default() -> Self {
        Self {
            mode: MergeMode::Robust,
            validators_min: 2,
            majority: 600_000,
            conflict_max: 300_000,
            clip_factor: 3,
            scale_floor: 10_000,
            tolerance: 150_000,
            recent_share: 800_000,
            period_default: 20 * MINUTE,
            period_min: MINUTE,
            period_max: 60 * MINUTE,
            active_periods: 3,
            round: 60 * SECOND,
        }
    }
}
