//! The store on SQLite and PostgreSQL: the same statements, through SeaORM.
//!
//! Writes go through one writer with group commit; reads have a pool of their own. On SQLite the
//! writer's connection is the only one that may write.

mod audit;
mod chain;
mod check;
mod connect;
mod dialect;
mod end;
mod enqueue;
mod evaluate;
mod files;
mod forget_miners;
mod history;
mod idempotency;
mod keys;
mod lease;
mod ledger;
mod left;
mod nonce;
mod open;
mod outbox;
#[cfg(test)]
mod plans;
mod quarantine;
mod reads;
mod records;
mod register;
mod respond;
mod row;
mod settle;
mod submission;
mod usage;
mod voices;
mod webhook;
mod weights;
mod weights_row;
mod widen;
mod writer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use async_trait::async_trait;
use pithead_entities as e;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait};

pub use connect::Location;
pub use open::migrate;
use writer::{DeleteWebhook, Redeliver, Writer};

use super::*;

/// See the module's docs.
pub struct SqlStore {
    readers: DatabaseConnection,
    writer: Mutex<Option<Writer>>,
    known: outbox::Known,
    chain_written: AtomicU64,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
    // Dropped last: only then may another process come.
    lock: Mutex<Option<connect::Lock>>,
}

#[async_trait]
impl Store for SqlStore {
    async fn enqueue(&self, command: Enqueue) -> StoreResult<Enqueued> {
        self.commit(command).await
    }
    async fn assign(&self, command: Assign) -> StoreResult<Vec<Granted>> {
        self.commit(command).await
    }
    async fn widen(&self, command: Widen) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn hedge(&self, command: Hedge) -> StoreResult<Granted> {
        self.commit(command).await
    }
    async fn fetch(&self, command: Fetch) -> StoreResult<Vec<bool>> {
        self.commit(command).await
    }
    async fn heartbeat(&self, command: Heartbeat) -> StoreResult<Option<Millis>> {
        self.commit(command).await
    }
    async fn respond(&self, command: Respond) -> StoreResult<Responded> {
        self.commit(command).await
    }
    async fn release(&self, command: Release) -> StoreResult<Released> {
        self.commit(command).await
    }
    async fn cancel(&self, command: Cancel) -> StoreResult<Cancelled> {
        self.commit(command).await
    }
    async fn sweep(&self, command: Sweep) -> StoreResult<Swept> {
        if !reads::anything_due(&self.readers, command.now).await? {
            return Ok(Swept::default());
        }
        self.commit(command).await
    }
    async fn evaluate(&self, command: Evaluate) -> StoreResult<Evaluated> {
        self.commit(command).await
    }
    async fn register(&self, command: Register) -> StoreResult<Registered> {
        self.commit(command).await
    }
    async fn deregister(&self, command: Deregister) -> StoreResult<Option<Vec<Lost>>> {
        self.commit(command).await
    }
    async fn know_validator(&self, validator: ValidatorRow) -> StoreResult<ValidatorId> {
        self.commit(validator).await
    }
    async fn put_report(&self, command: PutReport) -> StoreResult<()> {
        self.commit(command).await
    }
    async fn close_round(&self, command: CloseRound) -> StoreResult<()> {
        if command.is_empty() {
            return Ok(());
        }
        self.commit(command).await
    }
    async fn put_kind_records(&self, command: PutKindRecords) -> StoreResult<()> {
        if command.rows.is_empty() && command.work.is_empty() {
            return Ok(());
        }
        self.commit(command).await
    }
    async fn put_scores(&self, command: PutScores) -> StoreResult<Vec<ScorePut>> {
        self.commit(command).await
    }
    async fn put_hour(&self, command: PutHour) -> StoreResult<()> {
        self.commit(command).await
    }
    async fn put_file(&self, command: PutFile) -> StoreResult<FilePut> {
        self.commit(command).await
    }
    async fn forget_files(&self, command: ForgetFiles) -> StoreResult<Forgotten> {
        if !files::any_due(&self.readers, command).await? {
            return Ok(Forgotten::default());
        }
        self.commit(command).await
    }
    async fn unreferenced(&self, sha256: Vec<String>) -> StoreResult<Vec<String>> {
        self.commit(files::Unreferenced(sha256)).await
    }
    async fn adopt(&self, command: Adopt) -> StoreResult<Adopted> {
        let outcome = self.commit(command).await;
        self.count_news(&outcome, |adopted| matches!(adopted, Adopted::New(_)));
        outcome
    }
    async fn put_submission(&self, command: PutSubmission) -> StoreResult<SubmissionPut> {
        let outcome = self.commit(command).await;
        self.count_news(&outcome, |put| matches!(put, SubmissionPut::Taken(_, true)));
        outcome
    }
    async fn put_voice(&self, command: PutVoice) -> StoreResult<VoicePut> {
        self.commit(command).await
    }
    async fn delete_voice(&self, command: DeleteVoice) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn spend(&self, nonce: Nonce) -> StoreResult<()> {
        self.commit(nonce).await
    }
    async fn put_key(&self, command: PutKey) -> StoreResult<()> {
        self.commit(command).await
    }
    async fn change_key(&self, command: ChangeKey) -> StoreResult<Option<KeyRow>> {
        self.commit(command).await
    }
    async fn rotate_key(&self, command: RotateKey) -> StoreResult<Option<KeyRow>> {
        self.commit(command).await
    }
    async fn revoke_key(&self, command: RevokeKey) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn put_quarantine(&self, command: PutQuarantine) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn lift_quarantine(&self, command: LiftQuarantine) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn put_webhook(&self, command: PutWebhook) -> StoreResult<WebhookPut> {
        self.commit(command).await
    }
    async fn rotate_webhook(&self, command: RotateWebhook) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn delete_webhook(&self, id: WebhookId) -> StoreResult<bool> {
        self.commit(DeleteWebhook(id)).await
    }
    async fn know_callback_secret(&self, secret: CallbackSecretRow) -> StoreResult<String> {
        self.commit(secret).await
    }
    async fn note_delivery(&self, command: NoteDelivery) -> StoreResult<bool> {
        self.commit(command).await
    }
    async fn redeliver(&self, id: DeliveryId, now: Millis) -> StoreResult<bool> {
        let known = self.commit(Redeliver(id, now)).await?;
        self.known.count(known.into());
        Ok(known)
    }
    async fn note(&self, command: Note) -> StoreResult<Vec<Entry>> {
        if audit::unknown(&self.readers, command.netuid, &command.facts).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.commit(command).await
    }
    async fn prune(&self, before: Prune) -> StoreResult<u64> {
        if !reads::anything_old(&self.readers, before).await? {
            return Ok(0);
        }
        self.commit(before).await
    }
    async fn archive(&self, command: Archive) -> StoreResult<Archived> {
        if !history::anything_ended(&self.readers, &command).await? {
            return Ok(Archived::default());
        }
        self.commit(command).await
    }
    async fn put_run(&self, command: PutRun) -> StoreResult<()> {
        self.commit(command).await
    }
    async fn put_records(&self, command: PutRecords) -> StoreResult<u64> {
        if weights::changed(&self.readers, &command).await?.is_empty() {
            return Ok(0);
        }
        self.commit(command).await
    }
    async fn forget_records(&self, command: ForgetRecords) -> StoreResult<u64> {
        if !weights::any_old(&self.readers, command.before).await? {
            return Ok(0);
        }
        self.commit(command).await
    }
    async fn forget_miners(&self, command: ForgetMiners) -> StoreResult<MinersForgotten> {
        if !forget_miners::any(&self.readers, command).await? {
            return Ok(MinersForgotten::default());
        }
        self.commit(command).await
    }

