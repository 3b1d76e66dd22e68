//! What the store's reads answer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::{Hash, Holder, NewTask};
use super::row::{KindRecordRow, RegistrationRow, ReportRow, ValidatorRow, VerdictRow};
use crate::domain::ids::{LeaseToken, MinerUid, RegistrationId, TaskId, ValidatorId};
use crate::domain::lease::LossReason;
use crate::domain::task::{self, SlotState, TaskState, TaskStatus};
use crate::domain::units::{Millis, Score};

/// A slot's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotRow {
    /// Which slot.
    pub slot: u16,
    /// Its state.
    pub state: SlotState,
    /// Attempt of the current or last lease; 0 before the first.
    pub attempt: u16,
    /// Leases lost by their holders' fault.
    pub failures: u16,
    /// Not leased before then.
    pub not_before: Millis,
    /// Who holds or answered it.
    pub holder: Option<Holder>,
    /// Leased.
    pub granted_at: Option<Millis>,
    /// Fetched.
    pub fetched_at: Option<Millis>,
    /// Due.
    pub expires_at: Option<Millis>,
    /// The slot for whose straggler this one was opened.
    pub hedge_of: Option<u16>,
    /// The slot that was opened for this one's straggler.
    pub hedged_by: Option<u16>,
}

impl SlotRow {
    /// The slot that answers in place of this one, or this one of it.
    #[must_use]
    pub fn peer(&self) -> Option<u16> {
        self.hedge_of.or(self.hedged_by)
    }
}

/// A lease that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The lease.
    pub token: LeaseToken,
    /// Who held it.
    pub holder: Holder,
    /// Why it ended.
    pub reason: LossReason,
    /// Leased.
    pub granted_at: Millis,
    /// Fetched.
    pub fetched_at: Option<Millis>,
    /// Ended.
    pub ended_at: Millis,
}

/// A task with its slots and lost leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// As submitted.
    pub task: NewTask,
    /// Its state.
    pub state: TaskState,
    /// Answers so far.
    pub answered: u16,
    /// Slots given up so far.
    pub failed: u16,
    /// First answer.
    pub first_response_at: Option<Millis>,
    /// Ended.
    pub finished_at: Option<Millis>,
    /// Slot of the best response.
    pub best_slot: Option<u16>,
    /// Slots, by number.
    pub slots: Vec<SlotRow>,
    /// Lost leases, by slot and attempt.
    pub attempts: Vec<AttemptRow>,
}

impl TaskRecord {
    /// The status that clients see.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        task::status(self.state, self.slots.iter().map(|slot| slot.state))
    }
}

/// A response's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseRow {
    /// The lease that it answered.
    pub token: LeaseToken,
    /// Who held the lease.
    pub holder: Holder,
    /// Who did the work, where known.
    pub registration: Option<RegistrationId>,
    /// Its uid.
    pub miner_uid: MinerUid,
    /// The answer.
    pub body: Value,
    /// Of the answer as received.
    #[serde(with = "hex::serde")]
    pub body_hash: Hash,
    /// What the miner says of itself.
    pub claims: Option<Value>,
    /// From fetch to answer, in milliseconds.
    pub elapsed_millis: i64,
    /// Received.
    pub created_at: Millis,
}

/// An evaluation's row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// The task.
    pub task: TaskId,
    /// The slot.
    pub slot: u16,
    /// Who judged.
    pub validator: ValidatorId,
    /// Accuracy or the single score.
    pub accuracy: Score,
    /// Whether it is the single score.
    pub whole: bool,
    /// Score with our own timing.
    pub score: Score,
    /// Score times the kind's weight.
    pub reward: Score,
    /// Received.
    pub created_at: Millis,
}

/// Which tasks of an owner to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPage {
    /// Whose; `None` for everybody's.
    pub owner: Option<String>,
    /// Only these states; empty for all.
    pub states: Vec<TaskState>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only tasks older than this one.
    pub before: Option<TaskId>,
    /// How many at most.
    pub limit: u64,
}

/// Where a task stands among the done ones. Whatever becomes done stands behind everything that
/// anybody saw done before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DonePlace {
    /// Which transaction made it done; the numbers mean nothing else.
    pub order: i64,
    /// The task.
    pub task: TaskId,
}

impl DonePlace {
    /// Before all of them.
    pub const START: Self = Self { order: -1, task: TaskId(uuid::Uuid::nil()) };
}

/// Some done tasks behind a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DonePage {
    /// Those with a response that the validator has not judged, in order.
    pub left: Vec<DonePlace>,
    /// The last one that was looked at; the next page comes behind it.
    pub reached: DonePlace,
    /// Whether none was behind it.
    pub end: bool,
}

/// What actors are rebuilt from.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Open registrations.
    pub registrations: Vec<RegistrationRow>,
    /// Those of them whose uid another one had before.
    pub replaced: BTreeSet<RegistrationId>,
    /// All validators.
    pub validators: Vec<ValidatorRow>,
    /// Open tasks, by id.
    pub tasks: Vec<TaskRecord>,
    /// For each validator its two newest full reports and the partial ones since, oldest first.
    pub reports: Vec<ReportRow>,
    /// Values agreed at the last closed round.
    pub verdicts: Vec<VerdictRow>,
    /// How the miners of open registrations are at kinds of work, by registration and kind.
    pub kind_records: Vec<KindRecordRow>,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandsFor {
    /// What its first request meant.
    pub body_hash: Hash,
    /// The task that this request made; `None` when it made something else.
    pub task: Option<TaskId>,
}
