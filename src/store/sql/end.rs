//! Leases that end without an answer, and tasks that end early: release, sweep, cancel. All lose
//! leases in the same way; so does the closing of a registration.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pithead_entities as e;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryResult,
};
use uuid::Uuid;

use super::dialect::{Batch, Cast, statement};
use super::outbox::Outbox;
use super::row::{self, get, holder, small, token};
use super::settle::{self, Ended, LostLease, Moves, Standings};
use super::widen;
use super::writer::Waiting;
use crate::domain::ids::{LeaseToken, TaskId};
use crate::domain::lease::{AfterLoss, LeasePolicy, LossReason};
use crate::domain::task::{SlotState, TaskState};
use crate::domain::units::Millis;
use crate::store::*;

/// A live lease as read, before it is lost.
pub(super) struct Live {
    pub(super) token: LeaseToken,
    pub(super) holder: Holder,
    offered: bool,
    failures: u16,
    pub(super) granted_at: Option<i64>,
    pub(super) fetched_at: Option<i64>,
    /// The other slot, when it is one of a hedge.
    peer: Option<u16>,
}

pub(super) const LIVE_COLUMNS: &str = "slot.task_id, slot.slot, slot.attempt, slot.holder_kind, \
    slot.holder, slot.state, slot.failures, slot.granted_at, slot.fetched_at, slot.hedge_of, \
    slot.hedged_by";

pub(super) fn read_live(row: &QueryResult) -> StoreResult<Live> {
    let (kind, id): (String, Uuid) = (get(row, 3)?, get(row, 4)?);
    let (hedge_of, hedged_by): (Option<i32>, Option<i32>) = (get(row, 9)?, get(row, 10)?);
    Ok(Live {
        token: token(get(row, 0)?, get(row, 1)?, get(row, 2)?)?,
        holder: holder(&kind, id)?,
        offered: get::<String>(row, 5)? == SlotState::Offered.as_str(),
        failures: small("failures", get(row, 6)?)?,
        granted_at: get(row, 7)?,
        fetched_at: get(row, 8)?,
        peer: hedge_of.or(hedged_by).map(|slot| small("peer", slot)).transpose()?,
    })
}

/// A lease to end, and how.
pub(super) struct Loss {
    pub(super) live: Live,
    pub(super) reason: LossReason,
    pub(super) policy: LeasePolicy,
    pub(super) now: Millis,
}

const LOSE: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("state", Cast::Text),
        ("failures", Cast::Int),
        ("not_before", Cast::Big),
    ],
    body: "UPDATE slot SET state = v.state, failures = v.failures, not_before = v.not_before, \
           holder_kind = NULL, holder = NULL, granted_at = NULL, fetched_at = NULL, \
           expires_at = NULL FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot AND slot.attempt = v.attempt \
           AND slot.state IN ('offered','running') RETURNING slot.task_id",
};

