//! Leases opened, fetched and kept alive.

use pithead::domain::task::{SlotState, TaskStatus};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_queued_slot_is_leased_once,
    a_slot_is_leased_at_its_next_attempt_only,
    a_slot_that_is_not_there_is_taken,
    room_goes_out_by_rank,
    room_is_shared_by_all_tasks,
    a_closed_registration_gets_no_lease,
    a_miner_that_nobody_knows_gets_no_lease,
    a_validator_needs_no_room,
    a_taken_slot_costs_no_room,
    the_slots_of_an_ended_task_are_taken,
    an_offer_is_fetched_once,
    only_the_holder_fetches,
    another_attempt_is_not_fetched,
    a_fetch_of_several_says_for_each,
    a_heartbeat_extends_a_lease,
    a_heartbeat_never_shortens_a_lease,
    a_lost_lease_has_no_heartbeat,
);

async fn a_queued_slot_is_leased_once(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    store.register(register(1, 2)).await.unwrap();
    let granted = store.assign(assign(1, [grant(0, 1, miner(1)), offer(1, 1, miner(1))])).await;
    assert_eq!(granted.unwrap(), [Granted::Yes, Granted::Yes]);
    let again = store.assign(assign(1, [grant(0, 1, miner(1)), grant(0, 2, miner(1))])).await;
    assert_eq!(again.unwrap(), [Granted::Taken, Granted::Taken]);
    let found = record(store, 1).await;
    assert_eq!(found.status(), TaskStatus::Processing);
    let (running, offered) = (&found.slots[0], &found.slots[1]);
    assert_eq!((running.state, running.attempt), (SlotState::Running, 1));
    assert_eq!((running.holder, running.granted_at), (Some(miner(1)), Some(at(0))));
    assert_eq!((running.fetched_at, running.expires_at), (Some(at(0)), Some(at(120))));
    assert_eq!((offered.state, offered.fetched_at), (SlotState::Offered, None));
    assert_eq!(offered.expires_at, Some(at(30)));
    assert_eq!(live(store, 1).await, 2);
}

async fn a_slot_is_leased_at_its_next_attempt_only(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    store.register(register(1, 2)).await.unwrap();
    for attempt in [0, 2, 9] {
        let granted = store.assign(assign(1, [grant(0, attempt, miner(1))])).await.unwrap();
        assert_eq!(granted, [Granted::Taken], "{attempt}");
    }
    assert_eq!(live(store, 1).await, 0);
}

async fn a_slot_that_is_not_there_is_taken(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    store.register(register(1, 2)).await.unwrap();
    let granted = store.assign(assign(1, [grant(1, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::Taken]);
    let granted = store.assign(assign(2, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::Taken]);
    assert_eq!(store.assign(assign(1, [])).await.unwrap(), []);
}

async fn room_goes_out_by_rank(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 4))).await.unwrap();
    store.register(register(1, 2)).await.unwrap();
    store.register(register(2, 1)).await.unwrap();
    let grants = [3, 1, 0].map(|slot| grant(slot, 1, miner(1)));
    let granted = store.assign(assign(1, [grants[0], grants[1], grants[2], grant(2, 1, miner(2))]));
    let expected = [Granted::Yes, Granted::Yes, Granted::NoRoom, Granted::Yes];
    assert_eq!(granted.await.unwrap(), expected);
    let states: Vec<_> = record(store, 1).await.slots.iter().map(|s| s.state).collect();
    use SlotState::{Queued, Running};
    assert_eq!(states, [Queued, Running, Running, Running]);
    assert_eq!((live(store, 1).await, live(store, 2).await), (2, 1));
}

async fn room_is_shared_by_all_tasks(store: &dyn Store) {
    store.register(register(1, 1)).await.unwrap();
    for n in [1, 2] {
        store.enqueue(enqueue(task(n, 1))).await.unwrap();
    }
    let first = store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    let second = store.assign(assign(2, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!((first, second), (vec![Granted::Yes], vec![Granted::NoRoom]));
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    let second = store.assign(assign(2, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(second, [Granted::Yes]);
}

async fn a_closed_registration_gets_no_lease(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    store.register(register(1, 5)).await.unwrap();
    let successor = Register { id: registration_id(100), hotkey: hotkey("new"), ..register(1, 5) };
    store.register(successor).await.unwrap();
    let granted = store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::NoRoom]);
    assert_eq!(record(store, 1).await.slots[0].state, SlotState::Queued);
}

async fn a_miner_that_nobody_knows_gets_no_lease(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    let granted = store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::NoRoom]);
}

async fn a_validator_needs_no_room(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    let grants = [grant(0, 1, validator(1)), grant(1, 1, validator(1))];
    assert_eq!(store.assign(assign(1, grants)).await.unwrap(), [Granted::Yes; 2]);
    let mut answer = respond(token(1, 0, 1), validator(1), "a", at(5));
    answer.registration = None;
    let taken = store.respond(answer).await.unwrap();
    assert!(matches!(taken, Responded::Accepted { elapsed_millis: 5_000, .. }), "{taken:?}");
    assert_eq!(store.responses(task_id(1)).await.unwrap()[0].holder, validator(1));
}

