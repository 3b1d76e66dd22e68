//! A simulated miner: waits for leases, fetches the input, works for a while, answers.
//!
//! The loop is the one of `examples/miner.rs`, with several tasks at a time and with the faults
//! that its profile asks for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::sim::call::Call;
use crate::sim::client::{Api, ApiError};
use crate::sim::craft::{Craft, imperfect};
use crate::sim::roster::KnownMiner;
use crate::sim::tally::Tally;
use crate::sim::wire::{Assignment, Uploaded};
use crate::sim::{Stop, seeded, speech, stopped};

const POLL_SECS: u64 = 10;
/// Pause after a failed poll that named none.
const RETRY: Duration = Duration::from_millis(500);
/// Keeps heartbeats sane when the server's clock and ours disagree.
const HEARTBEAT_MIN: Duration = Duration::from_millis(200);

/// One miner of the fleet.
#[derive(Debug, Clone)]
pub struct Miner {
    api: Api,
    known: Arc<KnownMiner>,
    tally: Arc<Tally>,
    seed: u64,
}

/// How a piece of work ended.
enum Outcome {
    Answered,
    Released,
    Crashed,
}

impl Miner {
    /// A miner that calls through `api`, which signs with its key.
    #[must_use]
    pub fn new(api: Api, known: Arc<KnownMiner>, tally: Arc<Tally>, seed: u64) -> Self {
        Self { api, known, tally, seed }
    }

    /// Works until told to stop.
    pub async fn run(self, mut stop: Stop) {
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = self.poll_and_work() => {}
        }
    }

    /// Never ends by itself. Dropping it drops the work in progress, like a machine that is
    /// switched off.
    async fn poll_and_work(&self) {
        let mut work = JoinSet::new();
        let mut taken = HashSet::new();
        // After a start or a failed poll, an answer may have been lost on the way: ask for every
        // live lease once, not for new ones.
        let mut resync = true;
        loop {
            while work.try_join_next().is_some() {}
            if work.len() >= usize::from(self.known.profile.capacity) {
                work.join_next().await;
                continue;
            }
            match self.poll(resync).await {
                Ok(assignments) => {
                    resync = false;
                    for assignment in assignments {
                        if taken.insert(assignment.lease.token.clone()) {
                            work.spawn(self.clone().handle(assignment));
                        }
                    }
                }
                Err(error) => {
                    self.tally.error("miner", &error);
                    resync = true;
                    sleep(error.retry_after().unwrap_or(RETRY)).await;
                }
            }
        }
    }

    async fn poll(&self, resync: bool) -> Result<Vec<Assignment>, ApiError> {
        let wait = if resync { String::new() } else { format!("&wait={POLL_SECS}") };
        let uid = self.known.member.uid;
        self.api.json(&Call::get(format!("/api/v1/miners/{uid}/tasks?status=assigned{wait}"))).await
    }

    async fn handle(self, assignment: Assignment) {
        let _working = self.known.work();
        let uid = self.known.member.uid;
        let task_id = assignment.task_id.clone();
        match self.work(assignment).await {
            Ok(Outcome::Answered) => self.tally.answered(&task_id, uid),
            Ok(Outcome::Released) => self.tally.miner(uid, |counts| counts.released += 1),
            Ok(Outcome::Crashed) => self.tally.miner(uid, |counts| counts.crashed += 1),
            Err(error) if error.is_lost_lease() => {
                self.tally.miner(uid, |counts| counts.lost += 1);
            }
            Err(error) => self.tally.error("miner", &error),
        }
    }

    async fn work(&self, assignment: Assignment) -> Result<Outcome, ApiError> {
        let profile = &self.known.profile;
        let Assignment { task_id, task_type, lease, input } = assignment;
        // By the task, not by the order of arrival, which depends on the machine.
        let uid = self.known.member.uid;
        let mut rng = seeded(self.seed, &format!("miner/{uid}/lease/{}", lease.token));
        let Some(craft) = Craft::from_name(&task_type) else {
            return self.release(&task_id, &lease.token, "unsupported").await;
        };
        let input = input.fetch(&self.api).await?;
        if rng.random_bool(profile.crash_rate) {
            return Ok(Outcome::Crashed);
        }
        let millis = profile.service_millis as f64 * rng.random_range(0.5..1.5);
        let time = Duration::from_millis(millis as u64);
        self.spend(time, &task_id, &lease.token, &lease.expires_at).await?;
        if rng.random_bool(profile.failure_rate) {
            return self.release(&task_id, &lease.token, "failed").await;
        }
        let words = imperfect(&craft.perfect(&input), profile.quality, &mut rng);
        let file_id = match craft {
            Craft::Tts => Some(self.upload(&task_id, &words).await?),
            Craft::Transcription | Craft::Summarization => None,
        };
        let response = craft.response(&words, file_id.as_deref()).to_string();
        self.respond(&task_id, &lease.token, &response, &mut rng).await
    }

    /// Lets the time of the work pass; long work says in between that it goes on.
    async fn spend(
        &self,
        time: Duration,
        task_id: &str,
        token: &str,
        expires_at: &str,
    ) -> Result<(), ApiError> {
        let beat = (time_until(expires_at) / 3).max(HEARTBEAT_MIN);
        let mut left = time;
        while left > beat {
            sleep(beat).await;
            left -= beat;
            let target = format!("/api/v1/miner/tasks/{task_id}/heartbeat");
            let call = Call::json(target, &json!({ "lease_token": token }));
            self.api.json::<serde_json::Value>(&call).await?;
        }
        sleep(left).await;
        Ok(())
    }

    async fn release(&self, task: &str, token: &str, reason: &str) -> Result<Outcome, ApiError> {
        let target = format!("/api/v1/miner/tasks/{task}/release");
        let call = Call::json(target, &json!({"lease_token": token, "reason": reason}));
        self.api.json::<serde_json::Value>(&call).await?;
        Ok(Outcome::Released)
    }

    async fn upload(&self, task_id: &str, words: &[&str]) -> Result<String, ApiError> {
        let wav = speech::speak(words.iter().copied());
        let call = Call::upload("/api/v1/miner/files", &[("task_id", task_id)], "file", &wav);
        let uploaded: Uploaded = self.api.json(&call).await?;
        Ok(uploaded.file_id)
    }

    async fn respond(
        &self,
        task_id: &str,
        token: &str,
        response: &str,
        rng: &mut StdRng,
    ) -> Result<Outcome, ApiError> {
        let uid = self.known.member.uid.to_string();
        // What miners claim about themselves, as the original's clients send it.
        let claimed = format!("{:.3}", rng.random_range(0.9..1.0));
        let fields = [
            ("task_id", task_id),
            ("miner_uid", &uid),
            ("response_data", response),
            ("lease_token", token),
            ("accuracy_score", &claimed),
            ("speed_score", &claimed),
        ];
        let call = Call::form("/api/v1/miner/response", &fields);
        // The same answer twice is one answer, so a busy server is asked again.
        self.api.json_patiently::<serde_json::Value>(&call, 5).await?;
        Ok(Outcome::Answered)
    }
}

/// Time from now to an RFC 3339 moment; an hour when it cannot be read.
fn time_until(moment: &str) -> Duration {
    let parsed = DateTime::parse_from_rfc3339(moment);
    parsed.map_or(Duration::from_secs(3_600), |then| {
        (then.with_timezone(&Utc) - Utc::now()).to_std().unwrap_or_default()
    })
}
