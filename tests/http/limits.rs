//! What an address may do before anybody knows who calls, and how slow one may be.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pithead::identity::Keypair;
use serde_json::json;

use crate::support::raw::{Raw, status_of};
use crate::support::{Answer, Call, Part, TEXT, TestApp, Who, miner, validator, wait_for};

const SOON: Duration = Duration::from_secs(5);
const PUBLIC: &str = "/api/v1/identity";

/// A server that takes so few requests without a proof, and none was sent yet.
async fn strict(proxies: &[&str]) -> TestApp {
    let app = TestApp::with(|config| {
        config.limits.unproven_per_minute = 6.try_into().unwrap();
        config.server.trusted_proxies = proxies.iter().map(|&proxy| proxy.to_owned()).collect();
    })
    .await;
    app.advance(60_000);
    app
}

fn call() -> Call {
    Call::post("/api/v1/validator/distribute").json(&json!({ "limit": 1 }))
}

async fn tampered(app: &TestApp) -> Answer {
    let proof = app.proof(validator(0).who(), &call());
    app.send_as(proof, Call { body: b"{\"limit\":2}".to_vec(), ..call() }).await
}

fn refused(answer: &Answer, secs: &str) {
    let problem = answer.problem(429, "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("prove nothing"), "{problem}");
    assert_eq!(answer.header("retry-after"), Some(secs));
    assert_eq!(answer.header("x-ratelimit-limit"), Some("6"));
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(answer.header("x-ratelimit-reset"), Some(secs));
}

#[tokio::test]
async fn an_address_that_proves_nothing_is_refused_before_anything_is_read() {
    let app = strict(&[]).await;
    let m = miner(0);
    app.report(&[&m]).await;
    let audio = crate::walks::task::audio();
    // Those that prove who they are take nothing, uploads neither.
    for _ in 0..8 {
        app.send(validator(0).who(), call()).await.ok();
        app.as_client(Call::get("/api/v1/tasks")).await.ok();
        let file = Part::file("audio_file", "a.wav", "audio/wav", &audio);
        let upload = Call::post("/api/v1/transcription").multipart(&[file]);
        app.send(validator(0).who(), upload).await.ok();
    }
    // Six that do not, of many sorts.
    app.send(Who::Nobody, Call::get(PUBLIC)).await.ok();
    app.send(Who::Nobody, Call::get("/api/v1/tasks")).await.problem(401, "unauthenticated");
    app.send(Who::Bearer("pit_nothing"), Call::get(PUBLIC)).await.problem(401, "unauthenticated");
    tampered(&app).await.problem(401, "unauthenticated");
    let garbage = vec![("X-Bittensor-Version".to_owned(), "x".to_owned())];
    app.send_as(garbage, call()).await.problem(401, "unauthenticated");
    let file = Part::file("audio_file", "a.wav", "audio/wav", &audio);
    let upload = Call::post("/api/v1/transcription").multipart(&[file]);
    let proof = app.proof(validator(0).who(), &upload);
    let mut other = upload.clone();
    other.body.extend(b" ");
    app.send_as(proof, other).await.problem(401, "unauthenticated");
    // Now nothing without a proof passes, and no signature is looked at.
    refused(&app.send(Who::Nobody, Call::get(PUBLIC)).await, "10");
    refused(&app.send(Who::Bearer("pit_nothing"), Call::get(PUBLIC)).await, "10");
    refused(&app.send(validator(0).who(), call()).await, "10");
    let proof = app.proof(validator(0).who(), &call());
    let lines: String = proof.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /api/v1/validator/distribute HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 1000\r\n\r\n{{"
    );
    let mut half = Raw::send(app.address(), head).await;
    assert_eq!(status_of(&half.head().await), Some(429), "its body is not waited for");
    // Neighbours with API keys pass, and so do probes.
    app.as_client(Call::get("/api/v1/tasks")).await.ok();
    for probe in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(app.send(Who::Nobody, Call::get(probe)).await.status, 200, "{probe}");
    }
    // A token comes back every ten seconds; who only proves itself does not use it up.
    app.advance(10_000);
    app.send(validator(0).who(), call()).await.ok();
    app.send(validator(0).who(), call()).await.ok();
    app.send(Who::Nobody, Call::get(PUBLIC)).await.ok();
    refused(&app.send(Who::Nobody, Call::get(PUBLIC)).await, "10");
    app.advance(60_000);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_decides_whose_token_is_taken() {
    let app = strict(&["10.0.0.0/8", "127.0.0.1"]).await;
    let from = async |list: &str| {
        let call = Call::get(PUBLIC).header("X-Forwarded-For", list);
        app.send(Who::Nobody, call).await
    };
    for n in 0..6 {
        // What the sender put there itself changes nothing, and neither does another trusted hop.
        from(&format!("203.0.113.{n}, 192.0.2.1")).await.ok();
    }
    refused(&from("192.0.2.1").await, "10");
    refused(&from("203.0.113.9, 192.0.2.1, 10.1.1.1").await, "10");
    from("192.0.2.2").await.ok();
    // One customer has a /64.
    for n in 0..6 {
        from(&format!("2001:db9:0:1::{n}")).await.ok();
    }
    refused(&from("2001:db9:0:1:ffff::").await, "10");
    from("2001:db9:0:2::").await.ok();
    let app = strict(&[]).await;
    for n in 0..6 {
        let call = Call::get(PUBLIC).header("X-Forwarded-For", format!("203.0.113.{n}"));
        app.send(Who::Nobody, call).await.ok();
    }
    let call = Call::get(PUBLIC).header("X-Forwarded-For", "203.0.113.77");
    refused(&app.send(Who::Nobody, call).await, "10");
}

#[tokio::test]
async fn in_development_unsigned_requests_take_no_token() {
    let app = TestApp::with(|config| {
        config.auth.dev = true;
        config.limits.unproven_per_minute = 3.try_into().unwrap();
    })
    .await;
    for _ in 0..10 {
        app.send(Who::Nobody, Call::get("/api/v1/tasks")).await.ok();
        app.send(Who::Dev("5Validator"), Call::get("/api/v1/miners")).await.ok();
    }
    for _ in 0..3 {
        app.send(Who::Dev("not a hotkey"), Call::get("/api/v1/miners")).await.is(401);
    }
    app.send(Who::Dev("not a hotkey"), Call::get("/api/v1/miners")).await.is(429);
    app.send(Who::Nobody, Call::get("/api/v1/tasks")).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_hotkey_that_anybody_made_proves_nothing() {
    let app = strict(&[]).await;
    let mut codes = Vec::new();
    for n in 0..4 {
        let stranger = Keypair::from_label(&format!("made up {n}"));
        let public = app.send(Who::Signed(&stranger), Call::get(PUBLIC)).await;
        let known = app.send(Who::Signed(&stranger), Call::get("/api/v1/miners")).await;
        codes.push((public.status, known.status));
    }
    assert_eq!(codes, [(200, 403), (200, 403), (200, 403), (429, 429)]);
    app.as_client(Call::get("/api/v1/tasks")).await.ok();
    app.advance(60_000);
    app.finish().await;
}

#[tokio::test]
async fn requests_on_their_way_hold_their_tokens_already() {
    let app = strict(&[]).await;
    let target = "/api/v1/miner/response";
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(half_signed(&app, target, "application/json").await);
    }
    wait_for("six are on their way", SOON, async || {
        (app.send(Who::Nobody, Call::get(PUBLIC)).await.status == 429).then_some(())
    })
    .await;
    drop(held);
    app.advance(60_000);
    app.send(Who::Nobody, Call::get(PUBLIC)).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn many_addresses_that_prove_nothing_leave_half_of_the_gate_to_the_others() {
    let app = TestApp::with(|config| config.limits.in_flight = 64).await;
    let (proof, sent) = half_proof(&app, "/api/v1/miner/response", "application/json");
    let mut held = Vec::new();
    for address in 2..6 {
        for _ in 0..16 {
            let from = std::net::Ipv4Addr::new(127, 0, 0, address);
            held.push(Raw::send_from(from, app.address(), &sent).await);
        }
    }
    wait_for("their half is full", SOON, async || {
        (app.send(validator(1).who(), call()).await.status == 503).then_some(())
    })
    .await;
    // Half of the gate is left, of which a key has a quarter at least.
    let tasks = (0..16).map(|_| app.as_client(Call::get("/api/v1/tasks")));
    let tasks = join_all(tasks).await;
    assert!(tasks.iter().all(|answer| answer.status == 200), "{proof:?}");
    drop(held);
    wait_for("it is free again", SOON, async || {
        (app.send(validator(1).who(), call()).await.status == 200).then_some(())
    })
    .await;
    assert!(app.forgive() > 0);
    app.finish().await;
}

/// The head of a signed request whose body comes in, and half of that.
fn half_proof(app: &TestApp, target: &str, content_type: &str) -> (Vec<(String, String)>, String) {
    let call = Call::post(target).body(content_type, "x".repeat(1_000));
    let proof = app.proof(validator(0).who(), &call);
    let lines: String = proof.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\n{lines}Content-Type: {content_type}\r\n\
         Content-Length: 1000\r\n\r\nxxx"
    );
    (proof, head)
}

async fn half_signed(app: &TestApp, target: &str, content_type: &str) -> Raw {
    Raw::send(app.address(), half_proof(app, target, content_type).1).await
}

#[tokio::test]
async fn what_claims_a_signature_holds_a_place_of_its_address_until_it_is_proven() {
    let app = TestApp::with(|config| config.limits.in_flight = 72).await;
    let upload = "multipart/form-data; boundary=b";
    for (target, content_type) in
        [("/api/v1/miner/response", "application/json"), ("/api/v1/transcription", upload)]
    {
        // Some more than there are places: one that came while we looked was refused.
        let held: Vec<_> = join_all((0..24).map(|_| half_signed(&app, target, content_type))).await;
        let answer = wait_for("the share is taken", SOON, async || {
            let answer = app.send(validator(1).who(), call()).await;
            (answer.status == 429).then_some(answer)
        })
        .await;
        let problem = answer.problem(429, "rate_limited");
        assert!(problem["detail"].as_str().unwrap().contains("16 requests"), "{problem}");
        assert_eq!(app.as_client(Call::get("/api/v1/tasks")).await.status, 200);
        drop(held);
        wait_for("the share is free again", SOON, async || {
            (app.send(validator(1).who(), call()).await.status == 200).then_some(())
        })
        .await;
    }
    app.finish().await;
}

const PROBE: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_closed_one_makes_room() {
    let limit = |proxies: Vec<String>| {
        TestApp::with(move |config| {
            config.limits.connections_per_ip = 4;
            config.server.trusted_proxies = proxies;
        })
    };
    let app = limit(Vec::new()).await;
    let submit = format!(
        "POST /api/v1/tts HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\ntext={TEXT}",
        app.client,
        5 + TEXT.len()
    );
    let mut held = Vec::new();
    // Some are those of the test's own client.
    for _ in 0..4 {
        held.push(Raw::send(app.address(), "").await);
    }
    assert_eq!(Raw::send(app.address(), submit).await.closed().await, "");
    assert_eq!(Raw::send(app.address(), PROBE).await.closed().await, "", "closed at once");
    drop(held);
    wait_for("there is room again", SOON, async || {
        let mut raw = Raw::send(app.address(), PROBE).await;
        (raw.some(12).await == 12).then_some(())
    })
    .await;
    assert!(app.metric("pithead_connections_refused_total").await >= 2.0);
    assert_eq!(app.task_count().await, 0, "what came on it was not done");
    app.finish().await;
    let app = limit(vec!["127.0.0.1".to_owned()]).await;
    let mut all = join_all((0..12).map(|_| Raw::send(app.address(), PROBE))).await;
    for raw in &mut all {
        assert_eq!(status_of(&raw.head().await), Some(200), "a trusted proxy has any number");
    }
    drop(all);
    app.finish().await;
}

/// A server that has little patience.
async fn impatient() -> TestApp {
    TestApp::with(|config| {
        config.limits.slow_grace_secs = 1.try_into().unwrap();
        config.limits.headers_secs = 1.try_into().unwrap();
        config.limits.keep_alive_secs = 1.try_into().unwrap();
        // What the system holds for a reader is taken as far as we know: a second's worth.
        config.limits.bytes_per_sec_min = (512 * 1024).try_into().unwrap();
    })
    .await
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_cut_and_its_connection_closed() {
    let app = impatient().await;
    let key = format!("Host: x\r\nX-API-Key: {}\r\n", app.client);
    let hidden = format!("0\r\n\r\nDELETE /api/v1/tasks/x HTTP/1.1\r\n{key}\r\n");
    for (target, rest) in [
        ("/api/v1/tts", "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"text\""),
        ("/api/v1/tts", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"tex\r\n"),
        (
            "/api/v1/transcription",
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n\
             --b\r\nContent-Disposition: form-data; name=\"audio_file\"; filename=\"a\"\r\n\r\nRIFF",
        ),
    ] {
        let mut raw =
            Raw::send(app.address(), format!("POST {target} HTTP/1.1\r\n{key}{rest}")).await;
        assert_eq!(status_of(&raw.head().await), Some(408), "{rest}");
        raw.try_more(hidden.as_bytes()).await;
        let said = raw.closed().await;
        assert!(said.contains("too_slow"), "{said}");
        assert!(!said.contains("HTTP/1.1 2"), "nothing else is taken from it: {said}");
        assert!(!said.contains("HTTP/1.1 404"), "nothing else is taken from it: {said}");
    }
    app.finish().await;
}

#[tokio::test]
async fn headers_have_their_time_on_every_request_of_a_connection() {
    let app = impatient().await;
    for begun in ["", "GET /livez HT"] {
        let said = Raw::send(app.address(), begun).await.closed().await;
        assert!(said.is_empty() || status_of(&said) == Some(408), "{said}");
    }
    let mut second = Raw::send(app.address(), PROBE).await;
    second.head().await;
    second.more(b"GET /livez HT").await;
    let said = second.closed().await;
    assert!(!said.contains("HTTP/1.1 200"), "{said}");
    // One that rests is closed too.
    let mut idle = Raw::send(app.address(), PROBE).await;
    idle.head().await;
    idle.closed().await;
    // What is left of a chunked body that nobody reads.
    let head =
        "POST /no/such HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let mut unread = Raw::send(app.address(), head).await;
    assert_eq!(status_of(&unread.head().await), Some(404));
    unread.closed().await;
    app.finish().await;
}

#[tokio::test]
async fn who_does_not_read_its_download_is_cut_and_who_does_gets_all_of_it() {
    let app = impatient().await;
    let mut audio = crate::walks::task::audio();
    audio.resize(24 * 1024 * 1024, 7);
    let file = Part::file("file", "a.wav", "audio/wav", &audio);
    let made = app.as_client(Call::post("/api/v1/files").multipart(&[file])).await.is(201);
    let target = made["url"].as_str().unwrap();
    let ask = format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n", app.client);
    let mut raw = Raw::narrow(app.address(), &ask).await;
    let (began, mut got) = (Instant::now(), 0);
    // A thousand bytes a second, longer than the grace and what the buffers held.
    while began.elapsed() < SOON {
        got += raw.some(100).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    loop {
        match raw.some(1024 * 1024).await {
            0 => break,
            more => got += more,
        }
    }
    assert!(got < audio.len(), "{got} bytes came");
    assert!(app.as_client(Call::get(target)).await.bytes == audio);
    app.finish().await;
}
