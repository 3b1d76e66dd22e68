//! The store as plain maps: the specification of every command in a form that can be read. It
//! applies the rules of [`crate::domain`] to the rows one by one, where the SQL store has
//! statements over sets; the differential test holds the two together.
//!
//! Nothing here is durable. The simulator and fast tests run on it.

mod audit;
mod chain;
mod dump;
mod end;
mod evaluate;
mod files;
mod forget_miners;
mod history;
mod keys;
mod lease;
mod ledger;
mod quarantine;
mod reads;
mod records;
mod submission;
mod webhook;
mod weights;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

pub use dump::{Cell, Dump};

use super::*;
use crate::domain::audit::Entry as AuditEntry;
use crate::domain::ids::{MinerUid, ReportId};

/// See the module's docs.
#[derive(Debug, Default)]
pub struct ModelStore {
    tables: Mutex<Tables>,
}

/// The tables, by key. A task holds its slots and lost attempts, as every read wants them.
#[derive(Debug, Default)]
struct Tables {
    registrations: BTreeMap<RegistrationId, Registration>,
    validators: BTreeMap<ValidatorId, ValidatorRow>,
    reports: BTreeMap<ReportId, ReportRow>,
    verdicts: BTreeMap<MinerUid, VerdictRow>,
    rounds: BTreeMap<i64, RoundRow>,
    kind_records: BTreeMap<(RegistrationId, String), KindRecordRow>,
    tasks: BTreeMap<TaskId, TaskRecord>,
    /// Which command ended them; a transaction of its own, where the SQL store has many in one.
    done_order: BTreeMap<TaskId, i64>,
    /// Commands so far.
    commands: i64,
    responses: BTreeMap<(TaskId, u16), ResponseRow>,
    evaluations: BTreeMap<(TaskId, u16, ValidatorId), EvaluationRow>,
    scores: BTreeMap<(TaskId, u16), ScoreRow>,
    audit: BTreeMap<(String, i64), AuditEntry>,
    metagraphs: BTreeMap<(u16, i64), SnapshotRow>,
    submissions: BTreeMap<(u16, i64, Hotkey), SubmissionRow>,
    score_days: BTreeMap<(RegistrationId, String, i64), ScoreSum>,
    pushed_scores: BTreeMap<ledger::PushedKey, ledger::Pushed>,
    score_hours: BTreeMap<(i64, RegistrationId, String, Option<ValidatorId>), ScoreSum>,
    voice_days: BTreeMap<(RegistrationId, String, i64, ValidatorId), ScoreSum>,
    work_days: BTreeMap<(RegistrationId, String, i64), ledger::Work>,
    archive: BTreeMap<TaskId, ArchivedTask>,
    weight_runs: BTreeMap<RunId, WeightRunRow>,
    performances: BTreeMap<weights::PerformanceKey, PerformanceRow>,
    usage: BTreeMap<(String, i64, String), UsageCounts>,
    webhooks: BTreeMap<WebhookId, WebhookRow>,
    callback_secrets: BTreeMap<String, CallbackSecretRow>,
    deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    deliveries_written: u64,
    chain_written: u64,
    files: BTreeMap<FileId, FileRow>,
    voices: BTreeMap<VoiceId, VoiceRow>,
    keys: BTreeMap<String, KeyRow>,
    quarantine: BTreeMap<Hotkey, QuarantineRow>,
    replays: BTreeMap<(Hotkey, i64), Millis>,
    idempotency: BTreeMap<(String, String), Remembered>,
}

/// A registration with the subnet that its row was opened for.
#[derive(Debug)]
struct Registration {
    netuid: u16,
    row: RegistrationRow,
}

/// What an idempotency key stands for.
#[derive(Debug)]
struct Remembered {
    body_hash: Hash,
    made: Made,
    created_at: Millis,
}

/// What a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Task(TaskId),
    File(FileId),
    Voice(VoiceId),
}

impl ModelStore {
    /// All rows of all tables.
    #[must_use]
    pub fn dump(&self) -> Dump {
        self.tables().dump()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No command stops half-way, so a poisoned lock guards whole rows.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables, for the next command.
    fn command(&self) -> MutexGuard<'_, Tables> {
        let mut tables = self.tables();
        tables.commands += 1;
        tables
    }

