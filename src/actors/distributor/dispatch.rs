//! A turn: look at the first tasks, choose miners, reserve, have the leases written, hand them out.

use std::sync::Arc;

use actix::prelude::*;
use rand::RngExt;

use super::{Distributor, Open, SWEEP_LATE_MILLIS, Slot, Turn};
use crate::actors::lease::{Brief, Held};
use crate::actors::miner::Deliver;
use crate::domain::ids::{LeaseToken, RegistrationId, TaskId};
use crate::domain::miner::KindRecord;
use crate::domain::redundancy;
use crate::domain::selection::{self, Decision, Demand};
use crate::domain::units::{Millis, ONE};
use crate::store::{Assign, Grant, Granted, Holder, Replication, StoreResult, Widen};

/// Tasks that one turn looks at; when there are more, another turn follows.
const LOOKS_MAX: usize = 256;

impl Handler<Turn> for Distributor {
    type Result = ();

    fn handle(&mut self, _: Turn, ctx: &mut Self::Context) {
        self.turn_due = false;
        if self.roster.free().is_empty() || self.queue.is_empty() {
            return;
        }
        let now = self.deps.clock.now();
        let mut look = self.queue.look();
        let mut given = false;
        for _ in 0..LOOKS_MAX {
            if self.roster.free().is_empty() {
                return;
            }
            let Some((kind, id)) = look.next(&self.queue) else { return };
            let Some(mut open) = self.open.remove(&id) else { continue };
            let choice = self.choose(&mut open, id, now);
            let brief = open.brief.clone();
            self.open.insert(id, open);
            if !choice.grants.is_empty() {
                given = true;
                self.requeue(id);
                self.write(id, brief, choice, now, ctx);
            } else if choice.nobody {
                look.block(kind);
            }
        }
        // Whoever is free and was of no use now is looked for again at the next event.
        if given {
            self.turn_soon(ctx);
        }
    }
}

/// What became of one look at a task.
#[derive(Default)]
pub(super) struct Choice {
    /// Leases to open; their miners are reserved.
    pub(super) grants: Vec<Grant>,
    /// What an adaptive task becomes, when its miner's answer is to be checked.
    widen: Option<Replication>,
    /// Whether nobody who is free can do work of this kind at all.
    nobody: bool,
}

impl Distributor {
    /// Chooses and reserves a miner for each waiting slot of one task.
    pub(super) fn choose(&mut self, open: &mut Open, id: TaskId, now: Millis) -> Choice {
        let brief = open.brief.clone();
        let mut choice = Choice::default();
        for slot in 0..open.slots.len() {
            let Some(&(Slot::Queued(at), attempt)) = open.slots.get(slot) else { continue };
            if at > now {
                continue;
            }
            let decision = self.select_for(open, now);
            let chosen = decision.chosen.and_then(|place| self.roster.all().get(place));
            let Some(chosen) = chosen else {
                tracing::trace!(task.id = %id, considered = ?decision.considered, "nobody can now");
                choice.nobody = !decision.on_task;
                break;
            };
            let miner = chosen.registration;
            if let Some(to) = brief.task.adaptive.filter(|_| open.slots.len() == 1) {
                let valid = chosen.records.get(brief.kind).map_or(0, KindRecord::valid_in_row);
                let lot = self.rng.random_range(0..ONE);
                choice.widen = redundancy::replicate(valid, lot).then_some(to);
            }
            tracing::debug!(task.id = %id, slot, miner.registration = %miner,
                explored = decision.explored, considered = ?decision.considered, "miner chosen");
            let Some(next) = attempt.checked_add(1) else { continue };
            let token = LeaseToken {
                task: id,
                slot: u16::try_from(slot).unwrap_or(u16::MAX),
                attempt: next,
            };
            let fetched = self.reserve(miner, token, &brief, now);
            self.use_miner(open, miner);
            if let Some(entry) = open.slots.get_mut(slot) {
                entry.0 = Slot::Reserved;
            }
            let expires_at = self.expiry(&brief, fetched, now);
            choice.grants.push(Grant {
                slot: token.slot,
                attempt: next,
                holder: Holder::Miner(miner),
                fetched,
                expires_at,
            });
        }
        choice
    }

    /// Draws a miner for another slot of a task.
    pub(super) fn select_for(&mut self, open: &Open, now: Millis) -> Decision {
        let demand = Demand {
            kind: &open.brief.task.kind,
            index: open.brief.kind,
            p50_millis: self.records.paces.p50_millis(open.brief.kind),
            used: &open.used,
            used_coldkeys: &open.used_coldkeys,
        };
        let (all, free) = (self.roster.all(), self.roster.free());
        let policy = &self.deps.config.selection;
        selection::select(demand, all, free, policy, now, &mut self.rng)
    }

    /// Until when a lease lives that is opened now.
    pub(super) fn expiry(&self, brief: &Brief, fetched: bool, now: Millis) -> Millis {
        let (lease, deadline) = (&self.deps.config.lease, brief.task.deadline);
        if fetched {
            lease.running_until(now, brief.task.run_millis, deadline)
        } else {
            lease.offered_until(now, deadline)
        }
    }

