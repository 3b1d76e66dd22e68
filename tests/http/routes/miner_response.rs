//! `POST /api/v1/miner/response`: what is no answer to a lease.

use serde_json::{Value, json};

use crate::support::{Call, Peer, TestApp, miner, token};

async fn send(app: &TestApp, by: &Peer, body: &Value) -> crate::support::Answer {
    app.send(by.who(), Call::post("/api/v1/miner/response").json(body)).await
}

#[tokio::test]
async fn wrong_answers_are_refused_by_field_and_the_lease_lives_on() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m, &miner(1)]).await;
    let task = app.submit_tts(&[("redundancy", "2")]).await;
    let lease = app.one_lease(&m).await;
    let token = token(&lease);
    let other_task = "0197a0d0-0000-7000-8000-000000000000";
    let good = json!({
        "task_id": task, "miner_uid": 0, "lease_token": token,
        "response_data": { "audio_data": "UklGRg==" },
    });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (field, value) in [
        ("task_id", json!(null)),
        ("task_id", json!("x")),
        ("task_id", json!(5)),
        ("task_id", json!("9".repeat(5_000))),
        ("miner_uid", json!(-1)),
        ("miner_uid", json!(65_536)),
        ("miner_uid", json!(1.5)),
        ("miner_uid", json!("zero")),
        ("miner_uid", json!([0])),
        ("lease_token", json!("x")),
        ("lease_token", json!(7)),
        ("lease_token", json!(format!("{task}.0"))),
        ("lease_token", json!(format!("{task}.-1.1"))),
        ("lease_token", json!(format!("{task}.70000.1"))),
        ("lease_token", json!(format!("{other_task}.0.1"))),
        ("response_data", json!(null)),
        ("response_data", json!("no json")),
        ("response_data", json!("{\"audio_data\": NaN}")),
        ("response_data", json!("[1]")),
        ("response_data", json!([1])),
        ("response_data", json!(5)),
        ("response_data", json!(true)),
        ("status", json!("maybe")),
        ("status", json!(1)),
    ] {
        send(&app, &m, &with(field, value)).await.names(field);
    }
    for empty in [json!({}), json!({ "words": 1 }), json!({ "audio_file": null })] {
        let refused = send(&app, &m, &with("response_data", empty)).await;
        refused.names("response_data.audio_file|audio_data");
    }
    for (field, value) in [
        ("lease_token", json!(format!("{task}.0.99"))),
        ("lease_token", json!(format!("{task}.9.1"))),
        ("lease_token", json!(format!("{task}.65535.65535"))),
    ] {
        send(&app, &m, &with(field, value)).await.problem(410, "lease_lost");
    }
    let unknown = json!({ "task_id": other_task, "response_data": { "audio_data": "x" } });
    send(&app, &m, &unknown).await.problem(410, "lease_lost");
    send(&app, &m, &with("miner_uid", json!(1))).await.problem(403, "uid_mismatch");
    // The lease of another miner.
    let foreign = with("miner_uid", json!(1));
    send(&app, &miner(1), &foreign).await.problem(410, "lease_lost");
    let large = with("response_data", json!({ "audio_data": "a".repeat(1_100_000) }));
    send(&app, &m, &large).await.problem(413, "too_large");

    assert_eq!(app.task(&task).await["progress"]["miner_responses"], 0);
    let taken = send(&app, &m, &good).await.ok();
    assert_eq!((&taken["accepted"], &taken["duplicate"]), (&json!(true), &json!(false)));
    // The same again, in another shape too, is the same answer; another one is none.
    for same in [
        good.clone(),
        with("lease_token", json!(null)),
        with("response_data", json!("{ \"audio_data\" : \"UklGRg==\" }")),
    ] {
        let again = send(&app, &m, &same).await.ok();
        assert_eq!((&again["accepted"], &again["duplicate"]), (&json!(true), &json!(true)));
    }
    for token in [json!(token), json!(null)] {
        let mut other = with("response_data", json!({ "audio_data": "other" }));
        other["lease_token"] = token;
        send(&app, &m, &other).await.problem(409, "response_conflict");
    }
    assert_eq!(app.task(&task).await["progress"]["miner_responses"], 1);
}

#[tokio::test]
async fn wrong_keys_in_any_order_are_the_same_answer() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    let form = |data: &str| {
        Call::post("/api/v1/miner/response").form(&[
            ("task_id", &task),
            ("miner_uid", "0"),
            ("lease_token", token(&lease)),
            ("response_data", data),
        ])
    };
    app.send(m.who(), form(r#"{"audio_data":"x","confidence":1}"#)).await.ok();
    let again = app.send(m.who(), form(r#"{"confidence":1,"audio_data":"x"}"#)).await.ok();
    assert_eq!(again["duplicate"], true);
    app.finish().await;
}

#[tokio::test]
async fn failures_are_told_by_a_response_too() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (holder, lease) = app.holder(&[&m0, &m1], &task).await;
    let mut failed = json!({
        "task_id": task, "lease_token": token(&lease), "status": "failed", "error": "no memory",
    });
    let answer = send(&app, holder, &failed).await.ok();
    assert_eq!((&answer["accepted"], &answer["status"]), (&json!(false), &json!("released")));
    let other = if holder.uid == 0 { &m1 } else { &m0 };
    let lease = app.one_lease(other).await;
    failed["lease_token"] = json!(token(&lease));
    failed["permanent"] = json!(true);
    send(&app, other, &failed).await.ok();
    app.until(&task, "failed").await;
    app.finish().await;
}
