//! Files that end, keys under which they are made once, and the catalogue of voices.

use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_file_is_made_once_under_its_key,
    a_key_stands_for_one_sort_of_thing,
    what_is_due_goes_and_what_is_not_stays,
    a_file_that_a_task_needs_stays,
    a_result_that_may_yet_be_judged_stays,
    files_go_in_the_order_of_their_time,
    only_what_no_file_names_is_unreferenced,
    a_voice_is_found_by_name_its_own_first,
    a_name_is_an_owners_once_and_there_are_only_so_many,
    a_refused_voice_leaves_its_key_free,
    a_sample_stays_as_long_as_a_voice_has_it,
    voices_are_listed_in_pages,
    a_voice_is_made_once_under_its_key_and_nonce,
);

fn keyed(n: u128, key: &str, hash: u8) -> PutFile {
    let idempotency = Some(Idempotency { key: key.to_owned(), body_hash: [hash; 32] });
    PutFile { idempotency, ..file(n) }
}

async fn a_file_is_made_once_under_its_key(store: &dyn Store) {
    assert_eq!(store.put_file(keyed(1, "a", 1)).await.unwrap(), FilePut::New);
    assert_eq!(store.put_file(keyed(2, "a", 1)).await.unwrap(), FilePut::Existing(file_id(1)));
    assert_eq!(store.put_file(keyed(3, "a", 2)).await.unwrap(), FilePut::Mismatch);
    assert_eq!(store.put_file(keyed(4, "b", 1)).await.unwrap(), FilePut::New);
    let mut others = keyed(5, "a", 1);
    others.file.owner = "bob".to_owned();
    assert_eq!(store.put_file(others).await.unwrap(), FilePut::New, "another owner's key");
    for (n, there) in [(1, true), (2, false), (3, false), (4, true), (5, true)] {
        assert_eq!(store.file(file_id(n)).await.unwrap().is_some(), there, "{n}");
    }
}

async fn a_key_stands_for_one_sort_of_thing(store: &dyn Store) {
    let idempotency = Some(Idempotency { key: "a".to_owned(), body_hash: [1; 32] });
    let task = Enqueue { idempotency: idempotency.clone(), ..enqueue(task(1, 1)) };
    assert_eq!(store.enqueue(task.clone()).await.unwrap(), Enqueued::New);
    assert_eq!(store.put_file(keyed(1, "a", 1)).await.unwrap(), FilePut::Mismatch);
    let voice = PutVoice { idempotency, ..voice(1, "ann") };
    assert_eq!(store.put_voice(voice).await.unwrap(), VoicePut::Mismatch);
    assert_eq!(store.enqueue(task.clone()).await.unwrap(), Enqueued::Existing(task.task.id));
    store.put_file(keyed(2, "b", 1)).await.unwrap();
    let idempotency = Some(Idempotency { key: "b".to_owned(), body_hash: [1; 32] });
    let other = Enqueue { idempotency, ..enqueue(super::make::task(2, 1)) };
    assert_eq!(store.enqueue(other).await.unwrap(), Enqueued::Mismatch);
    assert_eq!(store.task(task_id(2)).await.unwrap(), None);
}

/// Everything that is due at this moment; files without one when they are older than 1,000 s.
fn forget(secs: i64) -> ForgetFiles {
    ForgetFiles {
        now: at(secs),
        undated_before: at(secs - 1_000),
        done_after: at(secs - 500),
        again_at: at(secs + 100),
        rows_max: 100,
    }
}

async fn put(store: &dyn Store, n: u128, expires: Option<i64>) {
    let mut put = file(n);
    put.file.expires_at = expires.map(at);
    store.put_file(put).await.unwrap();
}

async fn expiry(store: &dyn Store, n: u128) -> Option<i64> {
    let row = store.file(file_id(n)).await.unwrap();
    row.and_then(|row| row.expires_at).map(|at| (at.0 - super::make::at(0).0) / 1_000)
}

