//! What rows said, applied: leases ended, tasks ended, miners changed.

use std::sync::Arc;

use actix::prelude::*;
use serde_json::Value;

use super::*;
use crate::actors::miner::Revoke;
use crate::domain::lease::LossReason;
use crate::domain::limits::WATCHERS_PER_TASK;
use crate::domain::miner::{Contact, KindRecord, KindRecords};
use crate::domain::selection::Candidate;
use crate::store::{Cancel, Cancelled, Freed, Lost, Standing, StoreResult};

/// How old a view of the miners may be, in milliseconds.
const SNAPSHOT_MILLIS: i64 = 500;

impl Distributor {
    /// A task's standing after a command, which may have been an answer: leases that ended with it, and
    /// its own end.
    fn stand(&mut self, task: TaskId, standing: &Standing, answer: Option<Arc<Value>>) {
        self.deps.changed(task);
        for Freed { token, holder } in &standing.freed {
            self.free_place(*token, *holder);
            self.revoke(*token, *holder);
            if let Some(slot) = self.slot_mut(*token) {
                slot.0 = Slot::Over;
            }
        }
        if standing.state.ended() {
            self.forget(task, standing.state, answer.filter(|_| standing.answered == 1));
        }
    }

    fn free_place(&mut self, token: LeaseToken, holder: Holder) {
        let Some(miner) = holder.miner() else { return };
        let (kind, now) = (self.kind_of(token), self.deps.clock.now());
        self.roster.change(miner, |c| {
            c.live = c.live.saturating_sub(1);
            if let Some(kind) = kind {
                c.records.ended(kind, token, now);
            }
        });
    }

    fn revoke(&self, token: LeaseToken, holder: Holder) {
        let entry = holder.miner().and_then(|miner| self.deps.directory.by_registration(miner));
        if let Some(entry) = entry {
            entry.addr.do_send(Revoke(token));
        }
    }

    /// Whether we ourselves refused requests while the miner held this lease and seemed silent: it
    /// may have been refused, and that is not its failure.
    fn excused(&self, lost: &Lost, now: Millis) -> bool {
        let silent_millis = match lost.reason {
            LossReason::OfferExpired => self.deps.config.lease.offer_millis,
            LossReason::RunExpired => {
                let open = self.open.get(&lost.token.task);
                open.map_or(self.deps.config.lease.heartbeat_millis, |o| o.brief.task.run_millis)
            }
            LossReason::Busy
            | LossReason::Unsupported
            | LossReason::Failed
            | LossReason::Impossible
            | LossReason::Retired
            | LossReason::Superseded => return false,
        };
        let silent_since = now.plus(-silent_millis - SWEEP_LATE_MILLIS);
        let open = self.open.get(&lost.token.task);
        let slot = open.and_then(|open| open.slots.get(usize::from(lost.token.slot)));
        let granted_at = match slot {
            Some((Slot::Leased(_, at), attempt)) if *attempt == lost.token.attempt => *at,
            Some(_) | None => Millis(0),
        };
        self.deps.overload.since(silent_since.max(granted_at))
    }

    /// What a lost lease says of its miner.
    fn blame(&mut self, lost: &Lost, miner: RegistrationId, now: Millis) {
        if lost.reason.is_failure() {
            self.roster.change(miner, |c| c.record.lost += 1);
        }
        let Some(kind) = self.kind_of(lost.token) else { return };
        match lost.reason {
            LossReason::Retired | LossReason::Superseded => {}
            LossReason::OfferExpired | LossReason::RunExpired if self.excused(lost, now) => {}
            LossReason::OfferExpired => {
                self.unfetched(miner, now);
                self.failed(miner, kind, now);
            }
            LossReason::RunExpired => self.note(miner, kind, |record| record.failed(now)),
            LossReason::Busy => {
                self.heard(miner, now);
                self.note(miner, kind, KindRecord::busy);
            }
            LossReason::Unsupported | LossReason::Failed | LossReason::Impossible => {
                self.heard(miner, now);
                self.failed(miner, kind, now);
            }
        }
    }

