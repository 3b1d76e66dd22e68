//! What follows when slots end: the task's counts and state, the leases that end with it, and the
//! miners' counters. Used by every command that ends a slot or a task.

use std::collections::{BTreeMap, HashMap};

use pithead_entities as e;
use sea_orm::{DatabaseTransaction, EntityTrait, Set};
use uuid::Uuid;

use super::dialect::{Batch, Cast, chunks};
use super::outbox::Outbox;
use super::row::{get, holder, small, text, token};
use crate::domain::ids::{LeaseToken, TaskId};
use crate::domain::lease::LossReason;
use crate::domain::units::Millis;
use crate::store::{Freed, Holder, Standing, StoreResult};

/// Slots of one task that ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) answered: i32,
    pub(super) failed: i32,
    pub(super) now: Millis,
}

/// Changes to one miner's counters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) live: i32,
    pub(super) answered: i64,
    pub(super) lost: i64,
}

/// Changes to counters, gathered over a command set and written once per miner.
pub(super) type Moves = BTreeMap<Uuid, Moved>;

/// Counts the end of a lease for its holder.
pub(super) fn count(moves: &mut Moves, holder: Holder, reason: Option<LossReason>) {
    let Some(miner) = holder.miner() else { return };
    let moved = moves.entry(miner.0).or_default();
    moved.live -= 1;
    match reason {
        None => moved.answered += 1,
        Some(reason) if reason.is_failure() => moved.lost += 1,
        Some(_) => {}
    }
}

// The same rule as `domain::task::settle`; the differential test holds them together. The number is
// set at the end only: an update that leaves all indexed columns alone costs PostgreSQL no index entry.
const SETTLE: Batch = Batch {
    columns: &[
        ("id", Cast::Uuid),
        ("answered", Cast::Int),
        ("failed", Cast::Int),
        ("now", Cast::Big),
        ("done_order", Cast::Big),
    ],
    body: "UPDATE task SET answered = task.answered + v.answered, \
           failed = task.failed + v.failed, \
           first_response_at = CASE WHEN task.first_response_at IS NULL AND v.answered > 0 \
             THEN v.now ELSE task.first_response_at END, \
           state = CASE \
             WHEN task.answered + v.answered >= task.enough THEN 'done' \
             WHEN task.answered + v.answered + task.failed + v.failed < task.slots THEN 'open' \
             WHEN task.answered + v.answered >= task.min_responses THEN 'done' \
             ELSE 'failed' END, \
           finished_at = CASE \
             WHEN task.answered + v.answered >= task.enough \
               OR task.answered + v.answered + task.failed + v.failed >= task.slots \
             THEN v.now ELSE NULL END, \
           done_order = CASE \
             WHEN task.answered + v.answered >= task.enough \
               OR task.answered + v.answered + task.failed + v.failed >= task.slots \
             THEN v.done_order ELSE task.done_order END \
           FROM v WHERE task.id = v.id AND task.state = 'open' \
           RETURNING task.id, task.state, task.answered, task.failed, task.slots, task.owner, \
           task.callback_url, task.kind",
};

const STANDING: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT task.id, task.state, task.answered, task.failed, task.slots \
           FROM task JOIN v ON v.id = task.id",
};

/// How tasks stand, by id.
pub(super) type Standings = HashMap<TaskId, Standing>;

/// Adds ended slots to their tasks; ends the tasks whose time has come, and with them what still
/// lived of their leases.
pub(super) async fn settle(
    tx: &DatabaseTransaction,
    ended: &BTreeMap<TaskId, Ended>,
    moves: &mut Moves,
    outbox: &mut Outbox,
) -> StoreResult<Standings> {
    let done_order = outbox.transaction;
    let row = |(id, ended): (&TaskId, &Ended)| {
        let Ended { answered, failed, now } = *ended;
        vec![id.0.into(), answered.into(), failed.into(), now.0.into(), done_order.into()]
    };
    let mut standings = Standings::new();
    let mut over = Vec::new();
    for row in SETTLE.run(tx, ended.iter().map(row).collect()).await? {
        let (id, standing, unfinished) = read_standing(&row)?;
        let Ended { answered, now, .. } = ended.get(&id).copied().unwrap_or_default();
        outbox.settled(&row, id, &standing, answered, now)?;
        if standing.state.ended() && unfinished {
            over.push((id, now));
        }
        standings.insert(id, standing);
    }
    supersede(tx, over, &mut standings, moves).await?;
    Ok(standings)
}

