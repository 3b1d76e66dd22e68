//! Clients follow their tasks.

use std::time::Duration;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::submit::{answer, idempotency_key, takes_tasks};
use crate::actors::distributor::{CancelTask, Submit, Watch, Watched};
use crate::domain::agreement::most_agreed;
use crate::domain::ids::TaskId;
use crate::domain::limits::{PAGE_MAX, WAIT_SECS_MAX};
use crate::domain::task::{Completion, TaskState, TaskStatus};
use crate::http::auth::ClientCaller;
use crate::http::auth::keys::key_of;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::room::{Room, before, hand_in_once, room};
use crate::http::{Web, view};
use crate::store::{
    Cancelled, Hash, Idempotency, NewTask, Replication, ResponseRow, TaskInput, TaskPage,
    TaskRecord,
};

/// A task id from a path; what is no id is no task.
pub(super) fn task_id(text: &str) -> ApiResult<TaskId> {
    text.parse().map_err(|_| ApiError::not_found("task"))
}

/// A whole number of the query, within a range.
pub(super) fn number(name: &str, text: Option<&str>, min: i64, max: i64) -> ApiResult<Option<i64>> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(ApiError::field(name, format!("must be a whole number from {min} to {max}"))),
    }
}

pub(super) async fn own(web: &Web, caller: &ClientCaller, id: &str) -> ApiResult<TaskRecord> {
    let record = web.store.task(task_id(id)?).await?;
    let own = record.filter(|record| caller.sees(&record.task.owner));
    own.ok_or_else(|| ApiError::not_found("task"))
}

/// `GET /task/{id}/status`.
pub(super) async fn status(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let record = own(&web, &caller, &id).await?;
    Ok(HttpResponse::Ok().json(view::task(&record, &web.directory)))
}

#[derive(Deserialize)]
pub(super) struct Wait {
    wait: Option<String>,
}

/// `GET /tasks/{id}?wait=`: waits until the task has ended.
pub(super) async fn show(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<Wait>,
) -> ApiResult {
    let wait = number("wait", query.wait.as_deref(), 0, WAIT_SECS_MAX)?.unwrap_or(0);
    let mut record = own(&web, &caller, &id).await?;
    if wait > 0 && !record.state.ended() {
        match web.distributor.send(Watch(record.task.id)).await? {
            Watched::Later(ended) => {
                let parked = web.gate.park(&request, web.clock.now())?;
                let limit = Duration::from_secs(wait.unsigned_abs());
                // Ended or not, the row tells.
                tokio::time::timeout(limit, ended).await.ok();
                drop(parked);
                // Its key may have been taken back while it waited.
                web.keys.still(key_of(&request).as_deref(), web.clock.now())?;
            }
            Watched::NotOpen => {}
            Watched::Full => return Err(ApiError::full("too many wait for this task")),
        }
        record = own(&web, &caller, &id).await?;
    }
    Ok(HttpResponse::Ok().json(view::task(&record, &web.directory)))
}

#[derive(Deserialize)]
pub(super) struct List {
    limit: Option<String>,
    cursor: Option<String>,
    status: Option<String>,
    task_type: Option<String>,
}

/// `GET /tasks`: the caller's own, newest first.
pub(super) async fn list(web: Data<Web>, caller: ClientCaller, query: Query<List>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50).unsigned_abs();
    let before = query.cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| ApiError::field("cursor", "is none that a list gave"))?;
    let status: Option<TaskStatus> = query.status.as_deref().map(str::parse).transpose().map_err(
        |error: crate::domain::ids::BadId| ApiError::field("status", format!("is wrong: {error}")),
    )?;
    let page = TaskPage {
        owner: (!caller.admin).then_some(caller.owner),
        states: status.map(state_of).into_iter().collect(),
        kind: query.task_type.as_deref().map(|kind| kind.replace('-', "_")),
        before,
        limit,
    };
    let records = web.store.tasks(page).await?;
    let full = records.len() as u64 == limit;
    let cursor = records.last().filter(|_| full).map(|record| record.task.id);
    let shown = records.iter().filter(|record| status.is_none_or(|s| record.status() == s));
    let tasks: Vec<_> = shown.map(|record| view::task(record, &web.directory)).collect();
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "count": tasks.len(), "tasks": tasks, "next_cursor": cursor,
    })))
}

const fn state_of(status: TaskStatus) -> TaskState {
    match status {
        TaskStatus::Pending | TaskStatus::Distributed | TaskStatus::Processing => TaskState::Open,
        TaskStatus::Done => TaskState::Done,
        TaskStatus::Approved => TaskState::Approved,
        TaskStatus::Failed => TaskState::Failed,
        TaskStatus::Cancelled => TaskState::Cancelled,
        TaskStatus::Expired => TaskState::Expired,
    }
}

/// `GET /{kind}/{id}/result`: the best response, or the first while none is known to be best.
pub(super) async fn result(
    web: Data<Web>,
    caller: ClientCaller,
    path: Path<(String, String)>,
) -> ApiResult {
    let (kind, id) = path.into_inner();
    let record = own(&web, &caller, &id).await?;
    if web.kinds.find(&kind).is_none_or(|(_, kind)| kind.name != record.task.kind) {
        return Err(ApiError::not_found("task of this kind"));
    }
    let responses = web.store.responses(record.task.id).await?;
    let best = match record.best_slot {
        Some(slot) => responses.iter().find(|response| response.token.slot == slot),
        None => unjudged(&web, &record, &responses),
    };
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "task_id": record.task.id,
        "task_type": record.task.kind,
        "status": record.status(),
        "result": best.map(|response| &response.body),
        "miner_uid": best.map(|response| response.miner_uid),
        "elapsed_ms": best.map(|response| response.elapsed_millis),
        "responses_count": responses.len(),
    })))
}

