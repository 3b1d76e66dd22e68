//! What was: coarse commands, each one durable and idempotent transaction, and the reads.
//!
//! Two implementations share this trait: [`sql`] on SQLite and PostgreSQL, and [`model`], plain
//! maps that serve as the specification. Every command carries its own ids and `now`, so that the
//! same sequence gives the same rows on each of them.
//!
//! A *refusal* (a lease lost, a key re-used) is an answer. An *error* means that the store could
//! not do its work.

pub mod audit;
pub mod chain;
pub mod command;
pub mod file;
pub mod history;
mod judge;
pub mod keys;
pub mod ledger;
pub mod model;
pub mod quarantine;
pub mod read;
pub mod registration;
pub mod round;
pub mod row;
pub mod sql;
pub mod submission;
pub mod voice;
pub mod webhook;
pub mod weights;
pub mod widen;

use async_trait::async_trait;

pub use audit::*;
pub use chain::{Adopt, Adopted, SnapshotRow};
pub use command::*;
pub use file::*;
pub use history::{
    Archive, Archived, ArchivedTask, Prune, ScoreDays, ScoreSum, ScoreSums, UsageCounts, UsageDays,
    UsageRow,
};
pub use keys::*;
pub use ledger::*;
pub use quarantine::*;
pub use read::*;
pub use registration::*;
pub use round::*;
pub use row::*;
pub use submission::*;
pub use voice::*;
pub use webhook::*;
pub use weights::*;
pub use widen::*;

