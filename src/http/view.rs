//! Rows as JSON: what clients, miners and validators see of tasks.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Web;
use super::error::ApiResult;
use crate::actors::directory::Directory;
use crate::actors::lease::Held;
use crate::domain::agreement::agreement;
use crate::domain::ids::{FileId, MinerUid, RegistrationId};
use crate::domain::kind::KindRegistry;
use crate::domain::lease::HolderKind;
use crate::domain::task::SlotState;
use crate::domain::units::{Millis, Score};
use crate::store::{FileRow, Holder, NEVER, NewTask, ResponseRow, TaskInput, TaskRecord, VoiceRow};

pub(super) fn time(at: Option<Millis>) -> Option<String> {
    at.map(Millis::rfc3339)
}

/// A task with its progress and timeline, for its owner.
pub(super) fn task(record: &TaskRecord, directory: &Directory) -> Value {
    let task = &record.task;
    let leased = |state: &SlotState| state.leased() || *state == SlotState::Answered;
    let assigned = record.slots.iter().filter(|row| leased(&row.state)).count();
    json!({
        "success": true,
        "task_id": task.id,
        "task_type": task.kind,
        "status": record.status(),
        "priority": task.priority,
        "source_language": task.source_language,
        "target_language": task.target_language,
        "model_id": task.model_id,
        "voice_name": task.voice_name,
        "created_at": task.created_at.rfc3339(),
        "deadline": task.deadline.rfc3339(),
        "first_response_at": time(record.first_response_at),
        "finished_at": time(record.finished_at),
        "redundancy": task.slots,
        "best_slot": record.best_slot,
        "retry_of": task.retry_of,
        "callback_url": task.callback_url,
        "progress": {
            "assigned_miners": assigned,
            "miner_responses": record.answered,
            "required_miner_count": task.slots,
            "failed_slots": record.failed,
        },
        "timeline": timeline(record, directory),
    })
}

