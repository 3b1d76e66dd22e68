//! Between rows of the entities and the store's values. A row that cannot be read is an error, never
//! a panic: [`StoreError::Corrupt`].

use std::str::FromStr;

use pithead_entities as e;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, QueryResult, Select, TryGetable};
use uuid::Uuid;

use crate::domain::ids::{
    DeliveryId, FileId, Hotkey, LeaseToken, MinerUid, RegistrationId, ReportId, TaskId,
    ValidatorId, WebhookId,
};
use crate::domain::lease::HolderKind;
use crate::domain::miner::Record;
use crate::domain::units::{Millis, Score};
use crate::store::{
    AttemptRow, DeliveryRow, EvaluationRow, FileRow, Hash, Holder, KeyLimits, KeyRow,
    KindRecordRow, NewTask, RegistrationRow, Replication, ReportRow, ResponseRow, RoundRow,
    SlotRow, StoreError, StoreResult, TaskInput, TaskRecord, Tried, ValidatorRow, VerdictRow,
    WebhookRow,
};

/// A database error on a path where nothing can have been committed.
pub(super) fn unavailable(error: DbErr) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn corrupt(what: &str, got: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: `{got}`"))
}

/// The row that a key names. No `LIMIT`: its value is bound, and SQLite would plan the statement anew
/// at each run to see whether the value changes anything.
pub(super) async fn one<E: EntityTrait>(
    db: &impl ConnectionTrait,
    by_key: Select<E>,
) -> Result<Option<E::Model>, DbErr> {
    Ok(by_key.all(db).await?.pop())
}

/// A column of a raw row, by place.
pub(super) fn get<T: TryGetable>(row: &QueryResult, place: usize) -> Result<T, DbErr> {
    row.try_get_by_index(place)
}

pub(super) fn text<T: FromStr>(what: &str, text: &str) -> StoreResult<T> {
    text.parse().map_err(|_| corrupt(what, text))
}

pub(super) fn small<T: TryFrom<i32>>(what: &str, value: i32) -> StoreResult<T> {
    T::try_from(value).map_err(|_| corrupt(what, value))
}

fn hash(bytes: &[u8]) -> StoreResult<Hash> {
    Hash::try_from(bytes).map_err(|_| corrupt("hash", bytes.len()))
}

pub(super) fn holder(kind: &str, id: Uuid) -> StoreResult<Holder> {
    Ok(Holder::from_row(text::<HolderKind>("holder_kind", kind)?, id))
}

pub(super) fn token(task: Uuid, slot: i32, attempt: i32) -> StoreResult<LeaseToken> {
    Ok(LeaseToken {
        task: TaskId(task),
        slot: small("slot", slot)?,
        attempt: small("attempt", attempt)?,
    })
}

pub(super) fn registration(row: e::registration::Model) -> StoreResult<RegistrationRow> {
    Ok(RegistrationRow {
        id: RegistrationId(row.id),
        uid: MinerUid(small("uid", row.uid)?),
        hotkey: text("hotkey", &row.hotkey)?,
        registered_block: row.registered_block,
        coldkey: row.coldkey.map(|key| text::<Hotkey>("coldkey", &key)).transpose()?,
        capacity: small("capacity", row.capacity)?,
        live: small("live", row.live)?,
        record: Record {
            answered: row.answered,
            lost: row.lost,
            scored: row.scored,
            score_sum: row.score_sum,
        },
        opened_at: Millis(row.opened_at),
        closed_at: row.closed_at.map(Millis),
    })
}

pub(super) fn slot(row: &e::slot::Model) -> StoreResult<SlotRow> {
    let holder = match (&row.holder_kind, row.holder) {
        (Some(kind), Some(id)) => Some(holder(kind, id)?),
        _ => None,
    };
    Ok(SlotRow {
        slot: small("slot", row.slot)?,
        state: text("slot state", &row.state)?,
        attempt: small("attempt", row.attempt)?,
        failures: small("failures", row.failures)?,
        not_before: Millis(row.not_before),
        holder,
        granted_at: row.granted_at.map(Millis),
        fetched_at: row.fetched_at.map(Millis),
        expires_at: row.expires_at.map(Millis),
        hedge_of: row.hedge_of.map(|slot| small("hedge_of", slot)).transpose()?,
        hedged_by: row.hedged_by.map(|slot| small("hedged_by", slot)).transpose()?,
    })
}

