//! What SQLite walks for the reads of every start and of every miner's actor: open work, never the
//! history of what ended.

use sea_orm::{ConnectionTrait, DbBackend, QueryTrait};
use tempfile::tempdir;

use super::dialect::statement;
use super::reads::{HELD, open_rows};
use super::*;

/// The steps of a plan.
async fn plan(store: &SqlStore, text: &str) -> Vec<String> {
    let rows = store.readers.query_all_raw(statement(
        &store.readers,
        &format!("EXPLAIN QUERY PLAN {text}"),
        [],
    ));
    rows.await.unwrap().iter().map(|row| row.try_get_by_index(3).unwrap()).collect()
}

#[tokio::test]
async fn a_holders_leases_and_the_open_tasks_are_found_without_walking_the_history() {
    let folder = tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("pithead.db"));
    let store = SqlStore::open(location).await.unwrap();
    let held = HELD.replace("$1", "x'00'");
    assert_eq!(plan(&store, &held).await, ["SEARCH slot USING INDEX slot_due (expires_at>?)"]);
    let open = open_rows().build(DbBackend::Sqlite).to_string();
    assert_eq!(plan(&store, &open).await, ["SCAN task USING INDEX task_open"]);
    // That the test sees a walk when there is one.
    let walk = "SELECT DISTINCT task_id FROM slot WHERE expires_at IS NOT NULL AND holder = x'00'";
    assert_ne!(plan(&store, walk).await, ["SEARCH slot USING INDEX slot_due (expires_at>?)"]);
    store.close().await;
}
