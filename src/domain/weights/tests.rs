//! The golden vector, the edges of each step, and what is refused.

use uuid::Uuid;

use super::*;
use crate::domain::ids::{MinerUid, RegistrationId};
use crate::domain::limits::{WEIGHT_KINDS_MAX, WEIGHT_MINERS_MAX, WEIGHT_SCORES_MAX};

pub(super) fn kind(name: &str, weight: f64, sigmoid: bool) -> WeightedKind {
    WeightedKind { name: name.to_owned(), weight, sigmoid }
}

pub(super) fn value(uid: u16, kind: &str, score: f64) -> TaskValue<'_> {
    TaskValue { miner: MinerUid(uid).into(), kind, score }
}

/// Three kinds of unequal weight, the second on a sigmoid.
pub(super) fn kinds() -> Vec<WeightedKind> {
    vec![kind("W", 0.70, true), kind("G", 0.15, true), kind("S", 0.15, false)]
        .into_iter()
        .map(|kind| WeightedKind { sigmoid: kind.name == "G", ..kind })
        .collect()
}

pub(super) fn run(name: PolicyName, values: &[TaskValue<'_>]) -> Calculation {
    compute(&name.policy(), &kinds(), values).unwrap()
}

/// Weights of miners that have these scores at one plain kind.
fn weights_of(scores: &[f64]) -> Calculation {
    let values: Vec<_> =
        scores.iter().zip(0..).map(|(&score, uid)| value(uid, "A", score)).collect();
    compute(&Policy::default(), &[kind("A", 1.0, false)], &values).unwrap()
}

fn weights(calculation: &Calculation) -> Vec<f64> {
    calculation.records.iter().map(|record| record.weight).collect()
}

fn close(got: f64, expected: f64, within: f64) -> bool {
    (got - expected).abs() <= within
}

/// Scores at W, G and S.
type GoldenScores = [Option<f64>; 3];

const GOLDEN: [(GoldenScores, f64, f64, Pathway, f64); 12] = {
    use Pathway::{Diversity, Excellence};
    [
        ([Some(0.90), Some(0.95), None], 0.630000, 0.897087, Diversity, 0.46068095),
        ([Some(0.85), None, Some(0.70)], 0.595000, 0.833437, Diversity, 0.01562918),
        ([Some(0.80), Some(0.93), Some(0.60)], 0.0, 1.024088, Diversity, 0.50379994),
        ([Some(0.75), Some(0.92), None], 0.0, 0.716813, Diversity, 0.00356203),
        ([Some(0.70), None, Some(0.55)], 0.0, 0.644135, Diversity, 0.00320088),
        ([Some(0.65), Some(0.90), Some(0.50)], 0.0, 0.735582, Diversity, 0.00365530),
        ([Some(0.60), Some(0.89), Some(0.45)], 0.0, 0.600332, Diversity, 0.00298321),
        ([Some(0.55), Some(0.88), Some(0.40)], 0.0, 0.455175, Diversity, 0.00226189),
        ([Some(0.50), Some(0.87), Some(0.35)], 0.0, 0.322660, Diversity, 0.00160338),
        ([Some(0.45), Some(0.86), Some(0.30)], 0.0, 0.223261, Diversity, 0.00110945),
        ([Some(0.40), Some(0.85), Some(0.25)], 0.0, 0.159131, Diversity, 0.00079077),
        ([None, Some(0.97), None], 0.145500, 0.134838, Excellence, 0.00072303),
    ]
};

fn golden_values() -> Vec<TaskValue<'static>> {
    let mut values = Vec::new();
    for ((scores, ..), uid) in GOLDEN.iter().zip(0..) {
        let named = ["W", "G", "S"].into_iter().zip(scores);
        values.extend(named.filter_map(|(name, score)| Some(value(uid, name, (*score)?))));
    }
    values
}

