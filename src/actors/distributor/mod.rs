//! The Distributor: open tasks to leases. It keeps open tasks and the roster of miners in memory,
//! chooses, reserves, has the leases written, and only then hands them out. Rows own: whatever it
//! holds is rebuilt from the store at start, and re-read whenever an outcome is not what it
//! expected.

mod apply;
mod dispatch;
mod estimate;
mod hedge;
mod messages;
mod pull;
pub(in crate::actors) mod record;
mod submit;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::oneshot;

pub use estimate::{Estimate, EstimateCard};
pub use messages::*;

use super::Deps;
use super::lease::Brief;
use crate::domain::estimate::Told;
use crate::domain::ids::{Hotkey, LeaseToken, RegistrationId, TaskId};
use crate::domain::queue::{ReadyQueue, Ticket};
use crate::domain::roster::Roster;
use crate::domain::task::{SlotState, TaskState};
use crate::domain::units::Millis;
use crate::store::{Holder, KindRecordRow, TaskRecord};

/// How late a sweep may find an expired lease, in milliseconds.
const SWEEP_LATE_MILLIS: i64 = 2 * crate::domain::limits::SWEEP_MILLIS;

/// A slot as the Distributor knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Waits for a miner, from a moment on.
    Queued(Millis),
    /// Chosen for; the lease is being written.
    Reserved,
    /// Leased, since then.
    Leased(Holder, Millis),
    /// Answered, given up or superseded.
    Over,
}

#[derive(Debug)]
struct Open {
    brief: Arc<Brief>,
    /// Slots and their last attempts.
    slots: Vec<(Slot, u16)>,
    /// Miners that hold, answered or failed a slot.
    used: Vec<RegistrationId>,
    /// Owners of those, where known.
    used_coldkeys: Vec<(RegistrationId, Hotkey)>,
    /// Slots that were hedged, each with the slot beside it.
    hedged: Vec<(u16, u16)>,
    /// What its client was told; nothing after a restart.
    told: Option<Told>,
    watchers: Vec<oneshot::Sender<Option<Arc<Value>>>>,
}

impl Open {
    /// Whether a slot waits for a miner now.
    fn wants(&self, now: Millis) -> bool {
        self.slots.iter().any(|(slot, _)| matches!(slot, Slot::Queued(at) if *at <= now))
    }

    /// Whether a slot was ever given out.
    fn begun(&self) -> bool {
        self.slots.iter().any(|(slot, attempt)| *attempt > 0 || !matches!(slot, Slot::Queued(_)))
    }

    fn ticket(&self) -> Ticket<'_> {
        let task = &self.brief.task;
        Ticket {
            id: task.id,
            kind: self.brief.kind,
            priority: task.priority,
            owner: &task.owner,
            since: task.start_at,
            slots: task.slots,
        }
    }
}

/// See the module's docs.
pub struct Distributor {
    deps: Arc<Deps>,
    roster: Roster,
    queue: ReadyQueue,
    open: HashMap<TaskId, Open>,
    estimates: estimate::Estimates,
    records: record::Records,
    hedges: hedge::Hedges,
    /// Open tasks by client.
    open_by_owner: HashMap<String, usize>,
    rng: StdRng,
    /// Whether a turn is on its way already.
    turn_due: bool,
    /// When the next delayed task wakes us.
    wakes_at: Option<Millis>,
    snapshot: Option<(Millis, Arc<Vec<MinerCard>>)>,
}

impl Distributor {
    /// A Distributor with the open tasks of the store and what is known of its miners, who are
    /// announced to it afterwards.
    #[must_use]
    pub fn new(
        deps: Arc<Deps>,
        tasks: Vec<TaskRecord>,
        records: &[KindRecordRow],
        seed: u64,
    ) -> Self {
        let kinds = deps.kinds.iter().count();
        let records = record::Records::new(&deps.kinds, records, deps.clock.now());
        let mut distributor = Self {
            deps,
            roster: Roster::default(),
            queue: ReadyQueue::default(),
            open: HashMap::new(),
            estimates: estimate::Estimates::new(kinds),
            records,
            hedges: hedge::Hedges::default(),
            open_by_owner: HashMap::new(),
            rng: StdRng::seed_from_u64(seed),
            turn_due: false,
            wakes_at: None,
            snapshot: None,
        };
        for record in tasks {
            distributor.adopt(record);
        }
        distributor
    }

