//! Submitted weights: a few per validator and hour, so each command reads its row and writes it.

use pithead_entities as e;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, DatabaseTransaction, EntityTrait, Iterable,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::row::{self, small, text};
use super::writer::Waiting;
use crate::domain::chain::{Settled, Submission};
use crate::domain::units::Millis;
use crate::store::submission::put;
use crate::store::{
    PutSubmission, StoreError, StoreResult, SubmissionPage, SubmissionPut, SubmissionRow,
};

pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutSubmission, SubmissionPut>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let key = (command.netuid.into(), command.validator.to_string(), command.block);
        let known = row::one(tx, e::submission::Entity::find_by_id(key)).await?;
        let answer = put(known.map(read).transpose()?, command);
        if let SubmissionPut::Taken(row, true) = &answer {
            write(tx, row).await?;
        }
        waiting.answer(answer);
    }
    Ok(())
}

pub(super) async fn write(tx: &DatabaseTransaction, row: &SubmissionRow) -> StoreResult<()> {
    use e::submission::{ActiveModel, Column, Entity};
    let weights = serde_json::to_value(&row.weights);
    let settled = row.of.settled;
    let model = ActiveModel {
        netuid: Set(row.netuid.into()),
        validator_hotkey: Set(row.of.validator.to_string()),
        block: Set(row.of.block),
        validator_uid: Set(row.validator_uid.into()),
        mode: Set(row.of.mode.to_string()),
        state: Set(row.of.state.to_string()),
        version_key: Set(row.version_key),
        weights: Set(weights.map_err(|error| StoreError::Corrupt(error.to_string()))?),
        run: Set(row.run),
        revealed_block: Set(row.of.revealed_block),
        consensus_block: Set(settled.map(|settled| settled.consensus_block)),
        delay_blocks: Set(settled.map(|settled| settled.delay_blocks)),
        error: Set(row.of.error.clone()),
        created_at: Set(row.created_at.0),
        updated_at: Set(row.updated_at.0),
    };
    let mut newer = OnConflict::columns([Column::Netuid, Column::ValidatorHotkey, Column::Block]);
    newer.update_columns(Column::iter().filter(|column| {
        !matches!(column, Column::Netuid | Column::ValidatorHotkey | Column::Block)
    }));
    Entity::insert(model).on_conflict(newer).exec_without_returning(tx).await?;
    Ok(())
}

fn read(model: e::submission::Model) -> StoreResult<SubmissionRow> {
    let settled = model.consensus_block.zip(model.delay_blocks);
    let weights = serde_json::from_value(model.weights);
    Ok(SubmissionRow {
        netuid: small("netuid", model.netuid)?,
        validator_uid: small("validator_uid", model.validator_uid)?,
        of: Submission {
            validator: text("validator_hotkey", &model.validator_hotkey)?,
            block: model.block,
            mode: text("mode", &model.mode)?,
            state: text("submission state", &model.state)?,
            revealed_block: model.revealed_block,
            settled: settled
                .map(|(consensus_block, delay_blocks)| Settled { consensus_block, delay_blocks }),
            error: model.error,
        },
        version_key: model.version_key,
        weights: weights.map_err(|error| StoreError::Corrupt(format!("weights: {error}")))?,
        run: model.run,
        created_at: Millis(model.created_at),
        updated_at: Millis(model.updated_at),
    })
}

/// Submissions from a block on that no epoch has counted yet.
pub(super) async fn unsettled(
    tx: &DatabaseTransaction,
    netuid: u16,
    since: i64,
) -> StoreResult<Vec<SubmissionRow>> {
    use e::submission::{Column, Entity};
    let rows = Entity::find()
        .filter(Column::Netuid.eq(i32::from(netuid)))
        .filter(Column::Block.gte(since))
        .filter(Column::ConsensusBlock.is_null())
        .order_by_asc(Column::Block)
        .order_by_asc(Column::ValidatorHotkey);
    rows.all(tx).await?.into_iter().map(read).collect()
}

/// Submissions, newest first.
pub(super) async fn page(
    db: &DatabaseConnection,
    page: SubmissionPage,
) -> StoreResult<Vec<SubmissionRow>> {
    use e::submission::{Column, Entity};
    let mut rows = Entity::find().filter(Column::Netuid.eq(i32::from(page.netuid)));
    if let Some(validator) = page.validator {
        rows = rows.filter(Column::ValidatorHotkey.eq(validator.to_string()));
    }
    if let Some((block, validator)) = page.before {
        let same = Condition::all()
            .add(Column::Block.eq(block))
            .add(Column::ValidatorHotkey.lt(validator.to_string()));
        rows = rows.filter(Condition::any().add(Column::Block.lt(block)).add(same));
    }
    let rows = rows.order_by_desc(Column::Block).order_by_desc(Column::ValidatorHotkey);
    rows.limit(page.limit).all(db).await?.into_iter().map(read).collect()
}
