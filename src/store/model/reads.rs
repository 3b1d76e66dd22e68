//! The reads: by page, by validator, and everything at start.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use super::{Made, Tables};
use crate::domain::ids::{FileId, TaskId, ValidatorId};
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::store::*;

fn at_most(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Tables {
    /// Tasks on which this holder has a live lease.
    pub(super) fn held_by(&self, holder: Holder) -> Vec<TaskRecord> {
        let held = |t: &&TaskRecord| {
            t.slots.iter().any(|slot| slot.state.leased() && slot.holder == Some(holder))
        };
        self.tasks.values().filter(held).cloned().collect()
    }

    /// Newest first, which is the order of ids.
    pub(super) fn page(&self, page: &TaskPage) -> Vec<TaskRecord> {
        let wanted = |t: &&TaskRecord| {
            page.owner.as_ref().is_none_or(|owner| t.task.owner == *owner)
                && (page.states.is_empty() || page.states.contains(&t.state))
                && page.kind.as_ref().is_none_or(|kind| t.task.kind == *kind)
                && page.before.is_none_or(|before| t.task.id < before)
        };
        self.tasks.values().rev().filter(wanted).take(at_most(page.limit)).cloned().collect()
    }

    /// What a key stands for.
    pub(super) fn idempotent(&self, owner: &str, key: &str) -> Option<StandsFor> {
        let known = self.idempotency.get(&(owner.to_owned(), key.to_owned()))?;
        let task = match known.made {
            Made::Task(id) => Some(id),
            Made::File(_) | Made::Voice(_) => None,
        };
        Some(StandsFor { body_hash: known.body_hash, task })
    }

    /// By slot.
    pub(super) fn responses_of(&self, task: TaskId) -> Vec<ResponseRow> {
        self.responses.range((task, 0)..=(task, u16::MAX)).map(|(_, row)| row.clone()).collect()
    }

    /// By slot and validator.
    pub(super) fn evaluations_of(&self, task: TaskId) -> Vec<EvaluationRow> {
        self.evaluations.values().filter(|row| row.task == task).cloned().collect()
    }

    /// Done, with a response that this validator did not judge; an approved task needs no more.
    fn left_to(&self, validator: ValidatorId, task: TaskId) -> bool {
        let judged = |r: &ResponseRow| {
            self.evaluations.contains_key(&(r.token.task, r.token.slot, validator))
        };
        self.tasks.get(&task).is_some_and(|t| t.state == TaskState::Done)
            && !self.responses_of(task).iter().all(judged)
    }

    /// In the order of the commands that made them done, and of ids where one command did.
    pub(super) fn done_after(
        &self,
        validator: ValidatorId,
        after: DonePlace,
        limit: u64,
    ) -> DonePage {
        let done = self.tasks.values().filter(|t| t.state == TaskState::Done).map(|t| t.task.id);
        let place = |task| Some(DonePlace { order: *self.done_order.get(&task)?, task });
        let mut done: Vec<_> = done.filter_map(place).filter(|place| *place > after).collect();
        done.sort_unstable();
        let end = done.len() < at_most(limit);
        done.truncate(at_most(limit));
        let reached = done.last().copied().unwrap_or(after);
        done.retain(|place| self.left_to(validator, place.task));
        DonePage { left: done, reached, end }
    }

    /// Each once, by id.
    pub(super) fn left_among(&self, validator: ValidatorId, tasks: Vec<TaskId>) -> Vec<TaskRecord> {
        let tasks: BTreeSet<_> = tasks.into_iter().collect();
        let left = tasks.into_iter().filter(|task| self.left_to(validator, *task));
        left.filter_map(|task| self.tasks.get(&task).cloned()).collect()
    }

    /// Newest first.
    pub(super) fn evaluated_by(&self, validator: ValidatorId, limit: u64) -> Vec<EvaluationRow> {
        let own = self.evaluations.values().filter(|row| row.validator == validator);
        let mut rows: Vec<_> = own.cloned().collect();
        rows.sort_by_key(|row| (Reverse((row.created_at, row.task)), row.slot));
        rows.truncate(at_most(limit));
        rows
    }

    /// Whoever holds or held a lease on a task may read its input.
    pub(super) fn file_is_assigned(&self, file: FileId, holder: Holder) -> bool {
        let on_file = self.tasks.values().filter(|t| t.task.input == TaskInput::File(file));
        let mut holders = on_file.flat_map(|t| {
            let held = t.attempts.iter().map(|attempt| attempt.holder);
            t.slots.iter().filter_map(|slot| slot.holder).chain(held)
        });
        holders.any(|known| known == holder)
    }

    /// Open registrations by uid, open tasks, all validators, and what they last said.
    pub(super) fn load(&self, reports_since: Millis) -> Loaded {
        let open = self.registrations.values().map(|known| &known.row);
        let mut registrations: Vec<_> =
            open.filter(|row| row.closed_at.is_none()).cloned().collect();
        registrations.sort_by_key(|row| row.uid);
        let closed = self.registrations.values().filter(|known| known.row.closed_at.is_some());
        let closed: HashSet<_> = closed.map(|known| (known.netuid, known.row.uid)).collect();
        let open = self.registrations.values().filter(|known| known.row.closed_at.is_none());
        let replaced = open.filter(|known| closed.contains(&(known.netuid, known.row.uid)));
        let replaced = replaced.map(|known| known.row.id).collect();
        let open = self.tasks.values().filter(|t| t.state == TaskState::Open);
        let newest = |&id| self.newest_reports(id, reports_since);
        let known = |row: &&KindRecordRow| {
            let registration = self.registrations.get(&row.registration);
            registration.is_some_and(|known| known.row.closed_at.is_none())
        };
        Loaded {
            kind_records: self.kind_records.values().filter(known).cloned().collect(),
            registrations,
            replaced,
            validators: self.validators.values().cloned().collect(),
            tasks: open.cloned().collect(),
            reports: self.validators.keys().flat_map(newest).collect(),
            verdicts: self.verdicts.values().cloned().collect(),
        }
    }

    /// A validator's two newest full reports and the partial ones since, oldest first.
    fn newest_reports(&self, validator: ValidatorId, since: Millis) -> Vec<ReportRow> {
        let own = self.reports.values().filter(|r| r.validator == validator);
        let mut own: Vec<_> = own.filter(|r| r.received_at >= since).cloned().collect();
        own.sort_by_key(|r| (r.signed_order, r.id));
        let full: Vec<_> = own.iter().filter(|r| !r.partial).map(|r| r.id).collect();
        let kept = &full[full.len().saturating_sub(2)..];
        let order = own.iter().find(|r| kept.first() == Some(&r.id)).map(|r| r.signed_order);
        let since = |r: &ReportRow| order.is_none_or(|order| r.signed_order > order);
        own.retain(|r| kept.contains(&r.id) || (r.partial && since(r)));
        own
    }
}
