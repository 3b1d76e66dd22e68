//! API keys, for operators.

use std::future::Future;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::submit::idempotency_key;
use super::tasks::number;
use crate::domain::limits::{
    KEY_DAYS_MAX, KEY_IN_FLIGHT_MAX, KEY_OVERLAP_HOURS, KEY_OVERLAP_HOURS_MAX, PAGE_MAX,
    REQUESTS_PER_MINUTE_MAX, TASKS_PER_DAY_MAX,
};
use crate::domain::units::{DAY, HOUR, Millis};
use crate::http::Web;
use crate::http::auth::keys::{Known, Scope};
use crate::http::auth::{Admin, Keys};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::quota::today;
use crate::http::upload::Body;
use crate::identity::ApiKey;
use crate::store::{
    By, ChangeKey, KeyLimits, KeyRow, KeyState, PutKey, RevokeKey, RotateKey, StoreError,
    StoreResult,
};

/// Scopes when none are named.
const USUAL: &str = "client";

fn none() -> ApiError {
    ApiError::not_found("valid key")
}

/// Who asks, for the audit log, with the nonce of a signed request.
pub(super) fn by(web: &Web, admin: &Admin) -> By {
    let (actor, nonce) = (admin.name.clone(), admin.nonce.clone());
    By { netuid: web.config.netuid, actor, now: web.clock.now(), nonce }
}

/// Changes the row of a key, and then what is in memory of it: one change after the other, and
/// whether or not the caller hangs up meanwhile. `apply` gets the answer, or `None` when what came of
/// the command is not known, and says whether memory is now as the row is; else that is read anew.
async fn change<T: 'static, F>(
    web: &Data<Web>,
    id: &str,
    command: impl FnOnce(Data<Web>) -> F + 'static,
    apply: impl FnOnce(&Keys, Option<&T>) -> bool + 'static,
) -> ApiResult<T>
where
    F: Future<Output = StoreResult<T>>,
{
    let (web, id) = (web.clone(), id.to_owned());
    let done = actix_web::rt::spawn(async move {
        let _alone = web.keys.changing.lock().await;
        let outcome = command(web.clone()).await;
        let same = match &outcome {
            Ok(answer) => apply(&web.keys, Some(answer)),
            // It may have been done.
            Err(StoreError::Unknown(_)) => apply(&web.keys, None),
            Err(_) => true,
        };
        if !same {
            read_anew(&web, &id).await;
        }
        outcome
    });
    let broken = |_| ApiError::new(Code::Internal, "the change of a key broke off");
    Ok(done.await.map_err(broken)??)
}

async fn read_anew(web: &Web, id: &str) {
    match web.store.keys().await {
        Ok(mut rows) => {
            rows.retain(|row| row.id == id);
            rows.into_iter().for_each(|row| web.keys.put(row));
        }
        Err(error) => tracing::error!(key.id = id, %error, "an API key could not be read anew"),
    }
}

/// Puts the row that a change left; without one, memory may know what the database does not.
fn put(keys: &Keys, row: Option<&Option<KeyRow>>) -> bool {
    match row {
        Some(Some(row)) => {
            keys.put(row.clone());
            true
        }
        Some(None) | None => false,
    }
}

/// Answers that hold a secret are shown once.
fn no_repetition(request: &HttpRequest) -> ApiResult<()> {
    if idempotency_key(request)?.is_some() {
        let reason = "is not for this route: list the keys, and take one back that is too many";
        return Err(ApiError::field("Idempotency-Key", reason));
    }
    Ok(())
}

fn scopes(fields: &mut Fields) -> Option<String> {
    let scopes = fields.text("scopes", 1_024)?;
    for scope in scopes.split(' ') {
        if let Err(reason) = scope.parse::<Scope>() {
            fields.complain("scopes", reason);
        }
    }
    Some(scopes)
}

/// A field that `null` takes away; `None` when it is not there.
fn clearable<T>(
    fields: &mut Fields,
    name: &str,
    read: impl FnOnce(&mut Fields, &str) -> Option<T>,
) -> Option<Option<T>> {
    if fields.is_cleared(name) {
        return Some(None);
    }
    read(fields, name).map(Some)
}