/// Every attempt at every slot, oldest first.
fn timeline(record: &TaskRecord, directory: &Directory) -> Vec<Value> {
    let who = |holder: Holder| match holder {
        Holder::Miner(id) => json!({ "miner_uid": uid_of(directory, id) }),
        Holder::Validator(id) => json!({ "validator": id }),
    };
    let lost = record.attempts.iter().map(|attempt| {
        let entry = json!({
            "slot": attempt.token.slot,
            "attempt": attempt.token.attempt,
            "holder": who(attempt.holder),
            "granted_at": attempt.granted_at.rfc3339(),
            "fetched_at": time(attempt.fetched_at),
            "ended_at": attempt.ended_at.rfc3339(),
            "outcome": attempt.reason,
        });
        (attempt.granted_at, entry)
    });
    let current = record.slots.iter().filter_map(|row| {
        let granted_at = row.granted_at?;
        // A superseded slot's lease is among the lost ones.
        if row.state == SlotState::Superseded {
            return None;
        }
        let entry = json!({
            "slot": row.slot,
            "attempt": row.attempt,
            "holder": row.holder.map(who),
            "granted_at": granted_at.rfc3339(),
            "fetched_at": time(row.fetched_at),
            "hedge_of": row.hedge_of,
            "expires_at": time(row.expires_at),
            "outcome": row.state,
        });
        Some((granted_at, entry))
    });
    let mut entries: Vec<_> = lost.chain(current).collect();
    entries.sort_by_key(|(at, _)| *at);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn uid_of(directory: &Directory, id: RegistrationId) -> Option<MinerUid> {
    directory.by_registration(id).map(|entry| entry.uid)
}

/// A file, as its readers find it.
pub(super) fn file(row: &FileRow, public_url: &str) -> Value {
    let url = format!("/api/v1/files/{}/download", row.id);
    json!({
        "file_id": row.id,
        "file_name": row.name,
        "content_type": row.content_type,
        "size": row.size,
        "sha256": row.sha256,
        "public_url": format!("{public_url}{url}"),
        "url": url,
        "created_at": row.created_at.rfc3339(),
        "expires_at": time(row.expires_at.filter(|at| *at != NEVER)),
    })
}

/// Files by id, read once each.
#[derive(Default)]
pub(super) struct Files(HashMap<FileId, FileRow>);

impl Files {
    async fn get(&mut self, web: &Web, id: FileId) -> ApiResult<Option<&FileRow>> {
        if !self.0.contains_key(&id)
            && let Some(row) = web.store.file(id).await?
        {
            self.0.insert(id, row);
        }
        Ok(self.0.get(&id))
    }
}

/// A task's input: `input_text` or `input_file`, the other one null.
pub(super) async fn input(
    web: &Web,
    task: &NewTask,
    files: &mut Files,
) -> ApiResult<(Value, Value)> {
    Ok(match &task.input {
        TaskInput::Text(text) => (json!({ "text": text }), Value::Null),
        TaskInput::File(id) => {
            let row = files.get(web, *id).await?;
            (Value::Null, row.map_or(Value::Null, |row| file(row, &web.public_url)))
        }
    })
}

/// A voice, with its sample.
pub(super) async fn voice(web: &Web, voice: &VoiceRow, files: &mut Files) -> ApiResult<Value> {
    let sample = match voice.sample {
        Some(id) => files.get(web, id).await?.map(|row| file(row, &web.public_url)),
        None => None,
    };
    Ok(json!({
        "voice_id": voice.id,
        "name": voice.name,
        "language": voice.language,
        "description": voice.description,
        "sample": sample,
        "shared": voice.shared_at.is_some(),
        "created_at": voice.created_at.rfc3339(),
    }))
}

/// The voice that a task's owner means; `null` for one of the model's own.
pub(super) async fn wanted_voice(web: &Web, task: &NewTask, files: &mut Files) -> ApiResult<Value> {
    let Some(name) = &task.voice_name else { return Ok(Value::Null) };
    match web.store.voice_named(&task.owner, name).await? {
        Some(row) => voice(web, &row, files).await,
        None => Ok(Value::Null),
    }
}

/// A lease as its miner gets it.
pub(super) async fn lease(web: &Web, held: &Held, files: &mut Files) -> ApiResult<Value> {
    let task = &held.brief.task;
    let came = match &task.input {
        TaskInput::File(id) => web.inputs.get(id),
        TaskInput::Text(_) => None,
    };
    let (input_text, input_file) = match came {
        Some(row) => (Value::Null, file(&row, &web.public_url)),
        None => input(web, task, files).await?,
    };
    let voice = wanted_voice(web, task, files).await?;
    Ok(json!({
        "task_id": task.id,
        "task_type": task.kind,
        "status": "assigned",
        "priority": task.priority,
        "source_language": task.source_language,
        "target_language": task.target_language,
        "model_id": task.model_id,
        "voice_name": task.voice_name,
        "voice": voice,
        "deadline": task.deadline.rfc3339(),
        "lease": {
            "token": held.token,
            "attempt": held.token.attempt,
            "expires_at": held.expires_at.rfc3339(),
        },
        "input_text": input_text,
        "input_file": input_file,
    }))
}

/// How far the responses of a task agree, in their order.
pub(super) fn agreements(
    kinds: &KindRegistry,
    kind: &str,
    responses: &[&ResponseRow],
) -> Vec<Option<Score>> {
    let bodies: Vec<&Value> = responses.iter().map(|response| &response.body).collect();
    let keys = kinds.find(kind).map(|(_, kind)| kind.output_keys.as_slice());
    agreement(&bodies, keys.unwrap_or_default())
}

/// All responses of a task, each with how far it agrees with the others.
pub(super) fn responses(kinds: &KindRegistry, kind: &str, rows: &[ResponseRow]) -> Vec<Value> {
    let agreements = agreements(kinds, kind, &rows.iter().collect::<Vec<_>>());
    let one = |(row, agreement): (&ResponseRow, Option<Score>)| {
        let mut value = response(row);
        if let Value::Object(fields) = &mut value {
            let agreement = agreement.map(Score::as_f64);
            fields.insert("agreement".to_owned(), json!(agreement));
        }
        value
    };
    rows.iter().zip(agreements).map(one).collect()
}

/// A response, for the client and for validators.
fn response(row: &ResponseRow) -> Value {
    json!({
        "slot": row.token.slot,
        "attempt": row.token.attempt,
        "miner_uid": row.miner_uid,
        "via_validator": row.holder.kind() == HolderKind::Validator,
        "response_data": row.body,
        "elapsed_ms": row.elapsed_millis,
        "submitted_at": row.created_at.rfc3339(),
    })
}
