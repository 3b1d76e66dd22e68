//! Snapshots of the metagraph.

use super::Tables;
use super::dump::{Cell, Dump, line};
use crate::domain::units::Millis;
use crate::store::chain::{BACK_BLOCKS, told};
use crate::store::{Adopt, Adopted, SnapshotRow};

impl Tables {
    pub(super) fn adopt(&mut self, command: &Adopt) -> Adopted {
        let SnapshotRow { snapshot, adopted_at, .. } = &command.row;
        let (netuid, block) = (snapshot.netuid, snapshot.block);
        if self.metagraph_of(netuid).is_some_and(|row| row.snapshot.block >= block) {
            return Adopted::Old;
        }
        self.chain_written += 1;
        let since = block - BACK_BLOCKS;
        self.metagraphs.retain(|(of, at), _| *of != netuid || *at >= since);
        self.metagraphs.insert((netuid, block), command.row.clone());
        self.submissions.retain(|(of, at, _), _| *of != netuid || *at >= since);
        let unsettled = self
            .submissions
            .iter()
            .filter(|((of, at, _), row)| *of == netuid && *at >= since && row.of.settled.is_none());
        let told = told(unsettled.map(|(_, row)| row.clone()), snapshot, *adopted_at);
        for row in &told {
            let key = (netuid, row.of.block, row.of.validator.clone());
            self.submissions.insert(key, row.clone());
        }
        Adopted::New(told)
    }

    pub(super) fn metagraph_of(&self, netuid: u16) -> Option<SnapshotRow> {
        let of_subnet = self.metagraphs.range((netuid, i64::MIN)..=(netuid, i64::MAX));
        of_subnet.last().map(|(_, row)| row.clone())
    }

    pub(super) fn metagraph_before(&self, netuid: u16, at: Millis) -> Option<SnapshotRow> {
        let adopted = self
            .metagraphs
            .values()
            .filter(|row| row.snapshot.netuid == netuid && row.adopted_at < at);
        adopted.max_by_key(|row| (row.adopted_at, row.snapshot.block)).cloned()
    }

    pub(super) fn dump_metagraphs(&self, dump: &mut Dump) {
        let rows = self.metagraphs.iter().map(|((netuid, block), row)| {
            line!(
                netuid = *netuid,
                block = *block,
                adopted_at = row.adopted_at,
                senders = serde_json::json!(row.senders),
                body = row.snapshot.to_json().to_string().as_bytes(),
            )
        });
        dump.table("metagraph", rows.collect());
    }
}
