//! The Distributor's messages.

use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;

use super::estimate::{Estimate, EstimateCard};
use crate::actors::lease::{Brief, Outcome};
use crate::domain::ids::{Hotkey, LeaseToken, MinerUid, RegistrationId, TaskId, ValidatorId};
use crate::domain::lease::LossReason;
use crate::domain::miner::Record;
use crate::domain::selection::Availability;
use crate::domain::task::{Completion, Priority};
use crate::domain::units::{Millis, Score, Stake};
use crate::store::{
    Cancelled, FileRow, Holder, Idempotency, NewTask, Nonce, RegistrationRow, Standing,
    StoreResult, Swept,
};

/// Takes a task in. `task.slots` and `task.enough` are decided here.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Submitted>")]
pub struct Submit {
    /// The task; `slots` is what the client wants.
    pub task: NewTask,
    /// A file that comes with it.
    pub file: Option<FileRow>,
    /// When it has enough answers.
    pub completion: Completion,
    /// Whether it begins with one slot, and gets the others when the miner is not trusted.
    pub adaptive: bool,
    /// Characters of its text, bytes of its file.
    pub input_units: i64,
    /// Under which key it may be repeated.
    pub idempotency: Option<Idempotency>,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`Submit`].
#[derive(Debug, Clone)]
pub enum Submitted {
    /// Taken in.
    New {
        /// Answers that it will get at most.
        slots: u16,
        /// When it will probably be done.
        estimate: Estimate,
    },
    /// The same request made this task before.
    Existing(TaskId),
    /// Not taken in.
    Refused(Refusal),
}

/// Why a task is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The idempotency key stands for another request.
    Mismatch,
    /// The client has as many open tasks as it may.
    TooMany(usize),
    /// Too many open tasks.
    Full,
}

/// What the network says about a miner now.
#[derive(Debug, Clone)]
pub struct MinerUpdate {
    /// Its registration's row; its counters are taken when the miner is new here.
    pub row: RegistrationRow,
    /// Whether it serves.
    pub serving: bool,
    /// Performance.
    pub performance: Score,
    /// Confidence of the verdict.
    pub confidence: Score,
    /// Whether the verdict is contested.
    pub contested: bool,
    /// Stake.
    pub stake: Stake,
    /// Reported load, millionths of a task.
    pub reported_load_millionths: i64,
    /// Last mention.
    pub last_seen: Millis,
    /// How often the validators that list it report, in milliseconds; 0 when not known.
    pub report_period_millis: i64,
    /// Kinds that it claims.
    pub kinds: Vec<String>,
}

/// New or changed miners.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MinersChanged(pub Vec<MinerUpdate>);

/// A miner that is no longer to be chosen.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct MinerRetired(pub RegistrationId);

/// A miner polls: how many polls are parked now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Polling {
    /// Who.
    pub miner: RegistrationId,
    /// Parked polls.
    pub parked: u32,
}

/// A lease was answered.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Answered {
    /// The lease.
    pub token: LeaseToken,
    /// Who.
    pub holder: Holder,
    /// From fetch to answer, in milliseconds.
    pub elapsed_millis: i64,
    /// The task now.
    pub standing: Standing,
    /// The answer itself.
    pub body: Arc<Value>,
}

/// A lease ended without an answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct LeaseLost(pub crate::store::Lost);

/// What a sweep ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ended(pub Swept);

/// Miners' responses were scored: whose, of which kind, and how well.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Scored(pub Vec<(RegistrationId, String, Score)>);

/// Takes a task back.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Cancelled>")]
pub struct CancelTask {
    /// The task.
    pub task: TaskId,
    /// Whose it must be.
    pub owner: String,
}

/// Waits for a task's end.
#[derive(Debug, Message)]
#[rtype(result = "Watched")]
pub struct Watch(pub TaskId);

/// Answer to [`Watch`].
#[derive(Debug)]
pub enum Watched {
    /// The end will come, and with it the task's only answer if it has one: rows tell the rest.
    Later(oneshot::Receiver<Option<Arc<Value>>>),
    /// It is not open: read the row.
    NotOpen,
    /// Too many wait for this task.
    Full,
}

/// Leases queued slots to a validator that serves them over its own network.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Vec<Pulled>>")]
pub struct Pull {
    /// Who.
    pub validator: ValidatorId,
    /// Tasks at most.
    pub tasks_max: usize,
}

/// One task leased to a validator.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The task.
    pub brief: Arc<Brief>,
    /// One lease per slot.
    pub leases: Vec<LeaseToken>,
    /// Due.
    pub expires_at: Millis,
}

