//! Who earned what, and who had what done: the leaderboard and the usage.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::tasks::number;
use crate::actors::stats::Board;
use crate::domain::ids::BadId;
use crate::domain::leaderboard::{Line, Order};
use crate::domain::limits::{PAGE_MAX, USAGE_ROWS_MAX};
use crate::domain::period::{Period, begin_of, day_of};
use crate::domain::units::{ONE, Score};
use crate::http::Web;
use crate::http::auth::{AnyCaller, ClientCaller};
use crate::http::error::{ApiError, ApiResult};
use crate::http::fields::printable;
use crate::store::{UsageCounts, UsageDays, UsageRow};

#[derive(Deserialize)]
pub(super) struct Wanted {
    period: Option<String>,
    task_type: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

pub(super) fn one_of<T: std::str::FromStr<Err = BadId>>(
    name: &str,
    text: Option<&str>,
    default: T,
) -> ApiResult<T> {
    let parsed = text.map(str::parse).transpose();
    let wrong = |error: BadId| ApiError::field(name, format!("is wrong: {error}"));
    Ok(parsed.map_err(wrong)?.unwrap_or(default))
}

/// `GET /leaderboard`: miners by their scores in the running day, week, month, or ever.
pub(super) async fn leaderboard(web: Data<Web>, _: AnyCaller, query: Query<Wanted>) -> ApiResult {
    let period = one_of("period", query.period.as_deref(), Period::Weekly)?;
    let order = one_of("sort", query.sort.as_deref(), Order::Score)?;
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50);
    let from = number("cursor", query.cursor.as_deref(), 0, i64::from(u32::MAX))?.unwrap_or(0);
    let kind = match &query.task_type {
        None => None,
        Some(name) => match web.kinds.find(name) {
            Some((_, kind)) => Some(kind.name.clone()),
            None => {
                let reason = format!("`{}` is not configured here", printable(name));
                return Err(ApiError::field("task_type", reason));
            }
        },
    };
    let (first, end) = period.days(web.clock.now());
    let board = Board { from: first, to: end - 1, kind: kind.clone(), order };
    let lines = web.stats.send(board).await??;
    let (skip, take) = (usize::try_from(from).unwrap_or(0), usize::try_from(limit).unwrap_or(0));
    let mut miners = Vec::with_capacity(take);
    for line in lines.iter().skip(skip).take(take) {
        miners.push(shown(&web, line).await?);
    }
    let next = skip + miners.len();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "period": period,
        "period_start": begin_of(first).rfc3339(),
        "period_end": begin_of(end).rfc3339(),
        "task_type": kind,
        "sort": order,
        "total": lines.len(),
        "miners": miners,
        "next_cursor": (next < lines.len()).then(|| next.to_string()),
    })))
}

async fn shown(web: &Web, line: &Line) -> ApiResult<serde_json::Value> {
    let (uid, hotkey, open) = match web.directory.by_registration(line.registration) {
        Some(entry) => (Some(entry.uid), Some(entry.hotkey.clone()), true),
        None => {
            let row = web.store.registration(line.registration).await?;
            let open = row.as_ref().is_some_and(|row| row.closed_at.is_none());
            (row.as_ref().map(|row| row.uid), row.map(|row| row.hotkey), open)
        }
    };
    Ok(json!({
        "rank": line.rank,
        "miner_uid": uid,
        "hotkey": hotkey,
        "registered": open,
        "score": Score::clamped(line.mean()).as_f64(),
        "scored": line.scored,
        "total": line.score_sum as f64 / ONE as f64,
    }))
}

#[derive(Deserialize)]
pub(super) struct Days {
    days: Option<String>,
    owner: Option<String>,
}

/// Days that usage is shown for at most.
const DAYS_MAX: i64 = 366;

/// `GET /usage`: what the caller had done, by day and kind; an admin sees everybody's, or one
/// `owner`'s.
pub(super) async fn usage(web: Data<Web>, caller: ClientCaller, query: Query<Days>) -> ApiResult {
    let days = number("days", query.days.as_deref(), 1, DAYS_MAX)?.unwrap_or(30);
    let owner = match (&query.owner, caller.admin) {
        (owner, true) => owner.clone(),
        (Some(owner), false) if *owner != caller.owner => {
            return Err(ApiError::field("owner", "is not you: leave it out"));
        }
        _ => Some(caller.owner),
    };
    let to = day_of(web.clock.now());
    let from = to - days + 1;
    let rows = web.store.usage(UsageDays { owner, from, to, limit: USAGE_ROWS_MAX }).await?;
    let complete = (rows.len() as u64) < USAGE_ROWS_MAX;
    let mut total = UsageCounts::default();
    for UsageRow { counts, .. } in &rows {
        total.submitted += counts.submitted;
        total.input_units += counts.input_units;
        total.done += counts.done;
        total.failed += counts.failed;
    }
    let shown = |counts: &UsageCounts| {
        json!({
            "tasks_submitted": counts.submitted,
            "input_units": counts.input_units,
            "tasks_done": counts.done,
            "tasks_failed": counts.failed,
        })
    };
    let day = |row: &UsageRow| {
        let mut value = shown(&row.counts);
        if let Value::Object(fields) = &mut value {
            fields.insert("day".to_owned(), begin_of(row.day).date().into());
            fields.insert("owner".to_owned(), row.owner.as_str().into());
            fields.insert("task_type".to_owned(), row.kind.as_str().into());
        }
        value
    };
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "period_start": begin_of(from).rfc3339(),
        "period_end": begin_of(to + 1).rfc3339(),
        "complete": complete,
        "total": shown(&total),
        "days": rows.iter().map(day).collect::<Vec<_>>(),
    })))
}
