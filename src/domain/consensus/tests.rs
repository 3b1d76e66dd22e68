//! The table's behaviour in time, and the builders that all consensus tests share.

use uuid::Uuid;

use super::*;
use crate::domain::ids::{Hotkey, MinerUid, ReportId};
use crate::domain::report::{ReportLimits, parse_statuses};
use crate::domain::units::{MINUTE, Millis, Score, Stake};

/// The first moment of a round.
pub(super) const T0: i64 = 1_748_779_200_000;

pub(super) const M: MinerUid = MinerUid(7);

pub(super) fn key(validator: usize) -> Hotkey {
    Hotkey::parse(&format!("v{validator:02}")).unwrap()
}

/// A report signed `at` milliseconds after [`T0`].
pub(super) fn report(validator: usize, at: i64, statuses: &str) -> Report {
    let parsed = parse_statuses(statuses, &ReportLimits::default()).unwrap();
    assert_eq!(parsed.rejections, []);
    let mut body_hash = [0_u8; 32];
    for (place, byte) in statuses.bytes().enumerate() {
        body_hash[place % 32] = body_hash[place % 32].wrapping_mul(31) ^ byte;
    }
    Report {
        id: ReportId(Uuid::from_u128((validator as u128) << 64 | at as u128)),
        validator: key(validator),
        epoch: None,
        sequence: None,
        signed_nanos: (T0 + at) * 1_000_000,
        partial: false,
        body_hash,
        statuses: parsed.statuses,
    }
}

/// One miner with a performance, serving.
pub(super) fn scored(uid: u16, performance: f64) -> String {
    format!(
        r#"[{{"uid":{uid},"hotkey":"m{uid}","stake":100,"is_serving":true,
        "performance_score":{performance},"current_load":1,"max_capacity":5}}]"#
    )
}

pub(super) struct Net {
    pub(super) table: ReportTable,
    pub(super) now: i64,
}

impl Net {
    pub(super) fn new() -> Self {
        Self { table: ReportTable::new(ConsensusPolicy::default()), now: 0 }
    }

    pub(super) fn seed() -> Self {
        let policy = ConsensusPolicy { mode: MergeMode::Seed, ..ConsensusPolicy::default() };
        Self { table: ReportTable::new(policy), now: 0 }
    }

    pub(super) fn at(&mut self, now: i64) -> &mut Self {
        self.now = now;
        self
    }

    pub(super) fn stake(&mut self, validator: usize, tokens: f64) -> &mut Self {
        self.table.set_standing(Standing {
            hotkey: key(validator),
            uid: Some(validator as u16),
            stake: Stake::from_tokens(tokens),
            reputation: Score::ONE,
        });
        self
    }

    pub(super) fn hear(&mut self, report: Report) -> Applied {
        self.table.apply(Millis(T0 + self.now), report)
    }

    /// A report signed now.
    pub(super) fn says(&mut self, validator: usize, statuses: &str) -> &mut Self {
        let report = report(validator, self.now, statuses);
        self.hear(report);
        self
    }

    pub(super) fn verdict(&mut self) -> Verdict {
        self.table.refresh(Millis(T0 + self.now));
        Verdict::clone(self.table.verdict(M).unwrap())
    }

    fn performance(&mut self) -> i64 {
        self.verdict().performance.unwrap().millionths()
    }
}

#[test]
fn a_verdict_shows_what_all_agree_on() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.says(validator, &scored(7, 0.8));
    }
    let verdict = net.verdict();
    assert_eq!(verdict.confidence, Score::ONE);
    assert_eq!(
        (verdict.is_serving, verdict.contested, verdict.single_source),
        (Some(true), false, false)
    );
    assert_eq!(verdict.hotkey, Some(Hotkey::parse("m7").unwrap()));
    assert_eq!(verdict.last_seen, Some(Millis(T0)));
    let public = serde_json::to_value(verdict.public()).unwrap();
    assert_eq!(public["performance_score"], 0.8);
    assert_eq!(public["stake"], 100.0);
    assert_eq!(public["consensus_validators"][0], "v00");
    let stored = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), verdict);
}

