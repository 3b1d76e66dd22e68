//! Pull mode: queued slots leased to a validator that serves them over its own network. A validator
//! that crashes loses nothing: its leases expire like any other.

use actix::prelude::*;

use super::*;
use crate::actors::lease::{Outcome, answered_before};
use crate::domain::ids::ValidatorId;
use crate::store::{
    Assign, Grant, Granted, Heartbeat, Release, Released, Respond, Responded, StoreError,
    StoreResult,
};

impl Handler<Pull> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Vec<Pulled>>>;

    fn handle(&mut self, pull: Pull, _: &mut Self::Context) -> Self::Result {
        let (store, now) = (self.deps.store.clone(), self.deps.clock.now());
        let holder = Holder::Validator(pull.validator);
        let mut wanted: Vec<(Arc<Brief>, Assign)> = Vec::new();
        for id in self.queue.peek(pull.tasks_max) {
            let Some(open) = self.open.get_mut(&id) else { continue };
            let task = &open.brief.task;
            let expires_at =
                self.deps.config.lease.running_until(now, task.run_millis, task.deadline);
            let mut grants = Vec::new();
            for (slot, entry) in (0_u16..).zip(&mut open.slots) {
                let (Slot::Queued(at), Some(attempt)) = (entry.0, entry.1.checked_add(1)) else {
                    continue;
                };
                if at <= now {
                    entry.0 = Slot::Reserved;
                    grants.push(Grant { slot, attempt, holder, fetched: true, expires_at });
                }
            }
            wanted.push((open.brief.clone(), Assign { task: id, grants, now }));
        }
        for (_, assign) in &wanted {
            self.requeue(assign.task);
        }
        let written = async move {
            let writes = wanted.iter().map(|(_, assign)| store.assign(assign.clone()));
            let outcomes = futures_util::future::join_all(writes).await;
            (wanted, outcomes)
        };
        Box::pin(written.into_actor(self).map(move |(wanted, outcomes), act, ctx| {
            let mut pulled = Vec::new();
            for ((brief, assign), outcome) in wanted.into_iter().zip(outcomes) {
                pulled.extend(act.pulled(brief, &assign, outcome, ctx));
            }
            Ok(pulled)
        }))
    }
}

impl Distributor {
    /// Applies the outcome for one task; `None` when nothing of it was leased.
    fn pulled(
        &mut self,
        brief: Arc<Brief>,
        assign: &Assign,
        outcome: StoreResult<Vec<Granted>>,
        ctx: &mut Context<Self>,
    ) -> Option<Pulled> {
        let outcomes = outcome.unwrap_or_default();
        let mut leases = Vec::new();
        for (grant, outcome) in assign.grants.iter().zip(&outcomes) {
            if *outcome == Granted::Yes {
                let (slot, attempt) = (grant.slot, grant.attempt);
                let token = LeaseToken { task: assign.task, slot, attempt };
                if let Some(slot) = self.slot_mut(token) {
                    *slot = (Slot::Leased(grant.holder, assign.now), attempt);
                }
                leases.push(token);
            }
        }
        if leases.len() < assign.grants.len() {
            self.reread(assign.task, ctx);
        }
        let expires_at = assign.grants.first().map(|grant| grant.expires_at)?;
        (!leases.is_empty()).then_some(Pulled { brief, leases, expires_at })
    }

    /// The named lease, or the validator's first live one of the task.
    fn pulled_token(
        &self,
        task: TaskId,
        token: Option<LeaseToken>,
        validator: ValidatorId,
    ) -> Option<LeaseToken> {
        token.or_else(|| {
            let slots = &self.open.get(&task)?.slots;
            let holder = Holder::Validator(validator);
            let own = |entry: &(u16, &(Slot, u16))| {
                matches!(entry.1.0, Slot::Leased(held, _) if held == holder)
            };
            let (slot, (_, attempt)) = (0_u16..).zip(slots).find(own)?;
            Some(LeaseToken { task, slot, attempt: *attempt })
        })
    }
}

impl Handler<PullAnswer> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Outcome>>;

    fn handle(&mut self, answer: PullAnswer, _: &mut Self::Context) -> Self::Result {
        let PullAnswer { task, token, validator, respond } = answer;
        let (token, holder) =
            (self.pulled_token(task, token, validator), Holder::Validator(validator));
        let live = token.filter(|token| self.leases(*token, holder));
        let open = live.and_then(|token| self.open.get(&token.task));
        if let Some(lacks) = open.and_then(|o| o.brief.lacks(&self.deps.kinds, &respond.body)) {
            return Box::pin(actix::fut::ready(Ok(Outcome::Lacks(lacks))));
        }
        let store = self.deps.store.clone();
        let written = async move {
            let token = match token {
                Some(token) => token,
                // Not live: it may be a repetition of an answer that was taken.
                None => match answered_before(&*store, task, holder).await? {
                    Some(token) => token,
                    None => return Ok((None, Responded::Lost)),
                },
            };
            let body = respond.body.clone();
            let command = Respond { token, holder, ..respond };
            store.respond(command).await.map(|responded| (Some((token, body)), responded))
        };
        Box::pin(written.into_actor(self).map(move |outcome: StoreResult<_>, _, ctx| {
            let (answer, responded) = outcome?;
            if let (Some((token, body)), Responded::Accepted { elapsed_millis, standing }) =
                (answer, &responded)
            {
                let (elapsed_millis, standing) = (*elapsed_millis, standing.clone());
                ctx.notify(Answered { token, holder, elapsed_millis, standing, body });
            }
            Ok(Outcome::Stored(responded))
        }))
    }
}

impl Handler<PullRelease> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Option<Released>>>;

    fn handle(&mut self, release: PullRelease, _: &mut Self::Context) -> Self::Result {
        let Some(token) = self.pulled_token(release.task, release.token, release.validator) else {
            return Box::pin(actix::fut::ready(Ok(None)));
        };
        let command = Release {
            token,
            holder: Holder::Validator(release.validator),
            reason: release.reason,
            policy: self.deps.config.lease,
            now: self.deps.clock.now(),
            nonce: release.nonce,
        };
        let store = self.deps.store.clone();
        let written = async move { store.release(command).await };
        Box::pin(written.into_actor(self).map(move |outcome, _, ctx| {
            let outcome: Released = outcome.map_err(|error: StoreError| error)?;
            if let Released::Done(lost) = &outcome {
                ctx.notify(LeaseLost(lost.clone()));
            }
            Ok(Some(outcome))
        }))
    }
}

impl Handler<PullBeat> for Distributor {
    type Result = ResponseActFuture<Self, StoreResult<Option<Millis>>>;

    fn handle(&mut self, beat: PullBeat, _: &mut Self::Context) -> Self::Result {
        let token = self.pulled_token(beat.task, beat.token, beat.validator);
        let found = token.and_then(|token| Some((token, self.open.get(&token.task)?)));
        let Some((token, open)) = found else {
            return Box::pin(actix::fut::ready(Ok(None)));
        };
        let (now, lease) = (self.deps.clock.now(), &self.deps.config.lease);
        // The row keeps its own expiry when that is later.
        let until = lease.beaten_until(now, now, open.brief.task.deadline);
        let holder = Holder::Validator(beat.validator);
        let command = Heartbeat { token, holder, until, nonce: beat.nonce };
        let store = self.deps.store.clone();
        Box::pin(async move { store.heartbeat(command).await }.into_actor(self))
    }
}
