//! API keys. Whatever happens to one is in the audit log with the same commit. Changes are rare: each
//! is a statement of its own.

use pithead_entities as e;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::writer::Waiting;
use super::{audit, row};
use crate::domain::audit::Fact;
use crate::store::keys::{changed, created, revoked, rotated};
use crate::store::{By, ChangeKey, KeyRow, PutKey, RevokeKey, RotateKey, StoreResult};

fn active(key: KeyRow) -> e::api_key::ActiveModel {
    e::api_key::ActiveModel {
        id: Set(key.id),
        secret_hash: Set(key.secret_hash.to_vec()),
        name: Set(key.name),
        scopes: Set(key.scopes),
        created_at: Set(key.created_at.0),
        expires_at: Set(key.expires_at.map(|at| at.0)),
        revoked_at: Set(key.revoked_at.map(|at| at.0)),
        old_secret_hash: Set(key.old_secret_hash.map(|hash| hash.to_vec())),
        old_secret_until: Set(key.old_secret_until.map(|at| at.0)),
        rotated_at: Set(key.rotated_at.map(|at| at.0)),
        requests_per_minute: Set(key.limits.requests_per_minute.map(i64::from)),
        in_flight: Set(key.limits.in_flight.map(i64::from)),
        tasks_per_day: Set(key.limits.tasks_per_day.map(i64::from)),
    }
}

async fn tell(tx: &DatabaseTransaction, by: &By, fact: Fact) -> StoreResult<()> {
    audit::append(tx, by.netuid, &[fact], by.now).await.map(drop)
}

/// Writes new keys; one that is there already was written by an earlier try of the same command.
pub(super) async fn put(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutKey, ()>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let mut once = OnConflict::column(e::api_key::Column::Id);
        let written = e::api_key::Entity::insert_many([active(command.key.clone())])
            .on_conflict(once.do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
        if written > 0 {
            tell(tx, &command.by, created(command)).await?;
        }
        waiting.answer(());
    }
    Ok(())
}

/// The key of this id, unless it was taken back.
async fn valid(tx: &DatabaseTransaction, id: &str) -> StoreResult<Option<KeyRow>> {
    let find = e::api_key::Entity::find_by_id(id).filter(e::api_key::Column::RevokedAt.is_null());
    row::one(tx, find).await?.map(row::key).transpose()
}

async fn write(tx: &DatabaseTransaction, key: &KeyRow) -> StoreResult<()> {
    e::api_key::Entity::update(active(key.clone())).exec(tx).await?;
    Ok(())
}

/// Changes keys that were not taken back.
pub(super) async fn change(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<ChangeKey, Option<KeyRow>>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let Some(old) = valid(tx, &command.id).await? else {
            waiting.answer(None);
            continue;
        };
        let new = command.applied(&old);
        if new != old {
            write(tx, &new).await?;
            tell(tx, &command.by, changed(&command.by, &old, &new)).await?;
        }
        waiting.answer(Some(new));
    }
    Ok(())
}

/// Gives other secrets to keys that were not taken back.
pub(super) async fn rotate(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<RotateKey, Option<KeyRow>>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let Some(old) = valid(tx, &command.id).await? else {
            waiting.answer(None);
            continue;
        };
        let new = command.applied(&old);
        if new != old {
            write(tx, &new).await?;
            tell(tx, &command.by, rotated(&command.by, &new)).await?;
        }
        waiting.answer(Some(new));
    }
    Ok(())
}

/// Takes keys back, each once.
pub(super) async fn revoke(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<RevokeKey, bool>],
) -> StoreResult<()> {
    use e::api_key::{Column, Entity};
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let done = Entity::update_many()
            .col_expr(Column::RevokedAt, command.by.now.0.into())
            .filter(Column::Id.eq(command.id.as_str()))
            .filter(Column::RevokedAt.is_null())
            .exec(tx)
            .await?;
        if done.rows_affected > 0 {
            tell(tx, &command.by, revoked(command)).await?;
        }
        waiting.answer(done.rows_affected > 0);
    }
    Ok(())
}
