//! From buckets to values and records: the order of rows, voices that lie, owners that follow each
//! other, and that it all comes out the same again.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::ids::{Hotkey, MinerUid, RegistrationId, ValidatorId};
use crate::domain::units::ONE;

fn registration(n: u128) -> RegistrationId {
    RegistrationId(Uuid::from_u128(n))
}

fn voice(n: u128) -> Option<ValidatorId> {
    (n > 0).then(|| ValidatorId(Uuid::from_u128(n)))
}

/// `scored` scores of `score` in hundredths.
fn bucket(miner: u128, by: u128, hour: i64, scored: i64, score: i64) -> Bucket {
    let score_sum = scored * score * (ONE / 100);
    Bucket {
        registration: registration(miner),
        kind: "W".to_owned(),
        voice: voice(by),
        hour,
        scored,
        score_sum,
    }
}

fn given(miner: u128, attempted: i64, completed: i64) -> Given {
    Given { registration: registration(miner), kind: "W".to_owned(), attempted, completed }
}

fn decayed() -> Policy {
    Policy { averaging: Averaging::Decayed, ..Policy::default() }
}

fn one(policy: &Policy, buckets: &[Bucket], given: &[Given]) -> Standing {
    let standings = standings(policy, &tests::kinds(), Grain::Hour, buckets, given);
    standings.get(&(registration(1), 0)).cloned().unwrap()
}

/// A miner of this number at this uid.
fn owners(of: impl IntoIterator<Item = (u128, u16, bool)>) -> Owners {
    let owner = |(n, uid, open)| {
        let hotkey = Hotkey::parse(&format!("miner{n}")).unwrap();
        (registration(n), Owner { uid: MinerUid(uid), hotkey, open })
    };
    of.into_iter().map(owner).collect()
}

#[test]
fn a_mean_counts_scores_and_not_hours() {
    let got = one(&Policy::default(), &[bucket(1, 0, 5, 3, 100), bucket(1, 0, 9, 1, 20)], &[]);
    assert_eq!((got.value, got.scored), (Some(0.8), 4));
    assert_eq!((got.best, got.latest), (Some(1.0), Some(0.2)));
}

#[test]
fn an_hour_counts_half_after_a_half_life() {
    let buckets = [bucket(1, 0, 100, 1, 30), bucket(1, 0, 124, 2, 90)];
    let got = one(&decayed(), &buckets, &[]).value.unwrap();
    assert!((got - (1.8 + 0.15) / 2.5).abs() < 1e-15, "{got}");
    // Old ones alone are still all there is.
    assert_eq!(one(&decayed(), &[bucket(1, 0, 1, 2, 90)], &[]).value, Some(0.9));
}

#[test]
fn what_was_left_undone_costs_our_own_voice_only() {
    let own = [bucket(1, 0, 5, 3, 80)];
    for (attempted, factor) in [(0, 1.0), (10, 1.0), (40, 0.5)] {
        let got = one(&decayed(), &own, &[given(1, attempted, 3)]).value.unwrap();
        assert!((got - 0.8 * factor).abs() < 1e-15, "{attempted}: {got}");
    }
    assert_eq!(one(&Policy::default(), &own, &[given(1, 40, 3)]).value, Some(0.8));
    assert_eq!(one(&decayed(), &[bucket(1, 1, 5, 3, 80)], &[given(1, 40, 3)]).value, Some(0.8));
}

#[test]
fn one_voice_of_three_that_lies_moves_nothing_beyond_the_other_two() {
    for lie in [0, 100] {
        let buckets = [bucket(1, 0, 5, 3, 80), bucket(1, 1, 5, 1, 70), bucket(1, 2, 5, 9_999, lie)];
        let got = one(&Policy::default(), &buckets, &[]);
        let value = got.value.unwrap();
        assert!((0.7..=0.8).contains(&value), "{lie}: {value}");
        assert_eq!((got.best, got.latest), (Some(value), Some(value)));
    }
    let two = [bucket(1, 0, 5, 3, 80), bucket(1, 1, 5, 1, 60)];
    assert_eq!(one(&Policy::default(), &two, &[]).value.map(|v| (v * 1e9).round()), Some(7e8));
}

#[test]
fn rows_that_say_nothing_are_passed_over() {
    let other = Bucket { kind: "weather".to_owned(), ..bucket(1, 0, 5, 3, 80) };
    let rows = [other, bucket(1, 0, 5, 0, 80)];
    assert!(standings(&Policy::default(), &tests::kinds(), Grain::Hour, &rows, &[]).is_empty());
}

