//! Hotkeys that an operator shut out. What happens to one is in the audit log with the same commit.
//! Changes are rare: each is a statement of its own.

use pithead_entities as e;
use pithead_entities::quarantine::{Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryFilter,
    QuerySelect, Set,
};

use super::writer::Waiting;
use super::{audit, row};
use crate::domain::ids::Hotkey;
use crate::domain::units::Millis;
use crate::store::{LiftQuarantine, PutQuarantine, QuarantineRow, StoreError, StoreResult};

fn read(row: e::quarantine::Model) -> StoreResult<QuarantineRow> {
    let hotkey = Hotkey::parse(&row.hotkey).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(QuarantineRow {
        hotkey,
        reason: row.reason,
        until: row.until.map(Millis),
        by: row.by,
        created_at: Millis(row.created_at),
    })
}

/// All of them, by hotkey.
pub(super) async fn all(db: &DatabaseConnection) -> StoreResult<Vec<QuarantineRow>> {
    let rows = Entity::find().all(db).await?;
    let mut rows = rows.into_iter().map(read).collect::<StoreResult<Vec<_>>>()?;
    // Not by the database, whose order of texts is that of its language.
    rows.sort_unstable_by(|a, b| a.hotkey.cmp(&b.hotkey));
    Ok(rows)
}

/// Forgets those whose time is over.
async fn tidy(tx: &DatabaseTransaction, now: Millis) -> StoreResult<()> {
    Entity::delete_many().filter(Column::Until.lte(now.0)).exec(tx).await?;
    Ok(())
}

/// Whether there are so many already. Nobody keeps a counter of a list that changes by hand.
async fn is_full(tx: &DatabaseTransaction, most: u64) -> StoreResult<bool> {
    let there = Entity::find().select_only().column(Column::Hotkey).limit(most);
    Ok(there.into_tuple::<String>().all(tx).await?.len() as u64 >= most)
}

/// Shuts hotkeys out; what stood of one before is replaced.
pub(super) async fn put(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutQuarantine, bool>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let (command, new) = (&waiting.command, waiting.command.row());
        tidy(tx, command.by.now).await?;
        let known = row::one(tx, Entity::find_by_id(new.hotkey.as_str())).await?;
        let known = known.map(read).transpose()?;
        if known.is_none() && is_full(tx, command.most).await? {
            waiting.answer(false);
            continue;
        }
        if known.as_ref() != Some(&new) {
            let active = e::quarantine::ActiveModel {
                hotkey: Set(new.hotkey.to_string()),
                reason: Set(new.reason),
                until: Set(new.until.map(|at| at.0)),
                by: Set(new.by),
                created_at: Set(new.created_at.0),
            };
            let mut instead = OnConflict::column(Column::Hotkey);
            let columns = [Column::Reason, Column::Until, Column::By, Column::CreatedAt];
            Entity::insert(active)
                .on_conflict(instead.update_columns(columns).to_owned())
                .exec_without_returning(tx)
                .await?;
            audit::append(tx, command.by.netuid, &[command.fact()], command.by.now).await?;
        }
        waiting.answer(true);
    }
    Ok(())
}

/// Lets hotkeys in again.
pub(super) async fn lift(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<LiftQuarantine, bool>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let lasts =
            Condition::any().add(Column::Until.is_null()).add(Column::Until.gt(command.by.now.0));
        let done = Entity::delete_many()
            .filter(Column::Hotkey.eq(command.hotkey.as_str()))
            .filter(lasts)
            .exec(tx)
            .await?;
        if done.rows_affected > 0 {
            audit::append(tx, command.by.netuid, &[command.fact()], command.by.now).await?;
        }
        waiting.answer(done.rows_affected > 0);
    }
    Ok(())
}
