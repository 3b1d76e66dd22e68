//! What the route does with which validators report on miners.

use serde_json::json;

use super::VALIDATORS;
use super::operation::{Operation, may, must};
use super::schema::{
    flag, integer, list, object, object_with, one_of, or_null, range, share, success, text, uid,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::REPORT_MINERS_MAX;

pub(in crate::http) fn take(_: &KindRegistry) -> Operation {
    let mut status = object_with(
        [("uid", uid("The miner"))],
        [
            ("hotkey", text("Its hotkey")),
            ("stake", json!({ "type": "number", "minimum": 0, "description": "Whole tokens" })),
            ("is_serving", flag("Whether it answers")),
            ("performance_score", share("How well it performs")),
            ("current_load", json!({ "type": "number", "minimum": 0, "description": "Tasks" })),
            ("max_capacity", json!({ "type": "integer", "minimum": 0, "description": "Tasks" })),
            ("ip", text("Address of its endpoint")),
            ("port", json!({ "type": "integer", "description": "Port of its endpoint" })),
            ("last_seen", json!({ "description": "RFC 3339, or seconds since 1970" })),
            ("task_type_specialization", json!({ "description": "A list, or a text with commas" })),
        ],
    );
    status["additionalProperties"] = json!(true);
    let statuses = json!({
        "type": "array", "items": status, "maxItems": REPORT_MINERS_MAX,
        "description": "What is seen of each miner",
    });
    let refused = object([
        ("index", integer("Place in the list, from 0")),
        ("uid", or_null(integer("The uid that it names"))),
        ("field", text("The field at fault")),
        ("reason", text("What is wrong with it")),
    ]);
    let whys = ["not_newer", "older_registration", "too_many_validators"];
    let ignored = object([("uid", uid("The miner")), ("why", one_of(whys, "Why"))]);
    let answer = object([
        success(),
        ("miners_processed", integer("Entries that were taken")),
        ("consensus_updated", integer("Miners whose verdict changed")),
        ("validator_uid", uid("Yours")),
        ("epoch", integer("As it was sent")),
        ("rejected", list(refused, "Entries that are wrong; their neighbours were taken")),
        ("ignored", list(ignored, "Entries that change nothing")),
    ]);
    let sequence = "Names the report within its epoch: one for two bodies voids both";
    let partial = "Whether miners that are not listed are only not mentioned";
    Operation::new(VALIDATORS, "Reports on miners")
        .takes(vec![
            must("validator_uid", uid("Yours; checked")),
            must("epoch", range(0, i64::MAX, "A label")),
            must("miner_statuses", statuses),
            may("sequence", range(0, i64::MAX, sequence)),
            may("partial", flag(partial)),
        ])
        .answers(200, "It is durable and merged", answer)
        .refuses(429, "Too many reports in a minute")
}
