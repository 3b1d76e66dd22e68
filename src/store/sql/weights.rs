//! Calculations of weights, and the records of miners by period.

use std::collections::BTreeMap;

use pithead_entities as e;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};

use super::dialect::{chunks, statement};
use super::records::packed;
use super::row::{self, get};
use super::weights_row::{active, kinds_of, run, stats};
use super::writer::Waiting;
use crate::domain::ids::{RegistrationId, RunId};
use crate::domain::period::{Period, begin_of};
use crate::domain::units::Millis;
use crate::domain::weights::Performance;
use crate::store::weights::{UNSCORED, digest};
use crate::store::{
    AverageScores, ForgetRecords, PerformanceOrder, PerformancePage, PerformanceRow, PutRecords,
    PutRun, RegistrationRow, StoreResult, WeightRunRow,
};

/// Writes runs down; one that is there already stays.
pub(super) async fn put_runs(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutRun, ()>],
) -> StoreResult<()> {
    for waiting in waiting {
        let PutRun(run) = &waiting.command;
        let row = e::weight_run::ActiveModel {
            id: Set(run.id.0),
            made_at: Set(run.made_at.0),
            window_from: Set(run.window_from.0),
            window_to: Set(run.window_to.0),
            policy: Set(run.policy.clone()),
            policy_hash: Set(run.policy_hash.clone()),
            body: Set(packed(&run.body)?),
        };
        let known = OnConflict::column(e::weight_run::Column::Id).do_nothing().to_owned();
        e::weight_run::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
        waiting.answer(());
    }
    Ok(())
}

/// The last record of each registration of which not the same stands already.
pub(super) async fn changed<'a>(
    db: &impl ConnectionTrait,
    put: &'a PutRecords,
) -> StoreResult<Vec<(&'a Performance, String)>> {
    use e::miner_performance_stats::{Column, Entity};
    let stand = Entity::find()
        .select_only()
        .columns([Column::RegistrationId, Column::Digest])
        .filter(Column::PeriodType.eq(put.period.as_str()))
        .filter(Column::PeriodStart.eq(put.start.0))
        .into_tuple::<(uuid::Uuid, String)>();
    let stand: BTreeMap<_, _> = stand.all(db).await?.into_iter().collect();
    let last: BTreeMap<_, _> = put.records.iter().map(|of| (of.registration.0, of)).collect();
    let last = last.into_values().map(|of| (of, digest(of, &put.chain_of(of))));
    Ok(last.filter(|(of, digest)| stand.get(&of.registration.0) != Some(digest)).collect())
}

/// Writes the records of periods; how many changed.
pub(super) async fn put_records(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<PutRecords, u64>],
) -> StoreResult<()> {
    use e::miner_performance_kind as kinds;
    use e::miner_performance_stats as stats;
    for waiting in waiting {
        let put = &waiting.command;
        let changed = changed(tx, put).await?;
        let rows = changed.len() as u64;
        for chunk in chunks(changed) {
            let ids: Vec<_> = chunk.iter().map(|(of, _)| of.registration.0).collect();
            let children: Vec<_> = chunk.iter().flat_map(|(of, _)| kinds_of(put, of)).collect();
            let rows = chunk.into_iter().map(|(of, digest)| active(put, of, digest));
            let mut newer = OnConflict::columns(KEY);
            newer.update_columns(WRITTEN);
            stats::Entity::insert_many(rows).on_conflict(newer).exec_without_returning(tx).await?;
            kinds::Entity::delete_many()
                .filter(kinds::Column::PeriodType.eq(put.period.as_str()))
                .filter(kinds::Column::PeriodStart.eq(put.start.0))
                .filter(kinds::Column::RegistrationId.is_in(ids))
                .exec(tx)
                .await?;
            for rows in chunks(children) {
                kinds::Entity::insert_many(rows).exec_without_returning(tx).await?;
            }
        }
        waiting.answer(rows);
    }
    Ok(())
}

use e::miner_performance_stats::Column as Stats;

const KEY: [Stats; 3] = [Stats::RegistrationId, Stats::PeriodType, Stats::PeriodStart];

/// All but the key.
const WRITTEN: [Stats; 28] = [
    Stats::PeriodEnd,
    Stats::MinerUid,
    Stats::MinerHotkey,
    Stats::Weight,
    Stats::RawCalculatedWeight,
    Stats::ExcellenceWeight,
    Stats::DiversityWeight,
    Stats::ScoringPathway,
    Stats::PathwayDetails,
    Stats::MultiTaskBonus,
    Stats::ExcellenceQualifiedTasks,
    Stats::TasksAttempted,
    Stats::TasksCompleted,
    Stats::TasksScored,
    Stats::SuccessRate,
    Stats::AverageScore,
    Stats::Rank,
    Stats::Trend,
    Stats::PolicyHash,
    Stats::Digest,
    Stats::ComputedAt,
    Stats::SubmittedWeight,
    Stats::ValidatorHotkey,
    Stats::WeightSubmissionBlock,
    Stats::Incentive,
    Stats::ConsensusRank,
    Stats::ConsensusBlock,
    Stats::Submissions,
];

