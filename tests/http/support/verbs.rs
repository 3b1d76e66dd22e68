//! What the people of the contract do, as methods.

use std::time::Duration;

use serde_json::{Value, json};

use super::app::VALIDATORS;
use super::{Answer, Call, Part, Peer, TestApp, Who, status, validator, wait_for};

pub(crate) const TEXT: &str = "A sentence of some length, to be read aloud by whoever gets it.";
const LIMIT: Duration = Duration::from_secs(10);

impl TestApp {
    // Validators

    pub(crate) async fn send_report(&self, validator: &Peer, statuses: &Value) -> Answer {
        let call = Call::post("/api/v1/validators/miner-status").form(&[
            ("validator_uid", &validator.uid.to_string()),
            ("epoch", "7"),
            ("miner_statuses", &statuses.to_string()),
        ]);
        self.send(validator.who(), call).await
    }

    /// All validators report the same.
    pub(crate) async fn report_statuses(&self, statuses: &Value) {
        for n in 0..VALIDATORS {
            let answer = self.send_report(&validator(n), statuses).await.ok();
            assert_eq!(answer["rejected"], json!([]));
        }
    }

    /// All validators report that these miners serve everything, and the miners are at work.
    pub(crate) async fn report(&self, miners: &[&Peer]) {
        self.report_statuses(&miners.iter().map(|miner| status(miner)).collect()).await;
    }

    pub(crate) async fn send_evaluation(&self, by: &Peer, task: &str, data: &Value) -> Answer {
        let call = Call::post("/api/v1/validator/evaluation").form(&[
            ("task_id", task),
            ("validator_uid", &by.uid.to_string()),
            ("evaluation_data", &data.to_string()),
        ]);
        self.send(by.who(), call).await
    }

    /// Judges responses: miners' uids with their accuracy.
    pub(crate) async fn evaluate(&self, by: &Peer, task: &str, of: &[(u16, f64)]) -> Value {
        let one = |(uid, accuracy): &(u16, f64)| json!({ "miner_uid": uid, "accuracy": accuracy });
        let all: Vec<_> = of.iter().map(one).collect();
        self.send_evaluation(by, task, &json!({ "evaluations": all })).await.ok()
    }

    pub(crate) async fn distribute(&self, by: &Peer, limit: usize) -> Vec<Value> {
        let call = Call::post("/api/v1/validator/distribute")
            .json(&json!({ "validator_uid": by.uid, "limit": limit }));
        let answer = self.send(by.who(), call).await.ok();
        answer["tasks"].as_array().unwrap().clone()
    }

    // Clients

