//! What the network looks like: miners, verdicts, validators, kinds.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde_json::{Value, json};

use super::miners::uid;
use crate::actors::consensus::{Explain, Overview, VerdictOf, VerdictsOf, ViewConsensus};
use crate::actors::distributor::{ViewEstimates, ViewKinds, ViewMiners};
use crate::domain::consensus::{Event, Step, ValidatorView};
use crate::domain::limits::CONSENSUS_TIMEOUT_MINUTES;
use crate::domain::units::{Millis, ONE};
use crate::http::Web;
use crate::http::auth::AnyCaller;
use crate::http::error::{ApiError, ApiResult};

/// `GET /miners`: the same under its shorter name.
pub(super) use self::network_status as miners;

/// `GET /miners/network-status`.
pub(super) async fn network_status(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let now = web.clock.now();
    let cards = web.distributor.send(ViewMiners).await?;
    let overview = web.consensus.send(ViewConsensus).await?;
    let uids = cards.iter().map(|card| card.uid).collect();
    let verdicts = web.consensus.send(VerdictsOf(uids)).await?;
    let mut miners = Vec::with_capacity(cards.len());
    let (mut stale, mut active, mut stake) = (0, 0, 0.0);
    for (card, verdict) in cards.iter().zip(verdicts) {
        if !card.fresh {
            stale += 1;
            continue;
        }
        stake += card.stake.tokens();
        active += usize::from(card.serving);
        miners.push(json!({
            "uid": card.uid,
            "hotkey": card.hotkey,
            "stake": card.stake.tokens(),
            "is_serving": card.serving,
            "availability_score": card.availability.shown().as_f64(),
            "consensus_confidence": card.confidence.as_f64(),
            "consensus_validators": verdict.as_ref().map(|v| json!(v.validators)),
            "current_load": card.live,
            "max_capacity": card.capacity,
            "quarantined": card.quarantined,
            "task_type_specialization": card.kinds,
            "last_seen": card.last_seen.rfc3339(),
        }));
    }
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "processing_mode": "consensus",
        "network_status": {
            "total_miners": miners.len(),
            "active_miners": active,
            "total_stake": stake,
            "average_consensus_confidence": overview.stats.mean_confidence.as_f64(),
            "stale_miners_filtered": stale,
            "last_updated": now.rfc3339(),
        },
        "consensus_stats": statistics(&web, &overview),
        "miners": miners,
    })))
}

fn statistics(web: &Web, overview: &Overview) -> Value {
    let stats = &overview.stats;
    json!({
        "total_validator_reports": stats.total_reports,
        "consensus_miners": stats.consensus_miners,
        "active_validators": stats.active_validators,
        "average_consensus_confidence": stats.mean_confidence.as_f64(),
        "consensus_timeout_minutes": CONSENSUS_TIMEOUT_MINUTES,
        "min_consensus_validators": web.config.consensus.validators_min,
        "consensus_coverage": stats.coverage.as_f64(),
        "validator_participation": stats.participation.as_f64(),
        "conflict_rate": stats.conflict_rate.as_f64(),
        "report_to_verdict_ms": overview.report_to_verdict.as_secs_f64() * 1e3,
    })
}

/// `GET /validators/consensus-stats`.
pub(super) async fn consensus_stats(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let overview = web.consensus.send(ViewConsensus).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "consensus_statistics": statistics(&web, &overview),
        "timestamp": web.clock.now().rfc3339(),
    })))
}

/// `GET /miners/{uid}/consensus`.
pub(super) async fn consensus(web: Data<Web>, _: AnyCaller, path: Path<String>) -> ApiResult {
    let uid = uid(&path)?;
    let verdict = web.consensus.send(VerdictOf(uid)).await?;
    let verdict = verdict.ok_or_else(|| ApiError::not_found("miner"))?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "miner_uid": uid,
        "consensus_status": verdict.public(),
        "timestamp": web.clock.now().rfc3339(),
    })))
}