    /// Takes a place and, when one waits, a parked poll; whether there was one.
    pub(super) fn reserve(
        &mut self,
        miner: RegistrationId,
        token: LeaseToken,
        brief: &Brief,
        now: Millis,
    ) -> bool {
        // The sweep that ends the last lease may come a little late.
        let deadline = brief.task.deadline.plus(SWEEP_LATE_MILLIS);
        let taken = self.roster.change(miner, |candidate| {
            candidate.records.granted(brief.kind, token, deadline, now);
            candidate.live += 1;
            let waits = candidate.parked > 0;
            candidate.parked = candidate.parked.saturating_sub(1);
            waits
        });
        taken.unwrap_or(false)
    }

    /// Has the leases written and applies what the rows say.
    pub(super) fn write(
        &mut self,
        task: TaskId,
        brief: Arc<Brief>,
        choice: Choice,
        now: Millis,
        ctx: &mut Context<Self>,
    ) {
        let store = self.deps.store.clone();
        let Choice { grants, widen, .. } = choice;
        let command = Assign { task, grants: grants.clone(), now };
        let written = async move {
            // First the slots, then the lease: no answer may end the task before it has them all.
            if let Some(to) = widen {
                store.widen(Widen { task, to, now }).await?;
            }
            store.assign(command).await
        };
        ctx.spawn(written.into_actor(self).map(move |outcome, act, ctx| {
            if let (Ok(_), Some(to)) = (&outcome, widen) {
                act.widened(task, to, ctx);
            }
            act.assigned(task, &brief, &grants, outcome, ctx);
        }));
    }

    /// A task wants more answers now.
    fn widened(&mut self, task: TaskId, to: Replication, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let Some(open) = self.open.get_mut(&task).filter(|open| open.slots.len() == 1) else {
            return;
        };
        open.slots.resize(usize::from(to.slots), (Slot::Queued(now), 0));
        self.requeue(task);
        self.turn_soon(ctx);
    }

    /// Applies what the rows say of leases that were to be opened.
    pub(super) fn assigned(
        &mut self,
        task: TaskId,
        brief: &Arc<Brief>,
        grants: &[Grant],
        outcome: StoreResult<Vec<Granted>>,
        ctx: &mut Context<Self>,
    ) {
        let outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::warn!(task.id = %task, %error, "leases may not have been written");
                for grant in grants {
                    self.not_granted(task, brief, grant, ctx);
                }
                return self.reread(task, ctx);
            }
        };
        let mut surprised = false;
        for (grant, outcome) in grants.iter().zip(outcomes) {
            let token = LeaseToken { task, slot: grant.slot, attempt: grant.attempt };
            match outcome {
                Granted::Yes => self.opened(token, brief, grant, ctx),
                Granted::Taken | Granted::NoRoom => {
                    surprised = true;
                    tracing::debug!(lease.token = %token, ?outcome, "a lease was refused");
                    self.not_granted(task, brief, grant, ctx);
                }
            }
        }
        if surprised {
            self.reread(task, ctx);
        }
    }

    /// A lease does not live, as far as we know: the miner's row knows what it holds.
    pub(super) fn not_granted(
        &mut self,
        task: TaskId,
        brief: &Brief,
        grant: &Grant,
        ctx: &mut Context<Self>,
    ) {
        let Some(miner) = grant.holder.miner() else { return };
        let token = LeaseToken { task, slot: grant.slot, attempt: grant.attempt };
        let now = self.deps.clock.now();
        self.roster.change(miner, |c| c.records.ended(brief.kind, token, now));
        self.reread_miner(miner, ctx);
    }

    /// A lease lives: keep it and hand it out.
    pub(super) fn opened(
        &mut self,
        token: LeaseToken,
        brief: &Arc<Brief>,
        grant: &Grant,
        ctx: &mut Context<Self>,
    ) {
        metrics::counter!(crate::telemetry::LEASES_OPENED).increment(1);
        self.deps.changed(token.task);
        let now = self.deps.clock.now();
        self.watch_lease(token, brief, now);
        match self.slot_mut(token) {
            Some(slot) if slot.0 == Slot::Reserved => {
                *slot = (Slot::Leased(grant.holder, now), grant.attempt);
            }
            // Something else was heard of the slot first: the row knows what came last.
            Some(_) => self.reread(token.task, ctx),
            // The task ended meanwhile; its leases ended with it.
            None => return,
        }
        let Some(miner) = grant.holder.miner() else { return };
        let Some(entry) = self.deps.directory.by_registration(miner) else { return };
        // Bounded by the miner's capacity; when the actor is dead its successor reads the row.
        entry.addr.do_send(Deliver(Held {
            token,
            brief: brief.clone(),
            expires_at: grant.expires_at,
            fetched: grant.fetched,
            delivered: false,
            beaten_at: Millis(0),
        }));
    }
}