async fn what_is_due_goes_and_what_is_not_stays(store: &dyn Store) {
    put(store, 1, Some(10)).await;
    put(store, 2, Some(11)).await;
    put(store, 3, None).await;
    assert_eq!(store.forget_files(forget(9)).await.unwrap(), Forgotten::default());
    assert_eq!(store.forget_files(forget(10)).await.unwrap(), Forgotten { gone: 1, needed: 0 });
    assert_eq!(store.file(file_id(1)).await.unwrap(), None);
    assert_eq!(store.forget_files(forget(999)).await.unwrap(), Forgotten { gone: 1, needed: 0 });
    assert!(store.file(file_id(3)).await.unwrap().is_some(), "it is not old enough");
    assert_eq!(store.forget_files(forget(1_000)).await.unwrap(), Forgotten { gone: 1, needed: 0 });
    assert_eq!(store.file(file_id(3)).await.unwrap(), None);
}

async fn a_file_that_a_task_needs_stays(store: &dyn Store) {
    put(store, 1, Some(10)).await;
    put(store, 2, None).await;
    for n in [1, 2] {
        let input = TaskInput::File(file_id(n));
        store.enqueue(enqueue(NewTask { input, ..task(n, 1) })).await.unwrap();
    }
    let kept = Forgotten { gone: 0, needed: 2 };
    assert_eq!(store.forget_files(forget(2_000)).await.unwrap(), kept);
    assert_eq!((expiry(store, 1).await, expiry(store, 2).await), (Some(2_100), Some(2_100)));
    assert_eq!(store.forget_files(forget(2_050)).await.unwrap(), Forgotten::default());
    for n in [1, 2] {
        store.cancel(cancel(n)).await.unwrap();
    }
    assert_eq!(store.forget_files(forget(2_100)).await.unwrap(), Forgotten { gone: 2, needed: 0 });
}

async fn a_result_that_may_yet_be_judged_stays(store: &dyn Store) {
    let mut result = file(1);
    result.file.task = Some(task_id(1));
    result.file.expires_at = Some(at(1));
    store.put_file(result).await.unwrap();
    put(store, 2, Some(1)).await;
    let input = TaskInput::File(file_id(2));
    store.enqueue(enqueue(NewTask { input, ..task(1, 1) })).await.unwrap();
    lease(store, 1, 1).await;
    let kept = Forgotten { gone: 0, needed: 2 };
    assert_eq!(store.forget_files(forget(5)).await.unwrap(), kept, "the task is open");
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(10))).await.unwrap();
    assert_eq!(
        store.forget_files(forget(200)).await.unwrap(),
        kept,
        "done at 10, judged by nobody"
    );
    assert_eq!(store.forget_files(forget(509)).await.unwrap(), kept);
    let gone = Forgotten { gone: 2, needed: 0 };
    assert_eq!(store.forget_files(forget(700)).await.unwrap(), gone, "nobody judges it any more");

    put(store, 3, Some(1)).await;
    let input = TaskInput::File(file_id(3));
    store.enqueue(enqueue(NewTask { input, ..task(2, 1) })).await.unwrap();
    lease(store, 2, 1).await;
    store.respond(respond(token(2, 0, 1), miner(1), "a", at(10))).await.unwrap();
    store.evaluate(evaluate(2, 1, &[(0, 50)])).await.unwrap();
    let gone = Forgotten { gone: 1, needed: 0 };
    assert_eq!(store.forget_files(forget(20)).await.unwrap(), gone, "it was judged");
}

async fn files_go_in_the_order_of_their_time(store: &dyn Store) {
    for (n, expires) in [(1, Some(3)), (2, Some(1)), (3, Some(2)), (4, None)] {
        put(store, n, expires).await;
    }
    let two = ForgetFiles { rows_max: 2, ..forget(5_000) };
    assert_eq!(store.forget_files(two).await.unwrap(), Forgotten { gone: 2, needed: 0 });
    assert!(store.file(file_id(1)).await.unwrap().is_some());
    assert!(store.file(file_id(4)).await.unwrap().is_some());
    assert_eq!(store.forget_files(two).await.unwrap(), Forgotten { gone: 2, needed: 0 });
    assert_eq!(store.forget_files(two).await.unwrap(), Forgotten::default());
}

