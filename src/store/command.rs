//! The commands of the store and their answers: plain values.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Replication;
use super::row::{FileRow, ReportRow, ScoreRow};
use crate::domain::ids::{
    FileId, Hotkey, LeaseToken, MinerUid, RegistrationId, TaskId, ValidatorId,
};
use crate::domain::lease::{HolderKind, LeasePolicy, LossReason};
use crate::domain::task::{Priority, TaskState};
use crate::domain::units::{Millis, Score};

/// SHA-256 of something.
pub type Hash = [u8; 32];

/// The nonce of a signed request. Written with the effect, so that a replay has none, on any
/// instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce {
    /// Signer.
    pub hotkey: Hotkey,
    /// Unix time in nanoseconds, as signed.
    pub nonce: i64,
    /// Receipt.
    pub seen_at: Millis,
}

/// Who holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Holder {
    /// A miner that polls.
    Miner(RegistrationId),
    /// A validator that serves the task over its own network.
    Validator(ValidatorId),
}

impl Holder {
    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> HolderKind {
        match self {
            Self::Miner(_) => HolderKind::Miner,
            Self::Validator(_) => HolderKind::Validator,
        }
    }

    /// Its row's key.
    #[must_use]
    pub const fn id(self) -> uuid::Uuid {
        match self {
            Self::Miner(id) => id.0,
            Self::Validator(id) => id.0,
        }
    }

    /// From its stored form.
    #[must_use]
    pub const fn from_row(kind: HolderKind, id: uuid::Uuid) -> Self {
        match kind {
            HolderKind::Miner => Self::Miner(RegistrationId(id)),
            HolderKind::Validator => Self::Validator(ValidatorId(id)),
        }
    }

    /// The miner, when it is one.
    #[must_use]
    pub const fn miner(self) -> Option<RegistrationId> {
        match self {
            Self::Miner(id) => Some(id),
            Self::Validator(_) => None,
        }
    }
}

/// What a task works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskInput {
    /// Text in the row.
    Text(String),
    /// A file.
    File(FileId),
}

/// A task as submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Who may see it.
    pub owner: String,
    /// Kind, with underscores.
    pub kind: String,
    /// Urgency.
    pub priority: Priority,
    /// Answers wanted, at least 1.
    pub slots: u16,
    /// Answers that end it at once.
    pub enough: u16,
    /// Answers without which it fails.
    pub min_responses: u16,
    /// Language of the input.
    pub source_language: String,
    /// Language of the output.
    pub target_language: Option<String>,
    /// Model wished.
    pub model_id: Option<String>,
    /// Voice wished.
    pub voice_name: Option<String>,
    /// What to work on.
    pub input: TaskInput,
    /// Time that a miner has for it, in milliseconds.
    pub run_millis: i64,
    /// Submitted.
    pub created_at: Millis,
    /// Must have ended by then.
    pub deadline: Millis,
    /// The failed task of which this is another try.
    pub retry_of: Option<TaskId>,
    /// Not given to miners before then.
    pub start_at: Millis,
    /// What it becomes when the miner that gets its one slot is not trusted; `None` when its slots
    /// are fixed.
    pub adaptive: Option<Replication>,
    /// Who is told when it ends.
    pub callback_url: Option<String>,
}

/// A key under which a request may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// What the request meant.
    pub body_hash: Hash,
}

/// See [`super::Store::enqueue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The task.
    pub task: NewTask,
    /// A file that comes with it, and is written with it or not at all.
    pub file: Option<FileRow>,
    /// Characters of its text, bytes of its file: what usage counts.
    pub input_units: i64,
    /// Its idempotency key.
    pub idempotency: Option<Idempotency>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`Enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// Taken in.
    New,
    /// The same request made this task before.
    Existing(TaskId),
    /// The idempotency key stands for another request.
    Mismatch,
}

/// One lease to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The slot.
    pub slot: u16,
    /// The slot's next attempt: the last one plus 1.
    pub attempt: u16,
    /// Who gets it.
    pub holder: Holder,
    /// Whether it goes out at once, to a parked poll or a pulling validator.
    pub fetched: bool,
    /// The sweep takes it from then on.
    pub expires_at: Millis,
}

/// See [`super::Store::assign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assign {
    /// The task.
    pub task: TaskId,
    /// Leases to open, each on another slot.
    pub grants: Vec<Grant>,
    /// Now.
    pub now: Millis,
}

/// Answer to one [`Grant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// The lease lives.
    Yes,
    /// The slot is not queued at that attempt, or the task has ended.
    Taken,
    /// The miner has no room, or its registration is closed.
    NoRoom,
}

/// See [`super::Store::fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Who fetches.
    pub holder: Holder,
    /// Leases and until when each then lives; no token twice.
    pub leases: Vec<(LeaseToken, Millis)>,
    /// Now.
    pub now: Millis,
}

