//! A client takes its task back.

use serde_json::json;

use crate::support::{Call, TestApp, Who, miner};

#[tokio::test]
async fn a_cancelled_task_really_stops() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    let cancelled = app.cancel(&task).await.ok();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(app.task(&task).await["status"], "cancelled");
    assert!(app.leases(&m).await.is_empty());
    app.heartbeat(&m, &lease).await.problem(410, "lease_lost");
    app.answer(&m, &lease).await.problem(410, "lease_lost");
    app.release(&m, &lease, "failed").await.problem(410, "lease_lost");
    let view = app.view(&m).await;
    assert_eq!((&view["live_leases"], &view["leases_lost"]), (&json!(0), &json!(0)), "{view}");
    // Again is no harm; what is done stays done.
    assert_eq!(app.cancel(&task).await.ok()["status"], "cancelled");
    let done = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.answer(&m, &lease).await.ok();
    app.cancel(&done).await.problem(409, "conflict");
    assert_eq!(app.task(&done).await["status"], "done");
    app.finish().await;
}

#[tokio::test]
async fn a_cancelled_task_is_never_given_out() {
    let app = TestApp::start().await;
    let cancelled = app.submit_tts(&[("redundancy", "1")]).await;
    let kept = app.submit_tts(&[("redundancy", "1")]).await;
    app.cancel(&cancelled).await.ok();
    app.report(&[&miner(0)]).await;
    assert_eq!(app.one_lease(&miner(0)).await["task_id"], kept);
    app.cancel(&kept).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_foreign_task_cannot_be_seen_or_cancelled() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let other = app.new_key("client").await;
    for call in [
        Call::delete(format!("/api/v1/tasks/{task}")),
        Call::get(format!("/api/v1/tasks/{task}")),
        Call::get(format!("/api/v1/task/{task}/status")),
        Call::get(format!("/api/v1/task/{task}/responses")),
        Call::get(format!("/api/v1/tts/{task}/result")),
    ] {
        app.send(Who::ApiKey(&other), call).await.problem(404, "not_found");
    }
    let list = app.send(Who::ApiKey(&other), Call::get("/api/v1/tasks")).await.ok();
    assert_eq!(list["tasks"], json!([]));
    assert_eq!(app.task(&task).await["status"], "pending");
}
