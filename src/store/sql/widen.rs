//! Slots that tasks get after they were taken in, and the two slots of a hedge, of which one answers.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;

use super::dialect::{Batch, Cast, statement};
use super::end::read_live;
use super::enqueue::{INSERT_SLOT, queued_slots};
use super::lease::TAKE_ROOM;
use super::row::{get, small, text};
use super::settle::{LostLease, Moves, Standings, count, write_attempts};
use super::writer::Waiting;
use crate::domain::ids::TaskId;
use crate::domain::lease::LossReason;
use crate::domain::task::SlotState;
use crate::domain::units::Millis;
use crate::store::{Freed, Granted, Hedge, StoreResult, Widen};

const WIDEN: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("slots", Cast::Int), ("enough", Cast::Int)],
    body: "UPDATE task SET slots = v.slots, enough = v.enough FROM v \
           WHERE task.id = v.id AND task.state = 'open' AND task.slots = 1 AND v.slots > 1 \
           AND NOT EXISTS (SELECT 1 FROM slot WHERE slot.task_id = v.id AND slot.slot > 0) \
           RETURNING task.id",
};

/// Has tasks want more answers.
pub(super) async fn widen(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Widen, bool>],
) -> StoreResult<()> {
    let row = |c: &Widen| {
        vec![c.task.0.into(), i32::from(c.to.slots).into(), i32::from(c.to.enough).into()]
    };
    let mut widened = HashSet::new();
    for row in WIDEN.run(tx, waiting.iter().map(|w| row(&w.command)).collect()).await? {
        widened.insert(TaskId(get::<Uuid>(&row, 0)?));
    }
    let mut rows = Vec::new();
    for waiting in waiting {
        let Widen { task, to, now } = waiting.command;
        let done = widened.contains(&task);
        if done {
            rows.extend(queued_slots(task, 1..to.slots, now));
        }
        waiting.answer(done);
    }
    INSERT_SLOT.run(tx, rows).await?;
    Ok(())
}

const MARK: &str = "UPDATE slot SET hedged_by = $4 WHERE task_id = $1 AND slot = $2 \
    AND attempt = $3 AND state IN ('offered','running') \
    AND hedged_by IS NULL AND hedge_of IS NULL \
    AND EXISTS (SELECT 1 FROM task WHERE id = $1 AND state = 'open') \
    AND EXISTS (SELECT 1 FROM slot WHERE task_id = $1 AND slot = $4 - 1) \
    AND NOT EXISTS (SELECT 1 FROM slot WHERE task_id = $1 AND slot = $4)";
const UNMARK: &str = "UPDATE slot SET hedged_by = NULL WHERE task_id = $1 AND slot = $2";
const OPEN: &str = "INSERT INTO slot (task_id, slot, state, attempt, failures, not_before, \
    holder_kind, holder, granted_at, fetched_at, expires_at, hedge_of) \
    VALUES ($1, $2, $3, 1, 0, $4, $5, $6, $4, $7, $8, $9)";

/// Opens leases for stragglers, one by one: they are rare by their budget.
pub(super) async fn hedge(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Hedge, Granted>],
) -> StoreResult<()> {
    for waiting in waiting {
        let answer = hedge_one(tx, &waiting.command).await?;
        waiting.answer(answer);
    }
    Ok(())
}

async fn hedge_one(tx: &DatabaseTransaction, command: &Hedge) -> StoreResult<Granted> {
    let Hedge { of, grant, now } = *command;
    let (task, slot, own) = (of.task.0, i32::from(of.slot), i32::from(grant.slot));
    let values = [task.into(), slot.into(), i32::from(of.attempt).into(), own.into()];
    if tx.execute_raw(statement(tx, MARK, values)).await?.rows_affected() == 0 {
        return Ok(Granted::Taken);
    }
    if let Some(miner) = grant.holder.miner()
        && TAKE_ROOM.run(tx, vec![vec![miner.0.into(), 1.into()]]).await?.is_empty()
    {
        tx.execute_raw(statement(tx, UNMARK, [task.into(), slot.into()])).await?;
        return Ok(Granted::NoRoom);
    }
    let state = if grant.fetched { SlotState::Running } else { SlotState::Offered };
    let values = [
        task.into(),
        own.into(),
        state.as_str().into(),
        now.0.into(),
        grant.holder.kind().as_str().into(),
        grant.holder.id().into(),
        grant.fetched.then_some(now.0).into(),
        grant.expires_at.0.into(),
        slot.into(),
    ];
    tx.execute_raw(statement(tx, OPEN, values)).await?;
    Ok(Granted::Yes)
}

/// One slot of a hedge whose other one ends.
pub(super) type Peer = (TaskId, u16);

const STATES: Batch = Batch {
    columns: &[("task_id", Cast::Uuid), ("slot", Cast::Int)],
    body: "SELECT slot.task_id, slot.slot, slot.state FROM slot \
           JOIN v ON v.task_id = slot.task_id AND v.slot = slot.slot",
};

/// Which of these slots have a live lease.
pub(super) async fn leased(
    tx: &DatabaseTransaction,
    peers: impl Iterator<Item = Peer>,
) -> StoreResult<HashSet<Peer>> {
    let rows = peers.map(|(task, slot)| vec![task.0.into(), i32::from(slot).into()]).collect();
    let mut leased = HashSet::new();
    for row in STATES.run(tx, rows).await? {
        let state: SlotState = text("slot state", &get::<String>(&row, 2)?)?;
        if state.leased() {
            leased.insert((TaskId(get(&row, 0)?), small("slot", get(&row, 1)?)?));
        }
    }
    Ok(leased)
}

// The columns that `read_live` reads.
const SUPERSEDE: Batch = Batch {
    columns: STATES.columns,
    body: "UPDATE slot SET state = 'superseded', expires_at = NULL FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot \
           AND slot.state IN ('offered','running') \
           RETURNING slot.task_id, slot.slot, slot.attempt, slot.holder_kind, slot.holder, \
           slot.state, slot.failures, slot.granted_at, slot.fetched_at, slot.hedge_of, \
           slot.hedged_by",
};

/// Ends the leases on the other slots of hedges that were answered.
pub(super) async fn end_peers(
    tx: &DatabaseTransaction,
    peers: HashMap<Peer, Millis>,
    standings: &mut Standings,
    moves: &mut Moves,
) -> StoreResult<()> {
    let rows = peers.keys().map(|(task, slot)| vec![task.0.into(), i32::from(*slot).into()]);
    let mut attempts = Vec::new();
    for row in SUPERSEDE.run(tx, rows.collect()).await? {
        let live = read_live(&row)?;
        count(moves, live.holder, Some(LossReason::Superseded));
        let key = (live.token.task, live.token.slot);
        attempts.push(LostLease {
            token: live.token,
            holder: live.holder,
            reason: LossReason::Superseded,
            granted_at: live.granted_at,
            fetched_at: live.fetched_at,
            ended_at: peers.get(&key).copied().unwrap_or_default(),
        });
        if let Some(standing) = standings.get_mut(&live.token.task) {
            standing.freed.push(Freed { token: live.token, holder: live.holder });
            standing.freed.sort_unstable();
        }
    }
    write_attempts(tx, attempts).await
}
