//! Validators, reports, agreed values, files, nonces; and forgetting.

use pithead::domain::ids::MinerUid;
use pithead::domain::lease::LossReason;
use pithead::store::*;
use serde_json::json;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_validator_keeps_its_id,
    the_two_newest_full_reports_and_partial_ones_since_are_loaded,
    partial_reports_count_without_a_full_one,
    old_reports_are_not_loaded,
    the_last_agreed_values_stand,
    a_track_record_is_kept_with_its_validator,
    rounds_are_found_newest_first,
    reports_are_found_by_signer_and_moment,
    the_last_record_of_a_miner_at_a_kind_stands_while_it_is_registered,
    a_file_is_found_again,
    whoever_holds_or_held_a_lease_may_read_the_input,
    a_record_written_twice_is_written_once,
    open_work_is_loaded,
    a_nonce_has_one_effect_over_all_commands,
    a_refused_command_uses_its_nonce_up,
    nonces_of_two_signers_differ,
    only_old_rows_are_forgotten,
);

async fn a_validator_keeps_its_id(store: &dyn Store) {
    assert_eq!(store.know_validator(known_validator(1)).await.unwrap(), validator_id(1));
    let moved =
        ValidatorRow { id: validator_id(9), uid: 12, created_at: at(9), ..known_validator(1) };
    assert_eq!(store.know_validator(moved).await.unwrap(), validator_id(1));
    let expected = ValidatorRow { uid: 12, ..known_validator(1) };
    assert_eq!(store.load(at(0)).await.unwrap().validators, [expected]);
}

fn partial(n: u128, by: u128, secs: i64) -> PutReport {
    let mut report = report(n, by, secs);
    report.report.partial = true;
    report
}

async fn loaded(store: &dyn Store, since: i64) -> Vec<ReportRow> {
    store.load(at(since)).await.unwrap().reports
}

async fn the_two_newest_full_reports_and_partial_ones_since_are_loaded(store: &dyn Store) {
    for n in [2, 1] {
        store.know_validator(known_validator(n)).await.unwrap();
    }
    let reports = [
        report(1, 1, 10),
        partial(2, 1, 15),
        report(3, 1, 20),
        partial(4, 1, 40),
        partial(5, 1, 30),
        partial(6, 1, 20),
        report(7, 2, 5),
    ];
    for report in &reports {
        store.put_report(report.clone()).await.unwrap();
    }
    let expected = [0, 1, 2, 5, 4, 3, 6].map(|n: usize| reports[n].report.clone());
    assert_eq!(loaded(store, 0).await, expected);
}

async fn partial_reports_count_without_a_full_one(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    for n in [2, 1] {
        store.put_report(partial(n, 1, n as i64)).await.unwrap();
    }
    let ids: Vec<_> = loaded(store, 0).await.iter().map(|report| report.id).collect();
    assert_eq!(ids, [report_id(1), report_id(2)]);
}

async fn old_reports_are_not_loaded(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    store.put_report(report(1, 1, 10)).await.unwrap();
    store.put_report(partial(2, 1, 20)).await.unwrap();
    assert_eq!(loaded(store, 10).await.len(), 2);
    assert_eq!(loaded(store, 11).await.len(), 1);
    assert_eq!(loaded(store, 21).await, []);
}

async fn the_last_agreed_values_stand(store: &dyn Store) {
    let verdict = |uid, round, load| VerdictRow {
        uid: MinerUid(uid),
        round,
        body: json!({ "load": load, "serving": true }),
    };
    let agreed = |verdicts| CloseRound { verdicts, ..CloseRound::default() };
    store.close_round(agreed(vec![verdict(2, 1, 0.5), verdict(1, 1, 0.25)])).await.unwrap();
    store.close_round(agreed(vec![verdict(2, 2, 1.5)])).await.unwrap();
    store.close_round(CloseRound::default()).await.unwrap();
    let expected = [verdict(1, 1, 0.25), verdict(2, 2, 1.5)];
    assert_eq!(store.load(at(0)).await.unwrap().verdicts, expected);
    store.close_round(agreed(vec![verdict(3, 3, 1.0), verdict(3, 3, 2.0)])).await.unwrap();
    assert_eq!(store.load(at(0)).await.unwrap().verdicts[2], verdict(3, 3, 2.0));
}

