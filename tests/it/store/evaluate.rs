//! Judgements, approval and scores.

use pithead::domain::task::TaskState;
use pithead::store::*;

use super::make::*;
use super::on_every_store;

on_every_store!(
    a_judgement_is_kept_with_score_and_reward,
    accuracy_is_mixed_with_our_timing,
    the_quorum_approves_once,
    the_same_judgement_again_is_a_duplicate,
    another_judgement_of_the_same_validator_conflicts,
    a_conflict_takes_nothing,
    a_slot_without_a_response_takes_nothing,
    only_done_tasks_are_judged,
    an_approved_task_is_still_judged,
    judged_tasks_are_listed_newest_first,
    scores_count_once,
);

async fn a_judgement_is_kept_with_score_and_reward(store: &dyn Store) {
    done(store, 1, 2).await;
    let command = Evaluate { quorum: 2, ..evaluate(1, 1, &[(0, 80), (1, 60)]) };
    let taken = store.evaluate(command).await.unwrap();
    let expected = Evaluated::Accepted {
        recorded: 2,
        duplicates: 0,
        state: TaskState::Done,
        scores: vec![],
        best_slot: None,
    };
    assert_eq!(taken, expected);
    let row = |slot, score| EvaluationRow {
        task: task_id(1),
        slot,
        validator: validator_id(1),
        accuracy: share(score),
        whole: true,
        score: share(score),
        reward: share(score / 2),
        created_at: at(200),
    };
    assert_eq!(store.evaluations(task_id(1)).await.unwrap(), [row(0, 80), row(1, 60)]);
}

/// Slot 0 answered within 10 s, slot 1 within 20 s: speeds 1 and 0.5.
async fn accuracy_is_mixed_with_our_timing(store: &dyn Store) {
    done(store, 1, 2).await;
    let mut command = evaluate(1, 1, &[(0, 80), (1, 90)]);
    command.judgements.iter_mut().for_each(|judgement| judgement.whole = false);
    let Evaluated::Accepted { scores, best_slot, .. } = store.evaluate(command).await.unwrap()
    else {
        panic!()
    };
    let scores: Vec<_> = scores.iter().map(|s| (s.slot, s.score)).collect();
    assert_eq!((scores, best_slot), (vec![(0, share(86)), (1, share(78))], Some(0)));
}

async fn the_quorum_approves_once(store: &dyn Store) {
    done(store, 1, 2).await;
    let quorum = |by, accuracies| Evaluate { quorum: 2, ..evaluate(1, by, accuracies) };
    store.evaluate(quorum(1, &[(0, 80), (1, 60)])).await.unwrap();
    store.evaluate(quorum(2, &[(0, 70)])).await.unwrap();
    assert_eq!(record(store, 1).await.state, TaskState::Done);
    let last = store.evaluate(quorum(2, &[(1, 90)])).await.unwrap();
    let score = |slot: u16, score| ScoreRow {
        task: task_id(1),
        slot,
        registration: registration_id(u128::from(slot) + 1),
        kind: "transcription".to_owned(),
        score: share(score),
        validators: 2,
        scored_at: at(200),
    };
    let expected = Evaluated::Accepted {
        recorded: 1,
        duplicates: 0,
        state: TaskState::Approved,
        scores: vec![score(0, 70), score(1, 60)],
        best_slot: Some(0),
    };
    assert_eq!(last, expected);
    let found = record(store, 1).await;
    assert_eq!((found.state, found.best_slot), (TaskState::Approved, Some(0)));
    assert_eq!(found.finished_at, Some(at(20)), "approval does not move the end");
    let again = store.evaluate(quorum(2, &[(1, 90)])).await.unwrap();
    let Evaluated::Accepted { duplicates: 1, scores, best_slot: Some(0), .. } = again else {
        panic!("{again:?}")
    };
    assert_eq!(scores, [], "scores come out once");
}

async fn the_same_judgement_again_is_a_duplicate(store: &dyn Store) {
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(0, 80)])).await.unwrap();
    let again = store.evaluate(evaluate(1, 1, &[(0, 80), (1, 70)])).await.unwrap();
    assert!(matches!(again, Evaluated::Accepted { recorded: 1, duplicates: 1, .. }), "{again:?}");
    assert_eq!(store.evaluations(task_id(1)).await.unwrap().len(), 2);
}

