//! Answers.

use pithead::domain::lease::LossReason;
use pithead::domain::task::{SlotState, TaskState};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    an_answer_counts_for_task_slot_and_miner,
    time_is_counted_from_the_fetch,
    an_offer_may_be_answered_without_a_fetch,
    the_first_answer_ends_a_task_that_wants_one,
    a_quorum_ends_a_task,
    the_last_answer_ends_a_task_that_wants_all,
    the_same_answer_again_is_the_same,
    another_answer_conflicts,
    an_answer_by_somebody_else_is_lost,
    an_answer_to_another_attempt_is_lost,
    an_answer_after_expiry_is_lost,
    an_answer_after_cancel_is_lost,
    an_answer_to_nothing_is_lost,
    late_answer_is_refused,
);

async fn an_answer_counts_for_task_slot_and_miner(store: &dyn Store) {
    leased(store, 1, 2).await;
    let answer = respond(token(1, 0, 1), miner(1), "hello", at(30));
    let standing = Standing { state: TaskState::Open, answered: 1, failed: 0, freed: vec![] };
    let taken = store.respond(answer.clone()).await.unwrap();
    assert_eq!(taken, Responded::Accepted { elapsed_millis: 30_000, standing });
    let found = record(store, 1).await;
    assert_eq!((found.answered, found.first_response_at), (1, Some(at(30))));
    assert_eq!((found.slots[0].state, found.slots[0].expires_at), (SlotState::Answered, None));
    assert_eq!((found.slots[0].holder, found.slots[0].attempt), (Some(miner(1)), 1));
    let stored = &store.responses(task_id(1)).await.unwrap()[0];
    assert_eq!((&stored.body, &stored.claims), (&*answer.body, &answer.claims));
    assert_eq!((stored.token, stored.holder), (answer.token, miner(1)));
    assert_eq!((stored.registration, stored.miner_uid), (answer.registration, answer.miner_uid));
    assert_eq!((stored.elapsed_millis, stored.created_at), (30_000, at(30)));
    let miner = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!((miner.live, miner.record.answered, miner.record.lost), (0, 1, 0));
}

async fn offered(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    store.register(register(1, 1)).await.unwrap();
    store.assign(assign(1, [offer(0, 1, miner(1))])).await.unwrap();
}

async fn time_is_counted_from_the_fetch(store: &dyn Store) {
    offered(store).await;
    store.fetch(fetch(miner(1), [token(1, 0, 1)], at(20))).await.unwrap();
    let taken = store.respond(respond(token(1, 0, 1), miner(1), "a", at(21))).await.unwrap();
    assert!(matches!(taken, Responded::Accepted { elapsed_millis: 1_000, .. }), "{taken:?}");
}

async fn an_offer_may_be_answered_without_a_fetch(store: &dyn Store) {
    offered(store).await;
    let taken = store.respond(respond(token(1, 0, 1), miner(1), "a", at(21))).await.unwrap();
    assert!(matches!(taken, Responded::Accepted { elapsed_millis: 21_000, .. }), "{taken:?}");
}

/// Leases three slots of a task that ends with so many answers.
async fn three_leases(store: &dyn Store, enough: u16) {
    store.enqueue(enqueue(NewTask { enough, ..task(1, 3) })).await.unwrap();
    lease(store, 1, 3).await;
}

async fn answer(store: &dyn Store, slot: u16, secs: i64) -> Standing {
    let holder = miner(u128::from(slot) + 1);
    match store.respond(respond(token(1, slot, 1), holder, "a", at(secs))).await.unwrap() {
        Responded::Accepted { standing, .. } => standing,
        other => panic!("{other:?}"),
    }
}

fn freed(slots: &[u16]) -> Vec<Freed> {
    let freed = |&slot| Freed { token: token(1, slot, 1), holder: miner(u128::from(slot) + 1) };
    slots.iter().map(freed).collect()
}

async fn the_first_answer_ends_a_task_that_wants_one(store: &dyn Store) {
    three_leases(store, 1).await;
    let standing = answer(store, 1, 9).await;
    let done = TaskState::Done;
    let expected = Standing { state: done, answered: 1, failed: 0, freed: freed(&[0, 2]) };
    assert_eq!(standing, expected);
    let found = record(store, 1).await;
    assert_eq!((found.finished_at, found.first_response_at), (Some(at(9)), Some(at(9))));
    let states: Vec<_> = found.slots.iter().map(|s| s.state).collect();
    use SlotState::{Answered, Superseded};
    assert_eq!(states, [Superseded, Answered, Superseded]);
    assert!(found.attempts.iter().all(|a| a.reason == LossReason::Superseded));
    assert_eq!(found.attempts.len(), 2);
    for n in 1..=3 {
        let miner = store.registration(registration_id(n)).await.unwrap().unwrap();
        assert_eq!((miner.live, miner.record.lost), (0, 0), "being too slow is no fault");
    }
}

