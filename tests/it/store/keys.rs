//! API keys: what becomes of their rows, and that the audit log has each change with the same commit.

use pithead::domain::audit::verify;
use pithead::store::*;
use serde_json::{Value, json};

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_key_written_twice_is_written_and_told_once,
    a_change_is_what_it_names_and_is_told_with_what_was,
    a_rotation_keeps_one_old_secret_until_its_time,
    a_key_is_taken_back_once_and_is_then_past_all_changes,
    a_replayed_change_has_no_effect_and_is_not_told,
);

fn by(secs: i64) -> By {
    By { netuid: 49, actor: "key:boss".to_owned(), now: at(secs), nonce: None }
}

fn key(id: &str) -> KeyRow {
    KeyRow {
        name: "a client".to_owned(),
        scopes: "client".to_owned(),
        expires_at: Some(at(999)),
        ..KeyRow::new(id, [9; 32], at(0))
    }
}

async fn put(store: &dyn Store, id: &str) {
    store.put_key(PutKey { key: key(id), by: by(0) }).await.unwrap();
}

async fn only(store: &dyn Store) -> KeyRow {
    let mut keys = store.keys().await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

/// What the log holds: actor, action, subject, detail.
async fn log(store: &dyn Store) -> Vec<(String, String, String, Value)> {
    let entries = store.audit_after(AuditPlace::default(), 99).await.unwrap();
    verify(&entries).unwrap();
    let told = entries.iter().map(|entry| &entry.fact);
    let told = told.map(|fact| {
        let text = |text: &str| text.to_owned();
        let detail = fact.detail().clone();
        (text(fact.actor()), text(fact.action()), text(fact.subject()), detail)
    });
    told.collect()
}

fn entry(action: &str, detail: Value) -> (String, String, String, Value) {
    ("key:boss".to_owned(), action.to_owned(), "a".to_owned(), detail)
}

async fn a_key_written_twice_is_written_and_told_once(store: &dyn Store) {
    put(store, "a").await;
    put(store, "a").await;
    assert_eq!(only(store).await, key("a"));
    let made = json!({
        "name": "a client", "scopes": "client", "expires_at": at(999).rfc3339(),
        "requests_per_minute": null, "in_flight": null, "tasks_per_day": null,
    });
    assert_eq!(log(store).await, [entry("key.created", made)]);
}

async fn a_change_is_what_it_names_and_is_told_with_what_was(store: &dyn Store) {
    put(store, "a").await;
    let change = ChangeKey {
        expires_at: Some(None),
        tasks_per_day: Some(Some(7)),
        ..ChangeKey::none("a".to_owned(), by(1))
    };
    let limits = KeyLimits { tasks_per_day: Some(7), ..KeyLimits::default() };
    let changed = KeyRow { expires_at: None, limits, ..key("a") };
    for _ in 0..2 {
        let answer = store.change_key(change.clone()).await.unwrap();
        assert_eq!(answer.as_ref(), Some(&changed));
    }
    assert_eq!(only(store).await, changed);
    let detail = json!({
        "from": { "expires_at": at(999).rfc3339(), "tasks_per_day": null },
        "to": { "expires_at": null, "tasks_per_day": 7 },
    });
    assert_eq!(log(store).await[1..], [entry("key.changed", detail)], "told once");
    let unknown = ChangeKey { id: "b".to_owned(), ..change };
    assert_eq!(store.change_key(unknown).await.unwrap(), None);
}

fn rotation(secret: u8, secs: i64, overlap: i64) -> RotateKey {
    let old_until = at(secs + overlap);
    RotateKey { id: "a".to_owned(), secret_hash: [secret; 32], old_until, by: by(secs) }
}

async fn a_rotation_keeps_one_old_secret_until_its_time(store: &dyn Store) {
    put(store, "a").await;
    let first = store.rotate_key(rotation(1, 10, 100)).await.unwrap().unwrap();
    let expected = KeyRow {
        secret_hash: [1; 32],
        old_secret_hash: Some([9; 32]),
        old_secret_until: Some(at(110)),
        rotated_at: Some(at(10)),
        ..key("a")
    };
    assert_eq!(first, expected);
    assert_eq!(first.old_secret(at(109)), Some(&[9; 32]));
    assert_eq!(first.old_secret(at(110)), None, "it ends by itself");
    assert_eq!(
        (first.state(at(109)), first.state(at(110))),
        (KeyState::Rotating, KeyState::Active)
    );
    let again = store.rotate_key(rotation(1, 10, 100)).await.unwrap().unwrap();
    assert_eq!(again, expected, "another try of the same finds it done");
    let second = store.rotate_key(rotation(2, 20, 100)).await.unwrap().unwrap();
    assert_eq!(second.old_secret_hash, Some([1; 32]), "the oldest one is gone");
    let third = store.rotate_key(rotation(3, 30, 0)).await.unwrap().unwrap();
    assert_eq!((third.old_secret_hash, third.old_secret_until), (None, None), "at once");
    assert_eq!(only(store).await, third);
    let until = |until: Value| entry("key.rotated", json!({ "old_secret_until": until }));
    let told =
        [until(at(110).rfc3339().into()), until(at(120).rfc3339().into()), until(Value::Null)];
    assert_eq!(log(store).await[1..], told);
}

async fn a_key_is_taken_back_once_and_is_then_past_all_changes(store: &dyn Store) {
    put(store, "a").await;
    let revoke = |id: &str, secs| RevokeKey { id: id.to_owned(), by: by(secs) };
    assert!(store.revoke_key(revoke("a", 5)).await.unwrap());
    assert!(!store.revoke_key(revoke("a", 6)).await.unwrap());
    assert!(!store.revoke_key(revoke("c", 6)).await.unwrap());
    let name = Some("again".to_owned());
    let change = ChangeKey { name, ..ChangeKey::none("a".to_owned(), by(7)) };
    assert_eq!(store.change_key(change).await.unwrap(), None);
    assert_eq!(store.rotate_key(rotation(1, 7, 9)).await.unwrap(), None);
    put(store, "a").await;
    assert_eq!(only(store).await, KeyRow { revoked_at: Some(at(5)), ..key("a") });
    assert_eq!(log(store).await[1..], [entry("key.revoked", json!({}))]);
}

async fn a_replayed_change_has_no_effect_and_is_not_told(store: &dyn Store) {
    let signed = |secs| By { nonce: nonce(1), ..by(secs) };
    store.put_key(PutKey { key: key("a"), by: signed(0) }).await.unwrap();
    let (kept, told) = (only(store).await, log(store).await);
    let replayed = |answer: bool| assert!(answer, "a replay must be refused");
    let put = PutKey { key: key("b"), by: signed(1) };
    replayed(matches!(store.put_key(put).await, Err(StoreError::Replayed)));
    let change =
        ChangeKey { name: Some("x".to_owned()), ..ChangeKey::none("a".to_owned(), signed(1)) };
    replayed(matches!(store.change_key(change).await, Err(StoreError::Replayed)));
    let rotate = RotateKey { by: signed(1), ..rotation(1, 1, 9) };
    replayed(matches!(store.rotate_key(rotate).await, Err(StoreError::Replayed)));
    let revoke = RevokeKey { id: "a".to_owned(), by: signed(1) };
    replayed(matches!(store.revoke_key(revoke).await, Err(StoreError::Replayed)));
    assert_eq!((only(store).await, log(store).await), (kept, told));
}
