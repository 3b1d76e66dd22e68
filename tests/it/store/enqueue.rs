//! New tasks.

use pithead::domain::task::{SlotState, TaskState, TaskStatus};
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_new_task_waits_with_all_its_slots,
    the_same_task_again_is_the_same_task,
    the_same_request_under_one_key_makes_one_task,
    another_request_under_the_same_key_is_refused,
    one_key_of_two_callers_is_two_keys,
    a_key_tells_what_it_stands_for,
    a_file_is_written_with_its_task_or_not_at_all,
    the_input_file_is_kept,
);

async fn a_new_task_waits_with_all_its_slots(store: &dyn Store) {
    let new = task(1, 3);
    assert_eq!(store.enqueue(enqueue(new.clone())).await.unwrap(), Enqueued::New);
    let found = record(store, 1).await;
    assert_eq!(found.task, new);
    assert_eq!((found.state, found.status()), (TaskState::Open, TaskStatus::Pending));
    assert_eq!(found.slots.len(), 3);
    for (number, slot) in found.slots.iter().enumerate() {
        assert_eq!(
            (usize::from(slot.slot), slot.state, slot.attempt),
            (number, SlotState::Queued, 0)
        );
        assert_eq!((slot.holder, slot.not_before), (None, at(0)));
    }
}

async fn the_same_task_again_is_the_same_task(store: &dyn Store) {
    store.enqueue(enqueue(task(1, 2))).await.unwrap();
    let again = store.enqueue(enqueue(task(1, 2))).await.unwrap();
    assert_eq!(again, Enqueued::Existing(task_id(1)));
    assert_eq!(record(store, 1).await.slots.len(), 2);
}

fn keyed(n: u128, key: &str, body: u8) -> Enqueue {
    let idempotency = Some(Idempotency { key: key.to_owned(), body_hash: [body; 32] });
    Enqueue { idempotency, ..enqueue(task(n, 1)) }
}

async fn the_same_request_under_one_key_makes_one_task(store: &dyn Store) {
    assert_eq!(store.enqueue(keyed(1, "k", 7)).await.unwrap(), Enqueued::New);
    let again = store.enqueue(keyed(2, "k", 7)).await.unwrap();
    assert_eq!(again, Enqueued::Existing(task_id(1)));
    assert_eq!(store.task(task_id(2)).await.unwrap(), None);
    assert_eq!(store.enqueue(keyed(2, "other", 7)).await.unwrap(), Enqueued::New);
}

async fn another_request_under_the_same_key_is_refused(store: &dyn Store) {
    store.enqueue(keyed(1, "k", 7)).await.unwrap();
    assert_eq!(store.enqueue(keyed(2, "k", 8)).await.unwrap(), Enqueued::Mismatch);
    assert_eq!(store.task(task_id(2)).await.unwrap(), None);
    let again = store.enqueue(keyed(1, "k", 7)).await.unwrap();
    assert_eq!(again, Enqueued::Existing(task_id(1)));
}

async fn one_key_of_two_callers_is_two_keys(store: &dyn Store) {
    store.enqueue(keyed(1, "k", 7)).await.unwrap();
    let mut of_bob = keyed(2, "k", 8);
    of_bob.task.owner = "bob".to_owned();
    assert_eq!(store.enqueue(of_bob).await.unwrap(), Enqueued::New);
}

async fn a_key_tells_what_it_stands_for(store: &dyn Store) {
    let owner = task(1, 1).owner;
    assert_eq!(store.idempotent(&owner, "k").await.unwrap(), None);
    store.enqueue(keyed(1, "k", 7)).await.unwrap();
    let known = StandsFor { body_hash: [7; 32], task: Some(task_id(1)) };
    assert_eq!(store.idempotent(&owner, "k").await.unwrap(), Some(known));
    assert_eq!(store.idempotent("nobody", "k").await.unwrap(), None);
    let idempotency = Some(Idempotency { key: "f".to_owned(), body_hash: [8; 32] });
    store.put_file(PutFile { idempotency, ..file(1) }).await.unwrap();
    let known = store.idempotent(&file(1).file.owner, "f").await.unwrap();
    assert_eq!(known, Some(StandsFor { body_hash: [8; 32], task: None }));
}

async fn a_file_is_written_with_its_task_or_not_at_all(store: &dyn Store) {
    let with = |n: u128, body: u8| Enqueue { file: Some(file(n).file), ..keyed(n, "k", body) };
    assert_eq!(store.enqueue(with(1, 7)).await.unwrap(), Enqueued::New);
    assert_eq!(store.file(file_id(1)).await.unwrap(), Some(file(1).file));
    assert_eq!(store.enqueue(with(2, 7)).await.unwrap(), Enqueued::Existing(task_id(1)));
    assert_eq!(store.enqueue(with(3, 8)).await.unwrap(), Enqueued::Mismatch);
    let again = Enqueue { file: Some(file(4).file), ..enqueue(task(1, 1)) };
    assert_eq!(store.enqueue(again).await.unwrap(), Enqueued::Existing(task_id(1)));
    for n in 2..=4 {
        assert_eq!(store.file(file_id(n)).await.unwrap(), None, "{n}");
    }
}

async fn the_input_file_is_kept(store: &dyn Store) {
    let mut new = task(1, 1);
    new.input = TaskInput::File(file_id(1));
    new.target_language = Some("de".to_owned());
    new.model_id = Some("m".to_owned());
    new.voice_name = Some("v".to_owned());
    store.enqueue(enqueue(new.clone())).await.unwrap();
    assert_eq!(record(store, 1).await.task, new);
}