async fn a_track_record_is_kept_with_its_validator(store: &dyn Store) {
    let track = |n, trust| TrackRow { validator: validator_id(n), body: json!({ "trust": trust }) };
    store.know_validator(known_validator(1)).await.unwrap();
    store.know_validator(known_validator(2)).await.unwrap();
    let tracks = vec![track(1, 5), track(2, 6), track(1, 7)];
    store.close_round(CloseRound { tracks, ..CloseRound::default() }).await.unwrap();
    // Who speaks again keeps what it earned, and nobody is made up.
    store.know_validator(known_validator(1)).await.unwrap();
    let tracks = vec![track(9, 1)];
    store.close_round(CloseRound { tracks, ..CloseRound::default() }).await.unwrap();
    let loaded = store.load(at(0)).await.unwrap().validators;
    let kept: Vec<_> = loaded.into_iter().map(|row| (row.id, row.track)).collect();
    let expected = [track(1, 7), track(2, 6)].map(|track| (track.validator, Some(track.body)));
    assert_eq!(kept, expected);
}

async fn rounds_are_found_newest_first(store: &dyn Store) {
    let minutes = |round: i64| RoundRow {
        round,
        closed_at: at(round),
        body: format!("minutes of {round}").into_bytes(),
    };
    let close = |round| CloseRound { minutes: Some(minutes(round)), ..CloseRound::default() };
    for round in [3, 1, 2] {
        store.close_round(close(round)).await.unwrap();
    }
    // Told twice, the first stands.
    let again = RoundRow { body: Vec::new(), ..minutes(2) };
    let again = CloseRound { minutes: Some(again), ..CloseRound::default() };
    store.close_round(again).await.unwrap();
    assert_eq!(store.rounds(2, 9).await.unwrap(), [minutes(2), minutes(1)]);
    assert_eq!(store.rounds(i64::MAX, 1).await.unwrap(), [minutes(3)]);
    let before = Prune { reports: at(3), ..FORGET_NOTHING };
    assert_eq!(store.prune(before).await.unwrap(), 2);
    assert_eq!(store.rounds(9, 9).await.unwrap(), [minutes(3)]);
}

async fn reports_are_found_by_signer_and_moment(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    store.know_validator(known_validator(2)).await.unwrap();
    let mut puts = [report(1, 1, 10), report(2, 2, 10), report(3, 1, 11)];
    for (put, moment) in puts.iter_mut().zip([7, 7, 8]) {
        put.report.signed_order = moment;
        store.put_report(put.clone()).await.unwrap();
    }
    let found = store.reports_at(&known_validator(1).hotkey, 7).await.unwrap();
    assert_eq!(found, [puts[0].report.clone()]);
    assert_eq!(store.reports_at(&known_validator(3).hotkey, 7).await.unwrap(), []);
}

async fn the_last_record_of_a_miner_at_a_kind_stands_while_it_is_registered(store: &dyn Store) {
    let kept = async || store.load(at(0)).await.unwrap().kind_records;
    let put = async |rows: &[KindRecordRow]| {
        let command = PutKindRecords { rows: rows.to_vec(), work: vec![] };
        store.put_kind_records(command).await.unwrap();
    };
    for n in [1, 2] {
        store.register(register(n, 2)).await.unwrap();
    }
    let row = kind_record;
    put(&[row(2, "tts", 1), row(1, "tts", 1), row(1, "summarization", 1)]).await;
    put(&[row(1, "tts", 2), row(1, "tts", 3), row(3, "tts", 3)]).await;
    put(&[]).await;
    let expected = [row(1, "summarization", 1), row(1, "tts", 3), row(2, "tts", 1)];
    assert_eq!(kept().await, expected, "and none of a miner that is not registered");
    let successor = Register { id: registration_id(4), hotkey: hotkey("other"), ..register(1, 2) };
    store.register(successor).await.unwrap();
    assert_eq!(kept().await, [row(2, "tts", 1)]);
    let many: Vec<_> = (0..300).map(|n| row(2, &format!("kind{n}"), 4)).collect();
    put(&many).await;
    assert_eq!(kept().await.len(), 301);
}