#[test]
fn the_golden_vector_comes_out_to_its_last_digit() {
    let calculation = run(PolicyName::Original, &golden_values());
    assert_eq!(calculation.records.len(), GOLDEN.len());
    assert_eq!(calculation.excellence_boost, 1.0);
    let midpoint = calculation.transform.midpoint.unwrap();
    assert!(close(midpoint, 0.794_722_904_1, 5e-11), "M = {midpoint}");
    assert!(!calculation.transform.rank_fallback);
    for (record, (_, excellence, diversity, pathway, weight)) in
        calculation.records.iter().zip(GOLDEN)
    {
        assert!(close(record.excellence_weight, excellence, 5e-7), "E {record:?}");
        assert!(close(record.diversity_weight, diversity, 5e-7), "D {record:?}");
        assert_eq!(record.scoring_pathway, pathway, "{record:?}");
        assert!(close(record.weight, weight, 5e-9), "{record:?}");
    }
    let most = |record: &&Record| record.weight_u16 == u16::MAX;
    assert_eq!(calculation.records.iter().filter(most).count(), 1);
    assert_eq!(calculation.records[2].weight_u16, u16::MAX);
}

/// Computed apart from this program, by the formulas, with the boost of the default policy.
#[test]
fn the_default_policy_pays_excellence_what_diversity_could() {
    let calculation = run(PolicyName::Default, &golden_values());
    for (uid, excellence, weight) in
        [(0, 0.865_823, 0.460_556_30), (1, 0.817_721, 0.015_624_95), (11, 0.199_964, 0.000_993_40)]
    {
        let record = &calculation.records[uid];
        assert!(close(record.excellence_weight, excellence, 5e-7), "{record:?}");
        assert!(close(record.weight, weight, 5e-9), "{record:?}");
    }
    assert_eq!(calculation.records[11].scoring_pathway, Pathway::Excellence);
}

#[test]
fn the_trace_of_a_miner_adds_up() {
    let calculation = run(PolicyName::Default, &golden_values());
    let g = &calculation.kinds[1];
    assert_eq!((&*g.name, g.scored, g.ranked), ("G", 10, true));
    assert_eq!(g.sigmoid.unwrap().slope, 30.0);
    // The 85th percentile of ten is between the eighth and the ninth.
    assert!(close(g.excellence_threshold.unwrap(), 0.93 + 0.02 * 0.65, 1e-12), "{g:?}");
    assert_eq!(calculation.kinds[2].excellence_threshold, None, "nine are too few");
    let first = &calculation.records[0];
    let names: Vec<_> = first.excellence_qualified_tasks.iter().map(|name| &**name).collect();
    assert_eq!(names, ["W", "G"]);
    assert_eq!(first.multi_task_bonus, 1.0);
    let w = &first.tasks[0];
    assert_eq!((&*w.kind, w.score, w.percentile_rank, w.spread_score), ("W", 0.9, 100.0, 0.9));
    assert_eq!(w.multiplier, Policy::default().multiplier(100.0));
    assert!(first.tasks[1].spread_score > 0.7, "{first:?}");
    for record in &calculation.records {
        let parts: f64 = record.tasks.iter().map(|task| task.diversity_part).sum();
        assert!(close(parts, record.diversity_weight, 1e-12), "{record:?}");
        let shares: f64 = record.tasks.iter().map(|task| task.weight_contribution).sum();
        assert!(close(shares, record.weight, 1e-12), "{record:?}");
        assert_eq!(record.place, None);
    }
}

