//! A file's life: made once, kept while something needs it, forgotten, its bytes deleted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pithead::domain::kind::KindRegistry;
use serde_json::Value;

use super::task::audio;
use crate::support::{Answer, Call, Part, TestApp, Who, miner, text, validator, wait_for};

const LIMIT: Duration = Duration::from_secs(20);
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

async fn put(app: &TestApp, name: &str, bytes: &[u8]) -> Answer {
    let part = Part::file("file", name, "audio/wav", bytes);
    app.as_client(Call::post("/api/v1/files").multipart(&[part])).await
}

async fn keyed(app: &TestApp, who: Who<'_>, name: &str, bytes: &[u8]) -> Answer {
    let part = Part::file("file", name, "audio/wav", bytes);
    let call = Call::post("/api/v1/files").multipart(&[part]).header("Idempotency-Key", "file-1");
    app.send(who, call).await
}

fn blob(app: &TestApp, row: &Value) -> PathBuf {
    let sha256 = text(&row["sha256"]);
    app.folder().join("blobs").join(&sha256[..2]).join(sha256)
}

/// How far ahead the next minute is in which the blob's folder is looked at, at least so far.
fn to_turn(app: &TestApp, row: &Value, millis: i64) -> i64 {
    let now = app.clock.now().0;
    let first = i64::from_str_radix(&text(&row["sha256"])[..2], 16).unwrap();
    let minute = (now + millis) / MINUTE + 1;
    (minute + (first - minute).rem_euclid(256)) * MINUTE - now
}

fn advance_to_turn(app: &TestApp, row: &Value, millis: i64) {
    app.advance(to_turn(app, row, millis));
}

async fn shown(app: &TestApp, row: &Value) -> u16 {
    app.as_client(Call::get(format!("/api/v1/files/{}", text(&row["file_id"])))).await.status
}

async fn until_forgotten(app: &TestApp, row: &Value) {
    wait_for("the file is forgotten", LIMIT, async || (shown(app, row).await == 404).then_some(()))
        .await;
}

/// Lays bytes without a row beside a blob, as a crash leaves them; last touched so long ago.
fn orphan(app: &TestApp, beside: &Value, digit: &str, millis: i64) -> PathBuf {
    let path = blob(app, beside);
    let path = path.with_file_name(text(&beside["sha256"])[..2].to_owned() + &digit.repeat(62));
    std::fs::write(&path, b"orphan").unwrap();
    let touched = std::time::SystemTime::now() - Duration::from_millis(millis.unsigned_abs());
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(touched).unwrap();
    path
}

async fn until_deleted(path: &Path) {
    wait_for("the bytes are deleted", LIMIT, async || (!path.exists()).then_some(())).await;
}