    /// Takes an open task's row as the truth about it.
    fn adopt(&mut self, record: TaskRecord) {
        let Some((kind, _)) = self.deps.kinds.find(&record.task.kind) else {
            tracing::warn!(task.id = %record.task.id, task.kind = record.task.kind,
                "an open task is of a kind that is not configured; it waits until it is");
            return;
        };
        let id = record.task.id;
        let slots = record.slots.iter().map(|row| {
            let slot = match (row.state, row.holder) {
                (SlotState::Queued, _) => Slot::Queued(row.not_before),
                (SlotState::Offered | SlotState::Running, Some(holder)) => {
                    Slot::Leased(holder, row.granted_at.unwrap_or_default())
                }
                _ => Slot::Over,
            };
            (slot, row.attempt)
        });
        let mut open = Open {
            slots: slots.collect(),
            used: Vec::new(),
            used_coldkeys: Vec::new(),
            hedged: record.slots.iter().filter_map(|s| Some((s.hedge_of?, s.slot))).collect(),
            told: None,
            watchers: Vec::new(),
            brief: Arc::new(Brief { task: record.task, kind }),
        };
        let failed = record.attempts.iter().filter(|a| a.reason.is_failure()).map(|a| a.holder);
        let holders = record.slots.iter().filter_map(|row| row.holder);
        for miner in holders.chain(failed).filter_map(Holder::miner) {
            self.use_miner(&mut open, miner);
        }
        if let Some(old) = self.forget_quietly(id) {
            (open.told, open.watchers) = (old.told, old.watchers);
        }
        self.keep_open(id, open);
        self.requeue(id);
    }

    fn keep_open(&mut self, id: TaskId, open: Open) {
        // Most clients are known: no copy of the name for them.
        match self.open_by_owner.get_mut(&open.brief.task.owner) {
            Some(count) => *count += 1,
            None => drop(self.open_by_owner.insert(open.brief.task.owner.clone(), 1)),
        }
        self.open.insert(id, open);
    }

