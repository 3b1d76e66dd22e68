//! Endpoints of clients: who may have which, and who sees them.

use serde_json::{Value, json};

use crate::support::{Call, TestApp, Who, text};

const URL: &str = "https://receiver.invalid/hook";

async fn create(app: &TestApp, body: &Value) -> crate::support::Answer {
    app.as_client(Call::post("/api/v1/webhooks").json(body)).await
}

#[tokio::test]
async fn the_secret_is_shown_once_and_only_to_the_owner() {
    let app = TestApp::start().await;
    let made = create(&app, &json!({ "url": URL, "events": ["task.done", "task.failed"] })).await;
    let value = made.is(201);
    let place = made.header("location").unwrap();
    assert_eq!(place, format!("/api/v1/webhooks/{}", text(&value["id"])));
    let secret = text(&value["secret"]);
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let shown = app.as_client(Call::get(place)).await;
    let value = shown.ok();
    assert_eq!(value["url"], URL);
    assert_eq!(value["events"], json!(["task.done", "task.failed"]));
    let list = app.as_client(Call::get("/api/v1/webhooks")).await;
    assert_eq!(list.ok()["count"], 1);
    for answer in [shown, list] {
        assert!(!answer.text_whole().contains("whsec_"), "{}", answer.text());
    }
    let other = app.new_key("client").await;
    let stranger = Who::Bearer(&other);
    assert_eq!(app.send(stranger, Call::get("/api/v1/webhooks")).await.ok()["count"], 0);
    for call in [
        Call::get(place),
        Call::delete(place),
        Call::post(format!("{place}/rotate")),
        Call::get(format!("{place}/deliveries")),
    ] {
        app.send(stranger, call).await.problem(404, "not_found");
    }
    let admin = Who::Bearer(&app.admin);
    app.send(admin, Call::get(place)).await.ok();
    assert_eq!(app.send(admin, Call::get("/api/v1/webhooks")).await.ok()["count"], 1);
    app.as_client(Call::delete(place)).await.is(204);
    app.as_client(Call::get(place)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn urls_that_may_not_be_told_are_named_here_and_as_callbacks() {
    let app = TestApp::start().await;
    for url in [
        "http://example.com/",
        "ftp://example.com/",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://192.168.0.1/",
        "https://100.64.0.1/",
        "https://example.com/#x",
        "not a url",
        "https://",
    ] {
        create(&app, &json!({ "url": url })).await.names("url");
        let task = json!({ "text": crate::support::TEXT, "callback_url": url });
        app.as_client(Call::post("/api/v1/tts").json(&task)).await.names("callback_url");
    }
    let long = format!("https://example.com/{}", "a".repeat(2_048));
    create(&app, &json!({ "url": long })).await.names("url");
    for events in [json!([]), json!(["task.lost"]), json!("x"), json!({}), json!([1]), json!(7)] {
        create(&app, &json!({ "url": URL, "events": events })).await.names("events");
    }
    let keyed = Call::post("/api/v1/webhooks").json(&json!({ "url": URL }));
    app.as_client(keyed.header("Idempotency-Key", "a")).await.names("Idempotency-Key");
    assert_eq!(app.as_client(Call::get("/api/v1/webhooks")).await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn an_owner_has_sixteen_at_most() {
    let app = TestApp::start().await;
    for _ in 0..16 {
        create(&app, &json!({ "url": URL })).await.is(201);
    }
    create(&app, &json!({ "url": URL })).await.problem(409, "conflict");
    assert_eq!(app.as_client(Call::get("/api/v1/webhooks")).await.ok()["count"], 16);
    app.finish().await;
}

#[tokio::test]
async fn deliveries_are_listed_by_page_and_a_bent_cursor_is_named() {
    let app = TestApp::start().await;
    let body = json!({ "url": URL, "events": "task.cancelled" });
    let place = format!("/api/v1/webhooks/{}", text(&create(&app, &body).await.is(201)["id"]));
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let task = app.submit_tts(&[]).await;
        app.cancel(&task).await.ok();
        tasks.insert(0, task);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let target = format!("{place}/deliveries?limit=2{cursor}");
        let page = app.as_client(Call::get(target)).await.ok();
        let rows = page["deliveries"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| text(&row["task_id"]).to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, tasks);
    for bent in ["x", "-1", "%00", "0197a0d0", "..%2f"] {
        let target = format!("{place}/deliveries?cursor={bent}");
        app.as_client(Call::get(target)).await.names("cursor");
    }
    app.as_client(Call::get(format!("{place}/deliveries?limit=0"))).await.names("limit");
    app.finish().await;
}
