//! Miners fetch their work.

use std::time::Duration;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tasks::{number, task_id};
use crate::actors::distributor::{ViewKinds, ViewMiners};
use crate::actors::lease::Held;
use crate::actors::miner::{Find, Poll, Undelivered, Unpark};
use crate::domain::ids::MinerUid;
use crate::domain::limits::WAIT_SECS_MAX;
use crate::http::auth::MinerCaller;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::{Web, peer, view};

/// A uid from a path.
pub(super) fn uid(text: &str) -> ApiResult<MinerUid> {
    text.parse().map_err(|error| ApiError::field("uid", format!("is wrong: {error}")))
}

#[derive(Deserialize)]
pub(super) struct PollQuery {
    status: Option<String>,
    wait: Option<String>,
}

/// `GET /miners/{uid}/tasks`: without `wait` every live lease; with it, leases that are new, as
/// soon as there is one. A bare array, as the documents' clients expect.
pub(super) async fn poll(
    web: Data<Web>,
    caller: MinerCaller,
    request: HttpRequest,
    path: Path<String>,
    query: Query<PollQuery>,
) -> ApiResult {
    caller.check(uid(&path)?)?;
    let wait = number("wait", query.wait.as_deref(), 0, WAIT_SECS_MAX)?.unwrap_or(0);
    match query.status.as_deref() {
        None | Some("assigned" | "pending") => {}
        Some(_) => return Err(ApiError::field("status", "must be `assigned`")),
    }
    let parked = (wait > 0).then(|| web.gate.park(&request, web.clock.now())).transpose()?;
    let polled = caller.entry.addr.send(Poll { wait: wait > 0 }).await?;
    let mut leases = polled.leases;
    let secs = if wait > 0 { wait } else { WAIT_SECS_MAX };
    let limit = Duration::from_secs(secs.unsigned_abs());
    let outcome = match tokio::time::timeout(limit, &mut leases).await {
        Ok(outcome) => outcome,
        Err(_) => {
            // Taken back; what was on its way in the meantime still comes.
            caller.entry.addr.send(Unpark(polled.poll)).await?;
            leases.await
        }
    };
    drop(parked);
    let held = outcome.map_err(|_| gone())??;
    if wait > 0 && !held.is_empty() && peer::hung_up(&request) {
        let tokens = held.iter().map(|held| held.token).collect();
        caller.entry.addr.send(Undelivered(tokens)).await?;
        return Err(ApiError::new(Code::Conflict, "the caller hung up"));
    }
    let shown = show(&web, &held).await?;
    Ok(HttpResponse::Ok().json(shown))
}

fn gone() -> ApiError {
    ApiError::new(Code::Unavailable, "the miner's actor went away; poll again").retry_after(1)
}

async fn show(web: &Web, held: &[Held]) -> ApiResult<Vec<Value>> {
    let mut files = view::Files::default();
    let mut shown = Vec::with_capacity(held.len());
    for held in held {
        shown.push(view::lease(web, held, &mut files).await?);
    }
    Ok(shown)
}

/// `GET /miner/{kind}/{id}`: the input of a task on which the miner has a live lease.
pub(super) async fn content(
    web: Data<Web>,
    caller: MinerCaller,
    path: Path<(String, String)>,
) -> ApiResult {
    let (kind, id) = path.into_inner();
    let found = caller.entry.addr.send(Find(task_id(&id)?)).await?;
    let kind = web.kinds.find(&kind).map(|(_, kind)| kind.name.as_str());
    let held = found.filter(|held| Some(held.brief.task.kind.as_str()) == kind);
    let held = held.ok_or_else(|| ApiError::not_found("task of yours"))?;
    let mut value = view::lease(&web, &held, &mut view::Files::default()).await?;
    if let Value::Object(fields) = &mut value {
        fields.insert("success".to_owned(), Value::Bool(true));
        // The documents' clients read the text at the top.
        let text = fields.get("input_text").and_then(|input| input.get("text")).cloned();
        fields.insert("text".to_owned(), text.unwrap_or(Value::Null));
    }
    Ok(HttpResponse::Ok().json(value))
}

/// `GET /miners/{uid}/view`: the miner's own standing.
pub(super) async fn view(web: Data<Web>, caller: MinerCaller, path: Path<String>) -> ApiResult {
    caller.check(uid(&path)?)?;
    let cards = web.distributor.send(ViewMiners).await?;
    let card = cards.iter().find(|card| card.registration == caller.entry.registration);
    let card = card.ok_or_else(|| ApiError::not_found("miner"))?;
    let kinds = web.distributor.send(ViewKinds(card.registration)).await?;
    let millionths = |n: i64| n as f64 / 1e6;
    let parts = &card.availability;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "uid": card.uid,
        "hotkey": card.hotkey,
        "registration": card.registration,
        "serving": card.serving,
        "fresh": card.fresh,
        "quarantined": card.quarantined,
        "live_leases": card.live,
        "capacity": card.capacity,
        "parked_polls": card.parked,
        "availability_score": parts.shown().as_f64(),
        "breakdown": {
            "performance": millionths(parts.performance),
            "load": millionths(parts.load),
            "stake": millionths(parts.stake),
            "recency": millionths(parts.recency),
            "consensus_boost": millionths(parts.boost),
        },
        "leases_answered": card.record.answered,
        "leases_lost": card.record.lost,
        "responses_scored": card.record.scored,
        "mean_score": (card.record.scored > 0)
            .then(|| millionths(card.record.score_sum / card.record.scored)),
        "kinds": kinds,
        "last_seen": card.last_seen.rfc3339(),
    })))
}
