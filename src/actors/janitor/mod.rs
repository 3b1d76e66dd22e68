//! The Janitor: ends what is overdue and forgets what is old. A look that finds nothing writes
//! nothing.

mod files;
mod miners;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::Deps;
use super::distributor::Ended;
use crate::domain::limits;
use crate::domain::units::{DAY, MINUTE, Millis};
use crate::outside::Blobs;
use crate::store::{Archive, Archived, MinersForgotten, Prune, StoreResult, Sweep, Swept};

/// See the module's docs.
pub struct Janitor {
    deps: Arc<Deps>,
    blobs: Blobs,
    sweeping: bool,
    archiving: bool,
    emptying: bool,
    emptied_at: Option<Millis>,
    pruned_at: Millis,
    tidying: bool,
    tidied: i64,
}

/// How often old rows are looked for.
const PRUNE_MILLIS: i64 = 60 * 1_000;
/// How long reports are kept.
const REPORTS_MILLIS: i64 = 7 * DAY;

impl Janitor {
    /// A Janitor that begins its rounds when it starts.
    #[must_use]
    pub fn new(deps: Arc<Deps>, blobs: Blobs) -> Self {
        Self {
            deps,
            blobs,
            sweeping: false,
            archiving: false,
            emptying: false,
            emptied_at: None,
            pruned_at: Millis(0),
            tidying: false,
            tidied: 0,
        }
    }

    /// Once in a minute: files past their time, and one in 256 of the blobs. Beside the sweeps, which
    /// must not wait for a slow bucket. Which blobs follows from the minute, so that a server that is
    /// restarted often comes to all of them too.
    fn tidy(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let minute = now.0.div_euclid(MINUTE);
        if self.tidying || self.tidied == minute {
            return;
        }
        (self.tidying, self.tidied) = (true, minute);
        let (deps, blobs) = (self.deps.clone(), self.blobs.clone());
        let first = u8::try_from(minute.rem_euclid(256)).unwrap_or_default();
        let work = async move {
            if let Err(error) = files::forget(&deps, now).await {
                tracing::warn!(%error, "files past their time were not forgotten");
            }
            if let Err(error) = files::sweep(&deps, &blobs, first, now).await {
                tracing::warn!(%error, "blobs were not swept");
            }
        };
        ctx.spawn(work.into_actor(self).map(|(), act, _| act.tidying = false));
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        if self.sweeping {
            return;
        }
        self.sweeping = true;
        let now = self.deps.clock.now();
        let prune = now.since(self.pruned_at) >= PRUNE_MILLIS;
        if prune {
            self.pruned_at = now;
            self.archive(ctx);
            self.empty(ctx, now);
        }
        let deps = self.deps.clone();
        let work = async move { run_once(&deps, now, prune).await };
        ctx.spawn(work.into_actor(self).map(|outcome, act, ctx| {
            act.sweeping = false;
            match outcome {
                Ok(swept) if swept == Swept::default() => {}
                Ok(swept) => {
                    // As many as fit in one sweep: there may be more.
                    let more = swept.lost.len() + swept.overdue.len() >= SWEEP_FULL;
                    act.deps.distributor().do_send(Ended(swept));
                    if more {
                        act.round(ctx);
                    }
                }
                Err(error) => tracing::warn!(%error, "a sweep failed; the next one comes soon"),
            }
        }));
    }

    /// Puts ended tasks away, batch by batch; between two of them the others have three times as long
    /// as one took.
    fn archive(&mut self, ctx: &mut Context<Self>) {
        if self.archiving {
            return;
        }
        self.archiving = true;
        let deps = self.deps.clone();
        let work = async move {
            let began = Instant::now();
            let outcome = deps.store.archive(archive(&deps)).await;
            (outcome, began.elapsed())
        };
        ctx.spawn(work.into_actor(self).map(|(outcome, took), act, ctx| {
            act.archiving = false;
            match outcome {
                Ok(Archived { archived, forgotten }) => {
                    metrics::counter!(crate::telemetry::TASKS_ARCHIVED).increment(archived);
                    if archived.max(forgotten) >= limits::ARCHIVE_ROWS_MAX {
                        ctx.run_later(took * 3, Self::archive);
                    }
                }
                Err(error) => tracing::warn!(%error, "ended tasks were not archived"),
            }
        }));
    }
}

impl Janitor {
    /// Now and then: takes their sums and records from registrations that closed long ago.
    fn empty(&mut self, ctx: &mut Context<Self>, now: Millis) {
        let every = self.deps.config.weights.cleanup_millis();
        if self.emptying || !miners::are_due(self.emptied_at, now, every) {
            return;
        }
        (self.emptying, self.emptied_at) = (true, Some(now));
        let deps = self.deps.clone();
        let work = async move { miners::forget(&deps, now).await };
        ctx.spawn(work.into_actor(self).map(|outcome, act, _| {
            act.emptying = false;
            match outcome {
                Ok(MinersForgotten { miners: 0, .. }) => {}
                Ok(MinersForgotten { miners, rows }) => {
                    tracing::info!(miners, rows, "registrations that closed long ago were emptied");
                }
                Err(error) => {
                    act.emptied_at = None;
                    tracing::warn!(%error, "closed registrations were not emptied; trying again soon");
                }
            }
        }));
    }
}

/// What is old enough now to be put away or forgotten.
fn archive(deps: &Deps) -> Archive {
    let (now, kept) = (deps.clock.now(), deps.config.retention);
    let ago = |days: u32| now.plus(-i64::from(days).saturating_mul(DAY));
    Archive {
        ended_before: ago(kept.tasks_days),
        forget_before: ago(kept.archive_days.max(kept.tasks_days)),
        rows_max: limits::ARCHIVE_ROWS_MAX,
    }
}

const SWEEP_FULL: usize = limits::SWEEP_ROWS_MAX as usize;

/// One round: the sweep, and now and then the forgetting.
async fn run_once(deps: &Deps, now: Millis, prune: bool) -> StoreResult<Swept> {
    let policy = deps.config.lease;
    let swept = deps.store.sweep(Sweep { now, policy, rows_max: limits::SWEEP_ROWS_MAX }).await?;
    if prune {
        let kept = deps.config.weights.retention_millis();
        let before = Prune {
            nonces: now.plus(-limits::NONCE_MEMORY_MILLIS),
            idempotency: now.plus(-limits::IDEMPOTENCY_MILLIS),
            reports: now.plus(-REPORTS_MILLIS),
            deliveries: now.plus(-limits::DELIVERIES_KEPT_MILLIS),
            // What is as old and not summed yet would be too old for its sums.
            scores: now.plus(-kept - limits::SCORES_LONGER_MILLIS),
            hours: now.plus(-kept),
            days: now.plus(-limits::DAYS_KEPT_MILLIS),
        };
        let gone = deps.store.prune(before).await?;
        tracing::debug!(gone, "old rows were forgotten");
    }
    Ok(swept)
}

impl Actor for Janitor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let every = Duration::from_millis(self.deps.config.sweep_millis);
        ctx.run_interval(every, Self::round);
        ctx.run_interval(every, Self::tidy);
    }
}
