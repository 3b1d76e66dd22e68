//! What the routes do with which leases are answered, kept and given back.

use serde_json::json;

use super::MINERS;
use super::operation::{BodyField, Callers, Operation, may, must};
use super::schema::{
    any, flag, id, object, object_with, one_of, or_null, success, text, time, uid,
};
use super::tasks::task_id;
use crate::domain::kind::KindRegistry;
use crate::domain::task::TaskStatus;

const LOST: &str = "No live lease of yours: it expired, ended, or was never yours";

fn token() -> BodyField {
    may("lease_token", text("The token of the lease; without it, your newest on this task"))
}

pub(in crate::http) fn respond(kinds: &KindRegistry) -> Operation {
    let keys = kinds.iter().map(|kind| {
        let keys = kind.output_keys.join("`, `");
        format!("{}: one of `{keys}`", kind.name)
    });
    let data = json!({
        "type": "object",
        "description": format!("The answer. {}", keys.collect::<Vec<_>>().join(". ")),
    });
    let given = one_of(["completed", "done", "success", "failed", "error"], "`failed` gives up");
    let claim = |name| may(name, any("What you think of it yourself: kept, never used"));
    let answer = object_with(
        [success(), ("task_id", task_id()), ("accepted", flag("Whether it counts as an answer"))],
        [
            ("miner_uid", uid("Who answered")),
            ("duplicate", flag("Whether the same answer stood before")),
            ("task_status", one_of(TaskStatus::ALL, "Where the task stands now")),
            ("status", one_of(["released"], "When it was given up")),
        ],
    );
    Operation::new(MINERS, "Answers a lease, or gives it up")
        .by(Callers::Workers)
        .takes(vec![
            must("task_id", task_id()),
            must("response_data", data),
            token(),
            may("miner_uid", uid("Yours, or of whom a validator asked")),
            may("status", given),
            may("permanent", flag("With `failed`: nobody will succeed")),
            claim("processing_time"),
            claim("accuracy_score"),
            claim("speed_score"),
        ])
        .answers(200, "It is durable", answer)
        .refuses(409, "Another answer of yours stands")
        .refuses(410, LOST)
}

fn of_a_lease(about: Operation) -> Operation {
    about.path("id", task_id()).refuses(410, LOST)
}

pub(in crate::http) fn heartbeat(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("task_id", task_id()),
        ("expires_at", time("When it is lost without another one")),
    ]);
    of_a_lease(Operation::new(MINERS, "Keeps a lease alive"))
        .by(Callers::Workers)
        .takes(vec![token()])
        .answers(200, "It lives on", answer)
}

pub(in crate::http) fn release(_: &KindRegistry) -> Operation {
    let reasons = "Why: no room now, not this kind of work, or it went wrong";
    let answer = object([
        success(),
        ("task_id", id("The task")),
        ("status", one_of(TaskStatus::ALL, "Where the task stands now")),
        ("retry_at", or_null(time("When the next miner gets it"))),
    ]);
    of_a_lease(Operation::new(MINERS, "Gives a lease back"))
        .takes(vec![
            must("reason", one_of(["busy", "unsupported", "failed"], reasons)),
            may("permanent", flag("With `failed`: nobody will succeed")),
            token(),
        ])
        .answers(200, "Another one may get it", answer)
}
