//! The shapes that clients of the original send, with `auth.hotkey_api_keys` on.

use serde_json::json;

use crate::support::{Call, Part, TEXT, TestApp, Who, miner, text, validator};

#[tokio::test]
async fn clients_of_the_original_go_through_a_whole_task() {
    let app = TestApp::with(|config| config.auth.hotkey_api_keys = true).await;
    let (m, v) = (miner(0), validator(0));
    let as_miner = app.new_key(&format!("miner:{}", m.hotkey())).await;
    let as_validator = app.new_key(&format!("validator:{}", v.hotkey())).await;
    let (as_miner, as_validator) = (Who::ApiKey(&as_miner), Who::ApiKey(&as_validator));

    // A report as the original's validator sends it.
    let item = json!({
        "uid": 0, "hotkey": m.hotkey(), "ip": "10.0.0.1", "port": 8091,
        "external_ip": "203.0.113.9", "external_port": 8091, "is_serving": true, "stake": 123.5,
        "performance_score": 0.75, "current_load": 0.0, "max_capacity": 5,
        "last_seen": "2026-11-21T07:37:04.123456",
        "task_type_specialization": {
            "tts": { "total": 4, "successful": 3, "avg_time": 1.5, "success_rate": 0.75 },
            "transcription": { "total": 1, "successful": 1, "avg_time": 2, "success_rate": 1 },
        },
    });
    let mut registered = item.clone();
    registered["uid"] = json!(1);
    registered["hotkey"] = json!(miner(1).hotkey());
    registered["task_type_specialization"] = json!("transcription");
    let report = Call::post("/api/v1/validators/miner-status").form(&[
        ("validator_uid", "200"),
        ("miner_statuses", &json!([item, registered]).to_string()),
        ("epoch", "3"),
    ]);
    let reported = app.send(as_validator, report).await.ok();
    assert_eq!((&reported["miners_processed"], &reported["rejected"]), (&json!(2), &json!([])));
    let network = app.send(as_validator, Call::get("/api/v1/miners/network-status")).await.ok();
    assert_eq!(network["miners"][0]["task_type_specialization"], json!(["transcription", "tts"]));
    assert_eq!(network["miners"][1]["task_type_specialization"], json!(["transcription"]));

    // A client with a form and `X-API-Key`.
    let submit = Call::post("/api/v1/tts").form(&[
        ("text", TEXT),
        ("source_language", "en"),
        ("priority", "normal"),
    ]);
    let submitted = app.send(Who::ApiKey(&app.client), submit).await.ok();
    let task = text(&submitted["task_id"]);
    assert_eq!(submitted["redundancy"], 1, "only one of the miners speaks");

    // The miner polls, fetches the content, uploads, and answers without a token.
    let lease = app
        .holder_by(async || {
            let poll = Call::get("/api/v1/miners/0/tasks?status=assigned");
            let leases = app.send(as_miner, poll).await.ok();
            leases.as_array().unwrap().first().cloned()
        })
        .await;
    assert_eq!((&lease["task_id"], &lease["status"]), (&json!(task), &json!("assigned")));
    assert_eq!(lease["task_type"], "tts");
    assert_eq!(lease["input_text"]["text"], TEXT);
    let content = app.send(as_miner, Call::get(format!("/api/v1/miner/tts/{task}"))).await.ok();
    assert_eq!(content["text"], TEXT);
    let audio = crate::walks::task::audio();
    let upload = Call::post("/api/v1/miner/tts/upload-audio").multipart(&[
        Part::file("audio_file", "speech.wav", "audio/wav", &audio),
        Part::text("task_id", task),
        Part::text("miner_uid", "0"),
        Part::text("duration", "1.0"),
    ]);
    let uploaded = app.send(as_miner, upload).await.ok();
    let answer = Call::post("/api/v1/miner/response").form(&[
        ("task_id", task),
        ("miner_uid", "0"),
        ("response_data", &json!({ "audio_file": uploaded["file_id"] }).to_string()),
        ("processing_time", "1.25"),
        ("accuracy_score", "0.95"),
        ("speed_score", "0.9"),
    ]);
    assert_eq!(app.send(as_miner, answer.clone()).await.ok()["task_status"], "done");
    assert_eq!(app.send(as_miner, answer).await.ok()["duplicate"], true);

    // The validator lists, downloads, judges, and says that it has seen the task.
    let completed = app.send(as_validator, Call::get("/api/v1/tasks/completed")).await.ok();
    assert_eq!(completed[0]["task_id"], task);
    assert_eq!(completed[0]["miner_responses"][0]["miner_uid"], 0);
    let left = app.send(as_validator, Call::get("/api/v1/validator/tasks")).await.ok();
    assert_eq!((&left["count"], &left["tasks"][0]["task_id"]), (&json!(1), &json!(task)));
    let file = Call::get(format!("/api/v1/files/{}/download", text(&uploaded["file_id"])));
    assert!(app.send(as_validator, file).await.bytes == audio);
    let data = json!({ "evaluations": [{ "miner_uid": 0, "accuracy": 0.9, "speed": 0.5 }] });
    let judge = Call::post("/api/v1/validator/evaluation").form(&[
        ("task_id", task),
        ("validator_uid", "200"),
        ("evaluation_data", &data.to_string()),
    ]);
    assert_eq!(app.send(as_validator, judge.clone()).await.ok()["task_status"], "approved");
    assert_eq!(app.send(as_validator, judge).await.ok()["duplicates"], 1);
    let seen = Call::post("/api/v1/validators/mark-task-seen")
        .json(&json!({ "task_id": task, "validator_uid": 200 }));
    app.send(as_validator, seen).await.ok();
    let evaluated = Call::get("/api/v1/validator/200/evaluated_tasks");
    let evaluated = app.send(as_validator, evaluated).await.ok();
    assert_eq!(evaluated["evaluated_tasks"], json!([task]));
    let result = Call::get(format!("/api/v1/tts/{task}/result"));
    let result = app.send(Who::ApiKey(&app.client), result).await.ok();
    assert_eq!(result["result"]["audio_file"], uploaded["file_id"]);
    app.finish().await;
}