#[test]
fn a_miner_left_out_of_a_full_report_gets_a_not_serving_vote() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.says(validator, &scored(7, 0.8));
    }
    assert_eq!(net.verdict().is_serving, Some(true));
    net.at(5_000);
    for validator in 0..3 {
        let mut partial = report(validator, 4_000, &scored(8, 0.5));
        partial.partial = true;
        net.hear(partial);
    }
    assert_eq!(net.verdict().is_serving, Some(true), "partial reports leave nobody out");
    for validator in 0..3 {
        let applied = net.hear(report(validator, 5_000, &scored(8, 0.5)));
        assert!(applied.dirty.contains(&M));
    }
    let verdict = net.verdict();
    assert_eq!(verdict.is_serving, Some(false));
    assert_eq!(verdict.last_seen, Some(Millis(T0)));
    net.says(0, &scored(7, 0.8)).says(1, &scored(7, 0.8));
    assert_eq!(net.verdict().is_serving, Some(true), "back with the next reports");
}

#[test]
fn the_last_agreed_value_stays_when_a_vote_fails() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.says(validator, &scored(7, 0.8));
    }
    net.verdict();
    assert_eq!(net.table.take_agreed_changes()[0].1.is_serving, Some(true));
    net.at(MINUTE);
    for validator in 0..2 {
        net.says(validator, "[]");
    }
    let verdict = net.verdict();
    assert_eq!(verdict.is_serving, Some(true));
    assert_eq!(verdict.conflicts[0].field, "is_serving");
    assert_eq!(verdict.conflicts[0].voices.len(), 4);
    assert!(verdict.contested);
    assert_eq!(net.table.take_agreed_changes(), []);
}

#[test]
fn silent_validators_lose_their_weight_after_three_periods() {
    let mut net = Net::new();
    net.says(0, &scored(7, 0.2)).says(1, &scored(7, 0.8));
    assert_eq!(net.verdict().validators.len(), 2);
    net.at(60 * MINUTE).says(1, &scored(7, 0.8));
    let verdict = net.verdict();
    assert_eq!(verdict.validators.len(), 1);
    assert!(verdict.single_source);
    assert_eq!(net.performance(), 800_000);
    assert_eq!(net.table.stats().active_validators, 1);
    net.at(61 * MINUTE);
    assert!(net.table.refresh(Millis(T0 + net.now)).is_empty(), "nothing expired");
    net.at(200 * MINUTE);
    let verdict = net.verdict();
    assert_eq!((verdict.confidence, verdict.validators.len()), (Score::ZERO, 0));
}

#[test]
fn a_validators_own_period_sets_its_lifetime() {
    let mut net = Net::new();
    for step in 0..6 {
        net.at(step * 2 * MINUTE).says(0, &scored(7, 0.8));
    }
    net.at(11 * MINUTE).verdict();
    let view = net.table.validators().next().unwrap();
    assert_eq!((view.period_millis, view.is_active), (2 * MINUTE, true));
    net.at(17 * MINUTE).verdict();
    assert!(!net.table.validators().next().unwrap().is_active);
}

#[test]
fn reputation_counts_from_the_next_round() {
    let mut net = Net::new();
    for validator in 0..2 {
        net.stake(validator, 10.0).says(validator, &scored(7, 0.1 + 0.8 * validator as f64));
    }
    assert_eq!(net.performance(), 100_000, "the lower of two far apart");
    let standing = Standing {
        hotkey: key(0),
        uid: Some(0),
        stake: Stake::from_tokens(10.0),
        reputation: Score::ZERO,
    };
    net.table.set_standing(standing);
    assert_eq!(net.performance(), 100_000, "frozen for the round");
    assert_eq!(net.at(MINUTE).performance(), 900_000);
}

