//! The result of a run: numbers to compare and a table to read.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::sim::roster::{KnownMiner, KnownValidator, Roster};
use crate::sim::tally::{Counts, Marks};
use crate::sim::validator::Behaviour;

/// What a run came to. Serializes to JSON; `Display` is a table for people.
#[derive(Debug, Clone, Serialize)]
pub struct FleetReport {
    /// Whether all clients finished within the limit.
    pub finished: bool,
    /// Seconds from the first submit to the last finished task.
    pub work_secs: f64,
    /// Tasks submitted.
    pub submitted: usize,
    /// Tasks that came back with their answers.
    pub done: usize,
    /// Tasks that enough validators evaluated.
    pub approved: usize,
    /// Tasks that ended otherwise.
    pub failed: u64,
    /// Finished tasks per second of work.
    pub tasks_per_sec: f64,
    /// Mean share of right words in the results that clients got.
    pub mean_accuracy: Option<f64>,
    /// How long each step took.
    pub steps: Vec<Step>,
    /// How far the published performances are from the truth.
    pub published_error: Option<ErrorOfMiners>,
    /// The same if validators' last reports were merely averaged by stake.
    pub plain_average_error: Option<ErrorOfMiners>,
    /// Per miner.
    pub miners: Vec<MinerLine>,
    /// Per validator.
    pub validators: Vec<ValidatorLine>,
    /// Failed calls, by `<who>: <code>`.
    pub errors: BTreeMap<String, u64>,
}

/// Time from the submit of a task to a step of it; for `submit` itself, to its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// submit, first response, done, evaluated.
    pub name: &'static str,
    /// Tasks that came so far.
    pub count: usize,
    /// Median in milliseconds.
    pub p50_millis: f64,
    /// 99th percentile in milliseconds.
    pub p99_millis: f64,
}

/// Distance between said and true performance over all miners.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ErrorOfMiners {
    /// Mean distance.
    pub mean: f64,
    /// Largest distance.
    pub max: f64,
}

/// A miner's performance as the server publishes it.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// The miner.
    pub uid: u16,
    /// 0..=1, or none when the server has none.
    pub score: Option<f64>,
}

/// One miner's part.
#[derive(Debug, Clone, Serialize)]
pub struct MinerLine {
    /// The miner.
    pub uid: u16,
    /// Its true performance.
    pub truth: f64,
    /// What the server published.
    pub published: Option<f64>,
    /// What the validators' stake-weighted average would be.
    pub plain_average: Option<f64>,
    /// Answers accepted.
    pub answered: u64,
    /// Its share of all accepted answers.
    pub share: f64,
    /// Tasks given back.
    pub released: u64,
    /// Tasks taken and forgotten.
    pub crashed: u64,
    /// Leases that ended before the answer came.
    pub lost: u64,
}

/// One validator's part.
#[derive(Debug, Clone, Serialize)]
pub struct ValidatorLine {
    /// The validator.
    pub uid: u16,
    /// Its [`Behaviour`].
    pub behaviour: &'static str,
    /// Reports taken.
    pub reports: u64,
    /// Evaluations taken.
    pub evaluations: u64,
    /// Mean distance of its last report from the truth.
    pub error: Option<f64>,
}

impl FleetReport {
    /// Adds up a run.
    #[must_use]
    pub fn new(
        roster: &Roster,
        counts: &Counts,
        published: &[Published],
        working: Duration,
        finished: bool,
    ) -> Self {
        let happened = |which: fn(&Marks) -> Option<Instant>| {
            counts.tasks.values().filter(|marks| which(marks).is_some()).count()
        };
        let known: Vec<_> = roster.miners.iter().map(|(miner, _)| miner.as_ref()).collect();
        let judges: Vec<_> = roster.validators.iter().map(|(validator, _)| validator).collect();
        let miners: Vec<_> =
            known.iter().map(|miner| miner_line(miner, &judges, counts, published)).collect();
        let done = happened(|marks| marks.done);
        Self {
            finished,
            work_secs: working.as_secs_f64(),
            submitted: counts.submit_times.len(),
            done,
            approved: happened(|marks| marks.approved),
            failed: counts.failed,
            tasks_per_sec: done as f64 / working.as_secs_f64().max(0.001),
            mean_accuracy: mean(counts.accuracies.iter().copied()),
            steps: steps(counts),
            published_error: error_of(&miners, |line| line.published),
            plain_average_error: error_of(&miners, |line| line.plain_average),
            miners,
            validators: judges.iter().map(|judge| validator_line(judge, &known, counts)).collect(),
            errors: counts.errors.clone(),
        }
    }

    /// Whether every task was done and no call failed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.finished && self.failed == 0 && self.errors.is_empty() && self.done == self.submitted
    }
}

fn steps(counts: &Counts) -> Vec<Step> {
    let since_submit = |which: fn(&Marks) -> Option<Instant>| {
        let tasks = counts.tasks.values();
        let times = tasks
            .filter_map(|marks| Some(which(marks)?.saturating_duration_since(marks.submitted?)));
        times.collect()
    };
    vec![
        step("submit", counts.submit_times.clone()),
        step("first response", since_submit(|marks| marks.answered)),
        step("done", since_submit(|marks| marks.done)),
        step("evaluated", since_submit(|marks| marks.approved)),
    ]
}

fn step(name: &'static str, mut times: Vec<Duration>) -> Step {
    times.sort_unstable();
    let quantile = |percent| quantile(&times, percent).as_secs_f64() * 1_000.0;
    Step { name, count: times.len(), p50_millis: quantile(50), p99_millis: quantile(99) }
}