fn limit(fields: &mut Fields, name: &str, min: u32, max: u32) -> Option<Option<u32>> {
    clearable(fields, name, |fields, name| {
        let number = fields.integer(name, min.into(), max.into())?;
        u32::try_from(number).ok()
    })
}

/// What a body says of a key.
fn read(fields: &mut Fields, id: String, by: By) -> ChangeKey {
    let now = by.now;
    let expires_at = clearable(fields, "expires_days", |fields, name| {
        fields.integer(name, 1, KEY_DAYS_MAX).map(|days| now.plus(days * DAY))
    });
    let name = clearable(fields, "name", Fields::name).map(Option::unwrap_or_default);
    ChangeKey {
        name,
        scopes: scopes(fields),
        expires_at,
        requests_per_minute: limit(fields, "requests_per_minute", 1, REQUESTS_PER_MINUTE_MAX),
        in_flight: limit(fields, "in_flight", 1, KEY_IN_FLIGHT_MAX),
        tasks_per_day: limit(fields, "tasks_per_day", 0, TASKS_PER_DAY_MAX),
        ..ChangeKey::none(id, by)
    }
}

/// `POST /admin/keys`: makes a key; its text is shown this once.
pub(super) async fn create(
    web: Data<Web>,
    admin: Admin,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let (key, by) = (ApiKey::generate(), by(&web, &admin));
    let said = read(&mut fields, key.id().to_owned(), by);
    fields.done()?;
    no_repetition(&request)?;
    let row = KeyRow {
        name: said.name.unwrap_or_default(),
        scopes: said.scopes.unwrap_or_else(|| USUAL.to_owned()),
        expires_at: said.expires_at.flatten(),
        limits: KeyLimits {
            requests_per_minute: said.requests_per_minute.flatten(),
            in_flight: said.in_flight.flatten(),
            tasks_per_day: said.tasks_per_day.flatten(),
        },
        ..KeyRow::new(key.id(), key.hash(), said.by.now)
    };
    let (command, made) = (PutKey { key: row.clone(), by: said.by }, row.clone());
    let put_key = async move |web: Data<Web>| web.store.put_key(command).await;
    let keep = |keys: &Keys, done: Option<&()>| done.map(|()| keys.put(made)).is_some();
    change(&web, &row.id, put_key, keep).await?;
    tracing::info!(key.id = row.id, row.scopes, by = admin.name, "an API key was made");
    let place = format!("/api/v1/admin/keys/{}", row.id);
    let mut answer = HttpResponse::Created();
    answer.insert_header(("location", place)).insert_header(("cache-control", "no-store"));
    Ok(answer.json(json!({
        "id": row.id, "key": key.reveal(), "scopes": row.scopes,
        "message": "keep it: only its hash is stored here",
    })))
}

