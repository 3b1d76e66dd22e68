//! What miners (and validators that pulled work) say of their leases.

use std::sync::Arc;

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::tasks::task_id;
use crate::actors::distributor::{PullAnswer, PullBeat, PullRelease};
use crate::actors::lease::Outcome;
use crate::actors::miner::{Answer, Beat, GiveBack};
use crate::domain::ids::{LeaseToken, MinerUid, TaskId};
use crate::domain::lease::LossReason;
use crate::domain::limits::RESPONSE_BYTES_MAX;
use crate::http::Web;
use crate::http::auth::{AnyCaller, MinerCaller, ValidatorCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::store::{Released, Respond, Responded};

fn lost() -> ApiError {
    ApiError::new(
        Code::LeaseLost,
        "no live lease of yours: it expired, ended, or was never yours; poll for new work",
    )
}

struct Said {
    task: TaskId,
    miner_uid: Option<u16>,
    token: Option<LeaseToken>,
    data: Value,
    claims: Option<Value>,
    failed: Option<LossReason>,
}

impl Said {
    fn read(mut fields: Fields) -> ApiResult<Self> {
        let task = fields.parsed("task_id");
        let miner_uid = fields.integer("miner_uid", 0, u16::MAX.into());
        let token = fields.parsed::<LeaseToken>("lease_token");
        let failed = match fields.name("status").as_deref() {
            None | Some("done" | "completed" | "success") => None,
            Some("failed" | "error") => Some(match fields.flag("permanent") {
                Some(true) => LossReason::Impossible,
                Some(false) | None => LossReason::Failed,
            }),
            Some(_) => {
                fields.complain("status", "must be `completed` or `failed`");
                None
            }
        };
        let mut claims = Map::new();
        for name in ["processing_time", "accuracy_score", "speed_score"] {
            if let Some(claim) = fields.take(name) {
                claims.insert(name.to_owned(), claim);
            }
        }
        let data = fields.value("response_data");
        let data = if failed.is_some() { Some(data.unwrap_or(Value::Null)) } else { data };
        if data.as_ref().is_some_and(|data| failed.is_none() && !data.is_object()) {
            fields.complain("response_data", "must be a JSON object");
        }
        let data = fields.need("response_data", data);
        let task = fields.finish("task_id", task)?;
        let data = data.unwrap_or(Value::Null);
        if data.to_string().len() > RESPONSE_BYTES_MAX {
            let limit = format!("`response_data` may have {RESPONSE_BYTES_MAX} bytes");
            return Err(ApiError::new(Code::TooLarge, limit));
        }
        if token.is_some_and(|token| token.task != task) {
            return Err(ApiError::field("lease_token", "is of another task than `task_id`"));
        }
        let claims = (!claims.is_empty()).then_some(Value::Object(claims));
        let miner_uid = miner_uid.and_then(|uid| u16::try_from(uid).ok());
        Ok(Self { task, miner_uid, token, data, claims, failed })
    }
}

/// `POST /miner/response`, from a miner or from a validator that pulled the task.
pub(super) async fn respond(
    web: Data<Web>,
    caller: AnyCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let body = Said::read(Fields::read(&request, &body)?)?;
    let validator = ValidatorCaller::of(&web, &caller.0);
    match (MinerCaller::of(&web, &caller.0), validator) {
        // A validator that is reported as a miner too answers for another miner: it pulled.
        (Ok(miner), Ok(validator))
            if validator.uid.is_some()
                && body.miner_uid.is_some_and(|uid| MinerUid(uid) != miner.entry.uid) =>
        {
            from_validator(&web, validator, body).await
        }
        (Ok(miner), _) => from_miner(&web, miner, body).await,
        (Err(_), Ok(validator)) => from_validator(&web, validator, body).await,
        (Err(no_miner), Err(_)) => Err(no_miner),
    }
}

async fn from_miner(web: &Web, caller: MinerCaller, body: Said) -> ApiResult {
    if let Some(uid) = body.miner_uid {
        caller.check(MinerUid(uid))?;
    }
    let (task, token, uid) = (body.task, body.token, caller.entry.uid);
    if let Some(reason) = body.failed {
        let back = GiveBack { task, token, reason, nonce: caller.nonce };
        caller.entry.addr.send(back).await??.ok_or_else(lost)?;
        return Ok(HttpResponse::Ok().json(json!({
            "success": true, "task_id": task, "miner_uid": uid, "accepted": false,
            "status": "released",
        })));
    }
    let body_hash = Sha256::digest(body.data.to_string()).into();
    let (claims, nonce) = (body.claims, caller.nonce);
    let answer = Answer { task, token, body: Arc::new(body.data), body_hash, claims, nonce };
    match caller.entry.addr.send(answer).await?? {
        Outcome::Stored(responded) => accepted(web, task, uid, responded).await,
        Outcome::Lacks(keys) => Err(lacks(&keys)),
    }
}

fn lacks(keys: &[String]) -> ApiError {
    ApiError::field(
        format!("response_data.{}", keys.join("|")),
        format!("is missing: an answer needs one of {}", keys.join(", ")),
    )
}

async fn from_validator(web: &Web, caller: ValidatorCaller, body: Said) -> ApiResult {
    let (task, token) = (body.task, body.token);
    let validator = super::validators::id_of(web, &caller, None).await?;
    if let Some(reason) = body.failed {
        let release = PullRelease { task, token, validator, reason, nonce: caller.nonce };
        return match web.distributor.send(release).await?? {
            Some(Released::Done(_)) => Ok(HttpResponse::Ok().json(json!({
                "success": true, "task_id": task, "accepted": false, "status": "released",
            }))),
            Some(Released::Lost) | None => Err(lost()),
        };
    }
    let uid = body.miner_uid.ok_or_else(|| ApiError::field("miner_uid", "is missing"))?;
    let uid = MinerUid(uid);
    let registration = web.directory.by_uid(uid).map(|entry| entry.registration);
    let placeholder = token.unwrap_or(LeaseToken { task, slot: 0, attempt: 0 });
    let respond = Respond {
        token: placeholder,
        holder: crate::store::Holder::Validator(validator),
        registration,
        miner_uid: uid,
        body_hash: Sha256::digest(body.data.to_string()).into(),
        body: Arc::new(body.data),
        claims: body.claims,
        now: web.clock.now(),
        nonce: caller.nonce,
    };
    match web.distributor.send(PullAnswer { task, token, validator, respond }).await?? {
        Outcome::Stored(responded) => accepted(web, task, uid, responded).await,
        Outcome::Lacks(keys) => Err(lacks(&keys)),
    }
}

async fn accepted(web: &Web, task: TaskId, uid: MinerUid, responded: Responded) -> ApiResult {
    let (duplicate, state) = match responded {
        Responded::Accepted { standing, .. } => (false, standing.state),
        Responded::Same { state } => (true, state),
        Responded::Conflict => {
            return Err(ApiError::new(
                Code::ResponseConflict,
                "another answer of yours stands for this lease; the first one counts",
            ));
        }
        Responded::Lost => return Err(lost()),
    };
    let status = if state.ended() {
        state.as_str()
    } else {
        crate::domain::task::TaskStatus::Processing.as_str()
    };
    metrics::gauge!(crate::telemetry::MINERS).set(web.directory.len() as f64);
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "task_id": task,
        "miner_uid": uid,
        "accepted": true,
        "duplicate": duplicate,
        "task_status": status,
    })))
}

