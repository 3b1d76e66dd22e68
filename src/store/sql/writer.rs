//! Group commit. One writer drains everything that waits into one transaction, runs each type of
//! command as a set, commits, and answers each command for itself. While one transaction is in
//! flight the next one gathers, so there is no artificial delay.
//!
//! A command never shares its transaction with another one of the same type and key; the later one
//! waits for the next. When a statement fails, the transaction is rolled back and its commands run
//! one by one, so that only the bad one fails.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::outbox::Known;
use super::{
    audit, chain, end, enqueue, evaluate, files, forget_miners, history, keys, lease, ledger,
    nonce, quarantine, records, register, respond, submission, voices, webhook, weights, widen,
};
use crate::domain::audit::Entry;
use crate::domain::ids::{DeliveryId, MinerUid, TaskId, ValidatorId, WebhookId};
use crate::domain::limits::{BATCH_COMMANDS_MAX, WRITER_QUEUE_MAX};
use crate::domain::units::Millis;
use crate::store::*;

/// A waiting command and where its answer goes.
pub(super) struct Waiting<C, A> {
    pub(super) command: C,
    reply: Option<oneshot::Sender<StoreResult<A>>>,
    answer: Option<StoreResult<A>>,
}

impl<C, A> Waiting<C, A> {
    /// Sets the answer that goes out after the commit.
    pub(super) fn answer(&mut self, answer: A) {
        self.answer = Some(Ok(answer));
    }

    /// Refuses the command; its transaction goes on.
    pub(super) fn refuse(&mut self, error: StoreError) {
        self.answer = Some(Err(error));
    }

    /// Whether it still waits for its part.
    pub(super) fn is_open(&self) -> bool {
        self.answer.is_none()
    }

    fn send(&mut self, outcome: StoreResult<A>) {
        if let Some(reply) = self.reply.take() {
            // A caller that went away does not undo what was committed.
            reply.send(outcome).ok();
        }
    }
}

/// What makes two commands of one type exclude each other in a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Task(TaskId),
    Text(String, String),
    Holder(uuid::Uuid),
    Uid(u16, MinerUid),
    Lease(crate::domain::ids::LeaseToken),
    All,
}

macro_rules! jobs {
    ($($field:ident : $variant:ident($command:ty) -> $answer:ty, $key:expr;)*) => {
        /// A command on its way to the writer.
        #[allow(clippy::large_enum_variant, reason = "moved a few times, where a box is made for each")]
        pub(super) enum Job { $($variant(Waiting<$command, $answer>),)* }

        /// The commands of one transaction, by type.
        #[derive(Default)]
        pub(super) struct Batch {
            $(pub(super) $field: Vec<Waiting<$command, $answer>>,)*
        }

        $(impl Command for $command {
            type Answer = $answer;
            fn job(self, reply: oneshot::Sender<StoreResult<$answer>>) -> Job {
                Job::$variant(Waiting { command: self, reply: Some(reply), answer: None })
            }
        })*

        impl Job {
            fn key(&self) -> (std::mem::Discriminant<Self>, Key) {
                let key = match self { $(Self::$variant(w) => ($key)(&w.command),)* };
                (std::mem::discriminant(self), key)
            }
        }

        impl Batch {
            fn push(&mut self, job: Job) {
                match job { $(Job::$variant(waiting) => self.$field.push(waiting),)* }
            }

            fn into_jobs(self) -> impl Iterator<Item = Job> {
                let jobs = std::iter::empty();
                $(let jobs = jobs.chain(self.$field.into_iter().map(|mut w| {
                    w.answer = None;
                    Job::$variant(w)
                }));)*
                jobs
            }

            /// Sends every answer out, after the commit.
            fn answer_all(&mut self) {
                $(for waiting in &mut self.$field {
                    let missing = || StoreError::Corrupt("command without an answer".to_owned());
                    let outcome = waiting.answer.take().unwrap_or_else(|| Err(missing()));
                    waiting.send(outcome);
                })*
            }

            /// Answers every command with the same error.
            fn fail_all(&mut self, error: &StoreError) {
                $(for waiting in &mut self.$field { waiting.send(Err(error.clone())); })*
            }

            fn len(&self) -> usize { 0 $(+ self.$field.len())* }
        }
    };
}

/// A command that the writer takes.
pub(super) trait Command: Sized {
    /// What it is answered with.
    type Answer: Send + 'static;
    /// Puts it on its way.
    fn job(self, reply: oneshot::Sender<StoreResult<Self::Answer>>) -> Job;
}

fn enqueue_key(command: &Enqueue) -> Key {
    match &command.idempotency {
        Some(key) => Key::Text(command.task.owner.clone(), key.key.clone()),
        None => Key::Task(command.task.id),
    }
}