/// The response to show while none is known to be best: of three or more that can be compared the one
/// that agrees best with the others, once all are there; else the first.
fn unjudged<'r>(
    web: &Web,
    record: &TaskRecord,
    responses: &'r [ResponseRow],
) -> Option<&'r ResponseRow> {
    let mut early: Vec<&ResponseRow> = responses.iter().collect();
    early.sort_by_key(|response| response.created_at);
    if !record.state.ended() {
        return early.first().copied();
    }
    let agreed = most_agreed(&view::agreements(&web.kinds, &record.task.kind, &early));
    early.get(agreed.unwrap_or(0)).copied()
}

/// `GET /task/{id}/responses`: all responses with their scores.
pub(super) async fn responses(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let record = own(&web, &caller, &id).await?;
    let evaluations = web.store.evaluations(record.task.id).await?;
    let responses = web.store.responses(record.task.id).await?;
    let mut shown = view::responses(&web.kinds, &record.task.kind, &responses);
    for (response, value) in responses.iter().zip(&mut shown) {
        let own = evaluations.iter().filter(|e| e.slot == response.token.slot);
        let scores: Vec<_> = own.map(|e| json!({ "score": e.score.as_f64() })).collect();
        if let Value::Object(fields) = value {
            fields.insert("evaluations".to_owned(), Value::Array(scores));
        }
    }
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "task_id": record.task.id,
        "status": record.status(),
        "best_slot": record.best_slot,
        "responses": shown,
    })))
}

/// `POST /tasks/{id}/retry`: a task that failed, expired or was cancelled, once more as a new one
/// with the same input and wishes, and as much time.
pub(super) async fn retry(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    id: Path<String>,
) -> ApiResult {
    takes_tasks(&web)?;
    let record = own(&web, &caller, &id).await?;
    if !matches!(record.state, TaskState::Failed | TaskState::Expired | TaskState::Cancelled) {
        return Err(ApiError::new(
            Code::Conflict,
            format!(
                "only what failed, expired or was cancelled is tried again; this task is `{}`",
                record.status()
            ),
        ));
    }
    let old = record.task;
    let input_units = match &old.input {
        TaskInput::Text(text) => text.chars().count() as u64,
        TaskInput::File(id) => {
            let row = web.store.file(*id).await?;
            let row = row.ok_or_else(|| ApiError::gone("the file of the task"))?;
            web.lasts(&row)?;
            row.size
        }
    };
    let input_units = i64::try_from(input_units).unwrap_or(i64::MAX);
    let key = idempotency_key(&request)?;
    let body_hash: Hash = Sha256::digest(format!("retry {}", old.id)).into();
    let adaptive = old.adaptive.is_some();
    let Replication { slots: wished, enough } =
        old.adaptive.unwrap_or(Replication { slots: old.slots, enough: old.enough });
    let completion = match enough {
        1 if wished > 1 => Completion::First,
        enough if enough < wished => Completion::Quorum(enough),
        _ => Completion::All,
    };
    let (new, nonce) = (TaskId(uuid::Uuid::now_v7()), caller.nonce);
    let submitted = match room(&web, &old.owner, key.as_deref()).await? {
        Room::None(known) => before(&web, known, body_hash, nonce).await?,
        Room::For(now, place) => {
            let task = NewTask {
                id: new,
                slots: wished,
                created_at: now,
                start_at: now,
                deadline: now.plus(old.deadline.since(old.start_at)),
                retry_of: Some(old.id),
                ..old
            };
            let idempotency = key.map(|key| Idempotency { key, body_hash });
            let file = None;
            let submit =
                Submit { task, file, completion, adaptive, input_units, idempotency, nonce };
            hand_in_once(&web, submit, place).await?
        }
    };
    let mut told = answer(&web, new, wished, submitted).await?;
    let place = format!("/api/v1/tasks/{}", told["task_id"].as_str().unwrap_or_default());
    if let Value::Object(fields) = &mut told {
        fields.insert("retry_of".to_owned(), json!(id.as_str()));
    }
    Ok(HttpResponse::Created().insert_header(("location", place)).json(told))
}

fn ended(state: TaskState) -> ApiError {
    ApiError::new(Code::Conflict, format!("the task has ended already: it is `{state}`"))
}

/// `DELETE /tasks/{id}`.
pub(super) async fn cancel(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let record = own(&web, &caller, &id).await?;
    let cancel = CancelTask { task: record.task.id, owner: record.task.owner };
    let outcome = web.distributor.send(cancel).await??;
    match outcome {
        // An archived task is none of the store's commands any more.
        Cancelled::NotFound if record.state.ended() => Err(ended(record.state)),
        Cancelled::Done(_) => Ok(HttpResponse::Ok().json(json!({
            "success": true, "task_id": record.task.id, "status": "cancelled",
        }))),
        Cancelled::Ended(state) => Err(ended(state)),
        Cancelled::NotFound => Err(ApiError::not_found("task")),
    }
}
