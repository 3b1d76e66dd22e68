//! Whom the operator shut out: written, then told to whoever asks for roles, to the table of reports and
//! to the Distributor. What a hotkey holds that is shut out goes back at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;

use super::ConsensusSupervisor;
use crate::actors::Deps;
use crate::actors::distributor::LeaseLost;
use crate::actors::miner::GiveBack;
use crate::domain::chain::Quarantine;
use crate::domain::ids::{Hotkey, LeaseToken};
use crate::domain::lease::LossReason;
use crate::store::{
    Holder, LiftQuarantine, PutQuarantine, QuarantineRow, Release, Released, StoreError,
    StoreResult,
};

/// Shuts a hotkey out; answers whether there was room, once it is.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<bool>")]
pub struct ShutOut(pub PutQuarantine);

/// Lets a hotkey in again; answers whether it was shut out, once it is in.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<bool>")]
pub struct LetIn(pub LiftQuarantine);

/// The list as it is asked.
pub(in crate::actors) fn listed(rows: Vec<QuarantineRow>) -> Arc<Quarantine> {
    Arc::new(rows.into_iter().map(|row| (row.hotkey, row.until)).collect())
}

impl Handler<ShutOut> for ConsensusSupervisor {
    type Result = ResponseActFuture<Self, StoreResult<bool>>;

    fn handle(&mut self, ShutOut(command): ShutOut, _: &mut Self::Context) -> Self::Result {
        let deps = Arc::clone(&self.deps);
        let (hotkey, until) = (command.hotkey.clone(), command.until);
        let write = async move { deps.store.put_quarantine(command).await };
        let change = move |list: &mut Quarantine, done: bool| {
            if done {
                list.insert(hotkey, until);
            }
        };
        self.change_quarantine(write, change)
    }
}

impl Handler<LetIn> for ConsensusSupervisor {
    type Result = ResponseActFuture<Self, StoreResult<bool>>;

    fn handle(&mut self, LetIn(command): LetIn, _: &mut Self::Context) -> Self::Result {
        let deps = Arc::clone(&self.deps);
        let hotkey = command.hotkey.clone();
        let write = async move { deps.store.lift_quarantine(command).await };
        let change = move |list: &mut Quarantine, _: bool| {
            list.remove(&hotkey);
        };
        self.change_quarantine(write, change)
    }
}

/// What is listed once that was written; as before when it was not.
async fn changed(
    deps: &Deps,
    outcome: &StoreResult<bool>,
    change: impl FnOnce(&mut Quarantine, bool),
) -> Arc<Quarantine> {
    let before = Arc::clone(deps.roles.borrow().quarantine());
    match outcome {
        Ok(done) => {
            let mut list = Quarantine::clone(&before);
            change(&mut list, *done);
            Arc::new(list)
        }
        // It may have been done.
        Err(StoreError::Unknown(_)) => match deps.store.quarantine().await {
            Ok(rows) => listed(rows),
            Err(error) => {
                tracing::error!(%error, "who is shut out could not be read anew");
                before
            }
        },
        Err(_) => before,
    }
}

impl ConsensusSupervisor {
    /// One change after the other: the list in memory follows the rows in their order.
    fn change_quarantine(
        &self,
        write: impl Future<Output = StoreResult<bool>> + 'static,
        change: impl FnOnce(&mut Quarantine, bool) + 'static,
    ) -> ResponseActFuture<Self, StoreResult<bool>> {
        let (deps, changing) = (Arc::clone(&self.deps), Arc::clone(&self.changing_quarantine));
        let written = async move {
            let alone = changing.lock_owned().await;
            let outcome = write.await;
            let list = changed(&deps, &outcome, change).await;
            (outcome, list, alone)
        };
        Box::pin(written.into_actor(self).map(|(outcome, list, alone), act, ctx| {
            act.deps.shut_out(Arc::clone(&list));
            act.follow_quarantine(list, ctx);
            drop(alone);
            outcome
        }))
    }

    /// Has everything follow the list, also where only time passed: whose word counts, who gets work, and
    /// who keeps what it has.
    pub(super) fn follow_quarantine(&mut self, list: Arc<Quarantine>, ctx: &mut Context<Self>) {
        let now = self.deps.clock.now();
        let before = Arc::clone(self.tenants.quarantine());
        let touched: BTreeSet<Hotkey> = before.keys().chain(list.keys()).cloned().collect();
        let was_in = |hotkey: &&Hotkey| !self.tenants.is_shut_out(hotkey, now);
        let were_in: Vec<Hotkey> = list.keys().filter(was_in).cloned().collect();
        self.tenants.shut_out(list, now);
        self.tenants.tell(&mut self.table, None, now);
        self.merge_soon(ctx);
        let of_touched = self.fleet.rows().filter(|row| touched.contains(&row.hotkey));
        let uids: Vec<_> = of_touched.map(|row| row.uid).collect();
        for uid in uids {
            self.publish_again(uid, ctx);
        }
        for hotkey in were_in {
            if self.tenants.is_shut_out(&hotkey, now) {
                self.take_back(&hotkey, ctx);
            }
        }
    }

    /// Has the leases of a hotkey go back, as those of a registration that closed do.
    fn take_back(&self, hotkey: &Hotkey, ctx: &mut Context<Self>) {
        let entry = self.deps.directory.by_hotkey(hotkey);
        let miner = entry.as_ref().map(|entry| Holder::Miner(entry.registration));
        let validator = self.validators.get(hotkey).copied().map(Holder::Validator);
        for holder in miner.into_iter().chain(validator) {
            let (deps, entry) = (Arc::clone(&self.deps), entry.clone());
            let done = async move {
                for token in leases(&deps, holder).await? {
                    match &entry {
                        Some(entry) if holder.miner().is_some() => {
                            let (task, token) = (token.task, Some(token));
                            let reason = LossReason::Retired;
                            entry.addr.do_send(GiveBack { task, token, reason, nonce: None });
                        }
                        Some(_) | None => release(&deps, token, holder).await?,
                    }
                }
                Ok::<_, StoreError>(())
            };
            ctx.spawn(done.into_actor(self).map(|outcome, _, _| {
                if let Err(error) = outcome {
                    tracing::warn!(%error, "leases of a hotkey that was shut out will expire");
                }
            }));
        }
    }
}

/// What its rows say that it holds.
async fn leases(deps: &Deps, holder: Holder) -> StoreResult<Vec<LeaseToken>> {
    let mut tokens = Vec::new();
    for record in deps.store.held_by(holder).await? {
        let own =
            record.slots.iter().filter(|row| row.holder == Some(holder) && row.state.leased());
        tokens.extend(own.map(|row| LeaseToken {
            task: record.task.id,
            slot: row.slot,
            attempt: row.attempt,
        }));
    }
    Ok(tokens)
}

async fn release(deps: &Deps, token: LeaseToken, holder: Holder) -> StoreResult<()> {
    let (policy, now) = (deps.config.lease, deps.clock.now());
    let reason = LossReason::Retired;
    let command = Release { token, holder, reason, policy, now, nonce: None };
    if let Released::Done(lost) = deps.store.release(command).await? {
        deps.distributor().do_send(LeaseLost(lost));
    }
    Ok(())
}
