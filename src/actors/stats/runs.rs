//! The weights of each full hour, once its scores are summed: one calculation of the rolling window,
//! and the records of the periods. Read and computed on a thread of its own, behind everything else,
//! written in a few transactions; never in the path of a task. Where nothing changed, nothing is
//! written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::sums::Sums;
use super::{Stats, SumHours, periods};
use crate::actors::{Deps, audit};
use crate::domain::ids::{RegistrationId, RunId};
use crate::domain::limits::{
    CREDIT_EVERY_MILLIS, FOLD_AFTER_MILLIS, RUN_AGAIN_MILLIS, RUN_REST_MAX, RUN_RESTS,
};
use crate::domain::period::{day_of, hour_of};
use crate::domain::units::{HOUR, Millis};
use crate::domain::watch::{Calculation, GAP_HOURS, Gap, gaps};
use crate::domain::weights::{Bucket, Given, Grain, Owner, Owners, Run, standings};
use crate::outside::{background, pause};
use crate::store::{
    ForgetRecords, PutRun, RegistrationRow, ScoreBucket, ScoreHours, StoreError, StoreResult,
    WeightRunRow, WorkSum,
};

/// The thread that makes them.
const THREAD: &str = "pithead-weights";

/// How far the weights are.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The hour up to which they are made; unknown before the first run.
    done: Option<i64>,
    running: bool,
    summing: bool,
    /// Not before this moment: the last try failed.
    again_at: Millis,
    /// Of the periods.
    pub(super) made: periods::Made,
    /// The news of the chain that are in the records; as the store counts them.
    told: u64,
    /// When they were last put there.
    told_at: Millis,
    /// The day on which old ones were forgotten.
    forgot: i64,
    /// Whether a run that took too long was told of.
    warned: bool,
    /// Whether weights can be made.
    calculation: Calculation,
}

/// What one run does with, while it is on its way.
pub(super) struct Work {
    pub(super) deps: Arc<Deps>,
    /// The end of the last full hour, in hours since the epoch.
    pub(super) to: i64,
    pub(super) made: periods::Made,
    /// What it is made of.
    pub(super) sums: Sums,
    /// The longest that one of its writes took.
    pub(super) held: Duration,
    /// When its last rest was over.
    rested: Instant,
    /// Who gives no scores any more.
    silent: Vec<Gap>,
}

impl Stats {
    /// Looks whether an hour is over that has no run yet.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let to = hour_of(now.plus(-FOLD_AFTER_MILLIS));
        let runs = &self.runs;
        if runs.running || now < runs.again_at {
            return;
        }
        if let Some(done) = runs.done.filter(|done| *done >= to) {
            self.tell(ctx, done, now);
            return;
        }
        if !self.fold.is_up_to(to) {
            self.sum(to, ctx);
            return;
        }
        self.runs.running = true;
        let made = std::mem::take(&mut self.runs.made);
        let forget = self.runs.forgot != day_of(now);
        let told = self.deps.store.chain_written();
        let mut work = Work::new(&self.deps, to, made);
        let run = background(THREAD, move || async move {
            let began = Instant::now();
            let outcome = work.run(forget).await;
            (outcome, work, began.elapsed())
        });
        ctx.spawn(run.into_actor(self).map(move |done, act, _| {
            act.runs.running = false;
            let Some((outcome, work, took)) = done else {
                act.not_made(to, &StoreError::Corrupt("making the weights panicked".to_owned()));
                return;
            };
            act.runs.made = work.made;
            metrics::histogram!(crate::telemetry::WEIGHTS_RUN_SECONDS).record(took);
            match outcome {
                Ok(()) => {
                    act.runs.done = Some(to);
                    act.runs.told = told;
                    act.runs.forgot = day_of(now);
                    act.runs.warn_of(work.held, &act.deps);
                    let recovered = act.runs.calculation.worked();
                    let silent = work.silent.iter().map(Gap::fact);
                    audit::tell(&act.deps, recovered.into_iter().chain(silent));
                }
                Err(error) => act.not_made(to, &error),
            }
        }));
    }

    fn not_made(&mut self, to: i64, error: &StoreError) {
        self.failed(to, error);
        metrics::counter!(crate::telemetry::STATS_WRITES_FAILED).increment(1);
        tracing::warn!(%error, "the weights were not made; trying again soon");
    }

    /// The weights are made; only what the chain says of them is not in the records yet.
    fn not_told(&mut self, error: &StoreError) {
        self.runs.again_at = self.deps.clock.now().plus(RUN_AGAIN_MILLIS);
        metrics::counter!(crate::telemetry::STATS_WRITES_FAILED).increment(1);
        tracing::warn!(%error, "the chain's news are not in the records; trying again soon");
    }

    /// Puts news of the chain into the records of running periods, now and then.
    fn tell(&mut self, ctx: &mut Context<Self>, done: i64, now: Millis) {
        let told = self.deps.store.chain_written();
        if told == self.runs.told || now.since(self.runs.told_at) < CREDIT_EVERY_MILLIS {
            return;
        }
        (self.runs.running, self.runs.told_at) = (true, now);
        let made = std::mem::take(&mut self.runs.made);
        let mut work = Work::new(&self.deps, done, made);
        let again = background(THREAD, move || async move {
            let outcome = periods::again(&mut work).await;
            (outcome, work)
        });
        ctx.spawn(again.into_actor(self).map(move |made, act, _| {
            act.runs.running = false;
            let Some((outcome, work)) = made else {
                act.not_told(&StoreError::Corrupt("making records panicked".to_owned()));
                return;
            };
            act.runs.made = work.made;
            match outcome {
                Ok(()) => act.runs.told = told,
                Err(error) => act.not_told(&error),
            }
        }));
    }
}

