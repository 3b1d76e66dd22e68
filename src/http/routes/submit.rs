//! Clients hand tasks in.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::actors::distributor::{Estimate, Refusal, Submit, Submitted};
use crate::domain::ids::{FileId, TaskId};
use crate::domain::kind::{Input, TaskKind};
use crate::domain::limits;
use crate::domain::task::{Completion, Priority};
use crate::domain::units::SECOND;
use crate::http::Web;
use crate::http::auth::{ClientCaller, UploadCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::{Fields, printable, whole};
use crate::http::room::{Room, before, hand_in_once, room};
use crate::http::upload::{FilePart, Keep, receive, takes};
use crate::outside::blobs::Pin;
use crate::store::{FileRow, Hash, Idempotency, NewTask, Nonce, TaskInput};

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
    let (mut fields, file) = receive(web, request, payload, taken, kind.file_bytes_max).await?;
    let caller = caller.prove_client(web)?;
    let kept = fields.parsed("file_id");
    let wish = Wish::read(web, fields, kind)?;
    let redundancy = wish.redundancy;
    let (key, material) = (idempotency_key(request)?, Material { file, kept });
    let (id, submitted) =
        order(web, &caller, caller.nonce.clone(), key, kind, wish, material).await?;
    answer(web, id, redundancy, submitted).await.map(|answer| HttpResponse::Ok().json(answer))
}

/// A file to work on: sent along, or sent before.
#[derive(Default)]
pub(super) struct Material {
    pub(super) file: Option<FilePart>,
    pub(super) kept: Option<FileId>,
}

/// A kind by its name.
///
/// # Errors
/// 404 when it is not configured.
pub(super) fn known_kind<'w>(web: &'w Web, name: &str) -> ApiResult<&'w TaskKind> {
    let unknown = || ApiError::new(Code::UnknownKind, format!("`{name}` is not configured here"));
    web.kinds.find(name).map(|(_, kind)| kind).ok_or_else(unknown)
}

/// Whether new tasks are taken.
///
/// # Errors
/// 503 while the server is drained.
pub(super) fn takes_tasks(web: &Web) -> ApiResult<()> {
    match web.draining.load(Ordering::Relaxed) {
        true => Err(ApiError::new(
            Code::Full,
            "the server finishes its work and takes no new tasks for now",
        )
        .retry_after(30)),
        false => Ok(()),
    }
}

/// Keeps the input and hands the task in.
///
/// # Errors
/// 415 or 422 for the input, 503 when the disk or the database refuses.
pub(super) async fn order(
    web: &Web,
    caller: &ClientCaller,
    nonce: Option<Nonce>,
    key: Option<String>,
    kind: &TaskKind,
    wish: Wish,
    material: Material,
) -> ApiResult<(TaskId, Submitted)> {
    takes_tasks(web)?;
    let room = room(web, &caller.owner, key.as_deref()).await?;
    let id = TaskId(uuid::Uuid::now_v7());
    let Taken { input, hash, units, file } =
        input(web, caller, kind, wish.text.clone(), material).await?;
    let (file, pin) = file.unzip();
    let came = file.clone();
    let body_hash = meaning(kind, &wish, &hash);
    let (now, place) = match room {
        Room::For(now, place) => (now, place),
        Room::None(known) => return Ok((id, before(web, known, body_hash, nonce).await?)),
    };
    let idempotency = key.map(|key| Idempotency { key, body_hash });
    let task = NewTask {
        id,
        owner: caller.owner.clone(),
        kind: kind.name.clone(),
        priority: wish.priority,
        slots: wish.redundancy,
        enough: wish.redundancy,
        min_responses: wish.min_responses,
        source_language: wish.source_language,
        target_language: wish.target_language,
        model_id: wish.model_id,
        voice_name: wish.voice_name,
        input,
        run_millis: kind.run_secs * SECOND,
        created_at: now,
        deadline: now.plus((wish.delay_secs + wish.deadline_secs) * SECOND),
        retry_of: None,
        start_at: now.plus(wish.delay_secs * SECOND),
        adaptive: None,
        callback_url: wish.callback_url,
    };
    let (completion, adaptive) = (wish.completion, wish.adaptive);
    let input_units = units;
    let submit = Submit { task, file, completion, adaptive, input_units, idempotency, nonce };
    let submitted = hand_in_once(web, submit, place).await?;
    // The file's row is written with the task's, if at all.
    drop(pin);
    if let (Submitted::New { .. }, Some(row)) = (&submitted, came) {
        web.inputs.insert(row.id, Arc::new(row));
    }
    Ok((id, submitted))
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
    /// Whether a trusted miner's answer may do alone.
    pub(super) adaptive: bool,
    pub(super) completion: Completion,
    pub(super) min_responses: u16,
    pub(super) delay_secs: i64,
    pub(super) deadline_secs: i64,
    pub(super) callback_url: Option<String>,
}

