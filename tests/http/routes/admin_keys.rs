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
    let none = Call::delete("/api/v1/admin/keys/nonsense");
    app.send(Who::Bearer(&app.admin), none).await.problem(404, "not_found");
    assert_eq!(count().await, before);
}