/// `POST /miner/tasks/{id}/heartbeat`, from a miner or from a validator that pulled the task.
pub(super) async fn heartbeat(
    web: Data<Web>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<String>,
    Body(body): Body,
) -> ApiResult {
    let (task, token, fields) = lease_of(&path, &request, &body)?;
    fields.done()?;
    let miner = MinerCaller::of(&web, &caller.0);
    let expires_at = match (miner, ValidatorCaller::of(&web, &caller.0)) {
        (Ok(miner), _) => {
            let beat = Beat { task, token, nonce: miner.nonce };
            miner.entry.addr.send(beat).await??
        }
        (Err(_), Ok(caller)) => {
            let validator = super::validators::id_of(&web, &caller, None).await?;
            let beat = PullBeat { task, token, validator, nonce: caller.nonce };
            web.distributor.send(beat).await??
        }
        (Err(no_miner), Err(_)) => return Err(no_miner),
    };
    let expires_at = expires_at.ok_or_else(lost)?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "task_id": task, "expires_at": expires_at.rfc3339(),
    })))
}

/// `POST /miner/tasks/{id}/release`.
pub(super) async fn release(
    caller: MinerCaller,
    request: HttpRequest,
    path: Path<String>,
    Body(body): Body,
) -> ApiResult {
    let (task, token, mut fields) = lease_of(&path, &request, &body)?;
    let permanent = fields.flag("permanent").unwrap_or(false);
    let reason = match fields.name("reason").as_deref() {
        Some("busy") => Some(LossReason::Busy),
        Some("unsupported") => Some(LossReason::Unsupported),
        Some("failed") if permanent => Some(LossReason::Impossible),
        Some("failed") => Some(LossReason::Failed),
        Some(_) => {
            fields.complain("reason", "must be `busy`, `unsupported` or `failed`");
            None
        }
        None => None,
    };
    let reason = fields.finish("reason", reason)?;
    let back = GiveBack { task, token, reason, nonce: caller.nonce };
    let given = caller.entry.addr.send(back).await??.ok_or_else(lost)?;
    let status = if given.standing.state.ended() {
        given.standing.state.as_str()
    } else {
        crate::domain::task::TaskStatus::Pending.as_str()
    };
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "task_id": task,
        "status": status,
        "retry_at": given.retry_at.map(crate::domain::units::Millis::rfc3339),
    })))
}

fn lease_of(
    path: &str,
    request: &HttpRequest,
    body: &Bytes,
) -> ApiResult<(TaskId, Option<LeaseToken>, Fields)> {
    let task = task_id(path)?;
    let mut fields = Fields::read(request, body)?;
    let token = fields.parsed::<LeaseToken>("lease_token");
    if token.is_some_and(|token| token.task != task) {
        fields.complain("lease_token", "is of another task");
    }
    Ok((task, token, fields))
}
