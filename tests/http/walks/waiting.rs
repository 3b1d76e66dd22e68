//! Long-polls, of clients and of miners.

use std::time::{Duration, Instant};

use crate::support::{Call, TestApp, miner, text, wait_for};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_parked_miner_is_answered_when_work_comes() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let began = Instant::now();
    let (lease, task) = tokio::join!(app.one_lease(&m), async {
        wait_for("the poll is parked", SOON, async || {
            (app.view(&m).await["parked_polls"] == 1).then_some(())
        })
        .await;
        app.submit_tts(&[("redundancy", "1")]).await
    });
    assert_eq!(lease["task_id"], task);
    assert!(began.elapsed() < SOON, "the poll was not woken");
    // A lease that a parked poll took is running at once.
    assert_eq!(app.task(&task).await["status"], "processing");
    app.answer(&m, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_poll_without_work_ends_empty_after_its_time() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let began = Instant::now();
    assert_eq!(app.send_poll(&m, "?wait=1").await.ok(), serde_json::json!([]));
    assert!(began.elapsed() >= Duration::from_secs(1));
    let began = Instant::now();
    assert!(app.leases(&m).await.is_empty());
    assert!(began.elapsed() < Duration::from_secs(1), "without `wait` it does not wait");
    assert_eq!(app.view(&m).await["parked_polls"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_waiting_poll_gives_each_lease_once_and_a_plain_one_every_time() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    assert_eq!(app.leases(&m).await.len(), 1);
    assert_eq!(app.leases(&m).await.len(), 1);
    assert_eq!(app.send_poll(&m, "?status=assigned&wait=1").await.ok(), serde_json::json!([]));
    app.answer(&m, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_waiting_client_is_answered_when_its_task_ends() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let began = Instant::now();
    let wait = Call::get(format!("/api/v1/tasks/{task}?wait=30"));
    let (view, ()) = tokio::join!(async { app.as_client(wait).await.ok() }, async {
        let lease = app.one_lease(&m).await;
        app.answer(&m, &lease).await.ok();
    });
    assert_eq!(view["status"], "done");
    assert!(began.elapsed() < SOON);
    let again = app.as_client(Call::get(format!("/api/v1/tasks/{task}?wait=30"))).await.ok();
    assert_eq!(text(&again["status"]), "done");
    let open = app.submit_tts(&[("redundancy", "1")]).await;
    let began = Instant::now();
    let view = app.as_client(Call::get(format!("/api/v1/tasks/{open}?wait=1"))).await.ok();
    assert_ne!(view["status"], "done");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let cancelled = Call::get(format!("/api/v1/tasks/{open}?wait=30"));
    let (view, _) = tokio::join!(async { app.as_client(cancelled).await.ok() }, app.cancel(&open));
    assert_eq!(view["status"], "cancelled");
    app.finish().await;
}

#[tokio::test]
async fn a_poll_whose_caller_hung_up_loses_no_lease() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let call = Call::get("/api/v1/miners/0/tasks?wait=30");
    let proof = app.proof(m.who(), &call);
    let gone = tokio::time::timeout(Duration::from_millis(300), app.send_as(proof, call)).await;
    assert!(gone.is_err());
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    app.until(&task, "processing").await;
    let next = app.send(m.who(), Call::get("/api/v1/miners/0/tasks?wait=30")).await.ok();
    let leases = next.as_array().unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(app.answer(&m, &leases[0]).await.ok()["task_status"], "done");
    app.finish().await;
}
