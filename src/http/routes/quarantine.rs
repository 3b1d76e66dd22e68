//! Whom the operator shuts out, whatever the chain says.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::keys::by;
use super::tasks::number;
use crate::actors::consensus::{LetIn, ShutOut};
use crate::domain::chain::Role;
use crate::domain::ids::Hotkey;
use crate::domain::limits::{
    PAGE_MAX, QUARANTINE_DAYS_MAX, QUARANTINE_MAX, QUARANTINE_REASON_CHARS_MAX,
};
use crate::domain::units::{DAY, Millis};
use crate::http::Web;
use crate::http::auth::Admin;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::store::{LiftQuarantine, PutQuarantine, QuarantineRow};

fn shown(row: &QuarantineRow) -> Value {
    json!({
        "hotkey": row.hotkey,
        "reason": row.reason,
        "until": row.until.map(Millis::rfc3339),
        "by": row.by,
        "created_at": row.created_at.rfc3339(),
    })
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /admin/quarantine`: who is shut out now, by hotkey.
pub(super) async fn list(web: Data<Web>, _: Admin, query: Query<Page>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(most);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (now, mut rows) = (web.clock.now(), web.store.quarantine().await?);
    let after = query.cursor.as_deref().unwrap_or_default();
    rows.retain(|row| !row.is_over(now) && row.hotkey.as_str() > after);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let cursor = rows.last().filter(|_| more).map(|row| row.hotkey.clone());
    let shown: Vec<_> = rows.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({
        "count": shown.len(), "quarantine": shown, "next_cursor": cursor,
    })))
}

/// `POST /admin/quarantine/{hotkey}`: shuts it out with its next request, or says anew why and for how
/// long.
pub(super) async fn put(
    web: Data<Web>,
    admin: Admin,
    request: HttpRequest,
    hotkey: Path<String>,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let hotkey = Hotkey::parse(&hotkey);
    let hotkey = hotkey.map_err(|error| ApiError::field("hotkey", error.to_string()))?;
    let reason = fields.text("reason", QUARANTINE_REASON_CHARS_MAX);
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().any(char::is_control)) {
        fields.complain("reason", "must not hold control characters");
    }
    let days = fields.integer("days", 1, QUARANTINE_DAYS_MAX);
    let reason = fields.finish("reason", reason)?;
    if web.roles.borrow().configured(&hotkey) == Some(Role::Operator) {
        let detail = format!(
            "`{hotkey}` is an operator's and cannot be shut out: take it out of `[[auth.hotkeys]]`"
        );
        return Err(ApiError::new(Code::Conflict, detail));
    }
    let by = by(&web, &admin);
    let until = days.map(|days| by.now.plus(days * DAY));
    let command = PutQuarantine { hotkey, reason, until, most: QUARANTINE_MAX, by };
    let row = command.row();
    if !web.consensus.send(ShutOut(command)).await?? {
        let detail =
            format!("{QUARANTINE_MAX} hotkeys are shut out, as many as may be: let one in first");
        return Err(ApiError::new(Code::Conflict, detail));
    }
    tracing::warn!(hotkey = %row.hotkey, row.reason, by = admin.name, "a hotkey was shut out");
    Ok(HttpResponse::Ok().json(shown(&row)))
}

/// `DELETE /admin/quarantine/{hotkey}`: lets it in with its next request.
pub(super) async fn lift(web: Data<Web>, admin: Admin, hotkey: Path<String>) -> ApiResult {
    let unknown = || ApiError::not_found("quarantine of this hotkey");
    let hotkey = Hotkey::parse(&hotkey).map_err(|_| unknown())?;
    let command = LiftQuarantine { hotkey: hotkey.clone(), by: by(&web, &admin) };
    if !web.consensus.send(LetIn(command)).await?? {
        return Err(unknown());
    }
    tracing::warn!(%hotkey, by = admin.name, "a hotkey was let in again");
    Ok(HttpResponse::NoContent().finish())
}
