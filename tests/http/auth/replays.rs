//! A signed request that comes again, at another instance that never saw it.

use std::time::Duration;

use pithead::config::Role;
use serde_json::{Value, json};

use crate::support::app::entry;
use crate::support::{
    Answer, Call, Part, Peer, TEXT, TestApp, Who, miner, status, text, validator, wait_for,
};

/// An instance that takes what is signed, and one that gets it again.
struct Twins {
    app: TestApp,
    other: String,
}

impl Twins {
    /// Sends the same bytes to both: what the first one answered.
    async fn twice(&self, who: &Peer, call: Call) -> Value {
        self.twice_but(who, call, (401, "replayed")).await
    }

    /// The same, where something else is found first that is in the way.
    async fn twice_but(&self, who: &Peer, call: Call, (status, code): (u16, &str)) -> Value {
        let proof = self.app.proof(who.who(), &call);
        let what = format!("{} {}", call.method, call.target);
        let first = self.app.send_as(proof.clone(), call.clone()).await;
        assert!((200..300).contains(&first.status), "{what}: {}", first.text());
        let again: Answer = self.app.send_to(&self.other, proof, call).await;
        again.problem(status, code);
        serde_json::from_slice(&first.bytes).unwrap_or_default()
    }
}

#[tokio::test]
async fn what_was_signed_once_has_an_effect_once_whichever_instance_gets_it() {
    let boss = Peer::named("boss", 9);
    let (app, twin) = TestApp::with_twin(|config| {
        config.auth.hotkeys.push(entry(&boss, Role::Operator, 0.0));
        config.webhooks.private_addresses = true;
        config.chain.snapshot_every = 1;
    })
    .await;
    let (zero, judge, twins) = (miner(0), validator(0), Twins { app, other: twin.url() });
    let app = &twins.app;
    let report = json!({ "validator_uid": 200, "epoch": 1, "miner_statuses": [status(&zero)] });
    twins.twice(&judge, Call::post("/api/v1/validators/miner-status").json(&report)).await;
    app.report(&[&zero]).await;

    // An operator as a client.
    let hook = json!({ "url": "http://127.0.0.1:1999/", "events": ["task.done"] });
    let hook = twins.twice(&boss, Call::post("/api/v1/webhooks").json(&hook)).await;
    let submit = || Call::post("/api/v1/tts").json(&json!({ "text": TEXT, "redundancy": 1 }));
    let task = text(&twins.twice(&boss, submit()).await["task_id"]).to_owned();
    let batch = json!({ "tasks": [{ "task_type": "tts", "text": TEXT, "redundancy": 1 }] });
    twins.twice(&boss, Call::post("/api/v1/tasks/batch").json(&batch)).await;
    assert_eq!(app.task_count().await, 2);
    let sound = crate::walks::task::audio();
    let upload = Call::post("/api/v1/files").multipart(&[
        Part::file("file", "a.wav", "audio/wav", &sound),
        Part::text("task_type", "transcription"),
    ]);
    twins.twice(&boss, upload).await;
    let voice = json!({ "name": "alto", "language": "en" });
    let taken = (409, "conflict");
    twins.twice_but(&boss, Call::post("/api/v1/voices").json(&voice), taken).await;
    let rotate = format!("/api/v1/webhooks/{}/rotate", text(&hook["id"]));
    twins.twice(&boss, Call::post(rotate)).await;

    // The work, and its judgement.
    let (_, lease) = app.holder(&[&zero], &task).await;
    app.heartbeat(&zero, &lease).await.ok();
    app.answer(&zero, &lease).await.ok();
    let data = json!({ "evaluations": [{ "miner_uid": 0, "accuracy": 0.5 }] });
    let judged = json!({ "task_id": task, "validator_uid": 200, "evaluation_data": data });
    twins.twice(&judge, Call::post("/api/v1/validator/evaluation").json(&judged)).await;
    let told = format!("/api/v1/webhooks/{}/deliveries", text(&hook["id"]));
    let delivery = wait_for("something is told", Duration::from_secs(20), async || {
        let list = app.send(Who::Bearer(&app.admin), Call::get(&told)).await.ok();
        list["deliveries"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    twins.twice(&boss, Call::post(format!("/api/v1/deliveries/{delivery}/redeliver"))).await;

    // What a validator takes, scores and tells.
    let waiting = app.submit_tts(&[("redundancy", "1"), ("task_type", "tts")]).await;
    let pulled =
        twins.twice(&judge, Call::post("/api/v1/validator/distribute").json(&json!({}))).await;
    assert!(pulled["tasks_distributed"].as_u64().unwrap() <= 2, "{pulled} of {waiting}");
    app.advance(1_000);
    let score = json!({ "scores": [{
        "kind": "tts", "uid": 0, "hotkey": zero.hotkey(), "score": 0.5,
        "scored_at": app.clock.now().0,
    }] });
    twins.twice(&judge, Call::post("/api/v1/scores").json(&score)).await;
    let told = json!({ "block": 10, "state": "submitted", "uids": [0], "weights": [1] });
    twins.twice(&judge, Call::post("/api/v1/weights/submissions").json(&told)).await;
    let shut_out = "/api/v1/admin/quarantine/somebody";
    let reason = json!({ "reason": "of a test" });
    twins.twice(&boss, Call::post(shut_out).json(&reason)).await;
    twins.twice(&boss, Call::delete(shut_out)).await;
    twins.twice(&boss, Call::post("/api/v1/admin/drain").json(&json!({ "draining": true }))).await;
    let queue = app.send(Who::Nobody, Call::get("/api/v1/health")).await.ok();
    assert_eq!(queue["status"], "healthy");
    twin.stop().await;
}
