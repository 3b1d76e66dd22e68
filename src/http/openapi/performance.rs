//! What the list of miners' records does.

use serde_json::Value;

use super::WEIGHTS;
use super::operation::Operation;
use super::schema::{
    any, count, hotkey, id, integer, list, next_cursor, number, object, one_of, open_object,
    or_null, range, share, success, text, time, uid,
};
use crate::domain::chain::State;
use crate::domain::kind::KindRegistry;
use crate::domain::limits::PAGE_MAX;
use crate::domain::period::Period;
use crate::domain::weights::Pathway;
use crate::store::PerformanceOrder;

fn task() -> Value {
    object([
        ("kind", text("The kind")),
        ("score", or_null(share("The task value"))),
        ("attempted", integer("Leases that ended by its own doing")),
        ("completed", integer("Of those, how many it answered")),
        ("scored", integer("Scores")),
        ("weight_contribution", share("Its part of the weight")),
        ("percentile_rank", or_null(number("Share of the miners that are not better, per cent"))),
        ("rank", or_null(integer("Place by value; equals share it"))),
        ("best", or_null(share("The best hour"))),
        ("latest", or_null(share("The newest hour with scores"))),
    ])
}

fn set() -> Value {
    object([
        ("validator_hotkey", hotkey("Who set it")),
        ("block", integer("For which block")),
        ("state", one_of(State::ALL, "How far it came")),
        ("submitted_weight", share("What it is of the vector")),
    ])
}

/// One miner in one period.
pub(super) fn record() -> Value {
    object([
        ("miner_uid", uid("The miner")),
        ("hotkey", hotkey("Its hotkey")),
        ("registration", id("Whose: two owners of a uid have two records")),
        ("period_type", one_of(Period::ALL, "How long")),
        ("period_start", time("Its beginning")),
        ("period_end", text("Its end, RFC 3339; not in it any more")),
        ("computed_at", time("When it was computed")),
        ("policy_hash", text("SHA-256 of the policy's figures, hex")),
        ("weight", share("Share of all")),
        ("submitted_weight", or_null(share("What it is of the vector that went on chain"))),
        ("raw_calculated_weight", number("The larger of the next two")),
        ("excellence_weight", number("By its best kind")),
        ("diversity_weight", number("By all of its kinds")),
        ("scoring_pathway", one_of(Pathway::ALL, "Which of the two counts")),
        ("pathway_details", any("How it came about; null where it is not kept")),
        ("multi_task_bonus", number("Factor for several kinds")),
        ("excellence_qualified_tasks", list(text("A kind"), "Where it excels")),
        (
            "incentive",
            or_null(share("What the chain pays; null beside a vector it has not counted")),
        ),
        ("consensus_rank", or_null(integer("Place by that"))),
        ("weight_submission_block", or_null(integer("For which block it was set"))),
        ("consensus_block", or_null(integer("The epoch that set the incentive"))),
        ("validator_hotkey", or_null(hotkey("Who submitted"))),
        ("submissions", list(set(), "What each validator set for it, the newest first")),
        ("tasks_attempted", integer("Leases that ended by its own doing")),
        ("tasks_completed", integer("Of those, how many it answered")),
        ("tasks_scored", integer("Scores")),
        ("success_rate", or_null(share("Completed over attempted"))),
        ("average_score", or_null(share("Mean of its task values, each by its scores"))),
        ("rank", integer("Place by weight; equals share it")),
        ("trend", or_null(number("Average score less that of the period before"))),
        ("weight_contributions", open_object("By kind")),
        ("percentile_ranks", open_object("By kind")),
        ("tasks", list(task(), "Its kinds")),
    ])
}

pub(in crate::http) fn stats(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("period", one_of(Period::ALL, "As asked")),
        ("sort", one_of(PerformanceOrder::ALL, "As asked")),
        count(),
        ("records", list(record(), "The page")),
        next_cursor(),
    ]);
    let most = i64::try_from(PAGE_MAX).unwrap_or(i64::MAX);
    Operation::new(WEIGHTS, "Records of miners by period")
        .more(
            "Periods begin in UTC, weeks on Mondays. Where neither `from` nor `to` is given, it is \
             the running period. As CSV the `next_cursor` is in the header `X-Next-Cursor`.",
        )
        .query("period", one_of(Period::ALL, "`daily` when left out"))
        .query("from", text("Periods that begin on this day or later: `2026-01-31`, or RFC 3339"))
        .query("to", text("Periods that begin before"))
        .query("uid", uid("Only this miner's"))
        .query("kind", text("Only those with this kind"))
        .query("sort", one_of(PerformanceOrder::ALL, "By what; `weight` when left out"))
        .query("limit", range(1, most, "Records of a page; 50 when left out"))
        .query("cursor", text("The `next_cursor` of the page before"))
        .query("format", one_of(["json", "csv"], "`json` when left out"))
        .answers(200, "A page", answer)
        .answers_as(200, "A page", "text/csv")
}
