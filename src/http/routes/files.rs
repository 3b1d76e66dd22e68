//! Files in and out.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::submit::idempotency_key;
use crate::actors::miner::Find;
use crate::domain::ids::{FileId, TaskId};
use crate::domain::kind::Input;
use crate::http::auth::{AnyCaller, ClientCaller, MinerCaller, UploadCaller, ValidatorCaller};
use crate::http::error::{ApiError, ApiResult};
use crate::http::fields::Fields;
use crate::http::upload::{FilePart, Keep, receive};
use crate::http::{Web, download, view};
use crate::store::{FileRow, Holder, VoiceRow};

fn missing(field: &str) -> ApiError {
    ApiError::field(field, "is missing: send it as a multipart file")
}

/// `POST /files`: a client's file.
pub(super) async fn upload(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    caller.may_be_client(&web)?;
    let most = web.kinds.file_bytes_max();
    let (fields, file) = receive(&web, &request, payload, &["file"], most).await?;
    let caller = caller.prove_client(&web)?;
    fields.done()?;
    let key = idempotency_key(&request)?;
    let file = file.ok_or_else(|| missing("file"))?;
    let content_type = any_media(&file)?;
    let keep = Keep { key, nonce: caller.nonce, ..Keep::new(content_type, caller.owner) };
    let row = file.keep(&web, keep).await?;
    Ok(created(&web, &row, Vec::new()))
}

/// The type of a file that may be sound, film or text.
fn any_media(file: &FilePart) -> ApiResult<String> {
    file.content_type(Input::Audio)
        .or_else(|_| file.content_type(Input::Video))
        .or_else(|_| file.content_type(Input::Document))
}