async fn a_file_is_found_again(store: &dyn Store) {
    let mut put = file(1);
    put.file.size = 5_000_000_000;
    put.file.task = Some(task_id(1));
    store.put_file(put.clone()).await.unwrap();
    assert_eq!(store.file(file_id(1)).await.unwrap(), Some(put.file));
    assert_eq!(store.file(file_id(2)).await.unwrap(), None);
}

async fn whoever_holds_or_held_a_lease_may_read_the_input(store: &dyn Store) {
    store.put_file(file(1)).await.unwrap();
    let input = TaskInput::File(file_id(1));
    store.enqueue(enqueue(NewTask { input, ..task(1, 3) })).await.unwrap();
    let may = async |holder| store.file_is_assigned(file_id(1), holder).await.unwrap();
    assert!(!may(miner(1)).await);
    lease(store, 1, 2).await;
    let by_validator = store.assign(assign(1, [grant(2, 1, validator(1))])).await.unwrap();
    assert_eq!(by_validator, [Granted::Yes]);
    assert!(may(miner(1)).await && may(miner(2)).await && may(validator(1)).await);
    assert!(!may(miner(3)).await && !may(validator(2)).await);
    assert!(!store.file_is_assigned(file_id(2), miner(1)).await.unwrap());
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    store.release(release(token(1, 1, 1), miner(2), LossReason::Busy)).await.unwrap();
    assert!(may(miner(1)).await, "it answered");
    assert!(may(miner(2)).await, "it held a lease");
}

/// A caller that does not know whether its first try was done may try again.
async fn a_record_written_twice_is_written_once(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    for _ in 0..2 {
        store.put_file(file(1)).await.unwrap();
        store.put_report(report(1, 1, 1)).await.unwrap();
    }
    assert_eq!(loaded(store, 0).await.len(), 1);
}

async fn open_work_is_loaded(store: &dyn Store) {
    done(store, 1, 1).await;
    leased(store, 3, 2).await;
    store.release(release(token(3, 1, 1), miner(2), LossReason::Failed)).await.unwrap();
    store.enqueue(enqueue(task(2, 1))).await.unwrap();
    let loaded = store.load(at(0)).await.unwrap();
    assert_eq!(loaded.tasks, [record(store, 2).await, record(store, 3).await]);
    assert_eq!(loaded.tasks[1].attempts.len(), 1);
    let live: Vec<_> = loaded.registrations.iter().map(|row| row.live).collect();
    assert_eq!(live, [1, 0]);
    store.ping().await.unwrap();
}

fn replayed<T: std::fmt::Debug>(answer: StoreResult<T>) {
    assert!(matches!(answer, Err(StoreError::Replayed)), "{answer:?}");
}

