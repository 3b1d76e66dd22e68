//! `POST /api/v1/transcription`: files that are none, and senders that lie.

use std::time::Duration;

use pithead::domain::limits::SPOOL_MEMORY_BYTES;

use crate::support::raw::{Raw, status_of};
use crate::support::{Call, Part, TestApp, text, wait_for};
use crate::walks::task::audio;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";

async fn send(app: &TestApp, parts: &[Part<'_>]) -> crate::support::Answer {
    app.as_client(Call::post("/api/v1/transcription").multipart(parts)).await
}

#[tokio::test]
async fn wrong_files_and_fields_are_refused_and_nothing_is_queued() {
    let app = TestApp::start().await;
    let audio = audio();
    let wav = || Part::file("audio_file", "a.wav", "audio/wav", &audio);
    send(&app, &[]).await.names("audio_file");
    send(&app, &[Part::text("priority", "high")]).await.names("audio_file");
    send(&app, &[wav(), wav()]).await.names("audio_file");
    send(&app, &[Part::file("audio_file", "a.wav", "audio/wav", b"")]).await.names("audio_file");
    for (name, content_type, content) in [
        ("a.wav", "audio/wav", PNG),
        ("a.png", "image/png", PNG),
        ("a.wav", "audio/wav", b"%PDF-1.7 and so on".as_slice()),
        ("a.wav", "audio/wav", b"PK\x03\x04 a zip of something, cut off here"),
        (
            "a.wav",
            "audio/wav",
            b"\x7fELF\x02\x01\x01\0 a program of more than fifty-two bytes, as all of them have",
        ),
        ("a.txt", "text/plain", b"words"),
        ("a", "application/octet-stream", b"\x01\x02\x03\x04"),
    ] {
        let answer = send(&app, &[Part::file("audio_file", name, content_type, content)]).await;
        let problem = answer.problem(415, "unsupported_media");
        assert!(text(&problem["detail"]).contains("audio_file"), "{problem}");
    }
    for (field, value) in [
        ("priority", "soon"),
        ("source_language", "klingon"),
        ("redundancy", "0"),
        ("deadline_secs", "1"),
        ("completion", "quorum:x"),
    ] {
        send(&app, &[wav(), Part::text(field, value)]).await.names(field);
        send(&app, &[Part::text(field, value), wav()]).await.names(field);
    }
    send(&app, &[wav(), Part::text("priority", "low"), Part::text("priority", "low")])
        .await
        .names("priority");
    send(&app, &[wav(), Part::file("priority", "x", "text/plain", b"\xff\xfe")])
        .await
        .names("priority");
    let many: Vec<_> = (0..100).map(|_| Part::text("x", "y")).collect();
    send(&app, &many).await.problem(413, "too_large");
    let form = Call::post("/api/v1/transcription").form(&[("source_language", "en")]);
    app.as_client(form).await.names("audio_file");
    assert_eq!(app.task_count().await, 0);
    assert_eq!(spooled(&app), 0, "what was refused is gone from the disk");
}

fn spooled(app: &TestApp) -> usize {
    std::fs::read_dir(app.folder().join("blobs/spool")).unwrap().count()
}

#[tokio::test]
async fn a_path_in_a_file_name_is_no_path() {
    let app = TestApp::start().await;
    let audio = audio();
    let (m, mut seen) = (crate::support::miner(0), Vec::new());
    for name in [
        "../../../etc/passwd",
        "..\\..\\a.wav",
        "/abs/a.wav",
        "\u{1f3b5}.wav",
        "a;b=\u{e9}",
        "..",
        "",
    ] {
        let file = Part::file("audio_file", name, "audio/wav", &audio);
        seen.push(text(&send(&app, &[file]).await.ok()["task_id"]).to_owned());
    }
    let mut one = crate::support::status(&m);
    one["max_capacity"] = serde_json::json!(50);
    app.report_statuses(&serde_json::json!([one])).await;
    for task in seen {
        let (_, lease) = app.holder(&[&m], &task).await;
        let name = text(&lease["input_file"]["file_name"]).to_owned();
        assert!(!name.contains(['/', '\\', '"']), "{name}");
        let file = app.send(m.who(), Call::get(text(&lease["input_file"]["url"]))).await;
        assert_eq!(file.status, 200, "{name}: {}", file.text());
        assert!(file.bytes == audio);
    }
    let outside = std::fs::read_dir(app.folder()).unwrap();
    let names: Vec<_> = outside.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name == "passwd" || name == "a.wav"), "{names:?}");
}

