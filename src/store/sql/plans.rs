//! What SQLite walks for the reads of every start and of every miner's actor: open work, never the
//! history of what ended.

use sea_orm::{ConnectionTrait, DbBackend, QueryTrait};
use tempfile::tempdir;

use super::dialect::statement;
use super::reads::{HELD, open_rows, page_rows};
use super::*;
use crate::domain::task::TaskState;

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

#[tokio::test]
async fn what_is_left_to_judge_is_walked_along_the_done_tasks_from_a_place() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let page = ["x'00'", "1", "x'00'"].into_iter().zip(1..);
    let page = page.fold(format!("{} LIMIT 500", left::PAGE), |text, (value, number)| {
        text.replace(&format!("${number}"), value)
    });
    let of_one = ["(task_id=?)", "(task_id=? AND slot=? AND validator_id=?)"];
    let steps = plan(&store, &page).await;
    assert_eq!(steps[0], "SEARCH task USING COVERING INDEX task_done ((done_order,id)>(?,?))");
    assert!(steps[2].ends_with(of_one[0]) && steps[4].ends_with(of_one[1]), "{steps:?}");
    assert_eq!(steps.len(), 5, "nothing is sorted: {steps:?}");
    let among = left::AMONG.text(DbBackend::Sqlite, 2).replace('?', "x'00'");
    let steps = plan(&store, &among).await;
    let task = "SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)";
    assert!(steps.iter().any(|step| step == task), "{steps:?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN task")), "{steps:?}");
    assert_eq!(plan(&store, left::LAST).await, ["SCAN task USING COVERING INDEX task_done"]);
    store.close().await;
}

#[tokio::test]
async fn pages_of_open_tasks_are_found_without_walking_the_history() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let page = |owner: Option<&str>, before, states| TaskPage {
        owner: owner.map(ToOwned::to_owned),
        states,
        kind: Some("tts".to_owned()),
        before,
        limit: 50,
    };
    let before = Some(TaskId(uuid::Uuid::nil()));
    let steps =
        async |page| plan(&store, &page_rows(page).build(DbBackend::Sqlite).to_string()).await;
    let open = vec![TaskState::Open];
    for (before, range) in [(None, "(owner=?)"), (before, "(owner=? AND id<?)")] {
        let own = steps(page(Some("alice"), before, open.clone())).await;
        assert_eq!(own, [format!("SEARCH task USING INDEX task_owner_open {range}")]);
        let all = steps(page(None, before, open.clone())).await;
        let listed = ["LIST SUBQUERY 1", "SCAN task USING INDEX task_open"];
        assert_eq!(all[0], "SEARCH task USING INDEX sqlite_autoindex_task_1 (id=?)", "{all:?}");
        assert_eq!(all[1..3], listed, "{all:?}");
        assert!(!all.iter().any(|step| step.contains("TEMP B-TREE")), "{all:?}");
    }
    // That the test sees the history when it is walked.
    let own = steps(page(Some("alice"), None, vec![TaskState::Open, TaskState::Done])).await;
    assert_eq!(own, ["SEARCH task USING INDEX task_owner (owner=?)"]);
    store.close().await;
}

#[tokio::test]
async fn hours_of_scores_are_found_by_their_time() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let steps = async |text: &str| plan(&store, &text.replace("$1", "1").replace("$2", "2")).await;
    let first = "SEARCH score USING COVERING INDEX score_at (scored_at>? AND scored_at<?)";
    assert_eq!(steps(ledger::FIRST).await, [first]);
    let sums = steps(ledger::SUMS).await;
    assert_eq!(sums[0], first.replace("COVERING ", ""), "{sums:?}");
    let window = "SEARCH score_hour USING INDEX sqlite_autoindex_score_hour_1 (hour>? AND hour<?)";
    assert_eq!(steps(ledger::HOURS).await, [window]);
    let days =
        plan(&store, &ledger::DAYS.replace("$1", "x''").replace("$2", "1").replace("$3", "2"))
            .await;
    for table in ["score", "voice"] {
        let by_day = format!("SEARCH {table}_day USING INDEX {table}_day_day (day>? AND day<?)");
        assert!(days.contains(&by_day), "{days:?}");
    }
    let own = "SEARCH score_hour USING COVERING INDEX score_hour_voice (voice=?)";
    assert_eq!(steps(ledger::SUMMED).await, [own]);
    store.close().await;
}

#[tokio::test]
async fn the_audit_log_is_read_along_its_key_and_asked_by_its_subjects() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let standing = audit::STANDING.text(DbBackend::Sqlite, 2).replace('?', "'x'");
    let steps = plan(&store, &standing).await;
    let asked = "USING COVERING INDEX audit_subject (writer=? AND action=? AND subject=?)";
    assert!(steps.iter().any(|step| step.ends_with(asked)), "{steps:?}");
    let page = ["'49'", "7", "1", "'w'", "50"].into_iter().zip(1..);
    let page = page.fold(audit::PAGE.to_owned(), |text, (value, number)| {
        text.replace(&format!("${number}"), value)
    });
    let key = "SEARCH audit USING INDEX sqlite_autoindex_audit_1 (writer=? AND seq<?)";
    assert_eq!(plan(&store, &page).await, [key], "nothing is sorted");
    store.close().await;
}

#[tokio::test]
async fn the_chain_as_of_a_moment_is_found_without_walking_what_was_said_of_it() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let numbers = |text: &str| {
        let text = text.replace("$1", "5").replace("$2", "9");
        text.replace("$3", "3")
    };
    let steps = plan(&store, &numbers(submission::BEFORE)).await;
    let own = "(netuid=? AND validator_hotkey=?)";
    for step in [
        "SEARCH submission USING COVERING INDEX sqlite_autoindex_submission_1 (netuid=?)"
            .to_owned(),
        "SEARCH s USING COVERING INDEX sqlite_autoindex_submission_1 \
         (netuid=? AND validator_hotkey>?)"
            .to_owned(),
        format!("SEARCH s USING INDEX sqlite_autoindex_submission_1 {own}"),
        format!("SEARCH s USING INDEX submission_settled {own}"),
    ] {
        assert!(steps.contains(&step), "{step}: {steps:?}");
    }
    let walks = |step: &&String| step.contains("TEMP B-TREE") || step.starts_with("SCAN s");
    assert_eq!(steps.iter().find(walks), None, "{steps:?}");
    let newest = chain::newest_before(5, Millis(9)).build(DbBackend::Sqlite).to_string();
    let adopted = "SEARCH metagraph USING INDEX metagraph_adopted (netuid=? AND adopted_at<?)";
    assert_eq!(plan(&store, &newest).await, [adopted]);
    store.close().await;
}

#[tokio::test]
async fn closed_registrations_are_walked_by_their_end_and_what_they_left_is_found_by_key() {
    let folder = tempdir().unwrap();
    let store = SqlStore::open(Location::Sqlite(folder.path().join("pithead.db"))).await.unwrap();
    let steps = plan(&store, &forget_miners::LEFT.replace("$1", "5").replace("$2", "9")).await;
    let closed = "SEARCH r USING COVERING INDEX registration_closed (closed_at<?)";
    assert_eq!(steps[0], closed, "{steps:?}");
    let found = steps.iter().filter(|step| step.starts_with("SEARCH t USING"));
    let by_key = found.filter(|step| step.contains("(registration_id=?"));
    assert_eq!(by_key.count(), 5, "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    store.close().await;
}
