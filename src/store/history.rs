//! What is kept of the past: finished tasks as they ended, and sums by day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EvaluationRow, ResponseRow, TaskRecord};
use crate::domain::ids::{RegistrationId, TaskId};
use crate::domain::units::{DAY, Millis};

/// See [`super::Store::archive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Tasks that ended before this moment leave the tables that are in use.
    pub ended_before: Millis,
    /// Archived tasks that ended before this moment are forgotten.
    pub forget_before: Millis,
    /// Tasks of each sort at most.
    pub rows_max: u64,
}

/// Answer to [`Archive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Archived {
    /// Tasks that went into the archive.
    pub archived: u64,
    /// Tasks that went for ever.
    pub forgotten: u64,
}

/// A task with everything that was known of it when it went into the archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchivedTask {
    /// The task.
    pub task: TaskRecord,
    /// By slot.
    pub responses: Vec<ResponseRow>,
    /// By slot and validator.
    pub evaluations: Vec<EvaluationRow>,
}

/// Scores of one miner at one kind of work, summed over some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScoreSum {
    /// How many.
    pub scored: i64,
    /// Their sum, millionths.
    pub score_sum: i64,
}

/// Which scores to sum. Days since the Unix epoch, in UTC, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreDays {
    /// From this day.
    pub from: i64,
    /// To this day.
    pub to: i64,
    /// Only of this kind.
    pub kind: Option<String>,
}

/// Sums by registration.
pub type ScoreSums = BTreeMap<RegistrationId, ScoreSum>;

/// Which usage to list. Days since the Unix epoch, in UTC, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageDays {
    /// Whose; `None` for everybody's.
    pub owner: Option<String>,
    /// From this day.
    pub from: i64,
    /// To this day.
    pub to: i64,
    /// Rows at most.
    pub limit: u64,
}

/// What one client had done on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Whose: an API key's id, or a hotkey.
    pub owner: String,
    /// Days since the Unix epoch, in UTC.
    pub day: i64,
    /// Kind of the tasks.
    pub kind: String,
    /// Counts of that day.
    pub counts: UsageCounts,
}

/// Counts of one client, kind and day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageCounts {
    /// Tasks taken in.
    pub submitted: i64,
    /// Characters of their texts, bytes of their files.
    pub input_units: i64,
    /// Tasks that ended with answers.
    pub done: i64,
    /// Tasks that ended otherwise.
    pub failed: i64,
}

/// An id as old as this moment: ids of tasks are ordered by time.
pub(super) fn first_id_at(moment: Millis) -> TaskId {
    let millis = u128::try_from(moment.0.max(0)).unwrap_or(0) & 0xffff_ffff_ffff;
    TaskId(uuid::Uuid::from_u128(millis << 80))
}

/// See [`super::Store::prune`]: rows older than these moments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prune {
    /// Nonces.
    pub nonces: Millis,
    /// Idempotency keys.
    pub idempotency: Millis,
    /// Reports, and the rounds that refer to them.
    pub reports: Millis,
    /// Deliveries with which nothing is left to do.
    pub deliveries: Millis,
    /// Single scores of our own evaluations, which were summed long before.
    pub scores: Millis,
    /// Pushed scores, and sums by hour.
    pub hours: Millis,
    /// Sums by day of pushed scores and of work.
    pub days: Millis,
}

/// The oldest rows of a table that one pruning takes: so long from the first one. A database that
/// begins to forget, or to keep less, does it bit by bit.
pub(super) const PRUNED_MILLIS: i64 = DAY;
