//! Ended tasks into the archive and out of it, and sums by day. A batch of the archive is bounded,
//! and looks only at ids as old as what it wants, so that it costs the same whatever came since.

use pithead_entities as e;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, Set,
};
use uuid::Uuid;

use super::dialect::{chunks, statement};
use super::reads;
use super::records::packed;
use super::row::{self, get};
use super::writer::Waiting;
use crate::domain::ids::{RegistrationId, TaskId};
use crate::store::history::first_id_at;
use crate::store::{
    Archive, Archived, ArchivedTask, ScoreDays, ScoreSum, ScoreSums, StoreError, StoreResult,
};

const ENDED: &str = "SELECT id FROM task WHERE id < $1 AND finished_at < $2 ORDER BY id LIMIT $3";
const FORGETTABLE: &str =
    "SELECT id FROM archive WHERE id < $1 AND ended_at < $2 ORDER BY id LIMIT $3";

async fn old(
    db: &impl ConnectionTrait,
    text: &str,
    before: crate::domain::units::Millis,
    limit: u64,
) -> StoreResult<Vec<Uuid>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [first_id_at(before.plus(1)).0.into(), before.0.into(), limit.into()];
    let rows = db.query_all_raw(statement(db, text, values)).await?;
    rows.iter().map(|row| Ok(get(row, 0)?)).collect()
}

/// Whether there is anything to archive or to forget.
pub(super) async fn anything_ended(
    db: &DatabaseConnection,
    archive: &Archive,
) -> StoreResult<bool> {
    Ok(!old(db, ENDED, archive.ended_before, 1).await?.is_empty()
        || !old(db, FORGETTABLE, archive.forget_before, 1).await?.is_empty())
}

/// Moves ended tasks into the archive, and forgets the oldest there.
pub(super) async fn archive(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Archive, Archived>],
) -> StoreResult<()> {
    for waiting in waiting {
        let Archive { ended_before, forget_before, rows_max } = waiting.command;
        let ids = old(tx, ENDED, ended_before, rows_max).await?;
        let archived = ids.len() as u64;
        for ids in chunks(ids) {
            put_away(tx, ids).await?;
        }
        let ids = old(tx, FORGETTABLE, forget_before, rows_max).await?;
        let forgotten = ids.len() as u64;
        for ids in chunks(ids) {
            let gone = e::archive::Column::Id.is_in(ids);
            e::archive::Entity::delete_many().filter(gone).exec(tx).await?;
        }
        waiting.answer(Archived { archived, forgotten });
    }
    Ok(())
}

async fn put_away(tx: &DatabaseTransaction, ids: Vec<Uuid>) -> StoreResult<()> {
    let of = |column: e::task::Column| column.is_in(ids.iter().copied());
    let models = e::task::Entity::find().filter(of(e::task::Column::Id)).all(tx).await?;
    let tasks = reads::complete(tx, models).await?;
    let responses = e::response::Entity::find()
        .filter(e::response::Column::TaskId.is_in(ids.iter().copied()))
        .order_by_asc(e::response::Column::Slot);
    let responses: Vec<_> =
        responses.all(tx).await?.into_iter().map(row::response).collect::<StoreResult<_>>()?;
    let evaluations = e::evaluation::Entity::find()
        .filter(e::evaluation::Column::TaskId.is_in(ids.iter().copied()))
        .order_by_asc(e::evaluation::Column::Slot)
        .order_by_asc(e::evaluation::Column::ValidatorId);
    let evaluations: Vec<_> =
        evaluations.all(tx).await?.iter().map(row::evaluation).collect::<StoreResult<_>>()?;
    let mut rows = Vec::with_capacity(tasks.len());
    for task in tasks {
        let id = task.task.id;
        let whole = ArchivedTask {
            responses: responses.iter().filter(|r| r.token.task == id).cloned().collect(),
            evaluations: evaluations.iter().filter(|x| x.task == id).cloned().collect(),
            task,
        };
        rows.push(e::archive::ActiveModel {
            id: Set(id.0),
            owner: Set(whole.task.task.owner.clone()),
            ended_at: Set(whole.task.finished_at.unwrap_or_default().0),
            body: Set(packed(&encoded(&whole)?)?),
        });
    }
    // A task that is there already was archived before; ids are never given out twice.
    let known = OnConflict::column(e::archive::Column::Id).do_nothing().to_owned();
    e::archive::Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx).await?;
    let ids = || ids.iter().copied();
    let evaluations = e::evaluation::Column::TaskId.is_in(ids());
    e::evaluation::Entity::delete_many().filter(evaluations).exec(tx).await?;
    let responses = e::response::Column::TaskId.is_in(ids());
    e::response::Entity::delete_many().filter(responses).exec(tx).await?;
    let attempts = e::attempt::Column::TaskId.is_in(ids());
    e::attempt::Entity::delete_many().filter(attempts).exec(tx).await?;
    e::slot::Entity::delete_many().filter(e::slot::Column::TaskId.is_in(ids())).exec(tx).await?;
    e::task::Entity::delete_many().filter(e::task::Column::Id.is_in(ids())).exec(tx).await?;
    Ok(())
}

fn encoded(task: &ArchivedTask) -> StoreResult<Vec<u8>> {
    serde_json::to_vec(task).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// An archived task.
pub(super) async fn archived(
    db: &DatabaseConnection,
    id: TaskId,
) -> StoreResult<Option<ArchivedTask>> {
    let Some(found) = row::one(db, e::archive::Entity::find_by_id(id.0)).await? else {
        return Ok(None);
    };
    let body = zstd::decode_all(found.body.as_slice())
        .map_err(|error| StoreError::Corrupt(format!("archive: {error}")))?;
    let task = serde_json::from_slice(&body)
        .map_err(|error| StoreError::Corrupt(format!("archive: {error}")))?;
    Ok(Some(task))
}

/// Scores by miner, summed over days.
pub(super) async fn scores(db: &DatabaseConnection, days: ScoreDays) -> StoreResult<ScoreSums> {
    let mut text = "SELECT registration_id, CAST(SUM(scored) AS bigint), \
                    CAST(SUM(score_sum) AS bigint) FROM score_day WHERE day BETWEEN $1 AND $2"
        .to_owned();
    let mut values = vec![days.from.into(), days.to.into()];
    if let Some(kind) = days.kind {
        text.push_str(" AND kind = $3");
        values.push(kind.into());
    }
    text.push_str(" GROUP BY registration_id");
    let mut sums = ScoreSums::new();
    for row in db.query_all_raw(statement(db, &text, values)).await? {
        let sum = ScoreSum { scored: get(&row, 1)?, score_sum: get(&row, 2)? };
        sums.insert(RegistrationId(get(&row, 0)?), sum);
    }
    Ok(sums)
}
