//! Calculations of weights and the records of miners: written twice they change nothing, and lists go
//! on where they were.

use std::collections::BTreeMap;

use pithead::domain::chain::{ChainFigures, SetWeight, State};
use pithead::domain::ids::{MinerUid, RunId};
use pithead::domain::period::Period;
use pithead::domain::units::{DAY, Millis};
use pithead::domain::weights::{KindPerformance, Pathway, Performance};
use pithead::store::*;
use uuid::Uuid;

use super::make::*;
use super::on_every_store;

on_every_store!(
    the_newest_run_is_found_and_one_by_its_id,
    a_record_written_twice_changes_nothing,
    a_record_that_changed_is_replaced_with_its_kinds,
    what_the_chain_made_of_a_weight_is_part_of_its_record,
    what_closed_registrations_left_is_forgotten_and_their_rows_stay,
    pages_go_on_where_they_were_in_every_order,
    records_are_found_by_miner_kind_and_time,
    what_is_old_is_forgotten_and_the_newest_run_is_not,
);

/// A run that says nothing.
pub(super) fn weight_run(n: u128, made_at: Millis) -> PutRun {
    PutRun(WeightRunRow {
        id: RunId(Uuid::from_u128(n)),
        made_at,
        window_from: made_at.plus(-DAY),
        window_to: made_at,
        policy: "default".to_owned(),
        policy_hash: "ab".repeat(32),
        body: b"{}".to_vec(),
    })
}

/// A miner's record with a weight in hundredths and these kinds.
pub(super) fn performance(n: u128, hundredths: i64, kinds: &[&str]) -> Performance {
    let weight = hundredths as f64 / 100.0;
    let kind = |name: &&str| KindPerformance {
        kind: (*name).to_owned(),
        score: Some(weight),
        attempted: 3,
        completed: 2,
        scored: 1,
        weight_contribution: weight / kinds.len() as f64,
        percentile_rank: None,
        rank: Some(1),
        best: Some(1.0),
        latest: None,
    };
    Performance {
        registration: registration_id(n),
        uid: MinerUid(u16::try_from(n).unwrap()),
        hotkey: hotkey(&format!("miner{n}")),
        weight,
        raw_calculated_weight: weight * 1.1,
        excellence_weight: 0.1,
        diversity_weight: weight * 1.1,
        scoring_pathway: Pathway::Diversity,
        pathway_details: n
            .is_multiple_of(2)
            .then(|| serde_json::json!({ "b": 0.1, "a": [weight] })),
        multi_task_bonus: 0.85,
        excellence_qualified_tasks: kinds.iter().map(ToString::to_string).collect(),
        tasks_attempted: 3,
        tasks_completed: 2,
        tasks_scored: 1,
        success_rate: Some(2.0 / 3.0),
        average_score: (hundredths > 0).then_some(weight),
        rank: 100 - hundredths,
        trend: None,
        kinds: kinds.iter().map(kind).collect(),
    }
}

/// What the chain made of a weight, with its incentive or not yet.
pub(super) fn figures(is_paid: bool) -> ChainFigures {
    let state = if is_paid { State::Settled } else { State::Committed };
    let set = SetWeight {
        validator_hotkey: hotkey("one"),
        block: 100,
        state,
        submitted_weight: 1.0 / 3.0,
    };
    ChainFigures {
        submitted_weight: Some(set.submitted_weight),
        validator_hotkey: Some(set.validator_hotkey.clone()),
        weight_submission_block: Some(set.block),
        incentive: is_paid.then_some(0.1),
        consensus_rank: is_paid.then_some(2),
        consensus_block: is_paid.then_some(460),
        submissions: vec![set],
    }
}

/// The records of a day.
pub(super) fn records_of(day: i64, records: Vec<Performance>) -> PutRecords {
    let (start, end) = (Millis(day * DAY), Millis((day + 1) * DAY));
    let policy_hash = "ab".repeat(32);
    PutRecords {
        period: Period::Daily,
        start,
        end,
        policy_hash,
        now: at(50),
        records,
        chain: BTreeMap::new(),
    }
}

fn put(start_day: i64, records: &[(u128, i64, &[&str])]) -> PutRecords {
    let records = records.iter().map(|(n, weight, kinds)| performance(*n, *weight, kinds));
    records_of(start_day, records.collect())
}

fn page(order: PerformanceOrder) -> PerformancePage {
    PerformancePage {
        period: Period::Daily,
        from: Millis(0),
        to: Millis(100 * DAY),
        uid: None,
        registration: None,
        kind: None,
        order,
        after: None,
        limit: 100,
    }
}

async fn listed(store: &dyn Store, page: PerformancePage) -> Vec<(u16, i64)> {
    let rows = store.performances(page).await.unwrap();
    rows.iter().map(|row| (row.record.uid.0, row.start.0 / DAY)).collect()
}

