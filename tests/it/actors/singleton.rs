//! A singleton dies; the server ends, and says which.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pithead::app::{AppError, Server};
use pithead::domain::audit::Entry;
use pithead::domain::ids::{
    DeliveryId, FileId, Hotkey, MinerUid, RegistrationId, RunId, TaskId, ValidatorId, VoiceId,
    WebhookId,
};
use pithead::domain::period::Period;
use pithead::domain::units::Millis;
use pithead::outside::Clock;
use pithead::store::model::ModelStore;
use pithead::store::*;

/// A store that fails as a test wants it to.
#[derive(Default)]
pub(super) struct Faulty {
    model: ModelStore,
    /// The sweep panics, so that the Janitor dies of it.
    pub(super) deadly: AtomicBool,
    /// Keys are taken back, but nobody hears of it, and no key can be read.
    pub(super) mute: AtomicBool,
    /// The audit log cannot be written.
    pub(super) away: AtomicBool,
    /// How often it was asked whether it answers.
    pub(super) pings: AtomicU64,
}

fn away() -> StoreError {
    StoreError::Unavailable("as the test wants".to_owned())
}

macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Faulty {
            $(async fn $name(&self, $($arg: $type),*) -> StoreResult<$answer> {
                self.model.$name($($arg),*).await
            })*

            async fn sweep(&self, command: Sweep) -> StoreResult<Swept> {
                assert!(!self.deadly.load(Ordering::Relaxed), "the sweep dies, as the test wants");
                self.model.sweep(command).await
            }

            async fn revoke_key(&self, command: RevokeKey) -> StoreResult<bool> {
                let known = self.model.revoke_key(command).await?;
                match self.mute.load(Ordering::Relaxed) {
                    true => Err(StoreError::Unknown("as the test wants".to_owned())),
                    false => Ok(known),
                }
            }

            async fn keys(&self) -> StoreResult<Vec<KeyRow>> {
                match self.mute.load(Ordering::Relaxed) {
                    true => Err(away()),
                    false => self.model.keys().await,
                }
            }

            async fn note(&self, command: Note) -> StoreResult<Vec<Entry>> {
                match self.away.load(Ordering::Relaxed) {
                    true => Err(away()),
                    false => self.model.note(command).await,
                }
            }

            async fn ping(&self) -> StoreResult<()> {
                self.pings.fetch_add(1, Ordering::Relaxed);
                self.model.ping().await
            }

            fn deliveries_written(&self) -> u64 {
                self.model.deliveries_written()
            }

            fn chain_written(&self) -> u64 {
                self.model.chain_written()
            }

            async fn close(&self) {
                self.model.close().await;
            }
        }
    };
}