async fn only_what_no_file_names_is_unreferenced(store: &dyn Store) {
    let name = |n: u128| n.to_string().repeat(64);
    for n in [1, 3] {
        let mut put = file(n);
        put.file.sha256 = name(n);
        store.put_file(put).await.unwrap();
    }
    let asked = vec![name(4), name(3), name(2), name(1)];
    assert_eq!(store.unreferenced(asked).await.unwrap(), [name(4), name(2)]);
    assert_eq!(store.unreferenced(vec![]).await.unwrap(), Vec::<String>::new());
}

fn of(owner: &str, put: PutVoice) -> PutVoice {
    PutVoice { voice: VoiceRow { owner: owner.to_owned(), ..put.voice }, ..put }
}

fn shared(put: PutVoice) -> PutVoice {
    PutVoice { voice: VoiceRow { shared_at: Some(at(1)), ..put.voice }, ..put }
}

async fn a_voice_is_found_by_name_its_own_first(store: &dyn Store) {
    let puts = [
        voice(1, "ann"),
        of("bob", voice(2, "ann")),
        shared(of("root", voice(4, "ann"))),
        shared(of("other", voice(3, "ann"))),
        shared(of("root", voice(5, "joe"))),
    ];
    for put in puts {
        assert_eq!(store.put_voice(put).await.unwrap(), VoicePut::New);
    }
    for (owner, name, expected) in [
        ("alice", "ann", Some(1)),
        ("bob", "ann", Some(2)),
        ("eve", "ann", Some(3)),
        ("alice", "joe", Some(5)),
        ("alice", "bob", None),
        ("alice", "Ann", None),
    ] {
        let found = store.voice_named(owner, name).await.unwrap().map(|voice| voice.id);
        assert_eq!(found, expected.map(voice_id), "{owner}'s {name}");
    }
    let found = store.voice(voice_id(1)).await.unwrap();
    assert_eq!(found, Some(voice(1, "ann").voice));
}

async fn a_name_is_an_owners_once_and_there_are_only_so_many(store: &dyn Store) {
    let put = async |put| store.put_voice(put).await.unwrap();
    assert_eq!(put(voice(1, "a")).await, VoicePut::New);
    assert_eq!(put(voice(1, "a")).await, VoicePut::New, "an earlier try of the same");
    assert_eq!(put(voice(2, "a")).await, VoicePut::NameTaken);
    assert_eq!(put(voice(3, "b")).await, VoicePut::New);
    assert_eq!(put(voice(4, "c")).await, VoicePut::New);
    assert_eq!(put(voice(5, "d")).await, VoicePut::Full);
    assert_eq!(put(of("bob", voice(6, "d"))).await, VoicePut::New);
    let gone = DeleteVoice { id: voice_id(3), sample_until: at(1) };
    assert!(store.delete_voice(gone).await.unwrap());
    assert!(!store.delete_voice(gone).await.unwrap());
    assert_eq!(put(voice(7, "d")).await, VoicePut::New);
}

async fn a_refused_voice_leaves_its_key_free(store: &dyn Store) {
    let keyed = |n: u128, name: &str| PutVoice {
        idempotency: Some(Idempotency { key: "k".to_owned(), body_hash: [1; 32] }),
        ..voice(n, name)
    };
    store.put_voice(voice(1, "a")).await.unwrap();
    assert_eq!(store.put_voice(keyed(2, "a")).await.unwrap(), VoicePut::NameTaken);
    assert_eq!(store.put_voice(keyed(3, "b")).await.unwrap(), VoicePut::New);
    let again = store.put_voice(keyed(4, "b")).await.unwrap();
    assert_eq!(again, VoicePut::Existing(voice_id(3)));
}

