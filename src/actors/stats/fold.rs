//! Our own scores, summed hour by hour once an hour is over: from rows that are there anyway, so that
//! no task waits for it. Which hours are summed is seen from the sums: nothing is written down for an
//! hour without scores.

use std::sync::Arc;

use actix::prelude::*;

use super::Stats;
use crate::domain::limits::{FOLD_AFTER_MILLIS, FOLD_HOURS_MAX};
use crate::domain::period::hour_of;
use crate::domain::units::Millis;
use crate::store::{ScoreHours, Store, StoreResult};

/// How far the sums are.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The first hour that may be left to sum; unknown before the first look.
    next: Option<i64>,
    running: bool,
    /// The first hour that got another score while a look was on its way.
    again: Option<i64>,
}

impl Fold {
    /// Whether all hours before this one are summed.
    pub(super) fn is_up_to(&self, hour: i64) -> bool {
        let again = self.again.is_some_and(|again| again < hour);
        !self.running && !again && self.next.is_some_and(|next| next >= hour)
    }

    /// There may be a new score of this moment: its hour is summed anew if it was summed before.
    pub(super) fn scored(&mut self, at: Millis) {
        self.hour_again(hour_of(at));
    }

    fn hour_again(&mut self, hour: i64) {
        self.again = Some(self.again.map_or(hour, |again| again.min(hour)));
    }
}

/// Sums the hours that are over and not summed yet; how many had scores.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<u64>")]
pub struct SumHours;

impl Handler<SumHours> for Stats {
    type Result = ResponseActFuture<Self, StoreResult<u64>>;

    fn handle(&mut self, _: SumHours, _: &mut Self::Context) -> Self::Result {
        if self.fold.running {
            return Box::pin(actix::fut::ready(Ok(0)));
        }
        self.fold.running = true;
        let (mut next, mut again) = (self.fold.next, self.fold.again.take());
        let store: Arc<dyn Store> = self.deps.store.clone();
        let over = hour_of(self.deps.clock.now().plus(-FOLD_AFTER_MILLIS));
        let since = over.saturating_sub(self.deps.config.weights.retention_hours());
        let look = async move {
            let outcome = run_once(&*store, (&mut next, &mut again), since, over).await;
            (outcome, next, again)
        };
        Box::pin(look.into_actor(self).map(|(outcome, next, again), act, _| {
            act.fold.running = false;
            act.fold.next = next;
            if let Some(hour) = again {
                act.fold.hour_again(hour);
            }
            if let Err(error) = &outcome {
                metrics::counter!(crate::telemetry::STATS_WRITES_FAILED).increment(1);
                tracing::warn!(%error, "scores could not be summed; trying again");
            }
            outcome
        }))
    }
}

/// Sums hours from `next` on, or from behind the newest sums, or from the one to be summed `again`, up
/// to the one that is not `over`. What is done is done, also when a later hour fails.
async fn run_once(
    store: &dyn Store,
    (next, again): (&mut Option<i64>, &mut Option<i64>),
    since: i64,
    over: i64,
) -> StoreResult<u64> {
    let first = match *next {
        Some(next) => next,
        None => store.summed_hour().await?.map_or(since, |hour| hour.saturating_add(1)),
    };
    let first = again.take().map_or(first, |again| again.min(first));
    let mut from = first.max(since);
    *next = Some(from);
    for folded in 0..FOLD_HOURS_MAX {
        if from >= over {
            return Ok(folded);
        }
        let Some(sums) = store.hour_of_scores(ScoreHours { from, to: over }).await? else {
            *next = Some(over);
            return Ok(folded);
        };
        let hour = sums.hour;
        store.put_hour(sums).await?;
        from = hour.saturating_add(1);
        *next = Some(from);
    }
    Ok(FOLD_HOURS_MAX)
}
