//! Clients say where they want to be told, see what was told, and have it told again.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::submit::idempotency_key;
use super::tasks::number;
use crate::actors::courier;
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::limits::{
    CALLBACK_URL_BYTES_MAX, OLD_SECRET_MILLIS, PAGE_MAX, WEBHOOKS_PER_OWNER,
};
use crate::domain::webhook::EventType;
use crate::http::Web;
use crate::http::auth::ClientCaller;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::http::view::time;
use crate::identity::webhook::new_secret;
use crate::store::{DeliveryPage, DeliveryRow, PutWebhook, RotateWebhook, WebhookPut, WebhookRow};

async fn own(web: &Web, caller: &ClientCaller, id: &str) -> ApiResult<WebhookRow> {
    let id: WebhookId = id.parse().map_err(|_| ApiError::not_found("webhook"))?;
    let found = web.store.webhook(id).await?.filter(|row| caller.sees(&row.owner));
    found.ok_or_else(|| ApiError::not_found("webhook"))
}

/// An endpoint without its secret.
fn shown(row: &WebhookRow) -> Value {
    let all = || EventType::ALL.iter().map(|event| event.as_str()).collect();
    let events: Vec<&str> =
        if row.events.is_empty() { all() } else { row.events.split(' ').collect() };
    json!({
        "id": row.id,
        "url": row.url,
        "events": events,
        "created_at": row.created_at.rfc3339(),
        "old_secret_until": time(row.old_until),
        "disabled_at": time(row.disabled_at),
        "disabled_reason": row.disabled_reason,
    })
}

/// The same with the secret, once.
fn revealed(row: &WebhookRow) -> Value {
    let mut value = shown(row);
    if let Value::Object(fields) = &mut value {
        fields.insert("secret".to_owned(), json!(row.secret));
        let message = "keep the secret: it is shown this once";
        fields.insert("message".to_owned(), json!(message));
    }
    value
}

/// Types of events from a JSON list or a text with commas; stored separated by spaces, empty for all.
fn events(fields: &mut Fields) -> String {
    let names: Vec<Value> = match fields.take("events") {
        None => return String::new(),
        Some(Value::String(text)) => text.split(',').map(|name| json!(name.trim())).collect(),
        Some(Value::Array(names)) => names,
        Some(_) => vec![Value::Null],
    };
    let parsed = |name: &Value| name.as_str().and_then(|name| name.parse::<EventType>().ok());
    let wanted: Option<Vec<EventType>> = names.iter().map(parsed).collect();
    let Some(mut wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        let all: Vec<_> = EventType::ALL.iter().map(|event| event.as_str()).collect();
        let reason = format!("must be a list of {}; leave it out for all", all.join(", "));
        fields.complain("events", reason);
        return String::new();
    };
    wanted.sort_unstable();
    wanted.dedup();
    wanted.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(" ")
}

/// `POST /webhooks`.
pub(super) async fn create(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let url = fields.text("url", CALLBACK_URL_BYTES_MAX);
    if let Some(Err(reason)) = url.as_deref().map(|url| web.may_tell(url)) {
        fields.complain("url", reason);
    }
    let events = events(&mut fields);
    let url = fields.finish("url", url)?;
    // Its answer holds a secret that is shown once, and so cannot be given again.
    if idempotency_key(&request)?.is_some() {
        let reason = "is not for this route: list your webhooks, and delete one that is too many";
        return Err(ApiError::field("Idempotency-Key", reason));
    }
    let webhook = WebhookRow {
        id: WebhookId(uuid::Uuid::now_v7()),
        owner: caller.owner,
        url,
        events,
        secret: new_secret(),
        old_secret: None,
        old_until: None,
        created_at: web.clock.now(),
        disabled_at: None,
        disabled_reason: None,
    };
    let told = revealed(&webhook);
    let place = format!("/api/v1/webhooks/{}", webhook.id);
    let command = PutWebhook { webhook, owned_max: WEBHOOKS_PER_OWNER, nonce: caller.nonce };
    match web.store.put_webhook(command).await? {
        WebhookPut::Done => {
            Ok(HttpResponse::Created().insert_header(("location", place)).json(told))
        }
        WebhookPut::Full => Err(ApiError::new(
            Code::Conflict,
            format!("you have {WEBHOOKS_PER_OWNER} webhooks, as many as may be: delete one first"),
        )),
    }
}

