//! The Fleet: which miners have an actor. A plain struct inside the ConsensusSupervisor: it spawns,
//! re-spawns and retires; what a miner is, its row says.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;

use super::Deps;
use super::directory::Entry;
use super::distributor::MinerRetired;
use super::miner::{Miner, Retire};
use crate::domain::ids::{MinerUid, RegistrationId};
use crate::store::{Holder, RegistrationRow, StoreResult, TaskRecord};

/// See the module's docs.
pub(super) struct Fleet {
    deps: Arc<Deps>,
    rows: HashMap<MinerUid, RegistrationRow>,
}

impl Fleet {
    pub(super) fn new(deps: Arc<Deps>) -> Self {
        Self { deps, rows: HashMap::new() }
    }

    /// The open registration of a uid.
    pub(super) fn row(&self, uid: MinerUid) -> Option<&RegistrationRow> {
        self.rows.get(&uid)
    }

    /// Starts the actor of a registration with the leases that its rows hold, unless it runs.
    pub(super) fn spawn(&mut self, row: RegistrationRow, held: &[TaskRecord]) {
        let (id, uid, hotkey) = (row.id, row.uid, row.hotkey.clone());
        self.rows.insert(uid, row);
        let known = self.deps.directory.by_registration(id);
        if known.is_some_and(|entry| entry.addr.connected()) {
            return;
        }
        let addr = Miner::new(self.deps.clone(), id, uid, held).start();
        self.deps.directory.put(Entry { registration: id, uid, hotkey, addr });
    }

    /// Keeps a row's newer values; a miner that runs is found by its new hotkey then.
    pub(super) fn update(&mut self, row: RegistrationRow) {
        if self.rows.get(&row.uid).is_some_and(|known| known.hotkey != row.hotkey) {
            tracing::info!(miner.uid = %row.uid, miner.hotkey = %row.hotkey, "a miner has a new hotkey");
            self.deps.directory.rename(row.id, row.hotkey.clone());
        }
        self.rows.insert(row.uid, row);
    }

    /// Every open registration.
    pub(super) fn rows(&self) -> impl Iterator<Item = &RegistrationRow> {
        self.rows.values()
    }

    /// Whether a uid's miner has an actor.
    pub(super) fn runs(&self, uid: MinerUid) -> bool {
        let row = self.rows.get(&uid);
        row.is_some_and(|row| self.deps.directory.by_registration(row.id).is_some())
    }

    /// Miners whose actors died, to be re-spawned from their rows.
    pub(super) fn dead(&self) -> Vec<RegistrationRow> {
        let runs = |row: &&RegistrationRow| {
            let entry = self.deps.directory.by_registration(row.id);
            entry.is_some_and(|entry| !entry.addr.connected())
        };
        self.rows.values().filter(runs).cloned().collect()
    }

    /// Ends the actor of a registration that closed.
    pub(super) fn retire(&mut self, id: RegistrationId) {
        self.rest(id);
        self.rows.retain(|_, row| row.id != id);
    }

    /// Ends the actor of a registration that stays open: it starts again with the next word of it.
    pub(super) fn rest(&mut self, id: RegistrationId) {
        if let Some(entry) = self.deps.directory.by_registration(id) {
            entry.addr.do_send(Retire);
            self.deps.directory.remove(id);
            self.deps.distributor().do_send(MinerRetired(id));
        }
    }
}

/// What a registration's rows say that it holds.
pub(super) async fn held(deps: Arc<Deps>, id: RegistrationId) -> StoreResult<Vec<TaskRecord>> {
    deps.store.held_by(Holder::Miner(id)).await
}