    fn lost(&mut self, lost: &Lost, now: Millis) {
        self.free_place(lost.token, lost.holder);
        metrics::counter!(crate::telemetry::LEASES_LOST, "reason" => lost.reason.as_str())
            .increment(1);
        if let Some(miner) = lost.holder.miner() {
            self.blame(lost, miner, now);
        }
        if let Some(slot) = self.slot_mut(lost.token) {
            slot.0 = lost.retry_at.map_or(Slot::Over, Slot::Queued);
        }
        // A miner that had no room, or lost its registration, may get the task again.
        if !lost.reason.is_failure()
            && let (Some(open), Some(miner)) =
                (self.open.get_mut(&lost.token.task), lost.holder.miner())
        {
            open.used.retain(|used| *used != miner);
            open.used_coldkeys.retain(|(used, _)| *used != miner);
        }
        self.stand(lost.token.task, &lost.standing, None);
        self.requeue(lost.token.task);
    }
}

impl Handler<Answered> for Distributor {
    type Result = ();

    fn handle(&mut self, answered: Answered, ctx: &mut Self::Context) {
        let Answered { token, holder, elapsed_millis, standing, body } = answered;
        self.free_place(token, holder);
        if let Some(miner) = holder.miner() {
            self.roster.change(miner, |c| c.record.answered += 1);
            let now = self.deps.clock.now();
            self.heard(miner, now);
            if let Some(kind) = self.kind_of(token) {
                self.records.paces.note(kind, elapsed_millis);
                self.completed(miner, kind, elapsed_millis, now);
            }
        }
        if let Some(slot) = self.slot_mut(token) {
            slot.0 = Slot::Over;
        }
        self.stand(token.task, &standing, Some(body));
        self.turn_soon(ctx);
    }
}

impl Handler<LeaseLost> for Distributor {
    type Result = ();

    fn handle(&mut self, LeaseLost(lost): LeaseLost, ctx: &mut Self::Context) {
        self.lost(&lost, self.deps.clock.now());
        self.turn_soon(ctx);
        self.wake_later(ctx);
    }
}

impl Handler<Ended> for Distributor {
    type Result = ();

    fn handle(&mut self, Ended(swept): Ended, ctx: &mut Self::Context) {
        let now = self.deps.clock.now();
        for lost in &swept.lost {
            self.revoke(lost.token, lost.holder);
            self.lost(lost, now);
        }
        for overdue in &swept.overdue {
            self.stand(overdue.task, &overdue.standing, None);
        }
        self.turn_soon(ctx);
        self.wake_later(ctx);
    }
}

impl Handler<Scored> for Distributor {
    type Result = ();

    fn handle(&mut self, Scored(scores): Scored, _: &mut Self::Context) {
        for (miner, kind, score) in scores {
            self.roster.change(miner, |c| {
                c.record.scored += 1;
                c.record.score_sum += score.millionths();
            });
            if let Some(kind) = self.deps.kinds.find(&kind).map(|(kind, _)| kind) {
                self.note(miner, kind, |record| record.scored(score));
            }
        }
    }
}

/// What the network says, taken into what we know.
fn hear(candidate: &mut Candidate, update: &MinerUpdate) {
    candidate.uid = update.row.uid;
    candidate.hotkey.clone_from(&update.row.hotkey);
    candidate.coldkey.clone_from(&update.row.coldkey);
    candidate.serving = update.serving;
    candidate.performance = update.performance;
    candidate.confidence = update.confidence;
    candidate.contested = update.contested;
    candidate.stake = update.stake;
    candidate.capacity = update.row.capacity;
    candidate.reported_load_millionths = update.reported_load_millionths;
    candidate.kinds.clone_from(&update.kinds);
    candidate.last_seen = candidate.last_seen.max(update.last_seen);
    candidate.report_period_millis = update.report_period_millis;
}

/// A miner that was not in the roster.
fn newcomer(update: MinerUpdate, records: KindRecords) -> Candidate {
    Candidate {
        registration: update.row.id,
        uid: update.row.uid,
        hotkey: update.row.hotkey,
        coldkey: update.row.coldkey,
        serving: update.serving,
        performance: update.performance,
        confidence: update.confidence,
        contested: update.contested,
        stake: update.stake,
        capacity: update.row.capacity,
        reported_load_millionths: update.reported_load_millionths,
        kinds: update.kinds,
        live: update.row.live,
        last_seen: update.last_seen,
        report_period_millis: update.report_period_millis,
        parked: 0,
        record: update.row.record,
        records,
        contact: Contact::default(),
    }
}

impl Handler<MinersChanged> for Distributor {
    type Result = ();

