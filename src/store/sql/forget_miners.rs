//! Registrations that closed long ago are emptied: what summed up their work and what it was worth
//! goes. The row itself stays, as answers and history point to it.

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryFilter,
};
use uuid::Uuid;

use super::dialect::statement;
use super::row::get;
use super::writer::Waiting;
use crate::store::{ForgetMiners, MinersForgotten, StoreResult};

/// Pushed scores and sums by hour are no part of it: those of such a miner are as old as it, and are
/// pruned by their age, in whose order they lie.
pub(super) const LEFT: &str = "SELECT r.id FROM registration r WHERE r.closed_at < $1 AND ( \
    EXISTS (SELECT 1 FROM miner_kind_record t WHERE t.registration_id = r.id) \
    OR EXISTS (SELECT 1 FROM score_day t WHERE t.registration_id = r.id) \
    OR EXISTS (SELECT 1 FROM voice_day t WHERE t.registration_id = r.id) \
    OR EXISTS (SELECT 1 FROM work_day t WHERE t.registration_id = r.id) \
    OR EXISTS (SELECT 1 FROM miner_performance_stats t WHERE t.registration_id = r.id) \
    ) ORDER BY r.closed_at, r.id LIMIT $2";

async fn left(db: &impl ConnectionTrait, command: ForgetMiners) -> StoreResult<Vec<Uuid>> {
    let ForgetMiners { closed_before, miners_max } = command;
    let most = i64::try_from(miners_max).unwrap_or(i64::MAX);
    let rows = db.query_all_raw(statement(db, LEFT, [closed_before.0.into(), most.into()])).await?;
    rows.iter().map(|row| Ok(get(row, 0)?)).collect()
}

/// Whether there is one that has something left.
pub(super) async fn any(db: &DatabaseConnection, command: ForgetMiners) -> StoreResult<bool> {
    Ok(!left(db, ForgetMiners { miners_max: 1, ..command }).await?.is_empty())
}

async fn empty<E: EntityTrait>(
    tx: &DatabaseTransaction,
    registration: E::Column,
    ids: &[Uuid],
) -> StoreResult<u64> {
    let of = registration.is_in(ids.iter().copied());
    Ok(E::delete_many().filter(of).exec(tx).await?.rows_affected)
}

/// Empties some of them, those that closed first.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<ForgetMiners, MinersForgotten>],
) -> StoreResult<()> {
    use e::miner_kind_record as of_kinds;
    use e::miner_performance_kind as kinds;
    use e::miner_performance_stats as stats;
    use e::{score_day, voice_day, work_day};
    for waiting in waiting {
        let ids = left(tx, waiting.command).await?;
        let mut rows = 0;
        if !ids.is_empty() {
            rows += empty::<of_kinds::Entity>(tx, of_kinds::Column::RegistrationId, &ids).await?;
            rows += empty::<score_day::Entity>(tx, score_day::Column::RegistrationId, &ids).await?;
            rows += empty::<voice_day::Entity>(tx, voice_day::Column::RegistrationId, &ids).await?;
            rows += empty::<work_day::Entity>(tx, work_day::Column::RegistrationId, &ids).await?;
            rows += empty::<kinds::Entity>(tx, kinds::Column::RegistrationId, &ids).await?;
            rows += empty::<stats::Entity>(tx, stats::Column::RegistrationId, &ids).await?;
        }
        waiting.answer(MinersForgotten { miners: ids.len() as u64, rows });
    }
    Ok(())
}
