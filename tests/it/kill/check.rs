//! After the last kill: the rows against what everybody was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use pithead::domain::ids::{LeaseToken, RegistrationId, TaskId, ValidatorId};
use pithead::domain::task::TaskState;
use pithead::domain::units::Millis;
use pithead::store::sql::{Location, SqlStore};
use pithead::store::{EvaluationRow, Holder, ResponseRow, Store, TaskPage, TaskRecord};
use sha2::{Digest, Sha256};

use super::site::Ledger;
use super::{CAPACITY, Run, SLACK_MILLIS, SWEEP_MILLIS, server};

/// Everything that is stored.
struct Stored {
    tasks: BTreeMap<String, TaskRecord>,
    responses: BTreeMap<String, ResponseRow>,
    judged: BTreeMap<(String, ValidatorId), BTreeSet<u16>>,
    validators: BTreeMap<String, ValidatorId>,
}

/// The doctor finds nothing, and every promise was kept.
pub(super) async fn all(run: &Run, kills: u64) {
    let mut wrongs = run.site.ledger(|ledger| std::mem::take(&mut ledger.wrongs));
    doctor(run, &mut wrongs).await;
    let database = run.place.database.as_deref();
    let location = Location::parse(database, &run.place.folder).unwrap();
    let store = SqlStore::open(location).await.unwrap();
    let stored = read(&store).await;
    run.site.ledger(|ledger| {
        tasks(run, ledger, &stored, &mut wrongs);
        answers(ledger, &stored, &mut wrongs);
        judgements(ledger, &stored, &mut wrongs);
    });
    room(&stored, &mut wrongs);
    counters(&store, &stored, &mut wrongs).await;
    store.close().await;
    let log = run.place.log();
    if log.contains("panicked") {
        wrongs.push(format!("a panic:\n{log}"));
    }
    let told = run.told();
    let figures = run.site.ledger(|ledger| {
        format!(
            "{kills} kills, {} requests without an answer; acknowledged: {} tasks, {} answers, {} \
             judgements, {} cancels",
            run.site.unanswered.load(Ordering::Relaxed),
            ledger.tasks.len(),
            ledger.answers.len(),
            ledger.judged.values().map(BTreeSet::len).sum::<usize>(),
            ledger.cancelled.len(),
        )
    });
    println!("{figures}\n{told}");
    assert!(
        wrongs.is_empty(),
        "{} wrongs:\n{}\n{figures}\n{told}",
        wrongs.len(),
        wrongs.join("\n")
    );
    let answered = run.site.ledger(|ledger| ledger.answers.len());
    assert!(answered as u64 > kills * 5, "too little happened: {figures}; {told}");
}

/// The program itself.
async fn doctor(run: &Run, wrongs: &mut Vec<String>) {
    let mut command = server::program();
    command.args(["doctor", "--deep", "--data"]).arg(&run.place.folder);
    if let Some(url) = &run.place.database {
        command.args(["--database", url]);
    }
    // PostgreSQL may need a moment to see that the session of the dead server is gone.
    for _ in 0..200 {
        let done = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        if said.contains("another pithead runs") && run.place.database.is_some() {
            continue;
        }
        if !done.status.success() {
            wrongs.push(format!("the doctor says:\n{said}"));
        }
        return;
    }
    wrongs.push("the lock of the dead server stays".to_owned());
}

async fn read(store: &SqlStore) -> Stored {
    let mut stored = Stored {
        tasks: BTreeMap::new(),
        responses: BTreeMap::new(),
        judged: BTreeMap::new(),
        validators: BTreeMap::new(),
    };
    let mut before = None;
    loop {
        let page = TaskPage { owner: None, states: Vec::new(), kind: None, before, limit: 200 };
        let records = store.tasks(page).await.unwrap();
        let Some(last) = records.last() else { break };
        before = Some(last.task.id);
        for record in records {
            read_task(store, record.task.id, &mut stored).await;
            stored.tasks.insert(record.task.id.to_string(), record);
        }
    }
    for validator in store.load(Millis(0)).await.unwrap().validators {
        stored.validators.insert(validator.hotkey.to_string(), validator.id);
    }
    stored
}

async fn read_task(store: &SqlStore, id: TaskId, stored: &mut Stored) {
    for response in store.responses(id).await.unwrap() {
        stored.responses.insert(response.token.to_string(), response);
    }
    for EvaluationRow { slot, validator, .. } in store.evaluations(id).await.unwrap() {
        stored.judged.entry((id.to_string(), validator)).or_default().insert(slot);
    }
}

/// None is lost, none was made twice, each ended as it was told and in time.
fn tasks(run: &Run, ledger: &Ledger, stored: &Stored, wrongs: &mut Vec<String>) {
    for id in stored.tasks.keys().filter(|id| !ledger.tasks.contains_key(*id)) {
        // Each submit was repeated until it was acknowledged, under its key.
        wrongs.push(format!("task {id} is nobody's: a submit was counted twice"));
    }
    for (id, due) in &ledger.tasks {
        let Some(record) = stored.tasks.get(id) else {
            wrongs.push(format!("task {id} was acknowledged and is lost"));
            continue;
        };
        let Some(ended) = record.finished_at.filter(|_| record.state.ended()) else {
            wrongs.push(format!("task {id} did not end: {:?}", record.state));
            continue;
        };
        if record.task.deadline.0 > *due {
            wrongs.push(format!("task {id} got a later deadline than it asked for"));
        }
        let latest = latest(record.task.deadline.0, &run.away);
        if ended.0 > latest {
            wrongs.push(format!("task {id} ended {} ms late", ended.0 - latest));
        }
        if ledger.cancelled.contains(id) && record.state != TaskState::Cancelled {
            wrongs.push(format!("task {id} was cancelled and is {:?}", record.state));
        }
        let told = ledger.ends.get(id).map(String::as_str);
        let now = record.status().as_str();
        if told.is_some_and(|told| told != now && (told, now) != ("done", "approved")) {
            wrongs.push(format!("task {id} was told to be {told:?} and is {now}"));
        }
    }
}