pub(super) fn attempt(row: &e::attempt::Model) -> StoreResult<AttemptRow> {
    Ok(AttemptRow {
        token: token(row.task_id, row.slot, row.attempt)?,
        holder: holder(&row.holder_kind, row.holder)?,
        reason: text("reason", &row.reason)?,
        granted_at: Millis(row.granted_at),
        fetched_at: row.fetched_at.map(Millis),
        ended_at: Millis(row.ended_at),
    })
}

/// A task without its slots and attempts, which the caller adds.
pub(super) fn task(row: e::task::Model) -> StoreResult<TaskRecord> {
    let input = match (row.input_text, row.input_file) {
        (Some(text), None) => TaskInput::Text(text),
        (None, Some(file)) => TaskInput::File(FileId(file)),
        _ => return Err(corrupt("task input", row.id)),
    };
    let adaptive = match (row.adaptive_slots, row.adaptive_enough) {
        (Some(slots), Some(enough)) => Some(Replication {
            slots: small("adaptive_slots", slots)?,
            enough: small("adaptive_enough", enough)?,
        }),
        _ => None,
    };
    Ok(TaskRecord {
        state: text("task state", &row.state)?,
        answered: small("answered", row.answered)?,
        failed: small("failed", row.failed)?,
        first_response_at: row.first_response_at.map(Millis),
        finished_at: row.finished_at.map(Millis),
        best_slot: row.best_slot.map(|slot| small("best_slot", slot)).transpose()?,
        slots: Vec::new(),
        attempts: Vec::new(),
        task: NewTask {
            id: TaskId(row.id),
            owner: row.owner,
            kind: row.kind,
            priority: text("priority", &row.priority)?,
            slots: small("slots", row.slots)?,
            enough: small("enough", row.enough)?,
            min_responses: small("min_responses", row.min_responses)?,
            source_language: row.source_language,
            target_language: row.target_language,
            model_id: row.model_id,
            voice_name: row.voice_name,
            input,
            run_millis: row.run_millis,
            created_at: Millis(row.created_at),
            deadline: Millis(row.deadline),
            start_at: Millis(row.start_at.unwrap_or(row.created_at)),
            adaptive,
            retry_of: row.retry_of.map(TaskId),
            callback_url: row.callback_url,
        },
    })
}

/// A response; the kind of its holder follows from whether the miner itself held the lease.
pub(super) fn response(row: e::response::Model) -> StoreResult<ResponseRow> {
    let by_miner = row.registration_id == Some(row.holder);
    let kind = if by_miner { HolderKind::Miner } else { HolderKind::Validator };
    Ok(ResponseRow {
        token: token(row.task_id, row.slot, row.attempt)?,
        holder: Holder::from_row(kind, row.holder),
        registration: row.registration_id.map(RegistrationId),
        miner_uid: MinerUid(small("miner_uid", row.miner_uid)?),
        body: row.body,
        body_hash: hash(&row.body_hash)?,
        claims: row.claims,
        elapsed_millis: row.elapsed_millis,
        created_at: Millis(row.created_at),
    })
}

pub(super) fn evaluation(row: &e::evaluation::Model) -> StoreResult<EvaluationRow> {
    Ok(EvaluationRow {
        task: TaskId(row.task_id),
        slot: small("slot", row.slot)?,
        validator: ValidatorId(row.validator_id),
        accuracy: Score::clamped(row.accuracy),
        whole: row.whole,
        score: Score::clamped(row.score),
        reward: Score::clamped(row.reward),
        created_at: Millis(row.created_at),
    })
}

pub(super) fn validator(row: &e::validator::Model) -> StoreResult<ValidatorRow> {
    Ok(ValidatorRow {
        id: ValidatorId(row.id),
        hotkey: text("hotkey", &row.hotkey)?,
        uid: small("uid", row.uid)?,
        created_at: Millis(row.created_at),
        track: row.track.clone(),
    })
}

pub(super) fn round(row: e::round::Model) -> StoreResult<RoundRow> {
    let body = zstd::decode_all(row.body.as_slice())
        .map_err(|error| corrupt("round", format!("{} ({error})", row.round)))?;
    Ok(RoundRow { round: row.round, closed_at: Millis(row.closed_at), body })
}