async fn a_quorum_ends_a_task(store: &dyn Store) {
    three_leases(store, 2).await;
    assert_eq!(answer(store, 2, 5).await.state, TaskState::Open);
    let standing = answer(store, 0, 6).await;
    assert_eq!((standing.state, standing.freed), (TaskState::Done, freed(&[1])));
    let found = record(store, 1).await;
    assert_eq!((found.first_response_at, found.finished_at), (Some(at(5)), Some(at(6))));
}

async fn the_last_answer_ends_a_task_that_wants_all(store: &dyn Store) {
    three_leases(store, 3).await;
    assert_eq!(answer(store, 0, 5).await.state, TaskState::Open);
    assert_eq!(answer(store, 1, 6).await.state, TaskState::Open);
    let last = answer(store, 2, 7).await;
    assert_eq!((last.state, last.answered, last.freed), (TaskState::Done, 3, vec![]));
}

async fn the_same_answer_again_is_the_same(store: &dyn Store) {
    leased(store, 1, 2).await;
    let first = respond(token(1, 0, 1), miner(1), "a", at(30));
    store.respond(first.clone()).await.unwrap();
    let again = Respond { now: at(90), ..first.clone() };
    let same = Responded::Same { state: TaskState::Open };
    assert_eq!(store.respond(again.clone()).await.unwrap(), same);
    store.respond(respond(token(1, 1, 1), miner(2), "b", at(95))).await.unwrap();
    let same = Responded::Same { state: TaskState::Done };
    assert_eq!(store.respond(again).await.unwrap(), same);
    assert_eq!(store.responses(task_id(1)).await.unwrap()[0].created_at, at(30));
    let miner = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!(miner.record.answered, 1);
}

async fn another_answer_conflicts(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(30))).await.unwrap();
    let other = store.respond(respond(token(1, 0, 1), miner(1), "b", at(31))).await.unwrap();
    assert_eq!(other, Responded::Conflict);
    let stored = &store.responses(task_id(1)).await.unwrap()[0];
    assert_eq!(stored.body["transcript"], "a");
}

async fn is_lost(store: &dyn Store, answer: Respond) {
    let before = store.task(answer.token.task).await.unwrap();
    assert_eq!(store.respond(answer.clone()).await.unwrap(), Responded::Lost, "{answer:?}");
    assert_eq!(store.task(answer.token.task).await.unwrap(), before);
}

async fn an_answer_by_somebody_else_is_lost(store: &dyn Store) {
    leased(store, 1, 2).await;
    is_lost(store, respond(token(1, 0, 1), miner(2), "a", at(1))).await;
    is_lost(store, respond(token(1, 0, 1), validator(1), "a", at(1))).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    is_lost(store, respond(token(1, 0, 1), miner(2), "a", at(1))).await;
}

async fn an_answer_to_another_attempt_is_lost(store: &dyn Store) {
    leased(store, 1, 2).await;
    is_lost(store, respond(token(1, 0, 0), miner(1), "a", at(1))).await;
    is_lost(store, respond(token(1, 0, 2), miner(1), "a", at(1))).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    is_lost(store, respond(token(1, 0, 2), miner(1), "a", at(1))).await;
}

async fn an_answer_after_expiry_is_lost(store: &dyn Store) {
    leased(store, 1, 1).await;
    assert_eq!(store.sweep(sweep(at(120))).await.unwrap().lost.len(), 1);
    is_lost(store, respond(token(1, 0, 1), miner(1), "a", at(120))).await;
}

async fn an_answer_after_cancel_is_lost(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.cancel(cancel(1)).await.unwrap();
    is_lost(store, respond(token(1, 0, 1), miner(1), "a", at(60))).await;
}

async fn an_answer_to_nothing_is_lost(store: &dyn Store) {
    leased(store, 1, 1).await;
    is_lost(store, respond(token(2, 0, 1), miner(1), "a", at(1))).await;
    is_lost(store, respond(token(1, 8, 1), miner(1), "a", at(1))).await;
}

/// Before the sweep the row still lives, whatever the clocks say: the answer counts. After it, it
/// does not, although it may have been sent before.
async fn late_answer_is_refused(store: &dyn Store) {
    leased(store, 1, 2).await;
    let late = store.respond(respond(token(1, 0, 1), miner(1), "a", at(500))).await.unwrap();
    assert!(matches!(late, Responded::Accepted { .. }), "{late:?}");
    store.sweep(sweep(at(501))).await.unwrap();
    is_lost(store, respond(token(1, 1, 1), miner(2), "b", at(119))).await;
}
