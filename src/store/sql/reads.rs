//! The reads: by key, by page, and everything at start.

use std::collections::{HashMap, HashSet};

use futures_util::TryStreamExt;
use pithead_entities as e;
use sea_orm::sea_query::{Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use super::dialect::statement;
use super::ledger;
use super::row::{self, get};
use crate::domain::ids::{FileId, Hotkey, RegistrationId, TaskId, ValidatorId};
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::store::*;

/// Ids per `IN` list: few distinct statement texts, far below every bind limit.
const IN_MAX: usize = 500;

/// Adds slots and lost attempts to tasks.
pub(super) async fn complete(
    db: &impl ConnectionTrait,
    tasks: Vec<e::task::Model>,
) -> StoreResult<Vec<TaskRecord>> {
    let ids: Vec<Uuid> = tasks.iter().map(|task| task.id).collect();
    let (mut slots, mut attempts) = (Vec::new(), Vec::new());
    for ids in ids.chunks(IN_MAX) {
        let ids = || ids.iter().copied();
        slots.extend(slots_of(e::slot::Column::TaskId.is_in(ids())).all(db).await?);
        attempts.extend(attempts_of(e::attempt::Column::TaskId.is_in(ids())).all(db).await?);
    }
    records(tasks, slots, attempts)
}

fn slots_of(which: SimpleExpr) -> Select<e::slot::Entity> {
    e::slot::Entity::find()
        .filter(which)
        .order_by_asc(e::slot::Column::TaskId)
        .order_by_asc(e::slot::Column::Slot)
}

fn attempts_of(which: SimpleExpr) -> Select<e::attempt::Entity> {
    e::attempt::Entity::find()
        .filter(which)
        .order_by_asc(e::attempt::Column::TaskId)
        .order_by_asc(e::attempt::Column::Slot)
        .order_by_asc(e::attempt::Column::Attempt)
}

/// Puts tasks together from their rows.
fn records(
    tasks: Vec<e::task::Model>,
    slots: Vec<e::slot::Model>,
    attempts: Vec<e::attempt::Model>,
) -> StoreResult<Vec<TaskRecord>> {
    let mut slots_of: HashMap<Uuid, Vec<SlotRow>> = HashMap::with_capacity(tasks.len());
    for model in slots {
        slots_of.entry(model.task_id).or_default().push(row::slot(&model)?);
    }
    let mut attempts_of: HashMap<Uuid, Vec<AttemptRow>> = HashMap::new();
    for model in attempts {
        attempts_of.entry(model.task_id).or_default().push(row::attempt(&model)?);
    }
    let whole = |model: e::task::Model| {
        let mut record = row::task(model)?;
        record.slots = slots_of.remove(&record.task.id.0).unwrap_or_default();
        record.attempts = attempts_of.remove(&record.task.id.0).unwrap_or_default();
        Ok(record)
    };
    tasks.into_iter().map(whole).collect()
}

/// Rows of all tasks that have not ended. In no order: with one by key, SQLite would rather walk all
/// tasks there ever were than sort the open ones.
pub(super) fn open_rows() -> Select<e::task::Entity> {
    e::task::Entity::find().filter(e::task::Column::FinishedAt.is_null())
}

/// Ids of all tasks that have not ended.
fn open_ids() -> SelectStatement {
    let mut ids = Query::select();
    ids.column(e::task::Column::Id).from(e::task::Entity);
    ids.and_where(e::task::Column::FinishedAt.is_null()).take()
}

/// All tasks that have not ended, by id. Nothing else runs yet, so that three readers see one state;
/// each row is read while the database looks for the next.
async fn open_tasks(db: &DatabaseConnection) -> StoreResult<Vec<TaskRecord>> {
    let slots = slots_of(e::slot::Column::TaskId.in_subquery(open_ids()));
    let attempts = attempts_of(e::attempt::Column::TaskId.in_subquery(open_ids()));
    let (mut tasks, slots, attempts) =
        tokio::try_join!(streamed(db, open_rows()), streamed(db, slots), streamed(db, attempts))?;
    tasks.sort_unstable_by_key(|task| task.id);
    records(tasks, slots, attempts)
}

async fn streamed<E: EntityTrait>(
    db: &DatabaseConnection,
    rows: Select<E>,
) -> Result<Vec<E::Model>, DbErr> {
    rows.stream(db).await?.try_collect().await
}

pub(super) async fn task(db: &DatabaseConnection, id: TaskId) -> StoreResult<Option<TaskRecord>> {
    let found = row::one(db, e::task::Entity::find_by_id(id.0)).await?;
    Ok(complete(db, found.into_iter().collect()).await?.pop())
}

/// Tasks of which a holder has a live lease, one row per lease. The moment names the index of live
/// leases: `IS NOT NULL`, or wanting each task once, would have SQLite walk all slots there ever were.
pub(super) const HELD: &str = "SELECT task_id FROM slot WHERE expires_at >= 0 AND holder = $1";

pub(super) async fn held_by(
    db: &DatabaseConnection,
    holder: Holder,
) -> StoreResult<Vec<TaskRecord>> {
    let mut ids: Vec<Uuid> = Vec::new();
    for row in db.query_all_raw(statement(db, HELD, [holder.id().into()])).await? {
        ids.push(get(&row, 0)?);
    }
    by_ids(db, ids).await
}

/// Tasks, each once, by id.
pub(super) async fn by_ids(
    db: &DatabaseConnection,
    mut ids: Vec<Uuid>,
) -> StoreResult<Vec<TaskRecord>> {
    ids.sort_unstable();
    ids.dedup();
    let mut records = Vec::with_capacity(ids.len());
    for ids in ids.chunks(IN_MAX) {
        let rows = e::task::Entity::find()
            .filter(e::task::Column::Id.is_in(ids.iter().copied()))
            .order_by_asc(e::task::Column::Id);
        records.extend(complete(db, rows.all(db).await?).await?);
    }
    records.sort_by_key(|record| record.task.id);
    Ok(records)
}

pub(super) async fn tasks(db: &DatabaseConnection, page: TaskPage) -> StoreResult<Vec<TaskRecord>> {
    complete(db, page_rows(page).all(db).await?).await
}

/// Rows of a page. Of open tasks alone no other one is walked: the moment that they do not have names
/// their indexes, which `state` does not.
pub(super) fn page_rows(page: TaskPage) -> Select<e::task::Entity> {
    use e::task::Column;
    let mut query = e::task::Entity::find().order_by_desc(Column::Id).limit(page.limit);
    match (page.states.as_slice(), &page.owner) {
        ([], _) => {}
        ([TaskState::Open], Some(_)) => query = query.filter(Column::FinishedAt.is_null()),
        // Named by their ids: else SQLite walks all tasks by key rather than sort these.
        ([TaskState::Open], None) => query = query.filter(Column::Id.in_subquery(open_ids())),
        (states, _) => query = query.filter(Column::State.is_in(states.iter().map(|s| s.as_str()))),
    }
    if let Some(owner) = page.owner {
        query = query.filter(Column::Owner.eq(owner));
    }
    if let Some(kind) = page.kind {
        query = query.filter(Column::Kind.eq(kind));
    }
    if let Some(before) = page.before {
        query = query.filter(Column::Id.lt(before.0));
    }
    query
}

pub(super) async fn responses(
    db: &DatabaseConnection,
    task: TaskId,
) -> StoreResult<Vec<ResponseRow>> {
    let rows = e::response::Entity::find()
        .filter(e::response::Column::TaskId.eq(task.0))
        .order_by_asc(e::response::Column::Slot);
    rows.all(db).await?.into_iter().map(row::response).collect()
}

pub(super) async fn evaluated_by(
    db: &DatabaseConnection,
    validator: ValidatorId,
    limit: u64,
) -> StoreResult<Vec<EvaluationRow>> {
    let rows = e::evaluation::Entity::find()
        .filter(e::evaluation::Column::ValidatorId.eq(validator.0))
        .order_by_desc(e::evaluation::Column::CreatedAt)
        .order_by_desc(e::evaluation::Column::TaskId)
        .order_by_asc(e::evaluation::Column::Slot)
        .limit(limit);
    rows.all(db).await?.iter().map(row::evaluation).collect()
}

pub(super) async fn evaluations(
    db: &DatabaseConnection,
    task: TaskId,
) -> StoreResult<Vec<EvaluationRow>> {
    let rows = e::evaluation::Entity::find()
        .filter(e::evaluation::Column::TaskId.eq(task.0))
        .order_by_asc(e::evaluation::Column::Slot)
        .order_by_asc(e::evaluation::Column::ValidatorId);
    rows.all(db).await?.iter().map(row::evaluation).collect()
}

pub(super) async fn file(db: &DatabaseConnection, id: FileId) -> StoreResult<Option<FileRow>> {
    row::one(db, e::file::Entity::find_by_id(id.0)).await?.map(row::file).transpose()
}

pub(super) async fn file_is_assigned(
    db: &DatabaseConnection,
    file: FileId,
    holder: Holder,
) -> StoreResult<bool> {
    // A lease that was lost left its slot, and stands in `attempt`.
    let text = "SELECT 1 FROM task WHERE task.input_file = $1 AND ( \
                EXISTS (SELECT 1 FROM slot s WHERE s.task_id = task.id AND s.holder = $2) OR \
                EXISTS (SELECT 1 FROM attempt a WHERE a.task_id = task.id AND a.holder = $2)) \
                LIMIT 1";
    let values = [file.0.into(), holder.id().into()];
    Ok(db.query_one_raw(statement(db, text, values)).await?.is_some())
}

/// Whether a sweep would find anything: one look into each partial index. Without an order, a
/// planner that knows little of a table would rather walk it until it finds one.
pub(super) async fn anything_due(db: &DatabaseConnection, now: Millis) -> StoreResult<bool> {
    for text in [
        "SELECT 1 FROM slot WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1",
        "SELECT 1 FROM task WHERE finished_at IS NULL AND deadline <= $1 ORDER BY deadline LIMIT 1",
    ] {
        if db.query_one_raw(statement(db, text, [now.0.into()])).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is anything to forget.
pub(super) async fn anything_old(db: &DatabaseConnection, prune: Prune) -> StoreResult<bool> {
    for (text, before) in [
        ("SELECT 1 FROM replay WHERE seen_at < $1 ORDER BY seen_at LIMIT 1", prune.nonces),
        (
            "SELECT 1 FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT 1",
            prune.idempotency,
        ),
        ("SELECT 1 FROM report WHERE received_at < $1 ORDER BY received_at LIMIT 1", prune.reports),
        ("SELECT 1 FROM round WHERE closed_at < $1 ORDER BY closed_at LIMIT 1", prune.reports),
        (
            "SELECT 1 FROM delivery WHERE created_at < $1 AND next_at IS NULL \
             ORDER BY created_at LIMIT 1",
            prune.deliveries,
        ),
    ] {
        if db.query_one_raw(statement(db, text, [before.0.into()])).await?.is_some() {
            return Ok(true);
        }
    }
    ledger::anything_old(db, prune).await
}

pub(super) async fn load(db: &DatabaseConnection, since: Millis) -> StoreResult<Loaded> {
    let registrations = e::registration::Entity::find()
        .filter(e::registration::Column::ClosedAt.is_null())
        .order_by_asc(e::registration::Column::Uid);
    let registrations = registrations.all(db).await?;
    let closed: HashSet<(i32, i32)> = closed_places(db).await?.into_iter().collect();
    let replaced = registrations.iter().filter(|row| closed.contains(&(row.netuid, row.uid)));
    let validators = e::validator::Entity::find().order_by_asc(e::validator::Column::Id);
    let verdicts = e::verdict::Entity::find().order_by_asc(e::verdict::Column::Uid);
    let open = Query::select()
        .column(e::registration::Column::Id)
        .from(e::registration::Entity)
        .and_where(e::registration::Column::ClosedAt.is_null())
        .take();
    let kind_records = e::miner_kind_record::Entity::find()
        .filter(e::miner_kind_record::Column::RegistrationId.in_subquery(open))
        .order_by_asc(e::miner_kind_record::Column::RegistrationId)
        .order_by_asc(e::miner_kind_record::Column::Kind);
    let validators: Vec<_> =
        validators.all(db).await?.iter().map(row::validator).collect::<Result<_, _>>()?;
    let mut reports = Vec::new();
    for validator in &validators {
        reports.extend(newest_reports(db, validator.id, since).await?);
    }
    Ok(Loaded {
        replaced: replaced.map(|row| RegistrationId(row.id)).collect(),
        registrations: registrations
            .into_iter()
            .map(row::registration)
            .collect::<Result<_, _>>()?,
        validators,
        tasks: open_tasks(db).await?,
        reports,
        verdicts: verdicts
            .all(db)
            .await?
            .into_iter()
            .map(row::verdict)
            .collect::<Result<_, _>>()?,
        kind_records: kind_records.all(db).await?.into_iter().map(row::kind_record).collect(),
    })
}

pub(super) async fn rounds(
    db: &DatabaseConnection,
    up_to: i64,
    limit: u64,
) -> StoreResult<Vec<RoundRow>> {
    let rows = e::round::Entity::find()
        .filter(e::round::Column::Round.lte(up_to))
        .order_by_desc(e::round::Column::Round)
        .limit(limit);
    rows.all(db).await?.into_iter().map(row::round).collect()
}

pub(super) async fn reports_at(
    db: &DatabaseConnection,
    validator: &Hotkey,
    signed_order: i64,
) -> StoreResult<Vec<ReportRow>> {
    let mut id = Query::select();
    id.column(e::validator::Column::Id).from(e::validator::Entity);
    id.and_where(e::validator::Column::Hotkey.eq(validator.as_str()));
    let rows = e::report::Entity::find()
        .filter(e::report::Column::ValidatorId.in_subquery(id.take()))
        .filter(e::report::Column::SignedOrder.eq(signed_order))
        .order_by_asc(e::report::Column::Id);
    rows.all(db).await?.into_iter().map(row::report).collect()
}

/// Networks and uids that somebody had and has no more.
async fn closed_places(db: &DatabaseConnection) -> StoreResult<Vec<(i32, i32)>> {
    use e::registration::Column;
    let closed = e::registration::Entity::find().filter(Column::ClosedAt.is_not_null());
    let places = closed.select_only().columns([Column::Netuid, Column::Uid]).distinct();
    Ok(places.into_tuple().all(db).await?)
}

/// A validator's two newest full reports (the older one tells whom the newer leaves out) and the
/// partial ones since, oldest first.
async fn newest_reports(
    db: &DatabaseConnection,
    validator: ValidatorId,
    since: Millis,
) -> StoreResult<Vec<ReportRow>> {
    use e::report::Column;
    let own = |partial: bool| {
        e::report::Entity::find()
            .filter(Column::ValidatorId.eq(validator.0))
            .filter(Column::Partial.eq(partial))
            .filter(Column::ReceivedAt.gte(since.0))
    };
    let mut found = own(false)
        .order_by_desc(Column::SignedOrder)
        .order_by_desc(Column::Id)
        .limit(2)
        .all(db)
        .await?;
    let after = found.last().map_or(i64::MIN, |oldest| oldest.signed_order);
    found.extend(own(true).filter(Column::SignedOrder.gt(after)).all(db).await?);
    found.sort_by_key(|report| (report.signed_order, report.id));
    found.into_iter().map(row::report).collect()
}
