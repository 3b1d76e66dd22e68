//! Opening, sharing, closing and migrating the databases.

use std::path::Path;

use futures_util::future::join_all;
use pithead::store::sql::{Location, SqlStore, migrate};
use pithead::store::*;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use super::make::*;
use super::{assert_invariants, dump, sqlite};
use crate::support::postgres;

/// Leaves something in every table of the main job.
async fn some_work(store: &dyn Store) {
    store.know_validator(known_validator(1)).await.unwrap();
    store.put_report(report(1, 1, 1)).await.unwrap();
    store.put_file(PutFile { nonce: nonce(1), ..file(1) }).await.unwrap();
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(0, 50)])).await.unwrap();
    leased(store, 2, 1).await;
}

async fn data_survive(location: Location) {
    let store = SqlStore::open(location.clone()).await.unwrap();
    some_work(&store).await;
    let before = dump::of(&store).await;
    store.close().await;
    let closed = store.enqueue(enqueue(task(3, 1))).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
    let store = SqlStore::open(location).await.unwrap();
    assert_eq!(dump::of(&store).await.difference(&before), "");
    let answer = respond(token(2, 0, 1), miner(1), "a", at(5));
    let taken = store.respond(answer).await.unwrap();
    assert!(matches!(taken, Responded::Accepted { .. }), "the lease lives on: {taken:?}");
    store.close().await;
}

#[tokio::test]
async fn data_survive_close_and_reopen_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    data_survive(Location::parse(None, dir.path()).unwrap()).await;
}

#[tokio::test]
async fn data_survive_close_and_reopen_on_postgres() {
    if let Some(url) = postgres::database().await {
        data_survive(Location::Postgres(url)).await;
    }
}

async fn a_second_one_is_refused(location: Location, sentence: &str) {
    let first = SqlStore::open(location.clone()).await.unwrap();
    let second = SqlStore::open(location.clone()).await;
    let Err(StoreError::Unavailable(said)) = second.map(|_| ()) else { panic!("it was let in") };
    assert!(said.starts_with(sentence), "{said}");
    first.ping().await.unwrap();
    first.close().await;
    SqlStore::open(location).await.unwrap().close().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sentence = format!("another pithead runs on the data folder `{}`", dir.path().display());
    a_second_one_is_refused(Location::parse(None, dir.path()).unwrap(), &sentence).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_postgres_database_is_refused() {
    if let Some(url) = postgres::database().await {
        let sentence = "another pithead runs on this PostgreSQL database";
        a_second_one_is_refused(Location::Postgres(url), sentence).await;
    }
}

#[tokio::test]
async fn migrations_started_at_once_all_succeed() {
    let Some(url) = postgres::database().await else { return };
    let location = Location::Postgres(url);
    for done in join_all((0..4).map(|_| migrate(&location))).await {
        done.unwrap();
    }
    let store = SqlStore::open(location).await.unwrap();
    some_work(&store).await;
    store.close().await;
}

/// The first to find that the server is gone says so for all that wait with it; if each of them
/// waited for a connection in turn, the last of a full batch would be told after an hour.
#[tokio::test]
async fn a_server_that_is_gone_is_told_to_all_at_once() {
    let Some(server) = postgres::start() else { return };
    let store = SqlStore::open(Location::Postgres(server.url("postgres"))).await.unwrap();
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    let _socket = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    let tasks = join_all((10..40).map(|n| store.enqueue(enqueue(task(n, 1)))));
    let limit = std::time::Duration::from_secs(60);
    let told = tokio::time::timeout(limit, tasks).await.expect("they waited one by one");
    let unavailable = |answer: &StoreResult<_>| matches!(answer, Err(StoreError::Unavailable(_)));
    assert!(told.iter().all(unavailable), "{told:?}");
    store.close().await;
}

#[tokio::test]
async fn a_url_of_another_scheme_is_refused() {
    let refused = Location::parse(Some("mysql://x"), Path::new("."));
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

/// The writer's lock held by somebody else, say by `sqlite3` or a backup.
async fn other_writer(dir: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(dir.join("pithead.db"));
    options.busy_timeout(std::time::Duration::from_secs(10)).connect().await.unwrap()
}

#[tokio::test]
async fn busy_never_surfaces_while_another_connection_writes() {
    let (store, dir) = sqlite().await;
    let mut other = other_writer(dir.path()).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let waits = store.enqueue(enqueue(task(1, 1)));
    let reads = async {
        for _ in 0..50 {
            store.ping().await.unwrap();
            assert_eq!(store.task(task_id(1)).await.unwrap(), None, "readers do not wait");
        }
        other.execute("COMMIT").await.unwrap();
    };
    let (enqueued, ()) = futures_util::future::join(waits, reads).await;
    assert_eq!(enqueued.unwrap(), Enqueued::New);
    let writes = async {
        for n in 0..50 {
            let insert = format!("INSERT INTO verdict (uid, round, body) VALUES ({n}, 0, '{{}}')");
            other.execute("BEGIN IMMEDIATE").await.unwrap();
            other.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
            other.execute("COMMIT").await.unwrap();
        }
    };
    let tasks = join_all((10..60).map(|n| store.enqueue(enqueue(task(n, 1)))));
    let (enqueued, ()) = futures_util::future::join(tasks, writes).await;
    assert!(enqueued.into_iter().all(|e| matches!(e, Ok(Enqueued::New))));
    assert_invariants(&store, "after two writers").await;
    store.close().await;
}

/// An idle server writes nothing: the log of the database does not grow.
#[tokio::test]
async fn a_sweep_of_nothing_writes_nothing() {
    let (store, dir) = sqlite().await;
    some_work(&store).await;
    let log = || {
        let log = std::fs::metadata(dir.path().join("pithead.db-wal")).unwrap();
        (log.len(), log.modified().unwrap())
    };
    let before = log();
    let nothing = FORGET_NOTHING;
    for secs in 0..30 {
        assert_eq!(store.sweep(sweep(at(secs))).await.unwrap(), Swept::default());
        assert_eq!(store.prune(nothing).await.unwrap(), 0);
        store.close_round(CloseRound::default()).await.unwrap();
        store.put_kind_records(PutKindRecords { rows: vec![], work: vec![] }).await.unwrap();
    }
    assert_eq!(log(), before);
    store.sweep(sweep(at(120))).await.unwrap();
    assert_ne!(log(), before, "and this is how one would notice");
    store.close().await;
}