fn file_key(command: &PutFile) -> Key {
    match &command.idempotency {
        Some(key) => Key::Text(command.file.owner.clone(), key.key.clone()),
        None => Key::Holder(command.file.id.0),
    }
}

/// An endpoint to forget.
#[derive(Debug, Clone)]
pub(super) struct DeleteWebhook(pub(super) WebhookId);

/// A delivery to try from the beginning.
#[derive(Debug, Clone)]
pub(super) struct Redeliver(pub(super) DeliveryId, pub(super) Millis);

jobs! {
    enqueues: Enqueue(Enqueue) -> Enqueued, enqueue_key;
    widens: Widen(Widen) -> bool, |c: &Widen| Key::Task(c.task);
    hedges: Hedge(Hedge) -> Granted, |c: &Hedge| Key::Task(c.of.task);
    assigns: Assign(Assign) -> Vec<Granted>, |c: &Assign| Key::Task(c.task);
    fetches: Fetch(Fetch) -> Vec<bool>, |c: &Fetch| Key::Holder(c.holder.id());
    heartbeats: Heartbeat(Heartbeat) -> Option<Millis>, |c: &Heartbeat| Key::Lease(c.token);
    responds: Respond(Respond) -> Responded, |c: &Respond| Key::Task(c.token.task);
    releases: Release(Release) -> Released, |c: &Release| Key::Task(c.token.task);
    cancels: Cancel(Cancel) -> Cancelled, |c: &Cancel| Key::Task(c.task);
    evaluates: Evaluate(Evaluate) -> Evaluated, |c: &Evaluate| Key::Task(c.task);
    registers: Register(Register) -> Registered, |c: &Register| Key::Uid(c.netuid, c.uid);
    deregisters: Deregister(Deregister) -> Option<Vec<Lost>>, |c: &Deregister| Key::Holder(c.id.0);
    validators: KnowValidator(ValidatorRow) -> ValidatorId, |_: &ValidatorRow| Key::All;
    reports: PutReport(PutReport) -> (), |c: &PutReport| Key::Holder(c.report.id.0);
    rounds: CloseRound(CloseRound) -> (), |_: &CloseRound| Key::All;
    kind_records: PutKindRecords(PutKindRecords) -> (), |_: &PutKindRecords| Key::All;
    scores: PutScores(PutScores) -> Vec<ScorePut>, |c: &PutScores| Key::Holder(c.validator.0);
    hours: PutHour(PutHour) -> (), |_: &PutHour| Key::All;
    files: PutFile(PutFile) -> FilePut, file_key;
    forgets: ForgetFiles(ForgetFiles) -> Forgotten, |_: &ForgetFiles| Key::All;
    unreferenced: Unreferenced(files::Unreferenced) -> Vec<String>, |_: &files::Unreferenced| Key::All;
    voices: PutVoice(PutVoice) -> VoicePut, |c: &PutVoice| Key::Holder(c.voice.id.0);
    voices_gone: DeleteVoice(DeleteVoice) -> bool, |c: &DeleteVoice| Key::Holder(c.id.0);
    adoptions: Adopt(Adopt) -> Adopted, |_: &Adopt| Key::All;
    submissions: PutSubmission(PutSubmission) -> SubmissionPut, |_: &PutSubmission| Key::All;
    spends: Spend(Nonce) -> (), |c: &Nonce| Key::Text(c.hotkey.to_string(), c.nonce.to_string());
    keys: PutKey(PutKey) -> (), |_: &PutKey| Key::All;
    key_changes: ChangeKey(ChangeKey) -> Option<KeyRow>, |_: &ChangeKey| Key::All;
    key_rotations: RotateKey(RotateKey) -> Option<KeyRow>, |_: &RotateKey| Key::All;
    revocations: RevokeKey(RevokeKey) -> bool, |_: &RevokeKey| Key::All;
    shut_out: PutQuarantine(PutQuarantine) -> bool, |_: &PutQuarantine| Key::All;
    let_in: LiftQuarantine(LiftQuarantine) -> bool, |_: &LiftQuarantine| Key::All;
    webhooks: PutWebhook(PutWebhook) -> WebhookPut, |_: &PutWebhook| Key::All;
    rotations: RotateWebhook(RotateWebhook) -> bool, |c: &RotateWebhook| Key::Holder(c.id.0);
    deletions: DeleteWebhook(DeleteWebhook) -> bool, |c: &DeleteWebhook| Key::Holder(c.0.0);
    secrets: KnowSecret(CallbackSecretRow) -> String, |_: &CallbackSecretRow| Key::All;
    notes: NoteDelivery(NoteDelivery) -> bool, |c: &NoteDelivery| Key::Holder(c.id.0);
    redeliveries: Redeliver(Redeliver) -> bool, |c: &Redeliver| Key::Holder(c.0.0);
    facts: Note(Note) -> Vec<Entry>, note_key;
    sweeps: Sweep(Sweep) -> Swept, |_: &Sweep| Key::All;
    prunes: Prune(Prune) -> u64, |_: &Prune| Key::All;
    archives: Archive(Archive) -> Archived, |_: &Archive| Key::All;
    runs: PutRun(PutRun) -> (), |_: &PutRun| Key::All;
    performances: PutRecords(PutRecords) -> u64, |_: &PutRecords| Key::All;
    forgotten: ForgetRecords(ForgetRecords) -> u64, |_: &ForgetRecords| Key::All;
    emptied: ForgetMiners(ForgetMiners) -> MinersForgotten, |_: &ForgetMiners| Key::All;
}

