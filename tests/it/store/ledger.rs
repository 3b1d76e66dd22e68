//! Scores by hour and day, whoever gave them, and work by day.

use std::collections::BTreeMap;

use pithead::domain::ids::{RegistrationId, ValidatorId};
use pithead::domain::period::{day_of, hour_of};
use pithead::domain::units::{DAY, HOUR, Millis};
use pithead::store::*;

use super::make::*;
use super::on_every_store;
use super::random::Dice;

on_every_store!(
    a_pushed_score_counts_once_whatever_is_repeated,
    the_first_value_stands,
    a_replay_pushes_nothing,
    an_hour_is_replaced_and_leaves_the_voices_of_others,
    sums_are_those_of_the_single_scores,
    own_scores_of_an_hour_are_found_and_summed,
    work_is_added_by_day,
    what_is_past_its_time_goes_a_day_at_a_time,
    open_registrations_are_found_by_uid,
);

const ALL: ScoreHours = ScoreHours { from: i64::MIN, to: i64::MAX };

async fn hours(store: &dyn Store) -> Vec<ScoreBucket> {
    store.score_hours(ALL).await.unwrap()
}

fn bucket(n: u128, kind: &str, voice: Option<u128>, hour: i64, sum: (i64, i64)) -> ScoreBucket {
    ScoreBucket {
        registration: registration_id(n),
        kind: kind.to_owned(),
        voice: voice.map(validator_id),
        hour,
        scored: sum.0,
        score_sum: sum.1,
    }
}

async fn a_pushed_score_counts_once_whatever_is_repeated(store: &dyn Store) {
    let hour = hour_of(at(0));
    let (a, b) = (pushed(1, "w", at(0), 40), pushed(1, "w", at(1), 50));
    let twice = put_scores(1, &[a.clone(), a.clone()]);
    assert_eq!(store.put_scores(twice.clone()).await.unwrap(), [ScorePut::New, ScorePut::Same]);
    assert_eq!(store.put_scores(twice).await.unwrap(), [ScorePut::Same; 2]);
    let later = PutScores { now: at(900), ..put_scores(1, &[b, a.clone()]) };
    assert_eq!(store.put_scores(later).await.unwrap(), [ScorePut::New, ScorePut::Same]);
    let by_another = store.put_scores(put_scores(2, &[a])).await.unwrap();
    assert_eq!(by_another, [ScorePut::New]);
    let of = |hour| {
        [bucket(1, "w", Some(1), hour, (2, 900_000)), bucket(1, "w", Some(2), hour, (1, 400_000))]
    };
    assert_eq!(hours(store).await, of(hour));
    assert_eq!(store.score_days(i64::MIN, i64::MAX).await.unwrap(), of(day_of(at(0)) * 24));
}

async fn the_first_value_stands(store: &dyn Store) {
    let of = |percent| pushed(1, "w", at(0), percent);
    let first = store.put_scores(put_scores(1, &[of(40), of(50)])).await.unwrap();
    assert_eq!(first, [ScorePut::New, ScorePut::Conflict]);
    let second = store.put_scores(put_scores(1, &[of(50), of(40)])).await.unwrap();
    assert_eq!(second, [ScorePut::Conflict, ScorePut::Same]);
    assert_eq!(hours(store).await, [bucket(1, "w", Some(1), hour_of(at(0)), (1, 400_000))]);
}

async fn a_replay_pushes_nothing(store: &dyn Store) {
    let put = |at| PutScores { nonce: nonce(1), ..put_scores(1, &[pushed(1, "w", at, 40)]) };
    store.put_scores(put(at(0))).await.unwrap();
    let again = store.put_scores(put(at(1))).await;
    assert!(matches!(again, Err(StoreError::Replayed)), "{again:?}");
    assert_eq!(hours(store).await.len(), 1);
    assert_eq!(hours(store).await[0].scored, 1);
}