async fn a_taken_slot_costs_no_room(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    store.register(register(1, 1)).await.unwrap();
    store.register(register(2, 1)).await.unwrap();
    store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    let granted = store.assign(assign(1, [grant(0, 1, miner(2)), grant(1, 1, miner(2))])).await;
    assert_eq!(granted.unwrap(), [Granted::Taken, Granted::Yes]);
    assert_eq!(live(store, 2).await, 1);
}

async fn the_slots_of_an_ended_task_are_taken(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    store.register(register(1, 1)).await.unwrap();
    store.cancel(cancel(1)).await.unwrap();
    let granted = store.assign(assign(1, [grant(0, 1, miner(1))])).await.unwrap();
    assert_eq!(granted, [Granted::Taken]);
}

async fn offered(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    store.register(register(1, 2)).await.unwrap();
    let offers = [offer(0, 1, miner(1)), offer(1, 1, miner(1))];
    assert_eq!(store.assign(assign(1, offers)).await.unwrap(), [Granted::Yes; 2]);
}

async fn an_offer_is_fetched_once(store: &dyn Store) {
    offered(store).await;
    let first = store.fetch(fetch(miner(1), [token(1, 0, 1)], at(20))).await.unwrap();
    assert_eq!(first, [true]);
    let slot = record(store, 1).await.slots[0].clone();
    assert_eq!((slot.state, slot.fetched_at), (SlotState::Running, Some(at(20))));
    assert_eq!((slot.granted_at, slot.expires_at), (Some(at(0)), Some(at(140))));
    let again = store.fetch(fetch(miner(1), [token(1, 0, 1)], at(21))).await.unwrap();
    assert_eq!(again, [false]);
}

async fn only_the_holder_fetches(store: &dyn Store) {
    offered(store).await;
    store.register(register(2, 2)).await.unwrap();
    let stolen = store.fetch(fetch(miner(2), [token(1, 0, 1)], at(1))).await.unwrap();
    assert_eq!(stolen, [false]);
    assert_eq!(record(store, 1).await.slots[0].state, SlotState::Offered);
}

async fn another_attempt_is_not_fetched(store: &dyn Store) {
    offered(store).await;
    for attempt in [0, 2] {
        let stale = store.fetch(fetch(miner(1), [token(1, 0, attempt)], at(1))).await.unwrap();
        assert_eq!(stale, [false], "{attempt}");
        assert_eq!(record(store, 1).await.slots[0].state, SlotState::Offered, "{attempt}");
    }
}

async fn a_fetch_of_several_says_for_each(store: &dyn Store) {
    offered(store).await;
    let tokens = [token(1, 1, 1), token(1, 0, 2), token(1, 0, 1), token(9, 0, 1), token(1, 5, 1)];
    let fetched = store.fetch(fetch(miner(1), tokens, at(1))).await.unwrap();
    assert_eq!(fetched, [true, false, true, false, false]);
    assert!(store.fetch(fetch(miner(1), [], at(1))).await.unwrap().is_empty());
}

async fn a_heartbeat_extends_a_lease(store: &dyn Store) {
    leased(store, 1, 1).await;
    let beaten = store.heartbeat(heartbeat(token(1, 0, 1), miner(1), at(150))).await.unwrap();
    assert_eq!(beaten, Some(at(150)));
    assert_eq!(record(store, 1).await.slots[0].expires_at, Some(at(150)));
    assert_eq!(store.sweep(sweep(at(149))).await.unwrap(), Swept::default());
}

async fn a_heartbeat_never_shortens_a_lease(store: &dyn Store) {
    leased(store, 1, 1).await;
    let beaten = store.heartbeat(heartbeat(token(1, 0, 1), miner(1), at(60))).await.unwrap();
    assert_eq!(beaten, Some(at(120)));
    assert_eq!(record(store, 1).await.slots[0].expires_at, Some(at(120)));
}

async fn a_lost_lease_has_no_heartbeat(store: &dyn Store) {
    leased(store, 1, 2).await;
    let strange = [
        (token(1, 0, 1), miner(2)),
        (token(1, 0, 2), miner(1)),
        (token(1, 0, 0), miner(1)),
        (token(1, 7, 1), miner(1)),
        (token(2, 0, 1), miner(1)),
    ];
    for (token, holder) in strange {
        let beaten = store.heartbeat(heartbeat(token, holder, at(500))).await.unwrap();
        assert_eq!(beaten, None, "{token} {holder:?}");
    }
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    let beaten = store.heartbeat(heartbeat(token(1, 0, 1), miner(1), at(500))).await.unwrap();
    assert_eq!(beaten, None);
}
