//! New tasks.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join3;
use pithead::domain::task::{SlotState, TaskState, TaskStatus};
use pithead::store::*;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_new_task_waits_with_all_its_slots,
    the_same_task_again_is_the_same_task,
    the_same_request_under_one_key_makes_one_task,
    another_request_under_the_same_key_is_refused,
    one_key_of_two_callers_is_two_keys,
    a_file_is_written_with_its_task_or_not_at_all,
    a_task_waits_for_the_bytes_of_its_file,
    bytes_that_do_not_arrive_take_their_task_along_and_no_other,
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

async fn a_file_is_written_with_its_task_or_not_at_all(store: &dyn Store) {
    let with =
        |n: u128, body: u8| Enqueue { file: Some(file(n).file.into()), ..keyed(n, "k", body) };
    assert_eq!(store.enqueue(with(1, 7)).await.unwrap(), Enqueued::New);
    assert_eq!(store.file(file_id(1)).await.unwrap(), Some(file(1).file));
    assert_eq!(store.enqueue(with(2, 7)).await.unwrap(), Enqueued::Existing(task_id(1)));
    assert_eq!(store.enqueue(with(3, 8)).await.unwrap(), Enqueued::Mismatch);
    let again = Enqueue { file: Some(file(4).file.into()), ..enqueue(task(1, 1)) };
    assert_eq!(store.enqueue(again).await.unwrap(), Enqueued::Existing(task_id(1)));
    for n in 2..=4 {
        assert_eq!(store.file(file_id(n)).await.unwrap(), None, "{n}");
    }
}

async fn a_task_waits_for_the_bytes_of_its_file(store: &dyn Store) {
    let (arrived, arrives) = oneshot::channel();
    let arrival = Arrival::new(async { arrives.await.map_err(io::Error::other)? });
    let new = NewFile { row: file(1).file, arrival: Some(arrival) };
    let waits = Enqueue { file: Some(new), ..enqueue(task(1, 1)) };
    let mut taken = pin!(store.enqueue(waits));
    // Longer than any commit takes.
    assert!(timeout(Duration::from_millis(300), &mut taken).await.is_err());
    assert_eq!(store.task(task_id(1)).await.unwrap(), None);
    arrived.send(Ok(())).unwrap();
    assert_eq!(taken.await.unwrap(), Enqueued::New);
    assert!(store.file(file_id(1)).await.unwrap().is_some());
}

async fn bytes_that_do_not_arrive_take_their_task_along_and_no_other(store: &dyn Store) {
    let lost = || Arrival::new(async { Err(io::Error::other("no room")) });
    let with = |n: u128| {
        let new = NewFile { row: file(n).file, arrival: Some(lost()) };
        Enqueue { file: Some(new), nonce: nonce(n.try_into().unwrap()), ..enqueue(task(n, 1)) }
    };
    let (one, other, two) =
        join3(store.enqueue(with(1)), store.enqueue(enqueue(task(9, 1))), store.enqueue(with(2)))
            .await;
    assert_eq!(other.unwrap(), Enqueued::New);
    for refused in [one, two] {
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("no room")),
            "{refused:?}"
        );
    }
    for n in [1, 2] {
        assert_eq!(store.task(task_id(n)).await.unwrap(), None);
        assert_eq!(store.file(file_id(n)).await.unwrap(), None);
        let again = Enqueue { nonce: nonce(n.try_into().unwrap()), ..enqueue(task(n, 1)) };
        assert_eq!(store.enqueue(again).await.unwrap(), Enqueued::New, "its nonce is free");
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
