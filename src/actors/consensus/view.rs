//! What others ask the supervisor: verdicts, how they came about, key figures, validators.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;

use super::row::validator_row;
use super::{ConsensusSupervisor, Reporter};
use crate::domain::consensus::{ConsensusStats, Event, Explanation, ValidatorView, Verdict};
use crate::domain::ids::{MinerUid, ValidatorId};
use crate::domain::units::Millis;
use crate::store::StoreResult;

/// One miner's verdict.
#[derive(Debug, Message)]
#[rtype(result = "Option<Arc<Verdict>>")]
pub struct VerdictOf(pub MinerUid);

impl Handler<VerdictOf> for ConsensusSupervisor {
    type Result = Option<Arc<Verdict>>;

    fn handle(&mut self, VerdictOf(uid): VerdictOf, _: &mut Self::Context) -> Self::Result {
        self.table.verdict(uid).cloned()
    }
}

/// The verdicts of these miners, in their order.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Option<Arc<Verdict>>>")]
pub struct VerdictsOf(pub Vec<MinerUid>);

impl Handler<VerdictsOf> for ConsensusSupervisor {
    type Result = MessageResult<VerdictsOf>;

    fn handle(&mut self, VerdictsOf(uids): VerdictsOf, _: &mut Self::Context) -> Self::Result {
        MessageResult(uids.into_iter().map(|uid| self.table.verdict(uid).cloned()).collect())
    }
}

/// How one miner's verdict came about.
#[derive(Debug, Message)]
#[rtype(result = "Option<Value>")]
pub struct Explain(pub MinerUid);

impl Handler<Explain> for ConsensusSupervisor {
    type Result = Option<Value>;

    fn handle(&mut self, Explain(uid): Explain, _: &mut Self::Context) -> Self::Result {
        let explanation: Option<Explanation> = self.table.explain(uid);
        serde_json::to_value(explanation?).ok()
    }
}

/// The key figures and the validators.
#[derive(Debug, Message)]
#[rtype(result = "Overview")]
pub struct ViewConsensus;

/// Answer to [`ViewConsensus`].
#[derive(Debug, MessageResponse)]
pub struct Overview {
    /// Key figures.
    pub stats: ConsensusStats,
    /// Mean time from a report's receipt to its merge, of late.
    pub report_to_verdict: Duration,
    /// All validators.
    pub validators: Vec<ValidatorView>,
    /// What happened to them of late, oldest first.
    pub events: Vec<(Millis, Event)>,
}

impl Handler<ViewConsensus> for ConsensusSupervisor {
    type Result = Overview;

    fn handle(&mut self, _: ViewConsensus, _: &mut Self::Context) -> Self::Result {
        Overview {
            stats: self.table.stats(),
            report_to_verdict: self.report_to_verdict,
            validators: self.table.validators().collect(),
            events: self.chronicle.iter().cloned().collect(),
        }
    }
}

/// The id of a validator, made when it is new.
#[derive(Debug, Message)]
#[rtype(result = "StoreResult<ValidatorId>")]
pub struct KnowValidator(pub Reporter);

impl Handler<KnowValidator> for ConsensusSupervisor {
    type Result = ResponseActFuture<Self, StoreResult<ValidatorId>>;

    fn handle(&mut self, KnowValidator(who): KnowValidator, _: &mut Self::Context) -> Self::Result {
        if let Some(&known) = self.validators.get(&who.hotkey) {
            return Box::pin(actix::fut::ready(Ok(known)));
        }
        let (store, now) = (self.deps.store.clone(), self.deps.clock.now());
        let row = validator_row(&who, now);
        let written = async move { store.know_validator(row).await };
        Box::pin(written.into_actor(self).map(move |outcome, act, _| {
            let id = outcome?;
            act.validators.insert(who.hotkey, id);
            Ok(id)
        }))
    }
}