    /// Runs a command whose request may be signed: its nonce counts once, even where the command is
    /// then refused.
    fn once<T>(
        &self,
        nonce: Option<Nonce>,
        command: impl FnOnce(&mut Tables) -> T,
    ) -> StoreResult<T> {
        let mut tables = self.command();
        if let Some(nonce) = nonce {
            match tables.replays.entry((nonce.hotkey, nonce.nonce)) {
                Entry::Occupied(_) => return Err(StoreError::Replayed),
                Entry::Vacant(fresh) => fresh.insert(nonce.seen_at),
            };
        }
        Ok(command(&mut tables))
    }
}

#[async_trait]
impl Store for ModelStore {
    async fn enqueue(&self, mut command: Enqueue) -> StoreResult<Enqueued> {
        self.once(command.nonce.take(), |tables| tables.enqueue(command))
    }
    async fn assign(&self, command: Assign) -> StoreResult<Vec<Granted>> {
        Ok(self.command().assign(&command))
    }
    async fn widen(&self, command: Widen) -> StoreResult<bool> {
        Ok(self.command().widen(&command))
    }
    async fn hedge(&self, command: Hedge) -> StoreResult<Granted> {
        Ok(self.command().hedge(&command))
    }
    async fn fetch(&self, command: Fetch) -> StoreResult<Vec<bool>> {
        Ok(self.command().fetch(&command))
    }
    async fn heartbeat(&self, mut command: Heartbeat) -> StoreResult<Option<Millis>> {
        self.once(command.nonce.take(), |tables| tables.heartbeat(&command))
    }
    async fn respond(&self, mut command: Respond) -> StoreResult<Responded> {
        self.once(command.nonce.take(), |tables| tables.respond(command))
    }
    async fn release(&self, mut command: Release) -> StoreResult<Released> {
        self.once(command.nonce.take(), |tables| tables.release(&command))
    }
    async fn cancel(&self, command: Cancel) -> StoreResult<Cancelled> {
        Ok(self.command().cancel(&command))
    }
    async fn sweep(&self, command: Sweep) -> StoreResult<Swept> {
        Ok(self.command().sweep(&command))
    }
    async fn evaluate(&self, mut command: Evaluate) -> StoreResult<Evaluated> {
        self.once(command.nonce.take(), |tables| tables.evaluate(&command))
    }
    async fn register(&self, command: Register) -> StoreResult<Registered> {
        Ok(self.command().register(command))
    }
    async fn deregister(&self, command: Deregister) -> StoreResult<Option<Vec<Lost>>> {
        Ok(self.command().deregister(command))
    }
    async fn know_validator(&self, validator: ValidatorRow) -> StoreResult<ValidatorId> {
        Ok(self.command().know_validator(validator))
    }
    async fn put_report(&self, mut command: PutReport) -> StoreResult<()> {
        self.once(command.nonce.take(), |tables| tables.put_report(command.report))
    }
    async fn close_round(&self, command: CloseRound) -> StoreResult<()> {
        self.command().close_round(command);
        Ok(())
    }
    async fn put_kind_records(&self, command: PutKindRecords) -> StoreResult<()> {
        self.command().put_kind_records(command);
        Ok(())
    }
    async fn put_scores(&self, mut command: PutScores) -> StoreResult<Vec<ScorePut>> {
        self.once(command.nonce.take(), |tables| tables.put_scores(&command))
    }
    async fn put_hour(&self, command: PutHour) -> StoreResult<()> {
        self.command().put_hour(command);
        Ok(())
    }
    async fn put_file(&self, mut command: PutFile) -> StoreResult<FilePut> {
        self.once(command.nonce.take(), |tables| tables.put_file(command))
    }
    async fn forget_files(&self, command: ForgetFiles) -> StoreResult<Forgotten> {
        Ok(self.command().forget_files(command))
    }
    async fn unreferenced(&self, sha256: Vec<String>) -> StoreResult<Vec<String>> {
        Ok(self.tables().unreferenced(sha256))
    }
    async fn adopt(&self, mut command: Adopt) -> StoreResult<Adopted> {
        self.once(command.nonce.take(), |tables| tables.adopt(&command))
    }
    async fn put_submission(&self, mut command: PutSubmission) -> StoreResult<SubmissionPut> {
        self.once(command.nonce.take(), |tables| tables.put_submission(&command))
    }
    async fn put_voice(&self, mut command: PutVoice) -> StoreResult<VoicePut> {
        self.once(command.nonce.take(), |tables| tables.put_voice(command))
    }
    async fn delete_voice(&self, command: DeleteVoice) -> StoreResult<bool> {
        Ok(self.command().delete_voice(command))
    }
    async fn spend(&self, nonce: Nonce) -> StoreResult<()> {
        self.once(Some(nonce), |_| ())
    }
    async fn put_key(&self, mut command: PutKey) -> StoreResult<()> {
        self.once(command.by.nonce.take(), |tables| tables.put_key(&command))
    }
    async fn change_key(&self, mut command: ChangeKey) -> StoreResult<Option<KeyRow>> {
        self.once(command.by.nonce.take(), |tables| tables.change_key(&command))
    }
    async fn rotate_key(&self, mut command: RotateKey) -> StoreResult<Option<KeyRow>> {
        self.once(command.by.nonce.take(), |tables| tables.rotate_key(&command))
    }
    async fn revoke_key(&self, mut command: RevokeKey) -> StoreResult<bool> {
        self.once(command.by.nonce.take(), |tables| tables.revoke_key(&command))
    }
    async fn put_quarantine(&self, mut command: PutQuarantine) -> StoreResult<bool> {
        self.once(command.by.nonce.take(), |tables| tables.put_quarantine(&command))
    }
    async fn lift_quarantine(&self, mut command: LiftQuarantine) -> StoreResult<bool> {
        self.once(command.by.nonce.take(), |tables| tables.lift_quarantine(&command))
    }
    async fn put_webhook(&self, mut command: PutWebhook) -> StoreResult<WebhookPut> {
        self.once(command.nonce.take(), |tables| tables.put_webhook(command))
    }
    async fn rotate_webhook(&self, command: RotateWebhook) -> StoreResult<bool> {
        Ok(self.command().rotate_webhook(command))
    }
    async fn delete_webhook(&self, id: WebhookId) -> StoreResult<bool> {
        Ok(self.command().delete_webhook(id))
    }
    async fn know_callback_secret(&self, secret: CallbackSecretRow) -> StoreResult<String> {
        Ok(self.command().know_callback_secret(secret))
    }
    async fn note_delivery(&self, command: NoteDelivery) -> StoreResult<bool> {
        Ok(self.command().note_delivery(command))
    }
    async fn redeliver(&self, id: DeliveryId, now: Millis) -> StoreResult<bool> {
        Ok(self.command().redeliver(id, now))
    }
    async fn note(&self, command: Note) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.command().note(&command))
    }
    async fn prune(&self, before: Prune) -> StoreResult<u64> {
        Ok(self.command().prune(before))
    }
    async fn archive(&self, command: Archive) -> StoreResult<Archived> {
        Ok(self.command().archive(&command))
    }
    async fn put_run(&self, PutRun(run): PutRun) -> StoreResult<()> {
        self.command().put_run(run);
        Ok(())
    }
    async fn put_records(&self, command: PutRecords) -> StoreResult<u64> {
        Ok(self.command().put_records(command))
    }
    async fn forget_records(&self, command: ForgetRecords) -> StoreResult<u64> {
        Ok(self.command().forget_records(command))
    }
    async fn forget_miners(&self, command: ForgetMiners) -> StoreResult<MinersForgotten> {
        Ok(self.command().forget_miners(command))
    }

    async fn load(&self, reports_since: Millis) -> StoreResult<Loaded> {
        Ok(self.tables().load(reports_since))
    }
    async fn audit(&self, page: AuditPage) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.tables().audit_page(&page))
    }
    async fn audit_after(&self, place: AuditPlace, limit: u64) -> StoreResult<Vec<AuditEntry>> {
        Ok(self.tables().audit_after(place, limit))
    }
    async fn task(&self, id: TaskId) -> StoreResult<Option<TaskRecord>> {
        let tables = self.tables();
        let archived = || tables.archive.get(&id).map(|archived| &archived.task);
        Ok(tables.tasks.get(&id).or_else(archived).cloned())
    }
    async fn held_by(&self, holder: Holder) -> StoreResult<Vec<TaskRecord>> {
        Ok(self.tables().held_by(holder))
    }
    async fn tasks(&self, page: TaskPage) -> StoreResult<Vec<TaskRecord>> {
        Ok(self.tables().page(&page))
    }
    async fn responses(&self, task: TaskId) -> StoreResult<Vec<ResponseRow>> {
        let tables = self.tables();
        let archived = || tables.archive.get(&task).map(|archived| archived.responses.clone());
        let found = tables.responses_of(task);
        Ok(if found.is_empty() { archived().unwrap_or_default() } else { found })
    }
    async fn done_after(
        &self,
        validator: ValidatorId,
        after: DonePlace,
        limit: u64,
    ) -> StoreResult<DonePage> {
        Ok(self.tables().done_after(validator, after, limit))
    }
    async fn left_among(
        &self,
        validator: ValidatorId,
        tasks: Vec<TaskId>,
    ) -> StoreResult<Vec<TaskRecord>> {
        Ok(self.tables().left_among(validator, tasks))
    }
    async fn evaluated_by(
        &self,
        validator: ValidatorId,
        limit: u64,
    ) -> StoreResult<Vec<EvaluationRow>> {
        Ok(self.tables().evaluated_by(validator, limit))
    }
    async fn evaluations(&self, task: TaskId) -> StoreResult<Vec<EvaluationRow>> {
        let tables = self.tables();
        let archived = || tables.archive.get(&task).map(|archived| archived.evaluations.clone());
        let found = tables.evaluations_of(task);
        Ok(if found.is_empty() { archived().unwrap_or_default() } else { found })
    }
    async fn scores(&self, days: ScoreDays) -> StoreResult<ScoreSums> {
        Ok(self.tables().scores_of(&days))
    }
    async fn summed_hour(&self) -> StoreResult<Option<i64>> {
        Ok(self.tables().summed_hour())
    }
    async fn hour_of_scores(&self, hours: ScoreHours) -> StoreResult<Option<PutHour>> {
        Ok(self.tables().hour_of_scores(hours))
    }
    async fn score_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoreBucket>> {
        Ok(self.tables().score_hours(hours))
    }
    async fn scored_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoredHour>> {
        Ok(self.tables().scored_hours(hours))
    }
    async fn score_days(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<ScoreBucket>> {
        Ok(self.tables().score_days(from_day, to_day))
    }
    async fn work(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<WorkSum>> {
        Ok(self.tables().work(from_day, to_day))
    }
    async fn weight_run(&self, id: Option<RunId>) -> StoreResult<Option<WeightRunRow>> {
        Ok(self.tables().weight_run(id))
    }
    async fn performances(&self, page: PerformancePage) -> StoreResult<Vec<PerformanceRow>> {
        Ok(self.tables().performances(&page))
    }
    async fn newest_periods(&self) -> StoreResult<Vec<(Period, Millis)>> {
        Ok(self.tables().newest_periods())
    }
    async fn average_scores(&self, period: Period, start: Millis) -> StoreResult<AverageScores> {
        Ok(self.tables().average_scores(period, start))
    }
    async fn registrations(&self, ids: Vec<RegistrationId>) -> StoreResult<Vec<RegistrationRow>> {
        Ok(self.tables().registrations_of(&ids))
    }
    async fn usage(&self, days: UsageDays) -> StoreResult<Vec<UsageRow>> {
        Ok(self.tables().usage_of(&days))
    }
    async fn file(&self, id: FileId) -> StoreResult<Option<FileRow>> {
        Ok(self.tables().files.get(&id).cloned())
    }
    async fn file_is_assigned(&self, file: FileId, holder: Holder) -> StoreResult<bool> {
        Ok(self.tables().file_is_assigned(file, holder))
    }
    async fn voice(&self, id: VoiceId) -> StoreResult<Option<VoiceRow>> {
        Ok(self.tables().voices.get(&id).cloned())
    }
    async fn voice_named(&self, owner: &str, name: &str) -> StoreResult<Option<VoiceRow>> {
        Ok(self.tables().voice_named(owner, name))
    }
    async fn metagraph(&self, netuid: u16) -> StoreResult<Option<SnapshotRow>> {
        Ok(self.tables().metagraph_of(netuid))
    }
    async fn metagraph_before(&self, netuid: u16, at: Millis) -> StoreResult<Option<SnapshotRow>> {
        Ok(self.tables().metagraph_before(netuid, at))
    }
    async fn submissions_before(&self, netuid: u16, at: Millis) -> StoreResult<Vec<SubmissionRow>> {
        Ok(self.tables().submissions_before(netuid, at))
    }
    fn chain_written(&self) -> u64 {
        self.tables().chain_written
    }
    async fn submissions(&self, page: SubmissionPage) -> StoreResult<Vec<SubmissionRow>> {
        Ok(self.tables().submissions_of(&page))
    }
    async fn voices_of_sample(&self, file: FileId) -> StoreResult<Vec<VoiceRow>> {
        Ok(self.tables().voices_of_sample(file))
    }
    async fn voices(&self, page: VoicePage) -> StoreResult<Vec<VoiceRow>> {
        Ok(self.tables().voice_page(&page))
    }
    async fn idempotent(&self, owner: &str, key: &str) -> StoreResult<Option<StandsFor>> {
        Ok(self.tables().idempotent(owner, key))
    }
    async fn keys(&self) -> StoreResult<Vec<KeyRow>> {
        Ok(self.tables().keys.values().cloned().collect())
    }
    async fn quarantine(&self) -> StoreResult<Vec<QuarantineRow>> {
        Ok(self.tables().quarantine.values().cloned().collect())
    }
    async fn registration(&self, id: RegistrationId) -> StoreResult<Option<RegistrationRow>> {
        Ok(self.tables().registrations.get(&id).map(|known| known.row.clone()))
    }
    async fn registered(&self, uids: Vec<MinerUid>) -> StoreResult<Vec<RegistrationRow>> {
        Ok(self.tables().registered(&uids))
    }
    async fn rounds(&self, up_to: i64, limit: u64) -> StoreResult<Vec<RoundRow>> {
        Ok(self.tables().rounds(up_to, limit))
    }
    async fn reports_at(
        &self,
        validator: &Hotkey,
        signed_order: i64,
    ) -> StoreResult<Vec<ReportRow>> {
        Ok(self.tables().reports_at(validator, signed_order))
    }
    async fn webhooks(&self, owner: Option<String>, limit: u64) -> StoreResult<Vec<WebhookRow>> {
        Ok(self.tables().webhooks_of(owner.as_deref(), limit))
    }
    async fn webhook(&self, id: WebhookId) -> StoreResult<Option<WebhookRow>> {
        Ok(self.tables().webhooks.get(&id).cloned())
    }
    async fn callback_secret(&self, owner: &str) -> StoreResult<Option<String>> {
        Ok(self.tables().callback_secrets.get(owner).map(|row| row.secret.clone()))
    }
    async fn deliveries(&self, page: DeliveryPage) -> StoreResult<Vec<DeliveryRow>> {
        Ok(self.tables().deliveries_of(&page))
    }
    async fn delivery(&self, id: DeliveryId) -> StoreResult<Option<DeliveryRow>> {
        Ok(self.tables().deliveries.get(&id).cloned())
    }
    async fn lanes(&self, after: &str, limit: u64) -> StoreResult<Vec<Lane>> {
        Ok(self.tables().lanes(after, limit))
    }
    async fn due(&self, lane: &str, now: Millis, limit: u64) -> StoreResult<Vec<DeliveryRow>> {
        Ok(self.tables().due(lane, now, limit))
    }
    fn deliveries_written(&self) -> u64 {
        self.tables().deliveries_written
    }
    async fn ping(&self) -> StoreResult<()> {
        Ok(())
    }
    async fn close(&self) {}
}
