//! A full gate: said at once, and nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::support::raw::Raw;
use crate::support::{Call, TEXT, TestApp, Who, miner, wait_for};

const SOON: Duration = Duration::from_secs(20);

/// A request that has sent its headers and half its body: it holds a permit.
pub(crate) async fn hold(app: &TestApp) -> Raw {
    let head = format!(
        "POST /api/v1/tts HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n{{\"text\":",
        app.client
    );
    Raw::send(app.address(), head).await
}

fn submit() -> Call {
    Call::post("/api/v1/tts").form(&[("text", TEXT), ("redundancy", "1")])
}

pub(crate) async fn full(app: &TestApp) {
    wait_for("the gate is full", SOON, async || {
        (app.as_client(Call::get("/v1/models")).await.status == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_full_gate_says_when_to_come_back_and_probes_still_pass() {
    let app = TestApp::with(|config| config.limits.in_flight = 2).await;
    let m = miner(0);
    app.report(&[&m]).await;
    let held = [hold(&app).await, hold(&app).await];
    full(&app).await;
    let polled = app.send_poll(&m, "?wait=10").await;
    for answer in [
        app.as_client(submit()).await,
        polled,
        app.send_report(&crate::support::validator(0), &serde_json::json!([])).await,
    ] {
        let problem = answer.problem(503, "full");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(problem["detail"].as_str().unwrap().contains("again"), "{problem}");
    }
    for probe in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(app.send(Who::Nobody, Call::get(probe)).await.status, 200, "{probe}");
    }
    drop(held);
    wait_for("the gate opens again", SOON, async || {
        (app.as_client(Call::get("/v1/models")).await.status == 200).then_some(())
    })
    .await;
    assert!(app.forgive() > 0);
    assert_eq!(app.task_count().await, 0, "what was refused has not happened");
    app.finish().await;
}

#[tokio::test]
async fn one_caller_has_a_quarter_of_the_gate_and_the_others_pass() {
    let app = TestApp::with(|config| {
        config.limits.in_flight = 72;
        config.limits.parked = 72;
    })
    .await;
    let m = miner(0);
    app.report(&[&m]).await;
    let mut held = Vec::new();
    for _ in 0..18 {
        held.push(hold(&app).await);
    }
    wait_for("the share is taken", SOON, async || {
        (app.as_client(Call::get("/v1/models")).await.status == 429).then_some(())
    })
    .await;
    let answer = app.as_client(submit()).await;
    let problem = answer.problem(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(problem["detail"].as_str().unwrap().contains("18 requests in flight"), "{problem}");
    assert_eq!(app.send(Who::Bearer(&app.admin), Call::get("/v1/models")).await.status, 200);
    assert_eq!(app.send_poll(&m, "?wait=0").await.status, 200);
    drop(held);
    wait_for("the share is free again", SOON, async || {
        (app.as_client(Call::get("/v1/models")).await.status == 200).then_some(())
    })
    .await;
    // What waits is counted apart, and no more in flight.
    let task = app.submit_tts(&[]).await;
    let wait = || Call::get(format!("/api/v1/tasks/{task}?wait=60"));
    let waiting = join_all((0..18).map(|_| app.as_client(wait())));
    let work = async {
        wait_for("eighteen wait", SOON, async || {
            (app.metric("pithead_polls_parked").await >= 18.0).then_some(())
        })
        .await;
        app.as_client(wait()).await.problem(429, "rate_limited");
        app.cancel(&task).await.ok();
    };
    let (waiting, ()) = tokio::join!(waiting, work);
    assert!(waiting.iter().all(|answer| answer.status == 200));
    app.finish().await;
}

#[tokio::test]
async fn a_client_hands_in_so_many_tasks_a_minute_and_is_told_when_to_come_back() {
    let app = TestApp::with(|config| {
        config.limits.tasks_per_minute = std::num::NonZeroU32::new(3).unwrap();
    })
    .await;
    for _ in 0..3 {
        app.as_client(submit()).await.ok();
    }
    let answer = app.as_client(submit()).await;
    answer.problem(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert_eq!(answer.header("x-ratelimit-limit"), Some("3"));
    app.send(Who::Bearer(&app.admin), submit()).await.ok();
    app.advance(20_000);
    // Of a batch, as many as there is room for; the others say why not.
    let item = serde_json::json!({ "task_type": "tts", "text": TEXT });
    let batch =
        Call::post("/api/v1/tasks/batch").json(&serde_json::json!({ "tasks": [item, item] }));
    let told = app.as_client(batch.clone()).await.ok();
    assert_eq!((told["accepted"].clone(), told["refused"].clone()), (1.into(), 1.into()));
    assert_eq!(told["results"][1]["code"], "rate_limited");
    assert_eq!(app.as_client(batch).await.ok()["refused"], 2);
    assert_eq!(app.task_count().await, 5);
    app.finish().await;
}

#[tokio::test]
async fn parked_polls_hold_no_permit() {
    let app = TestApp::with(|config| {
        config.limits.in_flight = 2;
        config.limits.parked = 3;
    })
    .await;
    let m = miner(0);
    app.report(&[&m]).await;
    let polls = join_all((0..3).map(|_| app.send_poll(&m, "?wait=2")));
    let work = async {
        wait_for("three polls are parked", SOON, async || {
            (app.view(&m).await["parked_polls"] == 3).then_some(())
        })
        .await;
        app.send_poll(&m, "?wait=2").await.problem(503, "full");
        let task = app.submit_tts(&[]).await;
        app.cancel(&task).await.ok();
    };
    let (polls, ()) = tokio::join!(polls, work);
    assert!(polls.iter().all(|answer| answer.status == 200));
    assert_eq!(app.forgive(), 1);
    app.finish().await;
}

#[tokio::test]
async fn under_a_flood_every_acknowledged_task_is_there_and_every_refused_one_is_not() {
    let mut app = TestApp::with(|config| config.limits.in_flight = 4).await;
    let mut acknowledged = BTreeSet::new();
    let mut refused = 0;
    let before = app.metric("pithead_http_refused_full_total").await;
    for _ in 0..4 {
        for answer in join_all((0..60).map(|_| app.as_client(submit()))).await {
            if answer.status == 503 {
                answer.problem(503, "full");
                refused += 1;
            } else {
                acknowledged.insert(answer.ok()["task_id"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(app.forgive(), refused);
    let counted = app.metric("pithead_http_refused_full_total").await - before;
    assert!(counted >= refused as f64, "{counted} counted of {refused}");
    assert!(refused > 0 && !acknowledged.is_empty(), "{refused} refused");
    app.restart().await;
    let mut there = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = app.as_client(Call::get(format!("/api/v1/tasks?limit=100{cursor}"))).await.ok();
        for task in page["tasks"].as_array().unwrap() {
            there.insert(task["task_id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(there, acknowledged);
}
