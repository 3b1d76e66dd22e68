//! Refused credentials stand in the audit log, once for each claim, and without anything secret.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, Part, TestApp, Who, miner, validator, wait_for};

async fn told(app: &TestApp) -> Vec<Value> {
    let call = Call::get("/api/v1/admin/audit?action=auth.&limit=200");
    let page = app.send(Who::Bearer(&app.admin), call).await.ok();
    page["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn refused_credentials_are_told_once_with_whom_they_claimed() {
    let mut app = TestApp::start().await;
    let v = validator(0);
    let key = app.client.clone();
    let id = key.split('_').nth(1).unwrap().to_owned();
    let wrong = format!("pit_{id}_{}", app.admin.split('_').nth(2).unwrap());
    let call = || Call::post("/api/v1/validator/distribute").json(&json!({}));
    for _ in 0..5 {
        app.send(Who::Bearer(&wrong), Call::get("/api/v1/tasks"))
            .await
            .problem(401, "unauthenticated");
        let mut bent = call();
        bent.body.push(b' ');
        app.send_as(app.proof(v.who(), &call()), bent).await.problem(401, "unauthenticated");
        // An upload is found out only behind its body.
        let upload = |sound: &[u8]| {
            let part = Part::file("file", "a.wav", "audio/wav", sound);
            Call::post("/api/v1/miner/files").multipart(&[part])
        };
        let proof = app.proof(miner(0).who(), &upload(b"RIFF0000WAVE"));
        let answer = app.send_as(proof, upload(b"RIFF0001WAVE")).await;
        assert!(matches!(answer.status, 401 | 403 | 422), "{}", answer.text());
        // Nobody at all is no failure, and neither is somebody who may not.
        app.send(Who::Nobody, Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
        app.send(Who::Bearer(&key), Call::get("/api/v1/admin/keys"))
            .await
            .problem(403, "forbidden");
    }
    let proof = app.proof(v.who(), &call());
    app.send_as(proof.clone(), call()).await.ok();
    app.send_as(proof, call()).await.problem(401, "replayed");
    let entries = wait_for("they are told", Duration::from_secs(20), async || {
        let entries = told(&app).await;
        (entries.len() >= 3).then_some(entries)
    })
    .await;
    let mut claims: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(
                (&entry["actor"], &entry["action"]),
                (&json!("unknown"), &json!("auth.failed"))
            );
            assert_eq!(entry["detail"]["address"], "127.0.0.1");
            (entry["detail"]["claimed"].clone(), entry["detail"]["code"].clone())
        })
        .map(|(claimed, code)| format!("{} {}", claimed.as_str().unwrap(), code.as_str().unwrap()))
        .collect();
    claims.sort();
    let mut expected = vec![
        format!("{} replayed", v.hotkey()),
        format!("{} unauthenticated", v.hotkey()),
        format!("key:{id} unauthenticated"),
    ];
    expected.sort();
    assert_eq!(claims, expected);
    let text = serde_json::to_string(&entries).unwrap();
    for secret in [&wrong, &key] {
        assert!(!text.contains(secret.split('_').nth(2).unwrap()), "{text}");
    }
    // The same in the same hour is not told again, by the process after it either.
    app.restart().await;
    app.send(Who::Bearer(&wrong), Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
    app.advance(3_600_000);
    app.send(Who::Bearer(&wrong), Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
    let entries = wait_for("the next hour is told", Duration::from_secs(20), async || {
        let entries = told(&app).await;
        (entries.len() >= 4).then_some(entries)
    })
    .await;
    assert_eq!(entries.len(), 4, "{entries:?}");
    app.finish().await;
}