/// Ends these leases: slots back in the queue or given up, attempts written down, counters moved,
/// tasks settled. Answers in the order given.
pub(super) async fn lose(
    tx: &DatabaseTransaction,
    losses: Vec<Loss>,
    outbox: &mut Outbox,
) -> StoreResult<Vec<Lost>> {
    let mut rows = Vec::with_capacity(losses.len());
    let peers = losses.iter().filter_map(|loss| Some((loss.live.token.task, loss.live.peer?)));
    let mut leased = widen::leased(tx, peers).await?;
    let mut moves = Moves::new();
    let mut ended: BTreeMap<TaskId, Ended> = BTreeMap::new();
    let (mut attempts, mut lost) = (Vec::new(), Vec::new());
    for Loss { live, reason, policy, now } in losses {
        let failures = live.failures.saturating_add(reason.is_failure().into());
        let after = policy.after_loss(live.token, reason, failures, now);
        // Of a hedge the other lease goes on alone, unless it ended here just before.
        leased.remove(&(live.token.task, live.token.slot));
        let alone = live.peer.is_some_and(|peer| leased.contains(&(live.token.task, peer)));
        let (state, not_before, retry_at) = match after {
            _ if alone => (SlotState::Superseded, now, None),
            AfterLoss::Retry(at) => (SlotState::Queued, at, Some(at)),
            AfterLoss::GiveUp => (SlotState::Failed, now, None),
        };
        if state == SlotState::Failed {
            let ended = ended.entry(live.token.task).or_default();
            ended.failed += 1;
            ended.now = now;
        }
        let token = live.token;
        rows.push(vec![
            token.task.0.into(),
            i32::from(token.slot).into(),
            i32::from(token.attempt).into(),
            state.as_str().into(),
            i32::from(failures).into(),
            not_before.0.into(),
        ]);
        settle::count(&mut moves, live.holder, Some(reason));
        let standing =
            Standing { state: TaskState::Open, answered: 0, failed: 0, freed: Vec::new() };
        lost.push(Lost { token, holder: live.holder, reason, retry_at, standing });
        attempts.push(LostLease {
            token,
            holder: live.holder,
            reason,
            granted_at: live.granted_at,
            fetched_at: live.fetched_at,
            ended_at: now,
        });
    }
    let expected = rows.len();
    if LOSE.run(tx, rows).await?.len() != expected {
        return Err(StoreError::Unavailable("a lease changed under its lock".to_owned()));
    }
    settle::write_attempts(tx, attempts).await?;
    let settled = settle::settle(tx, &ended, &mut moves, outbox).await?;
    settle::write_moves(tx, moves).await?;
    let rest: BTreeSet<_> =
        lost.iter().map(|l| l.token.task).filter(|id| !settled.contains_key(id)).collect();
    let rest = settle::standings(tx, rest.into_iter()).await?;
    for lost in &mut lost {
        let id = lost.token.task;
        if let Some(standing) = settled.get(&id).or_else(|| rest.get(&id)) {
            lost.standing = standing.clone();
        }
    }
    Ok(lost)
}

const FIND: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("holder", Cast::Uuid),
    ],
    body: "SELECT slot.task_id, slot.slot, slot.attempt, slot.holder_kind, slot.holder, \
           slot.state, slot.failures, slot.granted_at, slot.fetched_at, slot.hedge_of, \
           slot.hedged_by FROM slot \
           JOIN v ON v.task_id = slot.task_id AND v.slot = slot.slot \
           WHERE slot.attempt = v.attempt AND slot.holder = v.holder \
           AND slot.state IN ('offered','running')",
};

/// Gives leases back, one per task.
pub(super) async fn release(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Release, Released>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    let row = |c: &Release| {
        vec![
            c.token.task.0.into(),
            i32::from(c.token.slot).into(),
            i32::from(c.token.attempt).into(),
            c.holder.id().into(),
        ]
    };
    let rows: Vec<_> = waiting.iter().filter(|w| w.is_open()).map(|w| row(&w.command)).collect();
    let mut live = HashMap::new();
    for row in FIND.run(tx, rows).await? {
        let found = read_live(&row)?;
        live.insert(found.token, found);
    }
    let mut losses = Vec::new();
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        match live.remove(&command.token) {
            Some(live) => losses.push(Loss {
                live,
                reason: command.reason,
                policy: command.policy,
                now: command.now,
            }),
            None => waiting.answer(Released::Lost),
        }
    }
    let mut lost: HashMap<_, _> =
        lose(tx, losses, outbox).await?.into_iter().map(|lost| (lost.token, lost)).collect();
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        if let Some(lost) = lost.remove(&waiting.command.token) {
            waiting.answer(Released::Done(lost));
        }
    }
    Ok(())
}

