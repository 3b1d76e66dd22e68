//! A kind that stands in the configuration and nowhere else.

use pithead::config::Config;
use serde_json::{Value, json};

use crate::support::{Call, Part, TestApp, miner, status, text, token, validator};

const KINDS: &str = r#"
[[kinds]]
name = "sentiment"
input = "text"
output_keys = ["mood"]
text_chars_min = 5
text_chars_max = 500
languages = ["en", "sw"]
redundancy = 2
run_secs = 60
weight_millionths = 400000

[[kinds]]
name = "bird_song"
input = "audio"
output_keys = ["species"]
file_bytes_max = 100000
languages = ["en"]
redundancy = 1
"#;

async fn start() -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pithead.toml");
    std::fs::write(&file, KINDS).unwrap();
    let read = Config::load(Some(&file)).unwrap();
    TestApp::with(|config| config.kinds = read.kinds).await
}

#[tokio::test]
async fn a_kind_of_the_configuration_alone_goes_from_submit_to_the_leaderboard() {
    let mut app = start().await;
    let miners = [miner(0), miner(1), miner(2)];
    let statuses = miners.iter().map(|m| {
        let mut status = status(m);
        let able = if m.uid == 2 { "transcription" } else { "sentiment" };
        status["task_type_specialization"] = json!(able);
        status
    });
    app.report_statuses(&statuses.collect()).await;
    let body = json!({ "task_type": "sentiment", "text": "Habari njema", "source_language": "sw" });
    let made = app.as_client(Call::post("/api/v1/tasks").json(&body)).await.is(201);
    let task = text(&made["task_id"]).to_owned();
    assert_eq!((&made["redundancy"], &made["estimate"]["capable_miners"]), (&json!(2), &json!(2)));
    for (miner, mood) in miners.iter().zip(["glad", "calm"]) {
        let lease = app.one_lease(miner).await;
        assert_eq!((&lease["task_id"], &lease["task_type"]), (&json!(task), &json!("sentiment")));
        assert_eq!(lease["input_text"]["text"], "Habari njema");
        let content = Call::get(format!("/api/v1/miner/sentiment/{task}"));
        assert_eq!(app.send(miner.who(), content).await.ok()["source_language"], "sw");
        let wrong = json!({ "transcript": "no mood" });
        let wrong = app.respond(miner, &task, Some(token(&lease)), &wrong).await;
        wrong.names("response_data.mood");
        app.respond(miner, &task, Some(token(&lease)), &json!({ "mood": mood })).await.ok();
    }
    assert!(app.leases(&miners[2]).await.is_empty(), "it does other work");
    app.evaluate(&validator(0), &task, &[(0, 0.5), (1, 1.0)]).await;
    app.until(&task, "approved").await;
    let result = Call::get(format!("/api/v1/sentiment/{task}/result"));
    assert_eq!(app.as_client(result.clone()).await.ok()["result"], json!({ "mood": "calm" }));
    let judged = Call::get(format!("/api/v1/validator/{}/evaluated_tasks", validator(0).uid));
    let judged = app.send(validator(0).who(), judged).await.ok();
    for evaluation in judged["evaluations"].as_array().unwrap() {
        let [score, reward] = ["score", "reward"].map(|key| evaluation[key].as_f64().unwrap());
        assert!((reward - 0.4 * score).abs() < 1e-5, "the kind's share counts: {judged}");
    }
    let board = Call::get("/api/v1/leaderboard?task_type=sentiment&period=daily");
    let ranked = async |app: &TestApp| {
        let board = app.as_client(board.clone()).await.ok();
        let lines = board["miners"].as_array().unwrap().iter();
        lines.map(|line| line["miner_uid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ranked(&app).await, [json!(1), json!(0)]);
    // It is in the configuration, not in the rows: after a restart all of it stands.
    app.restart().await;
    assert_eq!(app.as_client(result).await.ok()["result"], json!({ "mood": "calm" }));
    assert_eq!(ranked(&app).await, [json!(1), json!(0)]);
    app.finish().await;
}

#[tokio::test]
async fn the_limits_of_a_configured_kind_hold_and_files_are_taken() {
    let app = start().await;
    let mut able = status(&miner(0));
    able["task_type_specialization"] = json!(["bird_song"]);
    app.report_statuses(&json!([able])).await;
    let kinds = app.as_client(Call::get("/api/v1/kinds")).await.ok();
    let known = |name: &str| {
        let kinds = kinds["kinds"].as_array().unwrap().iter();
        kinds.filter(|kind| kind["name"] == name).count()
    };
    assert_eq!((known("sentiment"), known("bird_song"), known("tts")), (1, 1, 1), "{kinds}");
    for (field, body) in [
        ("text", json!({ "task_type": "sentiment", "text": "tiny" })),
        ("text", json!({ "task_type": "sentiment", "text": "x".repeat(501) })),
        (
            "source_language",
            json!({ "task_type": "sentiment", "text": "Bonjour", "source_language": "fr" }),
        ),
        ("audio_file", json!({ "task_type": "bird_song" })),
    ] {
        app.as_client(Call::post("/api/v1/tasks").json(&body)).await.names(field);
    }
    let sound = super::task::audio();
    let parts =
        [Part::text("task_type", "bird_song"), Part::file("file", "a.wav", "audio/wav", &sound)];
    let made = app.as_client(Call::post("/api/v1/tasks").multipart(&parts)).await.is(201);
    let lease = app.one_lease(&miner(0)).await;
    assert_eq!(lease["input_file"]["size"], sound.len());
    let species = json!({ "species": "wren" });
    app.respond(&miner(0), text(&made["task_id"]), Some(token(&lease)), &species).await.ok();
    let result: Value = app
        .as_client(Call::get(format!("/api/v1/bird_song/{}/result", text(&made["task_id"]))))
        .await
        .ok();
    assert_eq!(result["result"], species);
    app.finish().await;
}
