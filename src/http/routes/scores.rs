//! Validators push scores of tasks of their own.

use std::collections::HashMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::validators::id_of;
use crate::domain::ids::MinerUid;
use crate::domain::limits::PUSHED_SCORES_MAX;
use crate::domain::pushed::{Door, Pushed, Registered};
use crate::domain::report::Rejection;
use crate::http::Web;
use crate::http::auth::ValidatorCaller;
use crate::http::error::{ApiError, ApiResult, Code, FieldError};
use crate::http::fields::Fields;
use crate::http::upload::Body;
use crate::store::{PushedScore, PutScores, RegistrationRow, ScorePut};

/// `POST /scores`.
pub(super) async fn push(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let uid = fields.integer("validator_uid", 0, u16::MAX.into());
    let entries = entries(&mut fields);
    let entries = fields.finish("scores", entries)?;
    if entries.len() > PUSHED_SCORES_MAX {
        let most = format!("`scores` holds more than {PUSHED_SCORES_MAX}: send them in parts");
        return Err(ApiError::new(Code::TooLarge, most));
    }
    let validator = id_of(&web, &caller, uid.and_then(|uid| u16::try_from(uid).ok())).await?;
    let now = web.clock.now();
    let kinds: Vec<_> = web.config.weighted_kinds().into_iter().map(|kind| kind.name).collect();
    let oldest = now.plus(-web.config.weights.retention_millis());
    let (pushed, mut rejected) = Door { kinds: &kinds, now, oldest }.read(&entries);
    let (taken, scores) = registered(&web, pushed, &mut rejected).await?;
    if scores.is_empty() {
        return Err(unusable(rejected));
    }
    let command = PutScores { validator, scores, now, nonce: caller.nonce };
    let put = web.store.put_scores(command).await?;
    let count = |of| put.iter().filter(|put| **put == of).count();
    let (accepted, duplicates) = (count(ScorePut::New), count(ScorePut::Same));
    for (pushed, _) in taken.iter().zip(&put).filter(|(_, put)| **put == ScorePut::Conflict) {
        let reason = "was another one when you pushed it before; the first one stands";
        rejected.push(pushed.refuse("score", reason));
    }
    rejected.sort_by_key(|refused| refused.index);
    if accepted + duplicates == 0 {
        return Err(unusable(rejected));
    }
    metrics::counter!(crate::telemetry::SCORES_PUSHED).increment(accepted as u64);
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "accepted": accepted,
        "duplicates": duplicates,
        "rejected": rejected,
    })))
}

/// The list `scores`; or the one score that the body is itself.
fn entries(fields: &mut Fields) -> Option<Vec<Value>> {
    match fields.value("scores") {
        Some(Value::Array(entries)) if entries.is_empty() => {
            fields.complain("scores", "must hold at least one score");
            None
        }
        Some(Value::Array(entries)) => Some(entries),
        Some(Value::Object(one)) => Some(vec![Value::Object(one)]),
        Some(_) => {
            fields.complain("scores", "must be a list of scores");
            None
        }
        None => {
            let names = ["kind", "uid", "hotkey", "score", "scored_at", "block"];
            let own =
                names.into_iter().filter_map(|name| Some((name.to_owned(), fields.take(name)?)));
            let one: Map<_, _> = own.collect();
            (!one.is_empty()).then(|| vec![Value::Object(one)])
        }
    }
}

/// Those that are about the miner that has their uid, with their rows.
async fn registered(
    web: &Web,
    pushed: Vec<Pushed>,
    rejected: &mut Vec<Rejection>,
) -> ApiResult<(Vec<Pushed>, Vec<PushedScore>)> {
    let mut uids: Vec<_> = pushed.iter().map(|pushed| pushed.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    let rows = web.store.registered(uids).await?;
    let rows: HashMap<MinerUid, RegistrationRow> =
        rows.into_iter().map(|row| (row.uid, row)).collect();
    let (mut taken, mut scores) = (Vec::new(), Vec::new());
    for pushed in pushed {
        let row = rows.get(&pushed.uid);
        let known = row.map(|row| Registered {
            hotkey: &row.hotkey,
            opened_at: row.opened_at,
            block: row.registered_block,
        });
        match (pushed.about(known), row) {
            (Ok(()), Some(row)) => {
                scores.push(PushedScore {
                    registration: row.id,
                    kind: pushed.kind.clone(),
                    scored_at: pushed.scored_at,
                    score: pushed.score,
                    block: pushed.block,
                });
                taken.push(pushed);
            }
            (Err(refused), _) => rejected.push(refused),
            (Ok(()), None) => {}
        }
    }
    rejected.sort_by_key(|refused| refused.index);
    Ok((taken, scores))
}

/// What to say when not one score was taken.
fn unusable(rejected: Vec<Rejection>) -> ApiError {
    let field = |of: Rejection| FieldError {
        field: format!("scores[{}].{}", of.index, of.field),
        reason: of.reason,
    };
    ApiError::fields(rejected.into_iter().map(field).collect())
}
