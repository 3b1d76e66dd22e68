//! Invariant 12 and the rules of the pipeline, for any scores.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tests::{kinds, run, value};
use super::*;
use crate::domain::ids::MinerUid;

const NAMES: [&str; 3] = ["W", "G", "S"];

/// Scores by uid and kind. Many are equal, as they are where few tasks were judged.
type Scores = BTreeMap<(u16, usize), f64>;

fn any_score() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (0..=10_u32).prop_map(|tenths| f64::from(tenths) / 10.0),
        1 => (990_000..=1_000_000_u32).prop_map(|millionths| f64::from(millionths) / 1e6),
        2 => 0.0..=1.0_f64,
    ]
}

fn any_scores() -> impl Strategy<Value = Scores> {
    let most = prop_oneof![Just(4_u16), Just(12), Just(40)];
    most.prop_flat_map(|most| {
        let key = (0..most, 0..NAMES.len());
        prop::collection::btree_map(key, any_score(), 0..usize::from(most) * 2)
    })
}

fn any_policy() -> impl Strategy<Value = PolicyName> {
    prop_oneof![Just(PolicyName::Original), Just(PolicyName::Default)]
}

fn values(scores: &Scores) -> Vec<TaskValue<'static>> {
    scores.iter().map(|(&(uid, kind), &score)| value(uid, NAMES[kind], score)).collect()
}

fn raw_of(calculation: &Calculation, uid: u16) -> f64 {
    let own = calculation.records.iter().find(|record| record.miner.uid == MinerUid(uid));
    own.unwrap().raw_calculated_weight
}

fn bytes(calculation: &Calculation) -> String {
    serde_json::to_string(calculation).unwrap()
}

/// The bits of a miner's scores by kind.
fn inputs(record: &Record) -> Vec<(&str, u64)> {
    record.tasks.iter().map(|task| (&*task.kind, task.score.to_bits())).collect()
}

/// The bits of a miner's weights.
fn outputs(record: &Record) -> [u64; 3] {
    let floats = [record.weight, record.raw_calculated_weight].map(f64::to_bits);
    [floats[0], floats[1], record.weight_u16.into()]
}

