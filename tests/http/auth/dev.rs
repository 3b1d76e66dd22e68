//! `auth.dev`: unsigned, on loopback, without any configuration of hotkeys.

use pithead::app::Server;
use serde_json::json;

use crate::support::{Call, TEXT, TestApp, Who, miner, status, text, token};

#[tokio::test]
async fn a_whole_task_goes_round_without_any_hotkey_configured() {
    let app = TestApp::with(|config| {
        config.auth.dev = true;
        config.auth.hotkeys.clear();
    })
    .await;
    let identity = app.send(Who::Nobody, Call::get("/api/v1/identity")).await.ok();
    assert_eq!(identity["dev"], true);
    let m = miner(0).hotkey();
    for (n, name) in ["5DevValidatorA", "5DevValidatorB"].into_iter().enumerate() {
        let report = json!({
            "validator_uid": n, "epoch": 1, "miner_statuses": [status(&miner(0))],
        });
        let call = Call::post("/api/v1/validators/miner-status").json(&report);
        assert_eq!(app.send(Who::Dev(name), call).await.ok()["miners_processed"], 1);
    }
    // Without a name one is a client, and the operator.
    let submit = Call::post("/api/v1/tts").json(&json!({ "text": TEXT, "redundancy": 1 }));
    let submitted = app.send(Who::Nobody, submit).await.ok();
    assert_eq!(submitted["estimate"]["capable_miners"], 1);
    let poll = Call::get("/api/v1/miners/0/tasks?wait=10");
    let leases = app.send(Who::Dev(&m), poll).await.ok();
    assert_eq!(leases[0]["task_id"], submitted["task_id"]);
    let answer = json!({
        "task_id": leases[0]["task_id"], "miner_uid": 0, "lease_token": token(&leases[0]),
        "response_data": { "audio_data": "UklGRg==" },
    });
    let call = |uid: u16| {
        let mut body = answer.clone();
        body["miner_uid"] = json!(uid);
        Call::post("/api/v1/miner/response").json(&body)
    };
    app.send(Who::Dev(&m), call(5)).await.problem(403, "uid_mismatch");
    assert_eq!(app.send(Who::Dev(&m), call(0)).await.ok()["task_status"], "done");
    let left = Call::get("/api/v1/validator/tasks");
    let left = app.send(Who::Dev("5DevValidatorA"), left).await.ok();
    assert_eq!(left["count"], 1);
    let evaluation = json!({
        "task_id": submitted["task_id"], "validator_uid": 0,
        "evaluation_data": { "evaluations": [{ "miner_uid": 0, "accuracy": 1.0 }] },
    });
    let call = Call::post("/api/v1/validator/evaluation").json(&evaluation);
    let judged = app.send(Who::Dev("5DevValidatorA"), call).await.ok();
    assert_eq!(
        (&judged["task_status"], &judged["best_miner_uid"]),
        (&json!("approved"), &json!(0))
    );
    let target = format!("/api/v1/tts/{}/result", text(&submitted["task_id"]));
    let result = app.send(Who::Nobody, Call::get(target)).await.ok();
    assert_eq!(result["result"]["audio_data"], "UklGRg==");
    app.send(Who::Dev("not a hotkey"), Call::get("/api/v1/miners"))
        .await
        .problem(401, "unauthenticated");
    // Real credentials count as everywhere, right or wrong.
    app.send(Who::Bearer("pit_x_y"), Call::get("/api/v1/tasks"))
        .await
        .problem(401, "unauthenticated");
    let unknown = Who::Dev("5DevMinerOfNobody");
    app.send(unknown, Call::get("/api/v1/miners/0/tasks")).await.problem(403, "not_registered");
    app.finish().await;
}

#[tokio::test]
async fn the_header_means_nothing_when_dev_is_off() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    let hotkey = miner(0).hotkey();
    for target in ["/api/v1/miners/0/tasks", "/api/v1/tasks", "/api/v1/miners"] {
        let answer = app.send(Who::Dev(&hotkey), Call::get(target)).await;
        answer.problem(401, "unauthenticated");
    }
    app.finish().await;
}

#[tokio::test]
async fn dev_is_for_loopback_only() {
    let app = TestApp::start().await;
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let mut config = app.config.clone();
        config.data_dir = app.folder().join("other");
        config.auth.dev = true;
        config.server.listen = listen.to_owned();
        let error = Server::start(config).await.expect_err("it must not start").to_string();
        assert!(error.contains("auth.dev"), "{error}");
    }
}
