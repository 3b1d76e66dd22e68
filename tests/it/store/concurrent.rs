//! Many commands at once, so that group commit really batches: afterwards every invariant holds, and
//! what callers were told is what the rows say.

use futures_util::future::join_all;
use pithead::domain::ids::RegistrationId;
use pithead::domain::lease::LossReason;
use pithead::store::model::ModelStore;
use pithead::store::sql::SqlStore;
use pithead::store::*;

use super::make::*;
use super::random::{Command, Dice, sequence};
use super::{assert_invariants, postgres, sqlite};

const TASKS: u128 = 60;
const MINERS: u128 = 5;
const CAPACITY: u32 = 7;

/// What one task's callers were told.
#[derive(Debug, Default)]
struct Told {
    granted: usize,
    accepted: usize,
    recorded: u16,
    scores: Vec<ScoreRow>,
}

/// One task from submit to its end, by callers that stumble over each other.
async fn life(store: &dyn Store, n: u128, mut dice: Dice) -> Told {
    let mut told = Told::default();
    let slots = 1 + u16::try_from(dice.below(3)).unwrap();
    let twice = join_all([1, 2].map(|_| store.enqueue(enqueue(task(n, slots))))).await;
    let new = twice.iter().filter(|e| matches!(e, Ok(Enqueued::New))).count();
    assert_eq!(new, 1, "{twice:?}");
    for attempt in 1..4 {
        let mut grants = Vec::new();
        for slot in 0..slots {
            let holder = miner(1 + u128::from(dice.below(5)));
            let kind = if dice.one_in(2) { grant } else { offer };
            grants.push(kind(slot, attempt, holder));
        }
        let twice = join_all([1, 2].map(|_| store.assign(assign(n, grants.clone())))).await;
        let answers = twice.into_iter().map(Result::unwrap);
        let granted: Vec<Vec<_>> = answers.map(|a| zip_yes(&grants, &a)).collect();
        told.granted += granted.iter().map(Vec::len).sum::<usize>();
        let leases: Vec<_> = granted.concat();
        told.accepted += join_all(leases.iter().map(|g| serve(store, n, g, dice.below(6))))
            .await
            .into_iter()
            .sum::<usize>();
        if dice.one_in(8) {
            store.cancel(cancel(n)).await.unwrap();
        }
    }
    let judged = [1, 2].map(|by| {
        let slots: Vec<_> = (0..slots).map(|slot| (slot, 50)).collect();
        store.evaluate(Evaluate { quorum: 2, ..evaluate(n, by, &slots) })
    });
    for answer in join_all(judged).await {
        if let Evaluated::Accepted { recorded, scores, .. } = answer.unwrap() {
            told.recorded += recorded;
            told.scores.extend(scores);
        }
    }
    told
}

fn zip_yes(grants: &[Grant], answers: &[Granted]) -> Vec<Grant> {
    let both = grants.iter().zip(answers);
    both.filter(|(_, answer)| **answer == Granted::Yes).map(|(grant, _)| *grant).collect()
}

/// One lease: fetched, kept alive and answered by its holder, while a thief tries the same; or given
/// back; or forgotten. How many answers were accepted.
async fn serve(store: &dyn Store, n: u128, grant: &Grant, fate: u64) -> usize {
    let lease = token(n, grant.slot, grant.attempt);
    let thief = validator(n * 10 + u128::from(grant.slot));
    let by = [grant.holder, thief];
    let fetched = join_all(by.map(|by| store.fetch(fetch(by, [lease], at(1))))).await;
    let fetched: Vec<_> = fetched.into_iter().map(Result::unwrap).collect();
    assert_eq!(fetched[1], [false], "a thief fetched {lease}");
    join_all(by.map(|by| store.heartbeat(heartbeat(lease, by, at(60))))).await;
    match fate {
        0 => {
            let reason = LossReason::Failed;
            join_all([1, 2].map(|_| store.release(release(lease, grant.holder, reason)))).await;
            0
        }
        1 => 0,
        _ => {
            let words = [(grant.holder, "a"), (grant.holder, "b"), (thief, "c")];
            let answers = words.map(|(by, word)| store.respond(respond(lease, by, word, at(9))));
            let answers = join_all(answers).await.into_iter().map(Result::unwrap);
            answers.filter(|answer| matches!(answer, Responded::Accepted { .. })).count()
        }
    }
}

