//! ChainSync: what validators say of the chain, until more than half of the stake says the same. What
//! is believed is a row; what still waits is in memory only, and comes again with the next snapshots.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::consensus::FollowChain;
use super::{Deps, audit};
use crate::domain::chain::{Offers, Refused, Rule, Snapshot, Standing};
use crate::domain::ids::Hotkey;
use crate::domain::watch::SnapshotAge;
use crate::store::{Adopt, Adopted, Nonce, SnapshotRow, StoreResult};

/// See the module's docs.
pub struct ChainSync {
    deps: Arc<Deps>,
    offers: Offers,
    believed: Option<Arc<SnapshotRow>>,
}

impl ChainSync {
    /// From what is believed already.
    #[must_use]
    pub fn new(deps: Arc<Deps>, believed: Option<SnapshotRow>) -> Self {
        let believed = believed.map(Arc::new);
        believed.iter().for_each(|row| tell(row));
        Self { deps, offers: Offers::default(), believed }
    }
}

impl Actor for ChainSync {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(crate::domain::limits::IN_FLIGHT_MAX);
        if let Some(row) = self.believed.clone() {
            audit::resume(self.deps.clone(), row);
        }
        let (mut age, every) = (SnapshotAge::default(), self.deps.config.sweep_millis);
        ctx.run_interval(Duration::from_millis(every), move |act, _| {
            audit::look(&mut age, &act.deps, act.believed.as_deref());
        });
    }
}

/// A validator's snapshot.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<Result<Taken, Refused>>")]
pub struct TakeSnapshot {
    /// Who sent it.
    pub sender: Hotkey,
    /// What the chain said.
    pub snapshot: Snapshot,
    /// Of the signed request.
    pub nonce: Option<Nonce>,
}

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It waits for more stake to say the same.
    Waits {
        /// Stake that said it, in rao.
        have: u128,
        /// Stake that must be passed, in rao.
        half: u128,
    },
    /// It is believed; so many submissions were settled or lost by it.
    Believed(usize),
}

impl Handler<TakeSnapshot> for ChainSync {
    type Result = ResponseActFuture<Self, StoreResult<Result<Taken, Refused>>>;

    fn handle(&mut self, take: TakeSnapshot, _: &mut Self::Context) -> Self::Result {
        let TakeSnapshot { sender, snapshot, nonce } = take;
        let witnesses = self.deps.roles.borrow().witnesses(self.deps.clock.now());
        let rule = Rule {
            netuid: self.deps.config.netuid,
            current: self.believed.as_ref().map(|row| row.snapshot.block),
            every: self.deps.config.chain.snapshot_every,
            stake_min: self.deps.config.chain.stake_min(),
            trusted: &witnesses,
        };
        let (snapshot, senders) = match self.offers.take(&rule, &sender, snapshot) {
            Err(refused) => return Box::pin(actix::fut::ready(Ok(Err(refused)))),
            Ok(Standing::Waits { have, half }) => {
                return Box::pin(actix::fut::ready(Ok(Ok(Taken::Waits { have, half }))));
            }
            Ok(Standing::Adopted { snapshot, senders }) => (snapshot, senders),
        };
        let row = SnapshotRow { snapshot, adopted_at: self.deps.clock.now(), senders };
        let adopt = Adopt { row: row.clone(), nonce };
        let (deps, snapshot) = (self.deps.clone(), row.snapshot.clone());
        let written = async move {
            let adopted = deps.store.adopt(adopt).await?;
            if let (Adopted::New(_), Some(consensus)) = (&adopted, deps.consensus()) {
                // What stops it from following now is found by the next start.
                consensus.send(FollowChain(snapshot)).await.ok();
            }
            Ok(adopted)
        };
        Box::pin(written.into_actor(self).map(move |outcome: StoreResult<_>, act, _| {
            Ok(match outcome? {
                Adopted::New(told) => {
                    let current = act.believed.as_ref().map_or(-1, |row| row.snapshot.block);
                    audit::adopted(&act.deps, act.believed.as_deref(), &row, &told);
                    if row.snapshot.block > current {
                        tell(&row);
                        act.deps.believe(&row);
                        act.believed = Some(Arc::new(row));
                    }
                    Ok(Taken::Believed(told.len()))
                }
                Adopted::Old => {
                    let current = act
                        .believed
                        .as_ref()
                        .map_or(row.snapshot.block, |believed| believed.snapshot.block);
                    Err(Refused::Old { got: row.snapshot.block, current })
                }
            })
        }))
    }
}

/// The snapshot that is believed.
#[derive(Debug, Message)]
#[rtype(result = "Option<Arc<SnapshotRow>>")]
pub struct Believed;

impl Handler<Believed> for ChainSync {
    type Result = MessageResult<Believed>;

    fn handle(&mut self, _: Believed, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.believed.clone())
    }
}

/// For the graphs of operators.
fn tell(row: &SnapshotRow) {
    metrics::gauge!(crate::telemetry::CHAIN_BLOCK).set(row.snapshot.block as f64);
    let adopted_at = row.adopted_at.0 as f64 / 1e3;
    metrics::gauge!(crate::telemetry::CHAIN_ADOPTED_AT).set(adopted_at);
}
