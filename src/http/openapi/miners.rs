//! What the routes do with which miners fetch their work and see how they stand.

use serde_json::{Value, json};

use super::MINERS;
use super::operation::Operation;
use super::schema::{
    Field, flag, hotkey, id, integer, list, named, number, object, one_of, or_null, range, share,
    success, text, time, uid,
};
use super::tasks::{input, task_id, wish};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::WAIT_SECS_MAX;

/// What the holder of a lease sees of its task, but for the lease.
pub(super) fn assigned(kinds: &KindRegistry) -> Vec<Field> {
    let mut fields = wish(kinds);
    fields.extend(input());
    fields.push(("status", one_of(["assigned"], "Always")));
    fields.push(("voice", json!({ "anyOf": [named("Voice"), { "type": "null" }] })));
    fields
}

fn leased(kinds: &KindRegistry) -> Vec<Field> {
    let lease = object([
        ("token", text("Send it along with heartbeats and the answer")),
        ("attempt", integer("Which attempt at the slot")),
        ("expires_at", time("When it is lost without a heartbeat")),
    ]);
    let mut fields = assigned(kinds);
    fields.push(("lease", lease));
    fields
}

/// How a miner is at one kind of work.
fn record() -> Value {
    object([
        ("kind", text("The kind")),
        ("answered", integer("Leases answered, ever")),
        ("failed", integer("Leases lost by its fault, ever")),
        ("success_rate", or_null(share("Share of leases answered, lately"))),
        ("latency_ms", or_null(integer("Mean milliseconds from fetch to answer"))),
        ("latency_p95_ms", or_null(integer("95 % of its answers came within these"))),
        ("score", or_null(share("Mean score"))),
        ("performance", or_null(share("What ranks it, before it is blended with the verdict"))),
        ("evidence", integer("Outcomes behind these figures")),
        ("breaker", one_of(["closed", "half_open", "open"], "Whether it gets such work")),
    ])
}

pub(super) fn schemas(kinds: &KindRegistry) -> Vec<(&'static str, Value)> {
    vec![("Lease", object(leased(kinds))), ("MinerRecord", record())]
}

pub(super) fn uid_of() -> Value {
    uid("The miner")
}

pub(in crate::http) fn poll(_: &KindRegistry) -> Operation {
    let wait = "Seconds to wait for new leases. Without it every live lease is answered at once";
    Operation::new(MINERS, "Fetches work")
        .more("A bare array. With `wait` it comes as soon as there is something new.")
        .path("uid", uid("Yours"))
        .query("status", one_of(["assigned", "pending"], "As the documents' miners ask; no filter"))
        .query("wait", range(0, WAIT_SECS_MAX, wait))
        .answers(200, "Leases", list(named("Lease"), "None while there is nothing"))
        .refuses(409, "The caller hung up; nobody reads this")
}

pub(in crate::http) fn content(kinds: &KindRegistry) -> Operation {
    let mut fields = leased(kinds);
    fields.extend([success(), ("text", or_null(text("The text of `input_text`")))]);
    Operation::new(MINERS, "The input of a task that you hold")
        .path("kind", text("The task's kind, with hyphens or underscores"))
        .path("id", task_id())
        .answers(200, "The task", object(fields))
}

pub(in crate::http) fn view(_: &KindRegistry) -> Operation {
    let breakdown = object([
        ("performance", number("Part of the score")),
        ("load", number("Part of the score")),
        ("stake", number("Part of the score")),
        ("recency", number("Part of the score")),
        ("consensus_boost", number("Part of the score")),
    ]);
    let answer = object([
        success(),
        ("uid", uid("Yours")),
        ("hotkey", hotkey("Yours")),
        ("registration", id("Yours: it stays when your hotkey changes")),
        ("serving", flag("Whether the verdict says so")),
        ("fresh", flag("Whether you were mentioned lately")),
        ("quarantined", flag("Whether you failed too often in a row")),
        ("live_leases", integer("Leases that you hold")),
        ("capacity", integer("Leases that you may hold")),
        ("parked_polls", integer("Polls that wait")),
        ("availability_score", share("What ranks you")),
        ("breakdown", breakdown),
        ("leases_answered", integer("Ever")),
        ("leases_lost", integer("Ever")),
        ("responses_scored", integer("Ever")),
        ("mean_score", or_null(share("Of all your answers"))),
        ("kinds", list(named("MinerRecord"), "By kind of work")),
        ("last_seen", time("When a validator last mentioned you")),
    ]);
    Operation::new(MINERS, "Your own standing").path("uid", uid("Yours")).answers(
        200,
        "How you stand",
        answer,
    )
}
