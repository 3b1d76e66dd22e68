//! Probes, unknown routes and wrong methods.

use serde_json::json;

use crate::support::{Call, TEXT, TestApp, Who, miner, text};

#[tokio::test]
async fn probes_answer_everybody() {
    let app = TestApp::start().await;
    let get = async |target: &str| app.send(Who::Nobody, Call::get(target)).await;
    assert_eq!(get("/livez").await.is(200)["status"], "ok");
    for probe in ["/livez", "/readyz"] {
        let head = app.send(Who::Nobody, Call::new("HEAD", probe)).await;
        assert_eq!((head.status, head.bytes.len()), (200, 0), "HEAD {probe}");
    }
    assert_eq!(get("/readyz").await.is(200)["status"], "ready");
    let health = get("/api/v1/health").await.ok();
    assert_eq!((text(&health["status"]), text(&health["database"])), ("healthy", "ok"));
    let metrics = get("/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    assert!(app.metric("pithead_http_requests_total{class=\"2xx\"}").await >= 1.0);
    let identity = get("/api/v1/identity").await.ok();
    assert_eq!(identity["protocols"][0], "btauth/1");
    assert_eq!(identity["netuid"], 49);
    assert_eq!(identity["dev"], false);
    assert_eq!(identity["window_secs"]["past"], 10);
    assert_eq!(identity["window_secs"]["future"], 2);
    app.finish().await;
}

#[tokio::test]
async fn the_server_keeps_its_hotkey_over_restarts() {
    let mut app = TestApp::start().await;
    let before = app.receiver().clone();
    app.restart().await;
    assert_eq!(*app.receiver(), before);
    app.finish().await;
}

#[tokio::test]
async fn unknown_routes_are_404_and_wrong_methods_405_with_those_that_work() {
    let app = TestApp::start().await;
    for target in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/nothing",
        "/api/v2/tasks",
        "/livez/x",
        "//livez",
        "/api/v1/tasks/",
        "/API/V1/TASKS",
        "/.env",
        "/api/v1/../../server.key",
        "/api/v1/miners/0/x/y",
    ] {
        let answer = app.send(Who::Nobody, Call::get(target)).await;
        answer.problem(404, "not_found");
    }
    for kind in ["nonsense", "tts2"] {
        let call = Call::post(format!("/api/v1/{kind}"));
        app.as_client(call).await.problem(404, "not_found");
    }
    for (method, target, allowed) in [
        ("PUT", "/api/v1/tts", "POST"),
        ("GET", "/api/v1/tts", "POST"),
        ("DELETE", "/api/v1/transcription", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("PUT", "/api/v1/tasks", "GET, POST"),
        ("PATCH", "/api/v1/tasks/x", "GET, DELETE"),
        ("GET", "/api/v1/validators/miner-status", "POST"),
        ("GET", "/api/v1/miner/response", "POST"),
        ("PUT", "/api/v1/admin/keys", "GET, POST"),
        ("PUT", "/api/v1/admin/keys/x", "GET, PATCH, DELETE"),
        ("OPTIONS", "/api/v1/tts", "POST"),
    ] {
        let answer = app.as_client(Call::new(method, target)).await;
        answer.problem(405, "method_not_allowed");
        let mut told: Vec<_> = answer.header("allow").unwrap_or_default().split(", ").collect();
        told.sort_unstable();
        let mut allowed: Vec<_> = allowed.split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(told, allowed, "{method} {target}");
    }
}

#[tokio::test]
async fn a_drained_server_ends_its_work_and_takes_none() {
    let app = TestApp::start().await;
    let miner = miner(0);
    app.report(&[&miner]).await;
    let open = app.submit_tts(&[("redundancy", "1")]).await;
    let drain = |draining: bool| {
        let call = Call::post("/api/v1/admin/drain").json(&json!({ "draining": draining }));
        app.send(Who::Bearer(&app.admin), call)
    };
    let told = drain(true).await.ok();
    assert_eq!((&told["draining"], &told["open_tasks"]), (&json!(true), &json!(1)));
    let text = json!({ "task_type": "tts", "text": TEXT });
    app.as_client(Call::post("/api/v1/tasks").json(&text)).await.problem(503, "full");
    app.as_client(Call::get("/readyz")).await.problem(503, "full");
    let batch = Call::post("/api/v1/tasks/batch").json(&json!({ "tasks": [text] }));
    assert_eq!(app.as_client(batch).await.ok()["results"][0]["code"], "full");
    let lease = app.one_lease(&miner).await;
    app.answer(&miner, &lease).await.ok();
    app.until(&open, "done").await;
    drain(false).await.ok();
    let log = Call::get("/api/v1/admin/audit?action=server.");
    let told = app.send(Who::Bearer(&app.admin), log).await.ok();
    let actions = [&told["entries"][0]["action"], &told["entries"][1]["action"]];
    assert_eq!(actions, ["server.resumed", "server.draining"]);
    let id = app.admin.split('_').nth(1).unwrap();
    assert_eq!(told["entries"][0]["actor"], format!("key:{id}"));
    app.as_client(Call::post("/api/v1/tasks").json(&text)).await.is(201);
    app.as_client(Call::get("/readyz")).await.ok();
    assert_eq!(app.forgive(), 2);
    app.finish().await;
}