#[test]
fn contributions_of_an_excelling_miner_are_of_its_best_kind() {
    // Best of ten at W, worst at G: excellence counts, and owes nothing to G.
    let mut values: Vec<_> =
        (0..10).map(|uid| value(uid, "W", 0.5 + f64::from(uid) / 100.0)).collect();
    values.extend((0..10).map(|uid| value(uid, "S", 0.0)));
    let policy = Policy { excellence_boost: Boost::Factor(3.0), ..Policy::default() };
    let calculation = compute(&policy, &kinds(), &values).unwrap();
    let best = &calculation.records[9];
    assert_eq!(best.scoring_pathway, Pathway::Excellence);
    assert_eq!(best.tasks[0].weight_contribution, best.weight);
    assert_eq!(best.tasks[1].weight_contribution, 0.0);
    // Nobody excels by a score of 0, though it is above nobody's.
    assert_eq!(best.excellence_qualified_tasks.len(), 1);
}

#[test]
fn without_scores_there_are_no_records() {
    let calculation = run(PolicyName::Default, &[]);
    assert_eq!(calculation.records, []);
    assert_eq!(calculation.transform.midpoint, None);
    assert_eq!(compute(&Policy::default(), &[], &[]).unwrap().records, []);
}

#[test]
fn one_miner_has_all() {
    let calculation = weights_of(&[0.2]);
    assert_eq!(weights(&calculation), [1.0]);
    assert_eq!(calculation.records[0].weight_u16, u16::MAX);
    assert!(!calculation.transform.rank_fallback);
}

#[test]
fn below_five_nobody_is_ranked_and_below_ten_nobody_excels() {
    let scores: Vec<f64> = (1..=10).map(|n| f64::from(n) / 10.0).collect();
    for count in 1..=10 {
        let calculation = weights_of(&scores[..count]);
        let best = calculation.records.last().unwrap();
        let percentile = if count < 5 { 50.0 } else { 100.0 };
        assert_eq!(best.tasks[0].percentile_rank, percentile, "{count}");
        assert_eq!(best.excellence_weight > 0.0, count == 10, "{count}");
    }
    // Eight and a half of nine steps up: the ninth does not excel, the tenth does.
    let ten = weights_of(&scores);
    let excel = |records: &[Record]| records.iter().filter(|r| r.excellence_weight > 0.0).count();
    assert_eq!(excel(&ten.records), 2, "0.9 and 1.0 are from the 85th percentile, 0.865, on");
    // Of 21 the 85th percentile is the eighteenth itself, and it excels.
    let many: Vec<f64> = (0..21).map(|n| f64::from(n) / 40.0).collect();
    assert_eq!(excel(&weights_of(&many).records), 4);
    assert_eq!(excel(&weights_of(&[0.5; 10]).records), 10);
}

#[test]
fn who_scores_nothing_gets_nothing() {
    let calculation = weights_of(&[0.0, 0.0, 0.0]);
    assert_eq!(weights(&calculation), [0.0; 3]);
    for record in &calculation.records {
        assert_eq!(record.scoring_pathway, Pathway::None);
        assert_eq!((record.relative_weight, record.transformed_weight), (0.0, 0.0));
    }
    assert!(calculation.records.iter().all(|record| record.weight_u16 == 0));
    assert!(!calculation.transform.rank_fallback);
    // The curve of step 5 is above 0 at 0: three ghosts would be paid by it here.
    let calculation = weights_of(&[0.0, 0.5, 0.0, 0.0]);
    assert_eq!(weights(&calculation), [0.0, 1.0, 0.0, 0.0]);
    let upscaled: Vec<_> =
        calculation.records.iter().map(|r| (r.miner.uid.0, r.weight_u16)).collect();
    assert_eq!(
        upscaled.iter().filter(|(_, weight)| *weight > 0).collect::<Vec<_>>(),
        [&(1, u16::MAX)]
    );
    // Nor do they move the turning point, or make the one that is left alike.
    assert_eq!(calculation.transform.midpoint, Some(1.0));
    assert!(!calculation.transform.rank_fallback);
    // Nor have they places.
    let calculation = weights_of(&[0.0, 0.5, 0.5]);
    assert!(calculation.transform.rank_fallback);
    assert_eq!(weights(&calculation), [0.0, 0.5, 0.5]);
    assert_eq!(calculation.records[0].place, None);
}

