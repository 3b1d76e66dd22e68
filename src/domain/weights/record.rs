//! What a calculation leaves behind: every intermediate number, of the whole and of each miner.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::input::Miner;
use super::transform::Transform;
use crate::domain::task::text_enum;

text_enum! {
    /// Which of the two weights of a miner counts.
    Pathway {
        /// Among the best of one kind, and that is worth more.
        Excellence = "excellence",
        /// Useful in what it does, more so in several kinds.
        Diversity = "diversity",
        /// Neither earns anything.
        None = "none",
    }
}

/// The weights of all miners, and how they came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calculation {
    /// Hash of the policy.
    pub policy_hash: String,
    /// What excelling scores were multiplied with.
    pub excellence_boost: f64,
    /// The kinds, in the order given.
    pub kinds: Vec<KindRecord>,
    /// Steps 5 to 7, as far as all miners share them.
    pub transform: Transform,
    /// The miners, in the order of their uids.
    pub records: Vec<Record>,
}

/// One kind: what all of its miners share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KindRecord {
    /// Name.
    pub name: Arc<str>,
    /// What its scores are multiplied with.
    pub weight: f64,
    /// Miners that have a score.
    pub scored: usize,
    /// Whether there are enough of them to rank.
    pub ranked: bool,
    /// Score from which a miner excels; absent where too few are scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excellence_threshold: Option<f64>,
    /// How diversity spreads the scores; absent where they count as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigmoid: Option<Sigmoid>,
}

/// `1 / (1 + exp(-slope (score - midpoint)))`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sigmoid {
    /// The mean of the scores.
    pub midpoint: f64,
    /// Steepness.
    pub slope: f64,
}

impl Sigmoid {
    /// The curve at a score.
    pub(super) fn at(self, score: f64) -> f64 {
        1.0 / (1.0 + libm::exp(-self.slope * (score - self.midpoint)))
    }
}

/// One miner: what it gets, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    #[serde(flatten)]
    pub miner: Miner,
    /// The best of its excelling scores, weighted and boosted; 0 when none excels.
    pub excellence_weight: f64,
    /// The sum over its kinds, with the bonus for several.
    pub diversity_weight: f64,
    /// The larger of the two.
    pub raw_calculated_weight: f64,
    /// Which one that was.
    pub scoring_pathway: Pathway,
    /// The share of all, 0..=1.
    pub weight: f64,
    /// The share as it goes on chain; 0 is left out there.
    pub weight_u16: u16,
    /// The bonus for several kinds, a factor of the diversity weight.
    pub multi_task_bonus: f64,
    /// Kinds in which it excels, and earns by that.
    pub excellence_qualified_tasks: Vec<Arc<str>>,
    /// Raw weight over the largest raw weight.
    pub relative_weight: f64,
    /// That, transformed.
    pub transformed_weight: f64,
    /// Its place by raw weight where places count; equals have the mean of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<f64>,
    /// Its kinds, in the order of the kinds.
    pub tasks: Vec<TaskRecord>,
}

/// One kind of one miner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Name of the kind.
    pub kind: Arc<str>,
    /// The task value.
    pub score: f64,
    /// Share of the kind's scores that are not better, in per cent.
    pub percentile_rank: f64,
    /// What the percentile multiplies with.
    pub multiplier: f64,
    /// The score as diversity counts it.
    pub spread_score: f64,
    /// Its part of the diversity weight, the bonus included.
    pub diversity_part: f64,
    /// The excellence weight that this kind alone would give.
    pub excellence_part: f64,
    /// Its part of the final weight, along the pathway that counts.
    pub weight_contribution: f64,
}