impl Stats {
    /// The weights up to this hour could not be made: tries again soon.
    fn failed(&mut self, to: i64, error: &dyn std::fmt::Display) {
        self.runs.again_at = self.deps.clock.now().plus(RUN_AGAIN_MILLIS);
        let failed = self.runs.calculation.failed(to, &error.to_string());
        audit::tell(&self.deps, failed);
    }

    /// Has what is over summed at once, instead of at the next look of the fold.
    fn sum(&mut self, to: i64, ctx: &mut Context<Self>) {
        if self.runs.summing {
            return;
        }
        self.runs.summing = true;
        let sum = ctx.address().send(SumHours);
        ctx.spawn(sum.into_actor(self).map(move |outcome, act, _| {
            act.runs.summing = false;
            match outcome {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => act.failed(to, &error),
                Err(error) => act.failed(to, &error),
            }
        }));
    }
}

/// The end of the last hour of which the weights are made; nothing before the first look.
#[derive(Debug, Message)]
#[rtype(result = "Option<Millis>")]
pub struct MadeUpTo;

impl Handler<MadeUpTo> for Stats {
    type Result = Option<Millis>;

    fn handle(&mut self, _: MadeUpTo, _: &mut Self::Context) -> Self::Result {
        self.runs.done.map(|hour| Millis(hour.saturating_mul(HOUR)))
    }
}

impl Runs {
    fn warn_of(&mut self, held: Duration, deps: &Deps) {
        let most = Duration::from_millis(deps.config.weights.performance_impact_threshold_millis);
        if held > most && !self.warned {
            self.warned = true;
            let held = held.as_secs_f64();
            tracing::warn!(
                held,
                "a write of weights took longer than \
                 `weights.performance_impact_threshold_millis`; this is said once"
            );
        }
    }
}

impl Work {
    fn new(deps: &Arc<Deps>, to: i64, made: periods::Made) -> Self {
        let (sums, held, rested) = (Sums::new(deps, to), Duration::ZERO, Instant::now());
        Self { deps: deps.clone(), to, made, sums, held, rested, silent: Vec::new() }
    }

    async fn run(&mut self, forget: bool) -> StoreResult<()> {
        self.window().await?;
        periods::make(self).await?;
        if forget {
            let kept = self.deps.config.weights.retention_hours();
            let before = Millis((self.to - kept) * HOUR);
            self.deps.store.forget_records(ForgetRecords { before }).await?;
        }
        Ok(())
    }

