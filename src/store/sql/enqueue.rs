//! New tasks and their slots.

use std::collections::{HashMap, HashSet};

use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::dialect::{Batch, Cast};
use super::row::get;
use super::writer::Waiting;
use crate::domain::ids::TaskId;
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
    alone: bool,
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
    // An id that is there already breaks the batch, and its commands come again one by one.
    if alone {
        refuse_known_tasks(tx, waiting).await?;
    }
    let new = || waiting.iter().filter(|w| w.is_open()).map(|w| &w.command.task);
    INSERT_TASK.run(tx, new().map(task_row).collect()).await?;
    INSERT_SLOT.run(tx, new().flat_map(slot_rows).collect()).await?;
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

const INSERT_TASK: Batch = Batch {
    columns: &[
        ("id", Cast::Uuid),
        ("owner", Cast::Text),
        ("kind", Cast::Text),
        ("priority", Cast::Text),
        ("slots", Cast::Int),
        ("enough", Cast::Int),
        ("min_responses", Cast::Int),
        ("source_language", Cast::Text),
        ("target_language", Cast::Text),
        ("model_id", Cast::Text),
        ("voice_name", Cast::Text),
        ("input_text", Cast::Text),
        ("input_file", Cast::Uuid),
        ("run_millis", Cast::Big),
        ("created_at", Cast::Big),
        ("deadline", Cast::Big),
        ("retry_of", Cast::Uuid),
        ("callback_url", Cast::Text),
    ],
    body: "INSERT INTO task (id, owner, kind, state, priority, slots, enough, min_responses, \
           answered, failed, source_language, target_language, model_id, voice_name, input_text, \
           input_file, run_millis, created_at, deadline, retry_of, callback_url) \
           SELECT id, owner, kind, 'open', priority, slots, enough, min_responses, 0, 0, \
           source_language, target_language, model_id, voice_name, input_text, input_file, \
           run_millis, created_at, deadline, retry_of, callback_url FROM v",
};

fn task_row(task: &NewTask) -> Vec<Value> {
    let (input_text, input_file) = match &task.input {
        TaskInput::Text(text) => (Some(text.clone()), None),
        TaskInput::File(file) => (None, Some(file.0)),
    };
    vec![
        task.id.0.into(),
        task.owner.as_str().into(),
        task.kind.as_str().into(),
        task.priority.as_str().into(),
        i32::from(task.slots).into(),
        i32::from(task.enough).into(),
        i32::from(task.min_responses).into(),
        task.source_language.as_str().into(),
        task.target_language.clone().into(),
        task.model_id.clone().into(),
        task.voice_name.clone().into(),
        input_text.into(),
        input_file.into(),
        task.run_millis.into(),
        task.created_at.0.into(),
        task.deadline.0.into(),
        task.retry_of.map(|id| id.0).into(),
        task.callback_url.clone().into(),
    ]
}

const INSERT_SLOT: Batch = Batch {
    columns: &[("task_id", Cast::Uuid), ("slot", Cast::Int), ("not_before", Cast::Big)],
    body: "INSERT INTO slot (task_id, slot, state, attempt, failures, not_before) \
           SELECT task_id, slot, 'queued', 0, 0, not_before FROM v",
};

fn slot_rows(task: &NewTask) -> impl Iterator<Item = Vec<Value>> + use<> {
    let (id, created_at) = (task.id.0, task.created_at.0);
    (0..task.slots).map(move |slot| vec![id.into(), i32::from(slot).into(), created_at.into()])
}
