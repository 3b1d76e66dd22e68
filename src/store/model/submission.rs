//! Submitted weights.

use super::Tables;
use super::dump::{Cell, Dump, line};
use crate::store::submission::put;
use crate::store::{PutSubmission, SubmissionPage, SubmissionPut, SubmissionRow};

impl Tables {
    pub(super) fn put_submission(&mut self, command: &PutSubmission) -> SubmissionPut {
        let key = (command.netuid, command.block, command.validator.clone());
        let answer = put(self.submissions.get(&key).cloned(), command);
        if let SubmissionPut::Taken(row, true) = &answer {
            self.submissions.insert(key, (**row).clone());
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
            )
        });
        dump.table("submission", rows.collect());
    }
}
