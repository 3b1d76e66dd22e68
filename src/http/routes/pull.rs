//! Pull mode: a validator takes pending tasks and serves them over its own network.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::validators::id_of;
use crate::actors::distributor::{Pull, ViewMiners, ViewQueue};
use crate::domain::limits::DISTRIBUTE_MAX;
use crate::http::auth::ValidatorCaller;
use crate::http::error::ApiResult;
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::http::{Web, view};

/// `GET /validator/integration`.
pub(super) async fn integration(web: Data<Web>, _: ValidatorCaller) -> ApiResult {
    let cards = web.distributor.send(ViewMiners).await?;
    let queue = web.distributor.send(ViewQueue).await?;
    let available: Vec<Value> = cards
        .iter()
        .filter(|card| card.fresh && card.serving && !card.quarantined)
        .map(|card| {
            json!({
                "uid": card.uid,
                "hotkey": card.hotkey,
                "stake": card.stake.tokens(),
                "availability_score": card.availability.shown().as_f64(),
                "current_load": card.live,
                "max_capacity": card.capacity,
                "task_type_specialization": card.kinds,
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "network_info": {
            "netuid": web.config.netuid,
            "total_miners": cards.len(),
            "available_miners": available.len(),
        },
        "available_miners": available,
        "pending_tasks": queue.next,
        "queue_statistics": {
            "open_tasks": queue.open_tasks,
            "pending_tasks": queue.ready_tasks,
        },
        "timestamp": web.clock.now().rfc3339(),
    })))
}

/// `POST /validator/distribute`: leases waiting tasks to the caller.
pub(super) async fn distribute(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let most = i64::try_from(DISTRIBUTE_MAX).unwrap_or(i64::MAX);
    let limit = fields.integer("limit", 1, most);
    let uid = fields.integer("validator_uid", 0, u16::MAX.into());
    fields.done()?;
    let validator = id_of(&web, &caller, uid.and_then(|uid| u16::try_from(uid).ok())).await?;
    let tasks_max = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    web.spend(caller.nonce).await?;
    let pulled = web.distributor.send(Pull { validator, tasks_max }).await??;
    let mut files = view::Files::default();
    let mut tasks = Vec::with_capacity(pulled.len());
    for pulled in &pulled {
        let task = &pulled.brief.task;
        let (input_text, input_file) = view::input(&web, task, &mut files).await?;
        let voice = view::wanted_voice(&web, task, &mut files).await?;
        let lease = |token: &crate::domain::ids::LeaseToken| {
            json!({
                "token": token,
                "slot": token.slot,
                "attempt": token.attempt,
                "expires_at": pulled.expires_at.rfc3339(),
            })
        };
        tasks.push(json!({
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
            "leases": pulled.leases.iter().map(lease).collect::<Vec<_>>(),
            "input_text": input_text,
            "input_file": input_file,
        }));
    }
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "tasks_distributed": tasks.len(),
        "tasks": tasks,
    })))
}
