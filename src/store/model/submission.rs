//! Submitted weights.

use super::Tables;
use super::dump::{Cell, Dump, line};
use crate::domain::chain::State;
use crate::domain::units::Millis;
use crate::store::submission::put;
use crate::store::{PutSubmission, SubmissionPage, SubmissionPut, SubmissionRow};

impl Tables {
    pub(super) fn put_submission(&mut self, command: &PutSubmission) -> SubmissionPut {
        let key = (command.netuid, command.block, command.validator.clone());
        let known = self.submissions.get(&key).cloned();
        let waits = |row: &&SubmissionRow| {
            row.netuid == command.netuid
                && row.of.validator == command.validator
                && row.of.settled.is_none()
        };
        let open = self.submissions.values().filter(waits).count() as u64;
        if known.is_none() && open >= command.open_max {
            return SubmissionPut::TooMany;
        }
        let answer = put(known, command);
        if let SubmissionPut::Taken(row, true) = &answer {
            self.submissions.insert(key, (**row).clone());
            self.chain_written += 1;
        }
        answer
    }

    pub(super) fn submissions_of(&self, page: &SubmissionPage) -> Vec<SubmissionRow> {
        let mut rows: Vec<_> = self
            .submissions
            .iter()
            .rev()
            .filter(|((netuid, block, validator), _)| {
                let before = page.before.as_ref();
                *netuid == page.netuid
                    && page.validator.as_ref().is_none_or(|wanted| wanted == validator)
                    && before.is_none_or(|(b, v)| (block, validator) < (b, v))
            })
            .map(|(_, row)| row.clone())
            .collect();
        rows.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        rows
    }

    /// Of each validator the newest one on the chain then, and the newest one that was counted.
    pub(super) fn submissions_before(&self, netuid: u16, at: Millis) -> Vec<SubmissionRow> {
        let rows = self.submissions.values().filter(|row| row.netuid == netuid);
        let rows: Vec<_> = rows.filter_map(|row| row.clone().before(at)).collect();
        let counted = |row: &SubmissionRow| row.of.state == State::Settled;
        let newer = |row: &SubmissionRow, than: &SubmissionRow| {
            than.of.validator == row.of.validator && than.of.block > row.of.block
        };
        let newest = |row: &SubmissionRow| !rows.iter().any(|other| newer(row, other));
        let newest_counted = |row: &SubmissionRow| {
            counted(row) && !rows.iter().any(|other| counted(other) && newer(row, other))
        };
        rows.iter().filter(|row| newest(row) || newest_counted(row)).cloned().collect()
    }

    pub(super) fn dump_submissions(&self, dump: &mut Dump) {
        let rows = self.submissions.values().map(|row| {
            line!(
                netuid = row.netuid,
                validator_hotkey = row.of.validator.as_str(),
                block = row.of.block,
                validator_uid = row.validator_uid,
                mode = row.of.mode.as_str(),
                state = row.of.state.as_str(),
                version_key = row.version_key,
                weights = serde_json::json!(row.weights),
                run = row.run,
                revealed_block = row.of.revealed_block,
                consensus_block = row.of.settled.map(|settled| settled.consensus_block),
                delay_blocks = row.of.settled.map(|settled| settled.delay_blocks),
                error = row.of.error,
                created_at = row.created_at,
                updated_at = row.updated_at,
                sent_at = row.heard.sent_at,
                revealed_at = row.heard.revealed_at,
                settled_at = row.heard.settled_at,
                ended_at = row.heard.ended_at,
            )
        });
        dump.table("submission", rows.collect());
    }
}
