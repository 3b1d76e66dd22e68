//! `POST /tasks` and `/tasks/batch`: any kind of the registry, one by one or many at once.

use serde_json::{Value, json};

use crate::support::{Call, Part, TEXT, TestApp, miner};
use crate::walks::task::audio;

fn batch(tasks: Value) -> Call {
    Call::post("/api/v1/tasks/batch").json(&json!({ "tasks": tasks }))
}

#[tokio::test]
async fn a_task_of_any_kind_is_made_and_has_its_place() {
    let app = TestApp::start().await;
    let text = json!({ "task_type": "text_translation", "text": TEXT, "target_language": "fr" });
    let made = app.as_client(Call::post("/api/v1/tasks").json(&text)).await;
    let place = made.header("location").unwrap().to_owned();
    let made = made.is(201);
    assert_eq!(place, format!("/api/v1/tasks/{}", made["task_id"].as_str().unwrap()));
    let shown = app.as_client(Call::get(place)).await.ok();
    assert_eq!(
        (&shown["task_type"], &shown["target_language"]),
        (&json!("text_translation"), &json!("fr"))
    );
    let sound = audio();
    let parts = [
        Part::text("task_type", "transcription"),
        Part::file("file", "a.wav", "audio/wav", &sound),
    ];
    let made = app.as_client(Call::post("/api/v1/tasks").multipart(&parts)).await.is(201);
    assert_eq!(app.task(made["task_id"].as_str().unwrap()).await["task_type"], "transcription");
    let unknown = json!({ "task_type": "poetry", "text": TEXT });
    app.as_client(Call::post("/api/v1/tasks").json(&unknown)).await.problem(404, "unknown_kind");
    app.finish().await;
}

#[tokio::test]
async fn a_file_uploaded_before_is_the_input_of_several_tasks_of_its_owner_only() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    let sound = audio();
    let file =
        Call::post("/api/v1/files").multipart(&[Part::file("file", "a.wav", "audio/wav", &sound)]);
    let file = app.as_client(file).await.is(201)["file_id"].clone();
    let task = json!({ "task_type": "transcription", "file_id": file, "redundancy": 1 });
    let made = app.as_client(batch(json!([task, task]))).await.ok();
    assert_eq!((&made["accepted"], &made["refused"]), (&json!(2), &json!(0)), "{made}");
    let lease = app.wait_leases(&miner(0)).await[0].clone();
    assert_eq!(lease["input_file"]["file_id"], file);
    let url = lease["input_file"]["url"].as_str().unwrap().to_owned();
    let got = app.send(miner(0).who(), Call::get(url)).await;
    assert_eq!((got.status, got.bytes), (200, sound));
    // Another client does not learn that it exists.
    let stranger = app.new_key("client").await;
    let answer = app.send(crate::support::Who::Bearer(&stranger), batch(json!([task]))).await.ok();
    assert_eq!(answer["results"][0]["field"], "file_id", "{answer}");
    let speech =
        json!({ "task_type": "document_translation", "file_id": file, "target_language": "fr" });
    app.as_client(Call::post("/api/v1/tasks").json(&speech)).await.names("file_id");
    app.finish().await;
}

#[tokio::test]
async fn each_task_of_a_batch_has_its_own_result_in_its_place() {
    let app = TestApp::start().await;
    let good = |n: usize| json!({ "task_type": "tts", "text": format!("{TEXT} number {n}") });
    let mut tasks: Vec<Value> = (0..200).map(good).collect();
    tasks[3] = json!({ "task_type": "tts", "text": "short" });
    tasks[5] = json!({ "task_type": "poetry" });
    tasks[7] = json!("no object");
    tasks[9] = json!({ "text": TEXT });
    let told = app.as_client(batch(Value::Array(tasks))).await.ok();
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(196), &json!(4)), "{told}");
    let results = told["results"].as_array().unwrap();
    assert_eq!(results.len(), 200);
    for (place, field) in
        [(3, json!("text")), (5, json!(null)), (7, json!("tasks")), (9, json!("task_type"))]
    {
        let result = &results[place];
        assert_eq!((&result["success"], &result["field"]), (&json!(false), &field), "{result}");
        assert!(result["detail"].as_str().unwrap().len() > 9, "{result}");
    }
    for place in [0, 199] {
        let id = results[place]["task_id"].as_str().unwrap();
        assert_eq!(app.task(id).await["status"], "pending");
    }
    assert_eq!(app.task_count().await, 196);
    for wrong in [json!([]), json!({}), Value::Array(vec![good(0); 1_001])] {
        app.as_client(batch(wrong)).await.names("tasks");
    }
    assert_eq!(app.task_count().await, 196);
    app.finish().await;
}

#[tokio::test]
async fn a_batch_sent_again_with_its_key_makes_nothing_twice() {
    let app = TestApp::start().await;
    let task = json!({ "task_type": "tts", "text": TEXT });
    let other = json!({ "task_type": "tts", "text": format!("{TEXT} and more") });
    let send = |tasks: Value| app.as_client(batch(tasks).header("idempotency-key", "abc"));
    let ids = |told: Value| -> Vec<Value> {
        told["results"].as_array().unwrap().iter().map(|r| r["task_id"].clone()).collect()
    };
    let first = ids(send(json!([task, task])).await.ok());
    let again = ids(send(json!([task, task, other])).await.ok());
    assert_eq!(again[..2], first[..]);
    assert_eq!(app.task_count().await, 3);
    let changed = send(json!([other])).await.ok();
    assert_eq!(changed["results"][0]["code"], "idempotency_mismatch", "{changed}");
    app.finish().await;
}
