//! What belongs to somebody is not there for anybody else: every route that names a thing, found in
//! the router, with the things of another client.

use std::time::Duration;

use pithead::config::Role;
use serde_json::{Value, json};

use crate::support::app::entry;
use crate::support::{
    Call, Part, Peer, TEXT, TestApp, Who, miner, served, status, text, validator, wait_for,
};

/// One of each thing that a client can own.
struct Things {
    task: String,
    file: String,
    voice: String,
    webhook: String,
    delivery: String,
}

impl Things {
    async fn of_client(app: &TestApp) -> Self {
        let hook = json!({ "url": "http://127.0.0.1:1999/", "events": ["task.cancelled"] });
        let hook = app.as_client(Call::post("/api/v1/webhooks").json(&hook)).await.is(201);
        let told = app.submit_tts(&[]).await;
        app.cancel(&told).await.ok();
        let webhook = text(&hook["id"]).to_owned();
        let list = format!("/api/v1/webhooks/{webhook}/deliveries");
        let delivery = wait_for("it is told", Duration::from_secs(20), async || {
            let list = app.as_client(Call::get(&list)).await.ok();
            list["deliveries"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        let sound = crate::walks::task::audio();
        let upload = Call::post("/api/v1/files").multipart(&[
            Part::file("file", "a.wav", "audio/wav", &sound),
            Part::text("task_type", "transcription"),
        ]);
        let file = app.as_client(upload).await.is(201);
        let voice = json!({ "name": "alto", "language": "en" });
        let voice = app.as_client(Call::post("/api/v1/voices").json(&voice)).await.is(201);
        Self {
            task: app.submit_tts(&[]).await,
            file: text(&file["file_id"]).to_owned(),
            voice: text(&voice["voice_id"]).to_owned(),
            webhook,
            delivery,
        }
    }

    /// The path with the thing that it names; nothing for a path that names none of a client's.
    fn named(&self, pattern: &str) -> Option<String> {
        let thing = match pattern.split('/').collect::<Vec<_>>()[..] {
            ["", "api", "v1", "tasks" | "task", "{id}", ..] => &self.task,
            ["", "api", "v1", "{kind}", "{id}", "result"] => &self.task,
            ["", "api", "v1", "miner", "tasks" | "{kind}", "{id}", ..] => &self.task,
            ["", "api", "v1", "files", "{id}", ..] => &self.file,
            ["", "api", "v1", "voices", "{id}"] => &self.voice,
            ["", "api", "v1", "webhooks", "{id}", ..] => &self.webhook,
            ["", "api", "v1", "deliveries", "{id}", ..] => &self.delivery,
            _ => return None,
        };
        Some(pattern.replace("{kind}", "tts").replace("{id}", thing))
    }

    /// As their owner sees them.
    async fn seen(&self, app: &TestApp) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in [
            format!("tasks/{}", self.task),
            format!("files/{}", self.file),
            format!("voices/{}", self.voice),
            format!("webhooks/{}", self.webhook),
        ] {
            seen.push(app.as_client(Call::get(format!("/api/v1/{path}"))).await.ok());
        }
        seen
    }
}

/// Paths with a name in them that is of nobody's thing: a miner, a validator, a model, a key or
/// a quarantine (for admins only).
const OF_ALL: [&str; 7] = [
    "/api/v1/miners/{uid}",
    "/api/v1/validators/{hotkey}",
    "/api/v1/validator/{uid}",
    "/api/v1/weights/{uid}",
    "/api/v1/admin/keys/{id}",
    "/api/v1/admin/quarantine/{hotkey}",
    "/v1/models/{id}",
];

#[tokio::test]
async fn things_of_another_client_are_not_there() {
    let boss = Peer::named("http-boss", 9);
    let app = TestApp::with(|config| {
        config.webhooks.private_addresses = true;
        // Somebody who signs as a client.
        config.auth.hotkeys.push(entry(&boss, Role::Miner, 5.0));
    })
    .await;
    let (m, v) = (miner(0), validator(0));
    let things = Things::of_client(&app).await;
    // It cannot do the client's task, so that it does not get it.
    let mut able = status(&m);
    able["task_type_specialization"] = json!(["summarization"]);
    app.report_statuses(&json!([able])).await;
    let before = things.seen(&app).await;
    let other = app.new_key("client").await;
    let mut routes = 0;
    for (method, pattern) in served() {
        if !pattern.contains('{') || OF_ALL.iter().any(|prefix| pattern.starts_with(prefix)) {
            continue;
        }
        let path = things.named(&pattern);
        let path = path.unwrap_or_else(|| panic!("whose is what {method} {pattern} names?"));
        let of_miners = pattern.starts_with("/api/v1/miner/");
        let method: &'static str = method.leak();
        let call = || match method {
            "POST" => Call::post(&path).json(&json!({ "reason": "busy", "text": TEXT })),
            _ => Call::new(method, &path),
        };
        let strangers = [Who::Bearer(&other), boss.who(), v.who(), m.who()];
        for (n, who) in strangers.into_iter().enumerate() {
            // The miner has not got the task; whoever is no miner is none here either.
            let answer = app.send(who, call()).await;
            let expected: &[u16] = match (n, of_miners) {
                // Validators judge what is in files: they see each that they can name.
                (2, false) if pattern.starts_with("/api/v1/files/") => &[200],
                (3, true) => &[404, 410],
                (3, false) if pattern.starts_with("/api/v1/files/") => &[404],
                (3, false) => &[403],
                (2, true) if pattern.ends_with("/heartbeat") => &[404, 410],
                (_, true) => &[403],
                (_, false) => &[404],
            };
            let status = answer.status;
            assert!(
                expected.contains(&status),
                "{method} {pattern} as {n}: {status} {}",
                answer.text()
            );
        }
        routes += 1;
    }
    assert!(routes >= 20, "only {routes} routes name things");
    assert_eq!(things.seen(&app).await, before);
    for (list, field) in
        [("tasks", "tasks"), ("voices", "voices"), ("webhooks", "webhooks"), ("usage", "days")]
    {
        let call = Call::get(format!("/api/v1/{list}"));
        let shown = app.send(Who::Bearer(&other), call).await.ok();
        assert_eq!(shown[field], json!([]), "{list}: {shown}");
    }
    app.finish().await;
}
