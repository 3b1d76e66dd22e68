//! The Janitor: ends what is overdue and forgets what is old. A look that finds nothing writes
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::Deps;
use super::distributor::Ended;
use crate::domain::limits;
use crate::domain::units::{DAY, Millis};
use crate::store::{Prune, StoreResult, Sweep, Swept};

/// See the module's docs.
pub struct Janitor {
    deps: Arc<Deps>,
    sweeping: bool,
    pruned_at: Millis,
}

/// How often old rows are looked for.
const PRUNE_MILLIS: i64 = 60 * 1_000;
/// How long reports are kept.
const REPORTS_MILLIS: i64 = 7 * DAY;

impl Janitor {
    /// A Janitor that begins its rounds when it starts.
    #[must_use]
    pub fn new(deps: Arc<Deps>) -> Self {
        Self { deps, sweeping: false, pruned_at: Millis(0) }
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
}

const SWEEP_FULL: usize = limits::SWEEP_ROWS_MAX as usize;

/// One round: the sweep, and now and then the forgetting.
async fn run_once(deps: &Deps, now: Millis, prune: bool) -> StoreResult<Swept> {
    let policy = deps.config.lease;
    let swept = deps.store.sweep(Sweep { now, policy, rows_max: limits::SWEEP_ROWS_MAX }).await?;
    if prune {
        let before = Prune {
            nonces: now.plus(-limits::NONCE_MEMORY_MILLIS),
            idempotency: now.plus(-limits::IDEMPOTENCY_MILLIS),
            reports: now.plus(-REPORTS_MILLIS),
            deliveries: now.plus(-limits::DELIVERIES_KEPT_MILLIS),
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
    }
}
