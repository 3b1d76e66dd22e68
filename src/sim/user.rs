//! A simulated client: submits tasks, waits for them, and checks what it gets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::sim::call::Call;
use crate::sim::client::{Api, ApiError};
use crate::sim::craft::{Craft, Input, accuracy};
use crate::sim::tally::Tally;
use crate::sim::wire::{TaskResult, TaskState, answer_words};
use crate::sim::{seeded, speech};

const WAIT_SECS: u64 = 30;
/// How often a submit is repeated while the server is busy.
const TRIES: u32 = 10;
/// Between two waits that ended early, so that a server that does not park is not hammered.
const PAUSE: Duration = Duration::from_millis(200);
/// Longer than the shortest text that each kind takes.
const TEXT_WORDS: usize = 24;

/// What one client does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number in the fleet.
    pub index: u16,
    /// Tasks to submit.
    pub tasks: u32,
    /// Tasks open at a time.
    pub parallel: u16,
    /// Seconds of audio in a transcription.
    pub audio_secs: u32,
    /// Answers wanted per task; the server's default when absent.
    pub redundancy: Option<u16>,
    /// Seconds until the server may give up a task.
    pub deadline_secs: u64,
    /// Seed of the run.
    pub seed: u64,
}

/// One client of the fleet.
#[derive(Debug, Clone)]
pub struct User {
    api: Api,
    plan: Arc<Plan>,
    tally: Arc<Tally>,
}

/// One task before it is submitted: the truth and the request.
struct Order {
    craft: Craft,
    input: Input,
    call: Call,
}

impl User {
    /// A client that calls through `api`.
    #[must_use]
    pub fn new(api: Api, plan: Plan, tally: Arc<Tally>) -> Self {
        Self { api, plan: Arc::new(plan), tally }
    }

    /// Submits all its tasks, and returns when all of them are finished.
    pub async fn run(self) {
        let mut open = JoinSet::new();
        for number in 0..self.plan.tasks {
            if open.len() >= usize::from(self.plan.parallel.max(1)) {
                open.join_next().await;
            }
            open.spawn(self.clone().one_task(number));
        }
        open.join_all().await;
    }

    async fn one_task(self, number: u32) {
        if let Err(error) = self.see_through(self.order(number)).await {
            self.tally.error("client", &error);
            self.tally.failed();
        }
    }

    async fn see_through(&self, order: Order) -> Result<(), ApiError> {
        let sent = Instant::now();
        let submitted: TaskState = self.api.json_patiently(&order.call, TRIES).await?;
        let task_id = submitted.task_id;
        self.tally.submitted(&task_id, sent);
        let ended_well = loop {
            let target = format!("/api/v1/tasks/{task_id}?wait={WAIT_SECS}");
            let state: TaskState = self.api.json_patiently(&Call::get(target), TRIES).await?;
            match state.status.as_str() {
                "done" | "approved" => break true,
                "failed" | "cancelled" | "expired" => break false,
                _ => sleep(PAUSE).await,
            }
        };
        if !ended_well {
            self.tally.failed();
            return Ok(());
        }
        self.tally.done(&task_id);
        // The task is done whatever happens to the look at its result.
        match self.check_result(&order, &task_id).await {
            Ok(accuracy) => self.tally.result(accuracy),
            Err(error) => self.tally.error("client", &error),
        }
        Ok(())
    }

    async fn check_result(&self, order: &Order, task_id: &str) -> Result<f64, ApiError> {
        let target = format!("/api/v1/{}/{task_id}/result", order.craft.name());
        let result: TaskResult = self.api.json(&Call::get(target)).await?;
        let words = answer_words(&self.api, &result.result).await?;
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        Ok(accuracy(&order.craft.perfect(&order.input), &words))
    }

    fn order(&self, number: u32) -> Order {
        let plan = &self.plan;
        let mut rng = seeded(plan.seed, &format!("client/{}/task/{number}", plan.index));
        let craft = Craft::ALL[number as usize % Craft::ALL.len()];
        let priority = ["low", "normal", "high", "urgent"][rng.random_range(0..4)];
        let deadline = plan.deadline_secs.to_string();
        let redundancy = plan.redundancy.map(|count| count.to_string());
        let mut fields =
            vec![("source_language", "en"), ("priority", priority), ("deadline_secs", &deadline)];
        if let Some(count) = &redundancy {
            fields.push(("redundancy", count));
        }
        let target = format!("/api/v1/{}", craft.name());
        let (input, call) = match craft {
            Craft::Transcription => {
                let words = plan.audio_secs * 1_000 / speech::WORD_MILLIS;
                let wav = speech::speak(speech::sentence(&mut rng, words as usize));
                let call = Call::upload(target, &fields, "audio_file", &wav);
                (Input::Audio(wav), call)
            }
            Craft::Tts | Craft::Summarization => {
                let text = speech::sentence(&mut rng, TEXT_WORDS).join(" ");
                fields.push(("text", &text));
                let call = Call::form(target, &fields);
                (Input::Text(text), call)
            }
        };
        // New in every run, so that two runs with one seed are two sets of tasks.
        let key = uuid::Uuid::now_v7().to_string();
        Order { craft, input, call: call.idempotent(key) }
    }
}
