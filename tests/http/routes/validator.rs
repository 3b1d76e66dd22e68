//! `/api/v1/validator/..`: evaluations and pull mode.

use serde_json::{Value, json};

use crate::support::{Call, TestApp, miner, validator};

const NO_TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

#[tokio::test]
async fn evaluations_that_are_none_are_refused_by_field() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.answer(&m, &lease).await.ok();
    app.until(&task, "done").await;
    let v = validator(0);
    let send = async |body: &Value| {
        app.send(v.who(), Call::post("/api/v1/validator/evaluation").json(body)).await
    };
    let one = |entry: Value| json!({ "evaluations": [entry] });
    let good = json!({
        "task_id": task, "validator_uid": 200,
        "evaluation_data": one(json!({ "miner_uid": 0, "accuracy": 0.5 })),
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (field, value) in [
        ("task_id", json!(null)),
        ("task_id", json!("x")),
        ("task_id", json!(1)),
        ("validator_uid", json!(-1)),
        ("validator_uid", json!("me")),
        ("evaluation_data", json!(null)),
        ("evaluation_data", json!("no json")),
        ("evaluation_data", json!("{\"evaluations\": [{\"accuracy\": NaN}]}")),
        ("evaluation_data", json!({})),
        ("evaluation_data", json!([])),
        ("evaluation_data", json!(0.5)),
        ("evaluation_data", json!({ "evaluations": "all good" })),
        (
            "evaluation_data",
            json!([{ "miner_uid": 0, "accuracy": 1 }, { "slot": 0, "accuracy": 1 }]),
        ),
        ("evaluation_data", one(json!({ "slot": 5, "accuracy": 0.5 }))),
    ] {
        send(&with(field, value)).await.names(field);
    }
    for (entry, field) in [
        (json!({ "accuracy": 0.5 }), "miner_uid"),
        (json!({ "miner_uid": 7, "accuracy": 0.5 }), "miner_uid"),
        (json!({ "miner_uid": -1, "accuracy": 0.5 }), "miner_uid"),
        (json!({ "miner_uid": "0", "accuracy": "x" }), "miner_uid"),
        (json!({ "slot": 70_000, "accuracy": 0.5 }), "miner_uid"),
        (json!({ "miner_uid": 0 }), "accuracy"),
        (json!({ "miner_uid": 0, "accuracy": -0.1 }), "accuracy"),
        (json!({ "miner_uid": 0, "accuracy": 1.1 }), "accuracy"),
        (json!({ "miner_uid": 0, "accuracy": "good" }), "accuracy"),
        (json!({ "miner_uid": 0, "accuracy": [] }), "accuracy"),
        (json!({ "miner_uid": 0, "accuracy": 0.5, "speed": 5 }), "speed"),
        (json!({ "miner_uid": 0, "accuracy": 0.5, "quality": "x" }), "quality"),
        (json!({ "miner_uid": 0, "score": 2 }), "score"),
        (json!("text"), "miner_uid"),
    ] {
        let name = format!("evaluation_data.evaluations[0].{field}");
        send(&with("evaluation_data", one(entry))).await.names(&name);
    }
    send(&with("validator_uid", json!(201))).await.problem(403, "uid_mismatch");
    send(&with("task_id", json!(NO_TASK))).await.problem(404, "not_found");
    assert_eq!(app.task(&task).await["status"], "done");
    assert_eq!(app.view(&m).await["responses_scored"], 0);
    assert_eq!(send(&good).await.ok()["task_status"], "approved");
    app.finish().await;
}

#[tokio::test]
async fn distribute_and_mark_seen_and_lists_refuse_by_field() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let v = validator(0);
    let post = async |path: &str, body: Value| {
        app.send(v.who(), Call::post(format!("/api/v1/{path}")).json(&body)).await
    };
    for limit in [json!(0), json!(-1), json!(101), json!("x"), json!(1.5)] {
        post("validator/distribute", json!({ "limit": limit })).await.names("limit");
    }
    let foreign = json!({ "validator_uid": 201 });
    post("validator/distribute", foreign.clone()).await.problem(403, "uid_mismatch");
    let seen = "validators/mark-task-seen";
    post(seen, json!({})).await.names("task_id");
    post(seen, json!({ "task_id": "x" })).await.names("task_id");
    post(seen, json!({ "task_id": task, "validator_uid": "x" })).await.names("validator_uid");
    let other = json!({ "task_id": task, "validator_uid": 201 });
    post(seen, other).await.problem(403, "uid_mismatch");
    post(seen, json!({ "task_id": NO_TASK })).await.problem(404, "not_found");
    for (uid, status, code) in [("201", 403, "uid_mismatch"), ("x", 422, "invalid_field")] {
        let call = Call::get(format!("/api/v1/validator/{uid}/evaluated_tasks"));
        app.send(v.who(), call).await.problem(status, code);
    }
    assert_eq!(app.task(&task).await["status"], "pending");
}
