//! Stragglers: a lease that takes longer than nearly all of its kind gets a second one beside it, on
//! another miner, as far as the budget goes. The rows see to it that one of the two answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::{Distributor, Slot};
use crate::actors::lease::Brief;
use crate::domain::ids::{LeaseToken, RegistrationId};
use crate::domain::redundancy::HedgeBudget;
use crate::domain::units::Millis;
use crate::store::{Grant, Granted, Hedge, Holder, StoreResult};

/// How often is looked for stragglers.
const TICK: Duration = Duration::from_millis(500);
/// Stragglers that one look gives a second lease at most.
const HEDGES_MAX: usize = 32;

/// Leases by the moment at which they are late, and what may be spent on them. A lease that ended is
/// taken out when its moment comes.
#[derive(Default)]
pub(super) struct Hedges {
    late: BTreeSet<(Millis, LeaseToken)>,
    budget: HedgeBudget,
}

impl Distributor {
    pub(super) fn look_for_stragglers(&self, ctx: &mut Context<Self>) {
        ctx.run_interval(TICK, Self::hedge_late);
    }

    /// Notes when a lease opened now will be late.
    pub(super) fn watch_lease(&mut self, token: LeaseToken, brief: &Brief, now: Millis) {
        let policy = &self.deps.config.hedge;
        self.hedges.budget.earn(policy);
        let p95 = self.records.paces.p95_millis(brief.kind);
        if let Some(at) = policy.late_at(now, p95) {
            self.hedges.late.insert((at, token));
        }
    }

    fn hedge_late(&mut self, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let mut given = 0;
        while let Some(&(at, token)) = self.hedges.late.first().filter(|(at, _)| *at <= now) {
            self.hedges.late.remove(&(at, token));
            if given < HEDGES_MAX && self.hedges.budget.can_spend() && self.hedge(token, now, ctx) {
                self.hedges.budget.spend();
                given += 1;
            }
        }
    }

    /// Gives a straggler's slot to a second miner; whether there was one.
    fn hedge(&mut self, of: LeaseToken, now: Millis, ctx: &mut Context<Self>) -> bool {
        let lives = |open: &super::Open| {
            let slot = open.slots.get(usize::from(of.slot)).copied();
            let leased = matches!(slot, Some((Slot::Leased(Holder::Miner(_), _), attempt))
                if attempt == of.attempt);
            leased && !open.hedged.iter().any(|(a, b)| *a == of.slot || *b == of.slot)
        };
        if !self.open.get(&of.task).is_some_and(lives) {
            return false;
        }
        let Some(mut open) = self.open.remove(&of.task) else { return false };
        let brief = open.brief.clone();
        let chosen = self.select_for(&open, now).chosen;
        let Some(miner) = chosen.and_then(|place| self.roster.all().get(place)) else {
            self.open.insert(of.task, open);
            return false;
        };
        let miner = miner.registration;
        let slot = u16::try_from(open.slots.len()).unwrap_or(u16::MAX);
        let token = LeaseToken { task: of.task, slot, attempt: 1 };
        let fetched = self.reserve(miner, token, &brief, now);
        self.use_miner(&mut open, miner);
        open.slots.push((Slot::Reserved, 0));
        open.hedged.push((of.slot, slot));
        self.open.insert(of.task, open);
        let expires_at = self.expiry(&brief, fetched, now);
        let grant = Grant { slot, attempt: 1, holder: Holder::Miner(miner), fetched, expires_at };
        let store = self.deps.store.clone();
        let written = async move { store.hedge(Hedge { of, grant, now }).await };
        ctx.spawn(written.into_actor(self).map(move |outcome, act, ctx| {
            act.hedged(of, &brief, &grant, miner, outcome, ctx);
        }));
        true
    }

    fn hedged(
        &mut self,
        of: LeaseToken,
        brief: &Arc<Brief>,
        grant: &Grant,
        miner: RegistrationId,
        outcome: StoreResult<Granted>,
        ctx: &mut Context<Self>,
    ) {
        if let Ok(Granted::Yes) = outcome {
            metrics::counter!(crate::telemetry::LEASES_HEDGED).increment(1);
            let token = LeaseToken { task: of.task, slot: grant.slot, attempt: grant.attempt };
            tracing::info!(lease.token = %of, hedge.token = %token, miner.registration = %miner,
                "a straggler got a second miner");
            return self.opened(token, brief, grant, ctx);
        }
        tracing::debug!(lease.token = %of, ?outcome, "a straggler got no second miner");
        self.not_granted(of.task, brief, grant, ctx);
        self.reread(of.task, ctx);
    }
}