fn created(web: &Web, row: &FileRow, more: Vec<(&str, Value)>) -> HttpResponse {
    let mut value = view::file(row, &web.public_url);
    if let Value::Object(fields) = &mut value {
        fields.insert("success".to_owned(), Value::Bool(true));
        fields.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    let place = format!("/api/v1/files/{}", row.id);
    HttpResponse::Created().insert_header(("location", place)).json(value)
}

/// `POST /miner/files`: a miner's result.
pub(super) async fn upload_result(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    let (fields, file) =
        received(&web, &caller, &request, payload, &["file", "audio_file"]).await?;
    let (caller, row) = keep_result(&web, caller, fields, file, "file").await?;
    Ok(created(&web, &row, vec![("miner_uid", json!(caller.entry.uid))]))
}

/// `POST /miner/tts/upload-audio`: as the documents' clients send speech.
pub(super) async fn upload_speech(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    let (fields, file) = received(&web, &caller, &request, payload, &["audio_file"]).await?;
    let (_, row) = keep_result(&web, caller, fields, file, "audio_file").await?;
    let mut value = view::file(&row, &web.public_url);
    if let Value::Object(fields) = &mut value {
        fields.insert("success".to_owned(), Value::Bool(true));
        fields.insert("audio_url".to_owned(), value_of(&row, &web));
    }
    Ok(HttpResponse::Ok().json(value))
}

fn value_of(row: &FileRow, web: &Web) -> Value {
    Value::String(format!("{}/api/v1/files/{}/download", web.public_url, row.id))
}

/// Says no early to who cannot be a miner; then takes the body in.
async fn received(
    web: &Web,
    caller: &UploadCaller,
    request: &HttpRequest,
    payload: Payload,
    file_fields: &[&str],
) -> ApiResult<(Fields, Option<FilePart>)> {
    caller.may_be_miner(web)?;
    receive(web, request, payload, file_fields, web.kinds.file_bytes_max()).await
}

/// Proves the signature, checks the lease, keeps the file.
async fn keep_result(
    web: &Web,
    caller: UploadCaller,
    mut fields: Fields,
    file: Option<FilePart>,
    field: &str,
) -> ApiResult<(MinerCaller, FileRow)> {
    let caller = caller.prove_miner(web)?;
    let task = fields.parsed::<TaskId>("task_id");
    let uid = fields.integer("miner_uid", 0, u16::MAX.into());
    let task = fields.finish("task_id", task)?;
    if let Some(uid) = uid.and_then(|uid| u16::try_from(uid).ok()) {
        caller.check(crate::domain::ids::MinerUid(uid))?;
    }
    let held = caller.entry.addr.send(Find(task)).await?;
    let held = held.ok_or_else(|| ApiError::not_found("task of yours"))?;
    let file = file.ok_or_else(|| missing(field))?;
    let content_type = any_media(&file)?;
    let (owner, nonce) = (caller.entry.hotkey.to_string(), caller.nonce.clone());
    let kind = web.kinds.find(&held.brief.task.kind).map(|(_, kind)| kind);
    let keep = Keep { task: Some(task), kind, nonce, ..Keep::new(content_type, owner) };
    let row = file.keep(web, keep).await?;
    Ok((caller, row))
}

/// `GET /files/{id}`.
pub(super) async fn show(web: Data<Web>, caller: AnyCaller, id: Path<String>) -> ApiResult {
    let row = visible(&web, &caller, &id).await?;
    Ok(HttpResponse::Ok().json(view::file(&row, &web.public_url)))
}

/// `GET /files/{id}/download`, ranged.
pub(super) async fn download(
    web: Data<Web>,
    caller: AnyCaller,
    request: HttpRequest,
    id: Path<String>,
) -> ApiResult {
    let row = visible(&web, &caller, &id).await?;
    download::download(&web, &request, &row).await
}

/// A file that the caller may see: its owner, those who work or worked on its task, validators.
/// Everybody else learns nothing, not even that it exists.
async fn visible(web: &Web, caller: &AnyCaller, id: &str) -> ApiResult<FileRow> {
    let none = || ApiError::not_found("file");
    let id: FileId = id.parse().map_err(|_| none())?;
    let row = web.store.file(id).await?.ok_or_else(none)?;
    if let Ok(client) = ClientCaller::of(web, &caller.0) {
        if client.sees(&row.owner) {
            return Ok(row);
        }
        if let Some(task) = row.task {
            let task = web.store.task(task).await?;
            if task.is_some_and(|task| client.sees(&task.task.owner)) {
                return Ok(row);
            }
        }
    }
    if ValidatorCaller::of(web, &caller.0).is_ok_and(|validator| validator.uid.is_some()) {
        return Ok(row);
    }
    if is_sample_for(web, caller, id).await? {
        return Ok(row);
    }
    if let Ok(miner) = MinerCaller::of(web, &caller.0) {
        let holder = Holder::Miner(miner.entry.registration);
        let own = row.owner == miner.entry.hotkey.as_str();
        if own || web.store.file_is_assigned(id, holder).await? {
            return Ok(row);
        }
    }
    if web.config.auth.dev && ValidatorCaller::of(web, &caller.0).is_ok() {
        return Ok(row);
    }
    Err(none())
}

/// Whether it is the sample of a voice that the caller may hear: shared with all clients, or wanted
/// by a task on which the calling miner has a live lease.
async fn is_sample_for(web: &Web, caller: &AnyCaller, id: FileId) -> ApiResult<bool> {
    let voices = web.store.voices_of_sample(id).await?;
    if voices.is_empty() {
        return Ok(false);
    }
    if ClientCaller::of(web, &caller.0).is_ok() && voices.iter().any(|v| v.shared_at.is_some()) {
        return Ok(true);
    }
    let Ok(miner) = MinerCaller::of(web, &caller.0) else { return Ok(false) };
    let held = web.store.held_by(Holder::Miner(miner.entry.registration)).await?;
    let wants = |voice: &VoiceRow| {
        held.iter().any(|held| {
            held.task.voice_name.as_ref() == Some(&voice.name) && voice.is_seen_by(&held.task.owner)
        })
    };
    Ok(voices.iter().any(wants))
}
