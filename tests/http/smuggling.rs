//! Bytes that readers of HTTP may take for different requests: none of them is ever answered as
//! somebody else's, and nothing that is too long or malformed does harm.

use crate::support::raw::{Raw, status_of};
use crate::support::{Call, TestApp};

/// Statuses of all answers on a connection, in order.
async fn statuses(app: &TestApp, bytes: impl AsRef<[u8]>) -> Vec<u16> {
    let said = Raw::send(app.address(), bytes).await.read_all().await;
    said.match_indices("HTTP/1.1 ").filter_map(|(at, _)| status_of(&said[at..])).collect()
}

/// A request that would cancel a task, if it were one.
fn hidden(app: &TestApp, task: &str) -> String {
    let key = &app.client;
    format!("DELETE /api/v1/tasks/{task} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n")
}

#[tokio::test]
async fn a_request_hidden_in_another_is_never_done() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let hidden = hidden(&app, &task);
    let length = hidden.len();
    let post = "POST /api/v1/tts HTTP/1.1\r\nHost: x\r\n";
    let chunk = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    for (what, bytes) in [
        (
            "two lengths",
            format!("{post}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
        ),
        (
            "one length twice",
            format!("{post}Content-Length: 0\r\nContent-Length: 0\r\n\r\n{hidden}"),
        ),
        ("a list of lengths", format!("{post}Content-Length: 0, 0\r\n\r\n{hidden}")),
        ("a length with a sign", format!("{post}Content-Length: +0\r\n\r\n{hidden}")),
        (
            "chunks and a length",
            format!(
                "{post}Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                5 + length
            ),
        ),
        (
            "a length and chunks",
            format!(
                "{post}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "no encoding",
            format!("{post}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n{hidden}"),
        ),
        (
            "an unknown encoding",
            format!("{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "two encodings",
            format!(
                "{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "chunks in HTTP/1.0",
            format!(
                "POST /api/v1/tts HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n{hidden}"
            ),
        ),
        (
            "another protocol",
            format!(
                "{post}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n{hidden}"
            ),
        ),
        ("a space before the colon", format!("{post}Content-Length : 0\r\n\r\n{hidden}")),
        ("a folded line", format!("{post}X-A: b\r\n Content-Length: 0\r\n\r\n{hidden}")),
        (
            "a length that is too large",
            format!("{post}Content-Length: 18446744073709551616\r\n\r\n{hidden}"),
        ),
        (
            "a chunk that is too large",
            format!("{post}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n{hidden}"),
        ),
        (
            "a chunk of a negative size",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n-1\r\n{hidden}"),
        ),
        (
            "a chunk without an end",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n{hidden}"),
        ),
        ("inside a chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunk}")),
        ("inside a body", format!("{post}Content-Length: {length}\r\n\r\n{hidden}")),
        ("a bare carriage return", format!("{post}X-A: b\rContent-Length: 0\r\n\r\n{hidden}")),
        ("a zero", format!("{post}X-A: \0\r\n\r\n{hidden}")),
    ] {
        let statuses = statuses(&app, bytes).await;
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{what}: {statuses:?}");
        assert_eq!(app.task(&task).await["status"], "pending", "{what}");
    }
    // The same bytes, one after the other, are two requests of their own.
    let both = format!("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n{hidden}");
    assert_eq!(statuses(&app, both).await, [200, 200]);
    app.until(&task, "cancelled").await;
    app.finish().await;
}

#[tokio::test]
async fn each_of_pipelined_requests_is_who_it_says() {
    let app = TestApp::start().await;
    let key = format!("X-API-Key: {}\r\n", app.client);
    let ask = |head: &str| format!("GET /api/v1/tasks HTTP/1.1\r\nHost: x\r\n{head}\r\n");
    let bare = ask(&key).replace("\r\n", "\n");
    for (bytes, expected) in [
        (ask(&key) + &ask(""), vec![200, 401]),
        (ask("") + &ask(&key) + &ask("X-API-Key: pit_none\r\n"), vec![401, 200, 401]),
        (bare.clone() + &ask(""), vec![200, 401]),
        (ask(&key).repeat(40), vec![200; 40]),
    ] {
        assert_eq!(statuses(&app, bytes).await, expected);
    }
    // Extensions of chunks count for nothing.
    let body = r#"{"text":"A sentence of some length, to be read aloud by whoever gets it."}"#;
    let chunked = format!(
        "POST /api/v1/tts HTTP/1.1\r\nHost: x\r\n{key}Content-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x};{}\r\n{body}\r\n0\r\n\r\n{}",
        body.len(),
        "e".repeat(200_000),
        ask("")
    );
    let statuses = statuses(&app, chunked).await;
    assert!(matches!(statuses[..], [200 | 400] | [200, 401]), "{statuses:?}");
    app.as_client(Call::get("/api/v1/tasks")).await.ok();
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused_cleanly() {
    let app = TestApp::start().await;
    let many = "X-A: b\r\n".repeat(200);
    let long = format!("X-A: {}\r\n", "b".repeat(200_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(200_000));
    for (bytes, expected) in [
        (format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n"), &[400, 431][..]),
        (format!("GET /livez HTTP/1.1\r\nHost: x\r\n{long}\r\n"), &[431]),
        (target, &[400, 414, 431]),
        ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), &[400]),
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned(), &[400]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400]),
    ] {
        let said = Raw::send(app.address(), &bytes).await.read_all().await;
        let shown: String = bytes.chars().take(60).collect();
        // Where more came than is read, the connection may break before the answer is seen.
        let status = status_of(&said);
        let fine = status.is_some_and(|status| expected.contains(&status));
        assert!(fine || (status.is_none() && bytes.len() > 100_000), "{shown:?}: {said}");
    }
    app.as_client(Call::get("/api/v1/tasks")).await.ok();
    app.finish().await;
}
