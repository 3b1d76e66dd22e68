//! What the routes that hand in tasks of any kind do.

use serde_json::{Value, json};

use super::SUBMIT;
use super::operation::{BodyField, Callers, File, Operation, may, must};
use super::schema::{object, one_of, or_null, success, text};
use super::submit::{file_id, handing_in, kinds_in_words, submitted, wishes};
use crate::domain::kind::{KindRegistry, TaskKind};
use crate::domain::limits::BATCH_TASKS_MAX;

fn fields(kinds: &KindRegistry) -> Vec<BodyField> {
    let all: Vec<&TaskKind> = kinds.iter().collect();
    let named = one_of(all.iter().map(|kind| &kind.name), &kinds_in_words(kinds));
    let most = all.iter().map(|kind| kind.text_chars_max).max().unwrap_or(0);
    let input = json!({
        "type": "string", "maxLength": most,
        "description": "What to work on, for kinds that take text",
    });
    let mut fields = vec![must("task_type", named), may("text", input), file_id()];
    fields.extend(wishes(&all));
    fields
}

pub(in crate::http) fn one(kinds: &KindRegistry) -> Operation {
    handing_in(Operation::new(SUBMIT, "Hands in a task of any kind"))
        .more(
            "A file comes in the field of its kind (`audio_file`, `video_file`, `document_file`) or \
             as `file`.",
        )
        .takes_with(File::May("file"), fields(kinds))
        .creates("It is durable", object(submitted()))
}

fn refused() -> Value {
    object([
        ("success", json!({ "type": "boolean", "const": false })),
        ("code", text("What went wrong, for programs")),
        ("detail", text("The same for people")),
        ("field", or_null(text("The first wrong field"))),
    ])
}

pub(in crate::http) fn batch(kinds: &KindRegistry) -> Operation {
    let task = super::document::object_of(&fields(kinds));
    let tasks = json!({
        "type": "array", "items": task, "minItems": 1, "maxItems": BATCH_TASKS_MAX,
        "description": "Tasks as for `POST /api/v1/tasks`; files by their `file_id`",
    });
    let results = json!({
        "type": "array", "items": { "anyOf": [object(submitted()), refused()] },
        "description": "Of each task, in its place",
    });
    let answer = object([
        success(),
        ("accepted", json!({ "type": "integer" })),
        ("refused", json!({ "type": "integer" })),
        ("results", results),
    ]);
    Operation::new(SUBMIT, "Hands in many tasks")
        .more(
            "Each with its own result. With an `Idempotency-Key` each has the key `<key>/<place>`, \
             so that a batch that was cut off can be sent again.",
        )
        .by(Callers::Clients)
        .takes(vec![must("tasks", tasks)])
        .idempotent()
        .answers(200, "What was taken is durable", answer)
}