    /// Submits a tts task with these fields beside the text; its id.
    pub(crate) async fn submit_tts(&self, more: &[(&str, &str)]) -> String {
        let pairs: Vec<_> = [("text", TEXT)].into_iter().chain(more.iter().copied()).collect();
        let call = Call::post("/api/v1/tts").form(&pairs);
        let answer = self.send(Who::ApiKey(&self.client), call).await.ok();
        assert_eq!(answer["status"], "pending");
        answer["task_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn submit_audio(&self, audio: &[u8], more: &[(&str, &str)]) -> Answer {
        let mut parts = vec![Part::file("audio_file", "speech.wav", "audio/wav", audio)];
        parts.extend(more.iter().map(|(name, value)| Part::text(name, value)));
        let call = Call::post("/api/v1/transcription").multipart(&parts);
        self.send(Who::Bearer(&self.client), call).await
    }

    pub(crate) async fn as_client(&self, call: Call) -> Answer {
        self.send(Who::Bearer(&self.client), call).await
    }

    pub(crate) async fn task(&self, task: &str) -> Value {
        self.as_client(Call::get(format!("/api/v1/task/{task}/status"))).await.ok()
    }

    pub(crate) async fn cancel(&self, task: &str) -> Answer {
        self.as_client(Call::delete(format!("/api/v1/tasks/{task}"))).await
    }

    /// Waits until the task has this status; its view then.
    pub(crate) async fn until(&self, task: &str, status: &str) -> Value {
        let what = format!("task {task} is `{status}`");
        wait_for(&what, LIMIT, async || {
            let view = self.task(task).await;
            (view["status"] == status).then_some(view)
        })
        .await
    }

    // Miners

    pub(crate) async fn send_poll(&self, miner: &Peer, query: &str) -> Answer {
        let target = format!("/api/v1/miners/{}/tasks{query}", miner.uid);
        self.send(miner.who(), Call::get(target)).await
    }

    /// Every live lease of the miner, as the original's clients ask.
    pub(crate) async fn leases(&self, miner: &Peer) -> Vec<Value> {
        let leases = self.send_poll(miner, "?status=assigned").await.ok();
        leases.as_array().unwrap().clone()
    }

    /// Waits for new leases of the miner, as a parked poll.
    pub(crate) async fn wait_leases(&self, miner: &Peer) -> Vec<Value> {
        let leases = self.send_poll(miner, "?wait=10").await.ok();
        leases.as_array().unwrap().clone()
    }

    /// The one lease that this miner gets next.
    pub(crate) async fn one_lease(&self, miner: &Peer) -> Value {
        let mut leases = self.wait_leases(miner).await;
        assert_eq!(leases.len(), 1, "one lease for miner {}: {leases:?}", miner.uid);
        leases.pop().unwrap()
    }

    /// Whichever of these miners holds a lease of the task, and the lease; polls all in turn.
    pub(crate) async fn holder<'p>(&self, miners: &[&'p Peer], task: &str) -> (&'p Peer, Value) {
        wait_for("somebody gets the task", LIMIT, async || {
            for miner in miners {
                let leases = self.leases(miner).await;
                if let Some(lease) = leases.into_iter().find(|lease| lease["task_id"] == task) {
                    return Some((*miner, lease));
                }
            }
            None
        })
        .await
    }

    /// The first lease that this look finds.
    pub(crate) async fn holder_by(&self, look: impl AsyncFnMut() -> Option<Value>) -> Value {
        wait_for("somebody gets the task", LIMIT, look).await
    }

    pub(crate) async fn respond(
        &self,
        miner: &Peer,
        task: &str,
        token: Option<&str>,
        data: &Value,
    ) -> Answer {
        let mut body = json!({
            "task_id": task, "miner_uid": miner.uid, "response_data": data,
            "processing_time": 1.5, "accuracy_score": 1.0, "speed_score": 1.0,
        });
        if let Some(token) = token {
            body["lease_token"] = json!(token);
        }
        self.send(miner.who(), Call::post("/api/v1/miner/response").json(&body)).await
    }

    /// Answers a lease as it came from a poll.
    pub(crate) async fn answer(&self, miner: &Peer, lease: &Value) -> Answer {
        let data = json!({
            "transcript": "hello", "summary": "short", "audio_data": "UklGRg==",
            "translated_text": "bonjour",
        });
        self.respond(miner, text(&lease["task_id"]), Some(token(lease)), &data).await
    }

    pub(crate) async fn heartbeat(&self, miner: &Peer, lease: &Value) -> Answer {
        let target = format!("/api/v1/miner/tasks/{}/heartbeat", text(&lease["task_id"]));
        let call = Call::post(target).json(&json!({ "lease_token": token(lease) }));
        self.send(miner.who(), call).await
    }

    pub(crate) async fn release(&self, miner: &Peer, lease: &Value, reason: &str) -> Answer {
        let target = format!("/api/v1/miner/tasks/{}/release", text(&lease["task_id"]));
        let body = json!({ "lease_token": token(lease), "reason": reason });
        self.send(miner.who(), Call::post(target).json(&body)).await
    }

    /// The miner's own standing, newer than any cached one.
    pub(crate) async fn view(&self, miner: &Peer) -> Value {
        self.advance(600);
        self.send(miner.who(), Call::get(format!("/api/v1/miners/{}/view", miner.uid))).await.ok()
    }
}

/// A text of an answer.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The token of a lease.
#[track_caller]
pub(crate) fn token(lease: &Value) -> &str {
    text(&lease["lease"]["token"])
}
