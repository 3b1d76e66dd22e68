//! Ended tasks into the archive and out of it, and sums by day.

use std::cmp::Reverse;

use super::dump::{Dump, line};
use super::{Cell, Tables};
use crate::domain::ids::TaskId;
use crate::domain::period::day_of;
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::store::history::first_id_at;
use crate::store::{
    Archive, Archived, ArchivedTask, ScoreDays, ScoreSums, UsageCounts, UsageDays, UsageRow,
};

impl Tables {
    /// The oldest tasks that ended before a moment leave their tables; the oldest archived ones go.
    pub(super) fn archive(&mut self, command: &Archive) -> Archived {
        let Archive { ended_before, forget_before, rows_max } = *command;
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let old = first_id_at(ended_before.plus(1));
        let ended = self.tasks.range(..old).filter(|(_, task)| {
            task.state != TaskState::Open && task.finished_at.is_some_and(|at| at < ended_before)
        });
        let ended: Vec<TaskId> = ended.map(|(id, _)| *id).take(rows_max).collect();
        for id in &ended {
            let (responses, evaluations) = (self.responses_of(*id), self.evaluations_of(*id));
            self.responses.retain(|(task, _), _| task != id);
            self.evaluations.retain(|(task, ..), _| task != id);
            self.done_order.remove(id);
            let Some(task) = self.tasks.remove(id) else { continue };
            let whole = ArchivedTask { task, responses, evaluations };
            self.archive.entry(*id).or_insert(whole);
        }
        let old = first_id_at(forget_before.plus(1));
        let gone = self.archive.range(..old);
        let gone = gone.filter(|(_, of)| of.task.finished_at.is_some_and(|at| at < forget_before));
        let gone: Vec<TaskId> = gone.map(|(id, _)| *id).take(rows_max).collect();
        gone.iter().for_each(|id| drop(self.archive.remove(id)));
        Archived { archived: ended.len() as u64, forgotten: gone.len() as u64 }
    }

    pub(super) fn scores_of(&self, days: &ScoreDays) -> ScoreSums {
        let mut sums = ScoreSums::new();
        for ((registration, kind, day), of_day) in &self.score_days {
            let wanted = days.kind.as_ref().is_none_or(|wanted| wanted == kind);
            if wanted && (days.from..=days.to).contains(day) {
                let sum = sums.entry(*registration).or_default();
                sum.scored += of_day.scored;
                sum.score_sum += of_day.score_sum;
            }
        }
        sums
    }

    /// The counts of a client, day and kind.
    pub(super) fn usage_at(&mut self, owner: &str, kind: &str, at: Millis) -> &mut UsageCounts {
        self.usage.entry((owner.to_owned(), day_of(at), kind.to_owned())).or_default()
    }

    pub(super) fn usage_of(&self, days: &UsageDays) -> Vec<UsageRow> {
        let wanted = self.usage.iter().filter(|((owner, day, _), _)| {
            (days.from..=days.to).contains(day)
                && days.owner.as_ref().is_none_or(|wanted| wanted == owner)
        });
        let mut rows: Vec<_> = wanted
            .map(|((owner, day, kind), counts)| UsageRow {
                owner: owner.clone(),
                day: *day,
                kind: kind.clone(),
                counts: *counts,
            })
            .collect();
        rows.sort_by_key(|row| (Reverse(row.day), row.owner.clone(), row.kind.clone()));
        rows.truncate(usize::try_from(days.limit).unwrap_or(usize::MAX));
        rows
    }

    pub(super) fn dump_history(&self, dump: &mut Dump) {
        let archived = self.archive.values().map(|of| {
            let body = serde_json::to_vec(of).unwrap_or_default();
            line!(
                id = of.task.task.id.0,
                owner = of.task.task.owner,
                ended_at = of.task.finished_at,
                body = body.as_slice(),
            )
        });
        dump.table("archive", archived.collect());
        let days = self.score_days.iter().map(|((registration, kind, day), sum)| {
            line!(
                registration_id = registration.0,
                kind = kind,
                day = *day,
                scored = sum.scored,
                score_sum = sum.score_sum,
            )
        });
        dump.table("score_day", days.collect());
        let usage = self.usage.iter().map(|((owner, day, kind), counts)| {
            line!(
                owner = owner,
                day = *day,
                kind = kind,
                submitted = counts.submitted,
                input_units = counts.input_units,
                done = counts.done,
                failed = counts.failed,
            )
        });
        dump.table("usage_day", usage.collect());
    }
}
