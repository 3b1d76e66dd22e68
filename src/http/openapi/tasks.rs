//! What the routes do with which clients follow their tasks, and how tasks look.

use serde_json::{Value, json};

use super::TASKS;
use super::operation::Operation;
use super::schema::{
    Field, any, count, flag, id, integer, list as list_of, named, next_cursor, number, object,
    object_with, one_of, or_null, range, share, success, text, time, uid,
};
use super::submit::submitted;
use crate::domain::kind::KindRegistry;
use crate::domain::lease::LossReason;
use crate::domain::limits::WAIT_SECS_MAX;
use crate::domain::task::{Priority, SlotState, TaskStatus};

fn about(summary: &'static str) -> Operation {
    Operation::new(TASKS, summary)
}

/// What every view of a task begins with, for its owner and for who works on it.
pub(super) fn wish(kinds: &KindRegistry) -> Vec<Field> {
    let kinds: Vec<_> = kinds.iter().map(|kind| &kind.name).collect();
    let kind = format!("Its kind; served now: {}", one_line(&kinds));
    vec![
        ("task_id", id("The task")),
        ("task_type", text(&kind)),
        ("priority", one_of(Priority::ALL, "Its urgency")),
        ("source_language", text("Language of the input")),
        ("target_language", or_null(text("Language to translate to"))),
        ("model_id", or_null(text("The model that was wished"))),
        ("voice_name", or_null(text("The voice that was wished"))),
        ("deadline", time("When it must have ended")),
    ]
}

fn one_line(names: &[&String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A whole task.
pub(super) fn task(kinds: &KindRegistry) -> Vec<Field> {
    let progress = object([
        ("assigned_miners", integer("Slots that are leased or answered")),
        ("miner_responses", integer("Answers so far")),
        ("required_miner_count", integer("Slots")),
        ("failed_slots", integer("Slots that were given up")),
    ]);
    let mut fields = vec![
        success(),
        ("status", one_of(TaskStatus::ALL, "Where it stands")),
        ("created_at", time("When it was handed in")),
        ("first_response_at", or_null(time("When the first answer came"))),
        ("finished_at", or_null(time("When it ended"))),
        ("redundancy", integer("Slots: answers that it wants")),
        ("best_slot", or_null(integer("The slot of the best answer, once known"))),
        ("retry_of", or_null(id("The task that it repeats"))),
        ("callback_url", or_null(text("What is told of its end"))),
        ("progress", progress),
        ("timeline", list_of(named("Attempt"), "Every attempt at every slot, oldest first")),
    ];
    fields.extend(wish(kinds));
    fields
}

fn attempt() -> Value {
    let reasons = LossReason::ALL.iter().map(|reason| reason.as_str());
    let states = SlotState::ALL.iter().map(|state| state.as_str());
    let mut outcomes: Vec<_> = reasons.chain(states).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    object_with(
        [
            ("slot", integer("The slot")),
            ("attempt", integer("Which attempt at it")),
            ("holder", or_null(holder())),
            ("granted_at", time("When the lease was opened")),
            ("fetched_at", or_null(time("When its holder fetched it"))),
            ("outcome", one_of(outcomes, "How it ended, or how it stands")),
        ],
        [
            ("ended_at", time("When it was lost")),
            ("expires_at", or_null(time("When it will be lost without a heartbeat"))),
            ("hedge_of", or_null(integer("The slow slot beside which this one was opened"))),
        ],
    )
}

fn holder() -> Value {
    object_with(
        [],
        [
            ("miner_uid", or_null(uid("The miner; null when it is gone"))),
            ("validator", id("The validator that pulled the task")),
        ],
    )
}

/// An answer to a task.
pub(super) fn response() -> Vec<Field> {
    vec![
        ("slot", integer("Its slot")),
        ("attempt", integer("The attempt that it ended")),
        ("miner_uid", uid("Who answered")),
        ("via_validator", flag("Whether a validator that pulled the task brought it")),
        ("response_data", any("What the miner answered")),
        ("elapsed_ms", or_null(integer("Milliseconds from fetch to answer, as seen here"))),
        ("submitted_at", time("When it came")),
        ("agreement", or_null(share("How far its words agree with the other answers'"))),
    ]
}

pub(super) fn schemas(kinds: &KindRegistry) -> Vec<(&'static str, Value)> {
    let estimate = object_with(
        [
            ("feasible", flag("Whether anybody can do it now")),
            ("capable_miners", integer("Miners that serve such work now")),
            ("p50_secs", or_null(number("Half of such tasks are done within this time"))),
            ("p95_secs", or_null(number("95 % of them are"))),
        ],
        [("reason", text("Why it is not feasible"))],
    );
    vec![
        ("Estimate", estimate),
        ("Attempt", attempt()),
        ("Task", object(task(kinds))),
        ("Response", object(response())),
    ]
}

pub(super) fn task_id() -> Value {
    id("The task")
}

pub(in crate::http) fn list(kinds: &KindRegistry) -> Operation {
    let names: Vec<_> = kinds.iter().map(|kind| &kind.name).collect();
    let kind = format!("Only of this kind: {}", one_line(&names));
    let answer = object([
        success(),
        count(),
        ("tasks", list_of(named("Task"), "Newest first")),
        next_cursor(),
    ]);
    about("Lists your tasks")
        .more("Admins see everybody's.")
        .pages()
        .query("status", one_of(TaskStatus::ALL, "Only those that stand so"))
        .query("task_type", text(&kind))
        .answers(200, "A page", answer)
}

pub(in crate::http) fn show(_: &KindRegistry) -> Operation {
    about("Shows a task, or waits for its end")
        .path("id", task_id())
        .query("wait", range(0, WAIT_SECS_MAX, "Seconds to wait until it has ended"))
        .answers(200, "The task", named("Task"))
}

pub(in crate::http) fn status(_: &KindRegistry) -> Operation {
    about("Shows a task").more("As the documents' clients ask.").path("id", task_id()).answers(
        200,
        "The task",
        named("Task"),
    )
}

pub(in crate::http) fn cancel(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("status", one_of([TaskStatus::Cancelled], "Always")),
    ]);
    about("Cancels a task")
        .path("id", task_id())
        .answers(200, "Nobody works on it any more", answer)
        .refuses(409, "It has ended already")
}