async fn a_sample_stays_as_long_as_a_voice_has_it(store: &dyn Store) {
    let having = |n: u128, name: &str| {
        let put = voice(n, name);
        PutVoice { voice: VoiceRow { sample: Some(file_id(1)), ..put.voice }, ..put }
    };
    assert_eq!(store.put_voice(having(1, "a")).await.unwrap(), VoicePut::NoSample);
    put(store, 1, Some(10)).await;
    for (n, name) in [(1, "a"), (2, "b")] {
        assert_eq!(store.put_voice(having(n, name)).await.unwrap(), VoicePut::New);
    }
    let ids: Vec<_> =
        store.voices_of_sample(file_id(1)).await.unwrap().iter().map(|v| v.id).collect();
    assert_eq!(ids, [voice_id(1), voice_id(2)]);
    assert_eq!(store.file(file_id(1)).await.unwrap().unwrap().expires_at, Some(NEVER));
    assert_eq!(store.forget_files(forget(1_000_000)).await.unwrap(), Forgotten::default());
    store.delete_voice(DeleteVoice { id: voice_id(1), sample_until: at(50) }).await.unwrap();
    assert_eq!(store.file(file_id(1)).await.unwrap().unwrap().expires_at, Some(NEVER));
    store.delete_voice(DeleteVoice { id: voice_id(2), sample_until: at(60) }).await.unwrap();
    assert_eq!(expiry(store, 1).await, Some(60));
    assert_eq!(store.forget_files(forget(60)).await.unwrap(), Forgotten { gone: 1, needed: 0 });
}

async fn voices_are_listed_in_pages(store: &dyn Store) {
    let mut puts = vec![shared(of("root", voice(5, "e")))];
    puts.extend([(3, "c"), (1, "a")].map(|(n, name)| voice(n, name)));
    puts.push(of("bob", voice(2, "b")));
    puts.push(of("bob", voice(4, "d")));
    for put in puts {
        store.put_voice(put).await.unwrap();
    }
    for (owner, after, limit, expected) in [
        (Some("alice"), None, 9, vec![1, 3, 5]),
        (Some("alice"), None, 2, vec![1, 3]),
        (Some("alice"), Some(3), 2, vec![5]),
        (Some("root"), None, 9, vec![5]),
        (None, None, 9, vec![1, 2, 3, 4, 5]),
        (None, Some(1), 2, vec![2, 3]),
    ] {
        let owner = owner.map(ToOwned::to_owned);
        let page = VoicePage { owner, after: after.map(voice_id), limit };
        let rows = store.voices(page.clone()).await.unwrap();
        let ids: Vec<_> = rows.iter().map(|voice| voice.id).collect();
        assert_eq!(ids, expected.into_iter().map(voice_id).collect::<Vec<_>>(), "{page:?}");
    }
}

async fn a_voice_is_made_once_under_its_key_and_nonce(store: &dyn Store) {
    let signed = |n, name: &str| PutVoice { nonce: nonce(1), ..voice(n, name) };
    store.put_voice(signed(1, "a")).await.unwrap();
    let again = store.put_voice(signed(2, "b")).await;
    assert!(matches!(again, Err(StoreError::Replayed)), "{again:?}");
    let keyed = |n, hash| PutVoice {
        idempotency: Some(Idempotency { key: "k".to_owned(), body_hash: [hash; 32] }),
        ..voice(n, "c")
    };
    assert_eq!(store.put_voice(keyed(3, 1)).await.unwrap(), VoicePut::New);
    let again = store.put_voice(keyed(4, 1)).await.unwrap();
    assert_eq!(again, VoicePut::Existing(voice_id(3)));
    assert_eq!(store.put_voice(keyed(5, 2)).await.unwrap(), VoicePut::Mismatch);
}
