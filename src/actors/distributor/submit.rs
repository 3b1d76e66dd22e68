//! A task comes in: its slots are fitted to the network, it is written down, and only then queued.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::join;

use super::*;
use crate::domain::limits::OPEN_TASKS_MAX;
use crate::store::{Assign, Enqueue, Enqueued, Grant, Replication, StoreError, StoreResult};

impl Handler<Submit> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Submitted>>;

    fn handle(&mut self, submit: Submit, _: &mut Self::Context) -> Self::Result {
        let Submit { mut task, file, completion, adaptive, input_units, idempotency, nonce } =
            submit;
        if self.open.len() >= OPEN_TASKS_MAX {
            return Box::pin(actix::fut::ready(Ok(Submitted::Refused(Refusal::Full))));
        }
        let most = self.deps.config.queue.open_per_client;
        if self.open_by_owner.get(&task.owner).is_some_and(|open| *open >= most) {
            return Box::pin(actix::fut::ready(Ok(Submitted::Refused(Refusal::TooMany(most)))));
        }
        let Some((kind, _)) = self.deps.kinds.find(&task.kind) else {
            let error = StoreError::Corrupt(format!("unknown kind `{}`", task.kind));
            return Box::pin(actix::fut::ready(Err(error)));
        };
        let (estimate, told) = self.estimate(kind, task.priority, &task.owner);
        // With nobody there now, the wish stands: miners may come before the deadline.
        if estimate.capable_miners > 0 {
            let capable = u16::try_from(estimate.capable_miners).unwrap_or(u16::MAX);
            task.slots = task.slots.min(capable).max(1);
        }
        let (store, slots) = (self.deps.store.clone(), task.slots);
        task.enough = completion.enough(slots);
        if adaptive && slots > 1 {
            task.adaptive = Some(Replication { slots, enough: task.enough });
            (task.slots, task.enough) = (1, 1);
        }
        task.min_responses = task.min_responses.min(task.slots);
        let (id, first) = (task.id, idempotency.is_none());
        let mut open = fresh(Brief { task: task.clone(), kind }, told);
        let grants = if first { self.choose_at_once(&mut open) } else { Vec::new() };
        let now = self.deps.clock.now();
        let command = Enqueue { task, file, input_units, idempotency, nonce };
        let assign = Assign { task: id, grants: grants.clone(), now };
        let written = async move {
            if assign.grants.is_empty() {
                return (store.enqueue(command).await, Ok(Vec::new()));
            }
            // Handed in one after the other, and mostly written together: the leases of a task that
            // was not taken in are refused.
            join(store.enqueue(command), store.assign(assign)).await
        };
        Box::pin(written.into_actor(self).map(move |(taken, leased), act, ctx| {
            let brief = open.brief.clone();
            if !matches!(taken, Ok(Enqueued::New)) {
                for grant in &grants {
                    act.not_granted(id, &brief, grant, ctx);
                }
            }
            Ok(match taken? {
                Enqueued::Existing(id) => Submitted::Existing(id),
                Enqueued::Mismatch => Submitted::Refused(Refusal::Mismatch),
                Enqueued::New => {
                    act.take_in(id, open);
                    act.assigned(id, &brief, &grants, leased, ctx);
                    act.turn_soon(ctx);
                    act.wake_later(ctx);
                    Submitted::New { slots, estimate }
                }
            })
        }))
    }
}

/// A task whose slots wait for miners.
fn fresh(brief: Brief, told: Option<Told>) -> Open {
    let task = &brief.task;
    Open {
        slots: vec![(Slot::Queued(task.start_at), 0); usize::from(task.slots)],
        used: Vec::new(),
        used_coldkeys: Vec::new(),
        hedged: Vec::new(),
        told,
        watchers: Vec::new(),
        brief: Arc::new(brief),
    }
}

impl Distributor {
    /// Chooses and reserves miners for a task that is not written yet, when it would be the next one
    /// anyway: its leases need not wait for a commit of their own. What is widened first waits.
    fn choose_at_once(&mut self, open: &mut Open) -> Vec<Grant> {
        let adaptive = open.brief.task.adaptive.is_some();
        if adaptive || !self.queue.is_empty() || self.roster.free().is_empty() {
            return Vec::new();
        }
        let id = open.brief.task.id;
        self.choose(open, id, self.deps.clock.now()).grants
    }

    fn take_in(&mut self, id: TaskId, open: Open) {
        self.keep_open(id, open);
        self.requeue(id);
        metrics::counter!(crate::telemetry::TASKS_SUBMITTED).increment(1);
        metrics::gauge!(crate::telemetry::TASKS_OPEN).set(self.open.len() as f64);
    }
}
