//! Every route with every field wrong in every way that its type allows. Each complaint names its
//! field, nothing is written to any table, and what is right is taken afterwards: so each refusal
//! was for what was wrong. What one route says of one value in particular is in the other modules.

mod scene;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Call, Part, TEXT, miner, served_with, status, token};
use crate::walks::task::audio;
use scene::{Scene, difference};

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Id,
    Integer,
    Flag,
    Json,
}
use Kind::{Flag, Id, Integer, Json, Text};

/// Values that no field of this kind takes. As texts they come in a form too.
fn wrong(kind: Kind) -> Vec<Value> {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let mut all = vec![json!([]), json!([1]), deep, json!(-1), json!(1e300), json!(u64::MAX)];
    let object = json!({ "a": { "b": null } });
    let texts = ["NaN", "Infinity", "-Infinity", "1e309", "-1", "0x10", "\u{0}", "\u{202e}9"];
    match kind {
        Text | Id => all.extend([object, json!(true), json!(0), json!(1.5)]),
        Integer => all.extend([object, json!(false), json!(1.5), json!(i64::MIN)]),
        Flag => all.extend([object, json!(2), json!(0.5)]),
        Json => all.extend([json!(true), json!(0), json!(1.5)]),
    }
    if kind != Text {
        all.extend(texts.map(|text| json!(text)));
        all.push(json!("9".repeat(4_000)));
    }
    all
}

#[derive(Debug, Clone, Copy)]
enum By {
    Client,
    Admin,
    Miner,
    Validator,
}

/// A route that takes a body: what it is good for, and which fields it cannot do without.
struct Taker {
    by: By,
    pattern: &'static str,
    path: String,
    good: Value,
    needs: &'static [&'static str],
    fields: &'static [(&'static str, Kind)],
    /// The file without which the good body is not complete.
    file: Option<Part<'static>>,
}

/// The fields of every submit.
const WISH: &[(&str, Kind)] = &[
    ("source_language", Text),
    ("target_language", Text),
    ("priority", Id),
    ("model_id", Text),
    ("voice_name", Text),
    ("redundancy", Integer),
    ("completion", Id),
    ("deadline_secs", Integer),
    ("callback_url", Text),
];