pub(in crate::http) fn retry(_: &KindRegistry) -> Operation {
    let mut answer = submitted();
    answer.push(("retry_of", id("The task that it repeats")));
    about("Tries a task again, as a new one")
        .more("With the same input and wishes, and as much time.")
        .path("id", task_id())
        .idempotent()
        .creates("It is durable", object(answer))
        .refuses(409, "It has not failed, expired or been cancelled, or its file is gone")
        .refuses(429, "You have too many tasks open, or handed in too many in a minute")
}

pub(in crate::http) fn result(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("task_type", text("Its kind")),
        ("status", one_of(TaskStatus::ALL, "Where it stands")),
        ("result", any("What the miner answered; null while there is no answer")),
        ("miner_uid", or_null(uid("Who answered"))),
        ("elapsed_ms", or_null(integer("Milliseconds from fetch to answer"))),
        ("responses_count", integer("Answers so far")),
    ]);
    about("The best answer")
        .more("The first, while none is known to be best.")
        .path("kind", text("The task's kind, with hyphens or underscores"))
        .path("id", task_id())
        .answers(200, "The answer, or how far it is", answer)
}

pub(in crate::http) fn responses(_: &KindRegistry) -> Operation {
    let mut fields = response();
    let score = object([("score", share("What a validator gave"))]);
    fields.push(("evaluations", list_of(score, "Judgements")));
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("status", one_of(TaskStatus::ALL, "Where it stands")),
        ("best_slot", or_null(integer("The slot of the best answer, once known"))),
        ("responses", list_of(object(fields), "All answers")),
    ]);
    about("All answers with their scores").path("id", task_id()).answers(200, "Answers", answer)
}

/// Tasks with all that a validator needs to judge them.
pub(super) fn judged(kinds: &KindRegistry) -> Value {
    let mut fields = task(kinds);
    let responses = || list_of(named("Response"), "All answers");
    fields.extend(input());
    fields.push(("miner_responses", responses()));
    fields.push(("responses", responses()));
    object(fields)
}

/// What a task works on.
pub(super) fn input() -> Vec<Field> {
    let input = object([("text", text("The text"))]);
    let file = json!({ "anyOf": [named("File"), { "type": "null" }] });
    vec![("input_text", or_null(input)), ("input_file", file)]
}