#[tokio::test]
async fn the_same_key_and_bytes_are_one_file_and_other_bytes_are_refused() {
    let mut app = TestApp::start().await;
    let audio = audio();
    let client = app.client.clone();
    let own = Who::Bearer(&client);
    let first = keyed(&app, own, "a.wav", &audio).await.is(201);
    let again = keyed(&app, own, "renamed.wav", &audio).await;
    let place = format!("/api/v1/files/{}", text(&first["file_id"]));
    assert_eq!(again.header("location"), Some(place.as_str()));
    assert_eq!(again.is(201), first);
    let mut other = audio.clone();
    other.push(0);
    keyed(&app, own, "a.wav", &other).await.problem(422, "idempotency_mismatch");
    app.restart().await;
    assert_eq!(keyed(&app, own, "a.wav", &audio).await.is(201)["file_id"], first["file_id"]);
    let foreign = app.new_key("client").await;
    let foreign = keyed(&app, Who::Bearer(&foreign), "a.wav", &audio).await.is(201);
    assert_ne!(foreign["file_id"], first["file_id"]);
    app.advance(DAY + MINUTE);
    wait_for("the key is forgotten", LIMIT, async || {
        let now = keyed(&app, own, "a.wav", &audio).await.is(201);
        (now["file_id"] != first["file_id"]).then_some(())
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_file_past_its_time_is_forgotten_and_then_its_bytes() {
    let app = TestApp::with(|config| config.retention.files_days = 5).await;
    let audio = audio();
    let row = put(&app, "a.wav", &audio).await.is(201);
    let twin = put(&app, "twin.wav", &audio).await.is(201);
    assert_eq!(row["sha256"], twin["sha256"]);
    // Old enough to be looked at, but two rows name it. What lies beside it tells when that was.
    let beside = orphan(&app, &row, "0", 0);
    advance_to_turn(&app, &row, 2 * DAY);
    until_deleted(&beside).await;
    assert!(blob(&app, &row).exists());
    app.advance(5 * DAY);
    until_forgotten(&app, &row).await;
    until_forgotten(&app, &twin).await;
    advance_to_turn(&app, &row, 0);
    wait_for("the bytes are deleted", LIMIT, async || (!blob(&app, &row).exists()).then_some(()))
        .await;
    let metrics = app.send(Who::Nobody, Call::get("/metrics")).await.text_whole();
    for name in ["files_forgotten", "blobs_deleted", "blob_bytes_deleted"] {
        assert!(metrics.contains(&format!("pithead_{name}_total ")), "{name}");
    }
    let again = put(&app, "a.wav", &audio).await.is(201);
    let got = app.as_client(Call::get(text(&again["url"]))).await;
    assert!(got.bytes == audio);
    app.finish().await;
}

#[tokio::test]
async fn bytes_that_no_row_names_go_after_a_day_and_those_with_a_row_stay() {
    let app = TestApp::start().await;
    let row = put(&app, "a.wav", &audio()).await.is(201);
    let path = blob(&app, &row);
    let stranger = path.with_file_name("stranger.txt");
    std::fs::write(&stranger, b"not ours").unwrap();
    let turn = to_turn(&app, &row, 0);
    let old = orphan(&app, &row, "0", DAY);
    let fresh = orphan(&app, &row, "1", DAY - 10 * MINUTE - turn);
    app.advance(turn);
    until_deleted(&old).await;
    assert!(fresh.exists(), "a row may be on its way");
    advance_to_turn(&app, &row, DAY);
    until_deleted(&fresh).await;
    assert!(path.exists() && stranger.exists());
    assert_eq!(shown(&app, &row).await, 200);
    app.finish().await;
}

#[tokio::test]
async fn what_a_task_works_on_stays_until_it_was_judged() {
    let app = TestApp::with(|config| {
        config.retention.files_days = 4;
        let mut kind = KindRegistry::default().find("transcription").unwrap().1.clone();
        kind.files_days = Some(2);
        config.kinds.push(kind);
    })
    .await;
    let (worker, judge) = (miner(0), validator(0));
    app.report(&[&worker]).await;
    let submitted =
        app.submit_audio(&audio(), &[("redundancy", "1"), ("deadline_secs", "600000")]).await.ok();
    let task = text(&submitted["task_id"]);
    let lease = app.one_lease(&worker).await;
    let input = lease["input_file"].clone();
    let other = put(&app, "b.wav", b"RIFF\x24\0\0\0WAVEfmt other").await.is(201);
    app.answer(&worker, &lease).await.ok();
    app.advance(3 * DAY);
    // Done but not judged: it stays past the two days of its kind, until the task counts as old.
    let waits = [Part::file("file", "c.wav", "audio/wav", b"RIFF\x24\0\0\0WAVEfmt c")];
    app.as_client(Call::post("/api/v1/files").multipart(&waits)).await.is(201);
    wait_for("the file is looked at again later", LIMIT, async || {
        let call = Call::get(format!("/api/v1/files/{}", text(&input["file_id"])));
        let now = app.as_client(call).await.ok();
        (now["expires_at"] != input["expires_at"]).then_some(())
    })
    .await;
    assert_eq!(shown(&app, &other).await, 200, "four days are not over");
    app.evaluate(&judge, task, &[(0, 0.9)]).await;
    app.until(task, "approved").await;
    app.advance(DAY + MINUTE);
    until_forgotten(&app, &input).await;
    until_forgotten(&app, &other).await;
    app.finish().await;
}

#[tokio::test]
async fn a_file_near_its_end_is_taken_for_no_new_task() {
    let app = TestApp::with(|config| config.retention.files_days = 2).await;
    let row = put(&app, "a.wav", &audio()).await.is(201);
    let submit = async || {
        let form = [("file_id", text(&row["file_id"]))];
        app.as_client(Call::post("/api/v1/transcription").form(&form)).await
    };
    app.advance(2 * DAY - 62 * MINUTE);
    let task = submit().await.ok();
    let task = text(&task["task_id"]).to_owned();
    app.cancel(&task).await.ok();
    app.advance(3 * MINUTE);
    submit().await.problem(409, "conflict");
    let retry = Call::post(format!("/api/v1/tasks/{task}/retry"));
    app.as_client(retry.clone()).await.problem(409, "conflict");
    app.advance(60 * MINUTE);
    until_forgotten(&app, &row).await;
    submit().await.names("file_id");
    app.as_client(retry).await.problem(409, "conflict");
    app.finish().await;
}

#[tokio::test]
async fn bytes_sent_again_while_they_are_swept_are_never_lost() {
    let app = TestApp::with(|config| config.retention.files_days = 2).await;
    let audio = audio();
    let mut row = put(&app, "a.wav", &audio).await.is(201);
    for _ in 0..12 {
        app.advance(3 * DAY);
        until_forgotten(&app, &row).await;
        // From now on the sweep wants the bytes; meanwhile they come again, many times.
        advance_to_turn(&app, &row, 0);
        let again = (0..8).map(|_| put(&app, "a.wav", &audio));
        for answer in futures_util::future::join_all(again).await {
            row = answer.is(201);
            let got = app.as_client(Call::get(text(&row["url"]))).await;
            assert!(got.status == 200 && got.bytes == audio, "{}", got.text());
        }
    }
    app.finish().await;
}
