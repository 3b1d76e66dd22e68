//! The same random commands, one by one, to the model and to a database: equal answers, equal reads,
//! equal rows.

use pithead::store::Store;
use pithead::store::model::ModelStore;
use pithead::store::sql::SqlStore;

use super::random::{reads, sequence};
use super::{assert_invariants, dump, postgres, sqlite};

const COMMANDS: usize = 425;

async fn compare(store: &SqlStore, seed: u64) {
    let model = ModelStore::default();
    let sequence = sequence(seed, COMMANDS, &model).await;
    for (number, (command, expected)) in sequence.iter().enumerate() {
        let answer = command.run(store).await;
        assert_eq!(answer, *expected, "seed {seed}, command {number}: {command:?}");
    }
    for (read, expected) in reads(store).await.iter().zip(reads(&model).await) {
        assert_eq!(*read, expected, "seed {seed}: reads");
    }
    let difference = dump::of(store).await.difference(&model.dump());
    assert!(difference.is_empty(), "seed {seed}: < database, > model\n{difference}");
    assert_invariants(store, &format!("seed {seed}")).await;
    store.close().await;
}

#[tokio::test]
async fn sqlite_answers_as_the_model_does() {
    for seed in 0..20 {
        let (store, _dir) = sqlite().await;
        compare(&store, seed).await;
    }
}

#[tokio::test]
async fn postgres_answers_as_the_model_does() {
    for seed in 100..106 {
        let Some(store) = postgres().await else { return };
        compare(&store, seed).await;
    }
}

/// The sequences are worth something only if most kinds of answers occur in them.
#[tokio::test]
async fn random_commands_hit_what_is_interesting() {
    let mut answers = String::new();
    for seed in 0..20 {
        for (_, answer) in sequence(seed, COMMANDS, &ModelStore::default()).await {
            answers.push_str(&answer);
        }
    }
    for expected in [
        "Ok(New)",
        "Ok(Existing",
        "Ok(Mismatch)",
        "Err(Replayed)",
        "Yes",
        "Taken",
        "NoRoom",
        "[true",
        "false",
        "Ok(Some",
        "Ok(None)",
        "Ok(Accepted",
        "Ok(Same",
        "Ok(Conflict)",
        "Ok(Conflict(",
        "Ok(Lost)",
        "Ok(Done(Lost",
        "retry_at: None",
        "retry_at: Some",
        "freed: [Freed",
        "Ok(Ended",
        "Ok(NotFound)",
        "OfferExpired",
        "RunExpired",
        "Overdue",
        "state: Expired",
        "state: Done",
        "state: Failed",
        "state: Approved",
        "NotDone",
        "NoResponse",
        "duplicates: 1",
        "Retired",
        "closed: [",
        "failed: 2",
        "Existing(000000",
        "Forgotten { gone: 1",
        "needed: 1",
        "NameTaken",
        "Full",
        "NoSample",
        "Ok(Full)",
        "Ok([New",
        "Same]",
        "Conflict]",
        "Ok(Taken(",
        "Ok(NoWeights)",
        "Ok(TooMany)",
        "Impossible(",
        "Ok(New([Submission",
        "state: Reorged",
        "Ok(Old)",
        "Ok([Entry {",
        "MinersForgotten { miners: 1",
    ] {
        assert!(answers.contains(expected), "no answer has `{expected}`");
    }
}