    fn forget_quietly(&mut self, id: TaskId) -> Option<Open> {
        let open = self.open.remove(&id)?;
        if let Some(count) = self.open_by_owner.get_mut(&open.brief.task.owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open_by_owner.remove(&open.brief.task.owner);
            }
        }
        Some(open)
    }

    fn use_miner(&self, open: &mut Open, miner: RegistrationId) {
        if open.used.contains(&miner) {
            return;
        }
        open.used.push(miner);
        if let Some(owner) = self.roster.get(miner).and_then(|c| c.coldkey.clone()) {
            open.used_coldkeys.push((miner, owner));
        }
    }

    /// Puts a task where it belongs: ready, delayed, or out of the queue.
    fn requeue(&mut self, id: TaskId) {
        let Some(open) = self.open.get(&id) else { return };
        let now = self.deps.clock.now();
        let (ticket, begun) = (open.ticket(), open.begun());
        if begun && self.queue.begin(&ticket, self.deps.config.queue.weight(ticket.owner), now) {
            let others = self.queue.ahead(ticket.kind, ticket.priority, "") > 0;
            if let Some(estimator) = self.estimates.of(ticket.kind) {
                estimator.begun(others, now);
            }
        }
        match (open.wants(now), begun) {
            (true, true) => self.queue.put_begun(&ticket),
            (true, false) => self.queue.put(&ticket),
            (false, _) => self.queue.remove(&ticket),
        }
        for (slot, _) in &open.slots {
            if let Slot::Queued(at) = slot
                && *at > now
            {
                self.queue.delay(*at, id);
            }
        }
    }

    /// Forgets an ended task and tells who waited for it; with its answer, if that is its only one.
    fn forget(&mut self, id: TaskId, state: TaskState, only: Option<Arc<Value>>) {
        let Some(open) = self.forget_quietly(id) else { return };
        let task = &open.brief.task;
        self.queue.remove(&open.ticket());
        self.records.end(id, open.brief.kind);
        if let (TaskState::Done, Some(told)) = (state, &open.told) {
            let took = self.deps.clock.now().since(task.start_at);
            if let Some(estimator) = self.estimates.of(open.brief.kind) {
                estimator.done(took, told);
            }
        }
        metrics::counter!(crate::telemetry::TASKS_ENDED, "state" => state.as_str()).increment(1);
        metrics::gauge!(crate::telemetry::TASKS_OPEN).set(self.open.len() as f64);
        for watcher in open.watchers {
            watcher.send(only.clone()).ok();
        }
    }

    /// Has a turn made soon; several causes in a row make one turn.
    fn turn_soon(&mut self, ctx: &mut Context<Self>) {
        if !self.turn_due {
            self.turn_due = true;
            ctx.notify(Turn);
        }
    }

    /// Wakes when the next delayed slot may be given out.
    fn wake_later(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.queue.next_due() else { return };
        if self.wakes_at.is_some_and(|planned| planned <= at) {
            return;
        }
        self.wakes_at = Some(at);
        let wait = at.since(self.deps.clock.now()).max(1);
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(1));
        ctx.notify_later(Wake, wait);
    }

    /// Re-reads a task whose outcome was not what we expected.
    fn reread(&mut self, id: TaskId, ctx: &mut Context<Self>) {
        let store = self.deps.store.clone();
        let read = async move { store.task(id).await };
        ctx.spawn(read.into_actor(self).map(move |found, act, ctx| match found {
            Ok(Some(record)) if !record.state.ended() => {
                act.adopt(record);
                act.turn_soon(ctx);
            }
            Ok(Some(record)) => act.forget(id, record.state, None),
            Ok(None) => act.forget(id, TaskState::Failed, None),
            Err(error) => {
                tracing::warn!(task.id = %id, %error, "re-reading a task failed; trying again");
                ctx.run_later(Duration::from_secs(1), move |act, ctx| act.reread(id, ctx));
            }
        }));
    }

    /// Re-reads a miner's counters.
    fn reread_miner(&mut self, id: RegistrationId, ctx: &mut Context<Self>) {
        let store = self.deps.store.clone();
        let read = async move { store.registration(id).await };
        ctx.spawn(read.into_actor(self).map(move |found, act, ctx| match found {
            Ok(Some(row)) => {
                act.roster.change(id, |c| {
                    c.live = row.live;
                    c.capacity = row.capacity;
                    c.record = row.record;
                });
                act.turn_soon(ctx);
            }
            Ok(None) => {
                act.roster.remove(id);
            }
            Err(error) => {
                tracing::warn!(miner.registration = %id, %error, "re-reading a miner failed");
                ctx.run_later(Duration::from_secs(1), move |act, ctx| act.reread_miner(id, ctx));
            }
        }));
    }

    fn slot_mut(&mut self, token: LeaseToken) -> Option<&mut (Slot, u16)> {
        self.open.get_mut(&token.task)?.slots.get_mut(usize::from(token.slot))
    }
}

impl Actor for Distributor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Messages from HTTP are bounded by the permits at its door; this only must not be smaller.
        ctx.set_mailbox_capacity(crate::domain::limits::IN_FLIGHT_MAX);
        metrics::gauge!(crate::telemetry::TASKS_OPEN).set(self.open.len() as f64);
        self.turn_soon(ctx);
        self.wake_later(ctx);
        self.keep_records(ctx);
        self.look_for_stragglers(ctx);
    }
}

impl Handler<Wake> for Distributor {
    type Result = ();

    fn handle(&mut self, _: Wake, ctx: &mut Self::Context) {
        self.wakes_at = None;
        for id in self.queue.due(self.deps.clock.now()) {
            self.requeue(id);
        }
        self.turn_soon(ctx);
        self.wake_later(ctx);
    }
}
