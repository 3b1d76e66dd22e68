//! What the routes do that show miners, validators and kinds of work.

use serde_json::{Value, json};

use super::NETWORK;
use super::miners::uid_of;
use super::operation::Operation;
use super::schema::{
    Field, any, count, flag, hotkey, integer, list, named, number, object, object_with, one_of,
    open_object, or_null, share, success, text, time, uid,
};
use crate::domain::consensus::{Phase, Reason};
use crate::domain::kind::KindRegistry;

fn about(summary: &'static str) -> Operation {
    Operation::new(NETWORK, summary)
}

/// A validator by its uid, or by its hotkey while that is not known.
fn voter() -> Value {
    json!({ "type": ["integer", "string"], "description": "A validator: its uid, or its hotkey" })
}

fn voters(what: &str) -> Value {
    list(voter(), what)
}

fn kinds_list() -> Value {
    or_null(list(text("A kind"), "What it is good at"))
}

fn statistics() -> Value {
    object([
        ("total_validator_reports", integer("Reports taken so far")),
        ("consensus_miners", integer("Miners with a verdict")),
        ("active_validators", integer("Validators that report")),
        ("average_consensus_confidence", share("Mean over all verdicts")),
        ("consensus_timeout_minutes", number("As the documents have it")),
        ("min_consensus_validators", integer("With fewer a verdict is `single_source`")),
        ("consensus_coverage", share("Miners with a verdict of enough validators")),
        ("validator_participation", share("Weight of those that report")),
        ("conflict_rate", share("Verdicts with a conflict")),
        ("report_to_verdict_ms", number("From a report to its verdicts, milliseconds")),
    ])
}

fn miner() -> Value {
    object([
        ("uid", uid_of()),
        ("hotkey", hotkey("Its")),
        ("stake", number("Whole tokens")),
        ("is_serving", flag("Whether it answers")),
        ("availability_score", share("What ranks it")),
        ("consensus_confidence", share("How sure the verdict is")),
        ("consensus_validators", or_null(voters("Who was heard"))),
        ("current_load", integer("Leases that it holds")),
        ("max_capacity", integer("Leases that it may hold")),
        ("quarantined", flag("Whether it failed too often in a row")),
        ("task_type_specialization", kinds_list()),
        ("last_seen", time("When a validator last mentioned it")),
    ])
}

fn verdict() -> Value {
    object_with(
        [
            ("uid", uid_of()),
            ("hotkey", or_null(hotkey("Its"))),
            ("stake", or_null(number("Whole tokens"))),
            ("is_serving", or_null(flag("Whether it answers"))),
            ("performance_score", or_null(share("How well it performs"))),
            ("current_load", or_null(number("Tasks that it runs"))),
            ("max_capacity", or_null(integer("Tasks that it can run at once"))),
            ("task_type_specialization", kinds_list()),
            ("ip", or_null(text("Address of its endpoint"))),
            ("port", or_null(integer("Port of its endpoint"))),
            ("last_seen", or_null(time("When the middle validator last mentioned it"))),
            ("consensus_confidence", share("Coverage x agreement x freshness")),
            ("consensus_validators", voters("Who was heard")),
            ("conflicts_detected", list(text("A field"), "Fields without a quorum")),
            ("contested", flag("Whether there is much dissent")),
            ("single_source", flag("Whether too few validators were heard")),
            ("round", integer("The round, counted in round lengths from 1970")),
        ],
        [("other", open_object("Fields of reports that are not known here"))],
    )
}

fn standing() -> Vec<Field> {
    vec![
        ("hotkey", hotkey("Its")),
        ("uid", or_null(uid("Its place"))),
        ("stake", or_null(number("Whole tokens"))),
        ("reputation", share("What its weight is multiplied with")),
        ("base_weight", share("Its share of all weight")),
        ("active", flag("Whether it reports")),
        ("report_period_secs", integer("How often it reports")),
        ("last_report_at", or_null(time("When it last reported"))),
        ("report_age_secs", or_null(integer("How long ago that is"))),
        ("miners", integer("Miners that it lists")),
        ("phase", one_of(Phase::ALL, "Where it stands")),
        ("reason", one_of(Reason::ALL, "Why its reputation moved last")),
        ("trust", share("How far it is trusted")),
        ("bias", number("The constant bias that is taken off its scores")),
        ("clique_share", share("What it keeps of its weight in its clique")),
        ("agreement", or_null(share("Share of its last report that agrees"))),
        ("outlier_share", or_null(share("The rest of it"))),
    ]
}

