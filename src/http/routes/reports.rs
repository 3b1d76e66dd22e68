//! Validators report on miners.

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::actors::consensus::{Reported, TakeReport};
use crate::domain::limits::{REPORT_BYTES_MAX, REPORT_MINERS_MAX};
use crate::domain::report::{ReportError, ReportLimits, parse_statuses};
use crate::http::Web;
use crate::http::auth::ValidatorCaller;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::read_body;

/// `POST /validators/miner-status`.
pub(super) async fn take(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    // A form is a third larger than the JSON in it.
    let payload: Payload = payload.into_inner();
    let body = read_body(payload, REPORT_BYTES_MAX + REPORT_BYTES_MAX / 2).await?;
    let mut fields = Fields::read(&request, &body)?;
    let uid = fields.integer("validator_uid", 0, u16::MAX.into());
    let epoch = fields.integer("epoch", 0, i64::MAX);
    let sequence = fields.integer("sequence", 0, i64::MAX);
    let partial = fields.flag("partial").unwrap_or(false);
    let statuses = match fields.take("miner_statuses") {
        Some(Value::String(text)) => Some(text),
        Some(value) => Some(value.to_string()),
        None => None,
    };
    let uid = fields.need("validator_uid", uid);
    let epoch = fields.need("epoch", epoch);
    let statuses = fields.finish("miner_statuses", statuses)?;
    let limits = ReportLimits {
        miners_max: REPORT_MINERS_MAX,
        bytes_max: REPORT_BYTES_MAX,
        ..ReportLimits::default()
    };
    let parsed = parse_statuses(&statuses, &limits).map_err(|error| match error {
        ReportError::TooManyMiners { .. } | ReportError::TooLong { .. } => {
            ApiError::new(Code::TooLarge, format!("`miner_statuses`: {error}"))
        }
        other => ApiError::field("miner_statuses", other.to_string()),
    })?;
    let reporter = caller.reporter(uid.and_then(|uid| u16::try_from(uid).ok()))?;
    let now = web.clock.now();
    let signed = caller.nonce.as_ref().map(|nonce| nonce.nonce);
    let report = TakeReport {
        reporter: reporter.clone(),
        epoch: epoch.unwrap_or_default(),
        sequence,
        partial,
        signed_order: signed.unwrap_or_else(|| now.0.saturating_mul(1_000_000)),
        body_hash: Sha256::digest(&body).into(),
        statuses: parsed.statuses,
        nonce: caller.nonce,
    };
    let merged = match web.consensus.send(report).await?? {
        Reported::Taken(merged) => merged,
        Reported::TooMany(wait_millis) => {
            let secs = wait_millis.max(1).unsigned_abs().div_ceil(1_000);
            let most = web.config.limits.reports_per_minute;
            return Err(ApiError::rate_limited("reports of a validator", most, secs));
        }
    };
    let stopped = |_| ApiError::new(Code::Unavailable, "the server is stopping").retry_after(1);
    let merged = merged.await.map_err(stopped)?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "miners_processed": merged.applied.accepted,
        "consensus_updated": merged.consensus_updated,
        "validator_uid": reporter.uid,
        "epoch": epoch,
        "rejected": parsed.rejections,
        "ignored": merged.applied.ignored,
    })))
}