/// See [`super::Store::heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The lease.
    pub token: LeaseToken,
    /// Who beats.
    pub holder: Holder,
    /// Until when it shall live; an earlier moment than the row's changes nothing.
    pub until: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// See [`super::Store::respond`].
#[derive(Debug, Clone, PartialEq)]
pub struct Respond {
    /// The lease.
    pub token: LeaseToken,
    /// Who answers.
    pub holder: Holder,
    /// Who did the work, where known.
    pub registration: Option<RegistrationId>,
    /// Its uid.
    pub miner_uid: MinerUid,
    /// The answer.
    pub body: Arc<Value>,
    /// Of the answer as received.
    pub body_hash: Hash,
    /// What the miner says of itself.
    pub claims: Option<Value>,
    /// Now.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// A lease that ended since its task did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Freed {
    /// The lease.
    pub token: LeaseToken,
    /// Who held it.
    pub holder: Holder,
}

/// How a task stands after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: TaskState,
    /// Answers so far.
    pub answered: u16,
    /// Slots given up so far.
    pub failed: u16,
    /// Leases that ended with it, by slot.
    pub freed: Vec<Freed>,
}

/// Answer to [`Respond`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Responded {
    /// Taken.
    Accepted {
        /// From fetch to answer, in milliseconds.
        elapsed_millis: i64,
        /// The task now.
        standing: Standing,
    },
    /// This very answer was taken before.
    Same {
        /// The task's state now.
        state: TaskState,
    },
    /// Another answer of this holder stands for that slot.
    Conflict,
    /// The lease does not live, or is somebody else's.
    Lost,
}

/// See [`super::Store::release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The lease.
    pub token: LeaseToken,
    /// Who gives it back.
    pub holder: Holder,
    /// Why.
    pub reason: LossReason,
    /// What then becomes of the slot.
    pub policy: LeasePolicy,
    /// Now.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// What became of a slot that lost its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The lease.
    pub token: LeaseToken,
    /// Who held it.
    pub holder: Holder,
    /// Why it ended.
    pub reason: LossReason,
    /// Queued again from then on; `None` when the slot was given up.
    pub retry_at: Option<Millis>,
    /// The task now.
    pub standing: Standing,
}

/// Answer to [`Release`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// Given back.
    Done(Lost),
    /// The lease did not live, or is somebody else's.
    Lost,
}

/// See [`super::Store::cancel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The task.
    pub task: TaskId,
    /// Whose it must be.
    pub owner: String,
    /// Now.
    pub now: Millis,
}

/// Answer to [`Cancel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cancelled {
    /// Cancelled now, or before.
    Done(Standing),
    /// It had ended otherwise.
    Ended(TaskState),
    /// No such task of that owner.
    NotFound,
}

/// See [`super::Store::sweep`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// What is due by now ends.
    pub now: Millis,
    /// What becomes of the slots.
    pub policy: LeasePolicy,
    /// Rows of each sort at most.
    pub rows_max: u64,
}

/// A task that ended at its deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The task.
    pub task: TaskId,
    /// How it ended.
    pub standing: Standing,
}

/// Answer to [`Sweep`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Leases that expired, by task and slot.
    pub lost: Vec<Lost>,
    /// Tasks that ended, by id.
    pub overdue: Vec<Overdue>,
}

/// One judgement of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgementRow {
    /// The slot.
    pub slot: u16,
    /// Accuracy, or the single score.
    pub accuracy: Score,
    /// Whether it is the single score.
    pub whole: bool,
}

/// See [`super::Store::evaluate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluate {
    /// The task.
    pub task: TaskId,
    /// Who judges.
    pub validator: ValidatorId,
    /// Of which responses, each slot once.
    pub judgements: Vec<JudgementRow>,
    /// Validators that must have judged every response before it is approved.
    pub quorum: usize,
    /// Weight of the kind in rewards.
    pub weight: Score,
    /// Now.
    pub now: Millis,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`Evaluate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluated {
    /// Taken.
    Accepted {
        /// Judgements that were new.
        recorded: u16,
        /// Judgements that stood already, alike.
        duplicates: u16,
        /// The task's state now.
        state: TaskState,
        /// Merged scores, when this evaluation made the task approved.
        scores: Vec<ScoreRow>,
        /// Slot of the best response, once approved.
        best_slot: Option<u16>,
    },
    /// A judgement of this validator for this slot stands with another value. Nothing was taken.
    Conflict(u16),
    /// The task has no response in this slot. Nothing was taken.
    NoResponse(u16),
    /// The task is not done (or ended without answers).
    NotDone(TaskState),
    /// No such task.
    NotFound,
}

/// See [`super::Store::put_report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutReport {
    /// The report.
    pub report: ReportRow,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}