async fn the_newest_run_is_found_and_one_by_its_id(store: &dyn Store) {
    assert_eq!(store.weight_run(None).await.unwrap(), None);
    for n in [2, 1] {
        store.put_run(weight_run(n, at(10 * i64::try_from(n).unwrap()))).await.unwrap();
    }
    let newest = store.weight_run(None).await.unwrap().unwrap();
    assert_eq!(PutRun(newest), weight_run(2, at(20)));
    let one = store.weight_run(Some(RunId(Uuid::from_u128(1)))).await.unwrap().unwrap();
    assert_eq!(PutRun(one), weight_run(1, at(10)));
    store.put_run(weight_run(1, at(99))).await.unwrap();
    let same = store.weight_run(Some(RunId(Uuid::from_u128(1)))).await.unwrap().unwrap();
    assert_eq!(same.made_at, at(10), "a run is written once");
    assert_eq!(store.weight_run(Some(RunId(Uuid::from_u128(7)))).await.unwrap(), None);
}

async fn a_record_written_twice_changes_nothing(store: &dyn Store) {
    let first = put(3, &[(1, 60, &["tts"]), (2, 40, &["tts", "weather"])]);
    assert_eq!(store.put_records(first.clone()).await.unwrap(), 2);
    let rows = store.performances(page(PerformanceOrder::Weight)).await.unwrap();
    let records: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
    assert_eq!(records, first.records);
    let later = PutRecords { now: at(900), ..first };
    assert_eq!(store.put_records(later).await.unwrap(), 0);
    assert_eq!(store.performances(page(PerformanceOrder::Weight)).await.unwrap(), rows);
}

async fn a_record_that_changed_is_replaced_with_its_kinds(store: &dyn Store) {
    store.put_records(put(3, &[(1, 60, &["tts", "weather"]), (2, 40, &["tts"])])).await.unwrap();
    let now = at(900);
    let next = PutRecords { now, ..put(3, &[(1, 70, &["soil"]), (2, 40, &["tts"])]) };
    assert_eq!(store.put_records(next.clone()).await.unwrap(), 1);
    let rows = store.performances(page(PerformanceOrder::Uid)).await.unwrap();
    let records: Vec<_> = rows.iter().map(|row| row.record.clone()).collect();
    assert_eq!(records, next.records);
    assert_eq!(rows.iter().map(|row| row.computed_at).collect::<Vec<_>>(), [now, at(50)]);
}

async fn pages_go_on_where_they_were_in_every_order(store: &dyn Store) {
    store.put_records(put(3, &[(1, 60, &[]), (2, 20, &[]), (3, 20, &[])])).await.unwrap();
    store.put_records(put(4, &[(1, 20, &[]), (2, 80, &[]), (4, 0, &[])])).await.unwrap();
    for (order, expected) in [
        (PerformanceOrder::Weight, [(2, 4), (1, 3), (1, 4), (3, 3), (2, 3), (4, 4)]),
        (PerformanceOrder::Score, [(2, 4), (1, 3), (1, 4), (3, 3), (2, 3), (4, 4)]),
        (PerformanceOrder::Rank, [(2, 4), (1, 3), (2, 3), (3, 3), (1, 4), (4, 4)]),
        (PerformanceOrder::Uid, [(1, 3), (1, 4), (2, 3), (2, 4), (3, 3), (4, 4)]),
    ] {
        assert_eq!(listed(store, page(order)).await, expected, "{order}");
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let part = PerformancePage { after, limit: 2, ..page(order) };
            let rows = store.performances(part).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some(PerformancePlace {
                value: order.value(&last.record),
                start: last.start,
                registration: last.record.registration,
            });
            paged.extend(rows.iter().map(|row| (row.record.uid.0, row.start.0 / DAY)));
        }
        assert_eq!(paged, expected, "{order}, page by page");
    }
}

async fn records_are_found_by_miner_kind_and_time(store: &dyn Store) {
    store.put_records(put(3, &[(1, 60, &["tts"]), (2, 40, &["weather"])])).await.unwrap();
    store.put_records(put(4, &[(1, 50, &["weather"]), (2, 50, &["tts"])])).await.unwrap();
    let all = page(PerformanceOrder::Uid);
    let of = |change: fn(&mut PerformancePage)| {
        let mut page = all.clone();
        change(&mut page);
        page
    };
    let second = |page: &mut PerformancePage| page.registration = Some(registration_id(2));
    for (page, expected) in [
        (of(|page| page.from = Millis(4 * DAY)), vec![(1, 4), (2, 4)]),
        (of(|page| page.to = Millis(4 * DAY)), vec![(1, 3), (2, 3)]),
        (of(|page| page.uid = Some(MinerUid(1))), vec![(1, 3), (1, 4)]),
        (of(second), vec![(2, 3), (2, 4)]),
        (of(|page| page.kind = Some("tts".to_owned())), vec![(1, 3), (2, 4)]),
        (of(|page| page.period = Period::Weekly), vec![]),
    ] {
        assert_eq!(listed(store, page.clone()).await, expected, "{page:?}");
    }
    assert_eq!(store.newest_periods().await.unwrap(), [(Period::Daily, Millis(4 * DAY))]);
    let scores = store.average_scores(Period::Daily, Millis(3 * DAY)).await.unwrap();
    let scores: Vec<_> = scores.into_iter().collect();
    assert_eq!(scores, [(registration_id(1), 0.6), (registration_id(2), 0.4)]);
    for n in 1..=2 {
        store.register(register(n, 1)).await.unwrap();
    }
    let ids = [3, 2, 1].map(registration_id).to_vec();
    let known: Vec<_> = store.registrations(ids).await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(known, [registration_id(1), registration_id(2)]);
}