fn submits() -> Vec<Taker> {
    let audio: &'static [u8] = audio().leak();
    let sound = Part::file("audio_file", "a.wav", "audio/wav", audio);
    let film =
        Part::file("video_file", "a.mp4", "video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
    let paper = Part::file("document_file", "a.txt", "text/plain", b"words on paper");
    let text = json!({ "text": TEXT, "source_language": "en" });
    let both = json!({ "text": TEXT, "source_language": "en", "target_language": "fr" });
    let submit = |pattern, good: &Value, needs, file| {
        let (path, good) = (String::from(pattern), good.clone());
        Taker { by: By::Client, pattern, path, good, needs, fields: WISH, file }
    };
    vec![
        submit("/api/v1/tts", &text, &["text"], None),
        submit("/api/v1/summarization", &text, &["text"], None),
        submit("/api/v1/text-translation", &both, &["text", "target_language"], None),
        submit("/api/v1/transcription", &json!({}), &["audio_file"], Some(sound)),
        submit("/api/v1/video-transcription", &json!({}), &["video_file"], Some(film)),
        submit(
            "/api/v1/document-translation",
            &json!({ "target_language": "fr" }),
            &["target_language", "document_file"],
            Some(paper),
        ),
    ]
}

fn takers(open: &str, lease: &str, done: &str, webhook: &str, key: &str, now: i64) -> Vec<Taker> {
    let mut all = submits();
    let mut take = |by, pattern: &'static str, good, needs, fields, file| {
        let id = match pattern {
            pattern if pattern.contains("/webhooks/") => webhook,
            pattern if pattern.contains("/keys/") => key,
            _ => open,
        };
        let path = pattern.replace("{id}", id).replace("{hotkey}", "somebody");
        all.push(Taker { by, pattern, path, good, needs, fields, file });
    };
    let sound = |name| Some(Part::file(name, "a.wav", "audio/wav", audio().leak()));
    let any = json!({ "task_type": "tts", "text": TEXT });
    take(By::Client, "/api/v1/tasks", any.clone(), &["task_type", "text"], WISH, None);
    let flowing = json!({ "draining": false });
    let fields = &[("draining", Flag)];
    take(By::Admin, "/api/v1/admin/drain", flowing, &["draining"], fields, None);
    // Nothing of its body is read; only what failed is tried again, and that has a test of its own.
    take(By::Client, "/api/v1/tasks/{id}/retry", json!({}), &[], &[], None);
    take(By::Client, "/api/v1/tasks/batch", json!({ "tasks": [any] }), &["tasks"], &[], None);
    // Nobody answers at such a name, and nothing expires here.
    let url = json!({ "url": "https://receiver.invalid/", "events": ["task.expired"] });
    let fields = &[("url", Text), ("events", Id)];
    take(By::Client, "/api/v1/webhooks", url, &["url"], fields, None);
    // Nothing of their bodies is read.
    take(By::Client, "/api/v1/webhooks/{id}/rotate", json!({}), &[], &[], None);
    take(By::Client, "/api/v1/deliveries/{id}/redeliver", json!({}), &[], &[], None);
    take(By::Client, "/api/v1/files", json!({}), &["file"], &[], sound("file"));
    let voice = json!({ "name": "of a test", "language": "en" });
    let fields = &[("name", Text), ("language", Text), ("description", Text), ("file_id", Id)];
    take(By::Client, "/api/v1/voices", voice, &["name"], fields, None);
    take(
        By::Admin,
        "/api/v1/admin/keys",
        json!({ "name": "of a test", "scopes": "client" }),
        &[],
        &[
            ("name", Text),
            ("scopes", Id),
            ("expires_days", Integer),
            ("requests_per_minute", Integer),
            ("in_flight", Integer),
            ("tasks_per_day", Integer),
        ],
        None,
    );
    let fields = &[("overlap_hours", Integer)];
    take(By::Admin, "/api/v1/admin/keys/{id}/rotate", json!({}), &[], fields, None);
    let path = "/api/v1/admin/quarantine/{hotkey}";
    let fields = &[("reason", Text), ("days", Integer)];
    take(By::Admin, path, json!({ "reason": "of a test" }), &["reason"], fields, None);
    take(
        By::Validator,
        "/api/v1/validators/miner-status",
        json!({ "validator_uid": 200, "epoch": 9, "miner_statuses": [status(&miner(0))] }),
        &["validator_uid", "epoch", "miner_statuses"],
        &[("validator_uid", Integer), ("epoch", Integer), ("sequence", Integer), ("partial", Flag)],
        None,
    );
    take(
        By::Validator,
        "/api/v1/validators/mark-task-seen",
        json!({ "task_id": done, "validator_uid": 200 }),
        &["task_id"],
        &[("task_id", Id), ("validator_uid", Integer)],
        None,
    );
    let neuron = json!({
        "uid": 0, "hotkey": "someone", "stake": 1, "validator_permit": true, "last_update": 0,
        "block_at_registration": 0, "incentive": 0,
    });
    take(
        By::Validator,
        "/api/v1/chain/metagraph",
        json!({ "netuid": 49, "block": 100, "tempo": 360, "neurons": [neuron] }),
        &["netuid", "block", "tempo", "neurons"],
        &[
            ("netuid", Integer),
            ("block", Integer),
            ("tempo", Integer),
            ("neurons", Json),
            ("validator_uid", Integer),
        ],
        None,
    );
    take(
        By::Validator,
        "/api/v1/weights/submissions",
        json!({ "block": 9, "state": "submitted", "uids": [0], "weights": [65_535] }),
        &["block", "state"],
        &[
            ("block", Integer),
            ("state", Id),
            ("mode", Id),
            ("version_key", Integer),
            ("run", Id),
            ("validator_uid", Integer),
        ],
        None,
    );
    take(
        By::Validator,
        "/api/v1/validator/distribute",
        json!({ "validator_uid": 200, "limit": 1 }),
        &[],
        &[("validator_uid", Integer), ("limit", Integer)],
        None,
    );
    take(
        By::Validator,
        "/api/v1/validator/evaluation",
        json!({ "task_id": done, "validator_uid": 200,
                "evaluation_data": { "evaluations": [{ "miner_uid": 0, "accuracy": 0.5 }] } }),
        &["task_id", "evaluation_data"],
        &[("task_id", Id), ("validator_uid", Integer), ("evaluation_data", Json)],
        None,
    );
    let hotkey = miner(0).hotkey();
    let score =
        json!({ "kind": "tts", "uid": 0, "hotkey": hotkey, "score": 0.5, "scored_at": now });
    let fields = &[("validator_uid", Integer), ("scores", Json)];
    take(By::Validator, "/api/v1/scores", json!({ "scores": [score] }), &["scores"], fields, None);
    let of_task = json!({ "task_id": open, "miner_uid": 0 });
    let fields = &[("task_id", Id), ("miner_uid", Integer)];
    let needs = &["task_id", "file"];
    take(By::Miner, "/api/v1/miner/files", of_task.clone(), needs, fields, sound("file"));
    let speech = sound("audio_file");
    let needs = &["task_id", "audio_file"];
    take(By::Miner, "/api/v1/miner/tts/upload-audio", of_task, needs, fields, speech);
    take(
        By::Miner,
        "/api/v1/miner/tasks/{id}/heartbeat",
        json!({ "lease_token": lease }),
        &[],
        &[("lease_token", Id)],
        None,
    );
    take(
        By::Client,
        "/v1/audio/speech",
        json!({ "input": TEXT, "model": "tts-1", "voice": "alloy" }),
        &["input", "model"],
        &[
            ("input", Text),
            ("model", Text),
            ("voice", Text),
            ("response_format", Id),
            ("stream_format", Id),
            ("speed", Integer),
        ],
        None,
    );
    take(
        By::Client,
        "/v1/audio/transcriptions",
        json!({ "model": "whisper-1" }),
        &["model", "file"],
        &[("model", Text), ("language", Text), ("response_format", Id), ("stream", Flag)],
        sound("file"),
    );
    // The last two, since the lease ends with them: the answer comes before what is then lost.
    take(
        By::Miner,
        "/api/v1/miner/response",
        json!({ "task_id": open, "miner_uid": 0, "lease_token": lease,
                "response_data": { "audio_data": "x" } }),
        &["task_id", "response_data"],
        &[
            ("task_id", Id),
            ("miner_uid", Integer),
            ("lease_token", Id),
            ("response_data", Json),
            ("status", Id),
        ],
        None,
    );
    take(
        By::Miner,
        "/api/v1/miner/tasks/{id}/release",
        json!({ "lease_token": lease, "reason": "busy" }),
        &["reason"],
        &[("lease_token", Id), ("reason", Id), ("permanent", Flag)],
        None,
    );
    all
}

