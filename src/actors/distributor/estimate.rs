//! What to tell a client at submit: who could do the work now, and when it will probably be done.

use std::collections::BTreeSet;

use actix::prelude::*;
use serde::Serialize;

use super::{Distributor, ViewEstimates};
use crate::domain::estimate::{Estimator, Told};
use crate::domain::kind::KindIndex;
use crate::domain::task::Priority;
use crate::domain::units::{Millis, ONE};

/// An honest guess, for the answer to a submit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Whether anybody can do it now.
    pub feasible: bool,
    /// Miners that serve such work now.
    pub capable_miners: usize,
    /// Half of such tasks are done within this time; `null` without experience.
    pub p50_secs: Option<f64>,
    /// 95 % of them are.
    pub p95_secs: Option<f64>,
    /// Why not, when it is not feasible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How well the estimates of one kind came true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EstimateCard {
    /// The kind.
    pub kind: String,
    /// Recent tasks that were told an estimate.
    pub tasks: i64,
    /// Share of them that were done within their p50: one half, ideally.
    pub within_p50: Option<f64>,
    /// Share of them that were done within their p95.
    pub within_p95: Option<f64>,
}

/// What is known of each kind.
pub(super) struct Estimates {
    kinds: Vec<Lately>,
}

#[derive(Default, Clone)]
struct Lately {
    estimator: Estimator,
    /// Counted anew at most once a second.
    capable: usize,
    counted_at: Option<Millis>,
}

/// How old a count of capable miners may be, in milliseconds.
const FRESH_MILLIS: i64 = 1_000;

impl Estimates {
    pub(super) fn new(kinds: usize) -> Self {
        Self { kinds: vec![Lately::default(); kinds] }
    }

    /// The estimator of a kind.
    pub(super) fn of(&mut self, kind: KindIndex) -> Option<&mut Estimator> {
        self.kinds.get_mut(usize::from(kind.0)).map(|lately| &mut lately.estimator)
    }
}

impl Distributor {
    /// The guess for a task of this client, and what is kept of it. Counts distinct owners among the
    /// miners that could do such work at most once a second and kind.
    pub(super) fn estimate(
        &mut self,
        kind: KindIndex,
        priority: Priority,
        owner: &str,
    ) -> (Estimate, Option<Told>) {
        let now = self.deps.clock.now();
        let name = self.deps.kinds.get(kind).map(|k| k.name.clone()).unwrap_or_default();
        let Some(lately) = self.estimates.kinds.get_mut(usize::from(kind.0)) else {
            return (Estimate::none(&name), None);
        };
        if lately.counted_at.is_none_or(|at| now.since(at) >= FRESH_MILLIS || now < at) {
            let policy = &self.deps.config.selection;
            let mut owners = BTreeSet::new();
            let capable = self.roster.all().iter().filter(|c| c.capable(&name, policy, now));
            lately.capable =
                capable.filter(|c| c.coldkey.as_ref().is_none_or(|key| owners.insert(key))).count();
            lately.estimator.calibrate();
            lately.counted_at = Some(now);
        }
        if lately.capable == 0 {
            return (Estimate::none(&name), None);
        }
        let told = lately.estimator.tell(self.queue.ahead(kind, priority, owner));
        let secs = |millis: i64| millis as f64 / 1_000.0;
        let estimate = Estimate {
            feasible: true,
            capable_miners: lately.capable,
            p50_secs: told.p50_millis.map(secs),
            p95_secs: told.p95_millis.map(secs),
            reason: None,
        };
        (estimate, Some(told))
    }
}

impl Estimate {
    fn none(kind: &str) -> Self {
        Self {
            feasible: false,
            capable_miners: 0,
            p50_secs: None,
            p95_secs: None,
            reason: Some(format!(
                "no miner serves `{kind}` now; the task waits until its deadline"
            )),
        }
    }
}

impl Handler<ViewEstimates> for Distributor {
    type Result = MessageResult<ViewEstimates>;

    fn handle(&mut self, _: ViewEstimates, _: &mut Self::Context) -> Self::Result {
        let share = |millionths: i64| millionths as f64 / ONE as f64;
        let card = |(kind, lately): (&crate::domain::kind::TaskKind, &Lately)| {
            let calibration = lately.estimator.calibration();
            EstimateCard {
                kind: kind.name.clone(),
                tasks: calibration.tasks(),
                within_p50: calibration.within().map(|(p50, _)| share(p50)),
                within_p95: calibration.within().map(|(_, p95)| share(p95)),
            }
        };
        MessageResult(self.deps.kinds.iter().zip(&self.estimates.kinds).map(card).collect())
    }
}
