//! What clients had done, counted in the transaction that did it: one row per client, day and kind.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction};

use super::dialect::{Batch, Cast, statement};
use super::row::get;
use crate::domain::period::day_of;
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::store::{Enqueue, StoreResult, UsageCounts, UsageDays, UsageRow};

/// Counts gathered over one transaction, by owner, day and kind.
#[derive(Debug, Default)]
pub(super) struct Usage(BTreeMap<(String, i64, String), UsageCounts>);

impl Usage {
    /// A task was taken in.
    pub(super) fn submitted(&mut self, command: &Enqueue) {
        let task = &command.task;
        let counts = self.of(&task.owner, &task.kind, task.created_at);
        counts.submitted += 1;
        counts.input_units = counts.input_units.saturating_add(command.input_units);
    }

    /// A task ended.
    pub(super) fn ended(&mut self, owner: &str, kind: &str, state: TaskState, at: Millis) {
        let counts = self.of(owner, kind, at);
        match state {
            TaskState::Done | TaskState::Approved => counts.done += 1,
            TaskState::Failed | TaskState::Cancelled | TaskState::Expired => counts.failed += 1,
            TaskState::Open => {}
        }
    }

    fn of(&mut self, owner: &str, kind: &str, at: Millis) -> &mut UsageCounts {
        self.0.entry((owner.to_owned(), day_of(at), kind.to_owned())).or_default()
    }

    pub(super) async fn write(&mut self, tx: &DatabaseTransaction) -> StoreResult<()> {
        let rows = std::mem::take(&mut self.0).into_iter().map(|((owner, day, kind), counts)| {
            vec![
                owner.into(),
                day.into(),
                kind.into(),
                counts.submitted.into(),
                counts.input_units.into(),
                counts.done.into(),
                counts.failed.into(),
            ]
        });
        ADD.run(tx, rows.collect()).await?;
        Ok(())
    }
}

const ADD: Batch = Batch {
    columns: &[
        ("owner", Cast::Text),
        ("day", Cast::Big),
        ("kind", Cast::Text),
        ("submitted", Cast::Big),
        ("input_units", Cast::Big),
        ("done", Cast::Big),
        ("failed", Cast::Big),
    ],
    body: "INSERT INTO usage_day (owner, day, kind, submitted, input_units, done, failed) \
           SELECT owner, day, kind, submitted, input_units, done, failed FROM v WHERE true \
           ON CONFLICT (owner, day, kind) DO UPDATE SET \
           submitted = usage_day.submitted + excluded.submitted, \
           input_units = usage_day.input_units + excluded.input_units, \
           done = usage_day.done + excluded.done, failed = usage_day.failed + excluded.failed",
};

/// Rows of one client (or of all) over some days, newest day first.
pub(super) async fn read(db: &DatabaseConnection, days: UsageDays) -> StoreResult<Vec<UsageRow>> {
    let mut text = "SELECT owner, day, kind, submitted, input_units, done, failed FROM usage_day \
                    WHERE day BETWEEN $1 AND $2"
        .to_owned();
    let limit = i64::try_from(days.limit).unwrap_or(i64::MAX);
    let mut values = vec![days.from.into(), days.to.into(), limit.into()];
    if let Some(owner) = days.owner {
        text.push_str(" AND owner = $4");
        values.push(owner.into());
    }
    text.push_str(" ORDER BY day DESC, owner, kind LIMIT $3");
    let mut rows = Vec::new();
    for row in db.query_all_raw(statement(db, &text, values)).await? {
        rows.push(UsageRow {
            owner: get(&row, 0)?,
            day: get(&row, 1)?,
            kind: get(&row, 2)?,
            counts: UsageCounts {
                submitted: get(&row, 3)?,
                input_units: get(&row, 4)?,
                done: get(&row, 5)?,
                failed: get(&row, 6)?,
            },
        });
    }
    Ok(rows)
}
