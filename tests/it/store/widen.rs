//! Slots that a task gets later: more answers, or a second miner for a straggler.

use pithead::domain::lease::LossReason;
use pithead::domain::task::{SlotState, TaskState};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    an_open_task_that_wants_one_answer_gets_more_slots,
    a_task_is_widened_once,
    an_ended_task_is_not_widened,
    the_first_answer_of_a_hedge_ends_the_other_lease,
    a_straggler_that_answers_first_ends_its_hedge,
    only_a_live_lease_is_hedged_and_only_once,
    a_hedge_needs_room_and_leaves_nothing_without,
    a_lost_lease_leaves_its_peer_alone,
    of_two_that_are_lost_together_one_waits_again,
    a_hedged_answer_does_not_end_a_task_that_wants_more,
    an_ended_task_ends_both_leases,
);

fn to(slots: u16) -> Replication {
    Replication { slots, enough: slots }
}

fn widen(n: u128, slots: u16) -> Widen {
    Widen { task: task_id(n), to: to(slots), now: at(3) }
}

fn hedge(of: u16, slot: u16, by: u128) -> Hedge {
    Hedge { of: token(1, of, 1), grant: grant(slot, 1, miner(by)), now: at(5) }
}

/// Task 1 with its slots leased to miners 1, 2, ..; miner 9 gets a second lease for the first slot.
async fn hedged(store: &dyn Store, slots: u16) {
    leased(store, 1, slots).await;
    store.register(register(9, 2)).await.unwrap();
    assert_eq!(store.hedge(hedge(0, slots, 9)).await.unwrap(), Granted::Yes);
}

fn states(record: &TaskRecord) -> Vec<SlotState> {
    record.slots.iter().map(|slot| slot.state).collect()
}

async fn an_open_task_that_wants_one_answer_gets_more_slots(store: &dyn Store) {
    leased(store, 1, 1).await;
    assert!(store.widen(widen(1, 3)).await.unwrap());
    let found = record(store, 1).await;
    assert_eq!((found.task.slots, found.task.enough), (3, 3));
    assert_eq!(states(&found), [SlotState::Running, SlotState::Queued, SlotState::Queued]);
    assert_eq!(found.slots[2].not_before, at(3));
    store.respond(respond(token(1, 0, 1), miner(1), "word", at(9))).await.unwrap();
    assert_eq!(record(store, 1).await.state, TaskState::Open, "two answers are to come");
}

async fn a_task_is_widened_once(store: &dyn Store) {
    leased(store, 1, 1).await;
    assert!(store.widen(widen(1, 2)).await.unwrap());
    assert!(!store.widen(widen(1, 3)).await.unwrap());
    assert!(!store.widen(widen(2, 3)).await.unwrap());
    assert_eq!(record(store, 1).await.slots.len(), 2);
}

async fn an_ended_task_is_not_widened(store: &dyn Store) {
    done(store, 1, 1).await;
    assert!(!store.widen(widen(1, 3)).await.unwrap());
    assert_eq!(record(store, 1).await.slots.len(), 1);
}

async fn the_first_answer_of_a_hedge_ends_the_other_lease(store: &dyn Store) {
    hedged(store, 1).await;
    assert_eq!((live(store, 1).await, live(store, 9).await), (1, 1));
    let found = record(store, 1).await;
    assert_eq!((found.task.slots, found.slots.len()), (1, 2), "it wants one answer still");
    assert_eq!((found.slots[0].hedged_by, found.slots[1].hedge_of), (Some(1), Some(0)));
    let taken = store.respond(respond(token(1, 1, 1), miner(9), "word", at(9))).await.unwrap();
    let Responded::Accepted { standing, elapsed_millis } = taken else { panic!("{taken:?}") };
    assert_eq!(elapsed_millis, 4_000, "from its own fetch");
    assert_eq!((standing.state, standing.answered), (TaskState::Done, 1));
    assert_eq!(standing.freed, [Freed { token: token(1, 0, 1), holder: miner(1) }]);
    assert_eq!((live(store, 1).await, live(store, 9).await), (0, 0));
    let found = record(store, 1).await;
    assert_eq!(states(&found), [SlotState::Superseded, SlotState::Answered]);
    assert_eq!(found.attempts[0].reason, LossReason::Superseded);
    let late = store.respond(respond(token(1, 0, 1), miner(1), "late", at(10))).await.unwrap();
    assert_eq!(late, Responded::Lost);
}

async fn a_straggler_that_answers_first_ends_its_hedge(store: &dyn Store) {
    hedged(store, 1).await;
    store.respond(respond(token(1, 0, 1), miner(1), "word", at(9))).await.unwrap();
    let found = record(store, 1).await;
    assert_eq!(states(&found), [SlotState::Answered, SlotState::Superseded]);
    assert_eq!((live(store, 1).await, live(store, 9).await), (0, 0));
    let late = store.respond(respond(token(1, 1, 1), miner(9), "late", at(10))).await.unwrap();
    assert_eq!(late, Responded::Lost);
}