/// `GET /miners/{uid}/consensus/explain`.
pub(super) async fn explain(web: Data<Web>, _: AnyCaller, path: Path<String>) -> ApiResult {
    let uid = uid(&path)?;
    let explanation = web.consensus.send(Explain(uid)).await?;
    let explanation = explanation.ok_or_else(|| ApiError::not_found("miner"))?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "miner_uid": uid, "explanation": explanation,
    })))
}

/// `GET /miners/{uid}/stats`: what this server saw of a miner, by kind of work.
pub(super) async fn miner_stats(web: Data<Web>, _: AnyCaller, path: Path<String>) -> ApiResult {
    let uid = uid(&path)?;
    let entry = web.directory.by_uid(uid).ok_or_else(|| ApiError::not_found("miner"))?;
    let kinds = web.distributor.send(ViewKinds(entry.registration)).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "miner_uid": uid,
        "hotkey": entry.hotkey,
        "kinds": kinds,
        "timestamp": web.clock.now().rfc3339(),
    })))
}

fn validator_json(view: &ValidatorView, now: Millis) -> Value {
    json!({
        "hotkey": view.hotkey,
        "uid": view.uid,
        "stake": view.stake.map(crate::domain::units::Stake::tokens),
        "reputation": view.reputation.as_f64(),
        "base_weight": view.base_weight as f64 / 1e6,
        "active": view.is_active,
        "report_period_secs": view.period_millis / 1_000,
        "last_report_at": view.last_report_at.map(Millis::rfc3339),
        "report_age_secs": view.last_report_at.map(|at| now.since(at) / 1_000),
        "miners": view.miners,
        "phase": view.track.phase,
        "reason": view.track.reason,
        "trust": millionths(view.track.trust()),
        "bias": millionths(view.track.bias),
        "clique_share": millionths(view.track.clique_share),
        "agreement": view.track.history.last().map(|step| millionths(step.agreement)),
        "outlier_share": view.track.history.last().map(|step| millionths(ONE - step.agreement)),
    })
}

fn millionths(value: i64) -> f64 {
    value as f64 / ONE as f64
}

/// A round's number as the moment at which it began.
fn began(web: &Web, round: i64) -> String {
    Millis(round.saturating_mul(web.config.consensus.round)).rfc3339()
}

fn event_json((at, event): &(Millis, Event)) -> Value {
    let mut shown = json!(event);
    if let Value::Object(fields) = &mut shown {
        fields.insert("at".to_owned(), json!(at.rfc3339()));
    }
    shown
}

/// `GET /validators`.
pub(super) async fn validators(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let overview = web.consensus.send(ViewConsensus).await?;
    let now = web.clock.now();
    let all: Vec<_> = overview.validators.iter().map(|view| validator_json(view, now)).collect();
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "count": all.len(), "validators": all,
        "events": overview.events.iter().map(event_json).collect::<Vec<_>>(),
    })))
}

/// `GET /validators/{hotkey}`.
pub(super) async fn validator(web: Data<Web>, _: AnyCaller, path: Path<String>) -> ApiResult {
    let overview = web.consensus.send(ViewConsensus).await?;
    let view = overview.validators.iter().find(|view| view.hotkey.as_str() == path.as_str());
    let view = view.ok_or_else(|| ApiError::not_found("validator"))?;
    let mut shown = validator_json(view, web.clock.now());
    let step = |step: &Step| {
        json!({
            "round": step.round,
            "at": began(&web, step.round),
            "agreement": millionths(step.agreement),
            "trust": millionths(step.trust),
            "phase": step.phase,
            "reason": step.reason,
        })
    };
    let events = overview.events.iter().filter(|(_, event)| event.concerns(&view.hotkey));
    if let Value::Object(fields) = &mut shown {
        fields.insert("history".to_owned(), view.track.history.iter().map(step).collect());
        fields.insert("events".to_owned(), events.map(event_json).collect());
    }
    Ok(HttpResponse::Ok().json(shown))
}

/// `GET /kinds`: what may be asked for here.
pub(super) async fn kinds(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let kinds: Vec<_> = web.kinds.iter().collect();
    let estimates = web.distributor.send(ViewEstimates).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "kinds": kinds, "estimates": estimates,
    })))
}
