//! Commands with defaults, and short names for ids and moments.

use std::sync::Arc;

use pithead::domain::ids::{
    FileId, Hotkey, LeaseToken, MinerUid, RegistrationId, ReportId, TaskId, ValidatorId, VoiceId,
    WebhookId,
};
use pithead::domain::lease::{LeasePolicy, LossReason};
use pithead::domain::task::Priority;
use pithead::domain::units::{Millis, Score};
use pithead::store::*;
use serde_json::json;
use uuid::Uuid;

/// So many seconds after the beginning of the test.
pub(super) fn at(secs: i64) -> Millis {
    Millis(1_000_000_000 + secs * 1_000)
}

pub(super) fn task_id(n: u128) -> TaskId {
    TaskId(Uuid::from_u128(0x7a_0000 + n))
}

pub(super) fn registration_id(n: u128) -> RegistrationId {
    RegistrationId(Uuid::from_u128(0x3e_0000 + n))
}

pub(super) fn validator_id(n: u128) -> ValidatorId {
    ValidatorId(Uuid::from_u128(0x5a_0000 + n))
}

pub(super) fn webhook_id(n: u128) -> WebhookId {
    WebhookId(Uuid::from_u128(0x3b_0000 + n))
}

pub(super) fn file_id(n: u128) -> FileId {
    FileId(Uuid::from_u128(0xf1_0000 + n))
}

pub(super) fn report_id(n: u128) -> ReportId {
    ReportId(Uuid::from_u128(0x4e_0000 + n))
}

pub(super) fn hotkey(name: &str) -> Hotkey {
    name.parse().unwrap()
}

pub(super) fn miner(n: u128) -> Holder {
    Holder::Miner(registration_id(n))
}

pub(super) fn validator(n: u128) -> Holder {
    Holder::Validator(validator_id(n))
}

pub(super) fn token(task: u128, slot: u16, attempt: u16) -> LeaseToken {
    LeaseToken { task: task_id(task), slot, attempt }
}

pub(super) fn nonce(n: i64) -> Option<Nonce> {
    Some(Nonce { hotkey: hotkey("signer"), nonce: n, seen_at: at(n) })
}

pub(super) fn share(hundredths: i64) -> Score {
    Score::clamped(hundredths * 10_000)
}

/// Few attempts and no long pauses.
pub(super) fn policy() -> LeasePolicy {
    LeasePolicy { attempts_max: 2, ..LeasePolicy::default() }
}

/// A task of `alice` with so many slots, all of which must answer, within an hour.
pub(super) fn task(n: u128, slots: u16) -> NewTask {
    NewTask {
        id: task_id(n),
        owner: "alice".to_owned(),
        kind: "transcription".to_owned(),
        priority: Priority::Normal,
        slots,
        enough: slots,
        min_responses: 1,
        source_language: "en".to_owned(),
        target_language: None,
        model_id: None,
        voice_name: None,
        input: TaskInput::Text("a text".to_owned()),
        run_millis: 120_000,
        created_at: at(0),
        deadline: at(3_600),
        retry_of: None,
        start_at: at(0),
        adaptive: None,
        callback_url: None,
    }
}

pub(super) fn enqueue(task: NewTask) -> Enqueue {
    Enqueue { task, file: None, input_units: 6, idempotency: None, nonce: None }
}

/// A lease that goes out at once and lives two minutes.
pub(super) fn grant(slot: u16, attempt: u16, holder: Holder) -> Grant {
    Grant { slot, attempt, holder, fetched: true, expires_at: at(120) }
}

/// A lease that must be fetched within half a minute.
pub(super) fn offer(slot: u16, attempt: u16, holder: Holder) -> Grant {
    Grant { fetched: false, expires_at: at(30), ..grant(slot, attempt, holder) }
}

pub(super) fn assign(task: u128, grants: impl Into<Vec<Grant>>) -> Assign {
    Assign { task: task_id(task), grants: grants.into(), now: at(0) }
}

