//! What validators say of the chain, and what is believed.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::actors::chain_sync::{Believed, TakeSnapshot, Taken};
use crate::domain::chain::{Refused, Snapshot};
use crate::domain::limits::SNAPSHOT_BYTES_MAX;
use crate::domain::units::RAO_PER_TOKEN;
use crate::http::Web;
use crate::http::auth::{AnyCaller, WitnessCaller};
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::Fields;
use crate::http::upload::read_body;

/// What is read of a snapshot; the rest of what a program has is passed over.
const FIELDS: [&str; 7] =
    ["netuid", "block", "tempo", "last_step", "min_allowed_weights", "max_weight_limit", "neurons"];

/// `POST /chain/metagraph`: believed once more than half of the stake said the same.
pub(super) async fn put(
    web: Data<Web>,
    WitnessCaller(caller): WitnessCaller,
    request: HttpRequest,
    payload: Payload,
) -> ApiResult {
    followed(&web)?;
    // A form is a third larger than the JSON in it.
    let most = SNAPSHOT_BYTES_MAX + SNAPSHOT_BYTES_MAX / 2;
    let body = read_body(payload.into_inner(), most).await?;
    let mut fields = Fields::read(&request, &body)?;
    let named = fields.integer("validator_uid", 0, u16::MAX.into());
    let sent: Map<String, Value> =
        FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), fields.value(name)?))).collect();
    fields.done()?;
    let snapshot = Snapshot::parse(&Value::Object(sent));
    let snapshot = snapshot.map_err(|bad| ApiError::field(bad.field, bad.reason))?;
    let reporter = caller.reporter(named.and_then(|uid| u16::try_from(uid).ok()))?;
    let block = snapshot.block;
    let take = TakeSnapshot { sender: reporter.hotkey, snapshot, nonce: caller.nonce };
    let (adopted, settled, have, half) = match web.chain.send(take).await?? {
        Ok(Taken::Believed(settled)) => (true, settled, None, None),
        Ok(Taken::Waits { have, half }) => (false, 0, Some(have), Some(half)),
        Err(refused) => return Err(said(&refused)),
    };
    let tokens = |rao: u128| rao as f64 / RAO_PER_TOKEN as f64;
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "block": block,
        "adopted": adopted,
        "submissions_updated": settled,
        "stake": have.map(tokens),
        "stake_to_exceed": half.map(tokens),
    })))
}

/// Whether this server follows the chain at all.
///
/// # Errors
/// 403 where the configuration says no.
pub(super) fn followed(web: &Web) -> ApiResult<()> {
    if web.config.weights.enable_chain_integration {
        return Ok(());
    }
    let detail = "`weights.enable_chain_integration` is off here: the chain is not followed";
    Err(ApiError::new(Code::Forbidden, detail))
}

fn said(refused: &Refused) -> ApiError {
    let detail = refused.to_string();
    match refused {
        Refused::OtherSubnet { .. } => ApiError::field("netuid", detail),
        Refused::OffBeat { .. } => ApiError::field("block", detail),
        Refused::TooLittleStake { .. } | Refused::NoPermit { .. } => {
            ApiError::new(Code::Forbidden, detail)
        }
        Refused::Old { .. } | Refused::Contradicted { .. } => ApiError::new(Code::Conflict, detail),
    }
}

/// `GET /chain/metagraph`: what is believed.
pub(super) async fn show(web: Data<Web>, _: AnyCaller) -> ApiResult {
    let Some(row) = web.chain.send(Believed).await? else {
        let detail = "no snapshot is believed yet: validators send them here with POST";
        return Err(ApiError::new(Code::NotFound, detail));
    };
    let mut shown = row.snapshot.to_json();
    if let Value::Object(fields) = &mut shown {
        fields.insert("success".to_owned(), true.into());
        fields.insert("adopted_at".to_owned(), row.adopted_at.rfc3339().into());
        fields.insert("senders".to_owned(), json!(row.senders));
        fields.insert("count".to_owned(), row.snapshot.neurons.len().into());
    }
    Ok(HttpResponse::Ok().json(shown))
}
