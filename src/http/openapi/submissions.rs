//! What the routes of submitted weights do.

use serde_json::{Value, json};

use super::VALIDATORS;
use super::operation::{Operation, may, must};
use super::schema::{
    Field, count, flag, hotkey, id, integer, list as list_of, named, next_cursor, object, one_of,
    or_null, range, success, text, text_of, time, uid,
};
use crate::domain::chain::{Mode, State};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{BLOCK_MAX, CHAIN_ERROR_CHARS_MAX, NEURONS_MAX};

fn submission() -> Vec<Field> {
    let block = |what: &str| or_null(integer(what));
    vec![
        ("validator_hotkey", hotkey("Whose")),
        ("validator_uid", uid("Its uid then")),
        ("block", integer("For which block")),
        ("mode", one_of(Mode::ALL, "How it goes onto the chain")),
        ("state", one_of(State::ALL, "How far it came")),
        ("effective_block", block("From which block on epochs count it; null while it is sealed")),
        ("revealed_block", block("Opened at this block")),
        ("consensus_block", block("The first epoch that counted it")),
        ("consensus_delay_blocks", block("Blocks from `effective_block` to that epoch")),
        ("error", or_null(text("What the chain said against it"))),
        ("version_key", or_null(integer("Version of the program that set it"))),
        ("run", or_null(id("The calculation that it comes from"))),
        ("uids", list_of(uid("A miner"), "By uid, without those of weight 0")),
        ("weights", list_of(integer("Weight, 1 to 65535"), "In the order of `uids`")),
        ("warnings", list_of(text("A sentence"), "Why the chain may refuse it or waste it")),
        ("created_at", time("First heard of")),
        ("updated_at", time("Last changed")),
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("Submission", object(submission()))]
}

fn numbers(what: &str) -> Value {
    let list = json!({
        "type": "array", "maxItems": NEURONS_MAX, "description": what,
        "items": { "type": "integer", "minimum": 0, "maximum": u16::MAX },
    });
    let json = json!({ "type": "string", "description": "The list as JSON, as forms carry it" });
    json!({ "anyOf": [list, json] })
}

pub(in crate::http) fn put(_: &KindRegistry) -> Operation {
    let states: Vec<_> =
        State::ALL.iter().filter(|s| !matches!(s, State::Settled | State::Reorged)).collect();
    let mut answer = submission();
    answer.extend([success(), ("duplicate", flag("Whether this word changed nothing"))]);
    Operation::new(VALIDATORS, "Tells what you set on chain, and how it went")
        .more(
            "Of one block the first weights stand; later words may leave them out. `submitted` is \
             for plain weights, `committed` and `revealed` for sealed ones; `failed` wants the \
             chain's own words as `error`.",
        )
        .takes(vec![
            must("block", range(0, BLOCK_MAX, "For which block")),
            must("state", one_of(states, "How far it came")),
            may("mode", one_of(Mode::ALL, "How it goes onto the chain")),
            may("uids", numbers("Miners; with the first word of a block")),
            may("weights", numbers("Their weights, 0 to 65535, in the order of `uids`")),
            may("revealed_block", range(0, BLOCK_MAX, "With `revealed`: opened at this block")),
            may("error", text_of(1, 4 * CHAIN_ERROR_CHARS_MAX, "With `failed`: what was said")),
            may("version_key", range(0, i64::MAX, "Version of the program that set it")),
            may("run", id("The calculation that it comes from")),
            may("validator_uid", uid("Yours; checked")),
        ])
        .answers(200, "As it stands now", object(answer))
        .refuses(409, "Other weights stand for this block, or this cannot follow")
}

pub(in crate::http) fn list(_: &KindRegistry) -> Operation {
    let submissions = list_of(named("Submission"), "Newest first");
    let answer = object([success(), count(), ("submissions", submissions), next_cursor()]);
    Operation::new(VALIDATORS, "Lists submitted weights")
        .query("validator", hotkey("Only of this validator"))
        .pages()
        .answers(200, "A page", answer)
}