/// Each command once with a fresh nonce, and then again with the same.
async fn a_nonce_has_one_effect_over_all_commands(store: &dyn Store) {
    store.enqueue(Enqueue { nonce: nonce(1), ..enqueue(task(1, 2)) }).await.unwrap();
    replayed(store.enqueue(Enqueue { nonce: nonce(1), ..enqueue(task(2, 1)) }).await);
    assert_eq!(store.task(task_id(2)).await.unwrap(), None);
    lease(store, 1, 2).await;
    let beat = heartbeat(token(1, 0, 1), miner(1), at(200));
    store.heartbeat(Heartbeat { nonce: nonce(2), ..beat.clone() }).await.unwrap();
    replayed(store.heartbeat(Heartbeat { nonce: nonce(2), until: at(300), ..beat }).await);
    assert_eq!(record(store, 1).await.slots[0].expires_at, Some(at(200)));
    let answer = respond(token(1, 0, 1), miner(1), "a", at(9));
    replayed(store.respond(Respond { nonce: nonce(2), ..answer.clone() }).await);
    store.respond(Respond { nonce: nonce(3), ..answer.clone() }).await.unwrap();
    replayed(store.respond(Respond { nonce: nonce(3), ..answer }).await);
    let give_back = release(token(1, 1, 1), miner(2), LossReason::Impossible);
    replayed(store.release(Release { nonce: nonce(3), ..give_back.clone() }).await);
    store.release(Release { nonce: nonce(4), ..give_back.clone() }).await.unwrap();
    replayed(store.release(Release { nonce: nonce(4), ..give_back }).await);
    let judged = evaluate(1, 1, &[(0, 50)]);
    replayed(store.evaluate(Evaluate { nonce: nonce(4), ..judged.clone() }).await);
    store.evaluate(Evaluate { nonce: nonce(5), ..judged.clone() }).await.unwrap();
    replayed(store.evaluate(Evaluate { nonce: nonce(5), ..judged }).await);
    store.put_report(PutReport { nonce: nonce(6), ..report(1, 1, 1) }).await.unwrap();
    replayed(store.put_report(PutReport { nonce: nonce(6), ..report(2, 1, 2) }).await);
    store.put_file(PutFile { nonce: nonce(7), ..file(1) }).await.unwrap();
    replayed(store.put_file(PutFile { nonce: nonce(7), ..file(2) }).await);
    assert_eq!(store.file(file_id(2)).await.unwrap(), None);
}

async fn a_refused_command_uses_its_nonce_up(store: &dyn Store) {
    leased(store, 1, 1).await;
    let stale = heartbeat(token(1, 0, 9), miner(1), at(200));
    let lost = store.heartbeat(Heartbeat { nonce: nonce(1), ..stale }).await.unwrap();
    assert_eq!(lost, None);
    let good = heartbeat(token(1, 0, 1), miner(1), at(200));
    replayed(store.heartbeat(Heartbeat { nonce: nonce(1), ..good }).await);
}

async fn nonces_of_two_signers_differ(store: &dyn Store) {
    store.put_file(PutFile { nonce: nonce(1), ..file(1) }).await.unwrap();
    let other = nonce(1).map(|n| Nonce { hotkey: hotkey("other"), ..n });
    store.put_file(PutFile { nonce: other, ..file(2) }).await.unwrap();
}

async fn only_old_rows_are_forgotten(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    for n in 1..=4 {
        let idempotency = Some(Idempotency { key: n.to_string(), body_hash: [1; 32] });
        let new = NewTask { created_at: at(n), ..task(n as u128, 1) };
        store.enqueue(Enqueue { idempotency, nonce: nonce(n), ..enqueue(new) }).await.unwrap();
        store.put_report(report(n as u128, 1, n)).await.unwrap();
    }
    let before = Prune { nonces: at(2), idempotency: at(3), reports: at(4), ..FORGET_NOTHING };
    assert_eq!(store.prune(before).await.unwrap(), 1 + 2 + 3);
    assert_eq!(store.prune(before).await.unwrap(), 0);
    assert_eq!(loaded(store, 0).await.len(), 1);
    replayed(store.put_file(PutFile { nonce: nonce(2), ..file(2) }).await);
    store.put_file(PutFile { nonce: nonce(1), ..file(1) }).await.unwrap();
    assert_eq!(store.tasks(page()).await.unwrap().len(), 4, "tasks stay");
}

fn page() -> TaskPage {
    TaskPage { owner: None, states: vec![], kind: None, before: None, limit: 100 }
}
