//! A file goes through transcription as bytes, from upload to approval.

use pithead::sim::wav;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Call, Part, TestApp, miner, text, token, validator};

/// A second of a tone: a real WAV file.
pub(crate) fn audio() -> Vec<u8> {
    let mut samples = Vec::new();
    wav::add_tone(&mut samples, 440.0, 1_000);
    wav::write(&samples)
}

#[tokio::test]
async fn audio_is_uploaded_fetched_hash_equal_answered_judged_and_approved() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1)];
    app.report(&[&miners[0], &miners[1]]).await;
    let audio = audio();
    let submitted = app.submit_audio(&audio, &[("redundancy", "2")]).await.ok();
    assert_eq!(submitted["status"], "pending");
    assert_eq!(submitted["auto_assigned"], true);
    assert_eq!(submitted["redundancy"], 2);
    assert_eq!(submitted["estimate"]["feasible"], true);
    assert_eq!(submitted["estimate"]["capable_miners"], 2);
    assert!(submitted["message"].is_string());
    let task = text(&submitted["task_id"]);
    let result = format!("/api/v1/transcription/{task}/result");
    let open = app.as_client(Call::get(&result)).await.ok();
    assert_eq!((&open["result"], &open["responses_count"]), (&Value::Null, &json!(0)));

    for (turn, miner) in miners.iter().enumerate() {
        let lease = app.one_lease(miner).await;
        assert_eq!(lease["task_id"], task);
        assert_eq!(lease["task_type"], "transcription");
        assert_eq!(lease["status"], "assigned");
        assert_eq!(lease["source_language"], "en");
        assert_eq!(lease["input_text"], Value::Null);
        assert_eq!(lease["lease"]["attempt"], 1);
        let file = &lease["input_file"];
        assert_eq!(file["size"], audio.len());
        assert_eq!(file["sha256"], hex::encode(Sha256::digest(&audio)));
        assert_eq!(file["file_name"], "speech.wav");
        assert_eq!(text(&file["public_url"]), format!("{}{}", app.url(), text(&file["url"])));

        let content = Call::get(format!("/api/v1/miner/transcription/{task}"));
        assert_eq!(app.send(miner.who(), content).await.ok()["input_file"], *file);
        let download = Call::get(text(&file["url"]));
        let got = app.send(miner.who(), download.clone()).await;
        assert_eq!(got.status, 200);
        assert!(got.bytes == audio, "the file came back changed");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        assert!(got.header("content-disposition").unwrap().starts_with("attachment"));
        let part = app.send(miner.who(), download.header("Range", "bytes=0-3")).await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &b"RIFF"[..]));

        let beat = app.heartbeat(miner, &lease).await.ok();
        assert!(beat["expires_at"].is_string(), "{beat}");
        app.advance(1_000 * (turn as i64 + 1));
        let data = json!({ "transcript": format!("heard by {turn}"), "confidence": 0.9 });
        let answer = app.respond(miner, task, Some(token(&lease)), &data).await.ok();
        assert_eq!((&answer["accepted"], &answer["duplicate"]), (&json!(true), &json!(false)));
        let status = if turn == 0 { "processing" } else { "done" };
        assert_eq!(answer["task_status"], status);
        // The first response is fed back at once.
        let result = app.as_client(Call::get(&result)).await.ok();
        assert_eq!(result["result"]["transcript"], "heard by 0");
        assert_eq!(result["responses_count"], turn + 1);
    }
    let done = app.task(task).await;
    assert_eq!(done["status"], "done");
    assert_eq!(done["progress"]["miner_responses"], 2);
    assert_eq!(done["progress"]["required_miner_count"], 2);
    assert_eq!(done["progress"]["assigned_miners"], 2);
    assert_eq!(done["timeline"].as_array().unwrap().len(), 2);
    let responses = app.as_client(Call::get(format!("/api/v1/task/{task}/responses"))).await.ok();
    let elapsed = |n: usize| responses["responses"][n]["elapsed_ms"].as_i64().unwrap();
    assert!(elapsed(0).max(elapsed(1)) >= 2_000, "our own timing: {responses}");

    let judge = validator(0);
    let left = app.send(judge.who(), Call::get("/api/v1/validator/tasks")).await.ok();
    assert_eq!(left["count"], 1);
    assert_eq!(left["tasks"][0]["task_id"], task);
    assert_eq!(left["tasks"][0]["responses"].as_array().unwrap().len(), 2);
    let url = text(&left["tasks"][0]["input_file"]["url"]).to_owned();
    assert!(app.send(judge.who(), Call::get(url)).await.bytes == audio);
    let judged = app.evaluate(&judge, task, &[(0, 0.2), (1, 1.0)]).await;
    assert_eq!((&judged["accepted"], &judged["duplicates"]), (&json!(2), &json!(0)));
    assert_eq!(judged["task_status"], "approved");
    assert_eq!(judged["best_miner_uid"], 1);
    let best = app.as_client(Call::get(&result)).await.ok();
    assert_eq!(best["status"], "approved");
    assert_eq!(best["miner_uid"], 1);
    assert_eq!(best["result"]["transcript"], "heard by 1");
    let left = app.send(judge.who(), Call::get("/api/v1/validator/tasks")).await.ok();
    assert_eq!(left["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn speech_is_uploaded_by_the_miner_and_downloaded_by_the_client() {
    let app = TestApp::start().await;
    let (m, stranger) = (miner(0), miner(1));
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1"), ("voice_name", "anna")]).await;
    let lease = app.one_lease(&m).await;
    assert_eq!(lease["voice_name"], "anna");
    assert_eq!(lease["input_text"]["text"], crate::support::TEXT);
    let audio = audio();
    let call = Call::post("/api/v1/miner/files").multipart(&[
        Part::text("task_id", &task),
        Part::file("file", "said.wav", "audio/wav", &audio),
    ]);
    let uploaded = app.send(m.who(), call).await;
    let place = uploaded.header("location").unwrap().to_owned();
    let uploaded = uploaded.is(201);
    assert_eq!(place, format!("/api/v1/files/{}", text(&uploaded["file_id"])));
    assert_eq!(uploaded["sha256"], hex::encode(Sha256::digest(&audio)));
    assert_eq!(uploaded["size"], audio.len());
    let data = json!({ "audio_file": uploaded["file_id"] });
    app.respond(&m, &task, Some(token(&lease)), &data).await.ok();
    let result = app.as_client(Call::get(format!("/api/v1/tts/{task}/result"))).await.ok();
    let file = text(&result["result"]["audio_file"]).to_owned();
    let download = Call::get(format!("/api/v1/files/{file}/download"));
    assert!(app.as_client(download.clone()).await.bytes == audio);
    // Everybody else learns nothing.
    app.report(&[&m, &stranger]).await;
    app.send(stranger.who(), download.clone()).await.problem(404, "not_found");
    let other = app.new_key("client").await;
    let as_other = crate::support::Who::Bearer(&other);
    app.send(as_other, download).await.problem(404, "not_found");
    app.send(as_other, Call::get(place)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn every_built_in_kind_goes_round() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let audio = audio();
    let mp4 = [b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".as_slice(), &[7; 64]].concat();
    let text_of = |text: &'static str| Part::text("text", text);
    let long = "A long text that is worth a summary, since it has fifty characters and more.";
    let to = || Part::text("target_language", "fr");
    let cases: [(&str, Vec<Part<'_>>); 6] = [
        ("transcription", vec![Part::file("audio_file", "a.wav", "audio/wav", &audio)]),
        ("tts", vec![text_of("ten characters and more")]),
        ("summarization", vec![text_of(long)]),
        ("video-transcription", vec![Part::file("video_file", "a.mp4", "video/mp4", &mp4)]),
        ("text-translation", vec![text_of("good day"), to()]),
        (
            "document-translation",
            vec![Part::file("document_file", "a.txt", "text/plain", b"good day"), to()],
        ),
    ];
    for (kind, parts) in cases {
        let call = Call::post(format!("/api/v1/{kind}")).multipart(&parts);
        let submitted = app.as_client(call).await.ok();
        assert_eq!(submitted["redundancy"], 1, "lowered to the one miner there is");
        let task = text(&submitted["task_id"]);
        let lease = app.one_lease(&m).await;
        assert_eq!(lease["task_type"], kind.replace('-', "_"));
        let content = Call::get(format!("/api/v1/miner/{kind}/{task}"));
        app.send(m.who(), content).await.ok();
        app.answer(&m, &lease).await.ok();
        let result = Call::get(format!("/api/v1/{kind}/{task}/result"));
        assert!(app.as_client(result).await.ok()["result"].is_object(), "{kind}");
    }
    app.finish().await;
}