/// A run by its id, or the newest one.
pub(super) async fn weight_run(
    db: &impl ConnectionTrait,
    id: Option<RunId>,
) -> StoreResult<Option<WeightRunRow>> {
    use e::weight_run::{Column, Entity};
    let found = match id {
        Some(id) => row::one(db, Entity::find_by_id(id.0)).await?,
        None => {
            let newest = Entity::find().order_by_desc(Column::MadeAt).order_by_desc(Column::Id);
            newest.limit(1).one(db).await?
        }
    };
    found.map(run).transpose()
}

/// What a list is sorted by.
fn sorted_by(order: PerformanceOrder) -> Expr {
    match order {
        PerformanceOrder::Weight => Expr::col(Stats::Weight),
        PerformanceOrder::Rank => Expr::col(Stats::Rank),
        PerformanceOrder::Uid => Expr::col(Stats::MinerUid),
        PerformanceOrder::Score => Expr::cust(format!("COALESCE(average_score, {UNSCORED:?})")),
    }
}

/// A page of records.
pub(super) async fn performances(
    db: &DatabaseConnection,
    page: PerformancePage,
) -> StoreResult<Vec<PerformanceRow>> {
    use e::miner_performance_kind as kinds;
    use e::miner_performance_stats::Entity;
    let (order, descends) = (page.order, page.order.descends());
    let direction = if descends { Order::Desc } else { Order::Asc };
    let mut rows = Entity::find()
        .filter(Stats::PeriodType.eq(page.period.as_str()))
        .filter(Stats::PeriodStart.gte(page.from.0))
        .filter(Stats::PeriodStart.lt(page.to.0));
    if let Some(uid) = page.uid {
        rows = rows.filter(Stats::MinerUid.eq(i32::from(uid.0)));
    }
    if let Some(registration) = page.registration {
        rows = rows.filter(Stats::RegistrationId.eq(registration.0));
    }
    if let Some(kind) = &page.kind {
        let with = kinds::Entity::find()
            .select_only()
            .column(kinds::Column::RegistrationId)
            .filter(kinds::Column::Kind.eq(kind))
            .filter(kinds::Column::PeriodType.eq(page.period.as_str()))
            .filter(Expr::cust(
                "miner_performance_kind.period_start = miner_performance_stats.period_start",
            ));
        let with = sea_orm::QueryTrait::into_query(with);
        rows = rows.filter(Stats::RegistrationId.in_subquery(with));
    }
    if let Some(after) = page.after {
        let (value, start, id) = (after.value, after.start.0, after.registration.0);
        let behind = |column: Stats, value: sea_orm::Value| match descends {
            true => column.lt(value),
            false => column.gt(value),
        };
        let sorted = sorted_by(order);
        let beyond = if descends { sorted.clone().lt(value) } else { sorted.clone().gt(value) };
        let later = Condition::any().add(behind(Stats::PeriodStart, start.into())).add(
            Condition::all()
                .add(Stats::PeriodStart.eq(start))
                .add(behind(Stats::RegistrationId, id.into())),
        );
        let same = Condition::all().add(sorted.eq(value)).add(later);
        rows = rows.filter(Condition::any().add(beyond).add(same));
    }
    let rows = rows
        .order_by(sorted_by(order), direction.clone())
        .order_by(Stats::PeriodStart, direction.clone())
        .order_by(Stats::RegistrationId, direction)
        .limit(page.limit)
        .all(db)
        .await?;
    complete(db, page.period, rows).await
}

/// The records with their kinds.
async fn complete(
    db: &DatabaseConnection,
    period: Period,
    rows: Vec<e::miner_performance_stats::Model>,
) -> StoreResult<Vec<PerformanceRow>> {
    use e::miner_performance_kind::{Column, Entity};
    let mut ids: BTreeMap<i64, Vec<uuid::Uuid>> = BTreeMap::new();
    for row in &rows {
        ids.entry(row.period_start).or_default().push(row.registration_id);
    }
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (start, ids) in ids {
        for ids in chunks(ids) {
            let found = Entity::find()
                .filter(Column::PeriodType.eq(period.as_str()))
                .filter(Column::PeriodStart.eq(start))
                .filter(Column::RegistrationId.is_in(ids))
                .order_by_asc(Column::Place);
            for kind in found.all(db).await? {
                kinds.entry((kind.registration_id, start)).or_default().push(kind);
            }
        }
    }
    let own = |row: &e::miner_performance_stats::Model| (row.registration_id, row.period_start);
    rows.into_iter()
        .map(|row| {
            let of = kinds.remove(&own(&row));
            stats(row, of.unwrap_or_default())
        })
        .collect()
}