#[test]
fn only_who_holds_the_uid_is_in_the_vector_and_both_owners_have_records() {
    let (kinds, policy) = (tests::kinds(), Policy::default());
    let rows = [bucket(1, 0, 5, 3, 80), bucket(2, 0, 6, 3, 60), bucket(3, 0, 6, 3, 60)];
    let work = [given(1, 4, 3), given(4, 2, 0)];
    let standings = standings(&policy, &kinds, Grain::Hour, &rows, &work);
    let owners = owners([(1, 7, false), (2, 7, true), (3, 9, true), (4, 5, true)]);
    let run = Run::of(PolicyName::Default, policy.clone(), &kinds, &standings, &owners).unwrap();
    let uids: Vec<_> = run.miners.iter().map(|m| (m.uid.0, m.registration)).collect();
    assert_eq!(uids, [(7, registration(2)), (9, registration(3))]);
    assert_eq!(run.miner(MinerUid(7)).unwrap().1.weight, 0.5);
    assert!(run.miner(MinerUid(5)).is_none(), "nobody scored it");

    let before = BTreeMap::from([(registration(1), 0.75)]);
    let input = PeriodInput {
        policy: &policy,
        kinds: &kinds,
        standings: &standings,
        owners: &owners,
        before: &before,
        detailed: true,
    };
    let records = performances(&input).unwrap();
    let places: Vec<_> = records.iter().map(|r| (r.uid.0, r.registration, r.rank)).collect();
    let expected = [
        (5, registration(4), 4),
        (7, registration(1), 1),
        (7, registration(2), 2),
        (9, registration(3), 2),
    ];
    assert_eq!(places, expected);
    let (idle, best) = (&records[0], &records[1]);
    assert_eq!((idle.weight, idle.average_score, idle.success_rate), (0.0, None, Some(0.0)));
    assert_eq!((idle.kinds[0].rank, idle.scoring_pathway), (None, Pathway::None));
    assert_eq!((best.success_rate, best.tasks_scored), (Some(0.75), 3));
    assert!((best.trend.unwrap() - 0.05).abs() < 1e-15);
    assert_eq!(records[2].trend, None);
    assert_eq!((best.kinds[0].rank, records[2].kinds[0].rank), (Some(1), Some(2)));
    assert_eq!(best.pathway_details.as_ref().unwrap()["miner"]["weight"], best.weight);
    let plain = performances(&PeriodInput { detailed: false, ..input }).unwrap();
    assert!(plain.iter().all(|record| record.pathway_details.is_none()));
}

fn any_buckets() -> impl Strategy<Value = Vec<Bucket>> {
    let row = (0..12_u128, 0..4_u128, 0..50_i64, 0..5_i64, 0..=100_i64, 0..4_usize);
    let row = row.prop_map(|(miner, by, hour, scored, score, kind)| Bucket {
        kind: ["W", "G", "S", "other"][kind].to_owned(),
        ..bucket(miner, by, hour, scored, score)
    });
    prop::collection::vec(row, 0..120)
}

proptest! {
    #[test]
    fn a_sum_of_a_day_stands_for_those_of_its_hours(rows in any_buckets()) {
        let by_day = |row: &Bucket| Bucket { hour: row.hour.div_euclid(24) * 24, ..row.clone() };
        let days: Vec<_> = rows.iter().map(by_day).collect();
        let made = |rows: &[Bucket]| {
            standings(&Policy::default(), &tests::kinds(), Grain::Day, rows, &[])
        };
        prop_assert_eq!(made(&rows), made(&days));
    }

    #[test]
    fn the_order_of_the_rows_changes_no_byte_and_records_can_be_made_again(
        rows in any_buckets().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        decays in any::<bool>(),
    ) {
        let policy = if decays { decayed() } else { Policy::default() };
        let (kinds, owners) = (tests::kinds(), owners((0..12).map(|n| (n, n as u16 / 2, n % 2 == 1))));
        let made = |rows: &[Bucket]| {
            let work = [given(1, 9, 4), given(3, 2, 2)];
            let standings = standings(&policy, &kinds, Grain::Hour, rows, &work);
            let run = Run::of(PolicyName::Default, policy.clone(), &kinds, &standings, &owners).unwrap();
            let input = PeriodInput {
                policy: &policy,
                kinds: &kinds,
                standings: &standings,
                owners: &owners,
                before: &BTreeMap::new(),
                detailed: true,
            };
            (run, performances(&input).unwrap())
        };
        let bytes = |made: &(Run, Vec<Performance>)| serde_json::to_string(made).unwrap();
        let (first, shuffled) = (made(&rows.0), made(&rows.1));
        prop_assert_eq!(bytes(&first), bytes(&shuffled));
        // What is read back is what was written, to the bit.
        let read: (Run, Vec<Performance>) = serde_json::from_str(&bytes(&first)).unwrap();
        prop_assert_eq!(bytes(&read), bytes(&first));
        // The file alone gives the same weights; how its values were averaged is behind it.
        let file = serde_json::to_string(&first.0.file).unwrap();
        let policy_hash = first.0.calculation.policy_hash.clone();
        let again = Calculation { policy_hash, ..offline(&file).unwrap() };
        prop_assert_eq!(&again, &first.0.calculation);
        let sum: f64 = first.1.iter().map(|record| record.weight).sum();
        let raw = first.1.iter().any(|record| record.raw_calculated_weight > 0.0);
        prop_assert!(if raw { (sum - 1.0).abs() <= 1e-12 } else { sum == 0.0 }, "{}", sum);
    }
}
