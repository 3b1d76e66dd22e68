//! What is left for a validator to judge: a walk along the done tasks in the order in which they
//! became done, a page at a time, and a look at those that one walk found.

use sea_orm::{ConnectionTrait, DatabaseConnection};
use uuid::Uuid;

use super::dialect::{Batch, Cast, statement};
use super::reads::by_ids;
use super::row::get;
use crate::domain::ids::{TaskId, ValidatorId};
use crate::store::{DonePage, DonePlace, StoreResult, TaskRecord};

/// The largest number that a done task has; see [`super::outbox::Outbox::transaction`].
pub(super) const LAST: &str =
    "SELECT done_order FROM task WHERE state = 'done' ORDER BY done_order DESC LIMIT 1";

/// Number of the last transaction in which a task became done that is done yet.
pub(super) async fn last(db: &impl ConnectionTrait) -> StoreResult<i64> {
    let row = db.query_one_raw(statement(db, LAST, [])).await?;
    Ok(row.map(|row| get(&row, 0)).transpose()?.unwrap_or_default())
}

/// Done tasks behind a place, each with the first slot whose response a validator has not judged. That
/// slot and no `EXISTS`, for which PostgreSQL would first gather all responses there are.
pub(super) const PAGE: &str = "SELECT task.done_order, task.id, ( \
    SELECT MIN(r.slot) FROM response r WHERE r.task_id = task.id AND NOT EXISTS ( \
    SELECT 1 FROM evaluation x WHERE x.task_id = r.task_id AND x.slot = r.slot \
    AND x.validator_id = $1)) \
    FROM task WHERE task.state = 'done' AND (task.done_order, task.id) > ($2, $3) \
    ORDER BY task.done_order, task.id";

pub(super) async fn page(
    db: &DatabaseConnection,
    validator: ValidatorId,
    after: DonePlace,
    limit: u64,
) -> StoreResult<DonePage> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    // Not bound: SQLite would plan the statement anew at each run.
    let text = format!("{PAGE} LIMIT {most}");
    let values = [validator.0.into(), after.order.into(), after.task.0.into()];
    let rows = db.query_all_raw(statement(db, &text, values)).await?;
    let end = u64::try_from(rows.len()).unwrap_or(u64::MAX) < limit;
    let mut page = DonePage { left: Vec::new(), reached: after, end };
    for row in rows {
        page.reached = DonePlace { order: get(&row, 0)?, task: TaskId(get(&row, 1)?) };
        if get::<Option<i32>>(&row, 2)?.is_some() {
            page.left.push(page.reached);
        }
    }
    Ok(page)
}

/// Which of some tasks are done and have a response that a validator has not judged.
pub(super) const AMONG: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("validator_id", Cast::Uuid)],
    body: "SELECT task.id FROM v JOIN task ON task.id = v.id WHERE task.state = 'done' AND EXISTS ( \
           SELECT 1 FROM response r WHERE r.task_id = v.id AND NOT EXISTS ( \
           SELECT 1 FROM evaluation x WHERE x.task_id = r.task_id AND x.slot = r.slot \
           AND x.validator_id = v.validator_id))",
};

pub(super) async fn among(
    db: &DatabaseConnection,
    validator: ValidatorId,
    tasks: Vec<TaskId>,
) -> StoreResult<Vec<TaskRecord>> {
    let rows = tasks.into_iter().map(|task| vec![task.0.into(), validator.0.into()]).collect();
    let mut ids: Vec<Uuid> = Vec::new();
    for row in AMONG.run(db, rows).await? {
        ids.push(get(&row, 0)?);
    }
    by_ids(db, ids).await
}
