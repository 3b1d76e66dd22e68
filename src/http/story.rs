//! The story of a task: what happened to it, in order, as its rows tell it. Nothing is written for
//! it; equal rows give an equal story, whoever reads them.

use serde_json::{Value, json};

use crate::actors::directory::Directory;
use crate::domain::task::{SlotState, TaskState};
use crate::domain::units::Millis;
use crate::store::{EvaluationRow, Holder, ResponseRow, TaskRecord};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chapter {
    /// Stable, and unlike any other of the same task.
    pub(super) id: String,
    /// What happened.
    pub(super) event: &'static str,
    /// Its place: when it happened, and what comes first at the same moment.
    place: (Millis, Rank, u16, u16),
    /// What there is to say.
    pub(super) data: Value,
}

/// What comes first of things at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Placed,
    Lost,
    Leased,
    Fetched,
    Responded,
    Ended,
    Evaluated,
    Approved,
}

/// Whom a lease belongs to, for the owner of its task.
fn who(holder: Option<Holder>, directory: &Directory) -> Value {
    match holder {
        Some(Holder::Miner(id)) => {
            let uid = directory.by_registration(id).map(|entry| entry.uid);
            json!({ "miner_uid": uid })
        }
        Some(Holder::Validator(id)) => json!({ "validator": id }),
        None => Value::Null,
    }
}

/// Everything that happened so far, in order.
pub(super) fn story(
    record: &TaskRecord,
    responses: &[ResponseRow],
    evaluations: &[EvaluationRow],
    directory: &Directory,
) -> Vec<Chapter> {
    let mut story = vec![Chapter {
        id: "placed".to_owned(),
        event: "placed",
        place: (record.task.created_at, Rank::Placed, 0, 0),
        data: json!({ "task_type": record.task.kind, "redundancy": record.task.slots }),
    }];
    story.extend(leases(record, directory));
    story.extend(responses.iter().map(responded));
    story.extend(evaluations.iter().map(evaluated));
    story.extend(endings(record, evaluations));
    story.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.id.cmp(&b.id)));
    let task = json!(record.task.id);
    for chapter in &mut story {
        let at = chapter.place.0.rfc3339();
        if let Value::Object(fields) = &mut chapter.data {
            fields.insert("at".to_owned(), at.into());
            fields.insert("task_id".to_owned(), task.clone());
        }
    }
    story
}

/// Leases, those that live or were answered and those that were lost.
fn leases(record: &TaskRecord, directory: &Directory) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    let mut lease = |slot: u16, attempt: u16, holder, granted: Millis, fetched: Option<Millis>| {
        let data = json!({ "slot": slot, "attempt": attempt, "holder": who(holder, directory) });
        let chapter = |event: &'static str, at, rank| Chapter {
            id: format!("{event}.{slot}.{attempt}"),
            event,
            place: (at, rank, slot, attempt),
            data: data.clone(),
        };
        chapters.push(chapter("leased", granted, Rank::Leased));
        chapters.extend(fetched.map(|at| chapter("fetched", at, Rank::Fetched)));
    };
    for lost in &record.attempts {
        let (slot, attempt) = (lost.token.slot, lost.token.attempt);
        lease(slot, attempt, Some(lost.holder), lost.granted_at, lost.fetched_at);
    }
    for row in &record.slots {
        // The last lease of a slot that waits, was given up or superseded is among the lost ones.
        if let (true, Some(at)) =
            (row.state.leased() || row.state == SlotState::Answered, row.granted_at)
        {
            lease(row.slot, row.attempt, row.holder, at, row.fetched_at);
        }
    }
    let lost = |row: &crate::store::AttemptRow| {
        let (slot, attempt) = (row.token.slot, row.token.attempt);
        Chapter {
            id: format!("lost.{slot}.{attempt}"),
            event: "lost",
            place: (row.ended_at, Rank::Lost, slot, attempt),
            data: json!({ "slot": slot, "attempt": attempt, "reason": row.reason,
                          "holder": who(Some(row.holder), directory) }),
        }
    };
    chapters.extend(record.attempts.iter().map(lost));
    chapters
}

fn responded(row: &ResponseRow) -> Chapter {
    let (slot, attempt) = (row.token.slot, row.token.attempt);
    Chapter {
        id: format!("responded.{slot}"),
        event: "responded",
        place: (row.created_at, Rank::Responded, slot, attempt),
        data: json!({ "slot": slot, "attempt": attempt, "miner_uid": row.miner_uid,
                      "elapsed_ms": row.elapsed_millis }),
    }
}

fn evaluated(row: &EvaluationRow) -> Chapter {
    Chapter {
        id: format!("evaluated.{}.{}", row.slot, row.validator),
        event: "evaluated",
        place: (row.created_at, Rank::Evaluated, row.slot, 0),
        data: json!({ "slot": row.slot, "score": row.score.as_f64() }),
    }
}

/// How it ended, and whether it was approved then.
fn endings(record: &TaskRecord, evaluations: &[EvaluationRow]) -> Vec<Chapter> {
    let ended = match record.state {
        TaskState::Open => return Vec::new(),
        TaskState::Approved => TaskState::Done,
        state @ (TaskState::Done
        | TaskState::Failed
        | TaskState::Cancelled
        | TaskState::Expired) => state,
    };
    let at = record.finished_at.unwrap_or(record.task.created_at);
    let chapter = |state: TaskState, at, rank| Chapter {
        id: state.as_str().to_owned(),
        event: state.as_str(),
        place: (at, rank, 0, 0),
        data: json!({ "status": state, "responses": record.answered }),
    };
    let mut endings = vec![chapter(ended, at, Rank::Ended)];
    if record.state == TaskState::Approved {
        // The last judgement; told after all of them, whenever they came.
        let at = evaluations.iter().map(|row| row.created_at).max().unwrap_or(at).max(at);
        let mut approved = chapter(TaskState::Approved, at, Rank::Approved);
        if let Value::Object(fields) = &mut approved.data {
            fields.insert("best_slot".to_owned(), json!(record.best_slot));
        }
        endings.push(approved);
    }
    endings
}

/// What is left to tell somebody who has heard up to this chapter; all of it, when there is none such.
pub(super) fn after<'a>(story: &'a [Chapter], last: Option<&str>) -> &'a [Chapter] {
    let heard = last.and_then(|last| story.iter().position(|chapter| chapter.id == last));
    heard.and_then(|place| story.get(place + 1..)).unwrap_or(story)
}
