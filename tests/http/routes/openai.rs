//! The calls of the OpenAI SDKs, where the package itself does not show enough; it is tried whole
//! with the other programs that nobody here wrote.

use serde_json::json;

use crate::support::{Call, TEXT, TestApp, Who, miner};

fn speech() -> Call {
    Call::post("/v1/audio/speech").json(&json!({ "model": "tts-1", "voice": "x", "input": TEXT }))
}

#[tokio::test]
async fn without_a_miner_the_call_fails_at_once_and_its_task_is_cancelled() {
    let app = TestApp::start().await;
    let refused = app.as_client(speech()).await;
    refused.problem(503, "full");
    assert_eq!(app.forgive(), 1);
    let tasks = app.as_client(Call::get("/api/v1/tasks")).await.ok();
    assert_eq!((&tasks["count"], &tasks["tasks"][0]["status"]), (&json!(1), &json!("cancelled")));
    app.finish().await;
}

#[tokio::test]
async fn the_first_of_several_answers_is_the_result_and_frees_the_others() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let answer = async {
        let lease = app.one_lease(&miners[1]).await;
        app.answer(&miners[1], &lease).await.ok();
    };
    let (answered, ()) = tokio::join!(app.as_client(speech()), answer);
    assert_eq!(answered.status, 200, "{}", answered.text());
    let task = answered.header("x-task-id").unwrap().to_owned();
    let about = app.as_client(Call::get(format!("/api/v1/tasks/{task}"))).await.ok();
    assert_eq!((&about["status"], &about["redundancy"]), (&json!("done"), &json!(3)), "{about}");
    for other in [&miners[0], &miners[2]] {
        assert!(app.leases(other).await.is_empty(), "the others have nothing left to do");
    }
    app.finish().await;
}

#[tokio::test]
async fn strangers_and_miners_are_refused_in_openais_words() {
    let app = TestApp::start().await;
    for call in [speech(), Call::get("/v1/models"), Call::get("/v1/models/tts")] {
        app.send(Who::Nobody, call.clone()).await.problem(401, "unauthenticated");
    }
    app.report(&[&miner(0)]).await;
    app.send(miner(0).who(), speech()).await.problem(403, "forbidden");
    app.finish().await;
}
