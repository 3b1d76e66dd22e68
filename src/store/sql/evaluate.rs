//! Judgements of validators, approval, and merged scores.

use std::collections::{BTreeMap, HashMap};

use pithead_entities as e;
use sea_orm::{DatabaseTransaction, EntityTrait, Set};
use uuid::Uuid;

use super::dialect::{Batch, Cast, chunks};
use super::outbox::Outbox;
use super::row::{get, small, text};
use super::writer::Waiting;
use crate::domain::evaluation::{self, Answer, Inadmissible, Judgement};
use crate::domain::ids::{RegistrationId, TaskId, ValidatorId};
use crate::domain::task::TaskState;
use crate::domain::units::{DAY, Score};
use crate::store::judge::{asked, merged, score_and_reward};
use crate::store::{Evaluate, Evaluated, ScoreRow, StoreResult};

const TASKS: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT task.id, task.kind, task.state, task.best_slot, task.owner, task.answered \
           FROM task JOIN v ON v.id = task.id",
};

const ANSWERS: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT r.task_id, r.slot, r.registration_id, r.elapsed_millis FROM response r \
           JOIN v ON v.id = r.task_id",
};

const JUDGEMENTS: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT x.task_id, x.slot, x.validator_id, x.accuracy, x.whole FROM evaluation x \
           JOIN v ON v.id = x.task_id",
};

/// A task as far as evaluation goes.
struct Case {
    kind: String,
    state: TaskState,
    owner: String,
    answered: u16,
    best_slot: Option<u16>,
    answers: Vec<Answer>,
    judgements: Vec<Judgement>,
}

/// Takes evaluations, one per task.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Evaluate, Evaluated>],
    outbox: &mut Outbox,
) -> StoreResult<()> {
    let ids: Vec<_> = waiting.iter().filter(|w| w.is_open()).map(|w| w.command.task).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut cases = cases(tx, &ids).await?;
    let (mut rows, mut approved, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let case = cases.remove(&waiting.command.task);
        let done = case.as_ref().filter(|case| case.state == TaskState::Done);
        let told = done.map(|case| (case.owner.clone(), case.answered));
        let answer = judge(&waiting.command, case, &mut rows);
        if let Evaluated::Accepted { scores: new, best_slot, state, .. } = &answer
            && *state == TaskState::Approved
            && let Some((owner, answered)) = told
        {
            let Evaluate { task, now, .. } = waiting.command;
            outbox.approved(task, &owner, answered, now);
            let best_slot = best_slot.map(i32::from);
            approved.push(vec![waiting.command.task.0.into(), best_slot.into()]);
            scores.extend(new.iter().cloned());
        }
        waiting.answer(answer);
    }
    for rows in chunks(rows) {
        e::evaluation::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    APPROVE.run(tx, approved).await?;
    write_scores(tx, &scores).await
}

async fn cases(tx: &DatabaseTransaction, ids: &[TaskId]) -> StoreResult<HashMap<TaskId, Case>> {
    let rows = || ids.iter().map(|id| vec![id.0.into()]).collect();
    let mut cases = HashMap::with_capacity(ids.len());
    for row in TASKS.run(tx, rows()).await? {
        let best_slot: Option<i32> = get(&row, 3)?;
        let case = Case {
            kind: get(&row, 1)?,
            state: text("task state", &get::<String>(&row, 2)?)?,
            best_slot: best_slot.map(|slot| small("best_slot", slot)).transpose()?,
            owner: get(&row, 4)?,
            answered: small("answered", get(&row, 5)?)?,
            answers: Vec::new(),
            judgements: Vec::new(),
        };
        cases.insert(TaskId(get(&row, 0)?), case);
    }
    for row in ANSWERS.run(tx, rows()).await? {
        let Some(case) = cases.get_mut(&TaskId(get(&row, 0)?)) else { continue };
        case.answers.push(Answer {
            slot: small("slot", get(&row, 1)?)?,
            registration: get::<Option<Uuid>>(&row, 2)?.map(RegistrationId),
            elapsed_millis: get(&row, 3)?,
        });
    }
    for row in JUDGEMENTS.run(tx, rows()).await? {
        let Some(case) = cases.get_mut(&TaskId(get(&row, 0)?)) else { continue };
        case.judgements.push(Judgement {
            slot: small("slot", get(&row, 1)?)?,
            validator: ValidatorId(get(&row, 2)?),
            accuracy: Score::clamped(get(&row, 3)?),
            whole: get(&row, 4)?,
        });
    }
    for case in cases.values_mut() {
        case.answers.sort_unstable_by_key(|answer| answer.slot);
    }
    Ok(cases)
}

/// What becomes of one validator's word; the rows of what is new in it are added to `rows`.
fn judge(
    command: &Evaluate,
    case: Option<Case>,
    rows: &mut Vec<e::evaluation::ActiveModel>,
) -> Evaluated {
    let Some(Case { kind, state, best_slot, answers, mut judgements, .. }) = case else {
        return Evaluated::NotFound;
    };
    if !matches!(state, TaskState::Done | TaskState::Approved) {
        return Evaluated::NotDone(state);
    }
    let new = match evaluation::admit(&answers, &judgements, &asked(command)) {
        Ok(new) => new,
        Err(Inadmissible::NoResponse(slot)) => return Evaluated::NoResponse(slot),
        Err(Inadmissible::Conflict(slot)) => return Evaluated::Conflict(slot),
    };
    rows.extend(new.iter().map(|j| evaluation_row(command, j, &answers)));
    judgements.extend(&new);
    let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    let (recorded, duplicates) = (count(new.len()), count(command.judgements.len() - new.len()));
    let concluded = evaluation::conclude(&answers, &judgements, command.quorum);
    let (TaskState::Done, Some((best_slot, scored))) = (state, concluded) else {
        return Evaluated::Accepted { recorded, duplicates, state, scores: vec![], best_slot };
    };
    let scores = merged(command, &kind, &answers, &scored);
    Evaluated::Accepted { recorded, duplicates, state: TaskState::Approved, scores, best_slot }
}

const APPROVE: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("best_slot", Cast::Int)],
    body: "UPDATE task SET state = 'approved', best_slot = v.best_slot FROM v \
           WHERE task.id = v.id AND task.state = 'done'",
};

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
           WHERE true ON CONFLICT (task_id, slot) DO NOTHING \
           RETURNING registration_id, score, kind, scored_at",
};

