//! Who waits for a task's end gets its answer along when there is only one; of several, the rows
//! tell which came first.

use std::sync::Arc;
use std::time::Duration;

use pithead::actors::distributor::{CancelTask, Watch, Watched};
use pithead::actors::lease::Outcome;
use pithead::actors::miner::{Answer, Find};
use pithead::actors::{Actors, Deps};
use pithead::domain::ids::{MinerUid, TaskId};
use pithead::store::{NewTask, Responded};
use serde_json::{Value, json};
use tokio::sync::oneshot::Receiver;

use super::respawn::task;
use super::{report_miners, start, submit};

async fn watch(actors: &Actors, id: TaskId) -> Receiver<Option<Arc<Value>>> {
    match actors.distributor.send(Watch(id)).await.unwrap() {
        Watched::Later(end) => end,
        other => panic!("{other:?}"),
    }
}

async fn holds(deps: &Deps, uid: u16, id: TaskId) -> bool {
    let miner = deps.directory.by_uid(MinerUid(uid)).unwrap();
    miner.addr.send(Find(id)).await.unwrap().is_some()
}

/// Which of the two miners holds the task, once one does.
pub(super) async fn holder(deps: &Deps, id: TaskId) -> u16 {
    loop {
        for uid in 0..2 {
            if holds(deps, uid, id).await {
                return uid;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Has the miner answer the task once it holds it.
pub(super) async fn answer(deps: &Deps, uid: u16, id: TaskId, word: &str) {
    while !holds(deps, uid, id).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let miner = deps.directory.by_uid(MinerUid(uid)).unwrap();
    let body = Arc::new(json!({ "audio_data": word }));
    let answer =
        Answer { task: id, token: None, body, body_hash: [1; 32], claims: None, nonce: None };
    let outcome = miner.addr.send(answer).await.unwrap().unwrap();
    assert!(matches!(outcome, Outcome::Stored(Responded::Accepted { .. })), "{outcome:?}");
}

pub(super) async fn open(deps: &Deps, actors: &Actors, slots: u16) -> TaskId {
    let new = NewTask { slots, ..task(deps.clock.now()) };
    let id = new.id;
    actors.distributor.send(submit(new)).await.unwrap().unwrap();
    id
}

#[test]
fn the_end_brings_the_only_answer() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report_miners(&deps, &actors, 2).await;
        let one = open(&deps, &actors, 1).await;
        let end = watch(&actors, one).await;
        let miner = holder(&deps, one).await;
        answer(&deps, miner, one, "mine").await;
        assert_eq!(end.await.unwrap().as_deref(), Some(&json!({ "audio_data": "mine" })));

        let two = open(&deps, &actors, 2).await;
        let end = watch(&actors, two).await;
        answer(&deps, 0, two, "a").await;
        answer(&deps, 1, two, "b").await;
        assert_eq!(end.await.unwrap(), None, "which of the two, the rows tell");

        let taken_back = open(&deps, &actors, 1).await;
        let end = watch(&actors, taken_back).await;
        let owner = "client".to_owned();
        actors.distributor.send(CancelTask { task: taken_back, owner }).await.unwrap().unwrap();
        assert_eq!(end.await.unwrap(), None);
    });
}
