//! What miners try and finish is counted by day, and written beside their records.

use std::sync::Arc;

use pithead::actors::miner::GiveBack;
use pithead::actors::{Actors, Deps};
use pithead::domain::ids::MinerUid;
use pithead::domain::lease::LossReason;
use pithead::domain::period::day_of;
use pithead::store::sql::{Location, SqlStore};
use sqlx::{Connection, Executor};

use super::watched::{answer, holder, open};
use super::{report_miners, start, start_on};

/// Attempted and completed of all miners over all days, by kind.
async fn work(deps: &Deps) -> Vec<(String, i64, i64)> {
    let sums = deps.store.work(0, i64::MAX).await.unwrap();
    sums.into_iter().map(|sum| (sum.kind, sum.attempted, sum.completed)).collect()
}

async fn answers(deps: &Deps, actors: &Actors) {
    let id = open(deps, actors, 1).await;
    let uid = holder(deps, id).await;
    answer(deps, uid, id, "word").await;
}

/// A miner takes a task and gives it back for this reason.
async fn gives_back(deps: &Deps, actors: &Actors, reason: LossReason) {
    let id = open(deps, actors, 1).await;
    let uid = holder(deps, id).await;
    let miner = deps.directory.by_uid(MinerUid(uid)).unwrap();
    let back = GiveBack { task: id, token: None, reason, nonce: None };
    miner.addr.send(back).await.unwrap().unwrap();
    let cancel = pithead::actors::distributor::CancelTask { task: id, owner: "client".to_owned() };
    actors.distributor.send(cancel).await.unwrap().unwrap();
}

#[test]
fn answers_and_failures_are_attempts_and_a_busy_miner_made_none() {
    actix_rt::System::new().block_on(async {
        let (deps, actors) = start().await;
        report_miners(&deps, &actors, 1).await;
        answers(&deps, &actors).await;
        answers(&deps, &actors).await;
        gives_back(&deps, &actors, LossReason::Busy).await;
        gives_back(&deps, &actors, LossReason::Failed).await;
        actors.flush().await;
        assert_eq!(work(&deps).await, [("tts".to_owned(), 3, 2)]);
        let today = day_of(deps.clock.now());
        assert_eq!(deps.store.work(today - 1, today + 1).await.unwrap().len(), 1);
        actors.flush().await;
        assert_eq!(work(&deps).await, [("tts".to_owned(), 3, 2)], "written once");
    });
}

/// The table is away: nothing of a task notices, and what was counted is written later, once.
#[test]
fn work_that_could_not_be_written_is_kept() {
    actix_rt::System::new().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let location = Location::parse(None, dir.path()).unwrap();
        let store = Arc::new(SqlStore::open(location).await.unwrap());
        let (deps, actors) = start_on(store.clone()).await;
        report_miners(&deps, &actors, 1).await;
        let file = dir.path().join("pithead.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        other.execute("ALTER TABLE work_day RENAME TO away").await.unwrap();
        answers(&deps, &actors).await;
        actors.flush().await;
        answers(&deps, &actors).await;
        actors.flush().await;
        other.execute("ALTER TABLE away RENAME TO work_day").await.unwrap();
        other.close().await.unwrap();
        assert_eq!(work(&deps).await, []);
        actors.flush().await;
        assert_eq!(work(&deps).await, [("tts".to_owned(), 2, 2)]);
        deps.store.close().await;
    });
}