impl Wish {
    pub(super) fn read(web: &Web, mut fields: Fields, kind: &TaskKind) -> ApiResult<Self> {
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
        let callback_url = fields.text("callback_url", limits::CALLBACK_URL_BYTES_MAX);
        if let Some(Err(reason)) = callback_url.as_deref().map(|url| web.may_tell(url)) {
            fields.complain("callback_url", reason);
        }
        let (redundancy, adaptive) = redundancy(&mut fields, kind);
        let least = fields.integer("min_responses", 1, redundancy.into());
        let (min, max) = (limits::DEADLINE_SECS_MIN, limits::DEADLINE_SECS_MAX);
        let wish = Self {
            text,
            source_language,
            target_language,
            priority: fields.parsed("priority").unwrap_or(Priority::Normal),
            model_id: fields.name("model_id"),
            voice_name: fields.name("voice_name"),
            redundancy,
            adaptive,
            completion: fields.parsed("completion").unwrap_or(Completion::All),
            min_responses: least
                .and_then(|n| u16::try_from(n).ok())
                .unwrap_or(limits::MIN_RESPONSES),
            delay_secs: fields.integer("delay_secs", 0, max).unwrap_or(0),
            deadline_secs: fields.integer("deadline_secs", min, max).unwrap_or(kind.deadline_secs),
            callback_url,
        };
        fields.done()?;
        Ok(wish)
    }
}

