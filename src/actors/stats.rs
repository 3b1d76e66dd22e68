//! Stats: evaluations in, scores kept. A task's scores are written in the transaction that approves
//! it, so that none is missing after a crash and none counts twice. It is never in the path of a
//! task on its way to the miners and back.

mod fold;
mod periods;
mod runs;
mod sums;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::Deps;
use super::distributor::Scored;
use crate::domain::leaderboard::{self, Line, Order};
use crate::domain::units::Millis;
use crate::store::{Evaluate, Evaluated, ScoreDays, StoreResult};

pub use fold::SumHours;
pub use runs::MadeUpTo;

/// See the module's docs.
pub struct Stats {
    deps: Arc<Deps>,
    /// Leaderboards that were made a moment ago.
    boards: HashMap<Board, (Millis, Arc<Vec<Line>>)>,
    fold: fold::Fold,
    runs: runs::Runs,
}

/// How often is looked whether an hour is over.
const FOLD_EVERY: Duration = Duration::from_secs(60);

/// How old a leaderboard may be, in milliseconds.
const BOARD_MILLIS: i64 = 5_000;
/// Leaderboards kept at once.
const BOARDS_MAX: usize = 64;

impl Stats {
    /// Stats on this store.
    #[must_use]
    pub fn new(deps: Arc<Deps>) -> Self {
        let (fold, runs) = (fold::Fold::default(), runs::Runs::default());
        Self { deps, boards: HashMap::new(), fold, runs }
    }
}

impl Actor for Stats {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::domain::limits::IN_FLIGHT_MAX);
        ctx.notify(SumHours);
        ctx.run_interval(FOLD_EVERY, |_, ctx| ctx.notify(SumHours));
        let every = Duration::from_millis(self.deps.config.sweep_millis);
        ctx.run_interval(every, Self::look);
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
        let judged_at = evaluation.0.now;
        let written = async move { store.evaluate(evaluation.0).await };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            match &outcome {
                Ok(Evaluated::Accepted { recorded, scores, .. }) => {
                    act.deps.changed(task);
                    metrics::counter!(crate::telemetry::EVALUATIONS)
                        .increment(u64::from(*recorded));
                    if !scores.is_empty() {
                        act.fold.scored(judged_at);
                        let scored = scores
                            .iter()
                            .map(|row| (row.registration, row.kind.clone(), row.score));
                        act.deps.distributor().do_send(Scored(scored.collect()));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    // The outcome may be unknown.
                    act.fold.scored(judged_at);
                    metrics::counter!(crate::telemetry::STATS_WRITES_FAILED).increment(1);
                    tracing::warn!(%error, "an evaluation could not be written");
                }
            }
            outcome
        }))
    }
}

/// Which leaderboard. Days since the Unix epoch, both included.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Message)]
#[rtype(result = "StoreResult<Arc<Vec<Line>>>")]
pub struct Board {
    /// From this day.
    pub from: i64,
    /// To this day.
    pub to: i64,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Sorted by what.
    pub order: Order,
}

impl Handler<Board> for Stats {
    type Result = ResponseActFuture<Self, StoreResult<Arc<Vec<Line>>>>;

    fn handle(&mut self, board: Board, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.clock.now();
        self.boards.retain(|_, (made_at, _)| (0..BOARD_MILLIS).contains(&now.since(*made_at)));
        if let Some((_, lines)) = self.boards.get(&board) {
            return Box::pin(actix::fut::ready(Ok(lines.clone())));
        }
        let store = self.deps.store.clone();
        let days = ScoreDays { from: board.from, to: board.to, kind: board.kind.clone() };
        let read = async move { store.scores(days).await };
        Box::pin(read.into_actor(self).map(move |sums, act, _| {
            let sums = sums?.into_iter().map(|(id, sum)| (id, sum.scored, sum.score_sum));
            let lines = Arc::new(leaderboard::rank(sums, board.order));
            if act.boards.len() < BOARDS_MAX {
                act.boards.insert(board, (now, lines.clone()));
            }
            Ok(lines)
        }))
    }
}