/// The newest period of each type that has records.
pub(super) async fn newest_periods(db: &DatabaseConnection) -> StoreResult<Vec<(Period, Millis)>> {
    let text = "SELECT MAX(period_start) FROM miner_performance_stats WHERE period_type = $1";
    let mut newest = Vec::new();
    for &period in Period::ALL {
        let rows = db.query_all_raw(statement(db, text, [period.as_str().into()])).await?;
        let start = rows.first().map(|row| get::<Option<i64>>(row, 0)).transpose()?.flatten();
        newest.extend(start.map(|start| (period, Millis(start))));
    }
    Ok(newest)
}

/// Average scores of one period's records.
pub(super) async fn average_scores(
    db: &DatabaseConnection,
    period: Period,
    start: Millis,
) -> StoreResult<AverageScores> {
    let text = "SELECT registration_id, average_score FROM miner_performance_stats \
                WHERE period_type = $1 AND period_start = $2 AND average_score IS NOT NULL";
    let values = [period.as_str().into(), start.0.into()];
    let mut scores = AverageScores::new();
    for row in db.query_all_raw(statement(db, text, values)).await? {
        scores.insert(RegistrationId(get(&row, 0)?), get(&row, 1)?);
    }
    Ok(scores)
}

/// Registrations by id, open and closed; those that are not known are left out.
pub(super) async fn registrations(
    db: &DatabaseConnection,
    ids: Vec<RegistrationId>,
) -> StoreResult<Vec<RegistrationRow>> {
    use e::registration::{Column, Entity};
    let mut rows = Vec::with_capacity(ids.len());
    for ids in chunks(ids) {
        let found = Entity::find().filter(Column::Id.is_in(ids.into_iter().map(|id| id.0)));
        for row in found.all(db).await? {
            rows.push(row::registration(row)?);
        }
    }
    rows.sort_unstable_by_key(|row| row.id);
    Ok(rows)
}

/// Runs and periods that are old.
struct Old {
    runs: Vec<uuid::Uuid>,
    periods: Vec<(Period, i64)>,
}

async fn old(db: &impl ConnectionTrait, before: Millis) -> StoreResult<Old> {
    let newest = weight_run(db, None).await?.map(|run| run.id.0);
    let text = "SELECT id FROM weight_run WHERE made_at < $1";
    let rows = db.query_all_raw(statement(db, text, [before.0.into()])).await?;
    let runs = rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<uuid::Uuid>, _>>()?;
    let runs = runs.into_iter().filter(|id| Some(*id) != newest).collect();
    let text = "SELECT DISTINCT period_start FROM miner_performance_stats \
                WHERE period_type = $1 AND period_start < $2";
    let mut periods = Vec::new();
    for &period in Period::ALL {
        let values = [period.as_str().into(), before.0.into()];
        for row in db.query_all_raw(statement(db, text, values)).await? {
            let start: i64 = get(&row, 0)?;
            if begin_of(period.days(Millis(start)).1) < before {
                periods.push((period, start));
            }
        }
    }
    Ok(Old { runs, periods })
}

/// Whether there is anything to forget.
pub(super) async fn any_old(db: &DatabaseConnection, before: Millis) -> StoreResult<bool> {
    let Old { runs, periods } = old(db, before).await?;
    Ok(!runs.is_empty() || !periods.is_empty())
}

/// Forgets old runs and the records of periods that ended long ago; how many rows went.
pub(super) async fn forget(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<ForgetRecords, u64>],
) -> StoreResult<()> {
    use e::miner_performance_kind as kinds;
    use e::miner_performance_stats as stats;
    for waiting in waiting {
        let Old { runs, periods } = old(tx, waiting.command.before).await?;
        let mut gone = 0;
        for ids in chunks(runs) {
            let runs = e::weight_run::Column::Id.is_in(ids);
            let deleted = e::weight_run::Entity::delete_many().filter(runs).exec(tx).await?;
            gone += deleted.rows_affected;
        }
        for (period, start) in periods {
            kinds::Entity::delete_many()
                .filter(kinds::Column::PeriodType.eq(period.as_str()))
                .filter(kinds::Column::PeriodStart.eq(start))
                .exec(tx)
                .await?;
            let deleted = stats::Entity::delete_many()
                .filter(stats::Column::PeriodType.eq(period.as_str()))
                .filter(stats::Column::PeriodStart.eq(start))
                .exec(tx)
                .await?;
            gone += deleted.rows_affected;
        }
        waiting.answer(gone);
    }
    Ok(())
}
