//! Clients are told what happens to their tasks: by webhooks and by callbacks, over real HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, Receiver, TestApp, Who, miner, text, validator, wait_for};

const LIMIT: Duration = Duration::from_secs(20);
/// Pauses of the schedule, each with its jitter, in milliseconds.
const PAUSES: [i64; 6] = [5_500, 330_000, 1_980_000, 7_920_000, 19_800_000, 39_600_000];

/// A server that tells receivers on this machine.
async fn open() -> TestApp {
    TestApp::with(|config| {
        config.webhooks.private_addresses = true;
        config.webhooks.poll_millis = 10;
    })
    .await
}

async fn subscribe(app: &TestApp, url: &str, events: &[&str]) -> Value {
    let body = json!({ "url": url, "events": events });
    let body = if events.is_empty() { json!({ "url": url }) } else { body };
    app.as_client(Call::post("/api/v1/webhooks").json(&body)).await.is(201)
}

/// One task, answered by miner 0.
async fn done(app: &TestApp) -> String {
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&miner(0)).await;
    app.answer(&miner(0), &lease).await.ok();
    task
}

async fn cancelled(app: &TestApp) -> String {
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    app.cancel(&task).await.ok();
    task
}

async fn deliveries(app: &TestApp, webhook: &Value) -> Vec<Value> {
    let target = format!("/api/v1/webhooks/{}/deliveries", text(&webhook["id"]));
    app.as_client(Call::get(target)).await.ok()["deliveries"].as_array().unwrap().clone()
}

/// Waits until the webhook's one delivery is as wanted.
async fn only(app: &TestApp, webhook: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for("the delivery is as it should be", LIMIT, async || {
        let mut all = deliveries(app, webhook).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all.pop().filter(|delivery| wanted(delivery))
    })
    .await
}

#[tokio::test]
async fn a_task_is_told_from_its_first_answer_to_its_approval_and_signed() {
    let app = open().await;
    let receiver = Receiver::start().await;
    let webhook = subscribe(&app, &receiver.url, &[]).await;
    app.report(&[&miner(0)]).await;
    let task = done(&app).await;
    let mut news = Vec::new();
    for _ in 0..2 {
        let got = receiver.next().await;
        assert!(got.signed_with(text(&webhook["secret"])), "{got:?}");
        assert!(!got.signed_with(&pithead::identity::webhook::new_secret()));
        assert_eq!(format!("http://{}{}", got.host, got.target), receiver.url);
        let data = &got.value()["data"];
        assert_eq!(data["task_id"], task);
        assert_eq!((&data["task_type"], &data["priority"]), (&json!("tts"), &json!("normal")));
        assert_eq!(data["responses"], 1);
        assert!(!got.body.contains("UklGRg"), "no answers inside: {}", got.body);
        let url = text(&data["result_url"]);
        let target = url.strip_prefix(&app.url()).expect("an absolute link");
        app.as_client(Call::get(target)).await.ok();
        news.push(got.news().0);
    }
    news.sort_unstable();
    assert_eq!(news, ["task.done", "task.first_response"]);
    app.evaluate(&validator(0), &task, &[(0, 1.0)]).await;
    let got = receiver.next().await;
    assert_eq!(got.news(), ("task.approved".to_owned(), task));
    let list = wait_for("all were taken", LIMIT, async || {
        let all = deliveries(&app, &webhook).await;
        all.iter().all(|delivery| delivery["state"] == "delivered").then_some(all)
    })
    .await;
    assert_eq!(list.len(), 3);
    let ids: Vec<_> = list.iter().map(|delivery| text(&delivery["id"])).collect();
    assert!(ids.contains(&got.id.as_str()), "the message's id is the delivery's");
    assert_eq!(list[0]["last_answer"], "so says the receiver");
    assert!(!receiver.has_more().await);
    app.finish().await;
}

