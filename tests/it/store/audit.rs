//! The audit log: entries linked by their hashes, on every store; and `pithead inspect audit`, which
//! finds whatever was done to them.

use std::path::Path;
use std::process::Command;

use pithead::domain::audit::{Entry, Fact, SYSTEM, verify};
use pithead::store::sql::{Location, SqlStore};
use pithead::store::*;
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::make::at;
use super::on_every_store;
use crate::support::postgres;

on_every_store!(
    facts_become_entries_that_are_linked,
    a_fact_is_told_once,
    each_subnet_has_a_log_of_its_own,
    entries_are_listed_newest_first_by_action,
    whatever_a_detail_holds_comes_back_and_verifies,
);

fn fact(action: &str, n: u64) -> Fact {
    Fact::new(SYSTEM, action, &format!("subject {n}"), &json!({ "n": n, "text": "a \"b\"" }))
}

fn note(facts: Vec<Fact>, secs: i64) -> Note {
    Note { netuid: 49, facts, now: at(secs) }
}

async fn all(store: &dyn Store) -> Vec<Entry> {
    let mut place = AuditPlace::default();
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let page = store.audit_after(place, 3).await.unwrap();
        let Some(last) = page.last() else { return all };
        place = AuditPlace { writer: last.writer.clone(), seq: last.seq };
        all.extend(page);
    }
}

async fn facts_become_entries_that_are_linked(store: &dyn Store) {
    assert_eq!(store.note(note(vec![], 0)).await.unwrap(), []);
    let facts: Vec<_> = (0..300).map(|n| fact("weights.drift", n)).collect();
    let written = store.note(note(facts.clone(), 5)).await.unwrap();
    assert_eq!(written.len(), 300);
    let later = store.note(note(vec![fact("chain.snapshot_old", 1)], 6)).await.unwrap();
    let entries = all(store).await;
    assert_eq!(verify(&entries), Ok(301));
    assert_eq!(entries, [written, later].concat());
    let told = |entry: &Entry| (entry.seq, entry.at, entry.fact.clone());
    assert_eq!(told(&entries[299]), (300, at(5), facts[299].clone()));
    assert_eq!((entries[300].seq, entries[300].at), (301, at(6)));
    assert!(entries.iter().all(|entry| entry.writer == "49"));
}

async fn a_fact_is_told_once(store: &dyn Store) {
    let one = || fact("weights.drift", 1);
    let twice = store.note(note(vec![one(), one()], 1)).await.unwrap();
    assert_eq!(twice.len(), 1);
    assert_eq!(store.note(note(vec![one()], 2)).await.unwrap(), []);
    // Of the same action and subject: what else is said of it is not heard.
    let other = Fact::new("somebody", "weights.drift", "subject 1", &json!(7));
    let next = fact("weights.drift", 2);
    let mixed = store.note(note(vec![other, next.clone(), one()], 3)).await.unwrap();
    assert_eq!(mixed.iter().map(|entry| &entry.fact).collect::<Vec<_>>(), [&next]);
    let elsewhere = fact("weights.data_gap", 1);
    assert_eq!(store.note(note(vec![elsewhere], 4)).await.unwrap()[0].seq, 3);
    assert_eq!(verify(&all(store).await), Ok(3));
}

async fn each_subnet_has_a_log_of_its_own(store: &dyn Store) {
    for (netuid, n) in [(49, 1), (5, 1), (49, 2), (5, 2)] {
        let facts = vec![fact("weights.drift", n)];
        let entries = store.note(Note { netuid, facts, now: at(1) }).await.unwrap();
        assert_eq!(entries[0].seq, i64::try_from(n).unwrap());
    }
    let entries = all(store).await;
    let places: Vec<_> = entries.iter().map(|e| (e.writer.as_str(), e.seq)).collect();
    assert_eq!(places, [("49", 1), ("49", 2), ("5", 1), ("5", 2)]);
    assert_eq!(verify(&entries), Ok(4));
    let page = AuditPage { netuid: 5, action: String::new(), before: None, limit: 9 };
    assert_eq!(store.audit(page).await.unwrap().len(), 2);
}

async fn entries_are_listed_newest_first_by_action(store: &dyn Store) {
    let actions = ["weights.drift", "chain.snapshot_old", "weights.data_gap", "weight_s"];
    for (n, action) in (1..).zip(actions) {
        store.note(note(vec![fact(action, n)], 1)).await.unwrap();
    }
    let list = async |action: &str, before, limit| {
        let page = AuditPage { netuid: 49, action: action.to_owned(), before, limit };
        let entries = store.audit(page).await.unwrap();
        entries.iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 9).await, [4, 3, 2, 1]);
    assert_eq!(list("", None, 2).await, [4, 3]);
    assert_eq!(list("", Some(3), 2).await, [2, 1]);
    assert_eq!(list("", Some(1), 2).await, [0; 0]);
    assert_eq!(list("weights.", None, 9).await, [3, 1]);
    assert_eq!(list("weights.", Some(3), 9).await, [1]);
    assert_eq!(list("weights.drift", None, 9).await, [1]);
    for nothing in ["Weights.", "weights%", "weights._r", "x"] {
        assert_eq!(list(nothing, None, 9).await, [0; 0], "{nothing}");
    }
}

