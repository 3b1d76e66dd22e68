//! How long a task will take, told at its submit, and how well that came true.
//!
//! The guess is simple: the time that such work takes when nothing waits, and one begin's pace for
//! each task ahead. What it is told as is *calibrated*: the guess times the quantiles of what lately
//! came of guesses (split conformal prediction, Vovk et al., 2005), so that half of all tasks are
//! done within the p50 that was told and 95 % within the p95, however wrong the guess is by a factor.

use std::collections::VecDeque;

use super::units::{Millis, ONE};

/// Done tasks whose guesses are remembered.
const REMEMBERED: usize = 256;
/// Done tasks without which nothing is told.
const TASKS_MIN: usize = 8;
/// Share of the newest task in the mean, one in so many.
const EWMA: i64 = 8;
/// How long begins are counted for their pace, in milliseconds.
const PACE_MILLIS: i64 = 500;
/// What is left of older tasks in the calibration with each new one, in millionths: a memory of a
/// thousand.
const KEEP: i64 = 999_000;

/// What was told of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The guess.
    guess_millis: i64,
    /// Whether something was ahead of it.
    behind: bool,
    /// Half of such tasks are done within this time.
    pub p50_millis: Option<i64>,
    /// 95 % are.
    pub p95_millis: Option<i64>,
}

/// How well what was told came true, over recent tasks. Shares in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calibration {
    /// Recent tasks that were told something, in millionths of a task.
    tasks: i64,
    within_p50: i64,
    within_p95: i64,
}

impl Calibration {
    fn note(&mut self, took_millis: i64, p50_millis: i64, p95_millis: i64) {
        let kept = |sum: i64| sum.saturating_mul(KEEP) / ONE;
        let one = |within: bool| if within { ONE } else { 0 };
        self.tasks = kept(self.tasks).saturating_add(ONE);
        self.within_p50 = kept(self.within_p50).saturating_add(one(took_millis <= p50_millis));
        self.within_p95 = kept(self.within_p95).saturating_add(one(took_millis <= p95_millis));
    }

    /// Recent tasks that were told something.
    #[must_use]
    pub const fn tasks(&self) -> i64 {
        self.tasks / ONE
    }

    /// Share of them that were done within the p50 they were told, and within the p95; `None`
    /// without any.
    #[must_use]
    pub fn within(&self) -> Option<(i64, i64)> {
        let share = |sum: i64| {
            let share = i128::from(sum) * i128::from(ONE) / i128::from(self.tasks.max(1));
            i64::try_from(share).unwrap_or(0)
        };
        (self.tasks > 0).then(|| (share(self.within_p50), share(self.within_p95)))
    }
}

/// What is known of the tasks of one kind.
#[derive(Debug, Clone, Default)]
pub struct Estimator {
    /// Mean time of tasks with nothing ahead, in microseconds; 0 before the first.
    alone_micros: i64,
    /// Time between two begins while tasks wait, in microseconds.
    pace_micros: i64,
    counted: i64,
    counted_since: Millis,
    /// Times taken over guesses, in millionths, oldest first.
    ratios: VecDeque<i64>,
    /// Their median and 95th percentile.
    quantiles: Option<(i64, i64)>,
    calibration: Calibration,
}

impl Estimator {
    /// What to tell of a task with so many ahead.
    #[must_use]
    pub fn tell(&self, ahead: usize) -> Told {
        let ahead = i64::try_from(ahead).unwrap_or(i64::MAX);
        let wait = self.pace_micros.saturating_mul(ahead);
        let guess_millis = (self.alone_micros.saturating_add(wait) / 1_000).max(1);
        let times = |ratio: i64| {
            let millis = i128::from(guess_millis) * i128::from(ratio) / i128::from(ONE);
            i64::try_from(millis).unwrap_or(i64::MAX)
        };
        Told {
            guess_millis,
            behind: ahead > 0,
            p50_millis: self.quantiles.map(|(p50, _)| times(p50)),
            p95_millis: self.quantiles.map(|(_, p95)| times(p95)),
        }
    }

