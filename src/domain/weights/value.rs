//! Step 0: the scores that a registration earned at one kind within a window become one task value.

use super::number::mean;
use super::policy::{Averaging, Policy};
use crate::domain::units::{Millis, ONE, Score};

/// One score, and when it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scored {
    /// When.
    pub scored_at: Millis,
    /// How good.
    pub score: Score,
}

/// What one registration did at one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work<'a> {
    /// Its scores, in any order.
    pub scores: &'a [Scored],
    /// Tasks assigned to it in the window.
    pub tasks_assigned: u64,
    /// Of those, how many were scored.
    pub tasks_scored: u64,
}

/// The task value, 0..=1, from the scores of the window `[from, now)`; `None` when there is none.
///
/// Mean: `sum s / n`. Decayed: `sum s·2^(-age) / sum 2^(-age)` with ages in half-lives, times
/// `sqrt(r / full)` where the scored share `r` of the assigned tasks is below `full`.
#[must_use]
pub fn task_value(policy: &Policy, work: &Work<'_>, from: Millis, now: Millis) -> Option<f64> {
    let inside = |one: &&Scored| from <= one.scored_at && one.scored_at < now;
    let mut scores: Vec<Scored> = work.scores.iter().filter(inside).copied().collect();
    // Rows come in any order; sums of floats must not.
    scores.sort_unstable();
    let newest = scores.last()?.scored_at;
    match policy.averaging {
        Averaging::Mean => {
            let sum: i64 = scores.iter().map(|one| one.score.millionths()).sum();
            Some(sum as f64 / (scores.len() as f64 * ONE as f64))
        }
        Averaging::Decayed => {
            // From the newest on instead of from `now`: the quotient is the same, and does not
            // become 0/0 when the newest is old.
            let half_life = policy.half_life_millis.max(1) as f64;
            let part = |one: &Scored| libm::exp2(-(newest.since(one.scored_at) as f64) / half_life);
            let parts: Vec<f64> = scores.iter().map(part).collect();
            let products: Vec<f64> =
                scores.iter().zip(&parts).map(|(one, part)| one.score.as_f64() * part).collect();
            let value = mean(&products) / mean(&parts);
            Some((value * completeness(policy, work)).clamp(0.0, 1.0))
        }
    }
}

/// 1 from the full share of scored tasks on, below it the square root of what is reached of it.
fn completeness(policy: &Policy, work: &Work<'_>) -> f64 {
    if work.tasks_assigned == 0 {
        // Scored without an assignment of ours: nothing was left undone.
        return 1.0;
    }
    let share = work.tasks_scored as f64 / work.tasks_assigned as f64;
    let full = policy.completeness_full.max(1) as f64 / ONE as f64;
    if share >= full { 1.0 } else { (share / full).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::{DAY, HOUR};

    const NOW: Millis = Millis(1_000 * DAY);
    const FROM: Millis = NOW.plus(-7 * DAY);

    /// Scores in millionths with their ages in hours.
    fn scores(scores: &[(i64, i64)]) -> Vec<Scored> {
        let one = |&(age, score): &(i64, i64)| Scored {
            scored_at: NOW.plus(-age * HOUR),
            score: Score::clamped(score),
        };
        scores.iter().map(one).collect()
    }

    fn value(
        averaging: Averaging,
        ages_and_scores: &[(i64, i64)],
        done: (u64, u64),
    ) -> Option<f64> {
        let scores = scores(ages_and_scores);
        let (tasks_scored, tasks_assigned) = done;
        let work = Work { scores: &scores, tasks_assigned, tasks_scored };
        task_value(&Policy { averaging, ..Policy::default() }, &work, FROM, NOW)
    }

    #[test]
    fn the_mean_takes_the_window_and_nothing_else() {
        let given = [(0, 1), (1, 500_000), (7 * 24, 700_000), (7 * 24 + 1, 1), (-1, 1)];
        assert_eq!(value(Averaging::Mean, &given, (0, 0)), Some(0.6));
        assert_eq!(value(Averaging::Mean, &[(0, 1), (200, 1)], (0, 0)), None);
        assert_eq!(value(Averaging::Mean, &[], (0, 0)), None);
        // What is left undone does not move it.
        assert_eq!(value(Averaging::Mean, &given, (1, 100)), Some(0.6));
    }

    #[test]
    fn a_score_loses_half_of_its_part_in_a_day() {
        let got = value(Averaging::Decayed, &[(1, 900_000), (25, 300_000)], (2, 2)).unwrap();
        assert!((got - (0.9 + 0.3 * 0.5) / 1.5).abs() < 1e-15, "{got}");
    }

    #[test]
    fn below_thirty_per_cent_scored_the_value_shrinks_with_the_root() {
        for (scored, assigned, factor) in [
            (3, 10, 1.0),
            (9, 10, 1.0),
            (75, 1_000, 0.5),
            (0, 10, 0.0),
            (5, 0, 1.0),
            (0, 0, 1.0),
            (12, 10, 1.0),
        ] {
            let got = value(Averaging::Decayed, &[(1, 800_000)], (scored, assigned)).unwrap();
            assert!((got - 0.8 * factor).abs() < 1e-15, "{scored} of {assigned}: {got}");
        }
    }

    #[test]
    fn old_scores_alone_still_have_a_value() {
        let scores = [Scored { scored_at: Millis(0), score: Score::clamped(600_000) }];
        let work = Work { scores: &scores, tasks_assigned: 1, tasks_scored: 1 };
        let policy = Policy { averaging: Averaging::Decayed, ..Policy::default() };
        // A part of 2^(-1,000,000) of whatever comes now is still all there is.
        let got = task_value(&policy, &work, Millis(i64::MIN), Millis(1_000_000 * DAY));
        assert_eq!(got, Some(0.6));
        let ends = [
            Scored { scored_at: Millis(i64::MIN), score: Score::ONE },
            Scored { scored_at: Millis(i64::MAX - 1), score: Score::clamped(250_000) },
        ];
        let work = Work { scores: &ends, ..work };
        let got = task_value(&policy, &work, Millis(i64::MIN), Millis(i64::MAX));
        assert_eq!(got, Some(0.25));
    }

    #[test]
    fn the_order_of_the_rows_changes_no_bit() {
        let mut given = [(1, 123_457), (2, 987_651), (2, 1), (40, 333_333), (90, 777_777)];
        let expected = value(Averaging::Decayed, &given, (5, 9)).unwrap().to_bits();
        for turn in 1..given.len() {
            given.rotate_left(turn);
            given.swap(0, 2);
            let got = value(Averaging::Decayed, &given, (5, 9)).unwrap();
            assert_eq!(got.to_bits(), expected);
        }
    }
}
