//! A task comes in: its slots are fitted to the network, it is written down, and only then queued.

use std::sync::Arc;

use actix::prelude::*;

use super::*;
use crate::domain::limits::OPEN_TASKS_MAX;
use crate::store::{Enqueue, Enqueued, Replication, StoreError, StoreResult};

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
        let command = Enqueue { task, file, input_units, idempotency, nonce };
        let written = async move {
            let outcome = store.enqueue(command.clone()).await;
            (outcome, command.task)
        };
        Box::pin(written.into_actor(self).map(move |(outcome, task), act, ctx| {
            Ok(match outcome? {
                Enqueued::Existing(id) => Submitted::Existing(id),
                Enqueued::Mismatch => Submitted::Refused(Refusal::Mismatch),
                Enqueued::New => {
                    act.take_in(Brief { task, kind }, told);
                    act.turn_soon(ctx);
                    act.wake_later(ctx);
                    Submitted::New { slots, estimate }
                }
            })
        }))
    }
}

impl Distributor {
    fn take_in(&mut self, brief: Brief, told: Option<Told>) {
        let (id, from) = (brief.task.id, brief.task.start_at);
        let open = Open {
            slots: vec![(Slot::Queued(from), 0); usize::from(brief.task.slots)],
            used: Vec::new(),
            used_coldkeys: Vec::new(),
            hedged: Vec::new(),
            told,
            watchers: Vec::new(),
            brief: Arc::new(brief),
        };
        self.keep_open(id, open);
        self.requeue(id);
        metrics::counter!(crate::telemetry::TASKS_SUBMITTED).increment(1);
        metrics::gauge!(crate::telemetry::TASKS_OPEN).set(self.open.len() as f64);
    }
}