    fn handle(&mut self, MinersChanged(updates): MinersChanged, ctx: &mut Self::Context) {
        for update in updates {
            let id = update.row.id;
            if self.roster.change(id, |c| hear(c, &update)).is_none() {
                let records = self.wake(id);
                self.roster.put(newcomer(update, records));
            }
        }
        self.turn_soon(ctx);
    }
}

impl Handler<MinerRetired> for Distributor {
    type Result = ();

    fn handle(&mut self, MinerRetired(id): MinerRetired, _: &mut Self::Context) {
        if let Some(candidate) = self.roster.remove(id) {
            self.rest(candidate);
        }
    }
}

impl Handler<Polling> for Distributor {
    type Result = ();

    fn handle(&mut self, polling: Polling, ctx: &mut Self::Context) {
        let now = self.deps.clock.now();
        self.roster.change(polling.miner, |c| c.parked = polling.parked);
        self.heard(polling.miner, now);
        // Any contact may be the moment at which a miner that was left alone may try again.
        self.turn_soon(ctx);
    }
}

impl Handler<CancelTask> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Cancelled>>;

    fn handle(&mut self, cancel: CancelTask, _: &mut Self::Context) -> Self::Result {
        let (store, now) = (self.deps.store.clone(), self.deps.clock.now());
        let CancelTask { task, owner } = cancel;
        let cancelled = async move { store.cancel(Cancel { task, owner, now }).await };
        Box::pin(cancelled.into_actor(self).map(move |outcome, act, ctx| {
            if let Ok(Cancelled::Done(standing)) = &outcome {
                act.stand(task, standing, None);
                act.turn_soon(ctx);
            }
            outcome
        }))
    }
}

impl Handler<Watch> for Distributor {
    type Result = MessageResult<Watch>;

    fn handle(&mut self, Watch(id): Watch, _: &mut Self::Context) -> Self::Result {
        let Some(open) = self.open.get_mut(&id) else { return MessageResult(Watched::NotOpen) };
        open.watchers.retain(|watcher| !watcher.is_closed());
        if open.watchers.len() >= WATCHERS_PER_TASK {
            return MessageResult(Watched::Full);
        }
        let (watcher, end) = oneshot::channel();
        open.watchers.push(watcher);
        MessageResult(Watched::Later(end))
    }
}

impl Handler<ViewMiners> for Distributor {
    type Result = MessageResult<ViewMiners>;

    fn handle(&mut self, _: ViewMiners, _: &mut Self::Context) -> Self::Result {
        let now = self.deps.clock.now();
        if let Some((at, cards)) = &self.snapshot
            && now.since(*at) < SNAPSHOT_MILLIS
        {
            return MessageResult(cards.clone());
        }
        let (policy, p50s) = (&self.deps.config.selection, self.records.paces.p50s());
        let card = |c: &Candidate| MinerCard {
            registration: c.registration,
            uid: c.uid,
            hotkey: c.hotkey.clone(),
            stake: c.stake,
            serving: c.serving,
            fresh: c.fresh(policy, now),
            quarantined: c.records.quarantined(now),
            live: c.live,
            capacity: c.capacity,
            parked: c.parked,
            availability: {
                let performance = c.records.blended_overall(c.performance, p50s);
                c.availability(performance, policy, now)
            },
            record: c.record,
            confidence: c.confidence,
            kinds: c.kinds.clone(),
            last_seen: c.last_seen,
        };
        let mut cards: Vec<_> = self.roster.all().iter().map(card).collect();
        cards.sort_unstable_by_key(|card| card.uid);
        let cards = Arc::new(cards);
        self.snapshot = Some((now, cards.clone()));
        MessageResult(cards)
    }
}

impl Handler<ViewQueue> for Distributor {
    type Result = MessageResult<ViewQueue>;

    fn handle(&mut self, _: ViewQueue, _: &mut Self::Context) -> Self::Result {
        let next = self.queue.peek(20).into_iter().filter_map(|id| {
            let task = &self.open.get(&id)?.brief.task;
            Some(QueuedTask {
                task_id: id,
                task_type: task.kind.clone(),
                priority: task.priority,
                source_language: task.source_language.clone(),
                created_at: task.created_at.rfc3339(),
            })
        });
        MessageResult(QueueView {
            open_tasks: self.open.len(),
            ready_tasks: self.queue.len(),
            next: next.collect(),
        })
    }
}