use crate::domain::audit::Entry;
use crate::domain::ids::{
    DeliveryId, FileId, Hotkey, MinerUid, RegistrationId, RunId, TaskId, ValidatorId, VoiceId,
    WebhookId,
};
use crate::domain::period::Period;
use crate::domain::units::Millis;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The nonce of the signed request had an effect before. Nothing was done.
    #[error("the nonce was used before")]
    Replayed,
    /// The database did not answer or refused; nothing was done. Retrying may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke while committing: it may have been done. Re-read before retrying.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// A stored row does not have the shape it should have.
    #[error("a stored row is damaged: {0}")]
    Corrupt(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Answer of every store call.
pub type StoreResult<T> = Result<T, StoreError>;

/// Durable state. See the module's docs for the contract.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes a new task in, with its slots queued.
    async fn enqueue(&self, command: Enqueue) -> StoreResult<Enqueued>;
    /// Opens leases on slots of one task; answers in the order of the grants.
    async fn assign(&self, command: Assign) -> StoreResult<Vec<Granted>>;
    /// Has a task want more answers, its new slots queued; whether it did: only an open task that
    /// wants one answer does.
    async fn widen(&self, command: Widen) -> StoreResult<bool>;
    /// Opens a lease on a slot of its own for a straggler's, which must live and have no such slot
    /// yet. The first answer of the two ends the other one's lease; when one is lost, the other goes
    /// on alone.
    async fn hedge(&self, command: Hedge) -> StoreResult<Granted>;
    /// Marks offered leases as fetched; says for each whether it still lived.
    async fn fetch(&self, command: Fetch) -> StoreResult<Vec<bool>>;
    /// Extends a lease; the new expiry, or `None` when it is lost.
    async fn heartbeat(&self, command: Heartbeat) -> StoreResult<Option<Millis>>;
    /// Takes an answer.
    async fn respond(&self, command: Respond) -> StoreResult<Responded>;
    /// Gives a lease back.
    async fn release(&self, command: Release) -> StoreResult<Released>;
    /// Takes a task back.
    async fn cancel(&self, command: Cancel) -> StoreResult<Cancelled>;
    /// Ends what is overdue: leases, then tasks. Writes nothing when nothing is.
    async fn sweep(&self, command: Sweep) -> StoreResult<Swept>;
    /// Takes a validator's judgements of one task's responses; the one that completes the quorum
    /// approves the task and writes one merged score per response, added to its miner's record.
    async fn evaluate(&self, command: Evaluate) -> StoreResult<Evaluated>;
    /// Opens (or updates) the registration of a uid and closes its predecessor.
    async fn register(&self, command: Register) -> StoreResult<Registered>;
    /// Closes a registration that has no successor; the leases that it held, or `None` when it was
    /// closed already.
    async fn deregister(&self, command: Deregister) -> StoreResult<Option<Vec<Lost>>>;
    /// Writes down a validator by hotkey; its id (the older one when it was known).
    async fn know_validator(&self, validator: ValidatorRow) -> StoreResult<ValidatorId>;
    /// Appends a report.
    async fn put_report(&self, command: PutReport) -> StoreResult<()>;
    /// Writes what a round ended with.
    async fn close_round(&self, command: CloseRound) -> StoreResult<()>;
    /// Takes scores that a validator gave for tasks of its own; what became of each. Only new ones
    /// are added to the sums.
    async fn put_scores(&self, command: PutScores) -> StoreResult<Vec<ScorePut>>;
    /// Writes the sums of our own scores of an hour, in place of those that stood for it.
    async fn put_hour(&self, command: PutHour) -> StoreResult<()>;
    /// Writes how miners are at kinds of work, and adds to what they did by day; of a miner and kind
    /// the last record stands.
    async fn put_kind_records(&self, command: PutKindRecords) -> StoreResult<()>;
    /// Writes down a file whose blob is durable.
    async fn put_file(&self, command: PutFile) -> StoreResult<FilePut>;
    /// Forgets files whose time is over and which no open task, and none that waits for its
    /// evaluation, needs. Writes nothing when none is due.
    async fn forget_files(&self, command: ForgetFiles) -> StoreResult<Forgotten>;
    /// Which of these blobs no file names; asked of the writer, so that no row is on its way
    /// between the rows that it sees and those written after.
    async fn unreferenced(&self, sha256: Vec<String>) -> StoreResult<Vec<String>>;
    /// Writes down a voice.
    async fn put_voice(&self, command: PutVoice) -> StoreResult<VoicePut>;
    /// Takes a voice out of the catalogue; whether it was there.
    async fn delete_voice(&self, command: DeleteVoice) -> StoreResult<bool>;
    /// Believes a snapshot of the metagraph, unless one of its block or later is believed; what it
    /// tells of submissions is written with it.
    async fn adopt(&self, command: Adopt) -> StoreResult<Adopted>;
    /// Takes a validator's word on weights that it sets on chain. Of one block the first vector stands.
    async fn put_submission(&self, command: PutSubmission) -> StoreResult<SubmissionPut>;
    /// Uses up the nonce of a signed request, before an effect that is more or less than one command.
    async fn spend(&self, nonce: Nonce) -> StoreResult<()>;
    /// Writes down a new API key.
    async fn put_key(&self, command: PutKey) -> StoreResult<()>;
    /// Changes an API key; as it then is, or `None` when it is unknown or was taken back.
    async fn change_key(&self, command: ChangeKey) -> StoreResult<Option<KeyRow>>;
    /// Gives an API key another secret; as it then is, or `None` when it is unknown or was taken back.
    async fn rotate_key(&self, command: RotateKey) -> StoreResult<Option<KeyRow>>;
    /// Takes an API key back, with all of its secrets; whether it was known and had not been.
    async fn revoke_key(&self, command: RevokeKey) -> StoreResult<bool>;
    /// Shuts a hotkey out, in place of what stood of it before; whether there was room. Forgets those
    /// whose time is over.
    async fn put_quarantine(&self, command: PutQuarantine) -> StoreResult<bool>;
    /// Lets a hotkey in again; whether it was shut out.
    async fn lift_quarantine(&self, command: LiftQuarantine) -> StoreResult<bool>;
    /// Writes down an endpoint, unless its owner has too many.
    async fn put_webhook(&self, command: PutWebhook) -> StoreResult<WebhookPut>;
    /// Gives an endpoint another secret; whether there is such an endpoint.
    async fn rotate_webhook(&self, command: RotateWebhook) -> StoreResult<bool>;
    /// Forgets an endpoint and its deliveries; whether there was one.
    async fn delete_webhook(&self, id: WebhookId) -> StoreResult<bool>;
    /// The secret of an owner's callbacks: this one, unless there was one before.
    async fn know_callback_secret(&self, secret: CallbackSecretRow) -> StoreResult<String>;
    /// Writes down how a try to deliver went; whether it was still the current one.
    async fn note_delivery(&self, command: NoteDelivery) -> StoreResult<bool>;
    /// Has a delivery tried again from the beginning; whether there is such a delivery.
    async fn redeliver(&self, id: DeliveryId, now: Millis) -> StoreResult<bool>;
    /// Writes what is new of these facts into the audit log; the entries that were written. Writes
    /// nothing when all of them stand there.
    async fn note(&self, command: Note) -> StoreResult<Vec<Entry>>;
    /// Forgets nonces, idempotency keys, reports, rounds, deliveries, scores and sums past their time;
    /// how many rows went.
    async fn prune(&self, before: Prune) -> StoreResult<u64>;
    /// Moves tasks that ended long ago into the archive, and forgets the oldest there, oldest first.
    /// Writes nothing when there is none.
    async fn archive(&self, command: Archive) -> StoreResult<Archived>;
    /// Writes down a calculation of the current weights.
    async fn put_run(&self, command: PutRun) -> StoreResult<()>;
    /// Writes the records of one period; those that stand already are not touched. How many changed.
    async fn put_records(&self, command: PutRecords) -> StoreResult<u64>;
    /// Forgets old calculations, and the records of periods that ended long ago; how many went.
    /// Writes nothing when there are none.
    async fn forget_records(&self, command: ForgetRecords) -> StoreResult<u64>;
    /// Empties registrations that closed long ago of sums and records, those that closed first; the
    /// rows of the registrations stay. Writes nothing when there is nothing left.
    async fn forget_miners(&self, command: ForgetMiners) -> StoreResult<MinersForgotten>;

    /// Everything that actors are rebuilt from.
    async fn load(&self, reports_since: Millis) -> StoreResult<Loaded>;
    /// The newest snapshot of a subnet that is believed.
    async fn metagraph(&self, netuid: u16) -> StoreResult<Option<SnapshotRow>>;
    /// The newest snapshot of a subnet that was believed before a moment.
    async fn metagraph_before(&self, netuid: u16, at: Millis) -> StoreResult<Option<SnapshotRow>>;
    /// Of each validator of a subnet, the newest submission that was on the chain before a moment, and
    /// the newest one that an epoch had counted by then; both as they stood, by block.
    async fn submissions_before(&self, netuid: u16, at: Millis) -> StoreResult<Vec<SubmissionRow>>;
    /// How many commands changed what is known of the chain since the start: whether to look for news
    /// is known without looking.
    fn chain_written(&self) -> u64;
    /// Submissions, newest first.
    async fn submissions(&self, page: SubmissionPage) -> StoreResult<Vec<SubmissionRow>>;
    /// Entries of the audit log, newest first.
    async fn audit(&self, page: AuditPage) -> StoreResult<Vec<Entry>>;
    /// So many entries of all audit logs behind a place, oldest first, writer by writer.
    async fn audit_after(&self, place: AuditPlace, limit: u64) -> StoreResult<Vec<Entry>>;
    /// One task with its slots and lost attempts, also from the archive.
    async fn task(&self, id: TaskId) -> StoreResult<Option<TaskRecord>>;
    /// Open tasks on which this holder has a live lease, by id.
    async fn held_by(&self, holder: Holder) -> StoreResult<Vec<TaskRecord>>;
    /// Tasks of one owner, newest first.
    async fn tasks(&self, page: TaskPage) -> StoreResult<Vec<TaskRecord>>;
    /// Responses of one task, by slot, also from the archive.
    async fn responses(&self, task: TaskId) -> StoreResult<Vec<ResponseRow>>;
    /// Looks at so many done tasks behind a place at most, in the order in which readers saw them
    /// become done; which of them are left for `validator` to judge.
    async fn done_after(
        &self,
        validator: ValidatorId,
        after: DonePlace,
        limit: u64,
    ) -> StoreResult<DonePage>;
    /// Which of these tasks are done and left for `validator` to judge, by id. One that is judged
    /// whole stays so.
    async fn left_among(
        &self,
        validator: ValidatorId,
        tasks: Vec<TaskId>,
    ) -> StoreResult<Vec<TaskRecord>>;
    /// Tasks that `validator` has judged, newest first.
    async fn evaluated_by(
        &self,
        validator: ValidatorId,
        limit: u64,
    ) -> StoreResult<Vec<EvaluationRow>>;
    /// Judgements of one task, also from the archive.
    async fn evaluations(&self, task: TaskId) -> StoreResult<Vec<EvaluationRow>>;
    /// Scores by miner, summed over days.
    async fn scores(&self, days: ScoreDays) -> StoreResult<ScoreSums>;
    /// The newest hour with sums of our own scores.
    async fn summed_hour(&self) -> StoreResult<Option<i64>>;
    /// The oldest of these hours in which we scored, summed.
    async fn hour_of_scores(&self, hours: ScoreHours) -> StoreResult<Option<PutHour>>;
    /// Scores by hour, ordered by miner, kind, voice and hour.
    async fn score_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoreBucket>>;
    /// In which of these hours each voice scored, in any order.
    async fn scored_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoredHour>>;
    /// Scores of the days from one to another, without the latter, ordered by miner, kind, voice and
    /// day. Days since the Unix epoch, in UTC.
    async fn score_days(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<ScoreBucket>>;
    /// Work of the days from one to another, without the latter, ordered by miner and kind. Days
    /// since the Unix epoch, in UTC.
    async fn work(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<WorkSum>>;
    /// A calculation of the current weights by its id, or the newest one.
    async fn weight_run(&self, id: Option<RunId>) -> StoreResult<Option<WeightRunRow>>;
    /// A page of miners' records.
    async fn performances(&self, page: PerformancePage) -> StoreResult<Vec<PerformanceRow>>;
    /// Begin of the newest period of each type that has records.
    async fn newest_periods(&self) -> StoreResult<Vec<(Period, Millis)>>;
    /// Average scores in the records of one period, by registration.
    async fn average_scores(&self, period: Period, start: Millis) -> StoreResult<AverageScores>;
    /// Those of these registrations that are known, open or closed, by id.
    async fn registrations(&self, ids: Vec<RegistrationId>) -> StoreResult<Vec<RegistrationRow>>;
    /// What clients had done, by day, newest first.
    async fn usage(&self, days: UsageDays) -> StoreResult<Vec<UsageRow>>;
    /// One file.
    async fn file(&self, id: FileId) -> StoreResult<Option<FileRow>>;
    /// Whether this registration or validator holds or held a lease on a task whose input is this
    /// file.
    async fn file_is_assigned(&self, file: FileId, holder: Holder) -> StoreResult<bool>;
    /// One voice.
    async fn voice(&self, id: VoiceId) -> StoreResult<Option<VoiceRow>>;
    /// The voice that this owner means by a name: its own one, else the oldest shared one.
    async fn voice_named(&self, owner: &str, name: &str) -> StoreResult<Option<VoiceRow>>;
    /// Voices that have this file as their sample, by id.
    async fn voices_of_sample(&self, file: FileId) -> StoreResult<Vec<VoiceRow>>;
    /// Voices that an owner sees.
    async fn voices(&self, page: VoicePage) -> StoreResult<Vec<VoiceRow>>;
    /// What an owner's idempotency key stands for, if it is known.
    async fn idempotent(&self, owner: &str, key: &str) -> StoreResult<Option<StandsFor>>;
    /// All API keys.
    async fn keys(&self) -> StoreResult<Vec<KeyRow>>;
    /// All hotkeys that were shut out, by hotkey; the time of some may be over.
    async fn quarantine(&self) -> StoreResult<Vec<QuarantineRow>>;
    /// One registration, open or closed.
    async fn registration(&self, id: RegistrationId) -> StoreResult<Option<RegistrationRow>>;
    /// Open registrations of these uids.
    async fn registered(&self, uids: Vec<MinerUid>) -> StoreResult<Vec<RegistrationRow>>;
    /// The minutes of rounds up to this one, newest first.
    async fn rounds(&self, up_to: i64, limit: u64) -> StoreResult<Vec<RoundRow>>;
    /// A validator's reports signed at this moment, in nanoseconds.
    async fn reports_at(
        &self,
        validator: &Hotkey,
        signed_order: i64,
    ) -> StoreResult<Vec<ReportRow>>;
    /// Endpoints of one owner, or everybody's, by id.
    async fn webhooks(&self, owner: Option<String>, limit: u64) -> StoreResult<Vec<WebhookRow>>;
    /// One endpoint.
    async fn webhook(&self, id: WebhookId) -> StoreResult<Option<WebhookRow>>;
    /// The secret of an owner's callbacks, if one was made.
    async fn callback_secret(&self, owner: &str) -> StoreResult<Option<String>>;
    /// Deliveries to an endpoint, newest first.
    async fn deliveries(&self, page: DeliveryPage) -> StoreResult<Vec<DeliveryRow>>;
    /// One delivery.
    async fn delivery(&self, id: DeliveryId) -> StoreResult<Option<DeliveryRow>>;
    /// Lanes behind this one with something left to deliver, in their order, and when each is due.
    async fn lanes(&self, after: &str, limit: u64) -> StoreResult<Vec<Lane>>;
    /// What is due in one lane, longest due first.
    async fn due(&self, lane: &str, now: Millis, limit: u64) -> StoreResult<Vec<DeliveryRow>>;
    /// How many deliveries were written, or begun anew, since the start: whether to look for some is
    /// known without looking.
    fn deliveries_written(&self) -> u64;
    /// Whether the database answers.
    async fn ping(&self) -> StoreResult<()>;
    /// Finishes what waits and lets go of the database.
    async fn close(&self);
}
