//! Every route that takes a body, with bodies that are none.

use crate::support::{Call, Part, Peer, TestApp, Who, miner, validator};

const TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

enum By {
    Client,
    Admin,
    Miner,
    Validator,
}

/// Routes with who may call them.
fn routes() -> Vec<(By, String)> {
    let of = |by: fn() -> By, paths: &[&str]| -> Vec<(By, String)> {
        paths.iter().map(|path| (by(), format!("/api/v1/{path}"))).collect()
    };
    let mut all = of(
        || By::Client,
        &[
            "transcription",
            "tts",
            "summarization",
            "video-transcription",
            "text-translation",
            "document-translation",
            "files",
        ],
    );
    all.extend(of(|| By::Admin, &["admin/keys", "admin/quarantine/somebody"]));
    all.extend(of(|| By::Miner, &["miner/response", "miner/files", "miner/tts/upload-audio"]));
    for verb in ["heartbeat", "release"] {
        all.push((By::Miner, format!("/api/v1/miner/tasks/{TASK}/{verb}")));
    }
    all.extend(of(
        || By::Validator,
        &[
            "validators/miner-status",
            "validators/mark-task-seen",
            "validator/distribute",
            "validator/evaluation",
            "weights/submissions",
            "chain/metagraph",
        ],
    ));
    all
}

struct Callers {
    miner: Peer,
    validator: Peer,
}

impl Callers {
    async fn of(app: &TestApp) -> Self {
        let callers = Self { miner: miner(0), validator: validator(0) };
        app.report(&[&callers.miner]).await;
        callers
    }

    fn who<'a>(&'a self, app: &'a TestApp, by: &By) -> Who<'a> {
        match by {
            By::Client => Who::Bearer(&app.client),
            By::Admin => Who::Bearer(&app.admin),
            By::Miner => self.miner.who(),
            By::Validator => self.validator.who(),
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_400_and_another_content_is_415_everywhere() {
    let app = TestApp::start().await;
    let callers = Callers::of(&app).await;
    let deep = "[".repeat(5_000);
    let deeper = format!("{{\"response_data\":{deep}");
    let bodies: [(&str, &[u8], u16, &str); 13] = [
        ("application/json", b"{", 400, "bad_body"),
        ("application/json", b"{\"task_id\": }", 400, "bad_body"),
        ("application/json", b"[]", 400, "bad_body"),
        ("application/json", b"\"text\"", 400, "bad_body"),
        ("application/json", b"null", 400, "bad_body"),
        ("application/json", b"{\"uid\": NaN}", 400, "bad_body"),
        ("application/json", b"{\"uid\": 1e999}", 400, "bad_body"),
        ("application/json", b"\xff\xfe\x00", 400, "bad_body"),
        ("application/json", deeper.as_bytes(), 400, "bad_body"),
        ("text/plain", b"hello", 415, "unsupported_media"),
        ("application/xml", b"<a/>", 415, "unsupported_media"),
        ("application/octet-stream", b"\0\0", 415, "unsupported_media"),
        ("nonsense\u{e9}", b"{}", 415, "unsupported_media"),
    ];
    for (by, path) in routes() {
        for (content_type, body, status, code) in bodies {
            let call = Call::post(&path).body(content_type, body);
            let answer = app.send(callers.who(&app, &by), call).await;
            if content_type.is_ascii() || answer.status == 415 {
                answer.problem(status, code);
            } else {
                // A content type that is no text reads as none, and then the body as JSON.
                assert!(answer.status < 500, "{}", answer.text());
            }
        }
    }
    assert_eq!(app.task_count().await, 0);
    app.finish().await;
}

#[tokio::test]
async fn ten_megabytes_are_too_large_everywhere_but_in_files() {
    let app = TestApp::start().await;
    let callers = Callers::of(&app).await;
    let body = format!("{{\"text\": \"{}\"}}", "a".repeat(10 * 1024 * 1024));
    for (by, path) in routes() {
        let call = Call::post(&path).body("application/json", body.clone());
        app.send(callers.who(&app, &by), call).await.problem(413, "too_large");
    }
    assert_eq!(app.task_count().await, 0);
    app.finish().await;
}

#[tokio::test]
async fn multipart_bodies_that_are_broken_are_400() {
    let app = TestApp::start().await;
    for (content_type, body) in [
        ("multipart/form-data", "no boundary"),
        ("multipart/form-data; boundary=x", ""),
        ("multipart/form-data; boundary=x", "--x\r\n"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n",
        ),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\ncut off",
        ),
        ("multipart/form-data; boundary=x", "--x\r\n\r\nno disposition\r\n--x--\r\n"),
        ("multipart/mixed", "x"),
    ] {
        for path in ["transcription", "tts", "files"] {
            let call = Call::post(format!("/api/v1/{path}")).body(content_type, body);
            app.as_client(call).await.problem(400, "bad_body");
        }
    }
    assert_eq!(app.task_count().await, 0);
}

#[tokio::test]
async fn bad_queries_and_paths_are_problems_too() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    for target in ["/api/v1/tasks?limit=1&limit=2", "/api/v1/tasks/x?wait=1&wait=2"] {
        let answer = app.as_client(Call::get(target)).await;
        assert!([400, 422].contains(&answer.status), "{target}: {}", answer.text());
        answer.problem(
            answer.status,
            if answer.status == 400 { "bad_body" } else { "invalid_field" },
        );
    }
    let twice = app.send(m.who(), Call::get("/api/v1/miners/0/tasks?wait=1&wait=2")).await;
    assert!([400, 422].contains(&twice.status));
    assert_eq!(twice.header("content-type"), Some("application/problem+json"));
    for target in [
        "/api/v1/tasks/%ff%fe",
        "/api/v1/tasks/%00",
        "/api/v1/task/%2e%2e%2f%2e%2e/status",
        "/api/v1/files/..%2f..%2fserver.key",
        "/api/v1/files/..%2f..%2fserver.key/download",
        "/api/v1/tts/%ff/result",
        "/api/v1/%ff/x/result",
    ] {
        let answer = app.as_client(Call::get(target)).await;
        answer.problem(404, "not_found");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_signed_upload_where_none_is_taken_is_told_so() {
    let app = TestApp::start().await;
    let form = Call::post("/api/v1/validators/miner-status").multipart(&[Part::text("epoch", "1")]);
    let answer = app.send(validator(0).who(), form).await;
    answer.problem(415, "unsupported_media");
    app.finish().await;
}

#[tokio::test]
async fn a_form_field_without_a_name_is_still_named() {
    let app = TestApp::start().await;
    let form = Call::post("/api/v1/validators/miner-status").form(&[("", "1"), ("", "2")]);
    app.send(validator(0).who(), form).await.names("(empty name)");
    let many = "[0".to_owned() + &",0".repeat(8_192) + "]";
    let fields = [("validator_uid", "200"), ("epoch", "1"), ("miner_statuses", &many)];
    let form = Call::post("/api/v1/validators/miner-status").form(&fields);
    let problem = app.send(validator(0).who(), form).await.problem(413, "too_large");
    assert!(problem["detail"].as_str().unwrap().contains("`miner_statuses`"), "{problem}");
    app.finish().await;
}