#[test]
fn equal_raw_weights_share_the_mean_of_their_places() {
    // All within the flat part of the curve but the best two, who are the turning point.
    let calculation = weights_of(&[0.5, 0.9, 0.7, 0.9, 0.7, 0.7]);
    assert!(calculation.transform.rank_fallback, "{:?}", calculation.transform);
    let places: Vec<_> = calculation.records.iter().map(|record| record.place).collect();
    assert_eq!(places, [6.0, 1.5, 4.0, 1.5, 4.0, 4.0].map(Some));
    let worth = |place: f64| place.powf(-1.2);
    let sum = worth(6.0) + 2.0 * worth(1.5) + 3.0 * worth(4.0);
    for (weight, place) in weights(&calculation).into_iter().zip(places) {
        assert!(close(weight, worth(place.unwrap()) / sum, 1e-12), "{weight} at {place:?}");
    }
    let equal = weights(&weights_of(&[0.4; 8]));
    assert!(equal.iter().all(|weight| *weight == equal[0] && close(*weight, 0.125, 1e-15)));
}

/// The same sum, added up in another order, differs in its last digits, and they would decide.
#[test]
fn the_same_parts_at_other_kinds_are_the_same_raw_weight() {
    let names = ["A", "B", "C"];
    let three = names.map(|name| kind(name, 1.0, false));
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let mut values = Vec::new();
    for (order, uid) in orders.iter().zip(0..) {
        let scores = order.iter().map(|&place| [0.3, 0.4, 0.9][place]);
        values.extend(names.iter().zip(scores).map(|(name, score)| value(uid, name, score)));
    }
    let calculation = compute(&Policy::default(), &three, &values).unwrap();
    assert!(calculation.records.iter().all(|record| record.place == Some(3.5)), "{calculation:?}");
}

#[test]
fn places_count_only_where_the_transformed_are_alike() {
    let calculation = weights_of(&[0.1, 0.2, 0.3, 0.4, 0.9]);
    assert!(!calculation.transform.rank_fallback);
    assert!(calculation.transform.std > 0.01);
    assert!(weights(&calculation)[4] > 0.9, "{:?}", weights(&calculation));
}

#[test]
fn a_kind_of_no_weight_is_as_if_it_were_not_there() {
    let mut values = golden_values();
    let expected = run(PolicyName::Default, &values);
    values.extend((0..12).map(|uid| value(uid, "free", 1.0)));
    let mut with_free = kinds();
    with_free.push(kind("free", 0.0, false));
    let calculation = compute(&Policy::default(), &with_free, &values).unwrap();
    assert_eq!(weights(&calculation), weights(&expected));
    assert_eq!(calculation.excellence_boost, expected.excellence_boost);
}

#[test]
fn only_the_ratios_of_the_kinds_weights_matter() {
    let halved: Vec<_> =
        kinds().into_iter().map(|k| WeightedKind { weight: k.weight / 2.0, ..k }).collect();
    let calculation = compute(&Policy::default(), &halved, &golden_values()).unwrap();
    assert_eq!(weights(&calculation), weights(&run(PolicyName::Default, &golden_values())));
}

#[test]
fn a_zero_has_no_sign() {
    let free = [kind("A", -0.0, false), kind("B", 1.0, false)];
    let values = [value(0, "A", 0.5), value(1, "B", -0.0)];
    for values in [&values[..], &[]] {
        let calculation = compute(&Policy::default(), &free, values).unwrap();
        let text = serde_json::to_string(&calculation).unwrap();
        assert!(!text.contains("-0"), "{text}");
    }
}

/// The best of everything earns as much by diversity as by excellence; rounding must not call that
/// excellence.
#[test]
fn where_both_pathways_pay_the_same_it_is_diversity() {
    for scored in 10..60_u16 {
        let scores: Vec<f64> = (1..=scored).map(|n| f64::from(n) / 61.0).collect();
        let best = weights_of(&scores).records.pop().unwrap();
        assert_eq!(best.excellence_weight, best.diversity_weight);
        assert_eq!(best.scoring_pathway, Pathway::Diversity);
    }
}

