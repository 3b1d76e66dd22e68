//! Calculations of the current weights, and the records of miners by period.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use crate::domain::chain::ChainFigures;
use crate::domain::ids::{MinerUid, RegistrationId, RunId};
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
    /// What the chain made of their weights; of those that are not here, nothing.
    pub chain: BTreeMap<RegistrationId, ChainFigures>,
}

impl PutRecords {
    /// What the chain made of a record's weight.
    pub(super) fn chain_of(&self, record: &Performance) -> ChainFigures {
        self.chain.get(&record.registration).cloned().unwrap_or_default()
    }
}

/// See [`super::Store::forget_miners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetMiners {
    /// Registrations that closed before this moment are emptied.
    pub closed_before: Millis,
    /// So many of them at most.
    pub miners_max: u64,
}

/// Answer to [`ForgetMiners`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinersForgotten {
    /// Registrations that had something left.
    pub miners: u64,
    /// Rows that went.
    pub rows: u64,
}

/// See [`super::Store::forget_records`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgetRecords {
    /// Runs made, and periods ended, before this moment go; the newest run stays, however old.
    pub before: Millis,
}

/// SHA-256 in hex of all figures of a record: equal records have equal ones.
pub(super) fn digest(record: &Performance, chain: &ChainFigures) -> String {
    // Plain figures, all finite: this cannot fail.
    hex::encode(Sha256::digest(serde_json::to_vec(&(record, chain)).unwrap_or_default()))
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
