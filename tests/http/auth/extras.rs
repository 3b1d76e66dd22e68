//! Fields that nobody may set, in every body: one story is told twice, once with plain bodies and once
//! with everything in them that a liar could think of, and both end the same.

use std::collections::{BTreeMap, BTreeSet};

use pithead::config::Role;
use serde_json::{Map, Value, json};

use crate::support::app::entry;
use crate::support::{
    Call, Part, Peer, TEXT, TestApp, Who, miner, served_with, status, text, token, validator,
};

/// What a server says of its things, and a caller may not.
fn extras() -> Map<String, Value> {
    let extras = r#"{
        "id": "0197a0d0-0000-7000-8000-00000000beef", "owner": "somebody", "owner_id": 1,
        "status": "approved", "task_status": "approved", "created_at": "2020-01-01T00:00:00Z",
        "updated_at": 0, "completed_at": 0, "deadline": 0, "expires_at": "2099-01-01T00:00:00Z",
        "revoked_at": null, "admin": true, "role": "operator", "is_admin": true,
        "hotkey": "5Impostor", "validator_hotkey": "5Impostor", "uid": 4242, "stake": 1e9,
        "reward": 1e6, "attempt": 99, "attempts": 99, "slot": 7, "retry_of": null,
        "sha256": "00", "size": 1, "secret": "mine", "secret_hash": "00", "key": "pit_a_b",
        "disabled_at": null, "best_miner_uid": 0, "nonce": 1, "trusted": true, "adopted": true,
        "weight": 1, "quorum": 0, "approved": true, "__proto__": { "admin": true },
        "constructor": {}, "unknown": [{ "deep": { "er": [1, 2, 3] } }], "": "nameless"
    }"#;
    serde_json::from_str(extras).unwrap()
}

struct Story {
    app: TestApp,
    bent: bool,
    /// What was answered, in order.
    told: Vec<Value>,
    /// Routes whose bodies were bent.
    routes: BTreeSet<String>,
}

impl Story {
    async fn of(bent: bool) -> Self {
        let app = TestApp::with(|config| {
            config.webhooks.private_addresses = true;
            config.chain.snapshot_every = 1;
            config.auth.hotkeys.push(entry(&boss(), Role::Operator, 0.0));
        })
        .await;
        Self { app, bent, told: Vec::new(), routes: BTreeSet::new() }
    }

    /// The extra fields that this route does not take.
    fn strange(&mut self, path: &str) -> Map<String, Value> {
        let operation =
            self.app.contract.operation("POST", path).unwrap_or_else(|| panic!("{path}"));
        let mut known = BTreeSet::new();
        for content in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let properties = content.1["schema"]["properties"].clone();
            known
                .extend(properties.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        }
        self.routes.insert(self.app.contract.pattern(path).unwrap().to_owned());
        let mut extras = if self.bent { extras() } else { Map::new() };
        extras.retain(|name, _| !known.contains(name));
        extras
    }

    async fn post(&mut self, who: Who<'_>, path: &str, body: Value) -> Value {
        let mut fields = self.strange(path);
        fields.extend(body.as_object().unwrap().clone());
        let answer = self.app.send(who, Call::post(path).json(&Value::Object(fields))).await;
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        let value = if answer.bytes.is_empty() { Value::Null } else { answer.value() };
        self.told.push(json!({ "of": path, "status": answer.status, "value": value }));
        value
    }

    async fn upload(
        &mut self,
        who: Who<'_>,
        path: &str,
        field: &str,
        texts: &[(&str, &str)],
    ) -> Value {
        let sound = crate::walks::task::audio();
        let (name, media, content): (&str, &str, &[u8]) = match field {
            "video_file" => {
                ("a.mp4", "video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom and frames")
            }
            "document_file" => ("a.txt", "text/plain", b"A document of some words."),
            _ => ("a.wav", "audio/wav", &sound),
        };
        let strange: Vec<_> =
            self.strange(path).into_iter().filter(|(name, _)| !name.is_empty()).collect();
        let strange: Vec<_> =
            strange.iter().map(|(name, value)| (name, value.to_string())).collect();
        let mut parts: Vec<_> = texts.iter().map(|(name, value)| Part::text(name, value)).collect();
        parts.extend(strange.iter().map(|(name, value)| Part::text(name, value)));
        parts.push(Part::file(field, name, media, content));
        let answer = self.app.send(who, Call::post(path).multipart(&parts)).await;
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
        self.told.push(json!({ "of": path, "status": answer.status, "value": answer.value() }));
        answer.value()
    }

