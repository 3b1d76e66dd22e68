//! What the route does with which validators push scores.

use serde_json::json;

use super::VALIDATORS;
use super::operation::{Operation, may, must};
use super::schema::{
    any, hotkey, integer, list, object, object_with, or_null, range, share, success, text, uid,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::PUSHED_SCORES_MAX;

pub(in crate::http) fn push(_: &KindRegistry) -> Operation {
    let score = object_with(
        [
            ("kind", text("A kind that is scored here")),
            ("uid", uid("The miner")),
            ("hotkey", hotkey("The miner")),
            ("score", share("How good its work was")),
            ("scored_at", any("RFC 3339, or milliseconds since 1970")),
        ],
        [("block", or_null(range(0, i64::MAX, "The chain's block of then")))],
    );
    let scores = json!({
        "type": "array", "items": score, "minItems": 1, "maxItems": PUSHED_SCORES_MAX,
        "description": "The scores",
    });
    let refused = object([
        ("index", integer("Place in the list, from 0")),
        ("uid", or_null(integer("The uid that it names"))),
        ("field", text("The field at fault")),
        ("reason", text("What is wrong with it")),
    ]);
    let answer = object([
        success(),
        ("accepted", integer("Scores that are new")),
        ("duplicates", integer("Scores that stood before, as they are")),
        ("rejected", list(refused, "Scores that are wrong; their neighbours were taken")),
    ]);
    Operation::new(VALIDATORS, "Pushes scores of tasks of the validator's own")
        .more(
            "One miner, kind and moment has one score of each validator: pushed again it counts \
             once, and another value for it is refused. A body may be one score itself.",
        )
        .takes(vec![must("scores", scores), may("validator_uid", uid("Yours; checked"))])
        .answers(200, "What is new is durable", answer)
        .refuses(422, "Not one score can be taken")
}
