//! Who may speak as what, for operators.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};

use crate::domain::chain::{Role, Roles};
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;
use crate::http::Web;
use crate::http::auth::Admin;
use crate::http::error::ApiResult;

/// `GET /admin/roles`: everybody whom the operator named or the chain lets set weights.
pub(super) async fn list(web: Data<Web>, _: Admin) -> ApiResult {
    let (roles, now) = (web.roles.borrow().clone(), web.clock.now());
    let shown: Vec<_> =
        roles.named().into_iter().map(|(hotkey, role)| shown(&roles, hotkey, role, now)).collect();
    let adopted_at = roles.adopted_at();
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "block": roles.block(),
        "adopted_at": adopted_at.map(Millis::rfc3339),
        "age_secs": adopted_at.map(|at| now.since(at) / 1_000),
        "max_age_secs": web.config.chain.snapshot_max_age_secs,
        "old": roles.is_old(now),
        "count": shown.len(),
        "roles": shown,
    })))
}

fn shown(roles: &Roles, hotkey: &Hotkey, role: Role, now: Millis) -> Value {
    let vouched = match role {
        Role::Validator => roles.validator(hotkey, now).map(drop),
        Role::Miner => roles.miner(hotkey, now),
        Role::Operator => Ok(()),
    };
    json!({
        "hotkey": hotkey,
        "role": role,
        "uid": roles.uid(hotkey),
        "stake": roles.stake(hotkey, now).map(|stake| stake.tokens()),
        "configured": roles.configured(hotkey).is_some(),
        "may_speak": vouched.is_ok(),
        "reason": vouched.err().map(|why| why.to_string()),
    })
}