    /// The current vector, from the rolling window.
    async fn window(&mut self) -> StoreResult<()> {
        let deps = self.deps.clone();
        let (store, config) = (&deps.store, &deps.config);
        let from = self.to - i64::from(config.weights.window_days) * 24;
        let lately = ScoreHours { from: self.to - GAP_HOURS, to: self.to };
        let lately = store.scored_hours(lately).await?;
        self.silent = gaps(lately.into_iter().map(|of| (of.voice, of.hour)), self.to);
        let scores = self.sums.of(from, self.to, Grain::Day).await?;
        self.rest().await;
        let work = store.work(from.div_euclid(24), (self.to - 1).div_euclid(24) + 1).await?;
        let owners = owners(&known(&deps, &scores, &work).await?);
        let (name, kinds) = (config.weights.policy, config.weighted_kinds());
        let (policy, scores) = (config.weights.figures(), buckets(scores));
        let standings = standings(&policy, &kinds, Grain::Day, &scores, &given(work));
        let run = Run::of(name, policy, &kinds, &standings, &owners).map_err(unusable)?;
        let body = serde_json::to_vec(&run).map_err(unusable)?;
        let (policy_hash, empty) = (run.calculation.policy_hash, run.miners.is_empty());
        self.rest().await;
        let last = store.weight_run(None).await?;
        if last.as_ref().map_or(empty, |last| last.body == body) {
            return Ok(());
        }
        let run = WeightRunRow {
            id: RunId(uuid::Uuid::now_v7()),
            made_at: deps.clock.now(),
            window_from: Millis(from * HOUR),
            window_to: Millis(self.to * HOUR),
            policy: name.as_str().to_owned(),
            policy_hash,
            body,
        };
        let began = Instant::now();
        store.put_run(PutRun(run)).await?;
        self.wrote(began);
        self.rest().await;
        metrics::counter!(crate::telemetry::WEIGHTS_RUNS).increment(1);
        Ok(())
    }

    /// Leaves the machine to others for a while, after each step.
    pub(super) async fn rest(&mut self) {
        // A step that waited long for the database did no work meanwhile.
        pause((self.rested.elapsed() * RUN_RESTS).min(RUN_REST_MAX)).await;
        self.rested = Instant::now();
    }

    /// Notes how long a write took, its wait for the writer included.
    pub(super) fn wrote(&mut self, began: Instant) {
        let took = began.elapsed();
        self.held = self.held.max(took);
        metrics::histogram!(crate::telemetry::WEIGHTS_WRITE_SECONDS).record(took);
    }
}

/// The rows of all who scored or worked.
pub(super) async fn known(
    deps: &Deps,
    scores: &[ScoreBucket],
    work: &[WorkSum],
) -> StoreResult<Vec<RegistrationRow>> {
    let ids: BTreeSet<RegistrationId> = scores
        .iter()
        .map(|row| row.registration)
        .chain(work.iter().map(|row| row.registration))
        .collect();
    deps.store.registrations(ids.into_iter().collect()).await
}

/// Who they are.
pub(super) fn owners(rows: &[RegistrationRow]) -> Owners {
    let owner = |row: &RegistrationRow| {
        let open = row.closed_at.is_none();
        (row.id, Owner { uid: row.uid, hotkey: row.hotkey.clone(), open })
    };
    rows.iter().map(owner).collect::<BTreeMap<_, _>>()
}

pub(super) fn buckets(rows: Vec<ScoreBucket>) -> Vec<Bucket> {
    let bucket = |row: ScoreBucket| Bucket {
        registration: row.registration,
        kind: row.kind,
        voice: row.voice,
        hour: row.hour,
        scored: row.scored,
        score_sum: row.score_sum,
    };
    rows.into_iter().map(bucket).collect()
}

pub(super) fn given(rows: Vec<WorkSum>) -> Vec<Given> {
    let given = |row: WorkSum| Given {
        registration: row.registration,
        kind: row.kind,
        attempted: row.attempted,
        completed: row.completed,
    };
    rows.into_iter().map(given).collect()
}

/// Rows that no weights can be made of.
pub(super) fn unusable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("weights: {error}"))
}
