//! One golden test for each fault of the original's consensus (the list is in the README).

use super::tests::{M, Net, T0, key, report, scored};
use super::*;
use crate::domain::ids::Hotkey;
use crate::domain::report::{ReportLimits, parse_statuses};
use crate::domain::units::{MINUTE, Millis, Score, Stake};

#[test]
fn fault_01_confidence_is_computed_and_reaches_the_verdict() {
    let mut net = Net::new();
    net.says(0, &scored(7, 0.8)).says(1, &scored(7, 0.8)).says(2, &scored(7, 0.8));
    let public = serde_json::to_value(net.verdict().public()).unwrap();
    assert!(public["consensus_confidence"].as_f64().unwrap() >= 0.7);
}

#[test]
fn fault_02_most_recent_is_taken_from_the_field_that_was_asked() {
    let mut net = Net::new();
    net.says(0, r#"[{"uid":7,"ip":"10.0.0.1","port":8091,"is_serving":true}]"#);
    net.at(1_000).says(1, r#"[{"uid":7,"ip":"10.0.0.2","is_serving":true}]"#);
    let verdict = net.verdict();
    assert_eq!(verdict.ip.unwrap().to_string(), "10.0.0.2");
    assert_eq!(verdict.port, Some(8_091), "the newest report has no port: the newest that has one");
}

#[test]
fn fault_03_weights_stay_with_their_reports_when_fields_are_missing() {
    let mut net = Net::seed();
    // Four validators; the first, by far the heaviest, says nothing of the performance.
    net.stake(0, 900.0).stake(1, 10.0).stake(2, 30.0).stake(3, 60.0);
    net.says(0, r#"[{"uid":7,"hotkey":"m7","stake":1,"is_serving":true}]"#);
    for (validator, performance) in [(1, 0.0), (2, 0.5), (3, 1.0)] {
        net.says(validator, &scored(7, performance));
    }
    // Base weights: a third, then 10 : 30 : 60 of the rest, with the last capped at a third too.
    let performance = net.verdict().performance.unwrap().millionths();
    assert!((performance - 687_500).abs() <= 2, "{performance}");
}

#[test]
fn fault_04_one_validator_reporting_often_is_one_vote() {
    let mut net = Net::new();
    for step in 0..50 {
        net.at(step * 100).says(0, &scored(7, 0.1));
    }
    let verdict = net.verdict();
    assert!(verdict.single_source);
    assert_eq!(verdict.validators, [VoterName::Hotkey(key(0))]);
    net.says(1, &scored(7, 0.8)).says(2, &scored(7, 0.8));
    assert_eq!(net.verdict().performance.unwrap().millionths(), 800_000);
}

#[test]
fn fault_05_stake_weighs_and_outliers_are_rejected() {
    let mut net = Net::new();
    for validator in 0..10 {
        net.stake(validator, if validator < 7 { 100.0 } else { 1.0 });
    }
    for validator in 0..10 {
        net.says(validator, &scored(7, if validator < 7 { 0.8 } else { 0.0 }));
    }
    assert_eq!(net.verdict().performance.unwrap().millionths(), 800_000);
    let mut seed = Net::seed();
    seed.says(0, &scored(7, 0.8)).says(1, &scored(7, 0.8)).says(2, &scored(7, 0.0));
    let moved = seed.verdict().performance.unwrap().millionths();
    assert!(moved < 550_000, "the documents' average follows the liar: {moved}");
}

#[test]
fn fault_06_an_even_split_goes_to_nobody_and_keeps_who_said_what() {
    let mut verdicts = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
        let mut net = Net::new();
        for validator in order {
            let serving = validator < 2;
            net.says(validator, &format!("[{{\"uid\":7,\"is_serving\":{serving}}}]"));
        }
        verdicts.push(net.verdict());
    }
    assert_eq!(verdicts[0], verdicts[1]);
    assert_eq!(verdicts[0].is_serving, None);
    assert!(verdicts[0].contested);
    let voices = &verdicts[0].conflicts[0].voices;
    assert_eq!(voices[0], Voice { validator: VoterName::Hotkey(key(0)), word: Word::Flag(true) });
    assert_eq!(voices[3], Voice { validator: VoterName::Hotkey(key(3)), word: Word::Flag(false) });
}

#[test]
fn fault_07_a_report_writes_no_field_by_name() {
    let entries = r#"[{"uid":7,"confidence":1,"coverage":"NaN","is_serving":true},
        {"uid":8,"performance_score":NaN},{"uid":9,"stake":-5}]"#;
    let parsed = parse_statuses(entries, &ReportLimits::default()).unwrap();
    assert_eq!(parsed.rejections.len(), 2);
    let mut net = Net::new();
    net.hear(report(1, 0, r#"[{"uid":7,"is_serving":true}]"#));
    net.hear(report(2, 0, r#"[{"uid":7,"is_serving":true}]"#));
    net.says(0, r#"[{"uid":7,"confidence":0,"coverage":"NaN","is_serving":true}]"#);
    let verdict = net.verdict();
    assert_eq!((verdict.confidence, verdict.coverage), (Score::ONE, Score::ONE));
    assert_eq!(verdict.other.as_deref(), Some(r#"{"confidence":0,"coverage":"NaN"}"#));
}

#[test]
fn fault_08_reports_about_others_keep_no_vanished_miner_alive() {
    let mut net = Net::new();
    for validator in 0..3 {
        net.says(validator, &scored(7, 0.8));
    }
    for step in 1..5 {
        net.at(step * 20 * MINUTE);
        for validator in 0..3 {
            net.says(validator, &scored(8, 0.8));
        }
    }
    let verdict = net.verdict();
    assert_eq!((verdict.is_serving, verdict.last_seen), (Some(false), Some(Millis(T0))));
}

#[test]
fn fault_09_one_bad_value_spoils_only_its_own_entry() {
    let entries = r#"[{"uid":7,"performance_score":"high"},{"uid":8,"performance_score":0.4}]"#;
    let parsed = parse_statuses(entries, &ReportLimits::default()).unwrap();
    assert_eq!((parsed.statuses.len(), parsed.rejections.len()), (1, 1));
    assert_eq!(parsed.rejections[0].field, "performance_score");
}

#[test]
fn fault_10_only_the_newest_report_is_held_and_no_two_collide() {
    let mut net = Net::new();
    for step in 0..20 {
        // All within one second, each with its own nanoseconds.
        let mut report = report(0, 0, &scored(7, f64::from(step) / 100.0));
        report.signed_nanos += i64::from(step);
        assert_eq!(net.hear(report).accepted, 1);
    }
    assert_eq!(net.verdict().performance.unwrap().millionths(), 190_000);
    assert_eq!(net.table.explain(M).unwrap().votes.len(), 1);
}

#[test]
fn fault_11_a_replayed_or_older_report_changes_nothing() {
    let mut net = Net::new();
    net.says(1, &scored(7, 0.8)).says(2, &scored(7, 0.8));
    net.at(5_000).says(0, &scored(7, 0.8));
    let before = net.verdict();
    let replayed = net.hear(report(0, 5_000, &scored(7, 0.8)));
    // An older one with a higher epoch: the label is no order.
    let older = net.hear(Report { epoch: Some(99), ..report(0, 1_000, &scored(7, 0.1)) });
    for applied in [replayed, older] {
        assert_eq!((applied.accepted, applied.ignored[0].why), (0, WhyIgnored::NotNewer));
    }
    assert_eq!(net.verdict(), before);
}

#[test]
fn fault_12_chain_facts_are_not_put_to_the_vote() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.says(validator, &scored(7, 0.8));
    }
    let facts = ChainFacts {
        hotkey: Hotkey::parse("onchain").unwrap(),
        stake: Stake::from_rao(5),
        ip: None,
        port: Some(1),
    };
    net.table.set_chain(M, Some(facts.clone()));
    let verdict = net.verdict();
    assert_eq!(verdict.hotkey, Some(facts.hotkey));
    assert_eq!((verdict.stake, verdict.port), (Some(facts.stake), Some(1)));
    assert!(verdict.confidence < Score::ONE, "who contradicts the chain does not add to it");
}

#[test]
fn fault_13_one_liar_keeps_nobody_alive_and_nothing_only_rises() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.says(validator, &scored(7, 0.8));
    }
    net.verdict();
    let lower = r#"[{"uid":7,"hotkey":"new","stake":1,"is_serving":false,"max_capacity":2}]"#;
    let liar = r#"[{"uid":7,"hotkey":"m7","stake":9e9,"is_serving":true,"max_capacity":99999}]"#;
    net.at(MINUTE);
    for validator in 0..4 {
        net.says(validator, if validator == 3 { liar } else { lower });
    }
    let verdict = net.verdict();
    assert_eq!((verdict.is_serving, verdict.capacity), (Some(false), Some(2)));
    assert_eq!(verdict.stake, Stake::from_tokens(1.0));
    assert_eq!(verdict.hotkey, Some(Hotkey::parse("new").unwrap()));
}
