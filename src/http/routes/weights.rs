//! What miners are worth now, and how that came about.

use std::sync::Arc;

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::miners::uid;
use super::on_chain::OnChain;
use super::performance::{self, newest};
use crate::actors::chain_sync::Believed;
use crate::actors::directory::Entry;
use crate::actors::stats::MadeUpTo;
use crate::domain::chain;
use crate::domain::ids::RunId;
use crate::domain::limits::FOLD_AFTER_MILLIS;
use crate::domain::period::hour_of;
use crate::domain::units::{HOUR, Millis};
use crate::domain::weights::{Explained, Run, RunMiner, upscale};
use crate::http::Web;
use crate::http::auth::AnyCaller;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::store::WeightRunRow;

/// A calculation by its id, or the newest one. A miner is its registration: whoever changed its hotkey
/// since is shown under the new one.
async fn found(web: &Web, id: Option<RunId>) -> ApiResult<Option<(WeightRunRow, Run)>> {
    let Some(row) = web.store.weight_run(id).await? else { return Ok(None) };
    let run = serde_json::from_slice(&row.body);
    let mut run: Run =
        run.map_err(|error| ApiError::new(Code::Internal, format!("weight_run: {error}")))?;
    for miner in &mut run.miners {
        if let Some(entry) = web.directory.by_registration(miner.registration) {
            miner.hotkey.clone_from(&entry.hotkey);
        }
    }
    Ok(Some((row, run)))
}

/// What to say before the first calculation.
fn none_yet(web: &Web) -> ApiError {
    let next = (hour_of(web.clock.now()) + 1) * HOUR;
    let next = Millis(next).plus(FOLD_AFTER_MILLIS).rfc3339();
    let detail = format!(
        "no weights were computed yet: the first run is made after an hour with scores is over, \
         next at {next}"
    );
    ApiError::new(Code::NotFound, detail)
}