async fn only_a_live_lease_is_hedged_and_only_once(store: &dyn Store) {
    hedged(store, 1).await;
    assert_eq!(store.hedge(hedge(0, 2, 9)).await.unwrap(), Granted::Taken, "hedged already");
    assert_eq!(store.hedge(hedge(1, 2, 9)).await.unwrap(), Granted::Taken, "a hedge itself");
    leased(store, 2, 1).await;
    let of = |attempt, slot| Hedge { of: token(2, 0, attempt), ..hedge(0, slot, 9) };
    assert_eq!(store.hedge(of(2, 1)).await.unwrap(), Granted::Taken, "another attempt");
    assert_eq!(store.hedge(of(1, 2)).await.unwrap(), Granted::Taken, "a slot is left out");
    assert_eq!(store.hedge(of(1, 0)).await.unwrap(), Granted::Taken, "the slot is there");
    store.respond(respond(token(2, 0, 1), miner(1), "word", at(9))).await.unwrap();
    assert_eq!(store.hedge(of(1, 1)).await.unwrap(), Granted::Taken, "answered");
    assert_eq!(live(store, 9).await, 1);
}

async fn a_hedge_needs_room_and_leaves_nothing_without(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.register(register(9, 0)).await.unwrap();
    assert_eq!(store.hedge(hedge(0, 1, 9)).await.unwrap(), Granted::NoRoom);
    let found = record(store, 1).await;
    assert_eq!((found.slots.len(), found.slots[0].hedged_by), (1, None));
    store.register(register(8, 1)).await.unwrap();
    assert_eq!(store.hedge(hedge(0, 1, 8)).await.unwrap(), Granted::Yes, "another one may");
}

async fn a_lost_lease_leaves_its_peer_alone(store: &dyn Store) {
    hedged(store, 1).await;
    let lost = store.release(release(token(1, 0, 1), miner(1), LossReason::Failed)).await.unwrap();
    let Released::Done(lost) = lost else { panic!("{lost:?}") };
    assert_eq!((lost.retry_at, lost.standing.failed), (None, 0), "not given up, and not again");
    assert_eq!(states(&record(store, 1).await), [SlotState::Superseded, SlotState::Running]);
    // Alone it is a slot like any other.
    let lost = store.release(release(token(1, 1, 1), miner(9), LossReason::Failed)).await.unwrap();
    let Released::Done(lost) = lost else { panic!("{lost:?}") };
    assert!(lost.retry_at.is_some());
    assert_eq!(states(&record(store, 1).await), [SlotState::Superseded, SlotState::Queued]);
    let again = Grant { expires_at: at(300), ..grant(1, 2, miner(1)) };
    store.assign(assign(1, [again])).await.unwrap();
    store.release(release(token(1, 1, 2), miner(1), LossReason::Failed)).await.unwrap();
    let found = record(store, 1).await;
    assert_eq!((found.state, found.failed), (TaskState::Failed, 1));
}

async fn of_two_that_are_lost_together_one_waits_again(store: &dyn Store) {
    hedged(store, 1).await;
    let swept = store.sweep(sweep(at(500))).await.unwrap();
    assert_eq!(swept.lost.len(), 2);
    let found = record(store, 1).await;
    assert_eq!(states(&found), [SlotState::Superseded, SlotState::Queued]);
    assert_eq!((live(store, 1).await, live(store, 9).await), (0, 0));
}

async fn a_hedged_answer_does_not_end_a_task_that_wants_more(store: &dyn Store) {
    hedged(store, 2).await;
    let taken = store.respond(respond(token(1, 2, 1), miner(9), "word", at(9))).await.unwrap();
    let Responded::Accepted { standing, .. } = taken else { panic!("{taken:?}") };
    assert_eq!((standing.state, standing.answered), (TaskState::Open, 1));
    assert_eq!(standing.freed, [Freed { token: token(1, 0, 1), holder: miner(1) }]);
    store.respond(respond(token(1, 1, 1), miner(2), "word", at(9))).await.unwrap();
    assert_eq!(record(store, 1).await.state, TaskState::Done);
}

async fn an_ended_task_ends_both_leases(store: &dyn Store) {
    hedged(store, 1).await;
    let Cancelled::Done(standing) = store.cancel(cancel(1)).await.unwrap() else { panic!() };
    assert_eq!(standing.freed.len(), 2);
    assert_eq!(states(&record(store, 1).await), [SlotState::Superseded; 2]);
    assert_eq!((live(store, 1).await, live(store, 9).await), (0, 0));
}
