//! A simulated validator: reports on every miner each period and judges finished tasks, as
//! honestly as its [`Behaviour`] lets it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::sim::call::Call;
use crate::sim::client::{Api, ApiError};
use crate::sim::craft::{Craft, accuracy};
use crate::sim::roster::{KnownMiner, KnownValidator};
use crate::sim::tally::Tally;
use crate::sim::wire::{AnsweredTask, Evaluated, Reported, ToEvaluate, answer_words};
use crate::sim::{Stop, seeded, stopped};

/// How often it looks for tasks to judge.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An honest measurement is off by about this much.
const NOISE: f64 = 0.02;

/// How a validator gets from the truth to what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Says what it measured.
    Honest,
    /// Measured once, roughly, and repeats that for ever.
    Lazy,
    /// Adds the same amount to everybody.
    Biased,
    /// Says anything.
    Random,
    /// Lifts its friends and drops the others, in agreement with its like.
    Colluding,
    /// Honest for some periods, then says the opposite for some.
    Switching,
}

impl Behaviour {
    /// The dishonest ones, in the order in which liars get them: the first two agree with each
    /// other, which is the hardest lie to see through.
    pub const LIES: [Self; 6] =
        [Self::Colluding, Self::Colluding, Self::Random, Self::Biased, Self::Lazy, Self::Switching];
    /// How long a switching validator stays honest, and then stays not.
    const SWITCH_PERIODS: u64 = 3;

    /// Its name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Lazy => "lazy",
            Self::Biased => "biased",
            Self::Random => "random",
            Self::Colluding => "colluding",
            Self::Switching => "switching",
        }
    }

    /// What it says when the truth is `truth`, both 0..=1. `rng` belongs to this validator, miner
    /// and (unless lazy) period.
    pub fn says(self, truth: f64, is_friend: bool, period: u64, rng: &mut StdRng) -> f64 {
        let said = match self {
            Self::Honest => truth + noise(NOISE, rng),
            Self::Lazy => truth + noise(10.0 * NOISE, rng),
            Self::Biased => truth + 0.3,
            Self::Random => rng.random(),
            Self::Colluding if is_friend => 1.0,
            Self::Colluding => 0.3 * truth,
            Self::Switching if (period / Self::SWITCH_PERIODS).is_multiple_of(2) => {
                truth + noise(NOISE, rng)
            }
            Self::Switching => 1.0 - truth,
        };
        said.clamp(0.0, 1.0)
    }
}

/// Roughly normal, with the given standard deviation: the sum of three uniform numbers is enough.
fn noise(deviation: f64, rng: &mut StdRng) -> f64 {
    let sum: f64 = (0..3).map(|_| rng.random_range(-1.0..1.0)).sum();
    sum * deviation
}

/// One validator of the fleet.
#[derive(Debug)]
pub struct Validator {
    api: Api,
    known: KnownValidator,
    miners: Arc<[Arc<KnownMiner>]>,
    tally: Arc<Tally>,
    seed: u64,
    period: u64,
    judged: HashSet<String>,
}

impl Validator {
    /// A validator that calls through `api`, which signs with its key.
    #[must_use]
    pub fn new(
        api: Api,
        known: KnownValidator,
        miners: Arc<[Arc<KnownMiner>]>,
        tally: Arc<Tally>,
        seed: u64,
    ) -> Self {
        Self { api, known, miners, tally, seed, period: 0, judged: HashSet::new() }
    }