/// The routes of the server's table with this method.
#[tokio::test]
async fn every_wrong_field_of_every_route_is_named_and_no_row_changes() {
    let scene = Scene::new().await;
    let takers = {
        let now = scene.app.clock.now().0;
        let key = scene.app.client.split('_').nth(1).unwrap();
        takers(&scene.open, token(&scene.lease), &scene.done, &scene.webhook, key, now)
    };
    let covered: BTreeSet<_> = takers.iter().map(|taker| taker.pattern.to_owned()).collect();
    assert_eq!(covered, served_with("POST"), "every route that takes a body, and no other");
    let before = scene.rows_at_rest().await;
    for taker in &takers {
        let fields: Vec<_> = taker.fields.iter().map(|(name, _)| *name).collect();
        scene.app.contract.names(taker.pattern, &taker.path, &fields, taker.needs);
        for &(field, kind) in taker.fields {
            for value in wrong(kind) {
                let mut body = taker.good.clone();
                body[field] = value.clone();
                scene.post(taker, &body).await.blames(field);
                let Some(text) = value.as_str() else { continue };
                let mut pairs: Vec<(&str, String)> = Vec::new();
                for (name, value) in taker.good.as_object().unwrap() {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    pairs.push((name.as_str(), text));
                }
                pairs.retain(|(name, _)| *name != field);
                pairs.push((field, text.to_owned()));
                let pairs: Vec<_> = pairs.iter().map(|(name, v)| (*name, v.as_str())).collect();
                let call = Call::post(&taker.path).form(&pairs);
                scene.app.send(scene.who(taker.by), call).await.blames(field);
            }
        }
        for field in taker.needs {
            for none in [None, Some(json!(null)), Some(json!(""))] {
                let mut body = taker.good.clone();
                body.as_object_mut().unwrap().remove(*field);
                if let Some(none) = none {
                    body[*field] = none;
                }
                scene.post(taker, &body).await.blames(field);
            }
        }
        for body in [b"".as_slice(), b"{}"] {
            let call = Call::post(&taker.path).body("application/json", body);
            // Where nothing is needed, nothing is enough; it is asked below, with what is good.
            let Some(field) = taker.needs.first() else { continue };
            let answer = scene.app.send(scene.who(taker.by), call).await;
            answer.problem(422, "invalid_field");
            if taker.needs.len() == 1 {
                answer.blames(field);
            }
        }
        for body in [b"a=%ff%fe".as_slice(), b"text=\xff", b"%00%00=%", b"&&==&=", b"\0"] {
            let form = "application/x-www-form-urlencoded";
            if taker.needs.is_empty() {
                continue;
            }
            let call = Call::post(&taker.path).body(form, body);
            let answer = scene.app.send(scene.who(taker.by), call).await;
            assert!([400, 422].contains(&answer.status), "{}: {}", taker.path, answer.text());
        }
    }
    let after = scene.rows().await;
    assert!(before == after, "rows have changed:\n{}", difference(&before, &after));
    // The lease lives after all that, and what is right is taken.
    // The calls of OpenAI wait for a miner: their suite has some.
    for taker in takers.iter().filter(|taker| !taker.pattern.starts_with("/v1/")) {
        let answer = match &taker.file {
            None => scene.post(taker, &taker.good).await,
            Some(file) => {
                let texts: Vec<(String, String)> = taker
                    .good
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| {
                        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                        (name.clone(), text)
                    })
                    .collect();
                let mut parts: Vec<Part<'_>> =
                    texts.iter().map(|(name, text)| Part::text(name, text)).collect();
                parts.push(file.clone());
                let call = Call::post(&taker.path).multipart(&parts);
                scene.app.send(scene.who(taker.by), call).await
            }
        };
        // The lease was answered a moment ago, so that it cannot be given back.
        let gone = (taker.pattern.ends_with("/release") && answer.status == 410)
            || (taker.pattern.ends_with("/retry") && answer.status == 409)
            // Nothing was delivered here.
            || (taker.pattern.ends_with("/redeliver") && answer.status == 404);
        assert!(gone || (200..300).contains(&answer.status), "{}: {}", taker.path, answer.text());
    }
    assert!(scene.rows().await != before, "the tables show what is written");
}