async fn whatever_a_detail_holds_comes_back_and_verifies(store: &dyn Store) {
    let details = [
        json!(null),
        json!("ä \u{1} \0 \" \\ \u{1f600}"),
        json!([i64::MIN, u64::MAX, 0.1, 1e16, -0.0, 1e300, true, []]),
        json!({ "b": { "z": 1, "a": 2 }, "a": {}, "": "x\0y" }),
        json!("x".repeat(100_000)),
    ];
    let fact = |(n, detail)| Fact::new("key:a\0b", "a.b", &format!("{n} ä\0"), detail);
    let facts: Vec<_> = details.iter().enumerate().map(fact).collect();
    store.note(note(facts.clone(), 1)).await.unwrap();
    let entries = all(store).await;
    assert_eq!(verify(&entries), Ok(5));
    assert_eq!(entries.into_iter().map(|entry| entry.fact).collect::<Vec<_>>(), facts);
}

/// Runs `pithead inspect audit` on a folder; the exit code and what it said.
fn inspect(folder: &Path, url: &str, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PITHEAD_") {
            command.env_remove(name);
        }
    }
    command.args(["inspect", "audit", "--database", url, "--data"]).arg(folder).args(args);
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    (done.status.code(), said.into_owned())
}

async fn tamper(url: &str, statements: &[&'static str]) {
    if url.starts_with("sqlite:") {
        let mut session = SqliteConnection::connect(url).await.unwrap();
        for statement in statements {
            session.execute(*statement).await.unwrap();
        }
        session.close().await.unwrap();
    } else {
        let mut session = PgConnection::connect(url).await.unwrap();
        for statement in statements {
            session.execute(*statement).await.unwrap();
        }
        session.close().await.unwrap();
    }
}

const ENTRIES: u64 = 100_000;

/// Whole; then with one lie after the other, each found and taken back.
async fn whatever_was_done_to_the_log_is_found(url: &str, folder: &Path) {
    let location = || Location::parse(Some(url), folder).unwrap();
    let store = SqlStore::open(location()).await.unwrap();
    assert_eq!(inspect(folder, url, &["--verify"]), (Some(0), "0 entries, chain whole\n".into()));
    for begin in (0..ENTRIES).step_by(5_000) {
        let facts = (begin..begin + 5_000).map(|n| fact("weights.drift", n)).collect();
        store.note(note(facts, 1)).await.unwrap();
    }
    store.close().await;
    let whole = || {
        let (code, said) = inspect(folder, url, &["--verify"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("100000 entries, chain whole\n"), "{said}");
        assert!(said.contains("newest: entry 100000 of writer `49`, hash "), "{said}");
    };
    whole();
    for (lie, truth, found) in [
        (
            &["UPDATE audit SET subject = 'nothing' WHERE seq = 50000"][..],
            &["UPDATE audit SET subject = 'subject 49999' WHERE seq = 50000"][..],
            "entry 50000 of writer `49` was altered",
        ),
        (
            &["UPDATE audit SET writer = 'x' WHERE seq = 70001"][..],
            &["UPDATE audit SET writer = '49' WHERE seq = 70001"][..],
            "entry 70001 of writer `49` is missing",
        ),
        (
            &[
                "UPDATE audit SET seq = -1 WHERE seq = 30",
                "UPDATE audit SET seq = 30 WHERE seq = 31",
                "UPDATE audit SET seq = 31 WHERE seq = -1",
            ][..],
            &[
                "UPDATE audit SET seq = -1 WHERE seq = 30",
                "UPDATE audit SET seq = 30 WHERE seq = 31",
                "UPDATE audit SET seq = 31 WHERE seq = -1",
            ][..],
            "entry 30 of writer `49` was altered, or stands where another one stood",
        ),
    ] {
        tamper(url, lie).await;
        let (code, said) = inspect(folder, url, &["--verify"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(found), "after {lie:?}: {said}");
        tamper(url, truth).await;
    }
    whole();
    let (code, said) = inspect(folder, url, &["--limit", "250", "--action", "weights."]);
    let seqs: Vec<i64> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_i64())
        .collect::<Option<_>>()
        .unwrap();
    assert_eq!((code, seqs), (Some(0), (99_751..=100_000).rev().collect()));
    tamper(url, &["DELETE FROM audit WHERE seq = 99999"]).await;
    let (code, said) = inspect(folder, url, &["--verify"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("entry 99999 of writer `49` is missing; the 99998 entries"), "{said}");
    let store = SqlStore::open(location()).await.unwrap();
    let wrong: Vec<_> = store.check().await.unwrap().into_iter().filter(|(_, n)| *n > 0).collect();
    assert_eq!(wrong, [("audit_entries_have_no_gap".to_owned(), 1)]);
    store.close().await;
}

#[tokio::test]
async fn whatever_was_done_to_the_log_is_found_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("pithead.db").display());
    whatever_was_done_to_the_log_is_found(&url, folder.path()).await;
}

#[tokio::test]
async fn whatever_was_done_to_the_log_is_found_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    whatever_was_done_to_the_log_is_found(&url, folder.path()).await;
}