proptest! {
    #[test]
    fn weights_sum_to_one_or_are_all_zero(scores in any_scores(), policy in any_policy()) {
        let calculation = run(policy, &values(&scores));
        let records = &calculation.records;
        let sum: f64 = records.iter().map(|record| record.weight).sum();
        if records.iter().any(|record| record.raw_calculated_weight > 0.0) {
            prop_assert!((sum - 1.0).abs() <= 1e-12, "{sum}");
            prop_assert!(records.iter().any(|record| record.weight_u16 == u16::MAX));
        } else {
            prop_assert!(records.iter().all(|r| r.weight == 0.0 && r.weight_u16 == 0));
        }
        for record in records {
            prop_assert!(record.weight >= 0.0 && record.weight <= 1.0, "{record:?}");
            prop_assert_eq!(record.weight > 0.0, record.raw_calculated_weight > 0.0);
        }
    }

    #[test]
    fn raw_is_the_larger_of_both_and_the_pathway_says_which(
        scores in any_scores(), policy in any_policy(),
    ) {
        for record in run(policy, &values(&scores)).records {
            let (excellence, diversity) = (record.excellence_weight, record.diversity_weight);
            prop_assert_eq!(record.raw_calculated_weight, excellence.max(diversity));
            let expected = match record.scoring_pathway {
                Pathway::Excellence => excellence > diversity,
                Pathway::Diversity => diversity > 0.0 && diversity >= excellence,
                Pathway::None => diversity == 0.0 && excellence == 0.0,
            };
            prop_assert!(expected, "{:?}", record);
            let shares: f64 = record.tasks.iter().map(|task| task.weight_contribution).sum();
            prop_assert!((shares - record.weight).abs() <= 1e-12, "{:?}", record);
        }
    }

    #[test]
    fn the_order_of_the_values_changes_no_byte(
        (shuffled, sorted) in any_scores().prop_flat_map(|scores| {
            let sorted = values(&scores);
            (Just(sorted.clone()).prop_shuffle(), Just(sorted))
        }),
        policy in any_policy(),
    ) {
        let expected = bytes(&run(policy, &sorted));
        prop_assert_eq!(&bytes(&run(policy, &shuffled)), &expected);
        prop_assert_eq!(bytes(&run(policy, &sorted)), expected, "recomputed");
    }

    /// Everything that the others did stays; their percentiles may fall, one's own weight may not.
    #[test]
    fn a_better_score_never_earns_less_raw_weight(
        scores in any_scores(),
        policy in any_policy(),
        chosen in any::<prop::sample::Index>(),
        better in any_score(),
    ) {
        prop_assume!(!scores.is_empty());
        let &(&key, &score) = chosen.get(&scores.iter().collect::<Vec<_>>());
        let before = raw_of(&run(policy, &values(&scores)), key.0);
        let mut improved = scores;
        improved.insert(key, score.max(better));
        let after = raw_of(&run(policy, &values(&improved)), key.0);
        // As far as the exponential itself is monotone, which is to its last digits.
        prop_assert!(after >= before * (1.0 - 1e-12), "{before} became {after}");
    }

    #[test]
    fn equal_inputs_have_equal_weights(scores in any_scores(), policy in any_policy()) {
        // Each miner has a twin at the other end of the uids.
        let mut twins = values(&scores);
        twins.extend(scores.iter().map(|(&(uid, kind), &score)| {
            value(u16::MAX - uid, NAMES[kind], score)
        }));
        let records = run(policy, &twins).records;
        for one in &records {
            for other in records.iter().filter(|other| inputs(other) == inputs(one)) {
                prop_assert_eq!(outputs(other), outputs(one), "{:?}", one);
            }
        }
    }

    /// Also for those whose inputs are not equal: a uid is a name and nothing else.
    #[test]
    fn other_uids_give_the_same_weights(scores in any_scores(), policy in any_policy()) {
        let renamed: Scores =
            scores.iter().map(|(&(uid, kind), &score)| ((999 - uid, kind), score)).collect();
        let weights = run(policy, &values(&scores)).records;
        let again = run(policy, &values(&renamed)).records;
        for (one, other) in weights.iter().zip(again.iter().rev()) {
            prop_assert!((one.weight - other.weight).abs() <= 1e-9, "{one:?} {other:?}");
        }
    }

    #[test]
    fn more_raw_weight_never_earns_less_where_the_curve_or_the_places_decide(
        scores in any_scores(), policy in any_policy(),
    ) {
        let mut records = run(policy, &values(&scores)).records;
        records.sort_by(|a, b| a.raw_calculated_weight.total_cmp(&b.raw_calculated_weight));
        for pair in records.windows(2) {
            prop_assert!(pair[0].weight <= pair[1].weight * (1.0 + 1e-12), "{pair:?}");
        }
    }

    #[test]
    fn nothing_panics_whatever_the_figures(
        scores in prop::collection::vec((any::<u16>(), 0..4_usize, any::<f64>()), 0..20),
        figures in prop::array::uniform6(any::<f64>()),
        whole in any::<[u32; 3]>(),
        weight in any::<f64>(),
    ) {
        let names = ["W", "G", "S", "unknown"];
        let values: Vec<_> =
            scores.iter().map(|&(uid, kind, score)| value(uid, names[kind], score)).collect();
        let [scale, std_min, slope, asymmetry, exponent, delay] = figures.map(f64::abs);
        let policy = Policy {
            sigmoid_scale: scale,
            sigmoid_std_min: std_min,
            transform_slope: slope,
            transform_asymmetry: asymmetry,
            fallback_exponent: exponent,
            transform_delay: delay,
            transform_percentile: whole[0],
            excellence_min: whole[1],
            ranked_min: whole[2] % 3,
            ..Policy::default()
        };
        let mut kinds = kinds();
        kinds[0].weight = weight;
        if let Ok(calculation) = compute(&policy, &kinds, &values) {
            prop_assert!(calculation.records.iter().all(|record| record.weight.is_finite()));
        }
        let inside: Vec<_> = values.iter().filter(|v| v.kind != "unknown").map(|v| {
            TaskValue { score: if v.score.is_nan() { 0.0 } else { v.score.abs().fract() }, ..*v }
        }).collect();
        for policy in [Policy::default(), policy] {
            if let Ok(calculation) = compute(&policy, &kinds, &inside) {
                prop_assert!(calculation.records.iter().all(|r| r.weight.is_finite()));
            }
        }
    }
}