#[tokio::test]
async fn every_path_and_query_with_nonsense_is_refused_and_no_row_changes() {
    let scene = Scene::new().await;
    let before = scene.rows_at_rest().await;
    let long = "9".repeat(3_000);
    let parts = [
        "x",
        "-1",
        "65536",
        "1e309",
        "NaN",
        "Infinity",
        "%00",
        "%ff%fe",
        "..%2f..%2fserver.key",
        "'%20OR%201=1",
        "{id}",
        "0197a0d0-0000-7000-8000-000000000000",
        &long,
    ];
    let queries = [
        "limit=NaN&wait=Infinity&status=%00&cursor=%ff",
        "limit=-1&wait=-1&status=[]&cursor=..%2f",
        "limit=1e309&wait=1e309&status=1e309&cursor=1e309",
        "limit=18446744073709551616&wait=18446744073709551616&status=x&cursor=x",
        "&&&===&%",
        "limit=1&limit=2&wait=1&wait=2",
    ];
    let everybody = [By::Client, By::Admin, By::Miner, By::Validator];
    let mut asked = 0;
    for method in ["GET", "DELETE", "POST"] {
        for pattern in served_with(method) {
            for by in everybody {
                for part in parts.iter().filter(|_| pattern.contains('{')) {
                    let mut path = pattern.clone();
                    for hole in ["{id}", "{uid}", "{kind}", "{hotkey}"] {
                        path = path.replace(hole, part);
                    }
                    let call = Call::new(method, &path);
                    let answer = scene.app.send(scene.who(by), call).await;
                    asked += 1;
                    assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
                    let content_type = answer.header("content-type").unwrap_or_default();
                    let openai = path.starts_with("/v1/");
                    let expected =
                        if openai { "application/json" } else { "application/problem+json" };
                    assert_eq!(content_type, expected, "{path}");
                }
                // What a route does not read it may ignore; what it reads it must refuse.
                for query in queries.iter().filter(|_| method == "GET" && !pattern.contains('{')) {
                    let call = Call::new(method, format!("{pattern}?{query}"));
                    let answer = scene.app.send(scene.who(by), call).await;
                    asked += 1;
                    assert!(answer.status < 500, "{pattern}?{query}: {}", answer.text());
                }
            }
        }
    }
    assert!(asked > 700, "{asked}");
    let after = scene.rows().await;
    assert!(before == after, "rows have changed:\n{}", difference(&before, &after));
    scene.app.answer(&scene.miner, &scene.lease).await.ok();
    scene.app.finish().await;
}
