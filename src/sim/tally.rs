//! What happened in a run, counted by everybody who takes part.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sim::client::ApiError;

/// A step forward, for progress bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A validator's report was taken.
    Reported,
    /// A task was submitted.
    Submitted,
    /// The first miner answered a task.
    Answered,
    /// A task has all its answers.
    Done,
    /// Enough validators have evaluated a task.
    Approved,
    /// A task was given up, by the server or by its client.
    Failed,
}

/// When the steps of one task happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// Just before the submit was sent.
    pub submitted: Option<Instant>,
    /// When a miner's answer was first accepted.
    pub answered: Option<Instant>,
    /// When its client saw it finished.
    pub done: Option<Instant>,
    /// When a validator was told that it is approved.
    pub approved: Option<Instant>,
}

/// What one miner did.
#[derive(Debug, Clone, Copy, Default)]
pub struct MinerCounts {
    /// Answers accepted.
    pub answered: u64,
    /// Tasks given back.
    pub released: u64,
    /// Tasks taken and forgotten.
    pub crashed: u64,
    /// Leases that ended before the answer came.
    pub lost: u64,
}

/// Everything that was counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// By task id.
    pub tasks: BTreeMap<String, Marks>,
    /// How long each submit took until its answer.
    pub submit_times: Vec<Duration>,
    /// How right each fetched result was, 0..=1.
    pub accuracies: Vec<f64>,
    /// By uid.
    pub miners: BTreeMap<u16, MinerCounts>,
    /// Reports taken, by validator uid.
    pub reports: BTreeMap<u16, u64>,
    /// Evaluations taken, by validator uid.
    pub evaluations: BTreeMap<u16, u64>,
    /// The last performance that a validator (first) reported of a miner (second).
    pub said: BTreeMap<(u16, u16), f64>,
    /// Tasks that ended otherwise than done.
    pub failed: u64,
    /// Failed calls, by `<who>: <code>`.
    pub errors: BTreeMap<String, u64>,
}

/// The shared book of a run.
pub struct Tally {
    counts: Mutex<Counts>,
    progress: Box<dyn Fn(Progress) + Send + Sync>,
}

impl Tally {
    /// An empty book; `progress` is called at each step and must be quick.
    #[must_use]
    pub fn new(progress: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { counts: Mutex::default(), progress: Box::new(progress) }
    }

    /// A submit that was sent at `sent` has been answered now.
    pub fn submitted(&self, task_id: &str, sent: Instant) {
        let mut counts = self.counts();
        counts.submit_times.push(sent.elapsed());
        counts.tasks.entry(task_id.to_owned()).or_default().submitted = Some(sent);
        drop(counts);
        (self.progress)(Progress::Submitted);
    }

    /// A miner's answer was accepted; it may come before its client knows the task's id.
    pub fn answered(&self, task_id: &str, uid: u16) {
        self.miner(uid, |counts| counts.answered += 1);
        self.mark(task_id, Progress::Answered, |marks| &mut marks.answered);
    }

    /// A client saw its task finished.
    pub fn done(&self, task_id: &str) {
        self.mark(task_id, Progress::Done, |marks| &mut marks.done);
    }

    /// A validator's evaluation was taken and left the task in `status`.
    pub fn evaluated(&self, task_id: &str, validator_uid: u16, status: &str) {
        *self.counts().evaluations.entry(validator_uid).or_default() += 1;
        if status == "approved" {
            self.mark(task_id, Progress::Approved, |marks| &mut marks.approved);
        }
    }

    /// A validator's report was taken.
    pub fn reported(&self, validator_uid: u16, said: &[(u16, f64)]) {
        let mut counts = self.counts();
        *counts.reports.entry(validator_uid).or_default() += 1;
        counts.said.extend(said.iter().map(|(miner, score)| ((validator_uid, *miner), *score)));
        drop(counts);
        (self.progress)(Progress::Reported);
    }

    /// A task ended otherwise than done.
    pub fn failed(&self) {
        self.counts().failed += 1;
        (self.progress)(Progress::Failed);
    }

    /// A result was as right as `accuracy` says.
    pub fn result(&self, accuracy: f64) {
        self.counts().accuracies.push(accuracy);
    }

    /// Changes a miner's counts.
    pub fn miner(&self, uid: u16, change: impl FnOnce(&mut MinerCounts)) {
        change(self.counts().miners.entry(uid).or_default());
    }

    /// A call of `who` (a role) failed.
    pub fn error(&self, who: &str, error: &ApiError) {
        tracing::debug!(who, %error, "a call of the simulated fleet failed");
        *self.counts().errors.entry(format!("{who}: {}", error.code())).or_default() += 1;
    }

    /// Tasks that are done but not approved yet.
    #[must_use]
    pub fn awaiting_approval(&self) -> usize {
        let waits = |marks: &&Marks| marks.done.is_some() && marks.approved.is_none();
        self.counts().tasks.values().filter(waits).count()
    }

    /// The book itself. Hold it briefly.
    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        // A panic of another thread cannot leave plain counters half written.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, task: &str, step: Progress, which: impl Fn(&mut Marks) -> &mut Option<Instant>) {
        let mut counts = self.counts();
        let mark = which(counts.tasks.entry(task.to_owned()).or_default());
        let first = mark.is_none();
        mark.get_or_insert_with(Instant::now);
        drop(counts);
        if first {
            (self.progress)(step);
        }
    }
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally").field("counts", &self.counts).finish_non_exhaustive()
    }
}
