//! The OpenAI SDKs' audio calls: the same tasks, with the wait on our side. The first answer of
//! several miners is the result.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use serde_json::{Value, json};

use super::submit::{
    Material, Wish, idempotency_key, known_kind, known_language, order, read_text, refused,
};
use crate::actors::distributor::{CancelTask, Submitted, Watch, Watched};
use crate::domain::ids::{FileId, TaskId};
use crate::domain::kind::TaskKind;
use crate::domain::limits::{MIN_RESPONSES, WAITED_RESULT_SECS};
use crate::domain::task::{Completion, Priority, TaskState};
use crate::http::auth::keys::key_of;
use crate::http::auth::{ClientCaller, UploadCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::{Body, FilePart, receive};
use crate::http::{Web, download};

const HEAR: &str = "transcription";
const SPEAK: &str = "tts";

/// Names under which OpenAI's clients ask for what any miner of the kind may do.
const HEARING_MODELS: [&str; 4] =
    [HEAR, "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"];
const SPEAKING_MODELS: [&str; 4] = [SPEAK, "tts-1", "tts-1-hd", "gpt-4o-mini-tts"];

fn models_here(web: &Web) -> Vec<Value> {
    let known = |name: &str| web.kinds.find(name).is_some();
    let hearing = HEARING_MODELS.iter().filter(|_| known(HEAR));
    let speaking = SPEAKING_MODELS.iter().filter(|_| known(SPEAK));
    let model =
        |id: &&str| json!({ "id": id, "object": "model", "created": 0, "owned_by": "pithead" });
    hearing.chain(speaking).map(model).collect()
}

/// `GET /v1/models`.
pub(super) async fn models(web: Data<Web>, _: ClientCaller) -> ApiResult {
    Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": models_here(&web) })))
}

/// `GET /v1/models/{id}`.
pub(super) async fn model(web: Data<Web>, _: ClientCaller, id: Path<String>) -> ApiResult {
    let found = models_here(&web).into_iter().find(|model| model["id"] == id.as_str());
    found.map(|model| HttpResponse::Ok().json(model)).ok_or_else(|| ApiError::not_found("model"))
}

/// `POST /v1/audio/transcriptions`.
pub(super) async fn transcriptions(
    web: Data<Web>,
    caller: UploadCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    caller.may_be_client(&web)?;
    let kind = known_kind(&web, HEAR)?;
    let (mut fields, file) =
        receive(&web, &request, payload, &["file"], kind.file_bytes_max).await?;
    let caller = caller.prove_client(&web)?;
    let format = fields.name("response_format").unwrap_or_else(|| "json".to_owned());
    if !matches!(format.as_str(), "json" | "text" | "verbose_json") {
        fields.complain("response_format", "must be `json`, `text` or `verbose_json`");
    }
    if fields.flag("stream") == Some(true) {
        fields.complain("stream", "is not served: leave it out");
    }
    let language = fields.name("language").unwrap_or_else(|| "en".to_owned());
    let language = known_language(&mut fields, "language", language, kind);
    let wish =
        Wish { source_language: language.clone(), ..wish(&mut fields, kind, &HEARING_MODELS) };
    if file.is_none() {
        fields.complain("file", "is missing: send it as a multipart file");
    }
    fields.done()?;
    let (task, answer) = result(&web, caller, &request, kind, wish, file).await?;
    let text = ["transcript", "text"].iter().find_map(|key| answer[*key].as_str());
    let text = text.ok_or_else(|| unusable(task, "holds no transcript"))?;
    let mut response = HttpResponse::Ok();
    response.insert_header(("x-task-id", task.to_string()));
    Ok(match format.as_str() {
        "text" => response.content_type("text/plain; charset=utf-8").body(format!("{text}\n")),
        "verbose_json" => {
            let number = |key: &str| answer[key].as_f64().unwrap_or(0.0);
            response.json(json!({
                "task": "transcribe",
                "language": answer["language"].as_str().unwrap_or(&language),
                "duration": number("duration"),
                "text": text,
                "segments": answer["segments"].as_array().cloned().unwrap_or_default(),
            }))
        }
        _ => response.json(json!({ "text": text })),
    })
}

/// `POST /v1/audio/speech`.
pub(super) async fn speech(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let kind = known_kind(&web, SPEAK)?;
    let mut fields = Fields::read(&request, &body)?;
    let text = read_text(&mut fields, "input", kind);
    // The miners choose how they encode; the answer's content type tells.
    let formats = ["mp3", "opus", "aac", "flac", "wav", "pcm"];
    if fields.name("response_format").is_some_and(|format| !formats.contains(&format.as_str())) {
        fields.complain("response_format", format!("must be one of {}", formats.join(", ")));
    }
    if fields.take("speed").is_some_and(|speed| speed.as_f64() != Some(1.0)) {
        fields.complain("speed", "cannot be chosen here: leave it out");
    }
    if fields.name("stream_format").is_some_and(|format| format != "audio") {
        fields.complain("stream_format", "must be `audio`");
    }
    let voice_name = fields.name("voice");
    let wish = Wish { text, voice_name, ..wish(&mut fields, kind, &SPEAKING_MODELS) };
    fields.done()?;
    let (task, spoken) = result(&web, caller, &request, kind, wish, None).await?;
    let mut answer = audio(&web, &request, task, &spoken).await?;
    if let Ok(id) = task.to_string().parse() {
        answer
            .headers_mut()
            .insert(actix_web::http::header::HeaderName::from_static("x-task-id"), id);
    }
    Ok(answer)
}

/// What both calls have in common.
fn wish(fields: &mut Fields, kind: &TaskKind, any: &[&str]) -> Wish {
    let model = fields.name("model");
    let model = fields.need("model", model);
    Wish {
        text: None,
        source_language: "en".to_owned(),
        target_language: None,
        priority: Priority::Normal,
        model_id: model.filter(|model| !any.contains(&model.as_str())),
        voice_name: None,
        redundancy: kind.redundancy,
        adaptive: false,
        min_responses: MIN_RESPONSES,
        delay_secs: 0,
        completion: Completion::First,
        deadline_secs: WAITED_RESULT_SECS,
        callback_url: None,
    }
}

/// Hands the task in and waits for its first answer.
async fn result(
    web: &Web,
    caller: ClientCaller,
    request: &HttpRequest,
    kind: &TaskKind,
    wish: Wish,
    file: Option<FilePart>,
) -> ApiResult<(TaskId, Arc<Value>)> {
    let ClientCaller { owner, nonce, .. } = caller.clone();
    let (key, material) = (idempotency_key(request)?, Material { file, kept: None });
    let (id, submitted) = order(web, &caller, nonce, key, kind, wish, material).await?;
    let task = match submitted {
        Submitted::New { estimate, .. } if estimate.feasible => id,
        Submitted::New { estimate, .. } => {
            web.distributor.send(CancelTask { task: id, owner }).await??;
            let reason = estimate.reason.unwrap_or_else(|| "no miner can do it".to_owned());
            // The rest of the sentence is for who left a task here.
            return Err(ApiError::full(reason.split(';').next().unwrap_or_default()));
        }
        Submitted::Existing(id) => id,
        Submitted::Refused(refusal) => return Err(refused(refusal)),
    };
    match web.distributor.send(Watch(task)).await? {
        Watched::Later(ended) => {
            let parked = web.gate.park(request, web.clock.now())?;
            let limit = Duration::from_secs(WAITED_RESULT_SECS.unsigned_abs());
            let ended = tokio::time::timeout(limit, ended).await;
            drop(parked);
            web.keys.still(key_of(request).as_deref(), web.clock.now())?;
            if let Ok(Ok(Some(only))) = ended {
                return Ok((task, only));
            }
        }
        Watched::NotOpen => {}
        Watched::Full => return Err(ApiError::full("too many wait for this task")),
    }
    let responses = web.store.responses(task).await?;
    if let Some(first) = responses.into_iter().min_by_key(|response| response.created_at) {
        return Ok((task, Arc::new(first.body)));
    }
    let record = web.store.task(task).await?.ok_or_else(|| ApiError::not_found("task"))?;
    Err(match record.state {
        TaskState::Open | TaskState::Expired => ApiError::new(
            Code::TimedOut,
            format!("task {task} has no answer yet: `GET /api/v1/tasks/{task}` tells how it goes"),
        ),
        ended => ApiError::new(Code::NoResult, format!("task {task} ended as `{ended}`")),
    })
}

fn unusable(task: TaskId, what: &str) -> ApiError {
    ApiError::new(Code::NoResult, format!("the answer to task {task} {what}"))
}

/// The sound of an answer: inline as base64, or a file that the miner uploaded for this task.
async fn audio(
    web: &Web,
    request: &HttpRequest,
    task: TaskId,
    answer: &Value,
) -> ApiResult<HttpResponse> {
    if let Some(inline) = answer["audio_data"].as_str() {
        // Also as a data URL.
        let (head, data) = inline.split_once(";base64,").unwrap_or(("", inline));
        let bytes = base64::engine::general_purpose::STANDARD.decode(data.trim());
        let bytes = bytes.map_err(|_| unusable(task, "holds sound that is no base64"))?;
        let declared = head.strip_prefix("data:").filter(|declared| declared.starts_with("audio/"));
        let sniffed = infer::get(&bytes).map(|found| found.mime_type());
        let content_type = sniffed.or(declared).unwrap_or("application/octet-stream").to_owned();
        return Ok(HttpResponse::Ok().content_type(content_type).body(bytes));
    }
    let named = answer["audio_file"].as_str().unwrap_or_default();
    // A file id, or the URL of one.
    let id = named.trim_end_matches("/download").rsplit('/').next().unwrap_or_default();
    let id: FileId = id.parse().map_err(|_| unusable(task, "holds no sound"))?;
    let row = web.store.file(id).await?.filter(|row| row.task == Some(task));
    let row = row.ok_or_else(|| unusable(task, "names a file that is not its own"))?;
    download::send(web, request, &row).await
}
