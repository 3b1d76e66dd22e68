//! Judgements of validators, approval, and merged scores.

use std::collections::btree_map::Entry;

use super::Tables;
use crate::domain::evaluation::{self, Inadmissible};
use crate::domain::task::TaskState;
use crate::domain::units::DAY;
use crate::domain::webhook::EventType;
use crate::store::judge::{answer_of, asked, judgement_of, merged, score_and_reward};
use crate::store::*;

impl Tables {
    /// All of a command's judgements are taken, or none. The one that completes the quorum makes
    /// the task approved, once.
    pub(super) fn evaluate(&mut self, command: &Evaluate) -> Evaluated {
        let Some(task) = self.tasks.get(&command.task) else { return Evaluated::NotFound };
        if !matches!(task.state, TaskState::Done | TaskState::Approved) {
            return Evaluated::NotDone(task.state);
        }
        let (state, best_slot) = (task.state, task.best_slot);
        let responses = self.responses_of(command.task);
        let answers: Vec<_> = responses.iter().map(answer_of).collect();
        let stored = self.evaluations_of(command.task);
        let mut judgements: Vec<_> = stored.iter().map(judgement_of).collect();
        let new = match evaluation::admit(&answers, &judgements, &asked(command)) {
            Ok(new) => new,
            Err(Inadmissible::NoResponse(slot)) => return Evaluated::NoResponse(slot),
            Err(Inadmissible::Conflict(slot)) => return Evaluated::Conflict(slot),
        };
        for judgement in &new {
            let (score, reward) = score_and_reward(command, judgement, &answers);
            let row = EvaluationRow {
                task: command.task,
                slot: judgement.slot,
                validator: judgement.validator,
                accuracy: judgement.accuracy,
                whole: judgement.whole,
                score,
                reward,
                created_at: command.now,
            };
            self.evaluations.insert((row.task, row.slot, row.validator), row);
        }
        judgements.extend(&new);
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let recorded = count(new.len());
        let duplicates = count(command.judgements.len() - new.len());
        let concluded = evaluation::conclude(&answers, &judgements, command.quorum);
        let task = self.tasks.get_mut(&command.task).filter(|_| state == TaskState::Done);
        let (Some(task), Some((best_slot, scored))) = (task, concluded) else {
            return Evaluated::Accepted { recorded, duplicates, state, scores: vec![], best_slot };
        };
        (task.state, task.best_slot) = (TaskState::Approved, best_slot);
        let (state, scores) = (task.state, merged(command, &task.task.kind, &answers, &scored));
        scores.iter().cloned().for_each(|score| self.put_score(score));
        self.tell(command.task, EventType::Approved, state, command.now);
        Evaluated::Accepted { recorded, duplicates, state, scores, best_slot }
    }

    fn put_score(&mut self, score: ScoreRow) {
        let Entry::Vacant(fresh) = self.scores.entry((score.task, score.slot)) else { return };
        let day = score.scored_at.0.div_euclid(DAY);
        let key = (score.registration, score.kind.clone(), day);
        let of_day = self.score_days.entry(key).or_default();
        of_day.scored += 1;
        of_day.score_sum += score.score.millionths();
        if let Some(known) = self.registrations.get_mut(&score.registration) {
            known.row.record.scored += 1;
            known.row.record.score_sum += score.score.millionths();
        }
        fresh.insert(score);
    }
}