#[tokio::test]
async fn every_end_is_told_and_a_callback_is_signed_with_the_owners_secret() {
    let app = open().await;
    let receiver = Receiver::start().await;
    app.report(&[&miner(0)]).await;
    let callback = ("callback_url", receiver.url.as_str());
    let submit = async |more: &[(&str, &str)]| {
        let fields: Vec<_> = [("redundancy", "1"), callback].iter().chain(more).copied().collect();
        app.submit_tts(&fields).await
    };
    let finished = submit(&[]).await;
    let lease = app.one_lease(&miner(0)).await;
    app.answer(&miner(0), &lease).await.ok();
    let first = receiver.next().await;
    assert_eq!(first.news(), ("task.done".to_owned(), finished));
    let secret = app.as_client(Call::get("/api/v1/webhooks/callback-secret")).await.ok();
    assert!(first.signed_with(text(&secret["secret"])), "{first:?}");
    let again = app.as_client(Call::get("/api/v1/webhooks/callback-secret")).await.ok();
    assert_eq!(secret["secret"], again["secret"]);
    let admins = app.send(Who::Bearer(&app.admin), Call::get("/api/v1/webhooks/callback-secret"));
    assert_ne!(admins.await.ok()["secret"], secret["secret"], "each owner has one of his own");

    let taken_back = submit(&[]).await;
    app.cancel(&taken_back).await.ok();
    assert_eq!(receiver.next().await.news(), ("task.cancelled".to_owned(), taken_back));
    let failed = submit(&[]).await;
    let (_, lease) = app.holder(&[&miner(0)], &failed).await;
    let body = json!({ "lease_token": lease["lease"]["token"], "reason": "failed",
                       "permanent": true });
    let target = format!("/api/v1/miner/tasks/{failed}/release");
    app.send(miner(0).who(), Call::post(target).json(&body)).await.ok();
    assert_eq!(receiver.next().await.news(), ("task.failed".to_owned(), failed.clone()));
    let retried = app.as_client(Call::post(format!("/api/v1/tasks/{failed}/retry"))).await.is(201);
    let retried = text(&retried["task_id"]).to_owned();
    app.cancel(&retried).await.ok();
    let got = receiver.next().await;
    assert_eq!(got.news(), ("task.cancelled".to_owned(), retried), "a retry keeps the callback");
    assert_eq!(got.value()["data"]["retry_of"], failed);
    let late = submit(&[("deadline_secs", "5")]).await;
    app.advance(6_000);
    assert_eq!(receiver.next().await.news(), ("task.expired".to_owned(), late));
    app.finish().await;
}

