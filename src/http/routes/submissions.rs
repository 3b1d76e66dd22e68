//! Validators say what they set on chain, and how that went.

use std::collections::BTreeMap;

use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::chain::followed;
use super::tasks::number;
use crate::actors::chain_sync::Believed;
use crate::domain::chain::{Limits, Mode, State, warnings};
use crate::domain::ids::{BadId, Hotkey, MinerUid};
use crate::domain::limits::{
    BLOCK_MAX, BLOCK_MILLIS_MIN, BLOCKS_AHEAD_MAX, CHAIN_ERROR_CHARS_MAX, NEURONS_MAX, PAGE_MAX,
    SUBMISSIONS_OPEN_MAX,
};
use crate::http::Web;
use crate::http::auth::{AnyCaller, ValidatorCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::{Fields, whole};
use crate::http::upload::Body;
use crate::store::{PutSubmission, SubmissionPage, SubmissionPut, SubmissionRow, Told};

/// Longest text of an error that is read; what is kept of it is less.
const ERROR_CHARS_READ: usize = 4 * CHAIN_ERROR_CHARS_MAX;

/// The numbers of a list, each of which must fit into 16 bits.
fn numbers(fields: &mut Fields, name: &str) -> Option<Vec<u16>> {
    let value = fields.value(name)?;
    let list = value.as_array().filter(|list| list.len() <= NEURONS_MAX);
    let Some(list) = list else {
        fields.complain(name, format!("must be a list of at most {NEURONS_MAX} numbers"));
        return None;
    };
    if list.is_empty() {
        fields.complain(name, "is empty: there is nothing to set");
        return None;
    }
    let number = |value| whole(value).and_then(|number| u16::try_from(number).ok());
    let numbers: Option<Vec<_>> = list.iter().map(number).collect();
    if numbers.is_none() {
        fields.complain(name, "must hold whole numbers from 0 to 65535");
    }
    numbers
}

/// Pairs of uid and weight, by uid, without the zeros: as the chain has them.
fn vector(fields: &mut Fields) -> Option<Vec<(MinerUid, u16)>> {
    let (uids, weights) = match (numbers(fields, "uids"), numbers(fields, "weights")) {
        (Some(uids), Some(weights)) => (uids, weights),
        (Some(_), None) => {
            fields.need::<()>("weights", None);
            return None;
        }
        (None, Some(_)) => {
            fields.need::<()>("uids", None);
            return None;
        }
        (None, None) => return None,
    };
    if uids.len() != weights.len() {
        let (uids, weights) = (uids.len(), weights.len());
        fields.complain("weights", format!("has {weights} numbers for {uids} uids"));
        return None;
    }
    let mut pairs = BTreeMap::new();
    for (uid, weight) in uids.into_iter().zip(weights) {
        if pairs.insert(MinerUid(uid), weight).is_some() {
            fields.complain("uids", format!("has {uid} twice"));
            return None;
        }
    }
    pairs.retain(|_, weight| *weight > 0);
    if pairs.is_empty() {
        fields.complain("weights", "has no positive number: there is nothing to set");
        return None;
    }
    Some(pairs.into_iter().collect())
}

/// How far it came, and the mode that goes with it.
fn told(fields: &mut Fields) -> (Option<Told>, Option<Mode>) {
    let mode: Option<Mode> = fields.parsed("mode");
    let state: Option<State> = fields.parsed("state");
    let revealed = fields.integer("revealed_block", 0, BLOCK_MAX);
    let error = fields.text("error", ERROR_CHARS_READ);
    let only = |mode: Option<Mode>, wanted| match mode {
        Some(given) if given != wanted => None,
        _ => Some(wanted),
    };
    let (told, needed) = match fields.need("state", state) {
        None => return (None, mode),
        Some(State::Calculated) => (Some(Told::Calculated), mode),
        Some(State::Submitted) => (Some(Told::Sent), only(mode, Mode::Plain)),
        Some(State::Committed) => (Some(Told::Sent), only(mode, Mode::CommitReveal)),
        Some(State::Revealed) => {
            let block = fields.need("revealed_block", revealed);
            (block.map(Told::Revealed), only(mode, Mode::CommitReveal))
        }
        Some(State::Failed) => (fields.need("error", error).map(Told::Failed), mode),
        Some(State::Settled | State::Reorged) => {
            fields.complain("state", "is told by the chain, not by validators");
            (None, mode)
        }
    };
    if needed.is_none() && mode.is_some() {
        fields.complain("mode", "does not go with this `state`");
    }
    (told, needed)
}

/// `POST /weights/submissions`: of one block the first vector stands; later words tell how it went.
pub(super) async fn put(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    followed(&web)?;
    let mut fields = Fields::read(&request, &body)?;
    let named = fields.integer("validator_uid", 0, u16::MAX.into());
    let block = fields.integer("block", 0, BLOCK_MAX);
    let block = fields.need("block", block);
    let (state, mode) = told(&mut fields);
    let weights = vector(&mut fields);
    let version_key = fields.integer("version_key", 0, i64::MAX);
    let run = fields.parsed("run");
    fields.done()?;
    let (Some(block), Some(state)) = (block, state) else {
        return Err(ApiError::field("state", "is missing"));
    };
    let reporter = caller.reporter(named.and_then(|uid| u16::try_from(uid).ok()))?;
    near(&web, block).await?;
    let command = PutSubmission {
        netuid: web.config.netuid,
        validator: reporter.hotkey,
        validator_uid: reporter.uid,
        block,
        mode,
        version_key,
        weights,
        run,
        state,
        open_max: SUBMISSIONS_OPEN_MAX,
        now: web.clock.now(),
        nonce: caller.nonce,
    };
    match web.store.put_submission(command).await? {
        SubmissionPut::Taken(row, changed) => {
            let mut shown = shown(&web, &row, limits(&web).await?);
            shown["success"] = true.into();
            shown["duplicate"] = (!changed).into();
            Ok(HttpResponse::Ok().json(shown))
        }
        SubmissionPut::NoWeights => {
            let reason = format!("is missing: nothing is known of block {block} yet");
            Err(ApiError::field("weights", reason))
        }
        SubmissionPut::Conflict => {
            let detail = format!(
                "you told of other weights, or another `mode`, for block {block}: the first stand"
            );
            Err(ApiError::new(Code::Conflict, detail))
        }
        SubmissionPut::Impossible(why) => Err(ApiError::new(Code::Conflict, why)),
        SubmissionPut::TooMany => {
            let reason = format!(
                "is one too many: {SUBMISSIONS_OPEN_MAX} of your submissions wait for an epoch that \
                 counts them; hand in snapshots (`POST /api/v1/chain/metagraph`)"
            );
            Err(ApiError::field("block", reason))
        }
    }
}

/// Whether a block can be: where a snapshot is believed, no more than a day beyond its block and those
/// that came since.
async fn near(web: &Web, block: i64) -> ApiResult<()> {
    let Some(row) = web.chain.send(Believed).await? else { return Ok(()) };
    let age = web.clock.now().since(row.adopted_at).max(0);
    let believed = row.snapshot.block;
    let most = believed.saturating_add(age / BLOCK_MILLIS_MIN).saturating_add(BLOCKS_AHEAD_MAX);
    if block <= most {
        return Ok(());
    }
    let reason = format!(
        "is {block}, and cannot be above {most}: the snapshot that is believed is of block {believed}"
    );
    Err(ApiError::field("block", reason))
}

fn shown(web: &Web, row: &SubmissionRow, limits: Limits) -> Value {
    let (uids, weights): (Vec<_>, Vec<_>) = row.weights.iter().copied().unzip();
    let own = Some(MinerUid(row.validator_uid));
    let mut told: Vec<String> = warnings(&row.weights, own, limits)
        .into_iter()
        .map(|warning| warning.to_string())
        .collect();
    let gone = uids.iter().filter(|uid| web.directory.by_uid(**uid).is_none());
    told.extend(gone.map(|uid| format!("uid {uid} has no miner that this server knows")));
    json!({
        "validator_hotkey": row.of.validator,
        "validator_uid": row.validator_uid,
        "block": row.of.block,
        "mode": row.of.mode,
        "state": row.of.state,
        "effective_block": row.of.effective_block(),
        "revealed_block": row.of.revealed_block,
        "consensus_block": row.of.settled.map(|settled| settled.consensus_block),
        "consensus_delay_blocks": row.of.settled.map(|settled| settled.delay_blocks),
        "error": row.of.error,
        "version_key": row.version_key,
        "run": row.run,
        "uids": uids,
        "weights": weights,
        "warnings": told,
        "created_at": row.created_at.rfc3339(),
        "updated_at": row.updated_at.rfc3339(),
    })
}

/// What the subnet asks of a vector: as the chain says where it does, else as configured.
pub(super) async fn limits(web: &Web) -> ApiResult<Limits> {
    let told = web.config.chain.limits();
    let Some(row) = web.chain.send(Believed).await? else { return Ok(told) };
    let of_chain = &row.snapshot;
    Ok(Limits {
        min_allowed_weights: of_chain.min_allowed_weights.or(told.min_allowed_weights),
        max_weight_limit: of_chain.max_weight_limit.or(told.max_weight_limit),
    })
}

#[derive(Deserialize)]
pub(super) struct List {
    validator: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /weights/submissions`: newest first.
pub(super) async fn list(web: Data<Web>, _: AnyCaller, query: Query<List>) -> ApiResult {
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    let limit = number("limit", query.limit.as_deref(), 1, most)?.unwrap_or(50).unsigned_abs();
    let wrong = |error: BadId| ApiError::field("validator", format!("is wrong: {error}"));
    let validator = query.validator.as_deref().map(Hotkey::parse).transpose().map_err(wrong)?;
    let before = query.cursor.as_deref().map(place).transpose()?;
    let page = SubmissionPage { netuid: web.config.netuid, validator, before, limit };
    let (rows, limits) = (web.store.submissions(page).await?, limits(&web).await?);
    let last = rows.last().filter(|_| rows.len() as u64 == limit);
    let cursor = last.map(|row| format!("{}.{}", row.of.block, row.of.validator));
    let submissions: Vec<_> = rows.iter().map(|row| shown(&web, row, limits)).collect();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "count": submissions.len(),
        "submissions": submissions,
        "next_cursor": cursor,
    })))
}

/// A place in the list.
fn place(cursor: &str) -> ApiResult<(i64, Hotkey)> {
    let parts = cursor
        .split_once('.')
        .and_then(|(block, hotkey)| Some((block.parse().ok()?, Hotkey::parse(hotkey).ok()?)));
    parts.ok_or_else(|| ApiError::field("cursor", "is none that a list gave"))
}
