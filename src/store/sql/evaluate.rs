//! Judgements of validators, approval, and merged scores.

use std::collections::BTreeMap;

use pithead_entities as e;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};
use uuid::Uuid;

use super::dialect::{Batch, Cast, statement};
use super::outbox::Outbox;
use super::row::{self, get};
use super::writer::Waiting;
use crate::domain::evaluation::{self, Answer, Inadmissible, Judgement};
use crate::domain::task::TaskState;
use crate::store::judge::{answer_of, asked, judgement_of, merged, score_and_reward};
use crate::store::{Evaluate, Evaluated, ScoreRow, StoreResult};

/// Takes evaluations, one per task.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Evaluate, Evaluated>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let answer = one(tx, &waiting.command, outbox).await?;
        waiting.answer(answer);
    }
    Ok(())
}

async fn one(
    tx: &DatabaseTransaction,
    command: &Evaluate,
    outbox: &mut Outbox,
) -> StoreResult<Evaluated> {
    let Some(task) = e::task::Entity::find_by_id(command.task.0).one(tx).await? else {
        return Ok(Evaluated::NotFound);
    };
    let task = row::task(task)?;
    if !matches!(task.state, TaskState::Done | TaskState::Approved) {
        return Ok(Evaluated::NotDone(task.state));
    }
    let responses = e::response::Entity::find()
        .filter(e::response::Column::TaskId.eq(command.task.0))
        .all(tx)
        .await?;
    let responses: Vec<_> = responses.into_iter().map(row::response).collect::<Result<_, _>>()?;
    let stored = e::evaluation::Entity::find()
        .filter(e::evaluation::Column::TaskId.eq(command.task.0))
        .all(tx)
        .await?;
    let stored = stored.iter().map(row::evaluation).collect::<StoreResult<Vec<_>>>()?;
    let mut judgements: Vec<_> = stored.iter().map(judgement_of).collect();
    let answers: Vec<_> = responses.iter().map(answer_of).collect();
    let new = match evaluation::admit(&answers, &judgements, &asked(command)) {
        Ok(new) => new,
        Err(Inadmissible::NoResponse(slot)) => return Ok(Evaluated::NoResponse(slot)),
        Err(Inadmissible::Conflict(slot)) => return Ok(Evaluated::Conflict(slot)),
    };
    let rows: Vec<_> = new.iter().map(|j| evaluation_row(command, j, &answers)).collect();
    if !rows.is_empty() {
        e::evaluation::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    judgements.extend(&new);
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let (recorded, duplicates) = (count(new.len()), count(command.judgements.len() - new.len()));
    let concluded = evaluation::conclude(&answers, &judgements, command.quorum);
    let (TaskState::Done, Some((best_slot, scored))) = (task.state, concluded) else {
        let (state, best_slot) = (task.state, task.best_slot);
        return Ok(Evaluated::Accepted { recorded, duplicates, state, scores: vec![], best_slot });
    };
    let approve = "UPDATE task SET state = 'approved', best_slot = $1 \
                   WHERE id = $2 AND state = 'done'";
    let values = [best_slot.map(i32::from).into(), command.task.0.into()];
    tx.execute_raw(statement(tx, approve, values)).await?;
    outbox.approved(command.task, &task.task.owner, task.answered, command.now);
    let scores = merged(command, &task, &responses, &scored);
    write_scores(tx, &scores).await?;
    let state = TaskState::Approved;
    Ok(Evaluated::Accepted { recorded, duplicates, state, scores, best_slot })
}

fn evaluation_row(
    command: &Evaluate,
    judgement: &Judgement,
    answers: &[Answer],
) -> e::evaluation::ActiveModel {
    let (score, reward) = score_and_reward(command, judgement, answers);
    e::evaluation::ActiveModel {
        task_id: Set(command.task.0),
        slot: Set(judgement.slot.into()),
        validator_id: Set(command.validator.0),
        accuracy: Set(judgement.accuracy.millionths()),
        whole: Set(judgement.whole),
        score: Set(score.millionths()),
        reward: Set(reward.millionths()),
        created_at: Set(command.now.0),
    }
}

const PUT_SCORE: Batch = Batch {
    columns: &[
        ("task_id", Cast::Uuid),
        ("slot", Cast::Int),
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("score", Cast::Big),
        ("validators", Cast::Int),
        ("scored_at", Cast::Big),
    ],
    body: "INSERT INTO score (task_id, slot, registration_id, kind, score, validators, scored_at) \
           SELECT task_id, slot, registration_id, kind, score, validators, scored_at FROM v \
           WHERE true ON CONFLICT (task_id, slot) DO NOTHING RETURNING registration_id, score",
};

const ADD_SCORE: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("n", Cast::Big), ("sum", Cast::Big)],
    body: "UPDATE registration SET scored = registration.scored + v.n, \
           score_sum = registration.score_sum + v.sum FROM v WHERE registration.id = v.id",
};

/// Writes scores once each; only new ones are added to the miners' records.
async fn write_scores(tx: &DatabaseTransaction, scores: &[ScoreRow]) -> StoreResult<()> {
    let row = |s: &ScoreRow| {
        vec![
            s.task.0.into(),
            i32::from(s.slot).into(),
            s.registration.0.into(),
            s.kind.as_str().into(),
            s.score.millionths().into(),
            i32::from(s.validators).into(),
            s.scored_at.0.into(),
        ]
    };
    let mut sums: BTreeMap<Uuid, (i64, i64)> = BTreeMap::new();
    for row in PUT_SCORE.run(tx, scores.iter().map(row).collect()).await? {
        let sum = sums.entry(get(&row, 0)?).or_default();
        sum.0 += 1;
        sum.1 += get::<i64>(&row, 1)?;
    }
    let rows = sums.into_iter().map(|(id, (n, sum))| vec![id.into(), n.into(), sum.into()]);
    ADD_SCORE.run(tx, rows.collect()).await?;
    Ok(())
}
