//! A task that would be next gets its leases while it is written; when it is not taken in, its miner
//! has its place again.

use std::time::{Duration, Instant};

use pithead::actors::distributor::{Submit, Submitted};
use pithead::actors::miner::Find;
use pithead::actors::{Actors, Deps};
use pithead::domain::ids::{MinerUid, TaskId};
use pithead::store::{Idempotency, Nonce, StoreError};
use uuid::Uuid;

use super::respawn::task;
use super::{report, start, submit};

/// A new task with its own id.
fn fresh(deps: &Deps) -> (TaskId, Submit) {
    let mut task = task(deps.clock.now());
    task.id = TaskId(Uuid::now_v7());
    (task.id, submit(task))
}

async fn hand_in(actors: &Actors, submit: Submit) -> Result<Submitted, StoreError> {
    actors.distributor.send(submit).await.unwrap()
}

/// Waits until the one miner there is holds a lease of this task.
async fn held(deps: &Deps, id: TaskId) {
    let miner = deps.directory.by_uid(MinerUid(0)).unwrap();
    let began = Instant::now();
    while miner.addr.send(Find(id)).await.unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "the miner waits for its task");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_task_that_is_refused_leaves_its_miner_the_place() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report(&deps, &actors).await;
        let hotkey = "miner0".parse().unwrap();
        let nonce = Some(Nonce { hotkey, nonce: 1, seen_at: deps.clock.now() });
        let (first, signed) = fresh(&deps);
        hand_in(&actors, Submit { nonce: nonce.clone(), ..signed }).await.unwrap();
        held(&deps, first).await;
        // The miner has one place left. Each refused task takes it for a moment.
        for _ in 0..3 {
            let (_, replay) = fresh(&deps);
            let refused = hand_in(&actors, Submit { nonce: nonce.clone(), ..replay }).await;
            assert!(matches!(refused, Err(StoreError::Replayed)), "{refused:?}");
        }
        let (second, more) = fresh(&deps);
        hand_in(&actors, more).await.unwrap();
        held(&deps, second).await;
    });
}

#[test]
fn a_task_that_may_be_another_one_waits_until_it_is_known() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report(&deps, &actors).await;
        let key = || Some(Idempotency { key: "k".to_owned(), body_hash: [1; 32] });
        let (first, keyed) = fresh(&deps);
        hand_in(&actors, Submit { idempotency: key(), ..keyed }).await.unwrap();
        let (_, again) = fresh(&deps);
        let known = hand_in(&actors, Submit { idempotency: key(), ..again }).await.unwrap();
        assert!(matches!(known, Submitted::Existing(id) if id == first), "{known:?}");
        held(&deps, first).await;
        let (second, other) = fresh(&deps);
        hand_in(&actors, other).await.unwrap();
        held(&deps, second).await;
    });
}
