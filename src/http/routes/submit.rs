//! Clients hand tasks in.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::actors::distributor::{Estimate, Submit, Submitted};
use crate::domain::ids::TaskId;
use crate::domain::kind::{Input, TaskKind};
use crate::domain::limits;
use crate::domain::task::{Completion, Priority};
use crate::domain::units::SECOND;
use crate::http::Web;
use crate::http::auth::{ClientCaller, UploadCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::{Fields, printable};
use crate::http::upload::{FilePart, receive};
use crate::store::{Hash, Idempotency, NewTask, TaskInput};

macro_rules! submit_routes {
    ($($name:ident = $kind:literal;)*) => {
        $(
            #[doc = concat!("`POST` a task of kind `", $kind, "`.")]
            pub(super) async fn $name(
                web: Data<Web>,
                caller: UploadCaller,
                request: HttpRequest,
                payload: Payload,
            ) -> ApiResult {
                submit(&web, caller, &request, payload, $kind).await
            }
        )*
    };
}

submit_routes! {
    transcription = "transcription";
    tts = "tts";
    summarization = "summarization";
    video_transcription = "video_transcription";
    text_translation = "text_translation";
    document_translation = "document_translation";
}

async fn submit(
    web: &Web,
    caller: UploadCaller,
    request: &HttpRequest,
    payload: Payload,
    kind: &str,
) -> ApiResult {
    caller.may_be_client(web)?;
    let kind = known_kind(web, kind)?;
    let file_fields: Vec<_> = kind.input.file_field().into_iter().chain(["file"]).collect();
    let taken = if kind.input == Input::Text { &[][..] } else { &file_fields[..] };
    let (fields, file) = receive(web, request, payload, taken, kind.file_bytes_max).await?;
    let caller = caller.prove_client(web)?;
    let wish = Wish::read(fields, kind)?;
    let redundancy = wish.redundancy;
    let (id, submitted) = order(web, caller, request, kind, wish, file).await?;
    answer(web, id, redundancy, submitted).await
}

/// A kind by its name.
///
/// # Errors
/// 404 when it is not configured.
pub(super) fn known_kind<'w>(web: &'w Web, name: &str) -> ApiResult<&'w TaskKind> {
    let unknown = || ApiError::new(Code::UnknownKind, format!("`{name}` is not configured here"));
    web.kinds.find(name).map(|(_, kind)| kind).ok_or_else(unknown)
}

/// Keeps the input and hands the task in.
///
/// # Errors
/// 415 or 422 for the input, 503 when the disk or the database refuses.
pub(super) async fn order(
    web: &Web,
    caller: ClientCaller,
    request: &HttpRequest,
    kind: &TaskKind,
    wish: Wish,
    file: Option<FilePart>,
) -> ApiResult<(TaskId, Submitted)> {
    let now = web.clock.now();
    let id = TaskId(uuid::Uuid::now_v7());
    let (input, input_hash) = input(web, &caller, kind, wish.text.clone(), file).await?;
    let idempotency = idempotency(request, kind, &wish, &input_hash)?;
    let task = NewTask {
        id,
        owner: caller.owner.clone(),
        kind: kind.name.clone(),
        priority: wish.priority,
        slots: wish.redundancy,
        enough: wish.redundancy,
        min_responses: limits::MIN_RESPONSES,
        source_language: wish.source_language,
        target_language: wish.target_language,
        model_id: wish.model_id,
        voice_name: wish.voice_name,
        input,
        run_millis: kind.run_secs * SECOND,
        created_at: now,
        deadline: now.plus(wish.deadline_secs * SECOND),
    };
    let submit = Submit { task, completion: wish.completion, idempotency, nonce: caller.nonce };
    Ok((id, web.distributor.send(submit).await??))
}

/// What the client asks for beside the input.
pub(super) struct Wish {
    pub(super) text: Option<String>,
    pub(super) source_language: String,
    pub(super) target_language: Option<String>,
    pub(super) priority: Priority,
    pub(super) model_id: Option<String>,
    pub(super) voice_name: Option<String>,
    pub(super) redundancy: u16,
    pub(super) completion: Completion,
    pub(super) deadline_secs: i64,
}

