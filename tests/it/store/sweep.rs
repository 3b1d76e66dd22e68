//! What is overdue ends.

use pithead::domain::lease::LossReason;
use pithead::domain::task::{SlotState, TaskState};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    nothing_due_is_nothing_done,
    offers_and_running_leases_expire_at_their_moment,
    slots_of_one_task_that_expire_together_end_it_together,
    a_late_task_with_answers_is_done,
    a_late_task_without_enough_answers_expires,
    a_lease_and_its_task_end_in_one_sweep,
    a_sweep_moves_so_many_rows,
    what_was_swept_is_not_swept_again,
);

async fn nothing_due_is_nothing_done(store: &dyn Store) {
    assert_eq!(store.sweep(sweep(at(0))).await.unwrap(), Swept::default());
    leased(store, 1, 1).await;
    assert_eq!(store.sweep(sweep(at(119))).await.unwrap(), Swept::default());
    assert_eq!(live(store, 1).await, 1);
}

async fn offers_and_running_leases_expire_at_their_moment(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    store.register(register(1, 1)).await.unwrap();
    store.register(register(2, 1)).await.unwrap();
    store.assign(assign(1, [grant(0, 1, miner(1)), offer(1, 1, miner(2))])).await.unwrap();
    let first = store.sweep(sweep(at(30))).await.unwrap();
    let reasons = |swept: &Swept| -> Vec<_> {
        swept.lost.iter().map(|lost| (lost.token.slot, lost.holder, lost.reason)).collect()
    };
    assert_eq!(reasons(&first), [(1, miner(2), LossReason::OfferExpired)]);
    let second = store.sweep(sweep(at(120))).await.unwrap();
    assert_eq!(reasons(&second), [(0, miner(1), LossReason::RunExpired)]);
    assert!(second.lost[0].retry_at.is_some_and(|again| again > at(120)));
    assert_eq!(second.overdue, []);
    for n in [1, 2] {
        let miner = store.registration(registration_id(n)).await.unwrap().unwrap();
        assert_eq!((miner.live, miner.record.lost), (0, 1));
    }
}

async fn slots_of_one_task_that_expire_together_end_it_together(store: &dyn Store) {
    leased(store, 1, 3).await;
    let strict = pithead::domain::lease::LeasePolicy { attempts_max: 1, ..policy() };
    let swept = store.sweep(Sweep { policy: strict, ..sweep(at(120)) }).await.unwrap();
    let standing = Standing { state: TaskState::Failed, answered: 0, failed: 3, freed: vec![] };
    assert_eq!(swept.lost.len(), 3);
    for (slot, lost) in (0..).zip(&swept.lost) {
        assert_eq!((lost.token, lost.retry_at), (token(1, slot, 1), None));
        assert_eq!(lost.standing, standing);
    }
}

async fn a_late_task_with_answers_is_done(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 3))).await.unwrap();
    lease(store, 1, 2).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(5))).await.unwrap();
    store.heartbeat(heartbeat(token(1, 1, 1), miner(2), at(9_999))).await.unwrap();
    let swept = store.sweep(sweep(at(3_600))).await.unwrap();
    let freed = vec![Freed { token: token(1, 1, 1), holder: miner(2) }];
    let standing = Standing { state: TaskState::Done, answered: 1, failed: 0, freed };
    assert_eq!(swept.overdue, [Overdue { task: task_id(1), standing }]);
    assert_eq!(swept.lost, []);
    let found = record(store, 1).await;
    assert_eq!((found.state, found.finished_at), (TaskState::Done, Some(at(3_600))));
    use SlotState::{Answered, Superseded};
    let states: Vec<_> = found.slots.iter().map(|s| s.state).collect();
    assert_eq!(states, [Answered, Superseded, Superseded]);
    let miner = store.registration(registration_id(2)).await.unwrap().unwrap();
    assert_eq!((miner.live, miner.record.lost), (0, 0));
}

async fn a_late_task_without_enough_answers_expires(store: &dyn Store) {
    store.enqueue(enqueue(NewTask { min_responses: 2, ..task(1, 3) })).await.unwrap();
    lease(store, 1, 1).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(5))).await.unwrap();
    store.enqueue(enqueue(task(2, 1))).await.unwrap();
    let swept = store.sweep(sweep(at(3_600))).await.unwrap();
    let states: Vec<_> =
        swept.overdue.iter().map(|o| (o.task, o.standing.state, o.standing.answered)).collect();
    let expired = TaskState::Expired;
    assert_eq!(states, [(task_id(1), expired, 1), (task_id(2), expired, 0)]);
}

async fn a_lease_and_its_task_end_in_one_sweep(store: &dyn Store) {
    leased(store, 1, 1).await;
    let swept = store.sweep(sweep(at(3_600))).await.unwrap();
    assert_eq!(swept.lost[0].reason, LossReason::RunExpired);
    assert_eq!(swept.lost[0].standing.state, TaskState::Open, "the lease ended first");
    assert_eq!(swept.overdue[0].standing.state, TaskState::Expired);
    assert_eq!(swept.overdue[0].standing.freed, [], "no lease was left");
    assert_eq!(record(store, 1).await.attempts.len(), 1);
}

/// The earliest go first.
async fn a_sweep_moves_so_many_rows(store: &dyn Store) {
    for n in 1..=5 {
        store
            .enqueue(enqueue(NewTask { deadline: at(900 - n as i64), ..task(n, 1) }))
            .await
            .unwrap();
        lease(store, n, 1).await;
        let until = at(200 - n as i64);
        store.heartbeat(heartbeat(token(n, 0, 1), miner(1), until)).await.unwrap();
    }
    let two = |now| Sweep { rows_max: 2, ..sweep(now) };
    let tasks = |swept: &Swept| -> Vec<_> { swept.lost.iter().map(|l| l.token.task).collect() };
    let first = store.sweep(two(at(300))).await.unwrap();
    assert_eq!(tasks(&first), [task_id(4), task_id(5)]);
    let second = store.sweep(two(at(300))).await.unwrap();
    assert_eq!(tasks(&second), [task_id(2), task_id(3)]);
    let third = store.sweep(two(at(1_000))).await.unwrap();
    assert_eq!(tasks(&third), [task_id(1)]);
    let overdue: Vec<_> = third.overdue.iter().map(|o| o.task).collect();
    assert_eq!(overdue, [task_id(4), task_id(5)]);
    let none = Sweep { rows_max: 0, ..sweep(at(1_000)) };
    assert_eq!(store.sweep(none).await.unwrap(), Swept::default());
}

async fn what_was_swept_is_not_swept_again(store: &dyn Store) {
    leased(store, 1, 1).await;
    assert_eq!(store.sweep(sweep(at(120))).await.unwrap().lost.len(), 1);
    assert_eq!(store.sweep(sweep(at(121))).await.unwrap(), Swept::default());
    assert_eq!(store.sweep(sweep(at(3_600))).await.unwrap().overdue.len(), 1);
    assert_eq!(store.sweep(sweep(at(3_601))).await.unwrap(), Swept::default());
}
