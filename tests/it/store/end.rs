//! Leases given back, and tasks taken back.

use pithead::domain::lease::{AfterLoss, LeasePolicy, LossReason};
use pithead::domain::task::{SlotState, TaskState, TaskStatus};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    every_reason_is_judged_by_the_rule,
    a_lost_lease_is_written_down,
    the_second_failure_gives_the_slot_up,
    a_task_without_any_answer_fails,
    the_last_failure_ends_a_task_with_what_came,
    only_the_holder_gives_back,
    a_lease_is_given_back_once,
    a_given_back_slot_is_leased_at_the_next_attempt,
    cancel_ends_a_task_and_frees_its_leases,
    cancel_keeps_what_was_answered,
    cancel_again_is_no_error,
    cancel_of_an_ended_task_says_how_it_ended,
    cancel_of_a_strange_task_finds_nothing,
);

async fn every_reason_is_judged_by_the_rule(store: &dyn Store) {
    for (n, &reason) in LossReason::ALL.iter().enumerate() {
        let n = n as u128 + 1;
        leased(store, n, 1).await;
        let before = store.registration(registration_id(1)).await.unwrap().unwrap();
        let give_back = release(token(n, 0, 1), miner(1), reason);
        let released = store.release(give_back).await.unwrap();
        let Released::Done(lost) = released else { panic!("{reason}: {released:?}") };
        let after = policy().after_loss(token(n, 0, 1), reason, reason.is_failure().into(), at(10));
        let retry_at = match after {
            AfterLoss::Retry(at) => Some(at),
            AfterLoss::GiveUp => None,
        };
        assert_eq!((lost.token, lost.holder, lost.reason), (token(n, 0, 1), miner(1), reason));
        assert_eq!(lost.retry_at, retry_at, "{reason}");
        let state = if retry_at.is_some() { TaskState::Open } else { TaskState::Failed };
        assert_eq!((lost.standing.state, lost.standing.answered), (state, 0), "{reason}");
        assert_eq!(lost.standing.failed, u16::from(retry_at.is_none()), "{reason}");
        let slot = record(store, n).await.slots[0].clone();
        let expected = if retry_at.is_some() { SlotState::Queued } else { SlotState::Failed };
        assert_eq!((slot.state, slot.attempt, slot.holder), (expected, 1, None), "{reason}");
        assert_eq!(slot.not_before, retry_at.unwrap_or(at(10)), "{reason}");
        let miner = store.registration(registration_id(1)).await.unwrap().unwrap();
        let fault = i64::from(reason.is_failure());
        assert_eq!((miner.live, miner.record.lost - before.record.lost), (0, fault), "{reason}");
    }
}

async fn a_lost_lease_is_written_down(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.release(release(token(1, 0, 1), miner(1), LossReason::Busy)).await.unwrap();
    let found = record(store, 1).await;
    let expected = AttemptRow {
        token: token(1, 0, 1),
        holder: miner(1),
        reason: LossReason::Busy,
        granted_at: at(0),
        fetched_at: Some(at(0)),
        ended_at: at(10),
    };
    assert_eq!(found.attempts, [expected]);
    assert_eq!(found.status(), TaskStatus::Pending, "distributed goes back to pending");
}

/// Fails attempts 1 and 2 of slot 0.
async fn fail_twice(store: &dyn Store) -> Lost {
    store.release(release(token(1, 0, 1), miner(1), LossReason::Failed)).await.unwrap();
    store.assign(assign(1, [grant(0, 2, miner(1))])).await.unwrap();
    let released = store.release(release(token(1, 0, 2), miner(1), LossReason::Failed)).await;
    let Ok(Released::Done(lost)) = released else { panic!("{released:?}") };
    lost
}

async fn the_second_failure_gives_the_slot_up(store: &dyn Store) {
    leased(store, 1, 2).await;
    let lost = fail_twice(store).await;
    let standing = Standing { state: TaskState::Open, answered: 0, failed: 1, freed: vec![] };
    assert_eq!((lost.retry_at, lost.standing), (None, standing));
    let slot = record(store, 1).await.slots[0].clone();
    assert_eq!((slot.state, slot.failures, slot.attempt), (SlotState::Failed, 2, 2));
}

async fn a_task_without_any_answer_fails(store: &dyn Store) {
    leased(store, 1, 1).await;
    let lost = fail_twice(store).await;
    assert_eq!(lost.standing.state, TaskState::Failed);
    let found = record(store, 1).await;
    assert_eq!((found.state, found.finished_at), (TaskState::Failed, Some(at(10))));
}

async fn the_last_failure_ends_a_task_with_what_came(store: &dyn Store) {
    for (min_responses, state) in [(1, TaskState::Done), (2, TaskState::Failed)] {
        let n = u128::from(min_responses);
        store.enqueue(enqueue(NewTask { min_responses, ..task(n, 2) })).await.unwrap();
        lease(store, n, 2).await;
        store.respond(respond(token(n, 1, 1), miner(2), "a", at(5))).await.unwrap();
        let impossible = release(token(n, 0, 1), miner(1), LossReason::Impossible);
        let released = store.release(impossible).await.unwrap();
        let Released::Done(lost) = released else { panic!("{released:?}") };
        assert_eq!(lost.standing, Standing { state, answered: 1, failed: 1, freed: vec![] });
    }
}