#[test]
fn a_new_registration_starts_without_the_old_ones_reports() {
    let mut net = Net::new();
    for validator in 0..3 {
        net.says(validator, &scored(7, 0.9));
    }
    net.verdict();
    net.table.ignore_before(M, Millis(T0 + 1_000), None);
    let changed = net.table.refresh(Millis(T0 + 1_000));
    assert_eq!(changed, [(M, None)]);
    assert_eq!(net.table.stats().known_miners, 0);
    let applied = net.hear(report(0, 500, &scored(7, 0.9)));
    assert_eq!(applied.ignored[0].why, WhyIgnored::OlderRegistration);
    net.at(2_000).says(0, &scored(7, 0.1)).says(1, &scored(7, 0.1)).says(2, &scored(7, 0.1));
    assert_eq!(net.performance(), 100_000);
}

#[test]
fn whoever_names_the_newcomer_speaks_of_it_also_before_it_was_registered() {
    let mut net = Net::new();
    let other = scored(7, 0.2).replace("m7", "m8");
    net.says(0, &scored(7, 0.9)).says(1, &other);
    net.verdict();
    let newcomer = Hotkey::parse("m8").unwrap();
    net.table.ignore_before(M, Millis(T0 + 1_000), Some(newcomer.clone()));
    net.table.merge_dirty(Millis(T0 + 1_000));
    assert_eq!(net.performance(), 200_000);
    assert_eq!(net.verdict().hotkey, Some(newcomer));
    let late = net.hear(report(2, 500, &scored(7, 0.9)));
    assert_eq!(late.ignored[0].why, WhyIgnored::OlderRegistration);
    assert_eq!(net.hear(report(3, 500, &other)).accepted, 1);
    assert_eq!(net.hear(report(4, 500, "[{\"uid\":7}]")).accepted, 0, "names nobody");
}

#[test]
fn equivocation_voids_the_epoch_until_the_validator_moves_on() {
    let mut net = Net::new();
    let labelled = |at, performance, epoch| Report {
        epoch: Some(epoch),
        sequence: Some(1),
        ..report(0, at, &scored(7, performance))
    };
    net.says(1, &scored(7, 0.5)).says(2, &scored(7, 0.5)).says(3, &scored(7, 0.5));
    assert_eq!(net.hear(labelled(0, 0.9, 4)).equivocation, None);
    assert_eq!(net.hear(labelled(1, 0.9, 4)).equivocation, None, "the same body again");
    let found = net.hear(labelled(2, 0.1, 4)).equivocation.unwrap();
    assert_eq!((found.epoch, found.sequence), (4, 1));
    assert_eq!(net.verdict().validators.len(), 3);
    net.hear(labelled(3, 0.5, 5));
    assert_eq!(net.verdict().validators.len(), 4);
}

#[test]
fn a_table_rebuilt_from_agreed_values_and_newest_reports_says_the_same() {
    let mut net = Net::new();
    for validator in 0..4 {
        net.stake(validator, 10.0).says(validator, &scored(7, 0.8));
    }
    net.verdict();
    let rows = net.table.take_agreed_changes();
    net.at(MINUTE);
    for validator in 0..4 {
        net.says(validator, if validator < 2 { "[]" } else { "[{\"uid\":7}]" });
    }
    let expected = net.verdict();

    let mut again = Net::new();
    for validator in 0..4 {
        again.stake(validator, 10.0);
    }
    let restored =
        |(uid, agreed)| Restored { uid, agreed, ignore_before: Millis(0), newcomer: None };
    again.table.restore(rows.into_iter().map(restored).collect());
    again.at(MINUTE);
    for validator in [2, 0, 3, 1] {
        again.hear(report(validator, 0, &scored(7, 0.8)));
        again.says(validator, if validator < 2 { "[]" } else { "[{\"uid\":7}]" });
    }
    assert_eq!(again.verdict(), expected);
}

