//! API keys that are none, or are not enough.

use crate::support::{Call, TestApp, Who, miner, validator};

#[tokio::test]
async fn keys_that_are_unknown_wrong_revoked_or_expired_are_refused_alike() {
    let app = TestApp::start().await;
    let (other, key) = (app.new_key("client").await, app.client.clone());
    let parts = |key: &str| key.split('_').map(str::to_owned).collect::<Vec<_>>();
    let (own, foreign) = (parts(&key), parts(&other));
    let mixed = format!("pit_{}_{}", own[1], foreign[2]);
    let unknown = format!("pit_{}_{}", "1".repeat(8), own[2]);
    let long = format!("{key}{key}");
    let list = || Call::get("/api/v1/tasks");
    let mut details = std::collections::BTreeSet::new();
    for wrong in [mixed.as_str(), &unknown, &long, "pit__", "x", &key[..key.len() - 1], &own[2]] {
        for who in [Who::Bearer(wrong), Who::ApiKey(wrong)] {
            let problem = app.send(who, list()).await.problem(401, "unauthenticated");
            details.insert(problem["detail"].to_string());
        }
    }
    assert_eq!(details.len(), 1, "nobody learns which part was wrong: {details:?}");
    for headers in [
        vec![("Authorization", format!("Basic {key}"))],
        vec![("Authorization", key.clone())],
        vec![("Authorization", "Bearer".to_owned())],
        vec![("X-API-Key", String::new())],
        vec![("X-API-Key", key.clone()), ("X-API-Key", key.clone())],
        vec![("X-API-Key", key.clone()), ("Authorization", format!("Bearer {other}"))],
        vec![
            ("Authorization", format!("Bearer {key}")),
            ("Authorization", format!("Bearer {other}")),
        ],
    ] {
        let proof = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let answer = app.send_as(proof.collect(), list()).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        answer.problem(401, "unauthenticated");
    }
    app.send(Who::Bearer(&key), list()).await.ok();
    app.send(Who::ApiKey(&key), list()).await.ok();
    app.send_as(vec![("authorization".to_owned(), format!("bearer {key}"))], list()).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_key_ends_with_its_day_and_by_being_taken_back() {
    let app = TestApp::start().await;
    let body = serde_json::json!({ "scopes": "client", "expires_days": 1 });
    let call = Call::post("/api/v1/admin/keys").json(&body);
    let made = app.send(Who::Bearer(&app.admin), call).await.is(201);
    let key = made["key"].as_str().unwrap().to_owned();
    let list = || Call::get("/api/v1/tasks");
    app.send(Who::Bearer(&key), list()).await.ok();
    app.advance(24 * 3_600_000 + 1_000);
    app.send(Who::Bearer(&key), list()).await.problem(401, "unauthenticated");
    app.send(Who::Bearer(&app.client), list()).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn keys_bound_to_a_hotkey_are_off_unless_configured() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    for scopes in [
        format!("miner:{}", m.hotkey()),
        format!("validator:{}", validator(0).hotkey()),
        format!("client miner:{}", m.hotkey()),
    ] {
        let key = app.new_key(&scopes).await;
        for target in ["/api/v1/miners/0/tasks", "/api/v1/tasks", "/api/v1/validator/tasks"] {
            app.send(Who::ApiKey(&key), Call::get(target)).await.problem(403, "forbidden");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_bound_key_is_for_its_hotkey_only() {
    let app = TestApp::with(|config| config.auth.hotkey_api_keys = true).await;
    let (m, v) = (miner(0), validator(0));
    app.report(&[&m, &miner(1)]).await;
    let of_miner = app.new_key(&format!("miner:{}", m.hotkey())).await;
    let of_validator = app.new_key(&format!("validator:{}", v.hotkey())).await;
    let of_nobody = app.new_key("miner:5Nobody").await;
    let stranger = app.new_key(&format!("validator:{}", m.hotkey())).await;
    for (key, target, status) in [
        (&of_miner, "/api/v1/miners/0/tasks", 200),
        (&of_miner, "/api/v1/miners/1/tasks", 403),
        (&of_miner, "/api/v1/validator/tasks", 403),
        (&of_miner, "/api/v1/tasks", 403),
        (&of_miner, "/api/v1/admin/keys", 403),
        (&of_validator, "/api/v1/validator/tasks", 200),
        (&of_validator, "/api/v1/validator/201/evaluated_tasks", 403),
        (&of_validator, "/api/v1/miners/0/tasks", 403),
        (&of_nobody, "/api/v1/miners/0/tasks", 403),
        (&stranger, "/api/v1/validator/tasks", 403),
        (&stranger, "/api/v1/miners/0/tasks", 403),
    ] {
        let answer = app.send(Who::ApiKey(key), Call::get(target)).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_until_the_old_ones_time_is_over() {
    let mut app = TestApp::start().await;
    let admin = app.admin.clone();
    let old = app.new_key("client").await;
    let id = old.split('_').nth(1).unwrap().to_owned();
    let place = format!("/api/v1/admin/keys/{id}");
    let list = || Call::get("/api/v1/tasks");
    let task = Call::post("/api/v1/tts").form(&[("text", crate::support::TEXT)]);
    let task = app.send(Who::Bearer(&old), task).await.ok()["task_id"].clone();
    let rotate = |body: serde_json::Value| Call::post(format!("{place}/rotate")).json(&body);
    let rotated = async |app: &TestApp, body| {
        let answer = app.send(Who::Bearer(&admin), rotate(body)).await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.ok()["key"].as_str().unwrap().to_owned()
    };
    let state = async |app: &TestApp| {
        let list = Call::get("/api/v1/admin/keys");
        let keys = app.send(Who::Bearer(&admin), list).await.ok();
        let keys = keys["keys"].as_array().unwrap().clone();
        keys.into_iter().find(|key| key["id"] == id.as_str()).unwrap()
    };
    let valid = async |app: &TestApp, key: &str| match app.send(Who::Bearer(key), list()).await {
        answer if answer.status == 401 => false,
        // The owner of the task is the same, whatever the secret.
        answer => answer.ok()["tasks"][0]["task_id"] == task,
    };
    let new = rotated(&app, serde_json::json!({ "overlap_hours": 2 })).await;
    assert_eq!(new.split('_').nth(1), Some(id.as_str()));
    assert!(valid(&app, &old).await && valid(&app, &new).await);
    assert_eq!(state(&app).await["state"], "rotating");
    app.restart().await;
    assert!(valid(&app, &old).await && valid(&app, &new).await);
    app.advance(2 * 3_600_000);
    assert!(!valid(&app, &old).await && valid(&app, &new).await);
    let shown = state(&app).await;
    assert_eq!((&shown["state"], &shown["old_secret_until"]), (&"active".into(), &().into()));
    assert_ne!(shown["last_used_at"], serde_json::Value::Null);
    let newer = rotated(&app, serde_json::json!({})).await;
    let newest = rotated(&app, serde_json::json!({})).await;
    assert!(!valid(&app, &new).await, "the oldest of three ends at once");
    assert!(valid(&app, &newer).await && valid(&app, &newest).await);
    let last = rotated(&app, serde_json::json!({ "overlap_hours": 0 })).await;
    assert!(!valid(&app, &newest).await && valid(&app, &last).await);
    let both = rotated(&app, serde_json::json!({})).await;
    app.send(Who::Bearer(&admin), Call::delete(&place)).await.is(204);
    for key in [&last, &both] {
        app.send(Who::Bearer(key), list()).await.problem(401, "unauthenticated");
    }
    assert_eq!(state(&app).await["state"], "revoked");
    app.send(Who::Bearer(&admin), rotate(serde_json::json!({}))).await.problem(404, "not_found");
    app.send(Who::Bearer(&admin), Call::get("/api/v1/tasks")).await.ok();
}
