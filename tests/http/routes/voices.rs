//! `/api/v1/voices`: a client's catalogue, and what miners get of it.

use serde_json::{Value, json};

use crate::support::{Answer, Call, Part, TEXT, TestApp, Who, miner, text};
use crate::walks::task::audio;

async fn create(app: &TestApp, who: Who<'_>, name: &str) -> Answer {
    let audio = audio();
    let parts = [
        Part::text("name", name),
        Part::text("language", "fr"),
        Part::text("description", "low and slow"),
        Part::file("sample", "a.wav", "audio/wav", &audio),
    ];
    app.send(who, Call::post("/api/v1/voices").multipart(&parts)).await
}

async fn names(app: &TestApp, who: Who<'_>) -> Vec<Value> {
    let list = app.send(who, Call::get("/api/v1/voices")).await.ok();
    list["voices"].as_array().unwrap().iter().map(|voice| voice["name"].clone()).collect()
}

#[tokio::test]
async fn a_voice_is_put_down_shown_listed_and_taken_out() {
    let mut app = TestApp::start().await;
    let client = app.client.clone();
    let own = Who::Bearer(&client);
    let made = create(&app, own, " Ann ").await;
    let place = made.header("location").unwrap().to_owned();
    let made = made.is(201);
    assert_eq!((&made["name"], &made["language"]), (&json!("Ann"), &json!("fr")));
    assert_eq!((&made["shared"], &made["description"]), (&json!(false), &json!("low and slow")));
    assert_eq!(made["sample"]["expires_at"], Value::Null, "as long as the voice");
    app.restart().await;
    let shown = app.send(own, Call::get(&place)).await.ok();
    assert_eq!((&shown["name"], &shown["voice_id"]), (&made["name"], &made["voice_id"]));
    assert_eq!(shown["sample"]["file_id"], made["sample"]["file_id"]);
    let sample = Call::get(text(&made["sample"]["url"]));
    assert!(app.send(own, sample.clone()).await.bytes == crate::walks::task::audio());
    create(&app, own, "Ann").await.problem(409, "conflict");
    let audio = audio();
    let kept = [Part::file("file", "b.wav", "audio/wav", &audio)];
    let kept = app.as_client(Call::post("/api/v1/files").multipart(&kept)).await.is(201);
    let body = json!({ "name": "Joe", "file_id": kept["file_id"] });
    app.as_client(Call::post("/api/v1/voices").json(&body)).await.is(201);
    app.as_client(Call::post("/api/v1/voices").json(&json!({ "name": "Eve" }))).await.is(201);
    assert_eq!(names(&app, own).await, ["Ann", "Joe", "Eve"]);
    let page = app.as_client(Call::get("/api/v1/voices?limit=2")).await.ok();
    let next = format!("/api/v1/voices?limit=2&cursor={}", text(&page["next_cursor"]));
    let page = app.as_client(Call::get(next)).await.ok();
    assert_eq!((&page["voices"][0]["name"], &page["next_cursor"]), (&json!("Eve"), &Value::Null));
    let other = app.new_key("client").await;
    for call in [Call::get(&place), Call::delete(&place), sample.clone()] {
        app.send(Who::Bearer(&other), call).await.problem(404, "not_found");
    }
    assert_eq!(names(&app, Who::Bearer(&other)).await, Vec::<Value>::new());
    assert_eq!(app.send(own, Call::delete(&place)).await.status, 204);
    app.send(own, Call::get(&place)).await.problem(404, "not_found");
    app.send(own, Call::delete(&place)).await.problem(404, "not_found");
    assert_eq!(app.send(own, sample).await.status, 200, "for as long as a file of today");
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_voice_is_refused() {
    let app = TestApp::start().await;
    let post = |body: &Value| Call::post("/api/v1/voices").json(body);
    for (body, field) in [
        (json!({ "name": "  " }), "name"),
        (json!({ "name": "x".repeat(121) }), "name"),
        (json!({ "name": "a\u{7}b" }), "name"),
        (json!({ "name": "a", "language": "klingon" }), "language"),
        (json!({ "name": "a", "description": "x".repeat(1_001) }), "description"),
        (json!({ "name": "a", "description": "a\u{0}b" }), "description"),
        (json!({ "name": "a", "file_id": "0197a0d0-0000-7000-8000-000000000000" }), "file_id"),
    ] {
        app.as_client(post(&body)).await.names(field);
    }
    let paper = [Part::file("file", "a.txt", "text/plain", b"words")];
    let paper = app.as_client(Call::post("/api/v1/files").multipart(&paper)).await.is(201);
    let body = json!({ "name": "a", "file_id": paper["file_id"] });
    app.as_client(post(&body)).await.names("file_id");
    let other = app.new_key("client").await;
    let long = [b"RIFF\x24\0\0\0WAVEfmt ", &vec![0; 10 * 1024 * 1024][..]].concat();
    let file = |field| Part::file(field, "a.wav", "audio/wav", &long);
    let parts = [Part::text("name", "a"), file("sample")];
    let call = Call::post("/api/v1/voices").multipart(&parts);
    app.as_client(call).await.problem(413, "too_large");
    let kept = app.as_client(Call::post("/api/v1/files").multipart(&[file("file")])).await.is(201);
    let body = json!({ "name": "a", "file_id": kept["file_id"] });
    app.as_client(post(&body)).await.names("file_id");
    // Nobody takes another's file for a voice.
    let audio = audio();
    let own = [Part::file("file", "b.wav", "audio/wav", &audio)];
    let own = app.as_client(Call::post("/api/v1/files").multipart(&own)).await.is(201);
    let body = json!({ "name": "a", "file_id": own["file_id"] });
    app.send(Who::Bearer(&other), post(&body)).await.names("file_id");
    let parts = [Part::text("name", "a"), Part::file("sample", "a", "audio/wav", b"words")];
    let call = Call::post("/api/v1/voices").multipart(&parts);
    app.as_client(call).await.problem(415, "unsupported_media");
    assert_eq!(names(&app, Who::Bearer(&app.client)).await, Vec::<Value>::new());
    app.finish().await;
}

#[tokio::test]
async fn voices_of_an_admin_are_everybodys_to_use_and_nobodys_to_delete() {
    let app = TestApp::start().await;
    let made = create(&app, Who::Bearer(&app.admin), "House").await.is(201);
    assert_eq!(made["shared"], true);
    let place = format!("/api/v1/voices/{}", text(&made["voice_id"]));
    assert_eq!(app.as_client(Call::get(&place)).await.ok()["name"], "House");
    assert_eq!(names(&app, Who::Bearer(&app.client)).await, ["House"]);
    let sample = app.as_client(Call::get(text(&made["sample"]["url"]))).await;
    assert!(sample.bytes == audio());
    app.as_client(Call::delete(&place)).await.problem(403, "forbidden");
    assert_eq!(app.send(Who::Bearer(&app.admin), Call::delete(&place)).await.status, 204);
    app.finish().await;
}

#[tokio::test]
async fn a_miner_gets_the_voice_that_the_owner_means_and_its_sample_while_it_works() {
    let app = TestApp::start().await;
    let (one, two) = (miner(0), miner(1));
    app.report(&[&one]).await;
    create(&app, Who::Bearer(&app.admin), "Ann").await.is(201);
    let made = create(&app, Who::Bearer(&app.client), "Ann").await.is(201);
    let sample = Call::get(text(&made["sample"]["url"]));
    app.send(one.who(), sample.clone()).await.problem(404, "not_found");
    let task = app.submit_tts(&[("redundancy", "1"), ("voice_name", "Ann")]).await;
    let lease = app.one_lease(&one).await;
    assert_eq!(lease["voice_name"], "Ann");
    assert_eq!(lease["voice"]["voice_id"], made["voice_id"], "its own before a shared one");
    assert_eq!(lease["voice"]["language"], "fr");
    assert_eq!(lease["voice"]["sample"]["file_id"], made["sample"]["file_id"]);
    let content = Call::get(format!("/api/v1/miner/tts/{task}"));
    assert_eq!(app.send(one.who(), content).await.ok()["voice"], lease["voice"]);
    assert!(app.send(one.who(), sample.clone()).await.bytes == audio());
    app.report(&[&one, &two]).await;
    app.send(two.who(), sample.clone()).await.problem(404, "not_found");
    app.answer(&one, &lease).await.ok();
    app.send(one.who(), sample.clone()).await.problem(404, "not_found");
    let task = app.submit_tts(&[("redundancy", "1"), ("voice_name", "alloy")]).await;
    let (by, lease) = app.holder(&[&one, &two], &task).await;
    app.send(by.who(), sample.clone()).await.problem(404, "not_found");
    app.answer(by, &lease).await.ok();
    // A name of no catalogue is one of the model's own, and another's catalogue is none.
    let other = app.new_key("client").await;
    for name in ["alloy", "Ann"] {
        let form = [("text", TEXT), ("redundancy", "1"), ("voice_name", name)];
        let task = app.send(Who::Bearer(&other), Call::post("/api/v1/tts").form(&form)).await.ok();
        let (by, lease) = app.holder(&[&one, &two], text(&task["task_id"])).await;
        assert_eq!(lease["voice_name"], name);
        let shared = name == "Ann";
        assert_eq!(lease["voice"].is_null(), !shared);
        assert_eq!(lease["voice"]["shared"] == true, shared);
        app.send(by.who(), sample.clone()).await.problem(404, "not_found");
        app.answer(by, &lease).await.ok();
    }
    app.finish().await;
}

#[tokio::test]
async fn the_same_key_makes_one_voice() {
    let app = TestApp::start().await;
    let post = async |name: &str| {
        let call = Call::post("/api/v1/voices").json(&json!({ "name": name }));
        app.as_client(call.header("Idempotency-Key", "voice-1")).await
    };
    let made = post("Ann").await.is(201);
    assert_eq!(post("Ann").await.is(201), made);
    post("Joe").await.problem(422, "idempotency_mismatch");
    assert_eq!(names(&app, Who::Bearer(&app.client)).await, ["Ann"]);
    app.finish().await;
}