/// Ends due leases, then due tasks.
pub(super) async fn sweep(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Sweep, Swept>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    for waiting in waiting {
        let Sweep { now, policy, rows_max } = waiting.command;
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let due = format!(
            "SELECT {LIVE_COLUMNS} FROM slot WHERE expires_at <= $1 \
             ORDER BY expires_at, task_id, slot LIMIT $2"
        );
        let mut losses = Vec::new();
        for row in tx.query_all_raw(statement(tx, &due, [now.0.into(), limit.into()])).await? {
            let live = read_live(&row)?;
            let offered = live.offered;
            let reason = if offered { LossReason::OfferExpired } else { LossReason::RunExpired };
            losses.push(Loss { live, reason, policy, now });
        }
        let mut lost = lose(tx, losses, outbox).await?;
        lost.sort_by_key(|lost| lost.token);
        let overdue = overdue(tx, now, limit, outbox).await?;
        waiting.answer(Swept { lost, overdue });
    }
    Ok(())
}

// The same rule as `domain::task::settle_late`.
const END_LATE: &str = "UPDATE task SET \
    state = CASE WHEN answered >= min_responses THEN 'done' ELSE 'expired' END, finished_at = $1, \
    done_order = $3 WHERE state = 'open' AND id IN (SELECT id FROM task WHERE finished_at IS NULL AND deadline <= $1 \
    ORDER BY deadline, id LIMIT $2) RETURNING id, state, answered, failed, slots, owner, \
    callback_url, kind";

async fn overdue(
    tx: &DatabaseTransaction,
    now: Millis,
    limit: i64,
    outbox: &mut Outbox,
) -> StoreResult<Vec<Overdue>> {
    let values = [now.0.into(), limit.into(), outbox.transaction.into()];
    let rows = tx.query_all_raw(statement(tx, END_LATE, values)).await?;
    end_tasks(tx, rows, now, outbox).await.map(|standings| {
        let mut overdue: Vec<_> =
            standings.into_iter().map(|(task, standing)| Overdue { task, standing }).collect();
        overdue.sort_by_key(|overdue| overdue.task);
        overdue
    })
}

/// Reads tasks that an update just ended, and ends their slots.
async fn end_tasks(
    tx: &DatabaseTransaction,
    rows: Vec<QueryResult>,
    now: Millis,
    outbox: &mut Outbox,
) -> StoreResult<Standings> {
    let mut standings = Standings::new();
    for row in rows {
        let (id, standing, _) = settle::read_standing(&row)?;
        outbox.settled(&row, id, &standing, 0, now)?;
        standings.insert(id, standing);
    }
    let over = standings.keys().map(|&id| (id, now)).collect();
    let mut moves = Moves::new();
    settle::supersede(tx, over, &mut standings, &mut moves).await?;
    settle::write_moves(tx, moves).await?;
    Ok(standings)
}

const CANCEL: &str = "UPDATE task SET state = 'cancelled', finished_at = $1 \
    WHERE id = $2 AND owner = $3 AND state = 'open' \
    RETURNING id, state, answered, failed, slots, owner, callback_url, kind";

/// Takes tasks back. Cancelling what is cancelled is no error.
pub(super) async fn cancel(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Cancel, Cancelled>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    for waiting in waiting {
        let Cancel { task, owner, now } = waiting.command.clone();
        let values = [now.0.into(), task.0.into(), owner.clone().into()];
        let rows = tx.query_all_raw(statement(tx, CANCEL, values)).await?;
        if let Some(standing) = end_tasks(tx, rows, now, outbox).await?.remove(&task) {
            waiting.answer(Cancelled::Done(standing));
            continue;
        }
        let found = e::task::Entity::find_by_id(task.0)
            .filter(e::task::Column::Owner.eq(owner))
            .one(tx)
            .await?;
        waiting.answer(match found.map(row::task).transpose()? {
            None => Cancelled::NotFound,
            Some(found) if found.state == TaskState::Cancelled => Cancelled::Done(Standing {
                state: found.state,
                answered: found.answered,
                failed: found.failed,
                freed: Vec::new(),
            }),
            Some(found) => Cancelled::Ended(found.state),
        });
    }
    Ok(())
}