/// How many answers are wanted at most, and whether the first miner's trust decides.
fn redundancy(fields: &mut Fields, kind: &TaskKind) -> (u16, bool) {
    let wish = fields.take("redundancy");
    if wish.as_ref().is_some_and(|wish| wish == "adaptive") {
        return (kind.redundancy, true);
    }
    let Some(wish) = wish else { return (kind.redundancy, kind.adaptive) };
    let number = match &wish {
        Value::String(text) => text.trim().parse().ok(),
        value => whole(value),
    };
    let number = number.and_then(|number| u16::try_from(number).ok());
    match number.filter(|number| (1..=limits::REDUNDANCY_MAX).contains(number)) {
        Some(number) => (number, false),
        None => {
            let max = limits::REDUNDANCY_MAX;
            let reason = format!("must be a whole number from 1 to {max}, or `adaptive`");
            fields.complain("redundancy", reason);
            (kind.redundancy, kind.adaptive)
        }
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

/// An input that was taken in.
struct Taken {
    input: TaskInput,
    /// What it hashes to.
    hash: String,
    /// Characters of a text, bytes of a file.
    units: i64,
    /// A file whose row is still to be written, and what keeps its bytes until then.
    file: Option<(FileRow, Pin)>,
}

impl Taken {
    fn file(row: &FileRow) -> Self {
        let units = i64::try_from(row.size).unwrap_or(i64::MAX);
        Self { input: TaskInput::File(row.id), hash: row.sha256.clone(), units, file: None }
    }
}

/// The input. The bytes of a file are durable when this returns, the row of a new one is not.
async fn input(
    web: &Web,
    caller: &ClientCaller,
    kind: &TaskKind,
    text: Option<String>,
    material: Material,
) -> ApiResult<Taken> {
    if let Some(text) = text {
        let hash = hex::encode(Sha256::digest(&text));
        let units = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        return Ok(Taken { input: TaskInput::Text(text), hash, units, file: None });
    }
    let field = kind.input.file_field().unwrap_or("file");
    match material {
        Material { file: Some(_), kept: Some(_) } => {
            Err(ApiError::field("file_id", format!("cannot be given beside `{field}`")))
        }
        Material { file: Some(file), kept: None } => {
            if file.size() > kind.file_bytes_max {
                let limit = format!("`{}` takes at most {} bytes", kind.name, kind.file_bytes_max);
                return Err(ApiError::new(Code::TooLarge, limit));
            }
            let content_type = file.content_type(kind.input)?;
            let keep = Keep { kind: Some(kind), ..Keep::new(content_type, caller.owner.clone()) };
            let (row, pin) = file.bytes(web, &keep).await?;
            Ok(Taken { file: Some((row.clone(), pin)), ..Taken::file(&row) })
        }
        Material { file: None, kept: Some(id) } => {
            let row = web.store.file(id).await?.filter(|row| caller.sees(&row.owner));
            let row =
                row.ok_or_else(|| ApiError::field("file_id", "names no file that you uploaded"))?;
            web.lasts(&row)?;
            if !takes(kind.input, &row.content_type, true) || row.size > kind.file_bytes_max {
                let reason = format!("is a `{}` of {} bytes", row.content_type, row.size);
                return Err(ApiError::field("file_id", format!("{reason}; not for this kind")));
            }
            Ok(Taken::file(&row))
        }
        Material { file: None, kept: None } => {
            let reason = "is missing: send it as a multipart file, or name a `file_id`";
            Err(ApiError::field(field, reason))
        }
    }
}

/// The request's idempotency key.
///
/// # Errors
/// 422 when it cannot be one.
pub(super) fn idempotency_key(request: &HttpRequest) -> ApiResult<Option<String>> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > limits::IDEMPOTENCY_KEY_MAX {
        let max = limits::IDEMPOTENCY_KEY_MAX;
        return Err(ApiError::field("Idempotency-Key", format!("must have 1 to {max} characters")));
    }
    Ok(Some(key.to_owned()))
}

/// A hash of what the request means; not of its bytes, since multipart boundaries differ from try
/// to try.
fn meaning(kind: &TaskKind, wish: &Wish, input_hash: &str) -> Hash {
    let mut meaning = json!([
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
        wish.adaptive,
        wish.min_responses,
        wish.delay_secs,
    ]);
    if let (Value::Array(parts), Some(url)) = (&mut meaning, &wish.callback_url) {
        parts.push(url.as_str().into());
    }
    Sha256::digest(meaning.to_string()).into()
}

/// What the client hears of its task.
///
/// # Errors
/// 422 for a key of another request, 503 when full.
pub(super) async fn answer(
    web: &Web,
    id: TaskId,
    wished: u16,
    submitted: Submitted,
) -> ApiResult<Value> {
    match submitted {
        Submitted::New { slots, estimate } => {
            let message = message(wished, slots, &estimate);
            Ok(json!({
                "success": true,
                "task_id": id,
                "status": "pending",
                "message": message,
                "auto_assigned": estimate.feasible,
                "redundancy": slots,
                "estimate": estimate,
            }))
        }
        Submitted::Existing(id) => {
            let record = web.store.task(id).await?.ok_or_else(|| ApiError::not_found("task"))?;
            Ok(json!({
                "success": true,
                "task_id": id,
                "status": record.status(),
                "message": "the same request made this task before",
                "auto_assigned": true,
                "redundancy": record.task.slots,
                "estimate": null,
            }))
        }
        Submitted::Refused(refusal) => Err(refused(refusal)),
    }
}

/// What a client hears whose task was not taken in.
pub(super) fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Mismatch => ApiError::new(
            Code::IdempotencyMismatch,
            "this `Idempotency-Key` was sent with another request; use a new key",
        ),
        Refusal::TooMany(most) => ApiError::new(
            Code::RateLimited,
            format!("you have {most} tasks open, which is the limit; wait until some have ended"),
        )
        .retry_after(10),
        Refusal::Full => ApiError::full("too many tasks are open"),
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
