//! From validators' evaluations to one score per response, the best response, and whether a task is
//! approved.

use super::ids::{RegistrationId, ValidatorId};
use super::units::{ONE, Score};

/// One validator's judgement of one response. Shares 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Which slot's response.
    pub slot: u16,
    /// Who judged; one judgement per validator and slot.
    pub validator: ValidatorId,
    /// Accuracy, or the single score where only one was given.
    pub accuracy: Score,
    /// Whether `accuracy` is the whole score, so that our timing is not mixed in.
    pub whole: bool,
}

/// One response as the evaluation sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Which slot.
    pub slot: u16,
    /// Who answered; `None` when a validator served the slot for a miner that we do not know.
    pub registration: Option<RegistrationId>,
    /// Time from fetch to answer by our clock, in milliseconds.
    pub elapsed_millis: i64,
}

/// A response's merged score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scored {
    /// Which slot.
    pub slot: u16,
    /// Merged score.
    pub score: Score,
    /// How many validators judged it.
    pub validators: usize,
}

/// Share of accuracy in a score, in millionths; speed has the rest.
const ACCURACY_SHARE: i64 = 700_000;

/// Speed of an answer by our own timing: fastest answer of the task over this one.
#[must_use]
pub fn speed(fastest_millis: i64, elapsed_millis: i64) -> Score {
    let (fastest, own) = (fastest_millis.max(1), elapsed_millis.max(1));
    Score::clamped(fastest.saturating_mul(ONE) / own)
}

/// Score of one judgement: `0.7 accuracy + 0.3 speed`, or the single score given.
#[must_use]
pub fn judged(judgement: &Judgement, speed: Score) -> Score {
    if judgement.whole {
        return judgement.accuracy;
    }
    let accuracy = judgement.accuracy.millionths() * ACCURACY_SHARE;
    Score::clamped((accuracy + speed.millionths() * (ONE - ACCURACY_SHARE)) / ONE)
}

/// Merged score of each judged response, in slot order: the lower median over validators, which no
/// single liar among three can move out of the honest range.
#[must_use]
pub fn score(answers: &[Answer], judgements: &[Judgement]) -> Vec<Scored> {
    let fastest = answers.iter().map(|a| a.elapsed_millis).min().unwrap_or(1);
    let mut scored = Vec::with_capacity(answers.len());
    for answer in answers {
        let speed = speed(fastest, answer.elapsed_millis);
        let own = judgements.iter().filter(|j| j.slot == answer.slot);
        let mut scores: Vec<_> = own.map(|j| judged(j, speed)).collect();
        scores.sort_unstable();
        if let Some(&median) = scores.get(scores.len().saturating_sub(1) / 2) {
            scored.push(Scored { slot: answer.slot, score: median, validators: scores.len() });
        }
    }
    scored.sort_unstable_by_key(|s| s.slot);
    scored
}

/// The best response: highest score, ties to the faster, then to the lower slot.
#[must_use]
pub fn best(answers: &[Answer], scored: &[Scored]) -> Option<u16> {
    let elapsed = |slot| answers.iter().find(|a| a.slot == slot).map(|a| a.elapsed_millis);
    let rank = |s: &&Scored| (s.score, std::cmp::Reverse((elapsed(s.slot), s.slot)));
    scored.iter().max_by_key(rank).map(|s| s.slot)
}

/// Whether every response was judged by at least `quorum` validators.
#[must_use]
pub fn approved(answers: &[Answer], scored: &[Scored], quorum: usize) -> bool {
    let judged = |slot| scored.iter().any(|s| s.slot == slot && s.validators >= quorum);
    !answers.is_empty() && answers.iter().all(|a| judged(a.slot))
}

/// Why an evaluation is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inadmissible {
    /// The task has no response in this slot.
    NoResponse(u16),
    /// This validator judged this slot before, with another value.
    Conflict(u16),
}

/// Which of the judgements are new; those that stand already, alike, are left out.
///
/// # Errors
/// [`Inadmissible`] for the first that cannot be taken; then none is.
pub fn admit(
    answers: &[Answer],
    stored: &[Judgement],
    judgements: &[Judgement],
) -> Result<Vec<Judgement>, Inadmissible> {
    let mut new: Vec<Judgement> = Vec::with_capacity(judgements.len());
    for judgement in judgements {
        if !answers.iter().any(|a| a.slot == judgement.slot) {
            return Err(Inadmissible::NoResponse(judgement.slot));
        }
        let same = |j: &&Judgement| j.slot == judgement.slot && j.validator == judgement.validator;
        match stored.iter().chain(&new).find(same) {
            None => new.push(*judgement),
            Some(known) if known == judgement => {}
            Some(_) => return Err(Inadmissible::Conflict(judgement.slot)),
        }
    }
    Ok(new)
}

