//! Room for one more task of a client. Where there is none, a request that made its task before is
//! told of that one: who asks again, since the answer got lost, hands nothing more in.

use super::Web;
use super::error::{ApiResult, Code};
use super::quota::{Reserved, hand_in};
use crate::actors::distributor::{Refusal, Submit, Submitted};
use crate::domain::units::Millis;
use crate::store::{Hash, Idempotency, Nonce, StandsFor};

/// What a client that wants to hand a task in has.
pub(super) enum Room {
    /// Room, at this moment, with its place in the day if days are limited.
    For(Millis, Option<Reserved>),
    /// None, but its key stands for something already.
    None(StandsFor),
}

/// Room for a task, by the day and the minute; `key` is the request's idempotency key.
///
/// # Errors
/// 429 when there is none and the key is new; 503 when the database refuses.
pub(super) async fn room(web: &Web, owner: &str, key: Option<&str>) -> ApiResult<Room> {
    let place = web.quotas.reserve(web, owner).await;
    let place = place.and_then(|place| web.rates.count(owner).map(|()| place));
    let (full, key) = match (place, key) {
        (Ok((now, place)), _) => return Ok(Room::For(now, place)),
        (Err(error), Some(key)) if error.code() == Code::RateLimited => (error, key),
        (Err(error), _) => return Err(error),
    };
    web.store.idempotent(owner, key).await?.map(Room::None).ok_or(full)
}

/// What a request is told whose key stands for something. It uses up its nonce, as it would with a
/// task of its own.
///
/// # Errors
/// 401 for a replay, 503 when the database refuses.
pub(super) async fn before(
    web: &Web,
    stands_for: StandsFor,
    body_hash: Hash,
    nonce: Option<Nonce>,
) -> ApiResult<Submitted> {
    web.spend(nonce).await?;
    Ok(match stands_for {
        StandsFor { body_hash: known, task: Some(id) } if known == body_hash => {
            Submitted::Existing(id)
        }
        _ => Submitted::Refused(Refusal::Mismatch),
    })
}

/// Hands a task in that has room; also where too many are open by now, a key that is known counts
/// first.
///
/// # Errors
/// 503 when the database or the queue does not answer.
pub(super) async fn hand_in_once(
    web: &Web,
    submit: Submit,
    place: Option<Reserved>,
) -> ApiResult<Submitted> {
    let (owner, nonce) = (submit.task.owner.clone(), submit.nonce.clone());
    let idempotency = submit.idempotency.clone();
    let submitted = hand_in(web, submit, place).await?;
    if let (Submitted::Refused(Refusal::TooMany(_) | Refusal::Full), Some(asked)) =
        (&submitted, idempotency)
    {
        let Idempotency { key, body_hash } = asked;
        if let Some(known) = web.store.idempotent(&owner, &key).await? {
            return before(web, known, body_hash, nonce).await;
        }
    }
    Ok(submitted)
}
