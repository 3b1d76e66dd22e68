//! Stats: evaluations in, scores kept. A task's scores are written in the transaction that approves
//! it, so that none is missing after a crash and none counts twice. It is never in the path of a
//! task on its way to the miners and back.

use std::sync::Arc;

use actix::prelude::*;

use super::Deps;
use super::distributor::Scored;
use crate::store::{Evaluate, Evaluated, StoreResult};

/// See the module's docs.
pub struct Stats {
    deps: Arc<Deps>,
}

impl Stats {
    /// Stats on this store.
    #[must_use]
    pub const fn new(deps: Arc<Deps>) -> Self {
        Self { deps }
    }
}

impl Actor for Stats {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::domain::limits::IN_FLIGHT_MAX);
    }
}

/// A validator's evaluation of one task's responses.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Evaluated>")]
pub struct TakeEvaluation(pub Evaluate);

impl Handler<TakeEvaluation> for Stats {
    type Result = ResponseActFuture<Self, StoreResult<Evaluated>>;

    fn handle(&mut self, evaluation: TakeEvaluation, _: &mut Self::Context) -> Self::Result {
        let (store, task) = (self.deps.store.clone(), evaluation.0.task);
        let written = async move { store.evaluate(evaluation.0).await };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            match &outcome {
                Ok(Evaluated::Accepted { recorded, scores, .. }) => {
                    act.deps.changed(task);
                    metrics::counter!(crate::telemetry::EVALUATIONS)
                        .increment(u64::from(*recorded));
                    if !scores.is_empty() {
                        let scored = scores
                            .iter()
                            .map(|row| (row.registration, row.kind.clone(), row.score));
                        act.deps.distributor().do_send(Scored(scored.collect()));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    metrics::counter!(crate::telemetry::STATS_WRITES_FAILED).increment(1);
                    tracing::warn!(%error, "an evaluation could not be written");
                }
            }
            outcome
        }))
    }
}