async fn another_judgement_of_the_same_validator_conflicts(store: &dyn Store) {
    done(store, 1, 1).await;
    store.evaluate(evaluate(1, 1, &[(0, 80)])).await.unwrap();
    let other = store.evaluate(evaluate(1, 1, &[(0, 90)])).await.unwrap();
    assert_eq!(other, Evaluated::Conflict(0));
    let of_another = store.evaluate(evaluate(1, 2, &[(0, 90)])).await.unwrap();
    assert!(matches!(of_another, Evaluated::Accepted { recorded: 1, .. }), "{of_another:?}");
}

async fn a_conflict_takes_nothing(store: &dyn Store) {
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(1, 80)])).await.unwrap();
    let refused = store.evaluate(evaluate(1, 1, &[(0, 50), (1, 10)])).await.unwrap();
    assert_eq!(refused, Evaluated::Conflict(1));
    assert_eq!(store.evaluations(task_id(1)).await.unwrap().len(), 1);
}

async fn a_slot_without_a_response_takes_nothing(store: &dyn Store) {
    done(store, 1, 1).await;
    let refused = store.evaluate(evaluate(1, 1, &[(0, 50), (3, 10)])).await.unwrap();
    assert_eq!(refused, Evaluated::NoResponse(3));
    assert_eq!(store.evaluations(task_id(1)).await.unwrap(), []);
}

async fn only_done_tasks_are_judged(store: &dyn Store) {
    let judged = |n| evaluate(n, 1, &[(0, 50)]);
    assert_eq!(store.evaluate(judged(1)).await.unwrap(), Evaluated::NotFound);
    leased(store, 1, 2).await;
    store.respond(respond(token(1, 0, 1), miner(1), "a", at(1))).await.unwrap();
    let open = Evaluated::NotDone(TaskState::Open);
    assert_eq!(store.evaluate(judged(1)).await.unwrap(), open);
    store.cancel(cancel(1)).await.unwrap();
    let cancelled = Evaluated::NotDone(TaskState::Cancelled);
    assert_eq!(store.evaluate(judged(1)).await.unwrap(), cancelled);
    store.enqueue(enqueue(task(2, 1))).await.unwrap();
    store.sweep(sweep(at(3_600))).await.unwrap();
    let expired = Evaluated::NotDone(TaskState::Expired);
    assert_eq!(store.evaluate(judged(2)).await.unwrap(), expired);
}

async fn an_approved_task_is_still_judged(store: &dyn Store) {
    done(store, 1, 2).await;
    store.evaluate(evaluate(1, 1, &[(0, 10), (1, 60)])).await.unwrap();
    let late = store.evaluate(evaluate(1, 2, &[(0, 99), (1, 1)])).await.unwrap();
    let expected = Evaluated::Accepted {
        recorded: 2,
        duplicates: 0,
        state: TaskState::Approved,
        scores: vec![],
        best_slot: Some(1),
    };
    assert_eq!(late, expected, "what was approved stands");
}

async fn judged_tasks_are_listed_newest_first(store: &dyn Store) {
    for (n, secs) in [(1, 300), (2, 400), (3, 400)] {
        done(store, n, 2).await;
        let command = Evaluate { now: at(secs), ..evaluate(n, 1, &[(1, 5), (0, 5)]) };
        store.evaluate(command).await.unwrap();
    }
    let rows = store.evaluated_by(validator_id(1), 5).await.unwrap();
    let keys: Vec<_> = rows.iter().map(|row| (row.task, row.slot)).collect();
    let [one, two, three] = [1, 2, 3].map(task_id);
    assert_eq!(keys, [(three, 0), (three, 1), (two, 0), (two, 1), (one, 0)]);
    assert_eq!(store.evaluated_by(validator_id(2), 5).await.unwrap(), []);
}

async fn scores_count_once(store: &dyn Store) {
    done(store, 1, 2).await;
    for _ in 0..2 {
        store.evaluate(evaluate(1, 1, &[(0, 80), (1, 60)])).await.unwrap();
    }
    store.evaluate(evaluate(1, 2, &[(0, 10), (1, 10)])).await.unwrap();
    let miner = store.registration(registration_id(1)).await.unwrap().unwrap();
    assert_eq!((miner.record.scored, miner.record.score_sum), (1, 800_000));
}
