//! What is left for a validator to judge: the walk along the done tasks, and the memory of it between
//! two polls.

use std::collections::BTreeSet;
use std::path::Path;

use pithead::domain::ids::{TaskId, ValidatorId};
use pithead::domain::limits::JUDGES_KEPT_MILLIS;
use pithead::domain::task::TaskState;
use pithead::http::left::LeftToJudge;
use pithead::store::model::ModelStore;
use pithead::store::sql::{Location, SqlStore};
use pithead::store::*;
use sqlx::{Connection, Executor, SqliteConnection};

use super::make::*;
use super::on_every_store;
use super::random::Dice;

on_every_store!(
    done_tasks_are_walked_in_the_order_in_which_they_became_done,
    a_page_looks_at_no_more_than_it_may,
    what_is_judged_whole_or_approved_is_left_no_more,
    of_some_tasks_those_that_are_left_are_told,
    tasks_that_a_sweep_ended_are_left_to_judge,
    polls_tell_the_same_as_a_look_at_everything,
);

/// All that is left, in pages of so many looked at.
pub(super) async fn walk(store: &dyn Store, by: ValidatorId, limit: u64) -> Vec<TaskId> {
    let (mut left, mut after) = (Vec::new(), DonePlace::START);
    loop {
        let page = store.done_after(by, after, limit).await.unwrap();
        left.extend(page.left.iter().map(|place| place.task));
        if page.end {
            return left;
        }
        assert!(page.reached > after, "each page leads on");
        after = page.reached;
    }
}

fn ids<const N: usize>(of: [u128; N]) -> Vec<TaskId> {
    of.map(task_id).to_vec()
}

/// One validator's judgement, without approving anything.
fn judge(n: u128, by: u128, slots: &[u16]) -> Evaluate {
    let slots: Vec<_> = slots.iter().map(|slot| (*slot, 5)).collect();
    Evaluate { quorum: 9, ..evaluate(n, by, &slots) }
}

async fn done_tasks_are_walked_in_the_order_in_which_they_became_done(store: &dyn Store) {
    leased(store, 9, 1).await;
    for n in [3, 1, 2] {
        done(store, n, 2).await;
    }
    store.enqueue(enqueue(task(4, 1))).await.unwrap();
    store.respond(respond(token(9, 0, 1), miner(1), "word", at(5))).await.unwrap();
    for limit in 1..6 {
        assert_eq!(walk(store, validator_id(1), limit).await, ids([3, 1, 2, 9]), "{limit}");
    }
}

async fn a_page_looks_at_no_more_than_it_may(store: &dyn Store) {
    for n in 1..=5 {
        done(store, n, 1).await;
    }
    for n in [1, 2, 4] {
        store.evaluate(judge(n, 1, &[0])).await.unwrap();
    }
    let page = async |after, limit| {
        let page = store.done_after(validator_id(1), after, limit).await.unwrap();
        let left: Vec<_> = page.left.iter().map(|place| place.task).collect();
        ((left, page.reached.task, page.end), page.reached)
    };
    let (first, reached) = page(DonePlace::START, 2).await;
    assert_eq!(first, (vec![], task_id(2), false), "judged ones are looked at too");
    let (second, reached) = page(reached, 2).await;
    assert_eq!(second, (ids([3]), task_id(4), false));
    let (third, reached) = page(reached, 2).await;
    assert_eq!(third, (ids([5]), task_id(5), true));
    let (nothing, same) = page(reached, 2).await;
    assert_eq!((nothing, same), ((vec![], task_id(5), true), reached), "it stays where it was");
}

async fn what_is_judged_whole_or_approved_is_left_no_more(store: &dyn Store) {
    for n in [3, 1, 2] {
        done(store, n, 2).await;
    }
    let left = async |by| walk(store, validator_id(by), 2).await;
    store.evaluate(judge(1, 1, &[0])).await.unwrap();
    assert_eq!(left(1).await, ids([3, 1, 2]), "half judged is not judged");
    store.evaluate(judge(1, 1, &[1])).await.unwrap();
    assert_eq!((left(1).await, left(2).await), (ids([3, 2]), ids([3, 1, 2])));
    store.evaluate(evaluate(2, 1, &[(0, 5), (1, 5)])).await.unwrap();
    assert_eq!(left(2).await, ids([3, 1]), "approved needs no more");
}