async fn only_the_holder_gives_back(store: &dyn Store) {
    leased(store, 1, 2).await;
    let strange = [
        (token(1, 0, 1), miner(2)),
        (token(1, 0, 2), miner(1)),
        (token(1, 4, 1), miner(1)),
        (token(2, 0, 1), miner(1)),
    ];
    for (token, holder) in strange {
        let released = store.release(release(token, holder, LossReason::Busy)).await.unwrap();
        assert_eq!(released, Released::Lost, "{token} {holder:?}");
    }
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    let answered = release(token(1, 0, 1), miner(1), LossReason::Busy);
    assert_eq!(store.release(answered).await.unwrap(), Released::Lost, "it was answered");
    assert_eq!(record(store, 1).await.attempts, []);
}

async fn a_lease_is_given_back_once(store: &dyn Store) {
    leased(store, 1, 1).await;
    let give_back = release(token(1, 0, 1), miner(1), LossReason::Busy);
    assert!(matches!(store.release(give_back.clone()).await.unwrap(), Released::Done(_)));
    assert_eq!(store.release(give_back).await.unwrap(), Released::Lost);
    assert_eq!(live(store, 1).await, 0);
}

async fn a_given_back_slot_is_leased_at_the_next_attempt(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.release(release(token(1, 0, 1), miner(1), LossReason::Failed)).await.unwrap();
    let old = store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(old, [Granted::Taken]);
    let next = store.assign(assign(1, [grant(0, 2, miner(1))])).await.unwrap();
    assert_eq!(next, [Granted::Yes]);
    let patient = LeasePolicy { attempts_max: 9, ..policy() };
    let give_back = release(token(1, 0, 2), miner(1), LossReason::Failed);
    let released = store.release(Release { policy: patient, ..give_back }).await.unwrap();
    assert!(matches!(released, Released::Done(Lost { retry_at: Some(_), .. })), "{released:?}");
    assert_eq!(record(store, 1).await.attempts.len(), 2);
}

async fn cancel_ends_a_task_and_frees_its_leases(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 3))).await.unwrap();
    lease(store, 1, 2).await;
    let freed = [1, 2].map(|n| Freed { token: token(1, n - 1, 1), holder: miner(n.into()) });
    let state = TaskState::Cancelled;
    let standing = Standing { state, answered: 0, failed: 0, freed: freed.to_vec() };
    assert_eq!(store.cancel(cancel(1)).await.unwrap(), Cancelled::Done(standing));
    let found = record(store, 1).await;
    assert_eq!((found.state, found.finished_at), (state, Some(at(50))));
    assert!(found.slots.iter().all(|slot| slot.state == SlotState::Superseded));
    assert_eq!(found.attempts.len(), 2);
    assert_eq!((live(store, 1).await, live(store, 2).await), (0, 0));
}

async fn cancel_keeps_what_was_answered(store: &dyn Store) {
    leased(store, 1, 2).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(5))).await.unwrap();
    let Cancelled::Done(standing) = store.cancel(cancel(1)).await.unwrap() else { panic!() };
    assert_eq!((standing.answered, standing.freed.len()), (1, 1));
    assert_eq!(record(store, 1).await.slots[0].state, SlotState::Answered);
    assert_eq!(store.responses(task_id(1)).await.unwrap().len(), 1);
}

async fn cancel_again_is_no_error(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.cancel(cancel(1)).await.unwrap();
    let standing = Standing { state: TaskState::Cancelled, answered: 0, failed: 0, freed: vec![] };
    let again = store.cancel(Cancel { now: at(99), ..cancel(1) }).await.unwrap();
    assert_eq!(again, Cancelled::Done(standing));
    assert_eq!(record(store, 1).await.finished_at, Some(at(50)));
}

async fn cancel_of_an_ended_task_says_how_it_ended(store: &dyn Store) {
    done(store, 1, 1).await;
    assert_eq!(store.cancel(cancel(1)).await.unwrap(), Cancelled::Ended(TaskState::Done));
    store.evaluate(evaluate(1, 1, &[(0, 50)])).await.unwrap();
    assert_eq!(store.cancel(cancel(1)).await.unwrap(), Cancelled::Ended(TaskState::Approved));
}

async fn cancel_of_a_strange_task_finds_nothing(store: &dyn Store) {
    leased(store, 1, 1).await;
    let of_bob = Cancel { owner: "bob".to_owned(), ..cancel(1) };
    assert_eq!(store.cancel(of_bob).await.unwrap(), Cancelled::NotFound);
    assert_eq!(store.cancel(cancel(2)).await.unwrap(), Cancelled::NotFound);
    assert_eq!(record(store, 1).await.state, TaskState::Open);
}
