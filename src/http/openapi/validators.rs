//! What the routes do with which validators judge responses.

use serde_json::json;

use super::VALIDATORS;
use super::operation::{Operation, may, must};
use super::schema::{
    count, flag, id, integer, list, object, object_with, one_of, or_null, share, success, time, uid,
};
use super::tasks::{judged, task_id};
use crate::domain::kind::KindRegistry;
use crate::domain::task::TaskState;

fn about(summary: &'static str) -> Operation {
    Operation::new(VALIDATORS, summary)
}

pub(in crate::http) fn tasks(kinds: &KindRegistry) -> Operation {
    let answer = object([success(), count(), ("tasks", list(judged(kinds), "With all answers"))]);
    about("Done tasks that you have not judged").answers(200, "At most 50", answer)
}

pub(in crate::http) fn completed(kinds: &KindRegistry) -> Operation {
    about("Done and approved tasks")
        .more("A bare array, as the documents' validators expect.")
        .answers(200, "Newest first", list(judged(kinds), "With all answers"))
}

pub(in crate::http) fn evaluated(_: &KindRegistry) -> Operation {
    let row = object([
        ("task_id", task_id()),
        ("slot", integer("The slot of the answer")),
        ("accuracy", share("What you said")),
        ("score", share("With its timing")),
        ("reward", share("With the weight of its kind")),
        ("evaluated_at", time("When")),
    ]);
    let answer = object([
        success(),
        ("validator_uid", uid("Yours")),
        count(),
        ("evaluated_tasks", list(id("A task"), "Tasks that you judged, newest first")),
        ("evaluations", list(row, "Your judgements, newest first")),
    ]);
    about("What you have judged").path("uid", uid("Yours")).answers(200, "Judgements", answer)
}

pub(in crate::http) fn mark_seen(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("evaluated", flag("Whether you have judged it")),
    ]);
    about("Whether you have judged a task")
        .more("The documents' validators send it after an evaluation; nothing changes.")
        .takes(vec![must("task_id", task_id()), may("validator_uid", uid("Yours; checked"))])
        .answers(200, "Whether", answer)
        .refuses(404, "No such task")
}

pub(in crate::http) fn evaluate(_: &KindRegistry) -> Operation {
    let judgement = object_with(
        [],
        [
            ("miner_uid", uid("Who answered")),
            ("slot", integer("Or the slot of the answer")),
            ("accuracy", share("How right it is; its timing is added here")),
            ("score", share("Or the whole score")),
            ("speed", share("Checked, not used")),
            ("quality", share("Checked, not used")),
        ],
    );
    let all = list(judgement, "One for each answer that you judge");
    let data = json!({
        "type": "object", "properties": { "evaluations": all }, "required": ["evaluations"],
        "description": "Your judgements; a bare list is taken too",
    });
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("accepted", integer("Judgements that are new")),
        ("duplicates", integer("Judgements that stood before")),
        ("task_status", one_of(TaskState::ALL, "Where the task stands now")),
        ("best_miner_uid", or_null(uid("Who answered best, once known"))),
    ]);
    about("Judges the answers to a task")
        .takes(vec![
            must("task_id", task_id()),
            must("evaluation_data", data),
            may("validator_uid", uid("Yours; checked")),
        ])
        .answers(200, "It is durable", answer)
        .refuses(404, "No such task")
        .refuses(409, "You judged it before, otherwise, or it is not done")
}
