//! Hotkeys that an operator shut out: what becomes of their rows, and that the audit log has each change
//! with the same commit.

use pithead::domain::audit::verify;
use pithead::domain::ids::Hotkey;
use pithead::store::*;
use serde_json::{Value, json};

use super::make::*;
use super::on_every_store;

on_every_store!(
    what_is_written_twice_is_told_once_and_newer_words_replace_it,
    a_hotkey_is_let_in_once,
    whoever_is_free_by_time_is_not_there_and_makes_room,
    there_is_room_for_so_many_and_for_whom_is_there_already,
    a_replayed_change_has_no_effect_and_is_not_told,
);

fn by(secs: i64) -> By {
    By { netuid: 49, actor: "key:boss".to_owned(), now: at(secs), nonce: None }
}

fn hotkey(name: &str) -> Hotkey {
    Hotkey::parse(name).unwrap()
}

/// Shuts out at a moment, until another one.
fn put(name: &str, secs: i64, until: Option<i64>) -> PutQuarantine {
    let until = until.map(at);
    PutQuarantine {
        hotkey: hotkey(name),
        reason: "floods".to_owned(),
        until,
        most: 2,
        by: by(secs),
    }
}

fn lift(name: &str, secs: i64) -> LiftQuarantine {
    LiftQuarantine { hotkey: hotkey(name), by: by(secs) }
}

async fn names(store: &dyn Store) -> Vec<String> {
    let rows = store.quarantine().await.unwrap();
    rows.into_iter().map(|row| row.hotkey.to_string()).collect()
}

/// What the log holds: actor, action, subject, detail.
async fn log(store: &dyn Store) -> Vec<Value> {
    let entries = store.audit_after(AuditPlace::default(), 99).await.unwrap();
    verify(&entries).unwrap();
    let told = entries.iter().map(|entry| &entry.fact);
    told.map(|fact| json!([fact.actor(), fact.action(), fact.subject(), fact.detail()])).collect()
}

async fn what_is_written_twice_is_told_once_and_newer_words_replace_it(store: &dyn Store) {
    let first = put("a", 1, None);
    for _ in 0..2 {
        assert!(store.put_quarantine(first.clone()).await.unwrap());
    }
    let row = QuarantineRow {
        hotkey: hotkey("a"),
        reason: "floods".to_owned(),
        until: None,
        by: "key:boss".to_owned(),
        created_at: at(1),
    };
    assert_eq!(store.quarantine().await.unwrap(), std::slice::from_ref(&row));
    let told =
        json!(["key:boss", "hotkey.quarantined", "a", { "reason": "floods", "until": null }]);
    assert_eq!(log(store).await, std::slice::from_ref(&told));
    let second = PutQuarantine { reason: "lies".to_owned(), ..put("a", 2, Some(9)) };
    assert!(store.put_quarantine(second).await.unwrap());
    let row =
        QuarantineRow { reason: "lies".to_owned(), until: Some(at(9)), created_at: at(2), ..row };
    assert!(!row.is_over(at(8)) && row.is_over(at(9)));
    assert_eq!(store.quarantine().await.unwrap(), [row]);
    let detail = json!({ "reason": "lies", "until": at(9).rfc3339() });
    let again = json!(["key:boss", "hotkey.quarantined", "a", detail]);
    assert_eq!(log(store).await, [told, again]);
}

async fn a_hotkey_is_let_in_once(store: &dyn Store) {
    assert!(!store.lift_quarantine(lift("a", 1)).await.unwrap(), "it never was shut out");
    store.put_quarantine(put("a", 1, None)).await.unwrap();
    store.put_quarantine(put("b", 1, None)).await.unwrap();
    assert!(store.lift_quarantine(lift("a", 2)).await.unwrap());
    assert!(!store.lift_quarantine(lift("a", 3)).await.unwrap());
    assert_eq!(names(store).await, ["b"]);
    let told = json!(["key:boss", "hotkey.released", "a", {}]);
    assert_eq!(log(store).await[2..], [told]);
}

async fn whoever_is_free_by_time_is_not_there_and_makes_room(store: &dyn Store) {
    store.put_quarantine(put("a", 1, Some(5))).await.unwrap();
    store.put_quarantine(put("b", 1, None)).await.unwrap();
    assert!(!store.lift_quarantine(lift("a", 5)).await.unwrap(), "it is free already");
    assert_eq!(log(store).await.len(), 2, "so nobody released it");
    assert!(!store.put_quarantine(put("c", 4, None)).await.unwrap());
    assert!(store.put_quarantine(put("c", 5, None)).await.unwrap());
    assert_eq!(names(store).await, ["b", "c"]);
}

async fn there_is_room_for_so_many_and_for_whom_is_there_already(store: &dyn Store) {
    store.put_quarantine(put("a", 1, None)).await.unwrap();
    store.put_quarantine(put("b", 1, None)).await.unwrap();
    assert!(!store.put_quarantine(put("c", 1, None)).await.unwrap());
    assert!(store.put_quarantine(put("b", 2, Some(9))).await.unwrap());
    assert_eq!(names(store).await, ["a", "b"]);
    assert_eq!(log(store).await.len(), 3, "nobody hears of whom there was no room for");
}

async fn a_replayed_change_has_no_effect_and_is_not_told(store: &dyn Store) {
    let signed = |secs| By { nonce: nonce(1), ..by(secs) };
    let shut_out = PutQuarantine { by: signed(0), ..put("a", 0, None) };
    assert!(store.put_quarantine(shut_out).await.unwrap());
    let again = PutQuarantine { by: signed(1), ..put("b", 1, None) };
    assert!(matches!(store.put_quarantine(again).await, Err(StoreError::Replayed)));
    let lifted = LiftQuarantine { by: signed(1), ..lift("a", 1) };
    assert!(matches!(store.lift_quarantine(lifted).await, Err(StoreError::Replayed)));
    assert_eq!(names(store).await, ["a"]);
    assert_eq!(log(store).await.len(), 1);
}