pub(super) fn fetch(holder: Holder, leases: impl Into<Vec<LeaseToken>>, now: Millis) -> Fetch {
    let leases = leases.into().into_iter().map(|token| (token, now.plus(120_000))).collect();
    Fetch { holder, leases, now }
}

pub(super) fn heartbeat(token: LeaseToken, holder: Holder, until: Millis) -> Heartbeat {
    Heartbeat { token, holder, until, nonce: None }
}

/// An answer that says `word`.
pub(super) fn respond(token: LeaseToken, holder: Holder, word: &str, now: Millis) -> Respond {
    let mut body_hash = [0; 32];
    body_hash.iter_mut().zip(word.bytes()).for_each(|(to, from)| *to = from);
    Respond {
        token,
        holder,
        registration: holder.miner(),
        miner_uid: MinerUid(7),
        body: Arc::new(json!({ "transcript": word, "words": [1, 2.5, null] })),
        body_hash,
        claims: Some(json!({ "accuracy": 1 })),
        now,
        nonce: None,
    }
}

pub(super) fn release(token: LeaseToken, holder: Holder, reason: LossReason) -> Release {
    Release { token, holder, reason, policy: policy(), now: at(10), nonce: None }
}

pub(super) fn cancel(task: u128) -> Cancel {
    Cancel { task: task_id(task), owner: "alice".to_owned(), now: at(50) }
}

pub(super) fn sweep(now: Millis) -> Sweep {
    Sweep { now, policy: policy(), rows_max: 100 }
}

/// Judgements by slot, in hundredths; one validator suffices.
pub(super) fn evaluate(task: u128, by: u128, accuracies: &[(u16, i64)]) -> Evaluate {
    let row = |&(slot, hundredths)| JudgementRow { slot, accuracy: share(hundredths), whole: true };
    Evaluate {
        task: task_id(task),
        validator: validator_id(by),
        judgements: accuracies.iter().map(row).collect(),
        quorum: 1,
        weight: share(50),
        now: at(200),
        nonce: None,
    }
}

/// The miner `n` at uid `n`.
pub(super) fn register(n: u128, capacity: u32) -> Register {
    Register {
        id: registration_id(n),
        netuid: 49,
        uid: MinerUid(u16::try_from(n).unwrap()),
        hotkey: hotkey(&format!("miner{n}")),
        registered_block: 0,
        coldkey: None,
        capacity,
        policy: policy(),
        now: at(0),
    }
}

pub(super) fn file(n: u128) -> PutFile {
    let file = FileRow {
        id: file_id(n),
        owner: "alice".to_owned(),
        sha256: "ab".repeat(32),
        size: 3,
        content_type: "audio/wav".to_owned(),
        name: "a.wav".to_owned(),
        created_at: at(0),
        task: None,
        expires_at: Some(at(86_400)),
    };
    PutFile { file, idempotency: None, nonce: None }
}

pub(super) fn voice_id(n: u128) -> VoiceId {
    VoiceId(Uuid::from_u128(0x70_0000 + n))
}

/// A voice of `alice`, without a sample.
pub(super) fn voice(n: u128, name: &str) -> PutVoice {
    let voice = VoiceRow {
        id: voice_id(n),
        owner: "alice".to_owned(),
        name: name.to_owned(),
        language: "en".to_owned(),
        description: None,
        sample: None,
        created_at: at(0),
        shared_at: None,
    };
    PutVoice { voice, voices_max: 3, idempotency: None, nonce: None }
}

/// A full report of validator `by`, signed and received at `secs`.
pub(super) fn report(n: u128, by: u128, secs: i64) -> PutReport {
    let report = ReportRow {
        id: report_id(n),
        validator: validator_id(by),
        signed_order: secs,
        epoch: 12,
        sequence: Some(1),
        partial: false,
        received_at: at(secs),
        statuses: 2,
        body_hash: [3; 32],
        body: b"[{\"uid\":1},{\"uid\":2}]".to_vec(),
    };
    PutReport { report, nonce: None }
}