    async fn load(&self, reports_since: Millis) -> StoreResult<Loaded> {
        reads::load(&self.readers, reports_since).await
    }
    async fn audit(&self, page: AuditPage) -> StoreResult<Vec<Entry>> {
        audit::page(&self.readers, page).await
    }
    async fn audit_after(&self, place: AuditPlace, limit: u64) -> StoreResult<Vec<Entry>> {
        audit::after(&self.readers, place, limit).await
    }
    async fn task(&self, id: TaskId) -> StoreResult<Option<TaskRecord>> {
        if let Some(found) = reads::task(&self.readers, id).await? {
            return Ok(Some(found));
        }
        Ok(history::archived(&self.readers, id).await?.map(|archived| archived.task))
    }
    async fn held_by(&self, holder: Holder) -> StoreResult<Vec<TaskRecord>> {
        reads::held_by(&self.readers, holder).await
    }
    async fn tasks(&self, page: TaskPage) -> StoreResult<Vec<TaskRecord>> {
        reads::tasks(&self.readers, page).await
    }
    async fn responses(&self, task: TaskId) -> StoreResult<Vec<ResponseRow>> {
        let found = reads::responses(&self.readers, task).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let archived = history::archived(&self.readers, task).await?;
        Ok(archived.map(|archived| archived.responses).unwrap_or_default())
    }
    async fn done_after(
        &self,
        validator: ValidatorId,
        after: DonePlace,
        limit: u64,
    ) -> StoreResult<DonePage> {
        left::page(&self.readers, validator, after, limit).await
    }
    async fn left_among(
        &self,
        validator: ValidatorId,
        tasks: Vec<TaskId>,
    ) -> StoreResult<Vec<TaskRecord>> {
        left::among(&self.readers, validator, tasks).await
    }
    async fn evaluated_by(
        &self,
        validator: ValidatorId,
        limit: u64,
    ) -> StoreResult<Vec<EvaluationRow>> {
        reads::evaluated_by(&self.readers, validator, limit).await
    }
    async fn evaluations(&self, task: TaskId) -> StoreResult<Vec<EvaluationRow>> {
        let found = reads::evaluations(&self.readers, task).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        let archived = history::archived(&self.readers, task).await?;
        Ok(archived.map(|archived| archived.evaluations).unwrap_or_default())
    }
    async fn scores(&self, days: ScoreDays) -> StoreResult<ScoreSums> {
        history::scores(&self.readers, days).await
    }
    async fn summed_hour(&self) -> StoreResult<Option<i64>> {
        ledger::summed_hour(&self.readers).await
    }
    async fn hour_of_scores(&self, hours: ScoreHours) -> StoreResult<Option<PutHour>> {
        ledger::hour_of_scores(&self.readers, hours).await
    }
    async fn score_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoreBucket>> {
        ledger::score_hours(&self.readers, hours).await
    }
    async fn scored_hours(&self, hours: ScoreHours) -> StoreResult<Vec<ScoredHour>> {
        ledger::scored_hours(&self.readers, hours).await
    }
    async fn score_days(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<ScoreBucket>> {
        ledger::score_days(&self.readers, from_day, to_day).await
    }
    async fn work(&self, from_day: i64, to_day: i64) -> StoreResult<Vec<WorkSum>> {
        ledger::work(&self.readers, from_day, to_day).await
    }
    async fn weight_run(&self, id: Option<RunId>) -> StoreResult<Option<WeightRunRow>> {
        weights::weight_run(&self.readers, id).await
    }
    async fn performances(&self, page: PerformancePage) -> StoreResult<Vec<PerformanceRow>> {
        weights::performances(&self.readers, page).await
    }
    async fn newest_periods(&self) -> StoreResult<Vec<(Period, Millis)>> {
        weights::newest_periods(&self.readers).await
    }
    async fn average_scores(&self, period: Period, start: Millis) -> StoreResult<AverageScores> {
        weights::average_scores(&self.readers, period, start).await
    }
    async fn registrations(&self, ids: Vec<RegistrationId>) -> StoreResult<Vec<RegistrationRow>> {
        weights::registrations(&self.readers, ids).await
    }
    async fn usage(&self, days: UsageDays) -> StoreResult<Vec<UsageRow>> {
        usage::read(&self.readers, days).await
    }
    async fn file(&self, id: FileId) -> StoreResult<Option<FileRow>> {
        reads::file(&self.readers, id).await
    }
    async fn file_is_assigned(&self, file: FileId, holder: Holder) -> StoreResult<bool> {
        reads::file_is_assigned(&self.readers, file, holder).await
    }
    async fn voice(&self, id: VoiceId) -> StoreResult<Option<VoiceRow>> {
        voices::one(&self.readers, id).await
    }
    async fn voice_named(&self, owner: &str, name: &str) -> StoreResult<Option<VoiceRow>> {
        voices::named(&self.readers, owner, name).await
    }
    async fn metagraph(&self, netuid: u16) -> StoreResult<Option<SnapshotRow>> {
        chain::newest(&self.readers, netuid).await
    }
    async fn metagraph_before(&self, netuid: u16, at: Millis) -> StoreResult<Option<SnapshotRow>> {
        chain::before(&self.readers, netuid, at).await
    }
    async fn submissions_before(&self, netuid: u16, at: Millis) -> StoreResult<Vec<SubmissionRow>> {
        submission::before(&self.readers, netuid, at).await
    }
    fn chain_written(&self) -> u64 {
        self.chain_written.load(Ordering::Relaxed)
    }
    async fn submissions(&self, page: SubmissionPage) -> StoreResult<Vec<SubmissionRow>> {
        submission::page(&self.readers, page).await
    }
    async fn voices_of_sample(&self, file: FileId) -> StoreResult<Vec<VoiceRow>> {
        voices::of_sample(&self.readers, file).await
    }
    async fn voices(&self, page: VoicePage) -> StoreResult<Vec<VoiceRow>> {
        voices::page(&self.readers, page).await
    }
    async fn idempotent(&self, owner: &str, key: &str) -> StoreResult<Option<StandsFor>> {
        idempotency::find(&self.readers, owner, key).await
    }
    async fn keys(&self) -> StoreResult<Vec<KeyRow>> {
        let keys = e::api_key::Entity::find().all(&self.readers).await?;
        keys.into_iter().map(row::key).collect()
    }
    async fn quarantine(&self) -> StoreResult<Vec<QuarantineRow>> {
        quarantine::all(&self.readers).await
    }
    async fn registration(&self, id: RegistrationId) -> StoreResult<Option<RegistrationRow>> {
        let found = row::one(&self.readers, e::registration::Entity::find_by_id(id.0)).await?;
        found.map(row::registration).transpose()
    }
    async fn registered(&self, uids: Vec<MinerUid>) -> StoreResult<Vec<RegistrationRow>> {
        ledger::registered(&self.readers, uids).await
    }
    async fn rounds(&self, up_to: i64, limit: u64) -> StoreResult<Vec<RoundRow>> {
        reads::rounds(&self.readers, up_to, limit).await
    }
    async fn reports_at(
        &self,
        validator: &Hotkey,
        signed_order: i64,
    ) -> StoreResult<Vec<ReportRow>> {
        reads::reports_at(&self.readers, validator, signed_order).await
    }
    async fn webhooks(&self, owner: Option<String>, limit: u64) -> StoreResult<Vec<WebhookRow>> {
        webhook::webhooks(&self.readers, owner, limit).await
    }
    async fn webhook(&self, id: WebhookId) -> StoreResult<Option<WebhookRow>> {
        webhook::webhook(&self.readers, id).await
    }
    async fn callback_secret(&self, owner: &str) -> StoreResult<Option<String>> {
        let found = row::one(&self.readers, e::callback_secret::Entity::find_by_id(owner)).await?;
        Ok(found.map(|row| row.secret))
    }
    async fn deliveries(&self, page: DeliveryPage) -> StoreResult<Vec<DeliveryRow>> {
        webhook::deliveries(&self.readers, page).await
    }
    async fn delivery(&self, id: DeliveryId) -> StoreResult<Option<DeliveryRow>> {
        webhook::delivery(&self.readers, id).await
    }
    async fn lanes(&self, after: &str, limit: u64) -> StoreResult<Vec<Lane>> {
        webhook::lanes(&self.readers, after, limit).await
    }
    async fn due(&self, lane: &str, now: Millis, limit: u64) -> StoreResult<Vec<DeliveryRow>> {
        webhook::due(&self.readers, lane, now, limit).await
    }
    fn deliveries_written(&self) -> u64 {
        self.known.written()
    }
    async fn ping(&self) -> StoreResult<()> {
        Ok(self.readers.execute_unprepared("SELECT 1").await.map(|_| ())?)
    }
    async fn close(&self) {
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        drop(writer);
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join().ok()).await.ok();
        }
        if let Err(error) = self.readers.close_by_ref().await {
            tracing::warn!(%error, "closing the database failed");
        }
        let lock = self.lock.lock().ok().and_then(|mut lock| lock.take());
        if let Some(lock) = lock
            && let Err(error) = lock.release().await
        {
            tracing::warn!(%error, "giving the lock back failed");
        }
    }
}
