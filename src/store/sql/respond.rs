//! Answers: taken if and only if the lease still lives with that attempt and holder.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::dialect::{Batch, Cast};
use super::outbox::Outbox;
use super::row::{get, small, text, token};
use super::settle::{self, Ended, Moves};
use super::widen;
use super::writer::Waiting;
use crate::domain::ids::LeaseToken;
use crate::store::{Respond, Responded, StoreError, StoreResult};

const ANSWER: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("holder", Cast::Uuid),
    ],
    body: "UPDATE slot SET state = 'answered', expires_at = NULL FROM v \
           WHERE slot.task_id = v.task_id AND slot.slot = v.slot AND slot.attempt = v.attempt \
           AND slot.holder = v.holder AND slot.state IN ('offered','running') \
           RETURNING slot.task_id, slot.slot, slot.attempt, slot.granted_at, slot.fetched_at, \
           slot.hedge_of, slot.hedged_by",
};

const FIND: Batch = Batch {
    columns: &[("task_id", Cast::Uuid), ("slot", Cast::Int)],
    body: "SELECT r.task_id, r.slot, r.attempt, r.holder, r.body_hash, task.state FROM response r \
           JOIN v ON v.task_id = r.task_id AND v.slot = r.slot JOIN task ON task.id = r.task_id",
};

/// Takes the answers of one batch, one per task.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Respond, Responded>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    let row = |c: &Respond| {
        vec![
            c.token.task.0.into(),
            i32::from(c.token.slot).into(),
            i32::from(c.token.attempt).into(),
            c.holder.id().into(),
        ]
    };
    let rows: Vec<_> = waiting.iter().filter(|w| w.is_open()).map(|w| row(&w.command)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut began: HashMap<LeaseToken, i64> = HashMap::new();
    let mut peer_of = HashMap::new();
    for row in ANSWER.run(tx, rows).await? {
        let token = token(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?)?;
        let (granted, fetched): (Option<i64>, Option<i64>) = (get(&row, 3)?, get(&row, 4)?);
        began.insert(token, fetched.or(granted).unwrap_or_default());
        let (hedge_of, hedged_by): (Option<i32>, Option<i32>) = (get(&row, 5)?, get(&row, 6)?);
        if let Some(peer) = hedge_of.or(hedged_by) {
            peer_of.insert(token, small("peer", peer)?);
        }
    }
    let mut rows = Vec::with_capacity(began.len());
    let (mut ended, mut peers) = (BTreeMap::new(), HashMap::new());
    let mut moves = Moves::new();
    for command in waiting.iter().filter(|w| w.is_open()).map(|w| &w.command) {
        let Some(&began) = began.get(&command.token) else { continue };
        rows.push(response_row(command, command.now.0 - began));
        settle::count(&mut moves, command.holder, None);
        ended.insert(command.token.task, Ended { answered: 1, failed: 0, now: command.now });
        if let Some(&peer) = peer_of.get(&command.token) {
            peers.insert((command.token.task, peer), command.now);
        }
    }
    INSERT.run(tx, rows).await?;
    let mut standings = settle::settle(tx, &ended, &mut moves, outbox).await?;
    widen::end_peers(tx, peers, &mut standings, &mut moves).await?;
    settle::write_moves(tx, moves).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let Some(&began) = began.get(&waiting.command.token) else { continue };
        // A lease lives on open tasks only, so the settling update found its task.
        let Some(standing) = standings.remove(&waiting.command.token.task) else {
            return Err(StoreError::Corrupt("a lease lived on an ended task".to_owned()));
        };
        let elapsed_millis = waiting.command.now.0 - began;
        waiting.answer(Responded::Accepted { elapsed_millis, standing });
    }
    answer_refused(tx, waiting).await
}

/// Tells apart a repeated answer, another answer for the same lease, and a lease that is lost.
async fn answer_refused(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Respond, Responded>],
) -> StoreResult<()> {
    let open = waiting.iter().filter(|w| w.is_open()).map(|w| w.command.token);
    let rows = open.map(|t| vec![t.task.0.into(), i32::from(t.slot).into()]).collect();
    let mut stored = HashMap::new();
    for row in FIND.run(tx, rows).await? {
        let token = token(get(&row, 0)?, get(&row, 1)?, get(&row, 2)?)?;
        let (holder, hash): (Uuid, Vec<u8>) = (get(&row, 3)?, get(&row, 4)?);
        let state = text("task state", &get::<String>(&row, 5)?)?;
        stored.insert(token, (holder, hash, state));
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let command = &waiting.command;
        let answer = match stored.get(&command.token) {
            Some((holder, hash, state)) if *holder == command.holder.id() => {
                if hash.as_slice() == command.body_hash {
                    Responded::Same { state: *state }
                } else {
                    Responded::Conflict
                }
            }
            _ => Responded::Lost,
        };
        waiting.answer(answer);
    }
    Ok(())
}

const INSERT: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("attempt", Cast::Int),
        ("holder", Cast::Uuid),
        ("registration_id", Cast::Uuid),
        ("miner_uid", Cast::Int),
        ("body", Cast::Json),
        ("body_hash", Cast::Bytes),
        ("claims", Cast::Json),
        ("elapsed_millis", Cast::Big),
        ("created_at", Cast::Big),
    ],
    body: "INSERT INTO response (task_id, slot, attempt, holder, registration_id, miner_uid, body, \
           body_hash, claims, elapsed_millis, created_at) \
           SELECT task_id, slot, attempt, holder, registration_id, miner_uid, body, body_hash, \
           claims, elapsed_millis, created_at FROM v",
};

fn response_row(command: &Respond, elapsed_millis: i64) -> Vec<Value> {
    vec![
        command.token.task.0.into(),
        i32::from(command.token.slot).into(),
        i32::from(command.token.attempt).into(),
        command.holder.id().into(),
        command.registration.map(|id| id.0).into(),
        i32::from(command.miner_uid.0).into(),
        Value::from((*command.body).clone()),
        command.body_hash.to_vec().into(),
        command.claims.clone().into(),
        elapsed_millis.into(),
        command.now.0.into(),
    ]
}