    async fn see(&mut self, path: &str) {
        let admin = self.app.admin.clone();
        let answer = self.app.send(Who::Bearer(&admin), Call::get(path)).await;
        self.told.push(json!({ "of": path, "status": answer.status, "value": answer.value() }));
    }
}

fn boss() -> Peer {
    Peer::named("http-boss", 9)
}

async fn told(bent: bool) -> (Vec<Value>, BTreeSet<String>) {
    let mut story = Story::of(bent).await;
    let (m, v, o) = (miner(0), validator(0), boss());
    let (client, admin) = (story.app.client.clone(), story.app.admin.clone());
    let (client, admin) = (Who::Bearer(&client), Who::Bearer(&admin));
    let report = json!({ "validator_uid": 200, "epoch": 1, "miner_statuses": [status(&m)] });
    story.post(v.who(), "/api/v1/validators/miner-status", report).await;
    story.app.report(&[&m]).await;
    let long = TEXT.repeat(2);
    for (path, more) in [
        ("tts", json!({ "text": TEXT })),
        ("summarization", json!({ "text": long })),
        ("text-translation", json!({ "text": TEXT, "target_language": "fr" })),
        ("tasks", json!({ "task_type": "tts", "text": TEXT })),
        ("tasks/batch", json!({ "tasks": [{ "task_type": "tts", "text": TEXT }] })),
    ] {
        let made = story.post(client, &format!("/api/v1/{path}"), more).await;
        if let Some(task) = made["task_id"].as_str() {
            story.app.cancel(task).await.ok();
        }
    }
    for (path, field, texts) in [
        ("transcription", "audio_file", &[][..]),
        ("video-transcription", "video_file", &[]),
        ("document-translation", "document_file", &[("target_language", "fr")]),
    ] {
        let made = story.upload(client, &format!("/api/v1/{path}"), field, texts).await;
        let task = text(&made["task_id"]).to_owned();
        story.app.cancel(&task).await.ok();
        let again = story.post(client, &format!("/api/v1/tasks/{task}/retry"), json!({})).await;
        story.app.cancel(text(&again["task_id"])).await.ok();
    }
    story.upload(client, "/api/v1/files", "file", &[("task_type", "transcription")]).await;
    let hook = json!({ "url": "http://127.0.0.1:1999/", "events": ["task.done"] });
    let hook = story.post(client, "/api/v1/webhooks", hook).await;
    let rotate = format!("/api/v1/webhooks/{}/rotate", text(&hook["id"]));
    story.post(client, &rotate, json!({})).await;
    story.post(client, "/api/v1/voices", json!({ "name": "alto", "language": "en" })).await;
    let key = story.post(admin, "/api/v1/admin/keys", json!({ "name": "one" })).await;
    let rotate = format!("/api/v1/admin/keys/{}/rotate", text(&key["id"]));
    story.post(admin, &rotate, json!({})).await;
    let shut_out = "/api/v1/admin/quarantine/somebody-else";
    story.post(admin, shut_out, json!({ "reason": "of a test" })).await;
    // The work.
    let task = story.app.submit_tts(&[("redundancy", "1")]).await;
    let (_, lease) = story.app.holder(&[&m], &task).await;
    let beat = format!("/api/v1/miner/tasks/{task}/heartbeat");
    story.post(m.who(), &beat, json!({ "lease_token": token(&lease) })).await;
    let sent = [("task_id", task.as_str()), ("miner_uid", "0")];
    story.upload(m.who(), "/api/v1/miner/files", "file", &sent).await;
    story.upload(m.who(), "/api/v1/miner/tts/upload-audio", "audio_file", &sent).await;
    let release = format!("/api/v1/miner/tasks/{task}/release");
    let back = json!({ "lease_token": token(&lease), "reason": "busy" });
    story.post(m.who(), &release, back).await;
    story.app.advance(5_000);
    let (_, lease) = story.app.holder(&[&m], &task).await;
    let answer = json!({
        "task_id": task, "miner_uid": 0, "lease_token": token(&lease),
        "response_data": { "audio_data": "UklGRg==" },
    });
    story.post(m.who(), "/api/v1/miner/response", answer).await;
    let judged = json!({ "evaluations": [{ "miner_uid": 0, "accuracy": 0.5 }] });
    let judged = json!({ "task_id": task, "validator_uid": 200, "evaluation_data": judged });
    story.post(v.who(), "/api/v1/validator/evaluation", judged).await;
    let seen = json!({ "task_id": task, "validator_uid": 200 });
    story.post(v.who(), "/api/v1/validators/mark-task-seen", seen).await;
    story.post(v.who(), "/api/v1/validator/distribute", json!({ "limit": 1 })).await;
    story.app.advance(1_000);
    let at = story.app.clock.now().0;
    let score =
        json!({ "kind": "tts", "uid": 0, "hotkey": m.hotkey(), "score": 0.5, "scored_at": at });
    story.post(v.who(), "/api/v1/scores", json!({ "scores": [score] })).await;
    let vector = json!({ "block": 10, "state": "submitted", "uids": [0], "weights": [1] });
    story.post(v.who(), "/api/v1/weights/submissions", vector).await;
    let neuron = json!({
        "uid": 200, "hotkey": v.hotkey(), "stake": 5, "validator_permit": true, "last_update": 1,
        "block_at_registration": 1, "incentive": 0,
    });
    let snapshot = json!({ "netuid": 49, "block": 20, "tempo": 360, "neurons": [neuron] });
    story.post(v.who(), "/api/v1/chain/metagraph", snapshot).await;
    story.post(o.who(), "/api/v1/admin/drain", json!({ "draining": true })).await;
    for path in [
        "tasks",
        "webhooks",
        "voices",
        "admin/keys",
        "miners",
        "validators",
        "leaderboard",
        "weights/submissions",
        "admin/roles",
        "admin/quarantine",
        "usage",
    ] {
        story.see(&format!("/api/v1/{path}")).await;
    }
    story.see(&format!("/api/v1/tasks/{task}")).await;
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    let ids = [(id(&story.app.client), "the client"), (id(&story.app.admin), "the admin")];
    let known = |told: Value| {
        let text = ids.iter().fold(told.to_string(), |text, (id, name)| text.replace(id, name));
        serde_json::from_str(&text).unwrap()
    };
    story.app.finish().await;
    (story.told.into_iter().map(known).collect(), story.routes)
}