async fn of_some_tasks_those_that_are_left_are_told(store: &dyn Store) {
    for n in 1..=4 {
        done(store, n, 2).await;
    }
    leased(store, 5, 2).await;
    store.respond(respond(token(5, 0, 1), miner(1), "word", at(5))).await.unwrap();
    store.evaluate(judge(1, 1, &[0, 1])).await.unwrap();
    store.evaluate(judge(2, 1, &[1])).await.unwrap();
    // Approved by another validator, while this one has not judged it.
    store.evaluate(evaluate(3, 2, &[(0, 5), (1, 5)])).await.unwrap();
    let told = async |by, of: Vec<TaskId>| -> Vec<_> {
        let records = store.left_among(validator_id(by), of).await.unwrap();
        assert!(records.iter().all(|t| t.slots.len() == 2), "with their slots");
        records.iter().map(|t| t.task.id).collect()
    };
    assert_eq!(told(1, ids([5, 4, 3, 2, 1, 0, 4])).await, ids([2, 4]));
    assert_eq!(told(2, ids([1, 2, 3])).await, ids([1, 2]));
    assert_eq!(told(1, vec![]).await, []);
}

async fn tasks_that_a_sweep_ended_are_left_to_judge(store: &dyn Store) {
    for n in [2, 3] {
        leased(store, n, 2).await;
        store.respond(respond(token(n, 0, 1), miner(1), "word", at(5))).await.unwrap();
    }
    done(store, 9, 1).await;
    store.sweep(sweep(at(3_600))).await.unwrap();
    done(store, 1, 1).await;
    assert_eq!(walk(store, validator_id(1), 2).await, ids([9, 2, 3, 1]));
}

/// Random steps over few tasks, and what a look at all of them says.
struct World<'a> {
    store: &'a dyn Store,
    dice: Dice,
    /// Ids not taken yet, in an order of their own.
    fresh: Vec<u128>,
    /// Tasks with an answer that will not come, which only a sweep ends.
    halves: usize,
    /// In the order in which they became done; ids where one command did.
    done: Vec<TaskId>,
}

impl World<'_> {
    async fn all(&self) -> Vec<TaskRecord> {
        let page = TaskPage { owner: None, states: vec![], kind: None, before: None, limit: 999 };
        self.store.tasks(page).await.unwrap()
    }

    async fn step(&mut self) {
        match self.dice.below(10) {
            0..3 => {
                let slots = 1 + self.dice.small(2);
                let Some(n) = self.fresh.pop() else { return };
                done(self.store, n, slots).await;
            }
            3 if self.halves < 6 => {
                let Some(n) = self.fresh.pop() else { return };
                leased(self.store, n, 2).await;
                let answer = respond(token(n, 0, 1), miner(1), "word", at(5));
                self.store.respond(answer).await.unwrap();
                self.halves += 1;
            }
            4 => {
                self.store.sweep(sweep(at(3_600))).await.unwrap();
                self.halves = 0;
            }
            _ => self.judge().await,
        }
        let done = self.all().await;
        let done = done.iter().filter(|t| t.state == TaskState::Done).map(|t| t.task.id);
        let new: BTreeSet<_> = done.filter(|id| !self.done.contains(id)).collect();
        self.done.extend(new);
    }

    /// Mostly one of the oldest that are done, and mostly whole.
    async fn judge(&mut self) {
        let all = self.all().await;
        let state =
            |id: &&TaskId| all.iter().any(|t| t.task.id == **id && t.state == TaskState::Done);
        let done: Vec<_> = self.done.iter().filter(state).copied().take(4).collect();
        let Some(task) = self.dice.pick(&done) else { return };
        let rows = self.store.responses(task).await.unwrap();
        let mut slots: Vec<_> = rows.iter().map(|row| row.token.slot).collect();
        if self.dice.one_in(4) {
            slots.truncate(1);
        }
        let by = 1 + u128::from(self.dice.small(3));
        let n = task.0.as_u128() - task_id(0).0.as_u128();
        let command = Evaluate { quorum: 3, ..judge(n, by, &slots) };
        let taken = self.store.evaluate(command).await.unwrap();
        assert!(matches!(taken, Evaluated::Accepted { .. }), "{taken:?}");
    }

    /// Done tasks with a response that a validator has not judged.
    async fn left(&self, by: ValidatorId) -> Vec<TaskId> {
        let all = self.all().await;
        let mut left = Vec::new();
        for id in &self.done {
            let record = all.iter().find(|t| t.task.id == *id).unwrap();
            let judged = self.store.evaluations(*id).await.unwrap();
            let judged = judged.iter().filter(|row| row.validator == by).count();
            let answers = self.store.responses(*id).await.unwrap().len();
            if record.state == TaskState::Done && judged < answers {
                left.push(*id);
            }
        }
        left
    }
}

