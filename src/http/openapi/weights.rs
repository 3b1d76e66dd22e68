//! What the routes of weights do.

use serde_json::Value;

use super::WEIGHTS;
use super::operation::Operation;
use super::performance::record;
use super::schema::{
    Field, flag, hotkey, id, integer, list, number, object, object_with, one_of, open_object,
    or_null, range, share, success, text, time, uid,
};
use crate::domain::chain::State;
use crate::domain::kind::KindRegistry;
use crate::domain::weights::{Pathway, PolicyName};

fn about() -> Vec<Field> {
    vec![
        ("run", id("The calculation")),
        ("policy", one_of(PolicyName::ALL, "What it was computed with")),
        ("policy_hash", text("SHA-256 of the policy's figures, hex")),
        ("computed_at", time("When it was made")),
        ("window_start", time("From when on scores count")),
        ("window_end", time("Until when; not in it any more")),
    ]
}

fn answer(more: impl IntoIterator<Item = Field>) -> Value {
    object([success()].into_iter().chain(about()).chain(more))
}

const NONE_YET: &str = "Nothing was computed yet, or there is no such miner in it";

fn weight_u16() -> Value {
    range(0, u16::MAX.into(), "The same as it goes on chain")
}

pub(in crate::http) fn current(_: &KindRegistry) -> Operation {
    let line = object([
        ("uid", uid("The miner")),
        ("hotkey", hotkey("Its hotkey")),
        ("weight", share("Its share of all")),
        ("weight_u16", weight_u16()),
    ]);
    let answer = answer([
        ("made_up_to", or_null(text("End of the last hour looked at, RFC 3339; null at first"))),
        ("weights", list(line, "All miners that were scored, by uid")),
        ("uids", list(uid("A miner"), "Those whose weight on chain is not 0")),
        ("weights_u16", list(weight_u16(), "Their weights, in the same order")),
        ("warnings", list(text("A sentence"), "What to know before submitting")),
    ]);
    Operation::new(WEIGHTS, "The current weights")
        .more(
            "Of a rolling window that ends at a full hour. Without new scores the last run stands.",
        )
        .answers(200, "The vector", answer)
        .refuses(404, NONE_YET)
}

pub(in crate::http) fn export(_: &KindRegistry) -> Operation {
    let kind = object([
        ("name", text("Its name")),
        ("weight", share("What its scores count")),
        ("sigmoid", flag("Whether they are spread around their mean")),
    ]);
    let score = object([
        ("uid", uid("The miner")),
        ("kind", text("The kind")),
        ("score", share("The task value")),
    ]);
    let file = object([
        ("policy", one_of(PolicyName::ALL, "What to compute with")),
        ("kinds", list(kind, "The kinds")),
        ("scores", list(score, "The task values")),
    ]);
    Operation::new(WEIGHTS, "What went into a calculation, to compute it anywhere")
        .more("`pithead weights compute --from FILE --json` gives the same weights.")
        .query("run", id("Which calculation; the newest one when left out"))
        .answers(200, "The file", file)
        .header("Content-Disposition", "A name for the file")
        .refuses(404, NONE_YET)
}

fn task() -> Value {
    object([
        ("kind", text("The kind")),
        ("score", share("The task value")),
        ("percentile_rank", number("Share of the kind's miners that are not better, per cent")),
        ("multiplier", number("What that multiplies with")),
        ("spread_score", number("The score as diversity counts it")),
        ("diversity_part", number("Its part of the diversity weight")),
        ("excellence_part", number("The excellence weight that it alone would give")),
        ("weight_contribution", share("Its part of the weight")),
    ])
}

fn figures() -> Value {
    object_with(
        [
            ("uid", uid("The miner")),
            ("excellence_weight", number("By its best kind")),
            ("diversity_weight", number("By all of its kinds")),
            ("raw_calculated_weight", number("The larger of the two")),
            ("scoring_pathway", one_of(Pathway::ALL, "Which one that was")),
            ("weight", share("Its share of all")),
            ("weight_u16", weight_u16()),
            ("multi_task_bonus", number("Factor for several kinds")),
            ("excellence_qualified_tasks", list(text("A kind"), "Where it excels")),
            ("relative_weight", number("Raw weight over the largest one")),
            ("transformed_weight", number("That, transformed")),
            ("tasks", list(task(), "Its kinds")),
        ],
        [("registration", id("Whose")), ("place", number("Its place, where places count"))],
    )
}

pub(in crate::http) fn one(_: &KindRegistry) -> Operation {
    let current = object(about().into_iter().chain([
        ("hotkey", hotkey("Its hotkey")),
        ("figures", figures()),
        ("standings", open_object("By kind, what each voice said, and what it was given to do")),
    ]));
    let answer = object([
        success(),
        ("uid", uid("The miner")),
        ("current", or_null(current)),
        ("records", list(record(), "Its newest record of each type of period")),
    ]);
    Operation::new(WEIGHTS, "What one miner is worth, with all figures")
        .path("uid", uid("The miner"))
        .answers(200, "In the current weights, and by period", answer)
        .refuses(404, NONE_YET)
}

pub(in crate::http) fn explain(_: &KindRegistry) -> Operation {
    let step = object([
        ("standing", open_object("Where the score comes from")),
        ("kind", open_object("What the kind's miners share")),
        ("task", task()),
    ]);
    let explanation = object([
        ("miner", figures()),
        ("kinds", list(step, "Its kinds")),
        ("excellence_boost", number("What excelling scores are multiplied with")),
        ("transform", open_object("What all miners share of the last steps")),
        ("policy", open_object("Every figure of the policy")),
    ]);
    let set = object([
        ("validator_hotkey", hotkey("Who set it")),
        ("block", integer("For which block")),
        ("state", one_of(State::ALL, "How far it came")),
        ("weight_u16", integer("The weight")),
        ("submitted_weight", share("What it is of all that it set")),
        ("effective_block", or_null(integer("From which block on epochs count it"))),
        ("consensus_block", or_null(integer("The first epoch that counted it"))),
        ("consensus_delay_blocks", or_null(integer("Blocks between the two"))),
    ]);
    let paid = object([
        ("incentive", share("Its share of the miners' reward")),
        ("consensus_rank", or_null(integer("Its place by that, from 1"))),
        ("block", integer("As of which block")),
        ("consensus_block", integer("The last epoch before it")),
        ("credited_to", list(hotkey("A validator"), "Whose weights an epoch has counted")),
    ]);
    let answer = answer([
        ("uid", uid("The miner")),
        ("hotkey", hotkey("Its hotkey")),
        ("explanation", explanation),
        ("submissions", list(set, "What validators set for it, the newest of each")),
        ("incentive", or_null(paid)),
    ]);
    Operation::new(WEIGHTS, "How one miner's weight came about")
        .more("With `format=text`, or `Accept: text/plain`, as a page for people.")
        .path("uid", uid("The miner"))
        .query("format", one_of(["json", "text"], "`json` when left out"))
        .answers(200, "The walk from its scores to its weight", answer)
        .answers_as(200, "The walk from its scores to its weight", "text/plain")
        .refuses(404, NONE_YET)
}
