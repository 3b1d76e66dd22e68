//! What this server itself saw of miners: told by the Distributor, and read from its rows at start.

use actix::prelude::*;

use super::ConsensusSupervisor;
use crate::actors::Deps;
use crate::actors::distributor::record;
use crate::domain::consensus::{Observation, ReportTable};
use crate::domain::ids::MinerUid;
use crate::domain::miner::{Contact, Paces, observation};
use crate::store::Loaded;

/// What we saw of miners, where that changed; `None` when we know nothing of one any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Observed(pub Vec<(MinerUid, Option<Observation>)>);

impl Handler<Observed> for ConsensusSupervisor {
    type Result = ();

    fn handle(&mut self, Observed(news): Observed, _: &mut Self::Context) {
        for (uid, seen) in news {
            self.table.observe(uid, seen);
        }
    }
}

/// What we saw before a restart; to be set before any report is applied, since the first one ends a
/// round.
pub(super) fn restored(table: &mut ReportTable, deps: &Deps, loaded: &Loaded) {
    let records = record::read(&deps.kinds, &loaded.kind_records);
    let mut paces = Paces::default();
    records.values().for_each(|records| paces.add(records));
    let (silent, now) = (Contact::default(), deps.clock.now());
    for row in &loaded.registrations {
        let Some(records) = records.get(&row.id) else { continue };
        table.observe(row.uid, observation(records, &silent, paces.p50s(), now));
    }
}
