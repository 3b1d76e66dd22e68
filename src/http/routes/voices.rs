//! A client's catalogue of voices for speech. Those of admins are shared with everybody.

use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::submit::idempotency_key;
use super::tasks::number;
use crate::domain::ids::{FileId, VoiceId};
use crate::domain::kind::Input;
use crate::domain::limits::{DESCRIPTION_CHARS_MAX, PAGE_MAX, SAMPLE_BYTES_MAX, VOICES_PER_OWNER};
use crate::http::auth::{ClientCaller, UploadCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::{Fields, printable};
use crate::http::upload::{FilePart, Keep, receive, takes};
use crate::http::{Web, view};
use crate::store::{DeleteVoice, Idempotency, PutVoice, VoicePage, VoicePut, VoiceRow};

/// What a client says of a voice.
struct Wish {
    name: String,
    language: String,
    description: Option<String>,
    sample: Option<FileId>,
}

impl Wish {
    fn read(web: &Web, mut fields: Fields) -> ApiResult<Self> {
        let name = fields.name("name").map(|name| name.trim().to_owned());
        let name = fields.need("name", name.filter(|name| !name.is_empty()));
        let language = fields.name("language").unwrap_or_else(|| "en".to_owned());
        if !web.kinds.iter().any(|kind| kind.speaks(&language)) {
            fields.complain("language", format!("`{}` is none of here", printable(&language)));
        }
        let description = fields.text("description", DESCRIPTION_CHARS_MAX);
        if description.as_ref().is_some_and(|text| text.contains('\0')) {
            fields.complain("description", "must not hold NUL");
        }
        let sample = fields.parsed("file_id");
        let name = fields.finish("name", name)?;
        Ok(Self { name, language, description, sample })
    }
}

/// `POST /voices`: a name for a voice, with a recording of it as `sample` or `file_id`, or without.
pub(super) async fn create(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    caller.may_be_client(&web)?;
    let (fields, file) = receive(&web, &request, payload, &["sample"], SAMPLE_BYTES_MAX).await?;
    let caller = caller.prove_client(&web)?;
    let (wish, key) = (Wish::read(&web, fields)?, idempotency_key(&request)?);
    // Without a key this is no repetition; then nothing need be kept to say no.
    if key.is_none() {
        let known = web.store.voice_named(&caller.owner, &wish.name).await?;
        if known.is_some_and(|voice| voice.owner == caller.owner) {
            return Err(name_taken());
        }
    }
    let (sample, hash) = sample(&web, &caller, file, wish.sample).await?;
    let now = web.clock.now();
    let voice = VoiceRow {
        id: VoiceId(uuid::Uuid::now_v7()),
        owner: caller.owner,
        name: wish.name,
        language: wish.language,
        description: wish.description,
        sample,
        created_at: now,
        shared_at: caller.admin.then_some(now),
    };
    let meaning = json!(["voice", voice.name, voice.language, voice.description, hash]);
    let body_hash = Sha256::digest(meaning.to_string()).into();
    let idempotency = key.map(|key| Idempotency { key, body_hash });
    let voices_max = VOICES_PER_OWNER;
    let command = PutVoice { voice: voice.clone(), voices_max, idempotency, nonce: caller.nonce };
    let voice = match web.store.put_voice(command).await? {
        VoicePut::New => voice,
        VoicePut::Existing(id) => {
            web.store.voice(id).await?.ok_or_else(|| ApiError::not_found("voice"))?
        }
        VoicePut::Mismatch => return Err(ApiError::key_of_another()),
        VoicePut::NameTaken => return Err(name_taken()),
        VoicePut::Full => {
            let detail = format!("you have {VOICES_PER_OWNER} voices: delete one first");
            return Err(ApiError::new(Code::Conflict, detail));
        }
        VoicePut::NoSample => return Err(no_file()),
    };
    let place = format!("/api/v1/voices/{}", voice.id);
    let shown = show(&web, &voice).await?;
    Ok(HttpResponse::Created().insert_header(("location", place)).json(shown))
}

fn name_taken() -> ApiError {
    let detail = "you have a voice of this name: delete it first, or take another `name`";
    ApiError::new(Code::Conflict, detail)
}

fn no_file() -> ApiError {
    ApiError::field("file_id", "names no file that you uploaded")
}

/// The recording, kept, and what it hashes to.
async fn sample(
    web: &Web,
    caller: &ClientCaller,
    file: Option<FilePart>,
    kept: Option<FileId>,
) -> ApiResult<(Option<FileId>, Option<String>)> {
    let row = match (file, kept) {
        (None, None) => return Ok((None, None)),
        (Some(_), Some(_)) => {
            return Err(ApiError::field("file_id", "cannot be given beside `sample`"));
        }
        (Some(file), None) => {
            let content_type = file.content_type(Input::Audio)?;
            file.keep(web, Keep::new(content_type, caller.owner.clone())).await?
        }
        (None, Some(id)) => {
            let row = web.store.file(id).await?.filter(|row| caller.sees(&row.owner));
            let row = row.ok_or_else(no_file)?;
            if !takes(Input::Audio, &row.content_type, true) {
                let reason = format!("is a `{}`: a sample is audio", row.content_type);
                return Err(ApiError::field("file_id", reason));
            }
            if row.size > SAMPLE_BYTES_MAX {
                let reason = format!("has {} bytes: at most {SAMPLE_BYTES_MAX}", row.size);
                return Err(ApiError::field("file_id", reason));
            }
            row
        }
    };
    Ok((Some(row.id), Some(row.sha256)))
}

async fn show(web: &Web, voice: &VoiceRow) -> ApiResult<Value> {
    view::voice(web, voice, &mut view::Files::default()).await
}

#[derive(Deserialize)]
pub(super) struct List {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /voices`: the caller's own and shared ones, oldest first.
pub(super) async fn list(web: Data<Web>, caller: ClientCaller, query: Query<List>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50).unsigned_abs();
    let after = query.cursor.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| ApiError::field("cursor", "is none that a list gave"))?;
    let owner = (!caller.admin).then_some(caller.owner);
    let rows = web.store.voices(VoicePage { owner, after, limit }).await?;
    let full = rows.len() as u64 == limit;
    let cursor = rows.last().filter(|_| full).map(|voice| voice.id);
    let (mut files, mut voices) = (view::Files::default(), Vec::with_capacity(rows.len()));
    for voice in &rows {
        voices.push(view::voice(&web, voice, &mut files).await?);
    }
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "count": voices.len(), "voices": voices, "next_cursor": cursor,
    })))
}

/// A voice that the caller sees.
async fn seen(web: &Web, caller: &ClientCaller, id: &str) -> ApiResult<VoiceRow> {
    let none = || ApiError::not_found("voice");
    let voice = web.store.voice(id.parse().map_err(|_| none())?).await?;
    voice.filter(|voice| caller.admin || voice.is_seen_by(&caller.owner)).ok_or_else(none)
}

/// `GET /voices/{id}`.
pub(super) async fn one(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let voice = seen(&web, &caller, &id).await?;
    Ok(HttpResponse::Ok().json(show(&web, &voice).await?))
}

/// `DELETE /voices/{id}`: one's own. Its sample stays as long as a file of today.
pub(super) async fn remove(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let voice = seen(&web, &caller, &id).await?;
    if !caller.sees(&voice.owner) {
        let detail = "the voice is shared by the operator: it is for you to use, not to delete";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    let sample_until = web.clock.now().plus(web.config.retention.files_millis(None));
    match web.store.delete_voice(DeleteVoice { id: voice.id, sample_until }).await? {
        true => Ok(HttpResponse::NoContent().finish()),
        false => Err(ApiError::not_found("voice")),
    }
}