/// The best slot and all merged scores, once every response was judged by `quorum` validators.
#[must_use]
pub fn conclude(
    answers: &[Answer],
    judgements: &[Judgement],
    quorum: usize,
) -> Option<(Option<u16>, Vec<Scored>)> {
    let scored = score(answers, judgements);
    approved(answers, &scored, quorum).then(|| (best(answers, &scored), scored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(slot: u16, elapsed_millis: i64) -> Answer {
        Answer { slot, registration: None, elapsed_millis }
    }

    fn judgement(slot: u16, validator: u128, accuracy: i64) -> Judgement {
        let validator = ValidatorId(uuid::Uuid::from_u128(validator));
        Judgement { slot, validator, accuracy: Score::clamped(accuracy), whole: false }
    }

    #[test]
    fn accuracy_counts_seven_tenths_and_our_timing_three() {
        let answers = [answer(0, 1_000), answer(1, 2_000)];
        let scored = score(&answers, &[judgement(0, 0, 800_000), judgement(1, 0, 900_000)]);
        assert_eq!(scored[0].score.millionths(), 860_000);
        assert_eq!(scored[1].score.millionths(), 780_000);
        assert_eq!(best(&answers, &scored), Some(0));
    }

    #[test]
    fn a_single_score_is_taken_as_it_is() {
        let whole = Judgement { whole: true, ..judgement(0, 0, 420_000) };
        let scored = score(&[answer(0, 500)], &[whole]);
        assert_eq!(scored[0].score.millionths(), 420_000);
    }

    #[test]
    fn ties_go_to_the_faster() {
        let whole = |slot| Judgement { whole: true, ..judgement(slot, 0, 500_000) };
        let answers = [answer(0, 900), answer(1, 300)];
        assert_eq!(best(&answers, &score(&answers, &[whole(0), whole(1)])), Some(1));
    }

    #[test]
    fn the_same_judgement_again_is_nothing_new_and_another_one_conflicts() {
        let answers = [answer(0, 1)];
        let stored = [judgement(0, 7, 500_000)];
        assert_eq!(admit(&answers, &stored, &stored), Ok(vec![]));
        let other = [judgement(0, 7, 400_000)];
        assert_eq!(admit(&answers, &stored, &other), Err(Inadmissible::Conflict(0)));
        assert_eq!(admit(&answers, &[], &[other[0], stored[0]]), Err(Inadmissible::Conflict(0)));
        let beside = [judgement(1, 7, 1)];
        assert_eq!(admit(&answers, &stored, &beside), Err(Inadmissible::NoResponse(1)));
    }

    #[test]
    fn approval_waits_for_every_response_and_the_quorum() {
        let answers = [answer(0, 1), answer(1, 1)];
        let first = [judgement(0, 0, 1)];
        assert!(!approved(&answers, &score(&answers, &first), 1));
        let both = [judgement(0, 0, 1), judgement(1, 0, 1)];
        assert!(approved(&answers, &score(&answers, &both), 1));
        assert!(!approved(&answers, &score(&answers, &both), 2));
        assert!(!approved(&[], &[], 1));
    }

    proptest! {
        #[test]
        fn one_liar_of_three_stays_within_the_honest_scores(
            honest in proptest::array::uniform2(0..=ONE), lie in 0..=ONE,
        ) {
            let judgements =
                [judgement(0, 0, honest[0]), judgement(0, 1, lie), judgement(0, 2, honest[1])]
                    .map(|j| Judgement { whole: true, ..j });
            let merged = score(&[answer(0, 10)], &judgements)[0].score.millionths();
            prop_assert!(merged >= honest[0].min(honest[1]));
            prop_assert!(merged <= honest[0].max(honest[1]));
        }

        #[test]
        fn a_better_accuracy_never_scores_less(a in 0..=ONE, b in 0..=ONE, ms in 1_i64..9_999) {
            let of = |x| score(&[answer(0, ms), answer(1, 50)], &[judgement(0, 0, x)])[0].score;
            prop_assert!(of(a.min(b)) <= of(a.max(b)));
        }
    }
}
