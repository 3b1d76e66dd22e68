//! Leases opened, fetched and kept alive. Every predicate carries the fencing token.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;

use super::dialect::{Batch, Cast, statement};
use super::row::get;
use super::writer::Waiting;
use crate::domain::ids::LeaseToken;
use crate::domain::units::Millis;
use crate::store::{Assign, Fetch, Grant, Granted, Heartbeat, StoreError, StoreResult};

const OPEN: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("state", Cast::Text),
        ("holder_kind", Cast::Text),
        ("holder", Cast::Uuid),
        ("granted_at", Cast::Big),
        ("fetched_at", Cast::Big),
        ("expires_at", Cast::Big),
    ],
    body: "UPDATE slot SET state = v.state, attempt = v.attempt, holder_kind = v.holder_kind, \
           holder = v.holder, granted_at = v.granted_at, fetched_at = v.fetched_at, \
           expires_at = v.expires_at FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot \
           AND slot.state = 'queued' AND slot.attempt = v.attempt - 1 \
           RETURNING slot.task_id, slot.slot",
};

pub(super) const TAKE_ROOM: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("n", Cast::Int)],
    body: "UPDATE registration SET live = live + v.n FROM v WHERE registration.id = v.id \
           AND closed_at IS NULL AND live + v.n <= capacity RETURNING registration.id",
};

/// Opens leases. First all at once; when a miner turns out to have too little room the batch is
/// replayed command by command, and then (`alone`) grant by grant, so that room goes out by rank.
pub(super) async fn assign(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Assign, Vec<Granted>>],
    alone: bool,
) -> StoreResult<()> {
    if let ([waiting], true) = (&mut *waiting, alone) {
        let mut answers = Vec::with_capacity(waiting.command.grants.len());
        for grant in &waiting.command.grants {
            answers.push(grant_alone(tx, &waiting.command, grant).await?);
        }
        waiting.answer(answers);
        return Ok(());
    }
    let rows = waiting.iter().flat_map(|w| w.command.grants.iter().map(|g| open(&w.command, g)));
    let mut held = HashSet::new();
    for row in OPEN.run(tx, rows.collect()).await? {
        held.insert((get::<Uuid>(&row, 0)?, get::<i32>(&row, 1)?));
    }
    let mut room: BTreeMap<Uuid, i32> = BTreeMap::new();
    for waiting in waiting.iter_mut() {
        let task = waiting.command.task.0;
        let mut answers = Vec::with_capacity(waiting.command.grants.len());
        for grant in &waiting.command.grants {
            if !held.contains(&(task, grant.slot.into())) {
                answers.push(Granted::Taken);
                continue;
            }
            answers.push(Granted::Yes);
            if let Some(miner) = grant.holder.miner() {
                *room.entry(miner.0).or_default() += 1;
            }
        }
        waiting.answer(answers);
    }
    let wanted = room.len();
    let rows = room.into_iter().map(|(id, n)| vec![id.into(), n.into()]).collect();
    if TAKE_ROOM.run(tx, rows).await?.len() < wanted {
        return Err(StoreError::Unavailable("too little room for a batch of leases".to_owned()));
    }
    Ok(())
}

fn open(assign: &Assign, grant: &Grant) -> Vec<sea_orm::Value> {
    let now = assign.now.0;
    vec![
        assign.task.0.into(),
        i32::from(grant.slot).into(),
        i32::from(grant.attempt).into(),
        if grant.fetched { "running" } else { "offered" }.into(),
        grant.holder.kind().as_str().into(),
        grant.holder.id().into(),
        now.into(),
        grant.fetched.then_some(now).into(),
        grant.expires_at.0.into(),
    ]
}

async fn grant_alone(
    tx: &DatabaseTransaction,
    assign: &Assign,
    grant: &Grant,
) -> StoreResult<Granted> {
    let queued = "SELECT 1 FROM slot WHERE task_id = $1 AND slot = $2 AND state = 'queued' \
                  AND attempt = $3";
    let values =
        [assign.task.0.into(), i32::from(grant.slot).into(), (i32::from(grant.attempt) - 1).into()];
    if tx.query_one_raw(statement(tx, queued, values)).await?.is_none() {
        return Ok(Granted::Taken);
    }
    if let Some(miner) = grant.holder.miner() {
        let rows = vec![vec![miner.0.into(), 1.into()]];
        if TAKE_ROOM.run(tx, rows).await?.is_empty() {
            return Ok(Granted::NoRoom);
        }
    }
    match OPEN.run(tx, vec![open(assign, grant)]).await?.len() {
        1 => Ok(Granted::Yes),
        _ => Err(StoreError::Unavailable("a slot changed under its lock".to_owned())),
    }
}

const FETCH: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("holder", Cast::Uuid),
        ("fetched_at", Cast::Big),
        ("expires_at", Cast::Big),
    ],
    body: "UPDATE slot SET state = 'running', fetched_at = v.fetched_at, \
           expires_at = v.expires_at FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot AND slot.attempt = v.attempt \
           AND slot.holder = v.holder AND slot.state = 'offered' \
           RETURNING slot.task_id, slot.slot, slot.attempt, slot.holder",
};

/// Marks offers as fetched.
pub(super) async fn fetch(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Fetch, Vec<bool>>],
) -> StoreResult<()> {
    let mut rows = Vec::new();
    for fetch in waiting.iter().map(|w| &w.command) {
        for &(token, until) in &fetch.leases {
            rows.push(vec![
                token.task.0.into(),
                i32::from(token.slot).into(),
                i32::from(token.attempt).into(),
                fetch.holder.id().into(),
                fetch.now.0.into(),
                until.0.into(),
            ]);
        }
    }
    let mut fetched = HashSet::new();
    for row in FETCH.run(tx, rows).await? {
        let token = super::row::token(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?)?;
        fetched.insert((token, get::<Uuid>(&row, 3)?));
    }
    // A holder has one command in a batch; whoever asks for another's offer is not told of it.
    for waiting in waiting {
        let Fetch { holder, leases, .. } = &waiting.command;
        let answer = leases.iter().map(|(token, _)| fetched.contains(&(*token, holder.id())));
        let answer = answer.collect();
        waiting.answer(answer);
    }
    Ok(())
}

const BEAT: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("holder", Cast::Uuid),
        ("until", Cast::Big),
    ],
    body: "UPDATE slot SET expires_at = CASE WHEN v.until > slot.expires_at THEN v.until \
           ELSE slot.expires_at END FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot AND slot.attempt = v.attempt \
           AND slot.holder = v.holder AND slot.state IN ('offered','running') \
           RETURNING slot.task_id, slot.slot, slot.attempt, slot.expires_at",
};

/// Keeps leases alive.
pub(super) async fn heartbeat(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Heartbeat, Option<Millis>>],
) -> StoreResult<()> {
    let row = |beat: &Heartbeat| {
        vec![
            beat.token.task.0.into(),
            i32::from(beat.token.slot).into(),
            i32::from(beat.token.attempt).into(),
            beat.holder.id().into(),
            beat.until.0.into(),
        ]
    };
    let rows = waiting.iter().filter(|w| w.is_open()).map(|w| row(&w.command)).collect();
    let mut beaten: HashMap<LeaseToken, Millis> = HashMap::new();
    for row in BEAT.run(tx, rows).await? {
        let token = super::row::token(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?)?;
        beaten.insert(token, Millis(get(&row, 3)?));
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let until = beaten.get(&waiting.command.token).copied();
        waiting.answer(until);
    }
    Ok(())
}
