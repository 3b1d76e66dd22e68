//! Ended tasks in the archive, and scores by day.

use pithead::domain::task::TaskState;
use pithead::domain::units::{DAY, Millis};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    an_archived_task_is_read_as_before,
    what_is_open_or_young_stays,
    the_oldest_go_first_and_a_few_at_a_time,
    the_archive_forgets,
    an_archived_task_takes_no_more_part,
    scores_are_summed_by_day_and_kind,
);

fn archive(ended_before: Millis) -> Archive {
    Archive { ended_before, forget_before: Millis(0), rows_max: 100 }
}

async fn judged(store: &dyn Store, n: u128) {
    done(store, n, 2).await;
    store.evaluate(evaluate(n, 1, &[(0, 80), (1, 60)])).await.unwrap();
}

async fn an_archived_task_is_read_as_before(store: &dyn Store) {
    leased(store, 1, 2).await;
    let reason = pithead::domain::lease::LossReason::Busy;
    store.release(release(token(1, 1, 1), miner(2), reason)).await.unwrap();
    let again = Grant { expires_at: at(300), ..grant(1, 2, miner(2)) };
    store.assign(Assign { now: at(60), ..assign(1, [again]) }).await.unwrap();
    store.respond(respond(token(1, 0, 1), miner(1), "one", at(61))).await.unwrap();
    store.respond(respond(token(1, 1, 2), miner(2), "two", at(62))).await.unwrap();
    store.evaluate(evaluate(1, 1, &[(0, 80), (1, 60)])).await.unwrap();
    let before = record(store, 1).await;
    let responses = store.responses(task_id(1)).await.unwrap();
    let evaluations = store.evaluations(task_id(1)).await.unwrap();
    assert_eq!((before.state, before.attempts.len()), (TaskState::Approved, 1));
    let moved = store.archive(archive(at(63))).await.unwrap();
    assert_eq!(moved, Archived { archived: 1, forgotten: 0 });
    assert_eq!(record(store, 1).await, before);
    assert_eq!(store.responses(task_id(1)).await.unwrap(), responses);
    assert_eq!(store.evaluations(task_id(1)).await.unwrap(), evaluations);
    let page = TaskPage { owner: None, states: vec![], kind: None, before: None, limit: 9 };
    assert_eq!(store.tasks(page).await.unwrap(), [], "lists show what is in use");
}

async fn what_is_open_or_young_stays(store: &dyn Store) {
    leased(store, 1, 1).await;
    done(store, 2, 1).await;
    let none = Archived::default();
    assert_eq!(store.archive(archive(at(10))).await.unwrap(), none, "it ended at 10 s");
    let moved = store.archive(archive(at(11))).await.unwrap();
    assert_eq!(moved.archived, 1);
    assert_eq!(store.archive(archive(at(9_999))).await.unwrap(), none);
    assert_eq!(record(store, 1).await.state, TaskState::Open);
}

async fn the_oldest_go_first_and_a_few_at_a_time(store: &dyn Store) {
    for n in 1..=3 {
        done(store, n, 1).await;
    }
    let two = Archive { rows_max: 2, ..archive(at(100)) };
    assert_eq!(store.archive(two).await.unwrap().archived, 2);
    let page = TaskPage { owner: None, states: vec![], kind: None, before: None, limit: 9 };
    let left: Vec<_> = store.tasks(page).await.unwrap().iter().map(|t| t.task.id).collect();
    assert_eq!(left, [task_id(3)]);
    assert_eq!(store.archive(two).await.unwrap().archived, 1);
}

async fn the_archive_forgets(store: &dyn Store) {
    done(store, 1, 1).await;
    store.archive(archive(at(100))).await.unwrap();
    let forget = |moment| Archive { forget_before: moment, ..archive(at(100)) };
    assert_eq!(store.archive(forget(at(10))).await.unwrap().forgotten, 0);
    assert_eq!(store.archive(forget(at(11))).await.unwrap().forgotten, 1);
    assert_eq!(store.task(task_id(1)).await.unwrap(), None);
    assert_eq!(store.responses(task_id(1)).await.unwrap(), []);
}

async fn an_archived_task_takes_no_more_part(store: &dyn Store) {
    judged(store, 1).await;
    done(store, 2, 1).await;
    store.archive(archive(at(100))).await.unwrap();
    let again = store.respond(respond(token(2, 0, 1), miner(1), "word", at(200))).await.unwrap();
    assert_eq!(again, Responded::Lost);
    let late = store.evaluate(evaluate(2, 1, &[(0, 50)])).await.unwrap();
    assert_eq!(late, Evaluated::NotFound);
    assert_eq!(store.cancel(cancel(2)).await.unwrap(), Cancelled::NotFound);
    assert_eq!(super::left::walk(store, validator_id(2), 9).await, []);
    assert_eq!(store.left_among(validator_id(2), vec![task_id(2)]).await.unwrap(), []);
    let scored = store.registration(registration_id(1)).await.unwrap().unwrap().record.scored;
    assert_eq!(scored, 1, "what it earned stays");
}

async fn scores_are_summed_by_day_and_kind(store: &dyn Store) {
    let day = at(200).0.div_euclid(DAY);
    judged(store, 1).await;
    judged(store, 2).await;
    store.enqueue(enqueue(NewTask { kind: "tts".to_owned(), ..task(3, 1) })).await.unwrap();
    lease(store, 3, 1).await;
    store.respond(respond(token(3, 0, 1), miner(1), "word", at(9))).await.unwrap();
    let next_day = Evaluate { now: at(200).plus(DAY), ..evaluate(3, 1, &[(0, 100)]) };
    store.evaluate(next_day).await.unwrap();
    let sums = async |from, to, kind: Option<&str>| {
        let kind = kind.map(ToOwned::to_owned);
        let sums = store.scores(ScoreDays { from, to, kind }).await.unwrap();
        sums.into_iter().map(|(id, sum)| (id, sum.scored, sum.score_sum)).collect::<Vec<_>>()
    };
    let (one, two) = (registration_id(1), registration_id(2));
    assert_eq!(sums(day, day, None).await, [(one, 2, 1_600_000), (two, 2, 1_200_000)]);
    assert_eq!(sums(day, day + 1, Some("tts")).await, [(one, 1, 1_000_000)]);
    assert_eq!(sums(day, day + 1, None).await[0], (one, 3, 2_600_000));
    assert_eq!(sums(day + 2, day + 9, None).await, []);
}
