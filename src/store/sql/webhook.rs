//! Endpoints, the secrets of callbacks, and what became of deliveries.

use pithead_entities as e;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::dialect::statement;
use super::outbox::Known;
use super::row::{self, get};
use super::writer::{DeleteWebhook, Redeliver, Waiting};
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::domain::units::Millis;
use crate::store::*;

pub(super) async fn put(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutWebhook, WebhookPut>],
    known: &Known,
) -> StoreResult<()> {
    use e::webhook::{ActiveModel, Column, Entity};
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        // Before any transaction could commit that has one and does not look for it.
        known.there_may_be_webhooks();
        let PutWebhook { webhook, owned_max, .. } = waiting.command.clone();
        if Entity::find_by_id(webhook.id.0).one(tx).await?.is_some() {
            waiting.answer(WebhookPut::Done);
            continue;
        }
        let owned = Entity::find().filter(Column::Owner.eq(webhook.owner.as_str()));
        let owned = u64::try_from(owned.limit(owned_max).all(tx).await?.len());
        if owned.is_ok_and(|owned| owned >= owned_max) {
            waiting.answer(WebhookPut::Full);
            continue;
        }
        let row = ActiveModel {
            id: Set(webhook.id.0),
            owner: Set(webhook.owner),
            url: Set(webhook.url),
            events: Set(webhook.events),
            secret: Set(webhook.secret),
            old_secret: Set(webhook.old_secret),
            old_until: Set(webhook.old_until.map(|at| at.0)),
            created_at: Set(webhook.created_at.0),
            disabled_at: Set(webhook.disabled_at.map(|at| at.0)),
            disabled_reason: Set(webhook.disabled_reason),
        };
        Entity::insert(row).exec_without_returning(tx).await?;
        waiting.answer(WebhookPut::Done);
    }
    Ok(())
}

const ROTATE: &str = "UPDATE webhook SET old_secret = secret, old_until = $1, secret = $2 \
                      WHERE id = $3 AND secret <> $2";

pub(super) async fn rotate(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<RotateWebhook, bool>],
) -> StoreResult<()> {
    for waiting in waiting {
        let RotateWebhook { id, secret, old_until } = waiting.command.clone();
        // The same secret again is an earlier try of the same command.
        let values = [old_until.0.into(), secret.into(), id.0.into()];
        tx.execute_raw(statement(tx, ROTATE, values)).await?;
        let found = e::webhook::Entity::find_by_id(id.0).one(tx).await?;
        waiting.answer(found.is_some());
    }
    Ok(())
}

/// An endpoint goes with its deliveries: nobody could look them up any more.
pub(super) async fn delete(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<DeleteWebhook, bool>],
) -> StoreResult<()> {
    for waiting in waiting {
        let DeleteWebhook(id) = waiting.command;
        let own = e::delivery::Column::WebhookId.eq(id.0);
        e::delivery::Entity::delete_many().filter(own).exec(tx).await?;
        let gone = e::webhook::Entity::delete_by_id(id.0).exec(tx).await?;
        waiting.answer(gone.rows_affected > 0);
    }
    Ok(())
}

pub(super) async fn know_secret(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<CallbackSecretRow, String>],
) -> StoreResult<()> {
    use e::callback_secret::{ActiveModel, Column, Entity};
    for waiting in waiting {
        let row = waiting.command.clone();
        let new = ActiveModel {
            owner: Set(row.owner.clone()),
            secret: Set(row.secret.clone()),
            created_at: Set(row.created_at.0),
        };
        // The first one stands.
        let known = OnConflict::column(Column::Owner).do_nothing().to_owned();
        Entity::insert_many([new]).on_conflict(known).exec_without_returning(tx).await?;
        let stands = Entity::find_by_id(row.owner).one(tx).await?;
        waiting.answer(stands.map_or(row.secret, |row| row.secret));
    }
    Ok(())
}

pub(super) async fn note(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<NoteDelivery, bool>],
) -> StoreResult<()> {
    use e::delivery::{Column, Entity};
    for waiting in waiting {
        let NoteDelivery { id, attempts, tried, after } = waiting.command.clone();
        let before = i32::try_from(attempts).unwrap_or(i32::MAX);
        let at = Expr::value(tried.at.0);
        let mut update = Entity::update_many()
            .col_expr(Column::Attempts, Expr::value(before.saturating_add(1)))
            .col_expr(Column::TriedAt, at.clone())
            .col_expr(Column::LastStatus, Expr::value(tried.status.map(i32::from)))
            .col_expr(Column::LastError, Expr::value(tried.error))
            .col_expr(Column::LastAnswer, Expr::value(tried.answer));
        let next_at = match after {
            AfterTry::Again(next) => Some(next.0),
            AfterTry::Delivered | AfterTry::GivenUp | AfterTry::Disable(_) => None,
        };
        update = update.col_expr(Column::NextAt, Expr::value(next_at));
        update = match after {
            AfterTry::Again(_) => update,
            AfterTry::Delivered => update.col_expr(Column::DeliveredAt, at),
            AfterTry::GivenUp | AfterTry::Disable(_) => update.col_expr(Column::GivenUpAt, at),
        };
        let current = update
            .filter(Column::Id.eq(id.0))
            .filter(Column::Attempts.eq(before))
            .filter(Column::NextAt.is_not_null());
        let held = current.exec(tx).await?.rows_affected > 0;
        if let (true, AfterTry::Disable(reason)) = (held, after) {
            disable(tx, id, &reason, tried.at).await?;
        }
        waiting.answer(held);
    }
    Ok(())
}