impl Wish {
    fn read(mut fields: Fields, kind: &TaskKind) -> ApiResult<Self> {
        let text = match kind.input {
            Input::Text => read_text(&mut fields, "text", kind),
            Input::Audio | Input::Video | Input::Document => None,
        };
        let source = fields.name("source_language").unwrap_or_else(|| "en".to_owned());
        let source_language = known_language(&mut fields, "source_language", source, kind);
        let target = fields.name("target_language");
        let target_language =
            target.map(|code| known_language(&mut fields, "target_language", code, kind));
        if kind.translates {
            match &target_language {
                None => drop(fields.need::<()>("target_language", None)),
                Some(target) if *target == source_language => {
                    fields.complain("target_language", "must differ from `source_language`");
                }
                Some(_) => {}
            }
        }
        if fields.take("callback_url").is_some() {
            let reason = "is not served yet; wait with `GET /api/v1/tasks/<id>?wait=30`";
            fields.complain("callback_url", reason);
        }
        let redundancy = fields.integer("redundancy", 1, limits::REDUNDANCY_MAX.into());
        let (min, max) = (limits::DEADLINE_SECS_MIN, limits::DEADLINE_SECS_MAX);
        let wish = Self {
            text,
            source_language,
            target_language,
            priority: fields.parsed("priority").unwrap_or(Priority::Normal),
            model_id: fields.name("model_id"),
            voice_name: fields.name("voice_name"),
            redundancy: redundancy.and_then(|n| u16::try_from(n).ok()).unwrap_or(kind.redundancy),
            completion: fields.parsed("completion").unwrap_or(Completion::All),
            deadline_secs: fields.integer("deadline_secs", min, max).unwrap_or(kind.deadline_secs),
        };
        fields.done()?;
        Ok(wish)
    }
}

/// The text to work on, out of the field `name`.
pub(super) fn read_text(fields: &mut Fields, name: &str, kind: &TaskKind) -> Option<String> {
    let (min, max) = (kind.text_chars_min, kind.text_chars_max);
    let text = fields.text(name, max);
    let text = fields.need(name, text)?;
    let trimmed = text.trim();
    let count = trimmed.chars().count();
    if count < min {
        fields.complain(name, format!("must have at least {min} characters, has {count}"));
    }
    if trimmed.contains('\0') {
        fields.complain(name, "must not hold NUL");
    }
    Some(trimmed.to_owned())
}

pub(super) fn known_language(
    fields: &mut Fields,
    name: &str,
    code: String,
    kind: &TaskKind,
) -> String {
    if !kind.speaks(&code) {
        let known = kind.languages.join(", ");
        fields.complain(name, format!("`{}` is not one of {known}", printable(&code)));
    }
    code
}

/// The input and what it hashes to. A file is durable when this returns.
async fn input(
    web: &Web,
    caller: &ClientCaller,
    kind: &TaskKind,
    text: Option<String>,
    file: Option<FilePart>,
) -> ApiResult<(TaskInput, String)> {
    if let Some(text) = text {
        let hash = hex::encode(Sha256::digest(&text));
        return Ok((TaskInput::Text(text), hash));
    }
    let field = kind.input.file_field().unwrap_or("file");
    let missing = || ApiError::field(field, "is missing: send it as a multipart file");
    let file = file.ok_or_else(missing)?;
    let content_type = file.content_type(kind.input)?;
    let row = file.keep(web, content_type, caller.owner.clone(), None, None).await?;
    Ok((TaskInput::File(row.id), row.sha256))
}

/// The idempotency key with a hash of what the request means; not of its bytes, since multipart
/// boundaries differ from try to try.
fn idempotency(
    request: &HttpRequest,
    kind: &TaskKind,
    wish: &Wish,
    input_hash: &str,
) -> ApiResult<Option<Idempotency>> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_MAX {
        let max = limits::IDEMPOTENCY_KEY_MAX;
        return Err(ApiError::field("Idempotency-Key", format!("must have 1 to {max} characters")));
    }
    let meaning = json!([
        kind.name,
        input_hash,
        wish.source_language,
        wish.target_language,
        wish.priority,
        wish.model_id,
        wish.voice_name,
        wish.redundancy,
        wish.completion.to_string(),
        wish.deadline_secs,
    ]);
    let body_hash: Hash = Sha256::digest(meaning.to_string()).into();
    Ok(Some(Idempotency { key: key.to_owned(), body_hash }))
}

async fn answer(web: &Web, id: TaskId, wished: u16, submitted: Submitted) -> ApiResult {
    match submitted {
        Submitted::New { slots, estimate } => {
            let message = message(wished, slots, &estimate);
            Ok(HttpResponse::Ok().json(json!({
                "success": true,
                "task_id": id,
                "status": "pending",
                "message": message,
                "auto_assigned": estimate.feasible,
                "redundancy": slots,
                "estimate": estimate,
            })))
        }
        Submitted::Existing(id) => {
            let record = web.store.task(id).await?.ok_or_else(|| ApiError::not_found("task"))?;
            Ok(HttpResponse::Ok().json(json!({
                "success": true,
                "task_id": id,
                "status": record.status(),
                "message": "the same request made this task before",
                "auto_assigned": true,
                "redundancy": record.task.slots,
                "estimate": null,
            })))
        }
        Submitted::Mismatch => Err(ApiError::new(
            Code::IdempotencyMismatch,
            "this `Idempotency-Key` was sent with another request; use a new key",
        )),
        Submitted::Full => Err(ApiError::full("too many tasks are open")),
    }
}

fn message(wished: u16, slots: u16, estimate: &Estimate) -> String {
    match &estimate.reason {
        Some(reason) => reason.clone(),
        None if slots < wished => {
            format!("queued for {slots} of the {wished} miners wished: no more can do it now")
        }
        None => format!("queued for {slots} miners"),
    }
}
