//! Lists of tasks by page.

use pithead::domain::task::TaskState;
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(pages_go_from_the_newest_to_the_oldest, pages_show_what_was_asked_for,);

fn page() -> TaskPage {
    TaskPage { owner: Some("alice".to_owned()), states: vec![], kind: None, before: None, limit: 9 }
}

async fn listed(store: &dyn Store, page: TaskPage) -> Vec<u128> {
    let tasks = store.tasks(page).await.unwrap();
    tasks.iter().map(|t| t.task.id.0.as_u128() - task_id(0).0.as_u128()).collect()
}

async fn pages_go_from_the_newest_to_the_oldest(store: &dyn Store) {
    for n in [3, 1, 5, 2, 4] {
        store.enqueue(enqueue(task(n, 2))).await.unwrap();
    }
    let first = TaskPage { limit: 2, ..page() };
    assert_eq!(listed(store, first.clone()).await, [5, 4]);
    let second = TaskPage { before: Some(task_id(4)), ..first.clone() };
    assert_eq!(listed(store, second).await, [3, 2]);
    let third = TaskPage { before: Some(task_id(2)), ..first.clone() };
    assert_eq!(listed(store, third).await, [1]);
    assert_eq!(listed(store, TaskPage { limit: 0, ..first }).await, []);
    let whole = store.tasks(page()).await.unwrap();
    assert!(whole.iter().all(|t| t.slots.len() == 2), "with their slots");
}

async fn pages_show_what_was_asked_for(store: &dyn Store) {
    for n in 1..=4 {
        let owner = if n == 2 { "bob" } else { "alice" }.to_owned();
        let kind = if n == 3 { "tts" } else { "transcription" }.to_owned();
        store.enqueue(enqueue(NewTask { owner, kind, ..task(n, 1) })).await.unwrap();
    }
    store.cancel(cancel(4)).await.unwrap();
    assert_eq!(listed(store, page()).await, [4, 3, 1]);
    assert_eq!(listed(store, TaskPage { owner: None, ..page() }).await, [4, 3, 2, 1]);
    let tts = TaskPage { kind: Some("tts".to_owned()), ..page() };
    assert_eq!(listed(store, tts).await, [3]);
    let open = TaskPage { states: vec![TaskState::Open, TaskState::Done], ..page() };
    assert_eq!(listed(store, open).await, [3, 1]);
    let open = TaskPage { states: vec![TaskState::Open], ..page() };
    assert_eq!(listed(store, open.clone()).await, [3, 1]);
    let before = TaskPage { before: Some(task_id(3)), ..open.clone() };
    assert_eq!(listed(store, before.clone()).await, [1]);
    assert_eq!(listed(store, TaskPage { owner: None, ..open.clone() }).await, [3, 2, 1]);
    assert_eq!(listed(store, TaskPage { owner: None, ..before }).await, [2, 1]);
    let tts = TaskPage { owner: None, kind: Some("tts".to_owned()), ..open };
    assert_eq!(listed(store, tts).await, [3]);
    let nobody = TaskPage { owner: Some("carol".to_owned()), ..page() };
    assert_eq!(listed(store, nobody).await, []);
}
