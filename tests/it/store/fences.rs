//! The seven cases on which other queues failed, each by name. A late or repeated word about a lease
//! must never move what came after it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pithead::domain::lease::LossReason;
use pithead::domain::task::{SlotState, TaskState};
use pithead::store::sql::{Location, SqlStore};
use pithead::store::*;

use super::make::*;
use super::{assert_invariants, on_every_store};
use crate::support::postgres;

on_every_store!(
    a_task_its_key_and_its_nonce_come_together_or_not_at_all,
    a_late_answer_does_not_overwrite_its_successor,
    the_same_miner_again_does_not_complete_its_stale_attempt,
    a_retryable_failure_is_never_stranded,
    completion_and_renewal_are_refused_after_expiry,
);

async fn a_task_its_key_and_its_nonce_come_together_or_not_at_all(store: &dyn Store) {
    let keyed = |n, nonce| {
        let idempotency = Some(Idempotency { key: "k".to_owned(), body_hash: [1; 32] });
        Enqueue { idempotency, nonce, ..enqueue(task(n, 1)) }
    };
    store.put_file(PutFile { nonce: nonce(1), ..file(1) }).await.unwrap();
    let refused = store.enqueue(keyed(1, nonce(1))).await;
    assert!(matches!(refused, Err(StoreError::Replayed)), "{refused:?}");
    assert_eq!(store.task(task_id(1)).await.unwrap(), None, "no task");
    let second = store.enqueue(keyed(2, nonce(2))).await.unwrap();
    assert_eq!(second, Enqueued::New, "and no key");
}

/// Lets the lease of slot 0 expire and gives the slot to `holder` at attempt 2.
async fn replaced_by(store: &dyn Store, holder: Holder) {
    leased(store, 1, 2).await;
    assert_eq!(store.sweep(sweep(at(120))).await.unwrap().lost.len(), 2);
    let next = Grant { expires_at: at(400), ..grant(0, 2, holder) };
    let granted = store.assign(Assign { now: at(130), ..assign(1, [next]) }).await.unwrap();
    assert_eq!(granted, [Granted::Yes]);
}

async fn a_late_answer_does_not_overwrite_its_successor(store: &dyn Store) {
    replaced_by(store, miner(2)).await;
    let late = respond(token(1, 0, 1), miner(1), "late", at(135));
    assert_eq!(store.respond(late.clone()).await.unwrap(), Responded::Lost);
    assert_eq!(record(store, 1).await.slots[0].state, SlotState::Running);
    store.respond(respond(token(1, 0, 2), miner(2), "good", at(140))).await.unwrap();
    assert_eq!(store.respond(late).await.unwrap(), Responded::Lost);
    let give_back = release(token(1, 0, 1), miner(1), LossReason::Impossible);
    assert_eq!(store.release(give_back).await.unwrap(), Released::Lost);
    let responses = store.responses(task_id(1)).await.unwrap();
    assert_eq!((responses.len(), &responses[0].body["transcript"]), (1, &"good".into()));
}

async fn the_same_miner_again_does_not_complete_its_stale_attempt(store: &dyn Store) {
    replaced_by(store, miner(1)).await;
    let before = record(store, 1).await;
    let stale = token(1, 0, 1);
    let answered = store.respond(respond(stale, miner(1), "stale", at(135))).await.unwrap();
    assert_eq!(answered, Responded::Lost);
    let beaten = store.heartbeat(heartbeat(stale, miner(1), at(999))).await.unwrap();
    assert_eq!(beaten, None);
    let fetched = store.fetch(fetch(miner(1), [stale], at(135))).await.unwrap();
    assert_eq!(fetched, [false]);
    let released = store.release(release(stale, miner(1), LossReason::Failed)).await.unwrap();
    assert_eq!(released, Released::Lost);
    assert_eq!(record(store, 1).await, before);
    let good = store.respond(respond(token(1, 0, 2), miner(1), "good", at(140))).await.unwrap();
    assert!(matches!(good, Responded::Accepted { elapsed_millis: 10_000, .. }), "{good:?}");
}

