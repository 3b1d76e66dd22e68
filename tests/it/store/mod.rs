//! One suite for every implementation of the store. Each case runs on the model, on SQLite and on
//! PostgreSQL; after it the invariants must hold, and the tables of a database must equal those of
//! the model after the same case.

mod audit;
mod concurrent;
mod differential;
mod doctor;
mod dump;
mod end;
mod enqueue;
mod evaluate;
mod fences;
mod files;
mod fold;
mod history;
mod keys;
mod lease;
mod ledger;
mod left;
mod lifecycle;
mod make;
mod pages;
mod quarantine;
mod random;
mod records;
mod register;
mod respond;
mod submissions;
mod sweep;
mod telling;
mod weights;
mod widen;

use pithead::store::Store;
use pithead::store::model::ModelStore;
use pithead::store::sql::{Location, SqlStore};

use crate::support::postgres;

/// Makes a test of each case for each store: `store::<file>::<case>::<store>`.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => { $(
        mod $case {
            #[tokio::test]
            async fn model() {
                super::$case(&pithead::store::model::ModelStore::default()).await;
            }
            #[tokio::test]
            async fn sqlite() {
                crate::store::on_sqlite(super::$case).await;
            }
            #[tokio::test]
            async fn postgres() {
                crate::store::on_postgres(super::$case).await;
            }
        }
    )* };
}
pub(crate) use on_every_store;

/// A store on SQLite in a folder of its own.
async fn sqlite() -> (SqlStore, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::parse(None, dir.path()).unwrap();
    (SqlStore::open(location).await.unwrap(), dir)
}

/// A store on a PostgreSQL database of its own, if there is a server.
async fn postgres() -> Option<SqlStore> {
    let url = postgres::database().await?;
    Some(SqlStore::open(Location::Postgres(url)).await.unwrap())
}

async fn on_sqlite(case: impl AsyncFn(&dyn Store)) {
    let (store, _dir) = sqlite().await;
    on_database(&store, case).await;
}

async fn on_postgres(case: impl AsyncFn(&dyn Store)) {
    if let Some(store) = postgres().await {
        on_database(&store, case).await;
    }
}

async fn on_database(store: &SqlStore, case: impl AsyncFn(&dyn Store)) {
    case(store).await;
    assert_invariants(store, "after the case").await;
    let model = ModelStore::default();
    case(&model).await;
    let difference = dump::of(store).await.difference(&model.dump());
    assert!(difference.is_empty(), "< database, > model\n{difference}");
    store.close().await;
}

async fn assert_invariants(store: &SqlStore, when: &str) {
    let offended: Vec<_> =
        store.check().await.unwrap().into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert!(offended.is_empty(), "{when}: {offended:?}");
}