pub(super) fn report(row: e::report::Model) -> StoreResult<ReportRow> {
    let body = zstd::decode_all(row.body.as_slice())
        .map_err(|error| corrupt("report body", format!("{} ({error})", row.id)))?;
    Ok(ReportRow {
        id: ReportId(row.id),
        validator: ValidatorId(row.validator_id),
        signed_order: row.signed_order,
        epoch: row.epoch,
        sequence: row.sequence,
        partial: row.partial,
        received_at: Millis(row.received_at),
        statuses: small("statuses", row.statuses)?,
        body_hash: hash(&row.body_hash)?,
        body,
    })
}

pub(super) fn verdict(row: e::verdict::Model) -> StoreResult<VerdictRow> {
    Ok(VerdictRow { uid: MinerUid(small("uid", row.uid)?), round: row.round, body: row.body })
}

pub(super) fn file(row: e::file::Model) -> StoreResult<FileRow> {
    Ok(FileRow {
        id: FileId(row.id),
        owner: row.owner,
        sha256: row.sha256,
        size: u64::try_from(row.size).map_err(|_| corrupt("file size", row.size))?,
        content_type: row.content_type,
        name: row.name,
        created_at: Millis(row.created_at),
        task: row.task_id.map(TaskId),
        expires_at: row.expires_at.map(Millis),
    })
}

pub(super) fn kind_record(row: e::miner_kind_record::Model) -> KindRecordRow {
    KindRecordRow {
        registration: RegistrationId(row.registration_id),
        kind: row.kind,
        body: row.body,
        updated_at: Millis(row.updated_at),
    }
}

fn key_limit(stored: Option<i64>) -> StoreResult<Option<u32>> {
    let odd = |_| StoreError::Corrupt("a key's limit is out of range".to_owned());
    stored.map(u32::try_from).transpose().map_err(odd)
}

pub(super) fn key(row: e::api_key::Model) -> StoreResult<KeyRow> {
    Ok(KeyRow {
        secret_hash: hash(&row.secret_hash)?,
        id: row.id,
        name: row.name,
        scopes: row.scopes,
        created_at: Millis(row.created_at),
        expires_at: row.expires_at.map(Millis),
        revoked_at: row.revoked_at.map(Millis),
        old_secret_hash: row.old_secret_hash.as_deref().map(hash).transpose()?,
        old_secret_until: row.old_secret_until.map(Millis),
        rotated_at: row.rotated_at.map(Millis),
        limits: KeyLimits {
            requests_per_minute: key_limit(row.requests_per_minute)?,
            in_flight: key_limit(row.in_flight)?,
            tasks_per_day: key_limit(row.tasks_per_day)?,
        },
    })
}

pub(super) fn webhook(row: e::webhook::Model) -> WebhookRow {
    WebhookRow {
        id: WebhookId(row.id),
        owner: row.owner,
        url: row.url,
        events: row.events,
        secret: row.secret,
        old_secret: row.old_secret,
        old_until: row.old_until.map(Millis),
        created_at: Millis(row.created_at),
        disabled_at: row.disabled_at.map(Millis),
        disabled_reason: row.disabled_reason,
    }
}

pub(super) fn delivery(row: e::delivery::Model) -> StoreResult<DeliveryRow> {
    let status = row.last_status.map(|status| small("last_status", status)).transpose()?;
    let (error, answer) = (row.last_error, row.last_answer);
    let tried = row.tried_at.map(|at| Tried { at: Millis(at), status, error, answer });
    Ok(DeliveryRow {
        id: DeliveryId(row.id),
        owner: row.owner,
        lane: row.lane,
        event: text("event", &row.event)?,
        status: text("status", &row.status)?,
        webhook: row.webhook_id.map(WebhookId),
        url: row.url,
        task: TaskId(row.task_id),
        responses: small("responses", row.responses)?,
        created_at: Millis(row.created_at),
        attempts: small("attempts", row.attempts)?,
        next_at: row.next_at.map(Millis),
        delivered_at: row.delivered_at.map(Millis),
        given_up_at: row.given_up_at.map(Millis),
        tried,
    })
}
