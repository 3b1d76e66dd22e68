//! One miner: its live leases and its parked polls. Everything it holds is a cache of rows; a
//! successor reads them again.

mod answer;
mod poll;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

pub use answer::{Answer, Beat, GiveBack};
pub use poll::{Poll, Polled, Undelivered, Unpark};

use super::Deps;
use super::distributor::Polling;
use super::lease::{Brief, Held};
use crate::domain::ids::{LeaseToken, MinerUid, RegistrationId, TaskId};
use crate::domain::units::Millis;
use crate::store::{Holder, TaskRecord};

/// See the module's docs.
pub struct Miner {
    deps: Arc<Deps>,
    id: RegistrationId,
    uid: MinerUid,
    leases: BTreeMap<LeaseToken, Held>,
    parked: VecDeque<poll::Parked>,
    next_poll: u64,
}

impl Miner {
    /// A miner with the leases that its rows hold.
    #[must_use]
    pub fn new(deps: Arc<Deps>, id: RegistrationId, uid: MinerUid, held: &[TaskRecord]) -> Self {
        let mut miner =
            Self { deps, id, uid, leases: BTreeMap::new(), parked: VecDeque::new(), next_poll: 0 };
        held.iter().for_each(|record| miner.adopt(record));
        miner
    }

    /// Takes this miner's live leases of one task from its rows.
    fn adopt(&mut self, record: &TaskRecord) {
        let Some((kind, _)) = self.deps.kinds.find(&record.task.kind) else { return };
        let mut brief = None;
        for row in &record.slots {
            if row.holder != Some(self.holder()) || !row.state.leased() {
                continue;
            }
            let brief = brief
                .get_or_insert_with(|| Arc::new(Brief { task: record.task.clone(), kind }))
                .clone();
            let token = LeaseToken { task: record.task.id, slot: row.slot, attempt: row.attempt };
            let held = Held {
                token,
                brief,
                expires_at: row.expires_at.unwrap_or_default(),
                fetched: row.fetched_at.is_some(),
                delivered: row.fetched_at.is_some(),
                beaten_at: Millis(0),
            };
            self.leases.insert(token, held);
        }
    }

    const fn holder(&self) -> Holder {
        Holder::Miner(self.id)
    }

    /// The named lease, or the miner's first live one of the task.
    fn find(&self, task: TaskId, token: Option<LeaseToken>) -> Option<&Held> {
        match token {
            Some(token) => self.leases.get(&token),
            None => self.leases.values().find(|held| held.token.task == task),
        }
    }

    /// Tells the Distributor how many polls wait.
    fn tell_parked(&self) {
        let parked = u32::try_from(self.parked.len()).unwrap_or(u32::MAX);
        self.deps.distributor().do_send(Polling { miner: self.id, parked });
    }
}

impl Actor for Miner {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_024);
    }
}

/// A lease to hand out.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Held);

impl Handler<Deliver> for Miner {
    type Result = ();

    fn handle(&mut self, Deliver(held): Deliver, ctx: &mut Self::Context) {
        self.leases.insert(held.token, held);
        self.hand_out(ctx);
    }
}

/// A lease that ended elsewhere.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Revoke(pub LeaseToken);

impl Handler<Revoke> for Miner {
    type Result = ();

    fn handle(&mut self, Revoke(token): Revoke, _: &mut Self::Context) {
        self.leases.remove(&token);
    }
}

/// Ends the actor: its registration closed, or nobody mentions it any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

impl Handler<Retire> for Miner {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        for parked in self.parked.drain(..) {
            parked.answer(Vec::new());
        }
        ctx.stop();
    }
}

/// The live lease of a task, for content and files.
#[derive(Debug, Message)]
#[rtype(result = "Option<Held>")]
pub struct Find(pub TaskId);

impl Handler<Find> for Miner {
    type Result = Option<Held>;

    fn handle(&mut self, Find(task): Find, _: &mut Self::Context) -> Self::Result {
        self.find(task, None).cloned()
    }
}

/// Waits on a channel that the actor answers later.
pub(super) type Later<T> = oneshot::Receiver<T>;
