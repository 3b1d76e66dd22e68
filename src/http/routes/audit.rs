//! The audit log, for operators.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tasks::number;
use crate::domain::audit::Entry;
use crate::domain::limits::{AUDIT_TEXT_CHARS_MAX, PAGE_MAX};
use crate::http::Web;
use crate::http::auth::Admin;
use crate::http::error::{ApiError, ApiResult};
use crate::store::AuditPage;

#[derive(Deserialize)]
pub(super) struct List {
    action: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

/// `GET /admin/audit`: newest first.
pub(super) async fn list(web: Data<Web>, _: Admin, query: Query<List>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50).unsigned_abs();
    let before = number("before", query.before.as_deref(), 1, i64::MAX)?;
    let action = query.into_inner().action.unwrap_or_default();
    let of_action = |byte: u8| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_';
    if action.len() > AUDIT_TEXT_CHARS_MAX || !action.bytes().all(of_action) {
        let reason = format!(
            "must have small letters, `.` and `_` only, {AUDIT_TEXT_CHARS_MAX} at most: \
             `weights.` lists everything about weights"
        );
        return Err(ApiError::field("action", reason));
    }
    let page = AuditPage { netuid: web.config.netuid, action, before, limit };
    let entries = web.store.audit(page).await?;
    let last = entries.last().filter(|_| entries.len() as u64 == limit);
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "count": entries.len(),
        "entries": entries.iter().map(shown).collect::<Vec<_>>(),
        "next_before": last.map(|entry| entry.seq),
    })))
}

fn shown(entry: &Entry) -> Value {
    json!({
        "seq": entry.seq,
        "at": entry.at.rfc3339(),
        "actor": entry.fact.actor(),
        "action": entry.fact.action(),
        "subject": entry.fact.subject(),
        "detail": entry.fact.detail(),
        "hash": hex::encode(entry.hash),
    })
}
