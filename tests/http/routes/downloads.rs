//! `/api/v1/files/{id}/download`: whole, in parts, again, and only asked about.

use crate::support::{Answer, Call, Part, TestApp, text};
use crate::walks::task::audio;

async fn upload(app: &TestApp, bytes: &[u8]) -> Call {
    let parts = [Part::file("file", "a.wav", "audio/wav", bytes)];
    let made = app.as_client(Call::post("/api/v1/files").multipart(&parts)).await.is(201);
    Call::get(text(&made["url"]))
}

#[track_caller]
fn has(answer: &Answer, headers: &[(&str, &str)]) {
    for (name, value) in headers {
        assert_eq!(answer.header(name), Some(*value), "{}: {name}", answer.what);
    }
}

#[tokio::test]
async fn a_download_tells_what_it_is_and_head_says_the_same_without_the_bytes() {
    let app = TestApp::start().await;
    let audio = audio();
    let call = upload(&app, &audio).await;
    let whole = app.as_client(call.clone()).await;
    let etag = whole.header("etag").unwrap().to_owned();
    let length = audio.len().to_string();
    assert!(whole.bytes == audio);
    let told = [
        ("accept-ranges", "bytes"),
        ("content-length", length.as_str()),
        ("content-type", "audio/x-wav"),
        ("content-disposition", "attachment; filename=\"a.wav\""),
        ("x-content-type-options", "nosniff"),
        ("etag", etag.as_str()),
    ];
    assert_eq!(whole.status, 200);
    has(&whole, &told);
    let head = Call { method: "HEAD", ..call.clone() };
    let asked = app.as_client(head.clone()).await;
    assert_eq!((asked.status, asked.bytes.len()), (200, 0));
    has(&asked, &told);
    let asked = app.as_client(head.header("Range", "bytes=1-4")).await;
    assert_eq!((asked.status, asked.bytes.len()), (206, 0));
    has(&asked, &[("content-length", "4")]);
    app.as_client(Call { method: "PUT", ..call }).await.problem(405, "method_not_allowed");
    app.finish().await;
}

#[tokio::test]
async fn one_range_is_a_part_several_are_the_whole_and_none_beyond_the_end() {
    let app = TestApp::start().await;
    let audio = audio();
    let (call, last) = (upload(&app, &audio).await, audio.len() - 1);
    let ask = async |range: &str| app.as_client(call.clone().header("Range", range)).await;
    for (range, start, end) in [
        ("bytes=0-0", 0, 0),
        ("bytes=5-9", 5, 9),
        ("bytes=100-", 100, last),
        ("bytes=-7", last - 6, last),
        ("bytes=3-99999999999999999999", 3, last),
    ] {
        let part = ask(range).await;
        assert_eq!(part.status, 206, "{range}");
        assert!(part.bytes == audio[start..=end], "{range}");
        let told = format!("bytes {start}-{end}/{}", audio.len());
        has(&part, &[("content-range", &told), ("content-length", &part.bytes.len().to_string())]);
    }
    for range in ["bytes=0-1,4-5", "bytes=9-3", "bytes=x", "seconds=0-1", ""] {
        let whole = ask(range).await;
        assert_eq!(whole.status, 200, "{range}");
        assert!(whole.bytes == audio && whole.header("content-range").is_none(), "{range}");
    }
    for range in ["bytes=99999999-", "bytes=-0", "bytes=99999999999999999999-"] {
        let beyond = ask(range).await;
        beyond.problem(416, "bad_range");
        has(&beyond, &[("content-range", &format!("bytes */{}", audio.len()))]);
    }
    app.finish().await;
}

#[tokio::test]
async fn who_has_the_file_gets_it_not_again_and_who_has_another_gets_it_whole() {
    let app = TestApp::start().await;
    let audio = audio();
    let call = upload(&app, &audio).await;
    let etag = app.as_client(call.clone()).await.header("etag").unwrap().to_owned();
    for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
        let again = app.as_client(call.clone().header("If-None-Match", known)).await;
        assert_eq!((again.status, again.bytes.len()), (304, 0));
        has(&again, &[("etag", &etag)]);
    }
    let range = |call: Call| call.header("Range", "bytes=0-3");
    let part = app.as_client(range(call.clone()).header("If-Range", &*etag)).await;
    assert_eq!((part.status, part.bytes.as_slice()), (206, &b"RIFF"[..]));
    for other in ["\"another\"".to_owned(), format!("W/{etag}"), "yesterday".to_owned()] {
        let whole = app.as_client(range(call.clone()).header("If-Range", other)).await;
        assert!(whole.status == 200 && whole.bytes == audio);
    }
    // The same bytes under another name have the same tag.
    let again = upload(&app, &audio).await;
    let again = app.as_client(again.header("If-None-Match", etag)).await;
    assert_eq!(again.status, 304);
    app.finish().await;
}
