//! Pull mode: a validator takes tasks for its own network.

use serde_json::json;

use crate::support::{Call, Peer, TestApp, miner, text, validator};

async fn answer(
    app: &TestApp,
    by: &Peer,
    task: &str,
    token: Option<&str>,
) -> crate::support::Answer {
    let mut body =
        json!({ "task_id": task, "miner_uid": 4, "response_data": { "audio_data": "UklGRg==" } });
    if let Some(token) = token {
        body["lease_token"] = json!(token);
    }
    app.send(by.who(), Call::post("/api/v1/miner/response").json(&body)).await
}

#[tokio::test]
async fn a_validator_takes_tasks_and_answers_them() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "2")]).await;
    let v = validator(0);
    let view = app.send(v.who(), Call::get("/api/v1/validator/integration")).await.ok();
    assert_eq!(view["pending_tasks"][0]["task_id"], task);
    assert_eq!(view["queue_statistics"]["pending_tasks"], 1);
    let pulled = app.distribute(&v, 5).await;
    assert_eq!(pulled.len(), 1);
    assert_eq!(pulled[0]["task_id"], task);
    assert_eq!(pulled[0]["input_text"]["text"], crate::support::TEXT);
    let leases = pulled[0]["leases"].as_array().unwrap();
    assert_eq!(leases.len(), 2);
    assert!(app.distribute(&validator(1), 5).await.is_empty(), "it is taken");

    let first = answer(&app, &v, &task, Some(text(&leases[0]["token"]))).await.ok();
    assert_eq!((&first["task_status"], &first["duplicate"]), (&json!("processing"), &json!(false)));
    let again = answer(&app, &v, &task, Some(text(&leases[0]["token"]))).await.ok();
    assert_eq!(again["duplicate"], true);
    // A foreign lease is no lease.
    let foreign = answer(&app, &validator(1), &task, Some(text(&leases[1]["token"]))).await;
    foreign.problem(410, "lease_lost");
    answer(&app, &validator(1), &task, None).await.problem(410, "lease_lost");
    // Without a token, the live lease is meant; and when none lives, the answer that stands.
    assert_eq!(answer(&app, &v, &task, None).await.ok()["task_status"], "done");
    assert_eq!(answer(&app, &v, &task, None).await.ok()["duplicate"], true);
    let responses = app.as_client(Call::get(format!("/api/v1/task/{task}/responses"))).await.ok();
    assert_eq!(responses["responses"][0]["via_validator"], true);
    assert_eq!(responses["responses"][0]["miner_uid"], 4);
    app.finish().await;
}

#[tokio::test]
async fn an_answer_without_the_keys_of_its_kind_is_refused_from_validators_too() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let v = validator(0);
    app.distribute(&v, 1).await;
    let body = json!({ "task_id": task, "miner_uid": 4, "response_data": { "words": "none" } });
    let refused = app.send(v.who(), Call::post("/api/v1/miner/response").json(&body)).await;
    refused.names("response_data.audio_file|audio_data");
    assert_eq!(answer(&app, &v, &task, None).await.ok()["task_status"], "done");
    app.finish().await;
}

#[tokio::test]
async fn a_validator_that_crashes_loses_nothing() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let v = validator(0);
    let pulled = app.distribute(&v, 5).await;
    let token = text(&pulled[0]["leases"][0]["token"]).to_owned();
    app.advance(121_000);
    app.report(&[&miner(0)]).await;
    let lease = app.one_lease(&miner(0)).await;
    assert_eq!(lease["task_id"], task);
    assert_eq!(lease["lease"]["attempt"], 2);
    answer(&app, &v, &task, Some(&token)).await.problem(410, "lease_lost");
    app.answer(&miner(0), &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_validator_gives_back_what_failed_and_another_gets_it() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    app.distribute(&validator(0), 5).await;
    let failed = json!({ "task_id": task, "status": "failed", "error": "no route to my miners" });
    let call = Call::post("/api/v1/miner/response").json(&failed);
    let given = app.send(validator(0).who(), call).await.ok();
    assert_eq!((&given["accepted"], &given["status"]), (&json!(false), &json!("released")));
    app.report(&[&miner(0)]).await;
    let lease = app.one_lease(&miner(0)).await;
    assert_eq!(lease["task_id"], task);
    app.answer(&miner(0), &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_validator_that_is_reported_as_a_miner_too_still_answers_what_it_pulled() {
    let app = TestApp::start().await;
    let v = validator(0);
    let mut listed = crate::support::status(&v);
    listed["is_serving"] = json!(false);
    app.report_statuses(&json!([listed])).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    assert_eq!(app.distribute(&v, 5).await.len(), 1);
    assert_eq!(answer(&app, &v, &task, None).await.ok()["task_status"], "done");
    app.finish().await;
}