delegate! {
    enqueue(command: Enqueue) -> Enqueued;
    assign(command: Assign) -> Vec<Granted>;
    widen(command: Widen) -> bool;
    hedge(command: Hedge) -> Granted;
    fetch(command: Fetch) -> Vec<bool>;
    heartbeat(command: Heartbeat) -> Option<Millis>;
    respond(command: Respond) -> Responded;
    release(command: Release) -> Released;
    cancel(command: Cancel) -> Cancelled;
    evaluate(command: Evaluate) -> Evaluated;
    register(command: Register) -> Registered;
    deregister(command: Deregister) -> Option<Vec<Lost>>;
    know_validator(row: ValidatorRow) -> ValidatorId;
    put_report(command: PutReport) -> ();
    close_round(command: CloseRound) -> ();
    put_kind_records(command: PutKindRecords) -> ();
    put_scores(command: PutScores) -> Vec<ScorePut>;
    put_hour(command: PutHour) -> ();
    put_file(command: PutFile) -> FilePut;
    forget_files(command: ForgetFiles) -> Forgotten;
    unreferenced(sha256: Vec<String>) -> Vec<String>;
    adopt(command: Adopt) -> Adopted;
    metagraph(netuid: u16) -> Option<SnapshotRow>;
    put_submission(command: PutSubmission) -> SubmissionPut;
    submissions(page: SubmissionPage) -> Vec<SubmissionRow>;
    put_voice(command: PutVoice) -> VoicePut;
    delete_voice(command: DeleteVoice) -> bool;
    voice(id: VoiceId) -> Option<VoiceRow>;
    voice_named(owner: &str, name: &str) -> Option<VoiceRow>;
    voices_of_sample(file: FileId) -> Vec<VoiceRow>;
    voices(page: VoicePage) -> Vec<VoiceRow>;
    spend(nonce: Nonce) -> ();
    put_key(command: PutKey) -> ();
    change_key(command: ChangeKey) -> Option<KeyRow>;
    rotate_key(command: RotateKey) -> Option<KeyRow>;
    put_quarantine(command: PutQuarantine) -> bool;
    lift_quarantine(command: LiftQuarantine) -> bool;
    put_webhook(command: PutWebhook) -> WebhookPut;
    rotate_webhook(command: RotateWebhook) -> bool;
    delete_webhook(id: WebhookId) -> bool;
    know_callback_secret(secret: CallbackSecretRow) -> String;
    note_delivery(command: NoteDelivery) -> bool;
    redeliver(id: DeliveryId, now: Millis) -> bool;
    audit(page: AuditPage) -> Vec<Entry>;
    audit_after(place: AuditPlace, limit: u64) -> Vec<Entry>;
    prune(before: Prune) -> u64;
    archive(command: Archive) -> Archived;
    put_run(command: PutRun) -> ();
    put_records(command: PutRecords) -> u64;
    forget_records(command: ForgetRecords) -> u64;
    forget_miners(command: ForgetMiners) -> MinersForgotten;
    metagraph_before(netuid: u16, at: Millis) -> Option<SnapshotRow>;
    submissions_before(netuid: u16, at: Millis) -> Vec<SubmissionRow>;
    weight_run(id: Option<RunId>) -> Option<WeightRunRow>;
    performances(page: PerformancePage) -> Vec<PerformanceRow>;
    newest_periods() -> Vec<(Period, Millis)>;
    average_scores(period: Period, start: Millis) -> AverageScores;
    registrations(ids: Vec<RegistrationId>) -> Vec<RegistrationRow>;
    load(since: Millis) -> Loaded;
    task(id: TaskId) -> Option<TaskRecord>;
    held_by(holder: Holder) -> Vec<TaskRecord>;
    tasks(page: TaskPage) -> Vec<TaskRecord>;
    responses(task: TaskId) -> Vec<ResponseRow>;
    done_after(validator: ValidatorId, after: DonePlace, limit: u64) -> DonePage;
    left_among(validator: ValidatorId, tasks: Vec<TaskId>) -> Vec<TaskRecord>;
    evaluated_by(validator: ValidatorId, limit: u64) -> Vec<EvaluationRow>;
    evaluations(task: TaskId) -> Vec<EvaluationRow>;
    scores(days: ScoreDays) -> ScoreSums;
    summed_hour() -> Option<i64>;
    hour_of_scores(hours: ScoreHours) -> Option<PutHour>;
    score_hours(hours: ScoreHours) -> Vec<ScoreBucket>;
    scored_hours(hours: ScoreHours) -> Vec<ScoredHour>;
    score_days(from_day: i64, to_day: i64) -> Vec<ScoreBucket>;
    work(from_day: i64, to_day: i64) -> Vec<WorkSum>;
    usage(days: UsageDays) -> Vec<UsageRow>;
    file(id: FileId) -> Option<FileRow>;
    file_is_assigned(file: FileId, holder: Holder) -> bool;
    quarantine() -> Vec<QuarantineRow>;
    idempotent(owner: &str, key: &str) -> Option<StandsFor>;
    registration(id: RegistrationId) -> Option<RegistrationRow>;
    registered(uids: Vec<MinerUid>) -> Vec<RegistrationRow>;
    rounds(up_to: i64, limit: u64) -> Vec<RoundRow>;
    reports_at(validator: &Hotkey, signed_order: i64) -> Vec<ReportRow>;
    webhooks(owner: Option<String>, limit: u64) -> Vec<WebhookRow>;
    webhook(id: WebhookId) -> Option<WebhookRow>;
    callback_secret(owner: &str) -> Option<String>;
    deliveries(page: DeliveryPage) -> Vec<DeliveryRow>;
    delivery(id: DeliveryId) -> Option<DeliveryRow>;
    lanes(after: &str, limit: u64) -> Vec<Lane>;
    due(lane: &str, now: Millis, limit: u64) -> Vec<DeliveryRow>;
}

#[tokio::test]
async fn a_dead_singleton_ends_the_server_with_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = super::config();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = folder.path().to_owned();
    config.sweep_millis = 10;
    let store = Arc::new(Faulty { deadly: AtomicBool::new(true), ..Faulty::default() });
    let server = Server::start_on(config, Clock::default(), store).await.unwrap();
    let ended = server.run_until(std::future::pending());
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
    assert!(matches!(ended, Err(AppError::ActorDied("Janitor"))), "{ended:?}");
}

#[test]
fn the_program_fails_with_a_sentence_when_it_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_pithead"))
        .args(["serve", "--listen", "256.0.0.1:80", "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(said.contains("pithead: cannot listen on `256.0.0.1:80`"), "{said}");
}
