//! `POST /api/v1/validators/miner-status` and its neighbours.

use serde_json::{Value, json};

use crate::support::{Call, TestApp, miner, status, validator};

#[tokio::test]
async fn reports_that_are_none_are_refused_by_field() {
    let app = TestApp::start().await;
    let good = json!({
        "validator_uid": 200, "epoch": 1, "miner_statuses": [status(&miner(0))],
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let v = validator(0);
    let send = async |body: &Value| {
        app.send(v.who(), Call::post("/api/v1/validators/miner-status").json(body)).await
    };
    for (field, value) in [
        ("validator_uid", json!(null)),
        ("validator_uid", json!(-1)),
        ("validator_uid", json!(65_536)),
        ("validator_uid", json!("me")),
        ("validator_uid", json!(200.5)),
        ("epoch", json!(null)),
        ("epoch", json!(-1)),
        ("epoch", json!("now")),
        ("epoch", json!(1.5)),
        ("epoch", json!(u64::MAX)),
        ("sequence", json!(-1)),
        ("sequence", json!("x")),
        ("partial", json!("perhaps")),
        ("partial", json!(3)),
        ("miner_statuses", json!(null)),
        ("miner_statuses", json!({})),
        ("miner_statuses", json!(5)),
        ("miner_statuses", json!("[")),
        ("miner_statuses", json!("no json")),
        ("miner_statuses", json!("{}")),
    ] {
        send(&with(field, value)).await.names(field);
    }
    send(&with("validator_uid", json!(201))).await.problem(403, "uid_mismatch");
    send(&with("validator_uid", json!(0))).await.problem(403, "uid_mismatch");
    let many: Vec<_> = (0..9_000).map(|uid| json!({ "uid": uid })).collect();
    send(&with("miner_statuses", json!(many))).await.problem(413, "too_large");
    let stats = app.as_client(Call::get("/api/v1/validators/consensus-stats")).await.ok();
    assert_eq!(stats["consensus_statistics"]["total_validator_reports"], 0, "{stats}");
    app.as_client(Call::get("/api/v1/miners/0/consensus")).await.problem(404, "not_found");
    assert_eq!(send(&with("miner_statuses", json!([]))).await.ok()["miners_processed"], 0);
    assert_eq!(send(&good).await.ok()["miners_processed"], 1);
    app.finish().await;
}

#[tokio::test]
async fn validators_are_found_by_hotkey() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    let v = validator(1);
    let found = app.as_client(Call::get(format!("/api/v1/validators/{}", v.hotkey()))).await.ok();
    assert_eq!((&found["uid"], &found["active"]), (&json!(201), &json!(true)));
    app.as_client(Call::get("/api/v1/validators/nobody")).await.problem(404, "not_found");
    app.finish().await;
}
