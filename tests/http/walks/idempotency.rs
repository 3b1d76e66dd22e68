//! The same creation twice.

use serde_json::json;

use crate::support::{Answer, Call, Part, TEXT, TestApp, Who};

async fn submit(app: &TestApp, key: &str, text: &str) -> Answer {
    let call = Call::post("/api/v1/tts").form(&[("text", text)]).header("Idempotency-Key", key);
    app.as_client(call).await
}

#[tokio::test]
async fn the_same_key_and_content_is_one_task_and_other_content_is_refused() {
    let mut app = TestApp::start().await;
    let first = submit(&app, "order-7", TEXT).await.ok();
    let again = submit(&app, "order-7", TEXT).await.ok();
    assert_eq!(first["task_id"], again["task_id"]);
    let other = submit(&app, "order-7", "Another text that is long enough.").await;
    other.problem(422, "idempotency_mismatch");
    app.restart().await;
    assert_eq!(submit(&app, "order-7", TEXT).await.ok()["task_id"], first["task_id"]);
    assert_eq!(app.task_count().await, 1);
    // A key is its caller's own.
    let key = app.new_key("client").await;
    let call = Call::post("/api/v1/tts").form(&[("text", TEXT)]);
    let foreign = app.send(Who::Bearer(&key), call.header("Idempotency-Key", "order-7")).await;
    assert_ne!(foreign.ok()["task_id"], first["task_id"]);
    // And forgotten after a day.
    app.advance(25 * 3_600_000);
    crate::support::wait_for(
        "the key is forgotten",
        std::time::Duration::from_secs(5),
        async || {
            (submit(&app, "order-7", TEXT).await.ok()["task_id"] != first["task_id"]).then_some(())
        },
    )
    .await;
    app.finish().await;
}

#[tokio::test]
async fn the_same_submit_many_times_at_once_is_one_task() {
    let app = TestApp::start().await;
    let answers =
        futures_util::future::join_all((0..20).map(|_| submit(&app, "at-once", TEXT))).await;
    let ids: std::collections::BTreeSet<_> =
        answers.iter().map(|answer| answer.ok()["task_id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(app.task_count().await, 1);
}

#[tokio::test]
async fn an_upload_again_is_the_same_task_whatever_its_boundary() {
    let app = TestApp::start().await;
    let audio = super::task::audio();
    let part = || Part::file("audio_file", "a.wav", "audio/wav", &audio);
    let call = |parts: &[Part<'_>]| {
        Call::post("/api/v1/transcription").multipart(parts).header("Idempotency-Key", "upload")
    };
    let first = app.as_client(call(&[part()])).await.ok();
    let again = app.as_client(call(&[Part::text("priority", "normal"), part()])).await.ok();
    assert_eq!(first["task_id"], again["task_id"]);
    let other = call(&[Part::text("priority", "high"), part()]);
    app.as_client(other).await.problem(422, "idempotency_mismatch");
    assert_eq!(app.task_count().await, 1);
}

#[tokio::test]
async fn a_bad_key_is_named() {
    let app = TestApp::start().await;
    for key in ["", &"x".repeat(129), "\u{fc}"] {
        submit(&app, key, TEXT).await.names("Idempotency-Key");
    }
    assert_eq!(app.task_count().await, 0);
    let list = app.as_client(Call::get("/api/v1/tasks")).await.ok();
    assert_eq!(list["tasks"], json!([]));
}