    /// Reports every `period` and judges in between, until told to stop.
    pub async fn run(mut self, period: Duration, mut stop: Stop) {
        let mut report = interval(period);
        let mut look = interval(LOOK_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and the fleet has asked for the first report already.
        report.reset();
        loop {
            tokio::select! {
                () = stopped(&mut stop) => return,
                _ = report.tick() => self.report().await,
                _ = look.tick() => self.judge().await,
            }
        }
    }

    /// Reports on all miners, as form fields, the way clients of the original do.
    pub async fn report(&mut self) {
        let period = self.period;
        self.period += 1;
        let (statuses, said): (Vec<Value>, Vec<(u16, f64)>) = self
            .miners
            .iter()
            .map(|miner| {
                let score = self.bent(miner.profile.performance(), miner, "report");
                (status_of(miner, score), (miner.member.uid, score))
            })
            .unzip();
        let uid = self.known.member.uid;
        let fields = [
            ("validator_uid", uid.to_string()),
            ("miner_statuses", Value::from(statuses).to_string()),
            ("epoch", period.to_string()),
        ];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let call = Call::form("/api/v1/validators/miner-status", &fields);
        match self.api.json::<Reported>(&call).await {
            Ok(answer) if answer.rejected.is_empty() => self.tally.reported(uid, &said),
            Ok(answer) => self.tally.error(
                "validator",
                &ApiError::Unexpected {
                    target: "miner-status".to_owned(),
                    reason: format!("{} statuses were rejected", answer.rejected.len()),
                },
            ),
            Err(error) => self.tally.error("validator", &error),
        }
    }

    /// Judges what is left to judge.
    pub async fn judge(&mut self) {
        let tasks = match self.api.json(&Call::get("/api/v1/validator/tasks")).await {
            Ok(ToEvaluate { tasks }) => tasks,
            Err(error) => return self.tally.error("validator", &error),
        };
        for task in tasks {
            if self.judged.contains(&task.task_id) {
                continue;
            }
            let task_id = task.task_id.clone();
            match self.judge_one(task).await {
                Ok(status) => self.tally.evaluated(&task_id, self.known.member.uid, &status),
                Err(error) => {
                    self.tally.error("validator", &error);
                    if error.retry_after().is_some() {
                        return;
                    }
                }
            }
            // Also what failed for good: one try each, or it would fail at every look.
            self.judged.insert(task_id);
        }
    }

    /// Judges one task and gives its status afterwards.
    async fn judge_one(&self, task: AnsweredTask) -> Result<String, ApiError> {
        let Some(craft) = Craft::from_name(&task.task_type) else {
            return Err(ApiError::Unexpected {
                target: "validator/tasks".to_owned(),
                reason: format!("unknown kind `{}`", task.task_type),
            });
        };
        let input = task.input.fetch(&self.api).await?;
        let truth = craft.perfect(&input);
        let mut evaluations = Vec::with_capacity(task.responses.len());
        for response in &task.responses {
            let words = answer_words(&self.api, &response.response_data).await?;
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let measured = accuracy(&truth, &words);
            let miner = self.miners.iter().find(|miner| miner.member.uid == response.miner_uid);
            let accuracy =
                miner.map_or(measured, |miner| self.bent(measured, miner, &task.task_id));
            let speed = 1.0 / (1.0 + response.elapsed_ms.unwrap_or_default().max(0.0) / 1_000.0);
            evaluations.push(
                json!({"miner_uid": response.miner_uid, "accuracy": accuracy, "speed": speed}),
            );
        }
        let uid = self.known.member.uid.to_string();
        let data = json!({ "evaluations": evaluations }).to_string();
        let fields = [
            ("task_id", task.task_id.as_str()),
            ("validator_uid", &uid),
            ("evaluation_data", &data),
        ];
        let call = Call::form("/api/v1/validator/evaluation", &fields);
        Ok(self.api.json::<Evaluated>(&call).await?.task_status)
    }

    fn bent(&self, truth: f64, miner: &KnownMiner, about: &str) -> f64 {
        let behaviour = self.known.behaviour;
        let period = if behaviour == Behaviour::Lazy { 0 } else { self.period };
        let (me, uid) = (self.known.member.uid, miner.member.uid);
        let label = format!("validator/{me}/miner/{uid}/{about}/{period}");
        behaviour.says(truth, miner.is_friend, period, &mut seeded(self.seed, &label))
    }
}

/// One entry of a report.
fn status_of(miner: &KnownMiner, performance: f64) -> Value {
    let member = &miner.member;
    json!({
        "uid": member.uid,
        "hotkey": member.hotkey,
        "stake": member.stake,
        "is_serving": true,
        "performance_score": performance,
        "current_load": miner.load(),
        "max_capacity": miner.profile.capacity,
        "task_type_specialization": Craft::ALL.map(Craft::name),
        "ip": "127.0.0.1",
        "port": 8_000 + u32::from(member.uid),
        "last_seen": chrono::Utc::now().to_rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behaviour_stays_within_zero_to_one() {
        let mut rng = seeded(1, "test");
        for behaviour in [Behaviour::Honest].into_iter().chain(Behaviour::LIES) {
            for truth in [0.0, 0.5, 1.0] {
                for period in 0..10 {
                    let said = behaviour.says(truth, period % 2 == 0, period, &mut rng);
                    assert!((0.0..=1.0).contains(&said), "{behaviour:?} {truth} {said}");
                }
            }
        }
    }

    #[test]
    fn honest_is_near_the_truth_and_colluders_agree() {
        let (mut one, mut other) = (seeded(1, "one"), seeded(1, "other"));
        for period in 0..50 {
            let honest = Behaviour::Honest.says(0.7, false, period, &mut one);
            assert!((honest - 0.7).abs() <= 3.0 * NOISE);
            let said = Behaviour::Colluding.says(0.7, false, period, &mut one);
            assert!(
                (said - Behaviour::Colluding.says(0.7, false, period, &mut other)).abs() < 1e-9
            );
        }
    }
}