const ADD_SCORE: Batch = Batch {
    columns: &[("id", Cast::Uuid), ("n", Cast::Big), ("sum", Cast::Big)],
    body: "UPDATE registration SET scored = registration.scored + v.n, \
           score_sum = registration.score_sum + v.sum FROM v WHERE registration.id = v.id",
};

const ADD_DAY: Batch = Batch {
    columns: &[
        ("registration_id", Cast::Uuid),
        ("kind", Cast::Text),
        ("day", Cast::Big),
        ("n", Cast::Big),
        ("sum", Cast::Big),
    ],
    body: "INSERT INTO score_day (registration_id, kind, day, scored, score_sum) \
           SELECT registration_id, kind, day, n, sum FROM v WHERE true \
           ON CONFLICT (registration_id, kind, day) DO UPDATE SET \
           scored = score_day.scored + excluded.scored, \
           score_sum = score_day.score_sum + excluded.score_sum",
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
    let mut days: BTreeMap<(Uuid, String, i64), (i64, i64)> = BTreeMap::new();
    for row in PUT_SCORE.run(tx, scores.iter().map(row).collect()).await? {
        let (id, score): (Uuid, i64) = (get(&row, 0)?, get(&row, 1)?);
        let day = get::<i64>(&row, 3)?.div_euclid(DAY);
        for sum in [sums.entry(id).or_default(), days.entry((id, get(&row, 2)?, day)).or_default()]
        {
            sum.0 += 1;
            sum.1 += score;
        }
    }
    let rows = sums.into_iter().map(|(id, (n, sum))| vec![id.into(), n.into(), sum.into()]);
    ADD_SCORE.run(tx, rows.collect()).await?;
    let rows = days.into_iter().map(|((id, kind, day), (n, sum))| {
        vec![id.into(), kind.into(), day.into(), n.into(), sum.into()]
    });
    ADD_DAY.run(tx, rows.collect()).await?;
    Ok(())
}