/// Whatever happens to its leases, the task is offered again or ends.
async fn a_retryable_failure_is_never_stranded(store: &dyn Store) {
    leased(store, 1, 1).await;
    for attempt in 1..20 {
        let reason = LossReason::ALL[usize::from(attempt) % 4];
        let lease = token(1, 0, attempt);
        let Released::Done(lost) = store.release(release(lease, miner(1), reason)).await.unwrap()
        else {
            panic!("attempt {attempt}")
        };
        let open = store.load(at(0)).await.unwrap().tasks;
        let Some(retry_at) = lost.retry_at else {
            assert_eq!((lost.standing.state, open.len()), (TaskState::Failed, 0));
            return;
        };
        assert!(retry_at <= at(10 + 90), "{retry_at}");
        assert_eq!(open[0].slots[0].state, SlotState::Queued);
        let granted = store.assign(assign(1, [grant(0, attempt + 1, miner(1))])).await.unwrap();
        assert_eq!(granted, [Granted::Yes]);
    }
    panic!("neither answered nor given up");
}

async fn completion_and_renewal_are_refused_after_expiry(store: &dyn Store) {
    leased(store, 1, 1).await;
    store.sweep(sweep(at(120))).await.unwrap();
    let before = record(store, 1).await;
    let lease = token(1, 0, 1);
    let answered = store.respond(respond(lease, miner(1), "a", at(121))).await.unwrap();
    assert_eq!(answered, Responded::Lost);
    let beaten = store.heartbeat(heartbeat(lease, miner(1), at(300))).await.unwrap();
    assert_eq!(beaten, None);
    assert_eq!(record(store, 1).await, before);
}

/// Where the child of [`killed`] writes.
const CHILD: &str = "PITHEAD_TEST_WRITE_UNTIL_KILLED";

/// Not a test of its own: the process that [`killed`] kills. It says each task that was acknowledged.
#[tokio::test]
async fn writes_until_killed() {
    let Ok(url) = std::env::var(CHILD) else { return };
    let location = Location::parse(Some(&url), ".".as_ref()).unwrap();
    let store = SqlStore::open(location).await.unwrap();
    store.register(register(1, 1_000_000)).await.unwrap();
    for n in 1.. {
        store.enqueue(enqueue(task(n, 1))).await.unwrap();
        store.assign(assign(n, [grant(0, 1, miner(1))])).await.unwrap();
        if n % 2 == 0 {
            store.respond(respond(token(n, 0, 1), miner(1), "a", at(1))).await.unwrap();
        }
        println!("\nacknowledged {n}");
    }
}

/// Kills a process in the middle of its writing. Whatever it had acknowledged is there.
async fn killed(url: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::fences::writes_until_killed", "--nocapture"])
        .env(CHILD, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said = said.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<u128>().ok());
    let acknowledged = said.take(50).last();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(acknowledged, Some(50), "the child did not come so far");
    let location = Location::parse(Some(url), ".".as_ref()).unwrap();
    // The server may need a moment to notice that the session of the dead is gone.
    let mut opened = SqlStore::open(location.clone()).await;
    for _ in 0..1_000 {
        if opened.is_ok() {
            break;
        }
        opened = SqlStore::open(location.clone()).await;
    }
    let store = opened.unwrap();
    for n in 1..=50 {
        let found = record(&store, n).await;
        let expected = if n % 2 == 0 { TaskState::Done } else { TaskState::Open };
        assert_eq!(found.state, expected, "task {n}");
    }
    assert_invariants(&store, "after the kill").await;
    let granted = store.enqueue(enqueue(task(0, 1))).await.unwrap();
    assert_eq!(granted, Enqueued::New, "and it goes on");
    store.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    killed(&format!("sqlite:{}/pithead.db", dir.path().display())).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_on_postgres() {
    if let Some(url) = postgres::database().await {
        killed(&url).await;
    }
}