#[test]
fn two_owners_of_a_uid_are_two_miners() {
    let owner =
        |id| Miner { uid: MinerUid(7), registration: Some(RegistrationId(Uuid::from_u128(id))) };
    let of = |id, score| TaskValue { miner: owner(id), kind: "W", score };
    let calculation = run(PolicyName::Default, &[of(2, 0.9), of(1, 0.1)]);
    let miners: Vec<_> = calculation.records.iter().map(|record| record.miner).collect();
    assert_eq!(miners, [owner(1), owner(2)]);
    assert!(calculation.records[1].weight > calculation.records[0].weight);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let refused = |kinds: &[WeightedKind], values: &[TaskValue<'_>]| {
        compute(&Policy::default(), kinds, values).unwrap_err()
    };
    let fine = value(1, "W", 0.5);
    for got in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 1.000_001] {
        let error = refused(&kinds(), &[fine, value(2, "W", got)]);
        assert!(matches!(error, WeightsError::BadScore { index: 1, .. }), "{error}");
        let error = refused(&[kind("A", 1.0, false), kind("B", got, false)], &[]);
        assert!(matches!(error, WeightsError::BadKindWeight { index: 1, .. }), "{error}");
        let policy = Policy { bonus_base: got.min(-1.0), ..Policy::default() };
        let error = compute(&policy, &kinds(), &[]).unwrap_err();
        assert!(matches!(error, WeightsError::BadPolicy { field: "bonus_base", .. }), "{error}");
    }
    assert_eq!(
        refused(&kinds(), &[fine, value(1, "X", 0.5)]),
        WeightsError::UnknownKind { index: 1, got: "X".to_owned() }
    );
    assert_eq!(
        refused(&kinds(), &[fine, value(2, "W", 0.5), value(1, "G", 0.5), fine]),
        WeightsError::DoubledScore { index: 3, first: 0 }
    );
    assert_eq!(
        refused(&[kind("A", 1.0, false), kind("A", 0.5, true)], &[]),
        WeightsError::DoubledKind { index: 1, first: 0 }
    );
    for name in [String::new(), "x".repeat(121)] {
        let error = refused(&[kind(&name, 1.0, false)], &[]);
        assert!(matches!(error, WeightsError::BadKindName { index: 0, .. }), "{error}");
    }
}

#[test]
fn more_than_the_limits_is_refused() {
    let many: Vec<_> = (0..=WEIGHT_KINDS_MAX).map(|n| kind(&n.to_string(), 1.0, false)).collect();
    let refused = |kinds: &[WeightedKind], values: &[TaskValue<'_>]| {
        compute(&Policy::default(), kinds, values).unwrap_err()
    };
    assert_eq!(refused(&many, &[]), WeightsError::TooManyKinds { max: WEIGHT_KINDS_MAX });
    assert!(compute(&Policy::default(), &many[1..], &[]).is_ok());
    let scores = vec![value(1, "W", 0.5); WEIGHT_SCORES_MAX + 1];
    assert_eq!(refused(&kinds(), &scores), WeightsError::TooManyScores { max: WEIGHT_SCORES_MAX });
    let miners: Vec<_> = (0..=WEIGHT_MINERS_MAX)
        .map(|n| {
            let registration = Some(RegistrationId(Uuid::from_u128(n as u128)));
            let miner = Miner { uid: MinerUid(0), registration };
            TaskValue { miner, kind: "W", score: 0.5 }
        })
        .collect();
    assert_eq!(refused(&kinds(), &miners), WeightsError::TooManyMiners { max: WEIGHT_MINERS_MAX });
    assert!(compute(&Policy::default(), &kinds(), &miners[1..]).is_ok());
}
