//! Calculations of the current weights, and the records of miners by period.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Hotkey, MinerUid, RegistrationId, RunId};
use crate::domain::period::Period;
use crate::domain::task::text_enum;
use crate::domain::units::Millis;
use crate::domain::weights::Performance;

/// One calculation of the current weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightRunRow {
    /// Which.
    pub id: RunId,
    /// When it was made.
    pub made_at: Millis,
    /// Begin of the window.
    pub window_from: Millis,
    /// End of the window; not in it any more.
    pub window_to: Millis,
    /// Name of the policy.
    pub policy: String,
    /// Hash of its figures.
    pub policy_hash: String,
    /// What went in and what came out, as JSON.
    pub body: Vec<u8>,
}

/// See [`super::Store::put_run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRun(pub WeightRunRow);

/// See [`super::Store::put_records`].
#[derive(Debug, Clone, PartialEq)]
pub struct PutRecords {
    /// How long the period is.
    pub period: Period,
    /// Its beginning.
    pub start: Millis,
    /// Its end; not in it any more.
    pub end: Millis,
    /// Hash of the policy's figures.
    pub policy_hash: String,
    /// When they were computed.
    pub now: Millis,
    /// One per registration.
    pub records: Vec<Performance>,
}

/// See [`super::Store::forget_records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetRecords {
    /// Runs made, and periods ended, before this moment go; the newest run stays, however old.
    pub before: Millis,
}

/// What the chain made of a weight; nothing while nobody told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChainFigures {
    /// Weight that went on chain.
    pub submitted_weight: Option<f64>,
    /// By which validator.
    pub validator_hotkey: Option<Hotkey>,
    /// In which block.
    pub weight_submission_block: Option<i64>,
    /// What the chain pays.
    pub incentive: Option<f64>,
    /// Place by that.
    pub consensus_rank: Option<i64>,
    /// As of which block.
    pub consensus_block: Option<i64>,
}

/// A record as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformanceRow {
    /// How long the period is.
    pub period: Period,
    /// Its beginning.
    pub start: Millis,
    /// Its end; not in it any more.
    pub end: Millis,
    /// Hash of the policy's figures.
    pub policy_hash: String,
    /// When it was computed.
    pub computed_at: Millis,
    /// The figures.
    pub record: Performance,
    /// What came of them.
    pub chain: ChainFigures,
}

text_enum! {
    /// What records are sorted by.
    PerformanceOrder {
        /// The largest weight first.
        Weight = "weight",
        /// The first place first.
        Rank = "rank",
        /// The smallest uid first.
        Uid = "uid",
        /// The best average score first; those without come last.
        Score = "score",
    }
}

impl PerformanceOrder {
    /// Whether the largest comes first.
    #[must_use]
    pub const fn descends(self) -> bool {
        matches!(self, Self::Weight | Self::Score)
    }

    /// What a record is sorted by. Places and uids are small: a float holds them exactly.
    #[must_use]
    pub fn value(self, record: &Performance) -> f64 {
        match self {
            Self::Weight => record.weight,
            Self::Rank => record.rank as f64,
            Self::Uid => f64::from(record.uid.0),
            Self::Score => record.average_score.unwrap_or(UNSCORED),
        }
    }
}

/// What stands for an average score that is not there, when sorted.
pub(super) const UNSCORED: f64 = -1.0;

/// The place of a record in its list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerformancePlace {
    /// What it is sorted by.
    pub value: f64,
    /// Begin of its period.
    pub start: Millis,
    /// Whose.
    pub registration: RegistrationId,
}

/// Which records to list.
#[derive(Debug, Clone, PartialEq)]
pub struct PerformancePage {
    /// Of this type of period.
    pub period: Period,
    /// Periods that begin here or later.
    pub from: Millis,
    /// Periods that begin before.
    pub to: Millis,
    /// Only of this uid.
    pub uid: Option<MinerUid>,
    /// Only of this registration.
    pub registration: Option<RegistrationId>,
    /// Only with this kind.
    pub kind: Option<String>,
    /// Sorted by what.
    pub order: PerformanceOrder,
    /// Behind this place.
    pub after: Option<PerformancePlace>,
    /// How many at most.
    pub limit: u64,
}

/// Average scores by registration.
pub type AverageScores = BTreeMap<RegistrationId, f64>;