/// The same news may wait behind itself; others go out together.
fn note_key(note: &Note) -> Key {
    note.facts
        .first()
        .map_or(Key::All, |fact| Key::Text(fact.action().to_owned(), fact.subject().to_owned()))
}

/// How long the writer's plans are kept: planning some hundred statements takes tens of milliseconds.
const PLANS_KEPT: Duration = Duration::from_secs(10);

/// The writer's door.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// The door, and what the writer's thread passes to [`run`].
    pub(super) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, waiting) = mpsc::channel(WRITER_QUEUE_MAX);
        (Self { jobs }, waiting)
    }

    /// Hands a command in and waits until it is durable, or refused.
    pub(super) async fn commit<C: Command>(&self, command: C) -> StoreResult<C::Answer> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(command.job(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Runs until every door is gone and the queue is empty.
pub(super) async fn run(db: DatabaseConnection, mut waiting: mpsc::Receiver<Job>, known: Known) {
    let mut deferred: VecDeque<Job> = VecDeque::new();
    let mut planned = Instant::now();
    loop {
        if deferred.is_empty() {
            match waiting.recv().await {
                Some(job) => deferred.push_back(job),
                None => break,
            }
        }
        let batch = gather(&mut deferred, &mut waiting);
        let (began, commands) = (Instant::now(), batch.len());
        commit(&db, batch, &known).await;
        metrics::histogram!(crate::telemetry::STORE_COMMIT_SECONDS).record(began.elapsed());
        metrics::histogram!(crate::telemetry::STORE_BATCH_COMMANDS).record(commands as f64);
        if planned.elapsed() >= PLANS_KEPT {
            planned = Instant::now();
            forget_plans(&db).await;
        }
    }
    db.close().await.ok();
}

/// Has PostgreSQL plan anew. A statement that it planned while a table held a hundred rows walks all of
/// them, and would go on doing so when there are many more, until the table is analysed again.
async fn forget_plans(db: &DatabaseConnection) {
    if db.get_database_backend() == DbBackend::Postgres
        && let Err(error) = db.execute_unprepared("DISCARD PLANS").await
    {
        tracing::warn!(%error, "the writer's plans could not be forgotten");
    }
}

/// Takes what waits, oldest first; of two that exclude each other the later is deferred.
fn gather(deferred: &mut VecDeque<Job>, waiting: &mut mpsc::Receiver<Job>) -> Batch {
    let mut batch = Batch::default();
    let mut keys = HashSet::new();
    let mut later = VecDeque::new();
    while keys.len() < BATCH_COMMANDS_MAX && later.len() < BATCH_COMMANDS_MAX {
        let Some(job) = deferred.pop_front().or_else(|| waiting.try_recv().ok()) else { break };
        if keys.insert(job.key()) {
            batch.push(job);
        } else {
            later.push_back(job);
        }
    }
    later.append(deferred);
    *deferred = later;
    batch
}

/// A transaction that was not committed, or of which that is not known.
struct Failed {
    batch: Batch,
    error: StoreError,
    stage: Stage,
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The database did not even begin it: no other one would fare better now.
    Begin,
    /// One of its statements failed: the other commands may succeed.
    Statement,
    /// The outcome is unknown.
    Commit,
}

/// Commits the batch; when one of its statements fails, each of its commands alone.
async fn commit(db: &DatabaseConnection, batch: Batch, known: &Known) {
    let alone = batch.len() == 1;
    let Err(mut failed) = try_commit(db, batch, alone, known).await else { return };
    let (error, commands) = (&failed.error, failed.batch.len());
    if alone || failed.stage != Stage::Statement {
        tracing::warn!(%error, commands, "a transaction failed");
        return failed.batch.fail_all(&failed.error);
    }
    metrics::counter!(crate::telemetry::STORE_BATCHES_REPLAYED).increment(1);
    tracing::debug!(%error, commands, "a batch failed; its commands run one by one");
    let mut gone = None;
    for job in failed.batch.into_jobs() {
        let mut single = Batch::default();
        single.push(job);
        // Each would wait for a connection in its turn, the last for hours.
        if let Some(error) = &gone {
            single.fail_all(error);
            continue;
        }
        if let Err(mut failed) = try_commit(db, single, true, known).await {
            tracing::warn!(error = %failed.error, "a transaction failed");
            failed.batch.fail_all(&failed.error);
            gone = (failed.stage == Stage::Begin).then_some(failed.error);
        }
    }
}

async fn try_commit(
    db: &DatabaseConnection,
    mut batch: Batch,
    alone: bool,
    known: &Known,
) -> Result<(), Box<Failed>> {
    let failed = |batch, error, stage| Err(Box::new(Failed { batch, error, stage }));
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = match db.begin_with_options(options).await {
        Ok(tx) => tx,
        Err(error) => return failed(batch, row::unavailable(error), Stage::Begin),
    };
    let written = match apply(&tx, &mut batch, alone, known).await {
        Ok(written) => written,
        Err(error) => {
            if let Err(error) = tx.rollback().await {
                tracing::warn!(%error, "a rollback failed");
            }
            return failed(batch, error, Stage::Statement);
        }
    };
    match tx.commit().await {
        Ok(()) => {
            known.count(written);
            batch.answer_all();
            Ok(())
        }
        Err(error) => failed(batch, StoreError::Unknown(error.to_string()), Stage::Commit),
    }
}

/// Runs every type of command in its order; how many deliveries came of it.
async fn apply(
    tx: &DatabaseTransaction,
    batch: &mut Batch,
    alone: bool,
    known: &Known,
) -> StoreResult<u64> {
    nonce::take(tx, batch).await?;
    keys::put(tx, &mut batch.keys).await?;
    keys::change(tx, &mut batch.key_changes).await?;
    keys::rotate(tx, &mut batch.key_rotations).await?;
    keys::revoke(tx, &mut batch.revocations).await?;
    quarantine::put(tx, &mut batch.shut_out).await?;
    quarantine::lift(tx, &mut batch.let_in).await?;
    files::put(tx, &mut batch.files).await?;
    voices::put(tx, &mut batch.voices).await?;
    voices::delete(tx, &mut batch.voices_gone).await?;
    records::know_validators(tx, &mut batch.validators).await?;
    records::put_reports(tx, &mut batch.reports).await?;
    records::close_rounds(tx, &mut batch.rounds).await?;
    records::put_kind_records(tx, &mut batch.kind_records).await?;
    ledger::put_scores(tx, &mut batch.scores).await?;
    ledger::put_hours(tx, &mut batch.hours).await?;
    submission::run(tx, &mut batch.submissions).await?;
    chain::adopt(tx, &mut batch.adoptions).await?;
    audit::note(tx, &mut batch.facts).await?;
    webhook::put(tx, &mut batch.webhooks, known).await?;
    webhook::rotate(tx, &mut batch.rotations).await?;
    webhook::know_secret(tx, &mut batch.secrets).await?;
    webhook::note(tx, &mut batch.notes).await?;
    webhook::redeliver(tx, &mut batch.redeliveries).await?;
    webhook::delete(tx, &mut batch.deletions).await?;
    let mut outbox = known.outbox();
    enqueue::run(tx, &mut batch.enqueues, &mut outbox.usage, alone).await?;
    widen::widen(tx, &mut batch.widens).await?;
    lease::assign(tx, &mut batch.assigns, alone).await?;
    widen::hedge(tx, &mut batch.hedges).await?;
    lease::fetch(tx, &mut batch.fetches).await?;
    lease::heartbeat(tx, &mut batch.heartbeats).await?;
    respond::run(tx, &mut batch.responds, &mut outbox).await?;
    end::release(tx, &mut batch.releases, &mut outbox).await?;
    end::cancel(tx, &mut batch.cancels, &mut outbox).await?;
    evaluate::run(tx, &mut batch.evaluates, &mut outbox).await?;
    register::run(tx, &mut batch.registers, &mut outbox).await?;
    register::deregister(tx, &mut batch.deregisters, &mut outbox).await?;
    end::sweep(tx, &mut batch.sweeps, &mut outbox).await?;
    outbox.write(tx).await?;
    files::forget(tx, &mut batch.forgets).await?;
    files::unreferenced(tx, &mut batch.unreferenced).await?;
    records::prune(tx, &mut batch.prunes).await?;
    history::archive(tx, &mut batch.archives).await?;
    weights::put_runs(tx, &mut batch.runs).await?;
    weights::put_records(tx, &mut batch.performances).await?;
    weights::forget(tx, &mut batch.forgotten).await?;
    forget_miners::run(tx, &mut batch.emptied).await?;
    Ok(outbox.rows)
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        row::unavailable(error)
    }
}

use super::row;
