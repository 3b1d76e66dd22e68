//! Submitted weights: a few per validator and hour, so each command reads its row and writes it.

use std::collections::BTreeSet;

use pithead_entities as e;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    FromQueryResult, Iterable, QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::dialect::{Batch, Cast, statement};
use super::row::{self, get, small, text};
use super::writer::Waiting;
use crate::domain::chain::{Settled, Submission};
use crate::domain::limits::SUBMITTERS_MAX;
use crate::domain::units::Millis;
use crate::store::submission::put;
use crate::store::{
    Heard, PutSubmission, StoreError, StoreResult, SubmissionPage, SubmissionPut, SubmissionRow,
};

pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutSubmission, SubmissionPut>],
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let key = (command.netuid.into(), command.validator.to_string(), command.block);
        let known = row::one(tx, e::submission::Entity::find_by_id(key)).await?;
        if known.is_none() && !has_room(tx, command).await? {
            waiting.answer(SubmissionPut::TooMany);
            continue;
        }
        let answer = put(known.map(read).transpose()?, command);
        if let SubmissionPut::Taken(row, true) = &answer {
            write(tx, row).await?;
        }
        waiting.answer(answer);
    }
    Ok(())
}

/// Whether the validator may have another one that no epoch has counted: a walk along its own rows,
/// once for each block of which it tells.
async fn has_room(tx: &DatabaseTransaction, command: &PutSubmission) -> StoreResult<bool> {
    use e::submission::{Column, Entity};
    let Some(last) = command.open_max.checked_sub(1) else { return Ok(false) };
    let open = Entity::find()
        .select_only()
        .column(Column::Block)
        .filter(Column::Netuid.eq(i32::from(command.netuid)))
        .filter(Column::ValidatorHotkey.eq(command.validator.to_string()))
        .filter(Column::ConsensusBlock.is_null())
        .order_by_desc(Column::Block)
        .offset(last)
        .limit(1);
    Ok(open.into_tuple::<i64>().one(tx).await?.is_none())
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
        sent_at: Set(row.heard.sent_at.map(|at| at.0)),
        revealed_at: Set(row.heard.revealed_at.map(|at| at.0)),
        settled_at: Set(row.heard.settled_at.map(|at| at.0)),
        ended_at: Set(row.heard.ended_at.map(|at| at.0)),
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
        heard: Heard {
            sent_at: model.sent_at.map(Millis),
            revealed_at: model.revealed_at.map(Millis),
            settled_at: model.settled_at.map(Millis),
            ended_at: model.ended_at.map(Millis),
        },
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

/// Forgets submissions for blocks before this one.
pub(super) async fn forget(tx: &DatabaseTransaction, netuid: u16, before: i64) -> StoreResult<()> {
    use e::submission::{Column, Entity};
    let old = Entity::delete_many()
        .filter(Column::Netuid.eq(i32::from(netuid)))
        .filter(Column::Block.lt(before));
    old.exec(tx).await?;
    Ok(())
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

/// Of each validator the newest submission that was on the chain before a moment, and the newest one
/// that an epoch had counted by then: each a few steps back along the validator's own rows. Who they
/// are is seen by skipping from one to the next.
pub(super) const BEFORE: &str = "WITH RECURSIVE who(hotkey) AS ( \
    SELECT MIN(validator_hotkey) FROM submission WHERE netuid = $1 \
    UNION ALL SELECT (SELECT MIN(s.validator_hotkey) FROM submission s \
        WHERE s.netuid = $1 AND s.validator_hotkey > who.hotkey) \
    FROM who WHERE who.hotkey IS NOT NULL) \
    SELECT who.hotkey, \
    (SELECT s.block FROM submission s WHERE s.netuid = $1 AND s.validator_hotkey = who.hotkey \
        AND s.sent_at < $2 AND (s.ended_at IS NULL OR s.ended_at >= $2) \
        ORDER BY s.block DESC LIMIT 1), \
    (SELECT s.block FROM submission s WHERE s.netuid = $1 AND s.validator_hotkey = who.hotkey \
        AND s.settled_at < $2 ORDER BY s.block DESC LIMIT 1) \
    FROM who WHERE who.hotkey IS NOT NULL LIMIT $3";

const OF_KEYS: Batch = Batch {
    columns: &[("netuid", Cast::Int), ("hotkey", Cast::Text), ("block", Cast::Big)],
    body: "SELECT s.* FROM v JOIN submission s ON s.netuid = v.netuid \
           AND s.validator_hotkey = v.hotkey AND s.block = v.block",
};

/// See [`crate::store::Store::submissions_before`].
pub(super) async fn before(
    db: &DatabaseConnection,
    netuid: u16,
    at: Millis,
) -> StoreResult<Vec<SubmissionRow>> {
    let netuid = i32::from(netuid);
    let most = i64::try_from(SUBMITTERS_MAX).unwrap_or(i64::MAX);
    let mut keys = BTreeSet::new();
    for row in
        db.query_all_raw(statement(db, BEFORE, [netuid.into(), at.0.into(), most.into()])).await?
    {
        let hotkey: String = get(&row, 0)?;
        for column in [1, 2] {
            keys.extend(get::<Option<i64>>(&row, column)?.map(|block| (hotkey.clone(), block)));
        }
    }
    let keys =
        keys.into_iter().map(|(hotkey, block)| vec![netuid.into(), hotkey.into(), block.into()]);
    let mut rows = Vec::new();
    for row in OF_KEYS.run(db, keys.collect()).await? {
        let row = read(e::submission::Model::from_query_result(&row, "")?)?;
        rows.extend(row.before(at));
    }
    rows.sort_unstable_by(|a, b| (a.of.block, &a.of.validator).cmp(&(b.of.block, &b.of.validator)));
    Ok(rows)
}