/// A key as it is shown, without anything that is secret.
async fn shown(web: &Web, Known { row, used_at }: Known, now: Millis) -> ApiResult<Value> {
    let time = |at: Option<Millis>| at.map(Millis::rfc3339);
    Ok(json!({
        "id": row.id,
        "name": row.name,
        "scopes": row.scopes,
        "state": row.state(now).as_str(),
        "created_at": row.created_at.rfc3339(),
        "expires_at": time(row.expires_at),
        "revoked_at": time(row.revoked_at),
        "rotated_at": time(row.rotated_at),
        "old_secret_until": time(row.old_secret(now).and(row.old_secret_until)),
        "requests_per_minute": row.limits.requests_per_minute,
        "in_flight": row.limits.in_flight,
        "tasks_per_day": row.limits.tasks_per_day,
        "tasks_today": today(web, &row.id, now).await?,
        "last_used_at": time(used_at),
    }))
}

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /admin/keys`: oldest first.
pub(super) async fn list(web: Data<Web>, _: Admin, query: Query<Page>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(most);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut all = web.keys.all();
    if let Some(cursor) = query.cursor.as_deref() {
        let wrong = || ApiError::field("cursor", "is none that a list gave");
        let place = all.iter().position(|known| known.row.id == cursor).ok_or_else(wrong)?;
        all.drain(..=place);
    }
    let more = all.len() > limit;
    all.truncate(limit);
    let cursor = all.last().filter(|_| more).map(|known| known.row.id.clone());
    let (now, mut keys) = (web.clock.now(), Vec::with_capacity(all.len()));
    for known in all {
        keys.push(shown(&web, known, now).await?);
    }
    Ok(HttpResponse::Ok().json(json!({
        "count": keys.len(), "keys": keys, "next_cursor": cursor,
    })))
}

/// `GET /admin/keys/{id}`.
pub(super) async fn show(web: Data<Web>, _: Admin, id: Path<String>) -> ApiResult {
    let known = web.keys.one(&id).ok_or_else(|| ApiError::not_found("key"))?;
    Ok(HttpResponse::Ok().json(shown(&web, known, web.clock.now()).await?))
}

/// `PATCH /admin/keys/{id}`: changes what the body names.
pub(super) async fn update(
    web: Data<Web>,
    admin: Admin,
    request: HttpRequest,
    id: Path<String>,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let command = read(&mut fields, id.to_string(), by(&web, &admin));
    fields.done()?;
    let change_key = async move |web: Data<Web>| web.store.change_key(command).await;
    let row = change(&web, &id, change_key, put).await?;
    let row = row.ok_or_else(none)?;
    tracing::info!(key.id = row.id, by = admin.name, "an API key was changed");
    let known = web.keys.one(&row.id).ok_or_else(none)?;
    Ok(HttpResponse::Ok().json(shown(&web, known, web.clock.now()).await?))
}

/// `POST /admin/keys/{id}/rotate`: another secret, shown this once; the one of now is valid too for a
/// while.
pub(super) async fn rotate(
    web: Data<Web>,
    admin: Admin,
    request: HttpRequest,
    id: Path<String>,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let hours = fields.integer("overlap_hours", 0, KEY_OVERLAP_HOURS_MAX);
    fields.done()?;
    no_repetition(&request)?;
    let by = by(&web, &admin);
    let known = web.keys.one(&id).ok_or_else(none)?;
    if known.row.state(by.now) == KeyState::Expired {
        let detail = "the key has expired: give it another end first (`expires_days`)";
        return Err(ApiError::new(Code::Conflict, detail));
    }
    let key = ApiKey::again(&id).ok_or_else(none)?;
    let old_until = by.now.plus(hours.unwrap_or(KEY_OVERLAP_HOURS) * HOUR);
    let command = RotateKey { id: id.to_string(), secret_hash: key.hash(), old_until, by };
    let rotate_key = async move |web: Data<Web>| web.store.rotate_key(command).await;
    let row = change(&web, &id, rotate_key, put).await?;
    let row = row.ok_or_else(none)?;
    tracing::info!(key.id = row.id, by = admin.name, "an API key got another secret");
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(json!({
        "id": row.id, "key": key.reveal(),
        "old_secret_until": row.old_secret_until.map(Millis::rfc3339),
        "message": "keep it: only its hash is stored here",
    })))
}

/// `DELETE /admin/keys/{id}`: effective at once, also for the secret before a rotation.
pub(super) async fn revoke(web: Data<Web>, admin: Admin, id: Path<String>) -> ApiResult {
    let command = RevokeKey { id: id.to_string(), by: by(&web, &admin) };
    let (id, now) = (id.into_inner(), command.by.now);
    let of = id.clone();
    let revoke_key = async move |web: Data<Web>| web.store.revoke_key(command).await;
    // Whatever came of it: a key that is to end is taken no more here. What the database says of it
    // is not read anew: it may be told before a commit whose outcome is open.
    let forget = move |keys: &Keys, _: Option<&bool>| {
        keys.revoke(&of, now);
        true
    };
    let known = change(&web, &id, revoke_key, forget).await?;
    if !known {
        return Err(none());
    }
    tracing::info!(key.id = id, by = admin.name, "an API key was taken back");
    Ok(HttpResponse::NoContent().finish())
}