/// Deadline and two sweeps; a server that is away cannot end anything.
fn latest(due: i64, away: &[(i64, i64)]) -> i64 {
    let span = 2 * SWEEP_MILLIS + SLACK_MILLIS;
    let mut latest = due + span;
    for &(gone, back) in away {
        if gone < latest && back > due {
            latest = latest.max(back + span);
        }
    }
    latest
}

/// Every acknowledged answer is there, once and as it was given; nothing that was refused is.
fn answers(ledger: &Ledger, stored: &Stored, wrongs: &mut Vec<String>) {
    for (token, (uid, body)) in &ledger.answers {
        let Some(row) = stored.responses.get(token) else {
            wrongs.push(format!("the answer to {token} was acknowledged and is lost"));
            continue;
        };
        let hash: [u8; 32] = Sha256::digest(body.to_string()).into();
        if row.body != *body || row.body_hash != hash || row.miner_uid.0 != *uid {
            wrongs.push(format!("the answer to {token} is another: {row:?}"));
        }
    }
    let mut slots = BTreeSet::new();
    for (token, row) in &stored.responses {
        let LeaseToken { task, slot, .. } = row.token;
        if !slots.insert((task, slot)) {
            wrongs.push(format!("slot {slot} of {task} has two answers"));
        }
        if !ledger.answers.contains_key(token) {
            wrongs.push(format!("the answer to {token} is there, and nobody was told"));
        }
    }
}

/// Every acknowledged judgement is there.
fn judgements(ledger: &Ledger, stored: &Stored, wrongs: &mut Vec<String>) {
    let none = BTreeSet::new();
    for ((task, hotkey), slots) in &ledger.judged {
        let found = stored.validators.get(hotkey);
        let found = found.and_then(|id| stored.judged.get(&(task.clone(), *id)));
        if *found.unwrap_or(&none) != *slots {
            wrongs.push(format!("{hotkey} judged {slots:?} of {task}, and {found:?} is there"));
        }
    }
}

/// Nobody ever held more leases at once than it has room for: from the moments of all leases that
/// there were, as the rows tell them. Where one ends as another begins, the end comes first.
fn room(stored: &Stored, wrongs: &mut Vec<String>) {
    let mut moments: BTreeMap<RegistrationId, Vec<(Millis, i32)>> = BTreeMap::new();
    let mut lease = |holder: Holder, from: Millis, until: Millis| {
        let moments = moments.entry(holder.miner().unwrap()).or_default();
        moments.extend([(from, 1), (until, -1)]);
    };
    for attempt in stored.tasks.values().flat_map(|record| &record.attempts) {
        lease(attempt.holder, attempt.granted_at, attempt.ended_at);
    }
    for response in stored.responses.values() {
        let LeaseToken { task, slot, .. } = response.token;
        let record = &stored.tasks[&task.to_string()];
        let granted_at = record.slots[usize::from(slot)].granted_at.unwrap();
        lease(response.holder, granted_at, response.created_at);
    }
    let mut fullest = 0;
    for (miner, mut moments) in moments {
        moments.sort_unstable();
        let mut held = 0;
        let most = moments.iter().map(|(_, change)| {
            held += change;
            held
        });
        let most = usize::try_from(most.max().unwrap_or(0)).unwrap();
        fullest = fullest.max(most);
        if most > CAPACITY {
            wrongs
                .push(format!("{miner:?} held {most} leases at once and has room for {CAPACITY}"));
        }
    }
    if fullest < CAPACITY {
        wrongs.push(format!("too little work: nobody ever held {CAPACITY} leases, but {fullest}"));
    }
}

/// What the miners' counters must say, from the rows alone: nothing is forgotten in so short a time.
async fn counters(store: &SqlStore, stored: &Stored, wrongs: &mut Vec<String>) {
    #[derive(Debug, Default, PartialEq)]
    struct Count {
        live: u32,
        answered: i64,
        lost: i64,
        scored: i64,
    }
    let mut counts: BTreeMap<RegistrationId, Count> = BTreeMap::new();
    for response in stored.responses.values() {
        let count = counts.entry(response.holder.miner().unwrap()).or_default();
        count.answered += 1;
        let task = stored.tasks.get(&response.token.task.to_string());
        count.scored += i64::from(task.is_some_and(|t| t.state == TaskState::Approved));
    }
    for attempt in stored.tasks.values().flat_map(|record| &record.attempts) {
        let count = counts.entry(attempt.holder.miner().unwrap()).or_default();
        count.lost += i64::from(attempt.reason.is_failure());
    }
    for (id, expected) in counts {
        let row = store.registration(id).await.unwrap().unwrap();
        let (live, record) = (row.live, row.record);
        let (answered, lost, scored) = (record.answered, record.lost, record.scored);
        let found = Count { live, answered, lost, scored };
        if found != expected {
            wrongs.push(format!("miner {} has {found:?}; its rows say {expected:?}", row.uid));
        }
    }
}