    /// A task was begun, and others still wait or not.
    pub fn begun(&mut self, others_wait: bool, now: Millis) {
        if !others_wait {
            self.counted = 0;
            return;
        }
        if self.counted == 0 {
            self.counted_since = now;
        }
        self.counted += 1;
        let millis = now.since(self.counted_since);
        if millis >= PACE_MILLIS {
            self.pace_micros = millis.saturating_mul(1_000) / (self.counted - 1).max(1);
            self.counted = 0;
        }
    }

    /// A task was done after `took_millis`.
    pub fn done(&mut self, took_millis: i64, told: &Told) {
        let took_millis = took_millis.max(0);
        if let (Some(p50), Some(p95)) = (told.p50_millis, told.p95_millis) {
            self.calibration.note(took_millis, p50, p95);
        }
        if !told.behind {
            let micros = took_millis.saturating_mul(1_000).max(1);
            self.alone_micros = match self.alone_micros {
                0 => micros,
                mean => mean + (micros - mean) / EWMA,
            };
        }
        let ratio =
            i128::from(took_millis) * i128::from(ONE) / i128::from(told.guess_millis.max(1));
        if self.ratios.len() == REMEMBERED {
            self.ratios.pop_front();
        }
        self.ratios.push_back(i64::try_from(ratio).unwrap_or(i64::MAX));
    }

    /// Takes what came of guesses into account; to be called now and then, since it sorts them.
    pub fn calibrate(&mut self) {
        if self.ratios.len() < TASKS_MIN {
            return;
        }
        let mut sorted: Vec<_> = self.ratios.iter().copied().collect();
        sorted.sort_unstable();
        // The rank that holds for one more task drawn like these.
        let rank = |share: usize| ((sorted.len() + 1) * share).div_ceil(100).min(sorted.len());
        let at = |share| sorted.get(rank(share).saturating_sub(1)).copied();
        self.quantiles = at(50).zip(at(95));
    }

    /// How well what was told came true.
    #[must_use]
    pub const fn calibration(&self) -> Calibration {
        self.calibration
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn without_experience_nothing_is_told() {
        let mut estimator = Estimator::default();
        for _ in 0..TASKS_MIN - 1 {
            let told = estimator.tell(0);
            estimator.done(100, &told);
            estimator.calibrate();
            assert_eq!(told.p50_millis, None);
        }
        assert_eq!(estimator.calibration().within(), None);
    }

    #[test]
    fn who_is_further_behind_is_told_more() {
        let mut estimator = Estimator::default();
        (0..=50).for_each(|n| estimator.begun(true, Millis(n * 10)));
        for _ in 0..20 {
            let told = estimator.tell(0);
            estimator.done(200, &told);
        }
        estimator.calibrate();
        let p50 = |ahead| estimator.tell(ahead).p50_millis.unwrap();
        assert!(p50(0) < p50(10) && p50(10) < p50(100));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        // Whatever the spread of the times and however wrong the guess: it comes true as told.
        #[test]
        fn what_is_told_comes_true(seed in any::<u64>(), scale in 1_i64..5_000, spread in 1_i64..40) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut estimator = Estimator { pace_micros: 777, ..Estimator::default() };
            for n in 0..4_000 {
                let ahead = rng.random_range(0..200);
                let told = estimator.tell(ahead as usize);
                let noise = rng.random_range(100..100 + 100 * spread);
                let took = (scale + ahead * scale / 20) * noise / 100;
                estimator.done(took, &told);
                if n % 8 == 0 {
                    estimator.calibrate();
                }
            }
            let (p50, p95) = estimator.calibration().within().unwrap();
            prop_assert!((430_000..570_000).contains(&p50), "{p50}");
            prop_assert!((910_000..980_000).contains(&p95), "{p95}");
        }
    }
}