/// A validator's answer for a slot that it pulled.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Outcome>")]
pub struct PullAnswer {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the validator's first live lease of the task.
    pub token: Option<LeaseToken>,
    /// Who.
    pub validator: ValidatorId,
    /// The answer; its token and holder are filled in here.
    pub respond: crate::store::Respond,
}

/// A validator gives back what it pulled.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Option<crate::store::Released>>")]
pub struct PullRelease {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the validator's first live lease of the task.
    pub token: Option<LeaseToken>,
    /// Who.
    pub validator: ValidatorId,
    /// Why.
    pub reason: LossReason,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// A validator keeps what it pulled alive; answers until when, `None` when it is lost.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Option<Millis>>")]
pub struct PullBeat {
    /// The task.
    pub task: TaskId,
    /// The lease; without it, the validator's first live lease of the task.
    pub token: Option<LeaseToken>,
    /// Who.
    pub validator: ValidatorId,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Open tasks by kind and priority: kept counts, no scan.
#[derive(Debug, Message)]
#[rtype(result = "QueueView")]
pub struct ViewQueue;

/// Answer to [`ViewQueue`].
#[derive(Debug, Clone, Serialize)]
pub struct QueueView {
    /// Tasks that have not ended.
    pub open_tasks: usize,
    /// Tasks with a slot that waits for a miner.
    pub ready_tasks: usize,
    /// The first of those.
    pub next: Vec<QueuedTask>,
}

/// One waiting task.
#[derive(Debug, Clone, Serialize)]
pub struct QueuedTask {
    /// The task.
    pub task_id: TaskId,
    /// Its kind.
    pub task_type: String,
    /// Its urgency.
    pub priority: Priority,
    /// Language of the input.
    pub source_language: String,
    /// Submitted.
    pub created_at: String,
}

/// How well estimates came true, by kind.
#[derive(Debug, Message)]
#[rtype(result = "Vec<EstimateCard>")]
pub struct ViewEstimates;

/// All miners as selection sees them, at most half a second old.
#[derive(Debug, Message)]
#[rtype(result = "Arc<Vec<MinerCard>>")]
pub struct ViewMiners;

/// One miner as selection sees it.
#[derive(Debug, Clone)]
pub struct MinerCard {
    /// Its registration.
    pub registration: RegistrationId,
    /// Its uid.
    pub uid: MinerUid,
    /// Its hotkey.
    pub hotkey: Hotkey,
    /// Stake.
    pub stake: Stake,
    /// Whether it serves.
    pub serving: bool,
    /// Whether it was mentioned lately.
    pub fresh: bool,
    /// Whether a breaker keeps it from some kind of work.
    pub quarantined: bool,
    /// Leases now.
    pub live: u32,
    /// Leases at once.
    pub capacity: u32,
    /// Parked polls.
    pub parked: u32,
    /// The score and its parts.
    pub availability: Availability,
    /// How its leases went.
    pub record: Record,
    /// Confidence of its verdict.
    pub confidence: Score,
    /// Kinds that it claims; empty for all.
    pub kinds: Vec<String>,
    /// Last mention or contact.
    pub last_seen: Millis,
}

/// One miner's records, by kind; empty when it is not known.
#[derive(Debug, Message)]
#[rtype(result = "Vec<KindCard>")]
pub struct ViewKinds(pub RegistrationId);

/// How a miner is at one kind of work. All but the two totals is recent: decayed with each outcome.
#[derive(Debug, Clone, Serialize)]
pub struct KindCard {
    /// The kind.
    pub kind: String,
    /// Leases answered, ever.
    pub answered: u64,
    /// Leases lost by its fault, ever.
    pub failed: u64,
    /// Share of leases answered, 0 to 1.
    pub success_rate: Option<f64>,
    /// Mean milliseconds from fetch to answer.
    pub latency_ms: Option<i64>,
    /// 95 % of its answers came within these milliseconds.
    pub latency_p95_ms: Option<i64>,
    /// Mean score, 0 to 1.
    pub score: Option<f64>,
    /// What ranks it, before it is blended with the verdict: 0 to 1.
    pub performance: Option<f64>,
    /// Outcomes behind these figures.
    pub evidence: i64,
    /// `closed`, `half_open` or `open`.
    pub breaker: &'static str,
}

/// Writes all records that changed, as before a stop.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<()>")]
pub struct Flush;

/// Makes a turn.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Turn;

/// Looks at the delayed tasks.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Wake;
