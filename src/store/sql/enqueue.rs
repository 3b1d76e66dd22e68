//! New tasks and their slots.

use std::collections::{HashMap, HashSet};

use pithead_entities as e;
use sea_orm::{DatabaseTransaction, EntityTrait, Set};
use uuid::Uuid;

use super::dialect::{Batch, Cast, chunks};
use super::row::get;
use super::writer::Waiting;
use crate::domain::ids::TaskId;
use crate::domain::task::{SlotState, TaskState};
use crate::store::{Enqueue, Enqueued, NewTask, StoreResult, TaskInput};

const TAKE_KEY: Batch = Batch {
    columns: &[
        ("caller", Cast::Text),
        ("key", Cast::Text),
        ("body_hash", Cast::Text),
        ("task_id", Cast::Uuid),
        ("created_at", Cast::Big),
    ],
    body: "INSERT INTO idempotency (caller, key, body_hash, task_id, created_at) \
           SELECT caller, key, body_hash, task_id, created_at FROM v WHERE true \
           ON CONFLICT (caller, key) DO NOTHING RETURNING caller, key",
};

const FIND_KEY: Batch = Batch {
    columns: &[("caller", Cast::Text), ("key", Cast::Text)],
    body: "SELECT i.caller, i.key, i.body_hash, i.task_id FROM idempotency i \
           JOIN v ON v.caller = i.caller AND v.key = i.key",
};

const FIND_TASK: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT task.id FROM task JOIN v ON v.id = task.id",
};

type KeyName = (String, String);

/// Takes the idempotency keys, then writes the tasks that are new.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Enqueue, Enqueued>],
) -> StoreResult<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let known = known_keys(tx, waiting).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let Some(idempotency) = &waiting.command.idempotency else { continue };
        let name = (waiting.command.task.owner.clone(), idempotency.key.clone());
        if let Some((hash, task)) = known.get(&name) {
            let same = *hash == hex::encode(idempotency.body_hash);
            waiting.answer(if same { Enqueued::Existing(*task) } else { Enqueued::Mismatch });
        }
    }
    refuse_known_tasks(tx, waiting).await?;
    let new = || waiting.iter().filter(|w| w.is_open()).map(|w| &w.command.task);
    let tasks: Vec<_> = new().map(task_row).collect();
    let slots: Vec<_> = new().flat_map(slot_rows).collect();
    for chunk in chunks(tasks) {
        e::task::Entity::insert_many(chunk).exec_without_returning(tx).await?;
    }
    for chunk in chunks(slots) {
        e::slot::Entity::insert_many(chunk).exec_without_returning(tx).await?;
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        waiting.answer(Enqueued::New);
    }
    Ok(())
}

/// Writes the keys that are new; what the others stand for.
async fn known_keys(
    tx: &DatabaseTransaction,
    waiting: &[Waiting<Enqueue, Enqueued>],
) -> StoreResult<HashMap<KeyName, (String, TaskId)>> {
    let mut rows = Vec::new();
    let mut names = HashSet::new();
    for enqueue in waiting.iter().filter(|w| w.is_open()).map(|w| &w.command) {
        let Some(idempotency) = &enqueue.idempotency else { continue };
        names.insert((enqueue.task.owner.clone(), idempotency.key.clone()));
        rows.push(vec![
            enqueue.task.owner.as_str().into(),
            idempotency.key.as_str().into(),
            hex::encode(idempotency.body_hash).into(),
            enqueue.task.id.0.into(),
            enqueue.task.created_at.0.into(),
        ]);
    }
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    for row in TAKE_KEY.run(tx, rows).await? {
        names.remove(&(get::<String>(&row, 0)?, get::<String>(&row, 1)?));
    }
    let rows = names.into_iter().map(|(caller, key)| vec![caller.into(), key.into()]).collect();
    let mut known = HashMap::new();
    for row in FIND_KEY.run(tx, rows).await? {
        let name = (get(&row, 0)?, get(&row, 1)?);
        known.insert(name, (get(&row, 2)?, TaskId(get(&row, 3)?)));
    }
    Ok(known)
}

/// A task id that is there already was enqueued by an earlier try of the same command. Ids are
/// random, so this is looked up only where a first try may have had an unknown outcome.
async fn refuse_known_tasks(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Enqueue, Enqueued>],
) -> StoreResult<()> {
    let ids = waiting.iter().filter(|w| w.is_open()).map(|w| vec![w.command.task.id.0.into()]);
    let mut known: HashSet<Uuid> = HashSet::new();
    for row in FIND_TASK.run(tx, ids.collect()).await? {
        known.insert(get(&row, 0)?);
    }
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let id = waiting.command.task.id;
        if known.contains(&id.0) {
            waiting.answer(Enqueued::Existing(id));
        }
    }
    Ok(())
}

fn task_row(task: &NewTask) -> e::task::ActiveModel {
    let (input_text, input_file) = match &task.input {
        TaskInput::Text(text) => (Some(text.clone()), None),
        TaskInput::File(file) => (None, Some(file.0)),
    };
    e::task::ActiveModel {
        id: Set(task.id.0),
        owner: Set(task.owner.clone()),
        kind: Set(task.kind.clone()),
        state: Set(TaskState::Open.to_string()),
        priority: Set(task.priority.to_string()),
        slots: Set(task.slots.into()),
        enough: Set(task.enough.into()),
        min_responses: Set(task.min_responses.into()),
        answered: Set(0),
        failed: Set(0),
        source_language: Set(task.source_language.clone()),
        target_language: Set(task.target_language.clone()),
        model_id: Set(task.model_id.clone()),
        voice_name: Set(task.voice_name.clone()),
        input_text: Set(input_text),
        input_file: Set(input_file),
        run_millis: Set(task.run_millis),
        created_at: Set(task.created_at.0),
        deadline: Set(task.deadline.0),
        first_response_at: Set(None),
        finished_at: Set(None),
        best_slot: Set(None),
    }
}

fn slot_rows(task: &NewTask) -> impl Iterator<Item = e::slot::ActiveModel> + use<> {
    let (id, created_at) = (task.id.0, task.created_at.0);
    (0..task.slots).map(move |slot| e::slot::ActiveModel {
        task_id: Set(id),
        slot: Set(slot.into()),
        state: Set(SlotState::Queued.to_string()),
        attempt: Set(0),
        failures: Set(0),
        not_before: Set(created_at),
        holder_kind: Set(None),
        holder: Set(None),
        granted_at: Set(None),
        fetched_at: Set(None),
        expires_at: Set(None),
    })
}
