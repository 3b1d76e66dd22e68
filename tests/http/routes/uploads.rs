//! Film and paper as sound is taken: by their own limits and by what the bytes are, sent along or
//! sent before; and uploads that lie.

use std::path::Path;

use pithead::config::Config;
use pithead::domain::kind::KindRegistry;

use crate::support::{Answer, Call, Part, TestApp, text};
use crate::walks::task::audio;

const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom and then some frames";
const WEBM: &[u8] = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm";
const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";
const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0 a zip of something, cut off here";

const FILM: (&str, &str) = ("/api/v1/video-transcription", "video_file");
const PAPER: (&str, &str) = ("/api/v1/document-translation", "document_file");
const SOUND: (&str, &str) = ("/api/v1/transcription", "audio_file");

async fn send(app: &TestApp, to: (&str, &str), declared: &str, bytes: &[u8]) -> Answer {
    let mut parts = vec![Part::file(to.1, "a.bin", declared, bytes)];
    if to == PAPER {
        parts.push(Part::text("target_language", "fr"));
    }
    app.as_client(Call::post(to.0).multipart(&parts)).await
}

async fn keep(app: &TestApp, declared: &str, bytes: &[u8]) -> Answer {
    let parts = [Part::file("file", "a.bin", declared, bytes)];
    app.as_client(Call::post("/api/v1/files").multipart(&parts)).await
}

/// The built-in kinds with other limits for their files, in bytes.
fn limits(config: &mut Config, sizes: &[(&str, u64)]) {
    for (name, bytes) in sizes {
        let mut kind = KindRegistry::default().find(name).unwrap().1.clone();
        kind.file_bytes_max = *bytes;
        config.kinds.push(kind);
    }
}

/// Bytes below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| {
        if entry.path().is_dir() {
            bytes_in(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        }
    };
    entries.map(size).sum()
}

#[tokio::test]
async fn film_and_paper_are_taken_along_and_by_their_id_and_told_by_their_bytes() {
    let app = TestApp::start().await;
    for (to, declared, bytes, content_type) in [
        (FILM, "video/mp4", MP4, "video/mp4"),
        (FILM, "application/octet-stream", MP4, "video/mp4"),
        (FILM, "text/plain", WEBM, "video/webm"),
        (PAPER, "application/pdf", PDF, "application/pdf"),
        (PAPER, "audio/wav", PDF, "application/pdf"),
        (PAPER, "text/markdown", b"# words\n".as_slice(), "text/markdown"),
        (PAPER, "text/plain", b"gr\xf6\xdfe\n", "text/plain"),
        (SOUND, "audio/mp4", MP4, "video/mp4"),
    ] {
        let task = send(&app, to, declared, bytes).await.ok();
        assert_eq!(task["status"], "pending");
        let kept = keep(&app, declared, bytes).await.is(201);
        assert_eq!(kept["content_type"], content_type);
        let form = [("file_id", text(&kept["file_id"])), ("target_language", "fr")];
        app.as_client(Call::post(to.0).form(&form[..if to == PAPER { 2 } else { 1 }])).await.ok();
    }
    let sound = keep(&app, "audio/wav", &audio()).await.is(201);
    for (to, kept) in [(FILM, &sound), (PAPER, &sound)] {
        let form = [("file_id", text(&kept["file_id"])), ("target_language", "fr")];
        app.as_client(Call::post(to.0).form(&form)).await.names("file_id");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_lies_about_itself_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await;
    let blobs = app.folder().join("blobs");
    let with_tail = |head: &[u8]| [head, b"<script>alert(1)</script> PK\x03\x04"].concat();
    let script: &[u8] = b"#!/bin/sh\nrm -rf /\n";
    let python: &[u8] = b"import os\nos.remove('all')\n";
    for (to, declared, bytes) in [
        (SOUND, "audio/wav", ZIP),
        (SOUND, "audio/wav", script),
        (SOUND, "audio/wav", python),
        (SOUND, "audio/wav", b"RIFF"),
        (SOUND, "audio/wav", b"<html><body>sound</body></html>"),
        (SOUND, "audio/mpeg", PNG),
        (SOUND, "audio/mpeg", &with_tail(PNG)),
        (SOUND, "audio/mpeg", PDF),
        (FILM, "video/mp4", ZIP),
        (FILM, "video/mp4", python),
        (FILM, "video/mp4", &audio()),
        (FILM, "video/mp4", PNG),
        (PAPER, "text/plain", ZIP),
        (PAPER, "text/plain", PNG),
        (PAPER, "text/plain", b"\x01\x02\x03 no words"),
        (PAPER, "application/pdf", MP4),
        (PAPER, "image/png", b"words"),
    ] {
        let problem = send(&app, to, declared, bytes).await.problem(415, "unsupported_media");
        assert!(text(&problem["detail"]).contains(to.1), "{problem}");
    }
    for bytes in [b"\x01\x02\x03\x04".as_slice(), ZIP, PNG] {
        keep(&app, "application/octet-stream", bytes).await.problem(415, "unsupported_media");
    }
    assert_eq!(bytes_in(&blobs), 0);
    assert_eq!(app.task_count().await, 0);
    app.finish().await;
}

#[tokio::test]
async fn each_kind_has_its_own_limit_and_a_file_alone_the_largest_of_them() {
    let sizes =
        [("transcription", 2_000), ("video_transcription", 3_000), ("document_translation", 1_000)];
    let app = TestApp::with(|config| limits(config, &sizes)).await;
    let blobs = app.folder().join("blobs");
    let sized = |head: &[u8], size: usize| [head, &vec![b'x'; size - head.len()][..]].concat();
    let wav = b"RIFF\x24\0\0\0WAVEfmt ";
    for (to, declared, head, most) in [
        (SOUND, "audio/wav", wav.as_slice(), 2_000),
        (FILM, "video/mp4", MP4, 3_000),
        (PAPER, "application/pdf", PDF, 1_000),
    ] {
        let before = bytes_in(&blobs);
        send(&app, to, declared, &sized(head, most + 1)).await.problem(413, "too_large");
        assert_eq!(bytes_in(&blobs), before, "the space is given back");
        send(&app, to, declared, &sized(head, most)).await.ok();
        let largest = keep(&app, declared, &sized(head, 3_000)).await.is(201);
        let form = [("file_id", text(&largest["file_id"])), ("target_language", "fr")];
        let by_id = app.as_client(Call::post(to.0).form(&form[..if to == PAPER { 2 } else { 1 }]));
        let by_id = by_id.await;
        if most == 3_000 {
            by_id.ok();
        } else {
            by_id.names("file_id");
        }
    }
    let before = bytes_in(&blobs);
    keep(&app, "video/mp4", &sized(MP4, 3_001)).await.problem(413, "too_large");
    assert_eq!(bytes_in(&blobs), before);
    app.finish().await;
}
