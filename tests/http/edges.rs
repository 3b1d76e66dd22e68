//! Signers as clients, validators as workers, and files at their edges.

use serde_json::json;

use crate::support::{Call, Part, TestApp, miner, text, token, validator};
use crate::walks::task::audio;

#[tokio::test]
async fn a_signer_that_may_submit_text_may_submit_a_file_too() {
    let app = TestApp::start().await;
    let audio = audio();
    let file = Part::file("audio_file", "a.wav", "audio/wav", &audio);
    let call = Call::post("/api/v1/transcription").multipart(&[file]);
    app.send(validator(0).who(), call).await.ok();
}

#[tokio::test]
async fn a_validator_keeps_what_it_pulled_alive() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let pulled = app.distribute(&validator(0), 1).await;
    let lease = json!({ "task_id": task, "lease": { "token": pulled[0]["leases"][0]["token"] } });
    assert!(!token(&lease).is_empty());
    app.heartbeat(&validator(0), &lease).await.ok();
}

#[tokio::test]
async fn a_range_beyond_the_file_is_a_problem_document() {
    let app = TestApp::start().await;
    let audio = audio();
    let call =
        Call::post("/api/v1/files").multipart(&[Part::file("file", "a.wav", "audio/wav", &audio)]);
    let made = app.as_client(call).await.is(201);
    let call = Call::get(text(&made["url"])).header("Range", "bytes=99999999-");
    let answer = app.as_client(call).await;
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn a_result_file_must_name_its_task_so_that_it_reaches_the_client() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    let audio = audio();
    let upload = |parts: &[Part<'_>]| Call::post("/api/v1/miner/files").multipart(parts);
    let file = || Part::file("file", "a.wav", "audio/wav", &audio);
    let refused = app.send(m.who(), upload(&[file()])).await;
    refused.names("task_id");
    let named = [file(), Part::text("task_id", &task)];
    let uploaded = app.send(m.who(), upload(&named)).await.is(201);
    let data = json!({ "audio_file": uploaded["file_id"] });
    app.respond(&m, &task, Some(token(&lease)), &data).await.ok();
    let url = text(&uploaded["url"]);
    assert!(app.as_client(Call::get(url)).await.bytes == audio);
    app.finish().await;
}
