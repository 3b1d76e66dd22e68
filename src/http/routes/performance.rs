//! The records of miners by period (seed 004), as pages of JSON or CSV.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use chrono::{DateTime, NaiveDate, NaiveTime};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::miners;
use super::standing::one_of;
use super::tasks::number;
use crate::domain::ids::MinerUid;
use crate::domain::limits::PAGE_MAX;
use crate::domain::period::{Period, begin_of};
use crate::domain::units::Millis;
use crate::domain::weights::KindPerformance;
use crate::http::Web;
use crate::http::auth::AnyCaller;
use crate::http::csv::{self, Cell};
use crate::http::error::{ApiError, ApiResult};
use crate::store::{PerformanceOrder, PerformancePage, PerformancePlace, PerformanceRow};

/// A record with every figure of the document.
pub(super) fn shown(row: &PerformanceRow) -> Value {
    let (of, chain) = (&row.record, &row.chain);
    let by_kind = |figure: fn(&KindPerformance) -> Value| -> Map<String, Value> {
        of.kinds.iter().map(|kind| (kind.kind.clone(), figure(kind))).collect()
    };
    json!({
        "miner_uid": of.uid,
        "hotkey": of.hotkey,
        "registration": of.registration,
        "period_type": row.period,
        "period_start": row.start.rfc3339(),
        "period_end": row.end.rfc3339(),
        "computed_at": row.computed_at.rfc3339(),
        "policy_hash": row.policy_hash,
        "weight": of.weight,
        "submitted_weight": chain.submitted_weight,
        "raw_calculated_weight": of.raw_calculated_weight,
        "excellence_weight": of.excellence_weight,
        "diversity_weight": of.diversity_weight,
        "scoring_pathway": of.scoring_pathway,
        "pathway_details": of.pathway_details,
        "multi_task_bonus": of.multi_task_bonus,
        "excellence_qualified_tasks": of.excellence_qualified_tasks,
        "incentive": chain.incentive,
        "consensus_rank": chain.consensus_rank,
        "weight_submission_block": chain.weight_submission_block,
        "consensus_block": chain.consensus_block,
        "validator_hotkey": chain.validator_hotkey,
        "submissions": chain.submissions,
        "tasks_attempted": of.tasks_attempted,
        "tasks_completed": of.tasks_completed,
        "tasks_scored": of.tasks_scored,
        "success_rate": of.success_rate,
        "average_score": of.average_score,
        "rank": of.rank,
        "trend": of.trend,
        "weight_contributions": by_kind(|kind| json!(kind.weight_contribution)),
        "percentile_ranks": by_kind(|kind| json!(kind.percentile_rank)),
        "tasks": of.kinds,
    })
}

/// The newest record of a uid for each type of period.
pub(super) async fn newest(web: &Web, uid: MinerUid) -> ApiResult<Vec<PerformanceRow>> {
    let mut newest = Vec::new();
    for (period, start) in web.store.newest_periods().await? {
        let page = PerformancePage {
            period,
            from: start,
            to: start.plus(1),
            uid: Some(uid),
            registration: None,
            kind: None,
            order: PerformanceOrder::Weight,
            after: None,
            limit: PAGE_MAX,
        };
        newest.extend(web.store.performances(page).await?);
    }
    Ok(newest)
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    period: Option<String>,
    from: Option<String>,
    to: Option<String>,
    uid: Option<String>,
    kind: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    format: Option<String>,
}

/// A day, or a moment of RFC 3339.
fn moment(name: &str, text: Option<&str>) -> ApiResult<Option<Millis>> {
    let Some(text) = text else { return Ok(None) };
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let exact = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    match exact.or_else(day) {
        Some(moment) => Ok(Some(Millis(moment.timestamp_millis()))),
        None => Err(ApiError::field(name, "must be a day as `2026-01-31`, or RFC 3339")),
    }
}

