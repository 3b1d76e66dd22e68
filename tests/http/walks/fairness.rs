//! Whose task goes next, and how much a client may have open.

use serde_json::{Value, json};

use crate::support::{Call, Peer, TEXT, TestApp, Who, miner, text, token};

/// Takes and answers one lease after the other; whose tasks they were, by priority and text.
async fn work(app: &TestApp, miner: &Peer, times: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..times {
        let lease = app.one_lease(miner).await;
        let said = text(&lease["input_text"]["text"]).to_owned();
        order.push(said.split_whitespace().next().unwrap().to_owned());
        let data = json!({ "audio_data": "UklGRg==" });
        app.respond(miner, text(&lease["task_id"]), Some(token(&lease)), &data).await.ok();
    }
    order
}

async fn submit(app: &TestApp, key: &str, name: &str, more: &[(&str, &str)]) -> Value {
    let said = format!("{name} {TEXT}");
    let mut fields = vec![("text", said.as_str()), ("redundancy", "1")];
    fields.extend(more);
    app.send(Who::Bearer(key), Call::post("/api/v1/tts").form(&fields)).await.ok()
}

/// One miner with one place, so that the order is seen.
async fn narrow(app: &TestApp) -> Peer {
    let m = miner(0);
    let mut status = crate::support::status(&m);
    status["max_capacity"] = json!(1);
    app.report_statuses(&json!([status])).await;
    m
}

#[tokio::test]
async fn clients_take_turns_whatever_they_have_waiting() {
    let app = TestApp::start().await;
    let (other, third) = (app.new_key("client").await, app.new_key("client").await);
    for _ in 0..6 {
        submit(&app, &app.client, "many", &[]).await;
    }
    for _ in 0..2 {
        submit(&app, &other, "few", &[]).await;
    }
    submit(&app, &third, "one", &[]).await;
    let m = narrow(&app).await;
    let order = work(&app, &m, 9).await;
    let place = |name: &str| order.iter().rposition(|n| n == name).unwrap();
    assert!(place("one") <= 2, "{order:?}");
    assert!(place("few") <= 4, "{order:?}");
    assert_eq!(order.iter().filter(|n| *n == "many").count(), 6);
    app.finish().await;
}

#[tokio::test]
async fn a_client_with_more_weight_has_more_turns() {
    let mut app = TestApp::start().await;
    let heavy = app.new_key("client").await;
    let id = heavy.split('_').nth(1).unwrap().to_owned();
    app.config.queue.weights.insert(id, 3);
    app.restart().await;
    for _ in 0..8 {
        submit(&app, &heavy, "heavy", &[]).await;
        submit(&app, &app.client, "light", &[]).await;
    }
    let m = narrow(&app).await;
    let order = work(&app, &m, 8).await;
    assert_eq!(order.iter().filter(|n| *n == "heavy").count(), 6, "{order:?}");
    // The rest is still there, and all of it is done.
    work(&app, &m, 8).await;
    app.finish().await;
}

#[tokio::test]
async fn the_more_urgent_go_first_until_others_have_waited_for_long() {
    let app = TestApp::start().await;
    let clients: Vec<_> = [
        app.new_key("client").await,
        app.new_key("client").await,
        app.new_key("client").await,
        app.new_key("client").await,
        app.new_key("client").await,
    ]
    .into();
    submit(&app, &clients[0], "old", &[("priority", "low")]).await;
    app.advance(41 * 60_000);
    for (client, priority) in clients[1..].iter().zip(["low", "normal", "high", "urgent"]) {
        submit(&app, client, priority, &[("priority", priority)]).await;
    }
    let m = narrow(&app).await;
    assert_eq!(work(&app, &m, 5).await, ["old", "urgent", "high", "normal", "low"]);
    app.finish().await;
}

#[tokio::test]
async fn a_client_has_a_limit_of_its_own() {
    let app = TestApp::with(|config| config.queue.open_per_client = 2).await;
    let other = app.new_key("client").await;
    let first = submit(&app, &app.client, "a", &[]).await;
    submit(&app, &app.client, "b", &[]).await;
    let call = || Call::post("/api/v1/tts").form(&[("text", TEXT)]);
    let refused = app.as_client(call()).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(429, "rate_limited");
    submit(&app, &other, "c", &[]).await;
    app.cancel(text(&first["task_id"])).await.ok();
    app.as_client(call()).await.ok();
    // A batch says it of each.
    let tasks: Vec<_> = (0..2).map(|_| json!({ "task_type": "tts", "text": TEXT })).collect();
    let batch = Call::post("/api/v1/tasks/batch").json(&json!({ "tasks": tasks }));
    let told = app.as_client(batch).await.ok();
    assert_eq!(told["results"][0]["code"], "rate_limited", "{told}");
    assert_eq!(app.task_count().await, 4);
    app.finish().await;
}