fn event() -> Value {
    let names = [
        "validator_silent",
        "validator_back",
        "validator_drifting",
        "quarantined",
        "probation",
        "restored",
        "equivocated",
        "clique",
    ];
    object_with(
        [("event", one_of(names, "What happened")), ("at", time("When"))],
        [
            ("hotkey", hotkey("To whom")),
            ("hotkeys", list(hotkey("One of them"), "To whom")),
            ("last_report_at", integer("Milliseconds since 1970")),
            ("best", integer("Trust before, millionths")),
            ("trust", integer("Trust now, millionths")),
            ("share", integer("What each keeps of its weight, millionths")),
            ("reason", one_of(Reason::ALL, "Why")),
            ("found", open_object("Two reports under one epoch and sequence")),
        ],
    )
}

/// A verdict with what led to it. Weights and shares in millionths.
fn explanation() -> Value {
    let word = object([
        ("validator", voter()),
        ("word", any("What it said: a number in the field's unit, a flag or a text")),
        ("counted_as", or_null(integer("The number it counted as, where that is another"))),
        ("weight", integer("The weight that it had here")),
        ("clipped", flag("Whether it lay too far out and counted nothing")),
    ]);
    let field = object([
        ("field", text("The field's name in reports")),
        ("result", any("What is published, in the field's unit; null for nothing")),
        ("reason", text("Why")),
        ("median", or_null(integer("Weighted lower median"))),
        ("reach", or_null(integer("How far from it a number may lie to count"))),
        ("lower_third", or_null(integer("The result is never below"))),
        ("upper_third", or_null(integer("The result is never above"))),
        ("words", list(word, "Everybody's word")),
    ]);
    let vote = object([
        ("validator", voter()),
        ("signed_nanos", integer("When its report was signed")),
        ("absent", flag("Whether its newest full report leaves the miner out")),
        ("base", integer("Capped share of stake x reputation")),
        ("bias", integer("Taken off its scores")),
        ("reputation", integer("In this round")),
        ("clique_share", integer("Within the reputation")),
        ("period", integer("Its report period, milliseconds")),
        ("confidence", integer("Of its report; 0 when not counted")),
        ("freshness", integer("Of its report; 0 when not counted")),
        ("weight", integer("The product of the three")),
    ]);
    object([
        ("mode", one_of(["robust", "seed"], "Which merge")),
        ("votes", list(vote, "Everybody on the ballot")),
        ("fields", list(field, "Each field")),
        ("verdict", open_object("The result as it is stored, in integers")),
    ])
}

pub(super) fn schemas(_: &KindRegistry) -> Vec<(&'static str, Value)> {
    vec![
        ("Miner", miner()),
        ("Verdict", verdict()),
        ("Validator", object(standing())),
        ("ValidatorEvent", event()),
        ("Explanation", explanation()),
        ("ConsensusStatistics", statistics()),
    ]
}

pub(in crate::http) fn network_status(_: &KindRegistry) -> Operation {
    let status = object([
        ("total_miners", integer("Miners that were mentioned lately")),
        ("active_miners", integer("Of those, how many serve")),
        ("total_stake", number("Their stake, whole tokens")),
        ("average_consensus_confidence", share("Mean over all verdicts")),
        ("stale_miners_filtered", integer("Miners that were not mentioned lately")),
        ("last_updated", time("Now")),
    ]);
    let answer = object([
        success(),
        ("processing_mode", one_of(["consensus"], "Always")),
        ("network_status", status),
        ("consensus_stats", named("ConsensusStatistics")),
        ("miners", list(named("Miner"), "Those that were mentioned lately")),
    ]);
    about("The merged picture of all miners").answers(200, "The picture", answer)
}