async fn what_is_old_is_forgotten_and_the_newest_run_is_not(store: &dyn Store) {
    for n in 1..=3 {
        store.put_run(weight_run(n, Millis(i64::try_from(n).unwrap() * DAY))).await.unwrap();
        let day = i64::try_from(n).unwrap();
        store.put_records(put(day, &[(1, 60, &["tts"]), (2, 40, &["tts"])])).await.unwrap();
    }
    let forget = |before| ForgetRecords { before };
    assert_eq!(store.forget_records(forget(Millis(DAY))).await.unwrap(), 0);
    // The first day ended when the second began.
    assert_eq!(store.forget_records(forget(Millis(2 * DAY + 1))).await.unwrap(), 2 + 2);
    assert_eq!(listed(store, page(PerformanceOrder::Uid)).await, [(1, 2), (1, 3), (2, 2), (2, 3)]);
    assert_eq!(store.forget_records(forget(Millis(99 * DAY))).await.unwrap(), 4);
    assert_eq!(store.weight_run(None).await.unwrap().map(|run| run.made_at), Some(Millis(3 * DAY)));
    assert_eq!(store.forget_records(forget(Millis(99 * DAY))).await.unwrap(), 0);
}

async fn what_the_chain_made_of_a_weight_is_part_of_its_record(store: &dyn Store) {
    let bare = put(3, &[(1, 60, &["tts"]), (2, 40, &["tts"])]);
    assert_eq!(store.put_records(bare.clone()).await.unwrap(), 2);
    let with = |is_paid| {
        let chain = [(registration_id(1), figures(is_paid))].into();
        PutRecords { now: at(60), chain, ..bare.clone() }
    };
    assert_eq!(store.put_records(with(false)).await.unwrap(), 1, "only that one is news");
    assert_eq!(store.put_records(with(false)).await.unwrap(), 0);
    assert_eq!(store.put_records(with(true)).await.unwrap(), 1);
    let rows = store.performances(page(PerformanceOrder::Uid)).await.unwrap();
    assert_eq!((&rows[0].chain, rows[0].computed_at), (&figures(true), at(60)));
    assert_eq!((&rows[1].chain, rows[1].computed_at), (&ChainFigures::default(), at(50)));
    assert_eq!(store.put_records(bare).await.unwrap(), 1, "what the chain forgot is taken back");
    let rows = store.performances(page(PerformanceOrder::Uid)).await.unwrap();
    assert_eq!(rows[0].chain, ChainFigures::default());
}

async fn what_closed_registrations_left_is_forgotten_and_their_rows_stay(store: &dyn Store) {
    // Of uid 1: the first owner closes at 10, the second one at 20, the third one is there.
    for (n, secs) in [(1, 1), (2, 10), (3, 20)] {
        let (uid, hotkey) = (MinerUid(1), hotkey(&format!("owner{n}")));
        let opened = Register { uid, hotkey, now: at(secs), ..register(n, 1) };
        store.register(opened).await.unwrap();
        let work = WorkDay {
            registration: registration_id(n),
            kind: "tts".to_owned(),
            day: 1,
            attempted: 1,
            completed: 1,
        };
        let row = KindRecordRow {
            registration: registration_id(n),
            kind: "tts".to_owned(),
            body: serde_json::json!({}),
            updated_at: at(secs),
        };
        let rows = PutKindRecords { rows: vec![row], work: vec![work] };
        store.put_kind_records(rows).await.unwrap();
    }
    store
        .put_records(put(3, &[(1, 60, &["tts", "soil"]), (2, 40, &[]), (3, 40, &[])]))
        .await
        .unwrap();
    let forget = |secs, miners_max| {
        store.forget_miners(ForgetMiners { closed_before: at(secs), miners_max })
    };
    assert_eq!(forget(10, 9).await.unwrap(), MinersForgotten::default(), "not before it closed");
    let first = MinersForgotten { miners: 1, rows: 5 };
    assert_eq!(forget(99, 1).await.unwrap(), first, "who closed first goes first");
    let uids = store.performances(page(PerformanceOrder::Uid)).await.unwrap();
    let left: Vec<_> = uids.iter().map(|row| row.record.registration).collect();
    assert_eq!(left, [registration_id(2), registration_id(3)]);
    assert_eq!(forget(99, 9).await.unwrap(), MinersForgotten { miners: 1, rows: 3 });
    assert_eq!(forget(99, 9).await.unwrap(), MinersForgotten::default());
    let work: Vec<_> = store.work(0, 99).await.unwrap().iter().map(|of| of.registration).collect();
    assert_eq!(work, [registration_id(3)]);
    assert_eq!(listed(store, page(PerformanceOrder::Uid)).await, [(3, 3)]);
    let kept = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!(kept.closed_at, Some(at(10)));
}