async fn many_lives(store: &SqlStore, seed: u64) {
    join_all((1..=MINERS).map(|n| store.register(register(n, CAPACITY)))).await;
    let lives = (1..=TASKS).map(|n| life(store, n, Dice(seed * 1_000 + n as u64)));
    let others = async {
        for secs in 0..40 {
            store.sweep(Sweep { rows_max: 9, ..sweep(at(secs * 2)) }).await.unwrap();
            let n = 1 + (secs as u128 % MINERS);
            let row = store.register(register(n, CAPACITY)).await.unwrap().row;
            assert!(row.live <= CAPACITY, "seed {seed}: {row:?}");
        }
    };
    let (told, ()) = futures_util::future::join(join_all(lives), others).await;
    assert_invariants(store, &format!("seed {seed}")).await;
    let rows = |name: &str, dump: &pithead::store::model::Dump| dump.0[name].len();
    let dump = super::dump::of(store).await;
    let leased = dump.0["slot"].iter().filter(|row| {
        ["offered", "running"].iter().any(|state| row.contains(&format!("state={state}")))
    });
    let granted: usize = told.iter().map(|t| t.granted).sum();
    let ended = rows("attempt", &dump) + rows("response", &dump);
    assert_eq!(granted, ended + leased.count(), "seed {seed}: leases");
    let accepted: usize = told.iter().map(|t| t.accepted).sum();
    assert_eq!(accepted, rows("response", &dump), "seed {seed}: answers");
    let recorded: usize = told.iter().map(|t| usize::from(t.recorded)).sum();
    assert_eq!(recorded, rows("evaluation", &dump), "seed {seed}: evaluations");
    let scores: usize = told.iter().map(|t| t.scores.len()).sum();
    assert_eq!(scores, rows("score", &dump), "seed {seed}: scores");
    assert!(
        granted > 30 && accepted > 20 && scores > 5,
        "seed {seed}: {granted} {accepted} {scores}"
    );
    store.close().await;
}

#[tokio::test]
async fn many_callers_at_once_keep_every_invariant_on_sqlite() {
    for seed in 0..5 {
        let (store, _dir) = sqlite().await;
        many_lives(&store, seed).await;
    }
}

#[tokio::test]
async fn many_callers_at_once_keep_every_invariant_on_postgres() {
    for seed in 100..103 {
        let Some(store) = postgres().await else { return };
        many_lives(&store, seed).await;
    }
}

/// Random commands, so many at once: none may fail for another's sake, and whatever order the
/// transactions take, the rows agree with each other after every burst.
async fn bursts(store: &SqlStore, seed: u64) {
    let sequence = sequence(seed, 600, &ModelStore::default()).await;
    for burst in sequence.chunks(40) {
        // Nobody scores a miner before its registration was acknowledged.
        for (command, _) in burst.iter().filter(|(c, _)| matches!(c, Command::Register(_))) {
            command.run(store).await;
        }
        // Those that come again are somebody new where the identity has changed since.
        let again = (1_u128..).zip(burst).map(|(n, (command, _))| match command.clone() {
            Command::Register(known) => {
                let id = RegistrationId(uuid::Uuid::from_u128(known.id.0.as_u128() + (n << 64)));
                Command::Register(Register { id, ..known })
            }
            other => other,
        });
        let again: Vec<_> = again.collect();
        let answers = join_all(again.iter().map(|command| command.run(store))).await;
        for (command, answer) in again.iter().zip(answers) {
            let sound = answer.starts_with("Ok") || answer == "Err(Replayed)";
            assert!(sound, "seed {seed}: {answer} to {command:?}");
        }
        assert_invariants(store, &format!("seed {seed}")).await;
    }
    store.close().await;
}

#[tokio::test]
async fn bursts_of_random_commands_keep_every_invariant_on_sqlite() {
    for seed in 200..208 {
        let (store, _dir) = sqlite().await;
        bursts(&store, seed).await;
    }
}

#[tokio::test]
async fn bursts_of_random_commands_keep_every_invariant_on_postgres() {
    for seed in 300..304 {
        let Some(store) = postgres().await else { return };
        bursts(&store, seed).await;
    }
}

async fn one_of_many(store: &SqlStore) {
    let keyed = |n: u128| {
        let idempotency = Some(Idempotency { key: "k".to_owned(), body_hash: [1; 32] });
        store.enqueue(Enqueue { idempotency, ..enqueue(task(n, 1)) })
    };
    let answers = join_all((1..=50).map(keyed)).await;
    let new = answers.iter().filter(|a| matches!(a, Ok(Enqueued::New))).count();
    let same = answers.iter().filter(|a| matches!(a, Ok(Enqueued::Existing(_)))).count();
    assert_eq!((new, same), (1, 49), "one key, one task: {answers:?}");

    let signed = |n: u128| store.put_file(PutFile { nonce: nonce(1), ..file(n) });
    let answers = join_all((1..=50).map(signed)).await;
    let taken = answers.iter().filter(|a| a.is_ok()).count();
    let replayed = answers.iter().filter(|a| matches!(a, Err(StoreError::Replayed))).count();
    assert_eq!((taken, replayed), (1, 49), "one nonce, one effect");

    store.register(register(1, 3)).await.unwrap();
    let tasks = 101..=150;
    join_all(tasks.clone().map(|n| store.enqueue(enqueue(task(n, 1))))).await;
    let grants = tasks.map(|n| store.assign(assign(n, [grant(0, 1, miner(1))])));
    let answers = join_all(grants).await;
    let yes = answers.iter().filter(|a| matches!(a.as_deref(), Ok([Granted::Yes]))).count();
    assert_eq!((yes, live(store, 1).await), (3, 3), "room for three");
    assert_invariants(store, "after one of many").await;
    store.close().await;
}

#[tokio::test]
async fn of_many_that_want_the_same_as_many_get_it_as_may_on_sqlite() {
    let (store, _dir) = sqlite().await;
    one_of_many(&store).await;
}

#[tokio::test]
async fn of_many_that_want_the_same_as_many_get_it_as_may_on_postgres() {
    let Some(store) = postgres().await else { return };
    one_of_many(&store).await;
}
