//! Between a validator's command and the rules of evaluation: what both stores ask of
//! [`evaluation`], in one place. Pure.

use super::{Evaluate, EvaluationRow, JudgementRow, ResponseRow, ScoreRow};
use crate::domain::evaluation::{self, Answer, Judgement, Scored};
use crate::domain::units::{ONE, Score};

/// The response as the evaluation rules see it.
pub(super) fn answer_of(response: &ResponseRow) -> Answer {
    Answer {
        slot: response.token.slot,
        registration: response.registration,
        elapsed_millis: response.elapsed_millis,
    }
}

/// A stored judgement as the evaluation rules see it.
pub(super) fn judgement_of(row: &EvaluationRow) -> Judgement {
    let (slot, validator) = (row.slot, row.validator);
    Judgement { slot, validator, accuracy: row.accuracy, whole: row.whole }
}

/// The judgements that a command asks to take.
pub(super) fn asked(command: &Evaluate) -> Vec<Judgement> {
    let own = |j: &JudgementRow| Judgement {
        slot: j.slot,
        validator: command.validator,
        accuracy: j.accuracy,
        whole: j.whole,
    };
    command.judgements.iter().map(own).collect()
}

/// Score rows of the responses whose miners are known.
pub(super) fn merged(
    command: &Evaluate,
    kind: &str,
    answers: &[Answer],
    scored: &[Scored],
) -> Vec<ScoreRow> {
    let row = |scored: &Scored| {
        let answer = answers.iter().find(|answer| answer.slot == scored.slot)?;
        Some(ScoreRow {
            task: command.task,
            slot: scored.slot,
            registration: answer.registration?,
            kind: kind.to_owned(),
            score: scored.score,
            validators: u16::try_from(scored.validators).unwrap_or(u16::MAX),
            scored_at: command.now,
        })
    };
    scored.iter().filter_map(row).collect()
}

/// Score and reward of one judgement, from the timing of all answers of the task.
pub(super) fn score_and_reward(
    command: &Evaluate,
    judgement: &Judgement,
    answers: &[Answer],
) -> (Score, Score) {
    let fastest = answers.iter().map(|a| a.elapsed_millis).min().unwrap_or(1);
    let own = answers.iter().find(|a| a.slot == judgement.slot);
    let speed = evaluation::speed(fastest, own.map_or(fastest, |a| a.elapsed_millis));
    let score = evaluation::judged(judgement, speed);
    let reward = Score::clamped(score.millionths() * command.weight.millionths() / ONE);
    (score, reward)
}
