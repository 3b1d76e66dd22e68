//! What the routes of the chain's metagraph do.

use serde_json::{Value, json};

use super::NETWORK;
use super::operation::{Operation, may, must};
use super::schema::{
    Field, count, flag, hotkey, integer, list as list_of, object, object_with, or_null, range,
    share, success, text, time, uid,
};
use crate::domain::kind::KindRegistry;
use crate::domain::limits::{BLOCK_MAX, NEURONS_MAX};

fn tokens(what: &str) -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 9.2e9, "description": what })
}

fn rao(what: &str) -> Value {
    range(0, i64::MAX, what)
}

fn block(what: &str) -> Value {
    range(0, BLOCK_MAX, what)
}

/// What a neuron must say, and what it may.
fn neuron() -> (Vec<Field>, Vec<Field>) {
    let must = vec![
        ("uid", uid("Its place")),
        ("hotkey", hotkey("Who answers there")),
        ("stake", tokens("All of its stake, whole tokens")),
        ("validator_permit", flag("Whether it may set weights")),
        ("last_update", block("When it set weights last")),
        ("block_at_registration", block("Registered at this block")),
        ("incentive", share("Its share of the miners' reward")),
    ];
    let may = vec![
        ("coldkey", or_null(hotkey("Who owns it"))),
        ("stake_rao", rao("The same in rao, exactly")),
        ("active", flag("Whether it set weights lately")),
        ("consensus", share("Cap of its weight")),
        ("dividends", share("Its share of the validators' reward")),
        ("emission", tokens("Tokens per epoch")),
        ("emission_rao", rao("The same in rao, exactly")),
    ];
    (must, may)
}

pub(in crate::http) fn put(_: &KindRegistry) -> Operation {
    let (needed, optional) = neuron();
    let mut neuron = object_with(needed, optional);
    neuron["additionalProperties"] = json!(true);
    let neurons = json!({
        "type": "array", "items": neuron, "minItems": 1, "maxItems": NEURONS_MAX,
        "description": "Who is registered",
    });
    let answer = object([
        success(),
        ("block", integer("Of which block")),
        ("adopted", flag("Whether it is believed now")),
        ("submissions_updated", integer("Submissions of which it told something new")),
        ("stake", or_null(json!({ "type": "number", "description": "Tokens that said the same" }))),
        ("stake_to_exceed", or_null(json!({ "type": "number", "description": "Half of all" }))),
    ]);
    Operation::new(NETWORK, "Tells what the chain's metagraph says")
        .more(
            "A snapshot at a block that `chain.snapshot_every` divides. It is believed once more \
             than half of the validators' stake sent the same; until then it is kept in memory \
             only.",
        )
        .takes(vec![
            must("netuid", uid("The subnet")),
            must("block", block("Seen at this block")),
            must("tempo", uid("Blocks between two epochs, less one")),
            must("neurons", neurons),
            may("last_step", block("The block of the last epoch; counted when left out")),
            may("min_allowed_weights", uid("Fewest weights of a vector")),
            may("max_weight_limit", uid("Largest share of one weight, in 1/65535")),
            may("validator_uid", uid("Yours; checked")),
        ])
        .answers(200, "It waits, or is believed", answer)
        .refuses(409, "A newer one is believed, or you sent another one of this block")
}

pub(in crate::http) fn show(_: &KindRegistry) -> Operation {
    let (mut fields, optional) = neuron();
    fields.extend(optional);
    let answer = object([
        success(),
        count(),
        ("netuid", integer("The subnet")),
        ("block", integer("Seen at this block")),
        ("tempo", integer("Blocks between two epochs, less one")),
        ("last_step", integer("The block of the last epoch")),
        ("min_allowed_weights", or_null(integer("Fewest weights of a vector"))),
        ("max_weight_limit", or_null(integer("Largest share of one weight, in 1/65535"))),
        ("neurons", list_of(object(fields), "By uid")),
        ("adopted_at", time("Believed since")),
        ("senders", list_of(text("A hotkey"), "Who sent it")),
    ]);
    Operation::new(NETWORK, "The metagraph that is believed")
        .answers(200, "The newest snapshot", answer)
        .refuses(404, "No snapshot is believed yet")
}
