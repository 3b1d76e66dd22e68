//! Tasks of any kind in the registry, one by one or many at once.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::submit::{Material, Wish, answer, idempotency_key, known_kind, order};
use crate::domain::ids::FileId;
use crate::domain::kind::TaskKind;
use crate::domain::limits::{BATCH_PARALLEL, BATCH_TASKS_MAX};
use crate::http::Web;
use crate::http::auth::{ClientCaller, UploadCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::{Body, receive};
use crate::store::Nonce;

/// Fields in which a file may come, whatever the kind.
const FILES: [&str; 4] = ["file", "audio_file", "video_file", "document_file"];

/// Takes the kind's name out of the fields.
fn kind_of<'w>(web: &'w Web, fields: &mut Fields) -> ApiResult<&'w TaskKind> {
    let named = fields.name("task_type");
    match fields.need("task_type", named) {
        Some(name) => known_kind(web, &name),
        None => Err(ApiError::field("task_type", "is missing: `GET /api/v1/kinds` lists them")),
    }
}

/// `POST /tasks`: a task of the kind that `task_type` names, with that kind's fields.
pub(super) async fn one(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    caller.may_be_client(&web)?;
    let most = web.kinds.file_bytes_max();
    let (mut fields, file) = receive(&web, &request, payload, &FILES, most).await?;
    let caller = caller.prove_client(&web)?;
    let kind = kind_of(&web, &mut fields)?;
    let kept = fields.parsed("file_id");
    let wish = Wish::read(&web, fields, kind)?;
    let (redundancy, nonce) = (wish.redundancy, caller.nonce.clone());
    let (key, material) = (idempotency_key(&request)?, Material { file, kept });
    let (id, submitted) = order(&web, &caller, nonce, key, kind, wish, material).await?;
    let told = answer(&web, id, redundancy, submitted).await?;
    let place = format!("/api/v1/tasks/{}", told["task_id"].as_str().unwrap_or_default());
    Ok(HttpResponse::Created().insert_header(("location", place)).json(told))
}

/// One task of a batch, read; files are named by the id that `POST /files` gave.
struct Item<'w> {
    kind: &'w TaskKind,
    wish: Wish,
    kept: Option<FileId>,
}

fn item<'w>(web: &'w Web, value: Value) -> ApiResult<Item<'w>> {
    let mut fields = Fields::of(value)?;
    let kind = kind_of(web, &mut fields)?;
    let kept = fields.parsed("file_id");
    Ok(Item { kind, wish: Wish::read(web, fields, kind)?, kept })
}

/// `POST /tasks/batch`: `{"tasks": [..]}`, each with its own result in the same place. With an
/// `Idempotency-Key` each item has the key `<key>/<place>`, so that a batch cut off can be sent
/// again.
pub(super) async fn batch(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let tasks = fields.value("tasks");
    let tasks = match fields.finish("tasks", tasks)? {
        Value::Array(tasks) if (1..=BATCH_TASKS_MAX).contains(&tasks.len()) => tasks,
        _ => {
            let reason = format!("must be a list of 1 to {BATCH_TASKS_MAX} tasks");
            return Err(ApiError::field("tasks", reason));
        }
    };
    let key = idempotency_key(&request)?;
    let items: Vec<_> = tasks.into_iter().map(|value| item(&web, value)).collect();
    // The nonce of a signed request goes with the first task that reaches the store: together they are
    // new, or not.
    let (mut nonce, mut rest) = (caller.nonce.clone(), Vec::with_capacity(items.len()));
    let mut results: Vec<Option<Value>> = Vec::new();
    results.resize_with(items.len(), || None);
    for (place, item) in items.into_iter().enumerate() {
        let key = key.as_ref().map(|key| format!("{key}/{place}"));
        match item {
            Err(error) => put(&mut results, place, refused(&error)),
            Ok(item) if nonce.is_some() => {
                let told = match submit(&web, &caller, nonce.clone(), key, item).await {
                    // A replayed request has no effect at all.
                    Err(error) if error.code() == Code::Replayed => return Err(error),
                    Err(error) => {
                        // The store found the key to be of another task: it has the nonce by then.
                        if error.code() == Code::IdempotencyMismatch {
                            nonce = None;
                        }
                        refused(&error)
                    }
                    Ok(told) => {
                        nonce = None;
                        told
                    }
                };
                put(&mut results, place, told);
            }
            Ok(item) => rest.push((place, key, item)),
        }
    }
    // Many at once, so that they share their commits.
    let (web, caller) = (&web, &caller);
    let mut told = stream::iter(rest)
        .map(
            |(place, key, item)| async move { (place, submit(web, caller, None, key, item).await) },
        )
        .buffer_unordered(BATCH_PARALLEL);
    while let Some((place, told)) = told.next().await {
        put(&mut results, place, told.unwrap_or_else(|error| refused(&error)));
    }
    let results: Vec<Value> = results.into_iter().flatten().collect();
    let accepted = results.iter().filter(|result| result["success"] == true).count();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "accepted": accepted,
        "refused": results.len() - accepted,
        "results": results,
    })))
}

fn put(results: &mut [Option<Value>], place: usize, result: Value) {
    if let Some(slot) = results.get_mut(place) {
        *slot = Some(result);
    }
}

fn refused(error: &ApiError) -> Value {
    json!({
        "success": false,
        "code": error.code().as_str(),
        "detail": error.message(),
        "field": error.first_field(),
    })
}

async fn submit(
    web: &Web,
    caller: &ClientCaller,
    nonce: Option<Nonce>,
    key: Option<String>,
    Item { kind, wish, kept }: Item<'_>,
) -> ApiResult<Value> {
    let redundancy = wish.redundancy;
    let material = Material { file: None, kept };
    let (id, submitted) = order(web, caller, nonce, key, kind, wish, material).await?;
    answer(web, id, redundancy, submitted).await
}
