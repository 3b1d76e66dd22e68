//! For operators: probes, metrics, who the server is, and how it is configured.

use std::sync::atomic::Ordering;

use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::actors::audit::tell_to;
use crate::actors::consensus::ViewConsensus;
use crate::actors::distributor::ViewQueue;
use crate::domain::audit::Fact;
use crate::domain::limits::{SIGNATURE_FUTURE_MILLIS, SIGNATURE_PAST_MILLIS};
use crate::http::Web;
use crate::http::auth::Admin;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::store::Note;

/// `GET /livez`: the process answers. Touches nothing else.
pub(super) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// `GET /readyz`: work may be sent here.
pub(super) async fn readyz(web: Data<Web>) -> ApiResult {
    if web.draining.load(Ordering::Relaxed) {
        return Err(ApiError::new(Code::Full, "the server is draining").retry_after(5));
    }
    web.ready.get(async || web.store.ping().await).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(web: Data<Web>) -> ApiResult {
    let none = || ApiError::new(Code::Unavailable, "metrics cannot be told now").retry_after(1);
    let text = web.metrics.get(async || render(&web).await).await.ok_or_else(none)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}

/// All metrics as text; `None` while an actor does not answer, or where they are not installed.
async fn render(web: &Web) -> Option<Bytes> {
    let stats = web.consensus.send(ViewConsensus).await.ok()?.stats;
    metrics::gauge!(crate::telemetry::MINERS).set(web.directory.len() as f64);
    metrics::gauge!(crate::telemetry::POLLS_PARKED).set(web.gate.parked() as f64);
    metrics::gauge!(crate::telemetry::CONSENSUS_CONFIDENCE).set(stats.mean_confidence.as_f64());
    metrics::gauge!(crate::telemetry::CONSENSUS_COVERAGE).set(stats.coverage.as_f64());
    metrics::gauge!(crate::telemetry::CONSENSUS_CONFLICTS).set(stats.conflict_rate.as_f64());
    metrics::gauge!(crate::telemetry::VALIDATORS_ACTIVE).set(stats.active_validators as f64);
    Some(crate::telemetry::metrics()?.render().into())
}

/// `GET /health`: how it goes, for people.
pub(super) async fn health(web: Data<Web>) -> ApiResult {
    let queue = web.distributor.send(ViewQueue).await?;
    let stats = web.consensus.send(ViewConsensus).await?.stats;
    let database = web.store.ping().await.is_ok();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "status": if database { "healthy" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_secs": web.started.elapsed().as_secs(),
        "database": if database { "ok" } else { "does not answer" },
        "miners": web.directory.len(),
        "active_validators": stats.active_validators,
        "consensus_confidence": stats.mean_confidence.as_f64(),
        "open_tasks": queue.open_tasks,
        "waiting_tasks": queue.ready_tasks,
        "timestamp": web.clock.now().rfc3339(),
    })))
}

/// `GET /identity`: what a signer needs to know.
pub(super) async fn identity(web: Data<Web>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "success": true,
        "hotkey": web.hotkey(),
        "protocols": [crate::identity::btauth::PROTOCOL],
        "netuid": web.config.netuid,
        "public_url": web.public_url,
        "window_secs": {
            "past": SIGNATURE_PAST_MILLIS / 1_000,
            "future": SIGNATURE_FUTURE_MILLIS / 1_000,
        },
        "time_unix_ms": web.clock.now().0,
        "version": env!("CARGO_PKG_VERSION"),
        "dev": web.config.auth.dev,
    }))
}

/// `POST /admin/drain`: takes no new tasks, or takes them again. What is open goes on.
pub(super) async fn drain(
    web: Data<Web>,
    admin: Admin,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let draining = fields.flag("draining");
    let draining = fields.finish("draining", draining)?;
    web.spend(admin.nonce).await?;
    let now = web.clock.now();
    let action = if draining { "server.draining" } else { "server.resumed" };
    let fact = Fact::new(&admin.name, action, &now.rfc3339(), &json!({}));
    let netuid = web.config.netuid;
    let note = Note { netuid, facts: vec![fact.clone()], now };
    if draining {
        // First: a database that does not write is a reason to drain.
        web.draining.store(true, Ordering::Relaxed);
        if let Err(error) = web.store.note(note).await {
            tracing::warn!(%error, "draining; the audit log is told of it later");
            tell_to(web.store.clone(), netuid, [fact], now);
        }
    } else {
        web.store.note(note).await?;
        web.draining.store(false, Ordering::Relaxed);
    }
    tracing::info!(draining, by = admin.name, "new tasks are refused, or taken again");
    let queue = web.distributor.send(ViewQueue).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "draining": draining, "open_tasks": queue.open_tasks,
    })))
}

/// `GET /admin/config`: what is in force, without passwords.
pub(super) async fn config(web: Data<Web>, _: Admin) -> ApiResult {
    let shown = web.config.shown();
    let shown = shown.map_err(|error| ApiError::new(Code::Internal, error.to_string()))?;
    Ok(HttpResponse::Ok().content_type("application/toml").body(shown))
}