/// What differs between two runs for good reasons: names that were drawn, times, figures of the clock.
fn masked(value: &Value, names: &mut BTreeMap<String, usize>) -> Value {
    match value {
        Value::Object(fields) => {
            let timed = |name: &str| {
                let ends = [
                    "_at",
                    "_until",
                    "_ms",
                    "_secs",
                    "secret",
                    "key",
                    "hash",
                    "timestamp",
                    "deadline",
                ];
                let ends = ends.iter().any(|end| name.ends_with(end));
                ends || [
                    "round",
                    "last_seen",
                    "availability_score",
                    "last_updated",
                    "id",
                    "cursor",
                    "next_cursor",
                ]
                .contains(&name)
                    || name.starts_with("period_")
            };
            let mask = |(name, value): (&String, &Value)| {
                let plain = timed(name) && !value.is_null() && !value.is_object();
                let value = if plain { json!("..") } else { masked(value, names) };
                (name.clone(), value)
            };
            Value::Object(fields.iter().map(mask).collect())
        }
        Value::Array(values) => values.iter().map(|value| masked(value, names)).collect(),
        Value::String(text) => {
            let parts = text.split(['/', '.', ':', ' ']).map(|part| {
                // Ids of keys have eleven letters and digits, or ten.
                let id = matches!(part.len(), 10 | 11) && part.chars().any(char::is_uppercase);
                let drawn =
                    id || uuid::Uuid::parse_str(part).is_ok() || part.parse::<u16>().is_ok();
                if !drawn {
                    return part.to_owned();
                }
                let next = names.len();
                format!("#{}", names.entry(part.to_owned()).or_insert(next))
            });
            json!(parts.collect::<Vec<_>>().join("/"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[tokio::test]
async fn fields_that_nobody_may_set_change_nothing() {
    let ((plain, _), (bent, routes)) = tokio::join!(told(false), told(true));
    let (mut of_plain, mut of_bent) = (BTreeMap::new(), BTreeMap::new());
    assert_eq!(plain.len(), bent.len());
    for (plain, bent) in plain.iter().zip(&bent) {
        let (left, right) = (masked(plain, &mut of_plain), masked(bent, &mut of_bent));
        assert_eq!(left, right, "\n{plain:#}\n{bent:#}");
    }
    // Every route with a body was in the story; these need a miner's answer first, or another story.
    let others =
        ["/api/v1/deliveries/{id}/redeliver", "/v1/audio/speech", "/v1/audio/transcriptions"];
    let told: BTreeSet<_> = routes.iter().map(String::as_str).chain(others).collect();
    let served = served_with("POST");
    assert_eq!(told, served.iter().map(String::as_str).collect::<BTreeSet<_>>());
}