const DISABLE: &str = "UPDATE webhook SET disabled_at = $1, disabled_reason = $2 \
    WHERE disabled_at IS NULL AND id = (SELECT webhook_id FROM delivery WHERE id = $3)";

const GIVE_UP: &str = "UPDATE delivery SET next_at = NULL, given_up_at = $1 \
    WHERE next_at IS NOT NULL AND webhook_id = (SELECT d.webhook_id FROM delivery d WHERE d.id = $2)";

/// An endpoint said that it is gone: it is not told any more, nor what waited for it.
async fn disable(
    tx: &DatabaseTransaction,
    id: DeliveryId,
    reason: &str,
    at: Millis,
) -> StoreResult<()> {
    let values = [at.0.into(), reason.into(), id.0.into()];
    tx.execute_raw(statement(tx, DISABLE, values)).await?;
    tx.execute_raw(statement(tx, GIVE_UP, [at.0.into(), id.0.into()])).await?;
    Ok(())
}

const REDELIVER: &str = "UPDATE delivery SET attempts = 0, next_at = $1, delivered_at = NULL, \
                         given_up_at = NULL WHERE id = $2";

pub(super) async fn redeliver(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Redeliver, bool>],
) -> StoreResult<()> {
    for waiting in waiting {
        let Redeliver(id, now) = waiting.command;
        let done = tx.execute_raw(statement(tx, REDELIVER, [now.0.into(), id.0.into()])).await?;
        waiting.answer(done.rows_affected() > 0);
    }
    Ok(())
}

/// Whether there is any endpoint.
pub(super) async fn any(db: &DatabaseConnection) -> StoreResult<bool> {
    Ok(db.query_one_raw(statement(db, "SELECT 1 FROM webhook LIMIT 1", [])).await?.is_some())
}

pub(super) async fn webhooks(
    db: &DatabaseConnection,
    owner: Option<String>,
    limit: u64,
) -> StoreResult<Vec<WebhookRow>> {
    use e::webhook::{Column, Entity};
    let mut query = Entity::find().order_by_asc(Column::Id).limit(limit);
    if let Some(owner) = owner {
        query = query.filter(Column::Owner.eq(owner));
    }
    Ok(query.all(db).await?.into_iter().map(row::webhook).collect())
}

pub(super) async fn webhook(
    db: &DatabaseConnection,
    id: WebhookId,
) -> StoreResult<Option<WebhookRow>> {
    Ok(row::one(db, e::webhook::Entity::find_by_id(id.0)).await?.map(row::webhook))
}

pub(super) async fn deliveries(
    db: &DatabaseConnection,
    page: DeliveryPage,
) -> StoreResult<Vec<DeliveryRow>> {
    use e::delivery::{Column, Entity};
    let own = Column::WebhookId.eq(page.webhook.0);
    let mut query = Entity::find().filter(own).order_by_desc(Column::Id).limit(page.limit);
    if let Some(before) = page.before {
        query = query.filter(Column::Id.lt(before.0));
    }
    query.all(db).await?.into_iter().map(row::delivery).collect()
}

pub(super) async fn delivery(
    db: &DatabaseConnection,
    id: DeliveryId,
) -> StoreResult<Option<DeliveryRow>> {
    row::one(db, e::delivery::Entity::find_by_id(id.0)).await?.map(row::delivery).transpose()
}

// From lane to lane through the index, however much waits in each.
const LANES: &str = "WITH RECURSIVE l(lane, n) AS ( \
    SELECT MIN(lane), 1 FROM delivery WHERE next_at IS NOT NULL AND lane > $1 UNION ALL \
    SELECT (SELECT MIN(d.lane) FROM delivery d WHERE d.next_at IS NOT NULL AND d.lane > l.lane), \
    l.n + 1 FROM l WHERE l.lane IS NOT NULL AND l.n < $2) \
    SELECT l.lane, (SELECT MIN(d.next_at) FROM delivery d WHERE d.next_at IS NOT NULL \
    AND d.lane = l.lane) FROM l WHERE l.lane IS NOT NULL";

pub(super) async fn lanes(
    db: &DatabaseConnection,
    after: &str,
    limit: u64,
) -> StoreResult<Vec<Lane>> {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let mut lanes = Vec::new();
    for row in db.query_all_raw(statement(db, LANES, [after.into(), limit.into()])).await? {
        lanes.push(Lane { lane: get(&row, 0)?, next_at: Millis(get(&row, 1)?) });
    }
    Ok(lanes)
}

pub(super) async fn due(
    db: &DatabaseConnection,
    lane: &str,
    now: Millis,
    limit: u64,
) -> StoreResult<Vec<DeliveryRow>> {
    use e::delivery::{Column, Entity};
    let rows = Entity::find()
        .filter(Column::Lane.eq(lane))
        .filter(Column::NextAt.lte(now.0))
        .order_by_asc(Column::NextAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    rows.all(db).await?.into_iter().map(row::delivery).collect()
}