/// Nearest rank: the smallest value that `percent` of all do not exceed; zero of nothing.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn miner_line(
    miner: &KnownMiner,
    judges: &[&KnownValidator],
    counts: &Counts,
    published: &[Published],
) -> MinerLine {
    let uid = miner.member.uid;
    let own = counts.miners.get(&uid).copied().unwrap_or_default();
    let all: u64 = counts.miners.values().map(|counts| counts.answered).sum();
    let said = judges.iter().filter_map(|judge| {
        let score = counts.said.get(&(judge.member.uid, uid))?;
        Some((judge.member.stake, *score))
    });
    let (weight, sum) = said
        .fold((0.0, 0.0), |(weight, sum), (stake, score)| (weight + stake, sum + stake * score));
    MinerLine {
        uid,
        truth: miner.profile.performance(),
        published: published.iter().find(|found| found.uid == uid).and_then(|found| found.score),
        plain_average: (weight > 0.0).then(|| sum / weight),
        answered: own.answered,
        share: own.answered as f64 / all.max(1) as f64,
        released: own.released,
        crashed: own.crashed,
        lost: own.lost,
    }
}

fn validator_line(
    judge: &KnownValidator,
    miners: &[&KnownMiner],
    counts: &Counts,
) -> ValidatorLine {
    let uid = judge.member.uid;
    let errors = miners.iter().filter_map(|miner| {
        let said = counts.said.get(&(uid, miner.member.uid))?;
        Some((said - miner.profile.performance()).abs())
    });
    ValidatorLine {
        uid,
        behaviour: judge.behaviour.name(),
        reports: counts.reports.get(&uid).copied().unwrap_or_default(),
        evaluations: counts.evaluations.get(&uid).copied().unwrap_or_default(),
        error: mean(errors),
    }
}

fn error_of(
    miners: &[MinerLine],
    said: impl Fn(&MinerLine) -> Option<f64>,
) -> Option<ErrorOfMiners> {
    let errors = || miners.iter().filter_map(|line| Some((said(line)? - line.truth).abs()));
    Some(ErrorOfMiners { mean: mean(errors())?, max: errors().fold(0.0, f64::max) })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

impl fmt::Display for FleetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { submitted, done, approved, failed, work_secs, tasks_per_sec, .. } = self;
        writeln!(
            f,
            "{submitted} tasks submitted, {done} done, {approved} approved, {failed} failed \
             in {work_secs:.1} s: {tasks_per_sec:.1} tasks/s"
        )?;
        if !self.finished {
            writeln!(f, "stopped at the time limit")?;
        }
        writeln!(f, "right words in the results: {}\n", share(self.mean_accuracy))?;
        writeln!(f, "{:<16}{:>7}{:>11}{:>11}", "since submit", "tasks", "p50 ms", "p99 ms")?;
        for Step { name, count, p50_millis, p99_millis } in &self.steps {
            writeln!(f, "{name:<16}{count:>7}{p50_millis:>11.1}{p99_millis:>11.1}")?;
        }
        self.write_miners(f)?;
        self.write_validators(f)?;
        for (what, count) in &self.errors {
            writeln!(f, "failed calls   {what}: {count}")?;
        }
        Ok(())
    }
}

impl FleetReport {
    fn write_miners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<8}{:>8}{:>11}{:>9}{:>9}{:>8}{:>10}{:>9}{:>6}",
            "miner",
            "truth",
            "published",
            "average",
            "answers",
            "share",
            "released",
            "crashed",
            "lost"
        )?;
        for line in &self.miners {
            writeln!(
                f,
                "{:<8}{:>8.3}{:>11}{:>9}{:>9}{:>8}{:>10}{:>9}{:>6}",
                line.uid,
                line.truth,
                number(line.published),
                number(line.plain_average),
                line.answered,
                share(Some(line.share)),
                line.released,
                line.crashed,
                line.lost
            )?;
        }
        let worst = |error: Option<ErrorOfMiners>| number(error.map(|error| error.max));
        let mean = |error: Option<ErrorOfMiners>| number(error.map(|error| error.mean));
        let (ours, plain) = (self.published_error, self.plain_average_error);
        writeln!(f, "{:<16}{:>11}{:>9}", "mean error", mean(ours), mean(plain))?;
        writeln!(f, "{:<16}{:>11}{:>9}", "worst error", worst(ours), worst(plain))
    }

    fn write_validators(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<11}{:<11}{:>8}{:>13}{:>12}",
            "validator", "behaviour", "reports", "evaluations", "mean error"
        )?;
        for ValidatorLine { uid, behaviour, reports, evaluations, error } in &self.validators {
            let error = number(*error);
            writeln!(f, "{uid:<11}{behaviour:<11}{reports:>8}{evaluations:>13}{error:>12}")?;
        }
        let liars =
            self.validators.iter().filter(|line| line.behaviour != Behaviour::Honest.name());
        match liars.count() {
            0 => Ok(()),
            count => writeln!(f, "{count} of {} validators lied", self.validators.len()),
        }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::fleet::FleetConfig;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 50), Duration::from_millis(50));
        assert_eq!(quantile(&times, 99), Duration::from_millis(99));
        assert_eq!(quantile(&times[..1], 99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn report_of_a_run_without_events_has_no_numbers_that_are_none() {
        let roster = Roster::draw(&FleetConfig::default());
        let report = FleetReport::new(&roster, &Counts::default(), &[], Duration::ZERO, false);
        assert_eq!((report.done, report.mean_accuracy.is_none()), (0, true));
        assert!(!report.to_string().contains("NaN"));
        assert!(serde_json::to_string(&report).is_ok());
        assert!(!report.is_clean());
    }
}