/// How many polls told something, and how many more than one page was left.
async fn polls(store: &dyn Store, seed: u64, steps: usize) -> (usize, usize) {
    let mut dice = Dice(seed);
    let mut fresh: Vec<u128> = (1..80).collect();
    fresh.sort_by_cached_key(|_| dice.below(1_000));
    let looked_max = 1 + dice.below(4);
    let memory = LeftToJudge::looking_at(looked_max);
    let mut world = World { store, dice, fresh, halves: 0, done: Vec::new() };
    let (mut told, mut long) = (0, 0);
    for step in 0..steps {
        world.step().await;
        for by in (1..=3).map(validator_id) {
            if !world.dice.one_in(3) && step + 1 < steps {
                continue;
            }
            let limit = 1 + usize::from(world.dice.small(5));
            let left = memory.of(store, by, limit, at(0)).await.unwrap();
            let left: Vec<_> = left.iter().map(|t| t.task.id).collect();
            let mut expected = world.left(by).await;
            long += usize::from(expected.len() as u64 > looked_max);
            expected.truncate(limit);
            assert_eq!(left, expected, "seed {seed}, step {step}, {by}");
            told += usize::from(!left.is_empty());
        }
    }
    (told, long)
}

async fn polls_tell_the_same_as_a_look_at_everything(store: &dyn Store) {
    polls(store, 1, 60).await;
}

#[tokio::test]
async fn polls_over_many_random_histories_tell_the_same_as_looks_at_everything() {
    let (mut told, mut long) = (0, 0);
    for seed in 0..60 {
        let of_seed = polls(&ModelStore::default(), seed, 120).await;
        (told, long) = (told + of_seed.0, long + of_seed.1);
    }
    assert!(told > 1_000 && long > 1_000, "too little was left: {told}, {long}");
}

async fn polled(memory: &LeftToJudge, store: &dyn Store, secs: i64) -> Vec<TaskId> {
    let left = memory.of(store, validator_id(1), 9, at(secs)).await.unwrap();
    left.iter().map(|t| t.task.id).collect()
}

#[tokio::test]
async fn after_a_restart_tasks_go_on_to_become_done_behind_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let open = async || SqlStore::open(Location::parse(None, dir.path()).unwrap()).await.unwrap();
    let store = open().await;
    done(&store, 2, 2).await;
    store.close().await;
    let store = open().await;
    let memory = LeftToJudge::default();
    assert_eq!(polled(&memory, &store, 0).await, ids([2]));
    // With fewer commands than went before the restart.
    store.enqueue(enqueue(task(1, 1))).await.unwrap();
    lease(&store, 1, 1).await;
    store.respond(respond(token(1, 0, 1), miner(1), "word", at(5))).await.unwrap();
    assert_eq!(polled(&memory, &store, 0).await, ids([2, 1]));
    store.close().await;
}

/// Changes rows behind the store's back.
async fn tamper(file: &Path, statement: &'static str) {
    let url = format!("sqlite:{}", file.display());
    let mut session = SqliteConnection::connect(&url).await.unwrap();
    assert_eq!(session.execute(statement).await.unwrap().rows_affected(), 1);
    session.close().await.unwrap();
}

/// A commit that nobody knew of comes to light behind the place that was reached.
#[tokio::test]
async fn what_was_passed_by_is_found_when_the_memory_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pithead.db");
    let store = SqlStore::open(Location::Sqlite(file.clone())).await.unwrap();
    let memory = LeftToJudge::default();
    done(&store, 1, 1).await;
    assert_eq!(polled(&memory, &store, 0).await, ids([1]));
    done(&store, 2, 1).await;
    let late =
        "UPDATE task SET done_order = 1 WHERE done_order = (SELECT MAX(done_order) FROM task)";
    tamper(&file, late).await;
    let again = JUDGES_KEPT_MILLIS / 1_000;
    assert_eq!(polled(&memory, &store, again - 1).await, ids([1]), "that the test passes it by");
    assert_eq!(polled(&memory, &store, again).await, ids([2, 1]));
    store.close().await;
}

/// That no poll looks at it again shows when it is taken back, which nobody but a test can do.
#[tokio::test]
async fn what_was_judged_is_looked_at_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pithead.db");
    let store = SqlStore::open(Location::Sqlite(file.clone())).await.unwrap();
    let memory = LeftToJudge::default();
    for told_before in [true, false] {
        let n = if told_before { 1 } else { 2 };
        done(&store, n, 1).await;
        if told_before {
            assert_eq!(polled(&memory, &store, 0).await, ids([n]));
        }
        store.evaluate(judge(n, 1, &[0])).await.unwrap();
        assert_eq!(polled(&memory, &store, 0).await, []);
        tamper(&file, "DELETE FROM evaluation").await;
        assert_eq!(polled(&memory, &store, 0).await, [], "told before: {told_before}");
    }
    assert_eq!(polled(&LeftToJudge::default(), &store, 0).await, ids([1, 2]), "that it was back");
    store.close().await;
}