/// How these tasks stand, untouched.
pub(super) async fn standings(
    tx: &DatabaseTransaction,
    ids: impl Iterator<Item = TaskId>,
) -> StoreResult<Standings> {
    let rows = ids.map(|id| vec![id.0.into()]).collect();
    let mut standings = Standings::new();
    for row in STANDING.run(tx, rows).await? {
        let (id, standing, _) = read_standing(&row)?;
        standings.insert(id, standing);
    }
    Ok(standings)
}

/// Reads `id, state, answered, failed, slots`; also whether slots are left that did not end.
pub(super) fn read_standing(row: &sea_orm::QueryResult) -> StoreResult<(TaskId, Standing, bool)> {
    let (answered, failed, slots): (i32, i32, i32) = (get(row, 2)?, get(row, 3)?, get(row, 4)?);
    let standing = Standing {
        state: text("task state", &get::<String>(row, 1)?)?,
        answered: small("answered", answered)?,
        failed: small("failed", failed)?,
        freed: Vec::new(),
    };
    Ok((TaskId(get(row, 0)?), standing, answered + failed < slots))
}

const SUPERSEDE: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "UPDATE slot SET state = 'superseded', expires_at = NULL FROM v \
           WHERE slot.task_id = v.id AND slot.state IN ('queued','offered','running') \
           RETURNING slot.task_id, slot.slot, slot.attempt, slot.holder_kind, slot.holder, \
           slot.granted_at, slot.fetched_at",
};

/// Ends the slots of tasks that ended; a queued slot has no holder, a leased one has.
pub(super) async fn supersede(
    tx: &DatabaseTransaction,
    over: Vec<(TaskId, Millis)>,
    standings: &mut Standings,
    moves: &mut Moves,
) -> StoreResult<()> {
    let now_of: HashMap<TaskId, Millis> = over.iter().copied().collect();
    let rows = over.into_iter().map(|(id, _)| vec![id.0.into()]).collect();
    let mut attempts = Vec::new();
    for row in SUPERSEDE.run(tx, rows).await? {
        let token = token(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?)?;
        let (kind, id): (Option<String>, Option<Uuid>) = (get(&row, 3)?, get(&row, 4)?);
        let (Some(kind), Some(id)) = (kind, id) else { continue };
        let holder = holder(&kind, id)?;
        count(moves, holder, Some(LossReason::Superseded));
        attempts.push(LostLease {
            token,
            holder,
            reason: LossReason::Superseded,
            granted_at: get(&row, 5)?,
            fetched_at: get(&row, 6)?,
            ended_at: now_of.get(&token.task).copied().unwrap_or_default(),
        });
        if let Some(standing) = standings.get_mut(&token.task) {
            standing.freed.push(Freed { token, holder });
        }
    }
    for standing in standings.values_mut() {
        standing.freed.sort_unstable();
    }
    write_attempts(tx, attempts).await
}

/// A lease that ended without an answer, on its way to the `attempt` table.
pub(super) struct LostLease {
    pub(super) token: LeaseToken,
    pub(super) holder: Holder,
    pub(super) reason: LossReason,
    pub(super) granted_at: Option<i64>,
    pub(super) fetched_at: Option<i64>,
    pub(super) ended_at: Millis,
}

pub(super) async fn write_attempts(
    tx: &DatabaseTransaction,
    lost: Vec<LostLease>,
) -> StoreResult<()> {
    for chunk in chunks(lost) {
        let rows = chunk.into_iter().map(|lost| e::attempt::ActiveModel {
            task_id: Set(lost.token.task.0),
            slot: Set(lost.token.slot.into()),
            attempt: Set(lost.token.attempt.into()),
            holder_kind: Set(lost.holder.kind().to_string()),
            holder: Set(lost.holder.id()),
            reason: Set(lost.reason.to_string()),
            granted_at: Set(lost.granted_at.unwrap_or(lost.ended_at.0)),
            fetched_at: Set(lost.fetched_at),
            ended_at: Set(lost.ended_at.0),
        });
        e::attempt::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

const MOVE: Batch = Batch {
    columns: &[
        ("id", Cast::Uuid),
        ("live", Cast::Int),
        ("answered", Cast::Big),
        ("lost", Cast::Big),
    ],
    body: "UPDATE registration SET live = registration.live + v.live, \
           answered = registration.answered + v.answered, lost = registration.lost + v.lost \
           FROM v WHERE registration.id = v.id",
};

/// Writes the gathered counters, by registration.
pub(super) async fn write_moves(tx: &DatabaseTransaction, moves: Moves) -> StoreResult<()> {
    let row =
        |(id, m): (Uuid, Moved)| vec![id.into(), m.live.into(), m.answered.into(), m.lost.into()];
    MOVE.run(tx, moves.into_iter().map(row).collect()).await?;
    Ok(())
}