#[tokio::test]
async fn a_failing_receiver_is_tried_seven_times_over_eighteen_hours_and_then_given_up() {
    let app = open().await;
    let receiver = Receiver::start().await;
    receiver.answers(500);
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    cancelled(&app).await;
    let first = receiver.next().await;
    for (n, pause) in (1..).zip(PAUSES) {
        let noted = only(&app, &webhook, |d| d["attempts"] == n).await;
        assert_eq!((&noted["state"], &noted["last_status"]), (&json!("pending"), &json!(500)));
        assert!(text(&noted["last_error"]).contains("500"), "{noted}");
        assert!(!receiver.has_more().await, "not before its time");
        app.advance(pause);
        let got = receiver.next().await;
        assert_eq!((&got.id, &got.body), (&first.id, &first.body), "the same message");
        let later = got.timestamp.parse::<i64>().unwrap() - first.timestamp.parse::<i64>().unwrap();
        assert!(later >= pause / 1_000 - 1, "signed anew: {later}");
        assert!(got.signed_with(text(&webhook["secret"])));
    }
    let noted = only(&app, &webhook, |d| d["state"] == "given_up").await;
    assert_eq!(noted["attempts"], 7);
    assert_eq!(noted["next_at"], Value::Null);
    // Again from the beginning, and it is taken.
    receiver.answers(204);
    let target = format!("/api/v1/deliveries/{}/redeliver", first.id);
    let begun = app.as_client(Call::post(&*target)).await.is(202);
    assert_eq!(begun["state"], "pending");
    assert_eq!(receiver.next().await.id, first.id);
    only(&app, &webhook, |d| d["state"] == "delivered").await;
    // A stranger cannot.
    let other = app.new_key("client").await;
    app.send(Who::Bearer(&other), Call::post(&*target)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_disabled_with_its_reason() {
    let app = open().await;
    let receiver = Receiver::start().await;
    receiver.answers(410);
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    cancelled(&app).await;
    let got = receiver.next().await;
    let noted = only(&app, &webhook, |d| d["state"] == "given_up").await;
    assert_eq!(noted["last_status"], 410);
    let target = format!("/api/v1/webhooks/{}", text(&webhook["id"]));
    let shown = app.as_client(Call::get(target)).await.ok();
    assert!(text(&shown["disabled_reason"]).contains("410"), "{shown}");
    assert!(shown["disabled_at"].is_string());
    let again = Call::post(format!("/api/v1/deliveries/{}/redeliver", got.id));
    app.as_client(again).await.problem(409, "conflict");
    // What happens afterwards is told to the others only.
    receiver.answers(200);
    let other = Receiver::start().await;
    subscribe(&app, &other.url, &[]).await;
    let task = cancelled(&app).await;
    assert_eq!(other.next().await.news().1, task);
    assert!(!receiver.has_more().await);
    app.finish().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let app = open().await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    receiver.redirects_to(&elsewhere.url);
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    cancelled(&app).await;
    receiver.next().await;
    let noted = only(&app, &webhook, |d| d["attempts"] == 1).await;
    assert_eq!((&noted["state"], &noted["last_status"]), (&json!("pending"), &json!(307)));
    assert!(text(&noted["last_error"]).contains("redirect"), "{noted}");
    assert!(!elsewhere.has_more().await);
    app.finish().await;
}

#[tokio::test]
async fn a_slow_receiver_holds_up_nobody_else() {
    let app = open().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.hold();
    subscribe(&app, &slow.url, &["task.cancelled"]).await;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(cancelled(&app).await);
    }
    for _ in 0..4 {
        slow.next().await;
    }
    // It has its places; the rest of its messages wait, and no other's do.
    let callback = ("callback_url", quick.url.as_str());
    let task = app.submit_tts(&[callback]).await;
    app.cancel(&task).await.ok();
    assert_eq!(quick.next().await.news().1, task);
    assert!(!slow.has_more().await, "no more than its places");
    slow.go_on();
    for _ in 4..tasks.len() {
        slow.next().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn endpoints_hear_what_they_want_and_only_of_their_owners_tasks() {
    let app = open().await;
    let (some, all, foreign) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    app.report(&[&miner(0)]).await;
    subscribe(&app, &some.url, &["task.cancelled"]).await;
    subscribe(&app, &all.url, &[]).await;
    let other = app.new_key("client").await;
    let body = json!({ "url": foreign.url });
    app.send(Who::Bearer(&other), Call::post("/api/v1/webhooks").json(&body)).await.is(201);
    let finished = done(&app).await;
    let gone = cancelled(&app).await;
    assert_eq!(some.next().await.news(), ("task.cancelled".to_owned(), gone.clone()));
    let mut heard = [all.next().await.news(), all.next().await.news(), all.next().await.news()];
    heard.sort_unstable();
    let expected = [
        ("task.cancelled".to_owned(), gone),
        ("task.done".to_owned(), finished.clone()),
        ("task.first_response".to_owned(), finished),
    ];
    assert_eq!(heard, expected);
    assert!(!some.has_more().await && !foreign.has_more().await);
    app.finish().await;
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign_for_a_day() {
    let app = open().await;
    let receiver = Receiver::start().await;
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    let old = text(&webhook["secret"]);
    let target = format!("/api/v1/webhooks/{}/rotate", text(&webhook["id"]));
    let rotated = app.as_client(Call::post(target)).await.ok();
    let new = text(&rotated["secret"]);
    assert_ne!(new, old);
    cancelled(&app).await;
    let got = receiver.next().await;
    assert_eq!(got.signatures.len(), 2);
    assert!(got.signed_with(old) && got.signed_with(new));
    app.advance(24 * 3_600_000 + 1);
    cancelled(&app).await;
    let got = receiver.next().await;
    assert!(!got.signed_with(old) && got.signed_with(new));
    app.finish().await;
}

#[tokio::test]
async fn what_was_not_delivered_when_the_server_stopped_is_delivered_by_its_successor() {
    let mut app = TestApp::with(|config| {
        config.webhooks.private_addresses = true;
        config.webhooks.poll_millis = 10;
        // The successor has another port, and links would tell.
        config.server.public_url = Some("https://pithead.example/".to_owned());
    })
    .await;
    let receiver = Receiver::start().await;
    receiver.hold();
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    let task = cancelled(&app).await;
    let cut_off = receiver.next().await;
    app.restart().await;
    receiver.go_on();
    let again = receiver.next().await;
    assert_eq!((&again.id, &again.body), (&cut_off.id, &cut_off.body));
    assert_eq!(again.news().1, task);
    let link = format!("https://pithead.example/api/v1/tts/{task}/result");
    assert_eq!(again.value()["data"]["result_url"], link);
    only(&app, &webhook, |d| d["state"] == "delivered").await;
    // The successor also knows that there is somebody to tell.
    let next = cancelled(&app).await;
    assert_eq!(receiver.next().await.news().1, next);
    app.finish().await;
}

#[tokio::test]
async fn a_name_that_leads_to_a_private_address_is_not_told() {
    let app = TestApp::with(|config| config.webhooks.poll_millis = 10).await;
    let receiver = Receiver::start().await;
    let port = receiver.url.split([':', '/']).nth(4).unwrap().to_owned();
    let url = format!("https://localhost:{port}/hook");
    let webhook = subscribe(&app, &url, &["task.cancelled"]).await;
    cancelled(&app).await;
    let noted = only(&app, &webhook, |d| d["attempts"] == 1).await;
    assert_eq!(noted["last_status"], Value::Null);
    assert!(text(&noted["last_error"]).contains("no address that may be told"), "{noted}");
    app.finish().await;
}

#[tokio::test]
async fn what_was_taken_under_a_laxer_rule_is_looked_at_again_before_it_is_told() {
    let mut app = open().await;
    let receiver = Receiver::start().await;
    receiver.answers(500);
    let webhook = subscribe(&app, &receiver.url, &["task.cancelled"]).await;
    cancelled(&app).await;
    receiver.next().await;
    only(&app, &webhook, |d| d["attempts"] == 1).await;
    app.config.webhooks.private_addresses = false;
    app.restart().await;
    app.advance(PAUSES[0]);
    let noted = only(&app, &webhook, |d| d["attempts"] == 2).await;
    assert!(text(&noted["last_error"]).contains("https"), "{noted}");
    assert!(!receiver.has_more().await);
    app.finish().await;
}