/// What every answer says of the calculation.
fn about(row: &WeightRunRow) -> Map<String, Value> {
    let fields = [
        ("success", json!(true)),
        ("run", json!(row.id)),
        ("policy", json!(row.policy)),
        ("policy_hash", json!(row.policy_hash)),
        ("computed_at", json!(row.made_at.rfc3339())),
        ("window_start", json!(row.window_from.rfc3339())),
        ("window_end", json!(row.window_to.rfc3339())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The miners of a calculation with their shares. Whoever lost its uid since is left out, as far as the
/// chain has told, and the others share what is left: no weight goes to a stranger.
async fn still_registered<'r>(
    web: &Web,
    run: &'r Run,
) -> ApiResult<(Vec<(&'r RunMiner, f64)>, Vec<String>)> {
    let believed = web.chain.send(Believed).await?;
    let there = |miner: &RunMiner| {
        let other = |entry: Arc<Entry>| entry.registration != miner.registration;
        if web.directory.by_uid(miner.uid).is_some_and(other) {
            return false;
        }
        believed.as_ref().is_none_or(|row| {
            let neuron = row.snapshot.neurons.get(&miner.uid);
            neuron.is_some_and(|neuron| neuron.hotkey == miner.hotkey)
        })
    };
    let records = run.calculation.records.iter().map(|record| record.weight);
    let (mut kept, mut warnings) = (Vec::with_capacity(run.miners.len()), Vec::new());
    for (miner, weight) in run.miners.iter().zip(records) {
        if there(miner) {
            kept.push((miner, weight));
        } else {
            let (uid, hotkey) = (miner.uid, &miner.hotkey);
            warnings.push(format!(
                "uid {uid} is left out: `{hotkey}`, whose scores these are, has it no more"
            ));
        }
    }
    let sum: f64 = kept.iter().map(|(_, weight)| *weight).sum();
    if !warnings.is_empty() && sum > 0.0 {
        kept.iter_mut().for_each(|(_, weight)| *weight /= sum);
    }
    Ok((kept, warnings))
}

/// `GET /weights/current`: the vector, as people and as the subnet's SDK want it.
pub(super) async fn current(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let Some((row, run)) = found(&web, None).await? else { return Err(none_yet(&web)) };
    let (vector, mut warnings) = still_registered(&web, &run).await?;
    let weights: Vec<f64> = vector.iter().map(|(_, weight)| *weight).collect();
    let weights_u16 = upscale(&weights);
    let lines = vector.iter().zip(&weights_u16).map(|((miner, weight), weight_u16)| {
        json!({
            "uid": miner.uid,
            "hotkey": miner.hotkey,
            "weight": weight,
            "weight_u16": weight_u16,
        })
    });
    let lines: Vec<Value> = lines.collect();
    let pairs = vector.iter().map(|(miner, _)| miner.uid).zip(weights_u16);
    let pairs: Vec<_> = pairs.filter(|(_, weight)| *weight > 0).collect();
    let limits = super::submissions::limits(&web).await?;
    warnings.extend(chain::warnings(&pairs, None, limits).iter().map(ToString::to_string));
    let (uids, weights): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let made = web.stats.send(MadeUpTo).await?;
    let mut answer = about(&row);
    answer.insert("made_up_to".to_owned(), json!(made.map(Millis::rfc3339)));
    answer.insert("weights".to_owned(), json!(lines));
    answer.insert("uids".to_owned(), json!(uids));
    answer.insert("weights_u16".to_owned(), json!(weights));
    answer.insert("warnings".to_owned(), json!(warnings));
    Ok(HttpResponse::Ok().json(answer))
}

#[derive(Deserialize)]
pub(super) struct WhichRun {
    run: Option<String>,
}

/// `GET /weights/export`: what went into a calculation, as `pithead weights compute` reads it.
pub(super) async fn export(web: Data<Web>, _: AnyCaller, query: Query<WhichRun>) -> ApiResult {
    let id = query.run.as_deref().map(str::parse::<RunId>).transpose();
    let id = id.map_err(|error| ApiError::field("run", format!("is wrong: {error}")))?;
    let Some((row, run)) = found(&web, id).await? else {
        return Err(if id.is_some() { ApiError::not_found("run") } else { none_yet(&web) });
    };
    let name = format!("attachment; filename=\"weights-{}.json\"", row.id);
    Ok(HttpResponse::Ok().insert_header((CONTENT_DISPOSITION, name)).json(run.file))
}

/// `GET /weights/{uid}`: a miner in the current vector, and its newest record of each period.
pub(super) async fn one(web: Data<Web>, _: AnyCaller, path: Path<String>) -> ApiResult {
    let uid = uid(&path)?;
    let run = found(&web, None).await?;
    let records = newest(&web, uid).await?;
    let current = run.as_ref().and_then(|(row, run)| {
        let (miner, record) = run.miner(uid)?;
        let mut current = about(row);
        current.remove("success");
        current.insert("hotkey".to_owned(), json!(miner.hotkey));
        current.insert("figures".to_owned(), json!(record));
        current.insert("standings".to_owned(), json!(miner.standings));
        Some(current)
    });
    if run.is_none() && records.is_empty() {
        return Err(none_yet(&web));
    }
    if current.is_none() && records.is_empty() {
        return Err(unscored());
    }
    let records = records.iter().map(performance::shown).collect::<Vec<_>>();
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "uid": uid, "current": current, "records": records,
    })))
}

fn unscored() -> ApiError {
    ApiError::new(Code::NotFound, "nobody has scored this uid within the window")
}

#[derive(Deserialize)]
pub(super) struct Form {
    format: Option<String>,
}

/// `GET /weights/{uid}/explain`: the walk from its scores to its weight.
pub(super) async fn explain(
    web: Data<Web>,
    _: AnyCaller,
    request: HttpRequest,
    path: Path<String>,
    query: Query<Form>,
) -> ApiResult {
    let uid = uid(&path)?;
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let text = match query.format.as_deref() {
        None => accepts.is_some_and(|accept| accept.trim_start().starts_with("text/plain")),
        Some("text") => true,
        Some("json") => false,
        Some(_) => return Err(ApiError::field("format", "must be `json` or `text`")),
    };
    let Some((row, run)) = found(&web, None).await? else { return Err(none_yet(&web)) };
    let (Some(explained), Some((miner, _))) = (Explained::of(&run, uid), run.miner(uid)) else {
        return Err(unscored());
    };
    let on_chain = OnChain::of(&web, miner).await?;
    if text {
        let page = format!(
            "Weight of miner {uid}, {}\nPolicy `{}` ({}), scores from {} to {}, computed {}\n\n{explained}{}",
            miner.hotkey,
            row.policy,
            row.policy_hash,
            row.window_from,
            row.window_to,
            row.made_at,
            on_chain.text(),
        );
        return Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(page));
    }
    let mut answer = about(&row);
    answer.insert("uid".to_owned(), json!(uid));
    answer.insert("hotkey".to_owned(), json!(miner.hotkey));
    answer.insert("explanation".to_owned(), json!(explained));
    answer.insert("submissions".to_owned(), on_chain.submissions());
    answer.insert("incentive".to_owned(), on_chain.incentive());
    Ok(HttpResponse::Ok().json(answer))
}
