//! How validators earn, lose and regain their weight.

use super::super::tests::{Net, T0, key, report};
use super::super::*;
use crate::domain::ids::MinerUid;
use crate::domain::units::{MINUTE, Millis, ONE, Score};

const MINERS: u16 = 48;

/// A miner's performance, thousandths.
fn truth(uid: u16) -> i64 {
    400 + i64::from(uid) * 97 % 400
}

/// An honest error, thousandths; each validator's own.
fn noise(validator: usize, uid: u16, epoch: i64) -> i64 {
    let mixed = (validator as i64 * 7_919 + i64::from(uid) * 104_729 + epoch * 1_299_709) % 65_537;
    mixed * mixed % 65_537 % 61 - 30
}

fn said(score: impl Fn(u16) -> i64) -> String {
    let entry = |uid| {
        let score = score(uid).clamp(0, 1_000) as f64 / 1_000.0;
        format!(r#"{{"uid":{uid},"is_serving":true,"performance_score":{score}}}"#)
    };
    format!("[{}]", (0..MINERS).map(entry).collect::<Vec<_>>().join(","))
}

/// Eight validators report every 20 minutes; what the first `liars` say is up to `lie`, given
/// uid and what they would honestly say.
fn run(net: &mut Net, epochs: std::ops::Range<i64>, liars: usize, lie: impl Fn(u16, i64) -> i64) {
    for epoch in epochs {
        net.at(epoch * 20 * MINUTE);
        for validator in 0..8 {
            let honest = |uid| truth(uid) + noise(validator, uid, epoch);
            let word = |uid| if validator < liars { lie(uid, honest(uid)) } else { honest(uid) };
            net.says(validator, &said(word));
        }
    }
    let next = Millis(T0 + net.now + MINUTE);
    net.table.refresh(next);
}

fn view(net: &Net, validator: usize) -> ValidatorView {
    net.table.validators().find(|view| view.hotkey == key(validator)).unwrap()
}

fn observe_all(net: &mut Net) {
    for uid in 0..MINERS {
        let performance = Some(Score::clamped(truth(uid) * 1_000));
        let seen = Observation { performance, is_serving: Some(true), evidence: 200 };
        net.table.observe(MinerUid(uid), Some(seen));
    }
}

fn error(net: &Net) -> i64 {
    let off = |v: &std::sync::Arc<Verdict>| {
        v.performance.unwrap().millionths().abs_diff(truth(v.uid.0) * 1_000) as i64
    };
    net.table.verdicts().map(off).sum::<i64>() / i64::from(MINERS)
}

#[test]
fn a_liar_is_quarantined_and_comes_back_by_way_of_probation() {
    let mut net = Net::new();
    run(&mut net, 0..3, 1, |uid, _| i64::from(truth(uid) < 500) * 1_000);
    let liar = view(&net, 0);
    assert_eq!((liar.track.phase, liar.base_weight), (Phase::Quarantined, 0));
    assert_eq!(liar.track.reason, Reason::NumbersDiffer);
    let events = net.table.take_events();
    assert!(
        events.iter().any(|e| matches!(e, Event::Quarantined { hotkey, .. } if *hotkey == key(0)))
    );
    assert!(events.iter().any(|e| matches!(e, Event::ValidatorDrifting { .. })));
    let mut phases = Vec::new();
    for epoch in 3..20 {
        run(&mut net, epoch..epoch + 1, 0, |_, honest| honest);
        phases.push(view(&net, 0).track.phase);
    }
    phases.dedup();
    assert_eq!(phases, [Phase::Quarantined, Phase::Probation, Phase::Trusted]);
    let events = net.table.take_events();
    assert!(matches!(events.as_slice(), [Event::Probation { .. }, Event::Restored { .. }]));
    assert_eq!(view(&net, 0).track.history.len(), 16, "bounded");
    let mut base: Vec<_> = (0..8).map(|validator| view(&net, validator).base_weight).collect();
    base.sort_unstable();
    assert!(base[7] - base[0] < 20_000, "{base:?}");
}

#[test]
fn an_honest_strict_grader_is_corrected_and_not_punished() {
    let mut net = Net::new();
    run(&mut net, 0..5, 1, |_, honest| honest - 150);
    let strict = view(&net, 0);
    assert!((strict.track.bias + 150_000).abs() < 12_000, "{:?}", strict.track);
    assert!(strict.track.trust() > 990_000 && strict.base_weight > 110_000, "{strict:?}");
    let explained = net.table.explain(MinerUid(5)).unwrap();
    assert_eq!(explained.votes[0].bias, strict.track.bias);
    let field = explained.fields.iter().find(|f| f.field == "performance_score").unwrap();
    let Word::Number(raw) = field.words[0].word else { panic!("a number") };
    assert_eq!(field.words[0].counted_as, Some(raw - strict.track.bias));
    assert!(error(&net) < 9_000, "{}", error(&net));
}

#[test]
fn a_bias_that_leaps_is_no_constant_one() {
    let mut net = Net::new();
    for epoch in 0..6 {
        let lie = if epoch % 2 == 0 { 200 } else { -200 };
        run(&mut net, epoch..epoch + 1, 2, |_, honest| honest + lie);
    }
    let track = view(&net, 0).track;
    assert_eq!((track.bias, track.phase), (0, Phase::Quarantined));
}

#[test]
fn a_minority_that_shifts_everything_does_not_shift_the_verdicts() {
    let mut net = Net::new();
    run(&mut net, 0..10, 3, |_, honest| honest + 200);
    assert!(error(&net) < 12_000, "{}", error(&net));
}

#[test]
fn a_common_bias_of_all_stays_where_it_is() {
    let mut net = Net::new();
    run(&mut net, 0..12, 8, |_, honest| honest - 100);
    assert!((0..8).all(|validator| view(&net, validator).track.bias == 0));
    assert!((error(&net) - 100_000).abs() < 3_000, "{}", error(&net));
    observe_all(&mut net);
    run(&mut net, 12..20, 8, |_, honest| honest - 100);
    assert!((error(&net) - 100_000).abs() < 3_000, "our scale is not put over theirs");
    assert!((0..8).all(|validator| view(&net, validator).track.phase == Phase::Trusted));
}

#[test]
fn observation_beats_a_lying_majority() {
    for observes in [false, true] {
        let mut net = Net::new();
        if observes {
            observe_all(&mut net);
        }
        run(&mut net, 0..6, 5, |uid, _| i64::from(truth(uid) < 500) * 1_000);
        assert_eq!(error(&net) < 15_000, observes, "{}", error(&net));
        if observes {
            let liar = view(&net, 0).track;
            assert_eq!(liar.reason, Reason::ContradictedByObservation);
        }
    }
}

#[test]
fn validators_that_err_together_weigh_as_one() {
    let mut net = Net::new();
    let inflate = |uid, honest| if uid % 8 == 0 { 1_000 } else { honest };
    run(&mut net, 0..6, 3, inflate);
    let shares: Vec<_> = (0..4).map(|v| view(&net, v).track.clique_share).collect();
    assert!(shares[..3].iter().all(|share| (250_000..450_000).contains(share)), "{shares:?}");
    assert_eq!(shares[3], ONE);
    let events = net.table.take_events();
    assert!(
        events.iter().any(|e| matches!(e, Event::Clique { hotkeys, .. } if hotkeys.len() == 3))
    );
    assert!(error(&net) < 15_000, "{}", error(&net));
}

#[test]
fn who_copies_another_shares_its_weight() {
    let mut net = Net::new();
    for epoch in 0..4 {
        run(&mut net, epoch..epoch + 1, 2, |uid, _| truth(uid) + noise(99, uid, epoch));
    }
    assert_eq!(view(&net, 0).track.clique_share, ONE / 2);
    assert_eq!(view(&net, 0).track.phase, Phase::Trusted);
    assert_eq!(view(&net, 2).track.clique_share, ONE);
}

#[test]
fn silence_and_return_are_told_once() {
    let mut net = Net::new();
    run(&mut net, 0..1, 0, |_, honest| honest);
    net.table.take_events();
    for minute in [61, 62, 70] {
        net.table.refresh(Millis(T0 + minute * MINUTE));
    }
    assert_eq!(net.table.take_events().len(), 8);
    net.at(80 * MINUTE).says(0, &said(truth));
    net.table.refresh(Millis(T0 + 81 * MINUTE));
    assert_eq!(net.table.take_events(), [Event::ValidatorBack { hotkey: key(0) }]);
}

#[test]
fn a_restart_changes_no_byte() {
    let lie = |uid, honest| if uid % 8 == 0 { 1_000 } else { honest - 60 };
    let mut net = Net::new();
    run(&mut net, 0..4, 2, lie);
    let tracks = serde_json::to_string(&net.table.take_reputation_changes()).unwrap();
    let agreed = net.table.take_agreed_changes();
    let mut again = Net::new();
    again.table.restore_reputations(serde_json::from_str(&tracks).unwrap());
    let restored =
        |(uid, agreed)| Restored { uid, agreed, ignore_before: Millis(0), newcomer: None };
    again.table.restore(agreed.into_iter().map(restored).collect());
    again.at(61 * MINUTE);
    for validator in [3, 1, 7, 0, 2, 6, 5, 4] {
        // What is stored are the newest reports; their signed time is that of the epoch.
        for epoch in 0..4 {
            let honest = |uid| truth(uid) + noise(validator, uid, epoch);
            let word = |uid| if validator < 2 { lie(uid, honest(uid)) } else { honest(uid) };
            again.hear(report(validator, epoch * 20 * MINUTE, &said(word)));
        }
    }
    again.table.refresh(Millis(T0 + 61 * MINUTE));
    assert_eq!(again.table.take_reputation_changes(), [], "nothing is judged twice");
    for now in 4..7 {
        let verdicts =
            |net: &Net| serde_json::to_string(&net.table.verdicts().collect::<Vec<_>>()).unwrap();
        assert_eq!(verdicts(&again), verdicts(&net));
        run(&mut net, now..now + 1, 2, lie);
        run(&mut again, now..now + 1, 2, lie);
    }
}

#[test]
fn a_verdict_can_be_replayed_from_its_stored_inputs() {
    let mut net = Net::new();
    run(&mut net, 0..5, 2, |uid, honest| if uid % 5 == 0 { 1_000 } else { honest - 120 });
    for verdict in net.table.verdicts() {
        let inputs = net.table.inputs(verdict.uid).unwrap();
        let stored = serde_json::to_string(&inputs).unwrap();
        let again = replay(&serde_json::from_str(&stored).unwrap());
        let bytes = |verdict: &Verdict| serde_json::to_string(verdict).unwrap();
        assert_eq!(bytes(&again), bytes(verdict));
        let explained = explain(&inputs.policy, &inputs.ballot());
        assert_eq!(explained.verdict, **verdict);
    }
}

#[test]
fn switched_off_nobody_earns_or_loses() {
    let mut policy = ConsensusPolicy::default();
    policy.reputation.enabled = false;
    let mut net = Net { table: ReportTable::new(policy), now: 0 };
    run(&mut net, 0..6, 2, |_, honest| honest + 200);
    assert!((0..8).all(|validator| view(&net, validator).base_weight == ONE / 8));
    assert_eq!(view(&net, 0).track, ReputationState::default());
}

#[test]
fn two_honest_validators_keep_a_liar_in_quarantine() {
    let mut net = Net::new();
    for epoch in 0..6 {
        net.at(epoch * MINUTE);
        for validator in 0..3 {
            net.says(validator, &said(|_| if validator == 2 { 0 } else { 900 }));
        }
        net.table.refresh(Millis(T0 + (epoch + 1) * MINUTE));
        let weights = [0, 1, 2].map(|validator| view(&net, validator).base_weight);
        assert_eq!(weights, [500_000, 500_000, 0], "{epoch}");
        let liar = view(&net, 2);
        let step = liar.track.history.last().copied().unwrap();
        assert_eq!(
            (step.agreement, liar.track.phase),
            (0, Phase::Quarantined),
            "{epoch}: {liar:?}"
        );
    }
}