async fn an_hour_is_replaced_and_leaves_the_voices_of_others(store: &dyn Store) {
    let hour = hour_of(at(0));
    store.put_scores(put_scores(1, &[pushed(1, "w", at(0), 40)])).await.unwrap();
    assert_eq!(store.summed_hour().await.unwrap(), None, "only our own are summed by hours");
    let sum = |n, scored, score_sum| HourSum {
        registration: registration_id(n),
        kind: "w".to_owned(),
        scored,
        score_sum,
    };
    let put =
        async |hour, sums: Vec<HourSum>| store.put_hour(PutHour { hour, sums }).await.unwrap();
    put(hour - 1, vec![sum(1, 9, 9)]).await;
    for _ in 0..2 {
        put(hour, vec![sum(1, 2, 70), sum(2, 1, 30)]).await;
    }
    let (before, voice) = (bucket(1, "w", None, hour - 1, (9, 9)), Some(1));
    let pushed = bucket(1, "w", voice, hour, (1, 400_000));
    let own = |n, sum| bucket(n, "w", None, hour, sum);
    let expected = [before.clone(), own(1, (2, 70)), pushed.clone(), own(2, (1, 30))];
    assert_eq!(hours(store).await, expected);
    put(hour, vec![sum(2, 1, 31)]).await;
    assert_eq!(hours(store).await, [before, pushed, own(2, (1, 31))]);
    assert_eq!(store.summed_hour().await.unwrap(), Some(hour));
    let window = ScoreHours { from: hour - 1, to: hour };
    assert_eq!(store.score_hours(window).await.unwrap().len(), 1, "without its end");
}

/// Two hundred scores of three voices in two days, many of them under one key.
async fn sums_are_those_of_the_single_scores(store: &dyn Store) {
    let mut dice = Dice(5);
    type Key = (u128, u128, String, Millis);
    let mut single: BTreeMap<Key, i64> = BTreeMap::new();
    for _ in 0..20 {
        let voice = u128::from(dice.small(3));
        let mut scores = Vec::new();
        for _ in 0..10 {
            let (n, kind) = (u128::from(dice.small(3)), format!("kind{}", dice.below(2)));
            let moment = at(i64::from(dice.small(12)) * 1_799);
            let percent = i64::from(dice.small(100));
            single.entry((voice, n, kind.clone(), moment)).or_insert(percent * 10_000);
            scores.push(pushed(n, &kind, moment, percent));
        }
        store.put_scores(put_scores(voice, &scores)).await.unwrap();
    }
    assert!(single.len() < 190, "some keys meet");
    let sums = |unit: i64, hours: i64| {
        type Sums = BTreeMap<(RegistrationId, String, ValidatorId, i64), (i64, i64)>;
        let mut sums = Sums::new();
        for ((voice, n, kind, moment), score) in &single {
            let hour = moment.0.div_euclid(unit) * hours;
            let key = (registration_id(*n), kind.clone(), validator_id(*voice), hour);
            let sum = sums.entry(key).or_default();
            *sum = (sum.0 + 1, sum.1 + score);
        }
        let bucket = |((registration, kind, voice, hour), (scored, score_sum))| ScoreBucket {
            registration,
            kind,
            voice: Some(voice),
            hour,
            scored,
            score_sum,
        };
        sums.into_iter().map(bucket).collect::<Vec<_>>()
    };
    assert_eq!(hours(store).await, sums(HOUR, 1));
    assert_eq!(store.score_days(i64::MIN, i64::MAX).await.unwrap(), sums(DAY, 24));
}

