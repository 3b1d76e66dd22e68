//! `/api/v1/admin/keys`.

use serde_json::{Value, json};

use crate::support::{Call, TestApp, Who, text};

#[tokio::test]
async fn keys_are_made_listed_without_secrets_and_taken_back() {
    let mut app = TestApp::start().await;
    let admin = app.admin.clone();
    let create = |body: Value| Call::post("/api/v1/admin/keys").json(&body);
    let body = json!({ "name": "of Anna", "scopes": "client", "expires_days": 30 });
    let made = app.send(Who::Bearer(&admin), create(body)).await;
    let place = made.header("location").unwrap().to_owned();
    let made = made.is(201);
    let key = text(&made["key"]).to_owned();
    let secret = key.rsplit('_').next().unwrap();
    let list = app.send(Who::Bearer(&admin), Call::get("/api/v1/admin/keys")).await;
    assert!(!list.text_whole().contains(secret), "a list must not show secrets");
    let list = list.ok();
    let keys = list["keys"].as_array().unwrap();
    let own = keys.iter().find(|key| key["id"] == made["id"]).unwrap();
    assert_eq!((&own["name"], &own["revoked_at"]), (&json!("of Anna"), &Value::Null));
    app.send(Who::Bearer(&key), Call::get("/api/v1/tasks")).await.ok();
    assert_eq!(app.send(Who::Bearer(&admin), Call::delete(&place)).await.status, 204);
    app.send(Who::Bearer(&key), Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
    app.send(Who::Bearer(&admin), Call::delete(&place)).await.problem(404, "not_found");
    app.restart().await;
    app.send(Who::Bearer(&key), Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
    app.send(Who::Bearer(&admin), Call::get("/api/v1/admin/keys")).await.ok();
    app.finish().await;
}

fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

#[tokio::test]
async fn a_change_is_what_it_names_is_effective_at_once_and_stays() {
    let mut app = TestApp::start().await;
    let admin = app.admin.clone();
    let (client, place) = (app.client.clone(), format!("/api/v1/admin/keys/{}", id(&app.client)));
    let change = |body: Value| Call::new("PATCH", &place).json(&body);
    let body = json!({
        "scopes": "client admin", "in_flight": 7, "tasks_per_day": "9", "expires_days": 2,
        "id": "mine", "secret_hash": "00", "revoked_at": 1, "created_at": 0, "state": "revoked",
    });
    let changed = app.send(Who::Bearer(&admin), change(body)).await.ok();
    assert_eq!((&changed["name"], &changed["id"]), (&json!("of a test"), &json!(id(&client))));
    assert_eq!((&changed["in_flight"], &changed["tasks_per_day"]), (&json!(7), &json!(9)));
    assert_eq!((&changed["state"], &changed["revoked_at"]), (&json!("active"), &Value::Null));
    app.send(Who::Bearer(&client), Call::get("/api/v1/admin/keys")).await.ok();
    app.restart().await;
    let config = Call::get("/api/v1/admin/config");
    app.send(Who::Bearer(&client), config).await.text_whole();
    let less = json!({ "scopes": "client", "in_flight": null, "name": null });
    let changed = app.send(Who::Bearer(&client), change(less)).await.ok();
    assert_eq!((&changed["in_flight"], &changed["name"]), (&Value::Null, &json!("")));
    app.send(Who::Bearer(&client), change(json!({}))).await.problem(403, "forbidden");
    app.advance(2 * 24 * 3_600_000);
    app.send(Who::Bearer(&client), Call::get("/api/v1/tasks"))
        .await
        .problem(401, "unauthenticated");
    let rotate = Call::post(format!("{place}/rotate")).json(&json!({}));
    app.send(Who::Bearer(&admin), rotate).await.problem(409, "conflict");
    let longer = app.send(Who::Bearer(&admin), change(json!({ "expires_days": null }))).await.ok();
    assert_eq!((&longer["state"], &longer["expires_at"]), (&json!("active"), &Value::Null));
    app.send(Who::Bearer(&client), Call::get("/api/v1/tasks")).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn whatever_happens_to_a_key_is_in_the_audit_log_with_who_did_it() {
    let app = TestApp::start().await;
    let admin = Who::Bearer(&app.admin);
    let place = format!("/api/v1/admin/keys/{}", id(&app.client));
    let change = Call::new("PATCH", &place).json(&json!({ "name": "renamed" }));
    app.send(admin, change.clone()).await.ok();
    app.send(admin, change).await.ok();
    app.send(admin, Call::post(format!("{place}/rotate")).json(&json!({}))).await.ok();
    app.send(admin, Call::delete(&place)).await.is(204);
    app.send(admin, Call::delete(&place)).await.problem(404, "not_found");
    let log = app.send(admin, Call::get("/api/v1/admin/audit?action=key.")).await.ok();
    let told =
        |entry: &Value| ["actor", "action", "subject"].map(|field| text(&entry[field]).to_owned());
    let told: Vec<_> = log["entries"].as_array().unwrap().iter().rev().map(told).collect();
    let boss = format!("key:{}", id(&app.admin));
    let entry = |actor: &str, action: &str, subject: &str| {
        [actor.to_owned(), format!("key.{action}"), id(subject).to_owned()]
    };
    let mut expected = vec![entry("system", "created", &app.admin)];
    let own = ["created", "changed", "rotated", "revoked"];
    expected.extend(own.map(|action| entry(&boss, action, &app.client)));
    assert_eq!(told, expected);
    let log = log.to_string();
    for key in [&app.admin, &app.client] {
        assert!(!log.contains(key.rsplit('_').next().unwrap()), "{log}");
    }
    app.finish().await;
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        app.new_key("client").await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = Call::get(format!("/api/v1/admin/keys?limit=2{cursor}"));
        let page = app.send(Who::Bearer(&app.admin), page).await.ok();
        let keys = page["keys"].as_array().unwrap();
        seen.extend(keys.iter().map(|key| text(&key["id"]).to_owned()));
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    let all = app.send(Who::Bearer(&app.admin), Call::get("/api/v1/admin/keys")).await.ok();
    let all: Vec<_> =
        all["keys"].as_array().unwrap().iter().map(|k| text(&k["id"]).to_owned()).collect();
    assert_eq!((seen.len(), &seen), (5, &all));
    let wrong = Call::get("/api/v1/admin/keys?cursor=nonsense");
    app.send(Who::Bearer(&app.admin), wrong).await.names("cursor");
    app.finish().await;
}

#[tokio::test]
async fn wrong_keys_are_not_made() {
    let app = TestApp::start().await;
    let count = async || {
        let list = app.send(Who::Bearer(&app.admin), Call::get("/api/v1/admin/keys")).await.ok();
        list["keys"].as_array().unwrap().len()
    };
    let before = count().await;
    for (field, value) in [
        ("scopes", json!("root")),
        ("scopes", json!("client root")),
        ("scopes", json!("miner:")),
        ("scopes", json!("miner:a b")),
        ("scopes", json!("validator:../x")),
        ("scopes", json!(["client"])),
        ("scopes", json!(5)),
        ("expires_days", json!(0)),
        ("expires_days", json!(-1)),
        ("expires_days", json!(99_999)),
        ("expires_days", json!("never")),
        ("name", json!("n".repeat(121))),
        ("name", json!(7)),
    ] {
        let mut body = json!({});
        body[field] = value;
        let call = Call::post("/api/v1/admin/keys").json(&body);
        app.send(Who::Bearer(&app.admin), call).await.names(field);
    }
    let (place, rotate) = (format!("/api/v1/admin/keys/{}", id(&app.client)), "/rotate");
    for (field, value) in [
        ("scopes", json!("root")),
        ("expires_days", json!(0)),
        ("name", json!("a\u{7}")),
        ("requests_per_minute", json!(0)),
        ("requests_per_minute", json!("many")),
        ("in_flight", json!(0)),
        ("in_flight", json!(1.5)),
        ("tasks_per_day", json!(-1)),
        ("tasks_per_day", json!([1])),
    ] {
        let mut body = json!({});
        body[field] = value;
        let call = Call::new("PATCH", &place).json(&body);
        app.send(Who::Bearer(&app.admin), call).await.names(field);
    }
    for hours in [json!(-1), json!(721), json!("soon")] {
        let call = Call::post(format!("{place}{rotate}")).json(&json!({ "overlap_hours": hours }));
        app.send(Who::Bearer(&app.admin), call).await.names("overlap_hours");
    }
    // An answer that holds a secret cannot be given again.
    for target in ["/api/v1/admin/keys", &format!("{place}{rotate}")] {
        let call = Call::post(target).json(&json!({})).header("Idempotency-Key", "k");
        app.send(Who::Bearer(&app.admin), call).await.names("Idempotency-Key");
    }
    app.send(Who::Bearer(&app.client), Call::get("/api/v1/tasks")).await.ok();
    let shown = app.send(Who::Bearer(&app.admin), Call::get(&place)).await.ok();
    assert_eq!((&shown["state"], &shown["name"]), (&json!("active"), &json!("of a test")));
    for call in [
        Call::get("/api/v1/admin/keys/nonsense"),
        Call::new("PATCH", "/api/v1/admin/keys/nonsense").json(&json!({ "name": "x" })),
        Call::post("/api/v1/admin/keys/nonsense/rotate").json(&json!({})),
    ] {
        app.send(Who::Bearer(&app.admin), call).await.problem(404, "not_found");
    }
    let none = Call::delete("/api/v1/admin/keys/nonsense");
    app.send(Who::Bearer(&app.admin), none).await.problem(404, "not_found");
    assert_eq!(count().await, before);
}