/// `GET /webhooks`: the caller's own; an admin sees everybody's.
pub(super) async fn list(web: Data<Web>, caller: ClientCaller) -> ApiResult {
    let rows = web.store.webhooks((!caller.admin).then_some(caller.owner), PAGE_MAX).await?;
    let shown: Vec<_> = rows.iter().map(shown).collect();
    Ok(HttpResponse::Ok().json(json!({ "count": shown.len(), "webhooks": shown })))
}

/// `GET /webhooks/{id}`.
pub(super) async fn show(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    Ok(HttpResponse::Ok().json(shown(&own(&web, &caller, &id).await?)))
}

/// `DELETE /webhooks/{id}`: with its deliveries.
pub(super) async fn delete(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let row = own(&web, &caller, &id).await?;
    if !web.store.delete_webhook(row.id).await? {
        return Err(ApiError::not_found("webhook"));
    }
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /webhooks/{id}/rotate`: a new secret; the one before signs too for a day.
pub(super) async fn rotate(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let row = own(&web, &caller, &id).await?;
    web.spend(caller.nonce).await?;
    let secret = new_secret();
    let old_until = web.clock.now().plus(OLD_SECRET_MILLIS);
    let command = RotateWebhook { id: row.id, secret: secret.clone(), old_until };
    if !web.store.rotate_webhook(command).await? {
        return Err(ApiError::not_found("webhook"));
    }
    let old_secret = Some(row.secret.clone());
    let row = WebhookRow { secret, old_secret, old_until: Some(old_until), ..row };
    Ok(HttpResponse::Ok().json(revealed(&row)))
}

/// `GET /webhooks/callback-secret`: what signs the caller's callbacks.
pub(super) async fn callback_secret(web: Data<Web>, caller: ClientCaller) -> ApiResult {
    let now = web.clock.now();
    let secret = courier::callback_secret(&*web.store, &caller.owner, now).await?;
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({
        "secret": secret,
        "message": "signs what is told to the `callback_url` of your tasks",
    })))
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /webhooks/{id}/deliveries`: newest first.
pub(super) async fn deliveries(
    web: Data<Web>,
    caller: ClientCaller,
    id: Path<String>,
    query: Query<Page>,
) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50).unsigned_abs();
    let before = query.cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| ApiError::field("cursor", "is none that a list gave"))?;
    let webhook = own(&web, &caller, &id).await?.id;
    let rows = web.store.deliveries(DeliveryPage { webhook, before, limit }).await?;
    let full = rows.len() as u64 == limit;
    let cursor = rows.last().filter(|_| full).map(|row| row.id);
    let shown: Vec<_> = rows.iter().map(delivery).collect();
    Ok(HttpResponse::Ok().json(json!({
        "count": shown.len(), "deliveries": shown, "next_cursor": cursor,
    })))
}

fn delivery(row: &DeliveryRow) -> Value {
    let state = match (row.next_at, row.delivered_at) {
        (Some(_), _) => "pending",
        (None, Some(_)) => "delivered",
        (None, None) => "given_up",
    };
    let tried = row.tried.as_ref();
    json!({
        "id": row.id,
        "type": row.event,
        "task_id": row.task,
        "state": state,
        "created_at": row.created_at.rfc3339(),
        "attempts": row.attempts,
        "next_at": time(row.next_at),
        "delivered_at": time(row.delivered_at),
        "given_up_at": time(row.given_up_at),
        "tried_at": time(tried.map(|tried| tried.at)),
        "last_status": tried.and_then(|tried| tried.status),
        "last_error": tried.and_then(|tried| tried.error.as_deref()),
        "last_answer": tried.and_then(|tried| tried.answer.as_deref()),
    })
}

/// `POST /deliveries/{id}/redeliver`: from the first try on, under the same `webhook-id`.
pub(super) async fn redeliver(web: Data<Web>, caller: ClientCaller, id: Path<String>) -> ApiResult {
    let none = || ApiError::not_found("delivery");
    let id: DeliveryId = id.parse().map_err(|_| none())?;
    let row = web.store.delivery(id).await?.filter(|row| caller.sees(&row.owner));
    let row = row.ok_or_else(none)?;
    if let Some(webhook) = row.webhook
        && web.store.webhook(webhook).await?.is_none_or(|row| row.disabled_at.is_some())
    {
        let detail = "its webhook is disabled: make a new one";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    web.spend(caller.nonce).await?;
    if !web.store.redeliver(id, web.clock.now()).await? {
        return Err(none());
    }
    web.wake.outbox(web.store.deliveries_written());
    let row = web.store.delivery(id).await?.ok_or_else(none)?;
    Ok(HttpResponse::Accepted().json(delivery(&row)))
}