async fn own_scores_of_an_hour_are_found_and_summed(store: &dyn Store) {
    let hour = hour_of(at(200));
    for (n, moment) in [(1, at(200)), (2, at(200)), (3, at(200).plus(3 * HOUR))] {
        done(store, n, 2).await;
        let judged = Evaluate { now: moment, ..evaluate(n, 1, &[(0, 80), (1, 60)]) };
        store.evaluate(judged).await.unwrap();
    }
    let found = async |from, to| store.hour_of_scores(ScoreHours { from, to }).await.unwrap();
    let sums = |hour, times: i64| {
        let sum = |n, score: i64| HourSum {
            registration: registration_id(n),
            kind: task(1, 1).kind,
            scored: times,
            score_sum: times * score,
        };
        Some(PutHour { hour, sums: vec![sum(1, 800_000), sum(2, 600_000)] })
    };
    assert_eq!(found(i64::MIN, i64::MAX).await, sums(hour, 2));
    assert_eq!(found(hour, hour + 1).await, sums(hour, 2));
    assert_eq!(found(hour + 1, hour + 4).await, sums(hour + 3, 1));
    assert_eq!(found(hour + 1, hour + 3).await, None);
}

async fn work_is_added_by_day(store: &dyn Store) {
    let put = async |day, attempted, completed| {
        let (registration, kind) = (registration_id(1), "w".to_owned());
        let of = WorkDay { registration, kind, day, attempted, completed };
        let work = vec![of.clone(), of];
        store.put_kind_records(PutKindRecords { rows: vec![], work }).await.unwrap();
    };
    put(5, 1, 1).await;
    put(5, 2, 0).await;
    put(6, 1, 0).await;
    let work = async |from, to| {
        let sums = store.work(from, to).await.unwrap();
        sums.into_iter().map(|sum| (sum.attempted, sum.completed)).collect::<Vec<_>>()
    };
    assert_eq!(work(5, 6).await, [(6, 2)]);
    assert_eq!(work(5, 7).await, [(8, 2)]);
    assert_eq!(work(6, 6).await, []);
}

async fn what_is_past_its_time_goes_a_day_at_a_time(store: &dyn Store) {
    let midnight = Millis(day_of(at(0)) * DAY);
    let days = [0, 1, 2].map(|day| midnight.plus(day * DAY));
    let scores = days.map(|moment| pushed(1, "w", moment, 40));
    store.put_scores(put_scores(1, &scores)).await.unwrap();
    let left = async || {
        (hours(store).await.len(), store.score_days(i64::MIN, i64::MAX).await.unwrap().len())
    };
    let prune = async |before: Prune| store.prune(before).await.unwrap();
    let hours_before = |hours| Prune { hours, ..FORGET_NOTHING };
    assert_eq!(prune(hours_before(days[0])).await, 0);
    assert_eq!(prune(hours_before(days[0].plus(HOUR - 1))).await, 1, "the score, not its hour");
    assert_eq!(left().await, (3, 3));
    assert_eq!(prune(hours_before(days[2])).await, 2, "the first sum and the second score");
    assert_eq!(prune(hours_before(days[2])).await, 1, "the second sum");
    assert_eq!(left().await, (1, 3));
    let days_before = |days| Prune { days, ..FORGET_NOTHING };
    assert_eq!(prune(days_before(days[1])).await, 1);
    assert_eq!(left().await, (1, 2));
    // A score of our own goes, and its sum by day stays.
    done(store, 1, 1).await;
    store.evaluate(evaluate(1, 1, &[(0, 80)])).await.unwrap();
    let scores_before = |scores| Prune { scores, ..FORGET_NOTHING };
    assert_eq!(prune(scores_before(at(200))).await, 0);
    assert_eq!(prune(scores_before(at(201))).await, 1);
    assert_eq!(store.hour_of_scores(ALL).await.unwrap(), None);
    assert_eq!(left().await, (1, 3));
}

async fn open_registrations_are_found_by_uid(store: &dyn Store) {
    for n in [1, 2, 3] {
        store.register(register(n, 2)).await.unwrap();
    }
    let successor = Register { id: registration_id(9), hotkey: hotkey("other"), ..register(1, 2) };
    store.register(successor).await.unwrap();
    let uids = [4, 2, 1].map(pithead::domain::ids::MinerUid).to_vec();
    let found = store.registered(uids).await.unwrap();
    let ids: Vec<_> = found.iter().map(|row| row.id).collect();
    assert_eq!(ids, [registration_id(9), registration_id(2)]);
}