#[tokio::test]
async fn a_file_beyond_its_limit_is_413_and_leaves_nothing() {
    let app = TestApp::with(|config| {
        let mut kind = config.kinds().find("transcription").unwrap().1.clone();
        kind.file_bytes_max = 1_000;
        config.kinds.push(kind);
    })
    .await;
    let large = vec![1; 4_000_000];
    let file = Part::file("audio_file", "a.wav", "audio/wav", &large);
    send(&app, &[file]).await.problem(413, "too_large");
    assert_eq!(app.task_count().await, 0);
    assert_eq!(spooled(&app), 0);
}

#[tokio::test]
async fn lying_content_lengths_make_no_task_and_break_nothing() {
    let app = TestApp::start().await;
    let body =
        Call::post("/").multipart(&[Part::file("audio_file", "a.wav", "audio/wav", &audio())]);
    let (content_type, body) = (&body.headers[0].1, &body.body);
    let request = |path: &str, content_type: &str, length: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Type: {content_type}\r\n\
             {length}\r\n\r\n",
            app.client
        );
        [head.as_bytes(), body].concat()
    };
    let upload = |length: &str| request("/api/v1/transcription", content_type, length, body);
    let json = format!("{{\"text\": \"{}\"}}", crate::support::TEXT);
    let form = |length: &str| request("/api/v1/tts", "application/json", length, json.as_bytes());
    let (longer, shorter) = (body.len() + 1_000, body.len() / 2);
    for bytes in [
        upload(&format!("Content-Length: {longer}")),
        upload(&format!("Content-Length: {shorter}")),
        upload("Content-Length: -1"),
        upload("Content-Length: 99999999999999999999999"),
        upload("Content-Length: 5\r\nContent-Length: 50"),
        upload("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        upload("Transfer-Encoding: chunked"),
        form(&format!("Content-Length: {}", json.len() + 10)),
        form(&format!("Content-Length: {}", json.len() - 3)),
        form("Content-Length: nine"),
        form("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    ] {
        let answer = Raw::send(app.address(), bytes).await.hang_up().await;
        // An answer of our own, or of the HTTP library, or just a closed connection.
        if let Some(status) = status_of(&answer) {
            assert!((400..500).contains(&status), "{answer}");
        }
    }
    assert_eq!(app.task_count().await, 0);
    wait_for("no spooled file is left", Duration::from_secs(5), async || {
        (spooled(&app) == 0).then_some(())
    })
    .await;
    // Whoever is honest is served as before.
    app.submit_audio(&audio(), &[]).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_sender_that_hangs_up_in_the_middle_leaves_nothing() {
    let app = TestApp::start().await;
    // More than is held in memory.
    let mut audio = audio();
    audio.resize(4 * SPOOL_MEMORY_BYTES, 0x80);
    let call = Call::post("/").multipart(&[Part::file("audio_file", "a.wav", "audio/wav", &audio)]);
    let head = format!(
        "POST /api/v1/transcription HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\n",
        app.client,
        call.headers[0].1,
        call.body.len()
    );
    let mut connection = Raw::send(app.address(), head).await;
    connection.more(&call.body[..2 * SPOOL_MEMORY_BYTES]).await;
    wait_for("the file is on its way in", Duration::from_secs(5), async || {
        (spooled(&app) == 1).then_some(())
    })
    .await;
    drop(connection);
    wait_for("the half file is gone", Duration::from_secs(5), async || {
        (spooled(&app) == 0).then_some(())
    })
    .await;
    assert_eq!(app.task_count().await, 0);
}
