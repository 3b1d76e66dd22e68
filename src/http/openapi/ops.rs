//! What the routes of operators do.

use super::OPERATION;
use super::operation::{Operation, must};
use super::schema::{flag, integer, list, number, object, one_of, success, text, time};
use crate::domain::kind::KindRegistry;

fn about(summary: &'static str) -> Operation {
    Operation::new(OPERATION, summary)
}

pub(in crate::http) fn livez(_: &KindRegistry) -> Operation {
    let answer = object([("status", one_of(["ok"], "Always"))]);
    about("Whether the process answers")
        .more("Touches nothing else.")
        .answers(200, "It does", answer)
}

pub(in crate::http) fn readyz(_: &KindRegistry) -> Operation {
    let answer = object([("status", one_of(["ready"], "Always"))]);
    about("Whether work may be sent here")
        .answers(200, "It may", answer)
        .refuses(503, "The database does not answer, or the server drains")
}

pub(in crate::http) fn metrics(_: &KindRegistry) -> Operation {
    about("Figures for Prometheus").answers_as(200, "In its text format", "text/plain")
}

pub(in crate::http) fn health(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("status", one_of(["healthy", "degraded"], "How it goes")),
        ("version", text("Of this server")),
        ("uptime_secs", integer("Seconds since it started")),
        ("database", one_of(["ok", "does not answer"], "The database")),
        ("miners", integer("Miners known")),
        ("active_validators", integer("Validators that report")),
        ("consensus_confidence", number("Mean confidence of all verdicts, 0 to 1")),
        ("open_tasks", integer("Tasks that have not ended")),
        ("waiting_tasks", integer("Of those, how many wait for a miner")),
        ("timestamp", time("Now")),
    ]);
    about("How it goes, for people").answers(200, "How it goes", answer)
}

pub(in crate::http) fn identity(_: &KindRegistry) -> Operation {
    let window = object([
        ("past", integer("Oldest signature that is taken, seconds")),
        ("future", integer("How far ahead a signer's clock may be, seconds")),
    ]);
    let answer = object([
        success(),
        ("hotkey", text("The receiver of signed requests, ss58")),
        ("protocols", list(text("A protocol"), "What signed requests may speak")),
        ("netuid", integer("The subnet")),
        ("public_url", text("Where the outside reaches the server")),
        ("window_secs", window),
        ("time_unix_ms", integer("The server's clock, milliseconds")),
        ("version", text("Of this server")),
        ("dev", flag("Whether unsigned requests are accepted: development only")),
    ]);
    about("What a signer needs to know").answers(200, "Who the server is", answer)
}

pub(in crate::http) fn drain(_: &KindRegistry) -> Operation {
    let what = "true: no new tasks until false or a restart; open work goes on";
    let answer = object([
        success(),
        ("draining", flag("As it is now")),
        ("open_tasks", integer("Tasks that have not ended")),
    ]);
    about("Takes no new tasks, or takes them again")
        .takes(vec![must("draining", flag(what))])
        .answers(200, "So it is", answer)
}

pub(in crate::http) fn config(_: &KindRegistry) -> Operation {
    about("The configuration that is in force")
        .more("Defaults, file, variables and flags. Passwords are hidden.")
        .answers_as(200, "As TOML", "application/toml")
}
