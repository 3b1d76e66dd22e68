//! New tasks and their slots.

use std::collections::HashSet;
use std::ops::Range;

use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::dialect::{Batch, Cast};
use super::files;
use super::idempotency::{self, Before, Claim};
use super::row::get;
use super::usage::Usage;
use super::writer::Waiting;
use crate::domain::ids::TaskId;
use crate::domain::units::Millis;
use crate::store::{Enqueue, Enqueued, NewTask, StoreResult, TaskInput};

const FIND_TASK: Batch = Batch {
    columns: &[("id", Cast::Uuid)],
    body: "SELECT task.id FROM task JOIN v ON v.id = task.id",
};

fn claim(command: &Enqueue) -> Option<Claim<'_>> {
    Some(Claim {
        caller: &command.task.owner,
        idempotency: command.idempotency.as_ref()?,
        made: idempotency::TASK,
        made_id: command.task.id.0,
        created_at: command.task.created_at,
    })
}

/// Takes the idempotency keys, then writes the tasks that are new, and the files that came with them.
pub(super) async fn run(
    tx: &DatabaseTransaction,
    waiting: &mut [Waiting<Enqueue, Enqueued>],
    usage: &mut Usage,
    alone: bool,
) -> StoreResult<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    let claims = waiting.iter().filter(|w| w.is_open()).filter_map(|w| claim(&w.command));
    let known = idempotency::take(tx, claims.collect()).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        let before = claim(&waiting.command).and_then(|claim| known.before(&claim));
        match before {
            Some(Before::Same(id)) => waiting.answer(Enqueued::Existing(TaskId(id))),
            Some(Before::Other) => waiting.answer(Enqueued::Mismatch),
            None => {}
        }
    }
    // An id that is there already breaks the batch, and its commands come again one by one.
    if alone {
        refuse_known_tasks(tx, waiting).await?;
    }
    let new = || waiting.iter().filter(|w| w.is_open()).map(|w| &w.command.task);
    let files = waiting.iter().filter(|w| w.is_open()).filter_map(|w| w.command.file.as_ref());
    files::insert(tx, files).await?;
    INSERT_TASK.run(tx, new().map(task_row).collect()).await?;
    INSERT_SLOT.run(tx, new().flat_map(slot_rows).collect()).await?;
    for waiting in waiting.iter_mut().filter(|w| w.is_open()) {
        usage.submitted(&waiting.command);
        waiting.answer(Enqueued::New);
    }
    Ok(())
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
        ("start_at", Cast::Big),
        ("adaptive_slots", Cast::Int),
        ("adaptive_enough", Cast::Int),
        ("callback_url", Cast::Text),
    ],
    body: "INSERT INTO task (id, owner, kind, state, priority, slots, enough, min_responses, \
           answered, failed, source_language, target_language, model_id, voice_name, input_text, \
           input_file, run_millis, created_at, deadline, retry_of, start_at, adaptive_slots, \
           adaptive_enough, callback_url) \
           SELECT id, owner, kind, 'open', priority, slots, enough, min_responses, 0, 0, \
           source_language, target_language, model_id, voice_name, input_text, input_file, \
           run_millis, created_at, deadline, retry_of, start_at, adaptive_slots, \
           adaptive_enough, callback_url FROM v",
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
        task.start_at.0.into(),
        task.adaptive.map(|to| i32::from(to.slots)).into(),
        task.adaptive.map(|to| i32::from(to.enough)).into(),
        task.callback_url.clone().into(),
    ]
}

pub(super) const INSERT_SLOT: Batch = Batch {
    columns: &[("task_id", Cast::Uuid), ("slot", Cast::Int), ("not_before", Cast::Big)],
    body: "INSERT INTO slot (task_id, slot, state, attempt, failures, not_before) \
           SELECT task_id, slot, 'queued', 0, 0, not_before FROM v",
};

fn slot_rows(task: &NewTask) -> impl Iterator<Item = Vec<Value>> + use<> {
    queued_slots(task.id, 0..task.slots, task.start_at)
}

/// Rows of [`INSERT_SLOT`].
pub(super) fn queued_slots(
    task: TaskId,
    slots: Range<u16>,
    not_before: Millis,
) -> impl Iterator<Item = Vec<Value>> {
    slots.map(move |slot| vec![task.0.into(), i32::from(slot).into(), not_before.0.into()])
}