pub(in crate::http) fn miners(kinds: &KindRegistry) -> Operation {
    network_status(kinds)
}

pub(in crate::http) fn consensus_stats(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("consensus_statistics", named("ConsensusStatistics")),
        ("timestamp", time("Now")),
    ]);
    about("How well validators agree").answers(200, "Figures", answer)
}

fn of_a_miner(about: Operation) -> Operation {
    about.path("uid", uid_of())
}

pub(in crate::http) fn consensus(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("miner_uid", uid_of()),
        ("consensus_status", named("Verdict")),
        ("timestamp", time("Now")),
    ]);
    of_a_miner(about("The verdict on a miner")).answers(200, "The verdict", answer)
}

pub(in crate::http) fn explain(_: &KindRegistry) -> Operation {
    let answer =
        object([success(), ("miner_uid", uid_of()), ("explanation", named("Explanation"))]);
    of_a_miner(about("How the verdict on a miner came about")).answers(200, "Step by step", answer)
}

pub(in crate::http) fn miner_stats(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        ("miner_uid", uid_of()),
        ("hotkey", hotkey("Its")),
        ("kinds", list(named("MinerRecord"), "By kind of work")),
        ("timestamp", time("Now")),
    ]);
    of_a_miner(about("What this server saw of a miner")).answers(200, "Its records", answer)
}

pub(in crate::http) fn validators(_: &KindRegistry) -> Operation {
    let answer = object([
        success(),
        count(),
        ("validators", list(named("Validator"), "All of them")),
        ("events", list(named("ValidatorEvent"), "What happened to them of late")),
    ]);
    about("Who reports, how much it counts and why").answers(200, "Validators", answer)
}

pub(in crate::http) fn validator(_: &KindRegistry) -> Operation {
    let step = object([
        ("round", integer("The round")),
        ("at", time("When it began")),
        ("agreement", share("Share of the report that agrees")),
        ("trust", share("Trust after it")),
        ("phase", one_of(Phase::ALL, "Where it stood after it")),
        ("reason", one_of(Reason::ALL, "Why")),
    ]);
    let mut fields = standing();
    fields.push(("history", list(step, "Its judged reports")));
    fields.push(("events", list(named("ValidatorEvent"), "What happened to it of late")));
    about("One validator, with its judged reports").path("hotkey", text("Its hotkey")).answers(
        200,
        "The validator",
        object(fields),
    )
}

pub(in crate::http) fn kinds(kinds: &KindRegistry) -> Operation {
    let kind = object([
        ("name", one_of(kinds.iter().map(|kind| &kind.name), "What `task_type` says")),
        ("input", one_of(["audio", "video", "text", "document"], "What goes in")),
        ("output_keys", list(text("A key"), "Of which an answer holds at least one")),
        ("text_chars_min", integer("Fewest characters of a text")),
        ("text_chars_max", integer("Most characters of a text")),
        ("file_bytes_max", integer("Largest file, bytes")),
        ("files_days", or_null(integer("Days that its files stay"))),
        ("languages", list(text("A language"), "ISO 639-1 codes")),
        ("translates", flag("Whether a `target_language` is wanted")),
        ("redundancy", integer("Answers wanted unless the client says otherwise")),
        ("adaptive", flag("Whether a trusted miner's answer may do alone")),
        ("deadline_secs", integer("Seconds until it must have ended")),
        ("run_secs", integer("Seconds that a miner has without a heartbeat")),
        ("weight_millionths", integer("Share in rewards")),
        ("sigmoid", flag("Whether weights spread its scores around their mean")),
    ]);
    let estimate = object([
        ("kind", text("The kind")),
        ("tasks", integer("Recent tasks that were told an estimate")),
        ("within_p50", or_null(share("Share of them that were done within it"))),
        ("within_p95", or_null(share("Share of them that were done within it"))),
    ]);
    let answer = object([
        success(),
        ("kinds", list(kind, "What may be asked for")),
        ("estimates", list(estimate, "How well estimates came true")),
    ]);
    about("What may be asked for here").answers(200, "Kinds of task", answer)
}