#[test]
fn an_explanation_redoes_the_published_verdict() {
    let mut net = Net::new();
    for (validator, performance) in [(0, 0.80), (1, 0.81), (2, 0.82), (3, 0.0)] {
        net.says(validator, &scored(7, performance));
    }
    let verdict = net.verdict();
    let explained = net.table.explain(M).unwrap();
    assert_eq!(explained.verdict, verdict);
    let field = explained.fields.iter().find(|f| f.field == "performance_score").unwrap();
    assert_eq!(
        field.words.iter().map(|w| w.clipped).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert_eq!(field.reason, "weighted average of 3 of 4");
    assert_eq!(explained.fields[0].reason, "100.0 % of the weight agree");
    assert!(serde_json::to_string(&explained).unwrap().contains("lower_third"));
}

#[test]
fn the_key_figures_are_kept_in_step() {
    let mut net = Net::new();
    assert_eq!(net.table.stats(), ConsensusStats::default());
    net.says(0, &scored(7, 0.8)).says(1, &scored(7, 0.8)).says(2, "[]");
    net.says(0, &format!("{},{}", scored(7, 0.8).trim_end_matches(']'), &scored(9, 0.5)[1..]));
    net.verdict();
    let stats = net.table.stats();
    assert_eq!((stats.total_reports, stats.known_miners, stats.consensus_miners), (4, 2, 1));
    assert_eq!((stats.active_validators, stats.known_validators), (3, 3));
    assert_eq!(stats.coverage.millionths(), 500_000);
    let mean = net.table.verdicts().map(|v| v.confidence.millionths()).sum::<i64>() / 2;
    assert_eq!(stats.mean_confidence.millionths(), mean);
}

#[test]
fn a_file_of_reports_is_merged_offline() {
    let file = r#"[
        {"validator": 48, "stake": 5000, "epoch": 1, "sequence": 1, "received_at": 1748779200,
         "statuses": [{"uid": 7, "is_serving": true, "performance_score": 0.8}, {"uid": -1}]},
        {"validator": "5Fxyz", "stake": 5000, "received_at": "2025-06-01T12:00:10",
         "statuses": [{"uid": 7, "is_serving": true, "performance_score": 0.9}]},
        {"validator": 50, "stake": 5000, "received_at": "2025-01-01T00:00:00Z",
         "statuses": [{"uid": 7, "is_serving": true, "performance_score": 0.85}]}]"#;
    let merged = offline(file, MergeMode::Robust).unwrap();
    assert_eq!(merged.rejected.len(), 1);
    let public = serde_json::to_value(merged.verdicts[0].public()).unwrap();
    assert_eq!(public["uid"], 7);
    assert_eq!(public["consensus_validators"], serde_json::json!([48, 50, "5Fxyz"]));
    assert_eq!(public["is_serving"], true);
    assert_eq!(public["conflicts_detected"], serde_json::json!([]));
    assert!(offline("{}", MergeMode::Seed).is_err());
    let bad = r#"[{"validator": "a b", "received_at": 1, "statuses": []}]"#;
    let error = offline(bad, MergeMode::Seed).unwrap_err();
    assert!(error.to_string().starts_with("report 0: `validator`"), "{error}");
    assert_eq!(offline("[]", MergeMode::Robust), Ok(OfflineMerge::default()));
}

#[test]
fn the_report_period_shows_with_the_second_report_and_hasty_retries_do_not_hide_it() {
    let mut net = Net::new();
    let one = r#"[{"uid":1,"is_serving":true}]"#;
    let one = one.replace("\"uid\":1", &format!("\"uid\":{}", M.0));
    let period = |net: &mut Net| {
        net.verdict();
        net.table.report_period(M)
    };
    net.at(0).says(0, &one);
    assert_eq!(period(&mut net), None);
    net.at(1_000).says(0, &one);
    assert_eq!(period(&mut net), Some(MINUTE), "a retry: no shorter than the shortest believed");
    net.at(20 * MINUTE).says(0, &one);
    assert_eq!(period(&mut net), Some(20 * MINUTE - 1_000));
    net.at(40 * MINUTE).says(0, &one);
    assert_eq!(period(&mut net), Some(20 * MINUTE - 1_000));
    // A lone frequent reporter does not shorten what two slow ones show.
    for at in [41, 42, 43] {
        net.at(at * MINUTE).says(1, &one);
    }
    for at in [44, 64] {
        net.at(at * MINUTE).says(2, &one);
    }
    net.at(64 * MINUTE).says(1, &one).says(0, &one);
    assert_eq!(period(&mut net), Some(20 * MINUTE));
}
