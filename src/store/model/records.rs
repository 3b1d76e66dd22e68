//! Plain records: validators, reports, agreed values; and forgetting old ones. Writing
//! a record again that is there already changes nothing.

use super::Tables;
use crate::domain::ids::{Hotkey, ValidatorId};
use crate::store::{
    CloseRound, DeliveryRow, Prune, PutKindRecords, ReportRow, RoundRow, ValidatorRow,
};

impl Tables {
    /// A known hotkey keeps its id and may change its uid.
    pub(super) fn know_validator(&mut self, validator: ValidatorRow) -> ValidatorId {
        let known = self.validators.values_mut().find(|known| known.hotkey == validator.hotkey);
        if let Some(known) = known {
            known.uid = validator.uid;
            return known.id;
        }
        let id = validator.id;
        self.validators.insert(id, validator);
        id
    }

    pub(super) fn put_report(&mut self, report: ReportRow) {
        self.reports.entry(report.id).or_insert(report);
    }

    /// The last value of a uid stands, and the first minutes of a round.
    pub(super) fn close_round(&mut self, command: CloseRound) {
        self.verdicts.extend(command.verdicts.into_iter().map(|verdict| (verdict.uid, verdict)));
        for track in command.tracks {
            if let Some(validator) = self.validators.get_mut(&track.validator) {
                validator.track = Some(track.body);
            }
        }
        if let Some(minutes) = command.minutes {
            self.rounds.entry(minutes.round).or_insert(minutes);
        }
        self.append(command.netuid, &command.facts, command.now);
    }

    pub(super) fn rounds(&self, up_to: i64, limit: u64) -> Vec<RoundRow> {
        let rounds = self.rounds.range(..=up_to).rev().map(|(_, round)| round.clone());
        rounds.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
    }

    pub(super) fn reports_at(&self, validator: &Hotkey, signed_order: i64) -> Vec<ReportRow> {
        let signer = |report: &ReportRow| {
            self.validators.get(&report.validator).is_some_and(|v| v.hotkey == *validator)
        };
        let reports = self.reports.values();
        reports.filter(|r| r.signed_order == signed_order && signer(r)).cloned().collect()
    }

    /// The last record of a miner at a kind stands.
    pub(super) fn put_kind_records(&mut self, PutKindRecords { rows, work }: PutKindRecords) {
        let keyed = rows.into_iter().map(|row| ((row.registration, row.kind.clone()), row));
        self.kind_records.extend(keyed);
        work.into_iter().for_each(|of| self.add_work(of));
    }

    pub(super) fn prune(&mut self, before: Prune) -> u64 {
        let rows = |t: &Self| {
            let records = t.replays.len() + t.idempotency.len() + t.reports.len();
            records + t.rounds.len() + t.deliveries.len()
        };
        let had = rows(self);
        self.replays.retain(|_, seen_at| *seen_at >= before.nonces);
        self.idempotency.retain(|_, known| known.created_at >= before.idempotency);
        self.reports.retain(|_, report| report.received_at >= before.reports);
        let kept = |row: &DeliveryRow| row.created_at >= before.deliveries || row.next_at.is_some();
        self.deliveries.retain(|_, row| kept(row));
        self.rounds.retain(|_, round| round.closed_at >= before.reports);
        u64::try_from(had - rows(self)).unwrap_or(u64::MAX) + self.prune_ledger(before)
    }
}
