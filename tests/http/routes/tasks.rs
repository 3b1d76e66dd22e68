//! `/api/v1/tasks`, `/api/v1/task/{id}/..`, `/api/v1/{kind}/{id}/result`.

use serde_json::json;

use crate::support::{Call, TestApp, Who, miner};

const NO_TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

#[tokio::test]
async fn what_is_no_task_is_404_and_wrong_queries_are_named() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    for id in [NO_TASK, "x", "0", "-1", "None", "completed2", &"9".repeat(3_000)] {
        for target in [
            format!("/api/v1/tasks/{id}"),
            format!("/api/v1/tasks/{id}?wait=1"),
            format!("/api/v1/task/{id}/status"),
            format!("/api/v1/task/{id}/responses"),
            format!("/api/v1/tts/{id}/result"),
        ] {
            app.as_client(Call::get(target)).await.problem(404, "not_found");
        }
        app.as_client(Call::delete(format!("/api/v1/tasks/{id}"))).await.problem(404, "not_found");
    }
    // A task of another kind, or of no kind.
    for kind in ["transcription", "summarization", "nonsense"] {
        let target = format!("/api/v1/{kind}/{task}/result");
        app.as_client(Call::get(target)).await.problem(404, "not_found");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("cursor=x", "cursor"),
        ("status=open", "status"),
        ("status=nonsense", "status"),
    ] {
        app.as_client(Call::get(format!("/api/v1/tasks?{query}"))).await.names(field);
    }
    for wait in ["-1", "61", "x", "1.5", "99999999999999999999"] {
        app.as_client(Call::get(format!("/api/v1/tasks/{task}?wait={wait}"))).await.names("wait");
    }
    assert_eq!(app.task_count().await, 1);
}

#[tokio::test]
async fn a_failed_task_is_tried_again_as_a_new_one_with_the_same_input() {
    let app = TestApp::start().await;
    let miner = miner(0);
    app.report(&[&miner]).await;
    let first = app.submit_tts(&[("redundancy", "1"), ("voice_name", "amy")]).await;
    let retry = |task: &str, key: &str| {
        let call = Call::post(format!("/api/v1/tasks/{task}/retry"));
        app.as_client(call.header("idempotency-key", key))
    };
    retry(&first, "a").await.problem(409, "conflict");
    app.cancel(&first).await.ok();
    let made = retry(&first, "a").await;
    assert!(made.header("location").unwrap().starts_with("/api/v1/tasks/"));
    let made = made.is(201);
    let second = made["task_id"].as_str().unwrap().to_owned();
    assert_eq!(made["retry_of"], *first);
    assert_eq!(retry(&first, "a").await.is(201)["task_id"], *second, "the same key, the same task");
    let lease = app.one_lease(&miner).await;
    assert_eq!((&lease["task_id"], &lease["voice_name"]), (&json!(second), &json!("amy")));
    app.answer(&miner, &lease).await.ok();
    let done = app.until(&second, "done").await;
    assert_eq!(done["retry_of"], *first);
    assert_eq!(app.task(&first).await["status"], "cancelled", "the first one stays as it ended");
    retry(&second, "b").await.problem(409, "conflict");
    let stranger = app.new_key("client").await;
    let call = Call::post(format!("/api/v1/tasks/{first}/retry"));
    app.send(Who::Bearer(&stranger), call).await.problem(404, "not_found");
    app.finish().await;
}