pub(super) fn known_validator(n: u128) -> ValidatorRow {
    let hotkey = hotkey(&format!("validator{n}"));
    ValidatorRow { id: validator_id(n), hotkey, uid: 3, created_at: at(0), track: None }
}

/// Takes in task `n` with so many slots and leases them, fetched, to miners 1, 2, .. of capacity 9.
pub(super) async fn leased(store: &dyn Store, n: u128, slots: u16) {
    store.enqueue(enqueue(task(n, slots))).await.unwrap();
    lease(store, n, slots).await;
}

/// Leases the slots of task `n` to miners 1, 2, .. of capacity 9.
pub(super) async fn lease(store: &dyn Store, n: u128, slots: u16) {
    for slot in 0..slots {
        store.register(register(u128::from(slot) + 1, 9)).await.unwrap();
    }
    let grants: Vec<_> =
        (0..slots).map(|slot| grant(slot, 1, miner(u128::from(slot) + 1))).collect();
    let granted = store.assign(assign(n, grants)).await.unwrap();
    assert!(granted.iter().all(|g| *g == Granted::Yes), "{granted:?}");
}

/// As [`leased`], and then answered by all within 10, 20, .. seconds.
pub(super) async fn done(store: &dyn Store, n: u128, slots: u16) {
    leased(store, n, slots).await;
    for slot in 0..slots {
        let holder = miner(u128::from(slot) + 1);
        let answer = respond(token(n, slot, 1), holder, "word", at(10 * (i64::from(slot) + 1)));
        let taken = store.respond(answer).await.unwrap();
        assert!(matches!(taken, Responded::Accepted { .. }), "{taken:?}");
    }
}

/// A miner's leases by its counter.
pub(super) async fn live(store: &dyn Store, n: u128) -> u32 {
    store.registration(registration_id(n)).await.unwrap().unwrap().live
}

/// A task as it stands.
pub(super) async fn record(store: &dyn Store, n: u128) -> TaskRecord {
    store.task(task_id(n)).await.unwrap().unwrap()
}

pub(super) fn kind_record(n: u128, kind: &str, secs: i64) -> KindRecordRow {
    KindRecordRow {
        registration: registration_id(n),
        kind: kind.to_owned(),
        body: serde_json::json!({ "answered": secs, "latency": [1, secs] }),
        updated_at: at(secs),
    }
}

/// An endpoint of `alice` that wants to hear everything; at most three of hers are taken.
pub(super) fn webhook(n: u128) -> PutWebhook {
    let webhook = WebhookRow {
        id: webhook_id(n),
        owner: "alice".to_owned(),
        url: format!("https://endpoint{n}.example/hook"),
        events: String::new(),
        secret: format!("whsec_{n}"),
        old_secret: None,
        old_until: None,
        created_at: at(0),
        disabled_at: None,
        disabled_reason: None,
    };
    PutWebhook { webhook, owned_max: 3, nonce: None }
}

/// How a try to deliver went that got this answer.
pub(super) fn tried(status: u16, now: Millis) -> Tried {
    let error = (status != 200).then(|| "refused".to_owned());
    Tried { at: now, status: Some(status), error, answer: Some("words".to_owned()) }
}

/// Forgets nothing.
pub(super) const FORGET_NOTHING: Prune = Prune {
    nonces: Millis(0),
    idempotency: Millis(0),
    reports: Millis(0),
    deliveries: Millis(0),
    scores: Millis(0),
    hours: Millis(0),
    days: Millis(0),
};

/// A score that a validator pushes.
pub(super) fn pushed(n: u128, kind: &str, scored_at: Millis, percent: i64) -> PushedScore {
    let registration = registration_id(n);
    let (kind, score) = (kind.to_owned(), share(percent));
    PushedScore { registration, kind, scored_at, score, block: None }
}

pub(super) fn put_scores(by: u128, scores: &[PushedScore]) -> PutScores {
    PutScores { validator: validator_id(by), scores: scores.to_vec(), now: at(0), nonce: None }
}
