//! `/api/v1/files`: a client's own.

use sha2::{Digest, Sha256};

use crate::support::{Call, Part, TestApp, Who, text};
use crate::walks::task::audio;

#[tokio::test]
async fn a_file_is_kept_shown_and_downloaded_whole_or_in_part() {
    let mut app = TestApp::start().await;
    let audio = audio();
    let call =
        Call::post("/api/v1/files").multipart(&[Part::file("file", "a.wav", "audio/wav", &audio)]);
    let made = app.as_client(call).await;
    let place = made.header("location").unwrap().to_owned();
    let made = made.is(201);
    assert_eq!(made["sha256"], hex::encode(Sha256::digest(&audio)));
    app.restart().await;
    let shown = app.as_client(Call::get(&place)).await.ok();
    assert_eq!(shown["file_id"], made["file_id"]);
    assert_eq!(shown["size"], audio.len());
    let download = Call::get(text(&shown["url"]));
    assert!(app.as_client(download.clone()).await.bytes == audio);
    let tail = app.as_client(download.clone().header("Range", "bytes=-10")).await;
    assert_eq!((tail.status, tail.bytes.as_slice()), (206, &audio[audio.len() - 10..]));
    let beyond = app.as_client(download.clone().header("Range", "bytes=99999999-")).await;
    assert_eq!(beyond.status, 416);
    let admin = app.send(Who::Bearer(&app.admin), download).await;
    assert!(admin.bytes == audio);
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let app = TestApp::start().await;
    let post = |parts: &[Part<'_>]| Call::post("/api/v1/files").multipart(parts);
    app.as_client(post(&[Part::text("a", "b")])).await.names("file");
    app.as_client(post(&[Part::file("file", "a", "audio/wav", b"")])).await.names("file");
    let png = Part::file("file", "a.png", "image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    app.as_client(post(&[png])).await.problem(415, "unsupported_media");
    app.as_client(Call::post("/api/v1/files")).await.names("file");
    for id in ["x", "0197a0d0-0000-7000-8000-000000000000", "..", "%2e%2e"] {
        for more in ["", "/download"] {
            let answer = app.as_client(Call::get(format!("/api/v1/files/{id}{more}"))).await;
            assert!([404, 405].contains(&answer.status), "{id}{more}: {}", answer.text());
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
}
