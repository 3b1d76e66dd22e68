//! Snapshots of the metagraph: the newest is believed, and tells what became of submissions.

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
};

use super::records::packed;
use super::submission;
use super::writer::Waiting;
use crate::domain::units::Millis;
use crate::store::chain::{BACK_BLOCKS, told};
use crate::store::{Adopt, Adopted, SnapshotRow, StoreError, StoreResult};

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a stored snapshot: {error}"))
}

pub(super) async fn adopt(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Adopt, Adopted>],
) -> StoreResult<()> {
    use e::metagraph::{ActiveModel, Column, Entity};
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let SnapshotRow { snapshot, adopted_at, senders } = &waiting.command.row;
        let netuid = i32::from(snapshot.netuid);
        let newest = Entity::find()
            .select_only()
            .column(Column::Block)
            .filter(Column::Netuid.eq(netuid))
            .order_by_desc(Column::Block)
            .limit(1);
        let newest: Option<i64> = newest.into_tuple().all(tx).await?.pop();
        if newest.is_some_and(|newest| newest >= snapshot.block) {
            waiting.answer(Adopted::Old);
            continue;
        }
        let row = ActiveModel {
            netuid: Set(netuid),
            block: Set(snapshot.block),
            adopted_at: Set(adopted_at.0),
            senders: Set(serde_json::to_value(senders).map_err(corrupt)?),
            body: Set(packed(snapshot.to_json().to_string().as_bytes())?),
        };
        Entity::insert(row).exec_without_returning(tx).await?;
        let since = snapshot.block - BACK_BLOCKS;
        let old =
            Entity::delete_many().filter(Column::Netuid.eq(netuid)).filter(Column::Block.lt(since));
        old.exec(tx).await?;
        submission::forget(tx, snapshot.netuid, since).await?;
        let submissions = submission::unsettled(tx, snapshot.netuid, since).await?;
        let told = told(submissions.into_iter(), snapshot, *adopted_at);
        for row in &told {
            submission::write(tx, row).await?;
        }
        waiting.answer(Adopted::New(told));
    }
    Ok(())
}

/// The newest snapshot of a subnet.
pub(super) async fn newest(
    db: &DatabaseConnection,
    netuid: u16,
) -> StoreResult<Option<SnapshotRow>> {
    use e::metagraph::{Column, Entity};
    let rows = Entity::find()
        .filter(Column::Netuid.eq(i32::from(netuid)))
        .order_by_desc(Column::Block)
        .limit(1);
    rows.all(db).await?.pop().map(read).transpose()
}

/// See [`crate::store::Store::metagraph_before`].
pub(super) fn newest_before(netuid: u16, at: Millis) -> Select<e::metagraph::Entity> {
    use e::metagraph::{Column, Entity};
    Entity::find()
        .filter(Column::Netuid.eq(i32::from(netuid)))
        .filter(Column::AdoptedAt.lt(at.0))
        .order_by_desc(Column::AdoptedAt)
        .order_by_desc(Column::Block)
        .limit(1)
}

/// The row that [`newest_before`] finds.
pub(super) async fn before(
    db: &DatabaseConnection,
    netuid: u16,
    at: Millis,
) -> StoreResult<Option<SnapshotRow>> {
    newest_before(netuid, at).all(db).await?.pop().map(read).transpose()
}

fn read(row: e::metagraph::Model) -> StoreResult<SnapshotRow> {
    let body = zstd::decode_all(row.body.as_slice()).map_err(corrupt)?;
    let senders = serde_json::from_value(row.senders).map_err(corrupt)?;
    SnapshotRow::of(&body, senders, Millis(row.adopted_at))
}