fn place(text: &str) -> ApiResult<PerformancePlace> {
    let mut parts = text.splitn(3, '.');
    let value = parts.next().and_then(|bits| u64::from_str_radix(bits, 16).ok());
    let value = value.map(f64::from_bits).filter(|value| value.is_finite());
    let start = parts.next().and_then(|start| start.parse().ok()).map(Millis);
    let registration = parts.next().and_then(|id| id.parse().ok());
    match (value, start, registration) {
        (Some(value), Some(start), Some(registration)) => {
            Ok(PerformancePlace { value, start, registration })
        }
        _ => Err(ApiError::field("cursor", "is none that a list gave")),
    }
}

fn page(web: &Web, wanted: &Wanted) -> ApiResult<PerformancePage> {
    let period = one_of("period", wanted.period.as_deref(), Period::Daily)?;
    let order = one_of("sort", wanted.sort.as_deref(), PerformanceOrder::Weight)?;
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", wanted.limit.as_deref(), 1, most)?.unwrap_or(50);
    let (from, to) = (moment("from", wanted.from.as_deref())?, moment("to", wanted.to.as_deref())?);
    let (from, to) = match (from, to) {
        // Where no time is said, it is the running period.
        (None, None) => {
            let (first, end) = period.days(web.clock.now());
            (begin_of(first), begin_of(end))
        }
        (from, to) => (from.unwrap_or_default(), to.unwrap_or(Millis(i64::MAX))),
    };
    if to <= from {
        return Err(ApiError::field("to", "must be later than `from`"));
    }
    Ok(PerformancePage {
        period,
        from,
        to,
        uid: wanted.uid.as_deref().map(miners::uid).transpose()?,
        registration: None,
        kind: wanted.kind.clone(),
        order,
        after: wanted.cursor.as_deref().map(place).transpose()?,
        limit: u64::try_from(limit).unwrap_or(1),
    })
}

/// `GET /performance-stats`: records of periods that begin within a time, in pages.
pub(super) async fn stats(web: Data<Web>, _: AnyCaller, wanted: Query<Wanted>) -> ApiResult {
    let page = page(&web, &wanted)?;
    let as_csv = match wanted.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(ApiError::field("format", "must be `json` or `csv`")),
    };
    let (period, order, limit) = (page.period, page.order, page.limit);
    let rows = web.store.performances(page).await?;
    let full = rows.len() as u64 >= limit;
    let next = rows.last().filter(|_| full).map(|row| {
        let bits = order.value(&row.record).to_bits();
        format!("{bits:016x}.{}.{}", row.start.0, row.record.registration)
    });
    if as_csv {
        let mut response = HttpResponse::Ok();
        response.content_type("text/csv; charset=utf-8");
        if let Some(next) = next {
            response.insert_header(("x-next-cursor", next));
        }
        return Ok(response.body(table(&rows)));
    }
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "period": period,
        "sort": order,
        "count": rows.len(),
        "records": rows.iter().map(shown).collect::<Vec<_>>(),
        "next_cursor": next,
    })))
}

const COLUMNS: [&str; 27] = [
    "miner_uid",
    "hotkey",
    "period_type",
    "period_start",
    "period_end",
    "weight",
    "submitted_weight",
    "raw_calculated_weight",
    "excellence_weight",
    "diversity_weight",
    "scoring_pathway",
    "multi_task_bonus",
    "excellence_qualified_tasks",
    "incentive",
    "consensus_rank",
    "weight_submission_block",
    "consensus_block",
    "validator_hotkey",
    "tasks_attempted",
    "tasks_completed",
    "tasks_scored",
    "success_rate",
    "average_score",
    "rank",
    "trend",
    "weight_contributions",
    "percentile_ranks",
];

/// Lists and objects are JSON in their cells; how a weight came about is left to JSON.
fn table(rows: &[PerformanceRow]) -> String {
    let mut table = String::new();
    csv::line(&mut table, COLUMNS.map(Cell::from));
    for row in rows {
        let shown = shown(row);
        let cell = |name: &&str| match shown.get(*name) {
            None | Some(Value::Null) => Cell::Empty,
            Some(Value::String(text)) => Cell::Text(text.clone()),
            Some(Value::Number(number)) => Cell::Number(number.to_string()),
            Some(other) => Cell::Text(other.to_string()),
        };
        csv::line(&mut table, COLUMNS.iter().map(cell));
    }
    table
}
