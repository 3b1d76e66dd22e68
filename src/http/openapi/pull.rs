//! What the routes of pull mode do.

use serde_json::json;

use super::VALIDATORS;
use super::miners::assigned;
use super::operation::{Operation, may};
use super::schema::{
    hotkey, id, integer, list, number, object, one_of, or_null, range, share, success, text, time,
    uid,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::DISTRIBUTE_MAX;
use crate::domain::task::Priority;

pub(in crate::http) fn integration(_: &KindRegistry) -> Operation {
    let miner = object([
        ("uid", uid("The miner")),
        ("hotkey", hotkey("Its")),
        ("stake", number("Whole tokens")),
        ("availability_score", share("What ranks it")),
        ("current_load", integer("Leases that it holds")),
        ("max_capacity", integer("Leases that it may hold")),
        ("task_type_specialization", or_null(list(text("A kind"), "What it is good at"))),
    ]);
    let waiting = object([
        ("task_id", id("The task")),
        ("task_type", text("Its kind")),
        ("priority", one_of(Priority::ALL, "Its urgency")),
        ("source_language", text("Language of the input")),
        ("created_at", time("When it was handed in")),
    ]);
    let answer = object([
        success(),
        (
            "network_info",
            object([
                ("netuid", integer("The subnet")),
                ("total_miners", integer("Miners known")),
                ("available_miners", integer("Of those, how many may get work")),
            ]),
        ),
        ("available_miners", list(miner, "Who may get work")),
        ("pending_tasks", list(waiting, "The first tasks that wait")),
        (
            "queue_statistics",
            object([
                ("open_tasks", integer("Tasks that have not ended")),
                ("pending_tasks", integer("Of those, how many wait")),
            ]),
        ),
        ("timestamp", time("Now")),
    ]);
    Operation::new(VALIDATORS, "Who is there and what waits").answers(200, "The picture", answer)
}

pub(in crate::http) fn distribute(kinds: &KindRegistry) -> Operation {
    let lease = object([
        ("token", text("Send it along with the answer")),
        ("slot", integer("The slot")),
        ("attempt", integer("Which attempt at it")),
        ("expires_at", time("When it is lost without a heartbeat")),
    ]);
    let mut task = assigned(kinds);
    task.push(("leases", list(lease, "One for each slot")));
    let answer = object([
        success(),
        ("tasks_distributed", json!({ "type": "integer" })),
        ("tasks", list(object(task), "What is yours to serve now")),
    ]);
    let most = i64::try_from(DISTRIBUTE_MAX).unwrap_or(i64::MAX);
    Operation::new(VALIDATORS, "Leases waiting tasks to you, to serve over your own network")
        .takes(vec![
            may("limit", range(1, most, "Tasks at most; 10 when left out")),
            may("validator_uid", uid("Yours; checked")),
        ])
        .answers(200, "The leases are durable", answer)
}
