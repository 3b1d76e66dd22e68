//! `btauth/1`, tampered with in every way.

use pithead::identity::{Keypair, btauth};
use serde_json::json;

use crate::support::{Call, Part, Peer, TestApp, Who, miner, token, validator};

type Headers = Vec<(String, String)>;
type Tamper = fn(&mut Call);

fn set(headers: &mut Headers, name: &str, value: impl Into<String>) {
    let header = headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
    match header {
        Some(header) => header.1 = value.into(),
        None => headers.push((name.to_owned(), value.into())),
    }
}

fn get(headers: &Headers, name: &str) -> String {
    headers.iter().find(|(known, _)| known == name).unwrap().1.clone()
}

fn signed(app: &TestApp, keys: &Keypair, call: &Call, nonce: u64) -> Headers {
    btauth::sign_request(keys, call.method, &call.target, &call.body, app.receiver(), nonce)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn call() -> Call {
    Call::post("/api/v1/validator/distribute?a=1").json(&json!({ "limit": 5 }))
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_refused() {
    let app = TestApp::start().await;
    let v = validator(0);
    let cases: [(&str, Tamper); 8] = [
        ("body", |call| call.body = b"{\"limit\": 50}".to_vec()),
        ("body gone", |call| call.body.clear()),
        ("a byte more", |call| call.body.push(b' ')),
        ("path", |call| call.target = "/api/v1/validator/evaluation?a=1".to_owned()),
        ("query changed", |call| call.target = "/api/v1/validator/distribute?a=2".to_owned()),
        ("query gone", |call| call.target = "/api/v1/validator/distribute".to_owned()),
        ("path encoded", |call| call.target = "/api/v1/validator/%64istribute?a=1".to_owned()),
        ("method", |call| call.method = "PUT"),
    ];
    for (what, tamper) in cases {
        let original = call();
        let proof = app.proof(v.who(), &original);
        let mut tampered = original.clone();
        tamper(&mut tampered);
        let answer = app.send_as(proof.clone(), tampered).await;
        assert_eq!(answer.status, 401, "{what}");
        answer.problem(401, "unauthenticated");
        // A stranger that tampers does not burn the nonce.
        app.send_as(proof, original).await.ok();
    }
    app.finish().await;
}

#[tokio::test]
async fn headers_that_are_wrong_missing_or_double_are_refused() {
    let app = TestApp::start().await;
    let (v, other) = (validator(0), validator(1));
    let good = || {
        let call = call();
        (app.proof(v.who(), &call), call)
    };
    for (name, value) in [
        ("X-Bittensor-Version", "2"),
        ("X-Bittensor-Version", ""),
        ("X-Bittensor-Hotkey", "nobody"),
        ("X-Bittensor-Hotkey", ""),
        ("X-Bittensor-Receiver", "nobody"),
        ("X-Bittensor-Nonce", "0x10"),
        ("X-Bittensor-Nonce", "-1"),
        ("X-Bittensor-Nonce", "1e18"),
        ("X-Bittensor-Nonce", "99999999999999999999999"),
        ("X-Bittensor-Crypto", "ed25519"),
        ("X-Bittensor-Signature", "0x00"),
        ("X-Bittensor-Signature", ""),
        ("X-Bittensor-Signature", &format!("0x{}", "0".repeat(128))),
        ("X-Bittensor-Signature", &format!("0x{}", "F".repeat(128))),
        ("X-Bittensor-Signature", &"f".repeat(130)),
    ] {
        let (mut proof, call) = good();
        set(&mut proof, name, value);
        app.send_as(proof, call).await.problem(401, "unauthenticated");
    }
    for name in btauth::HEADERS {
        let (mut proof, call) = good();
        let value = proof.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        proof.push((name.to_owned(), value.clone().unwrap_or_else(|| "sr25519".to_owned())));
        if value.is_none() {
            proof.push((name.to_owned(), "sr25519".to_owned()));
        }
        app.send_as(proof, call).await.problem(401, "unauthenticated");
        let (mut proof, call) = good();
        proof.retain(|(known, _)| known != name);
        let answer = app.send_as(proof, call).await;
        match name {
            btauth::HEADER_CRYPTO => drop(answer.ok()),
            btauth::HEADER_RECEIVER => drop(answer.problem(401, "wrong_receiver")),
            _ => drop(answer.problem(401, "unauthenticated")),
        }
    }
    // One's signature under another's name.
    let (mut proof, call) = good();
    set(&mut proof, "X-Bittensor-Hotkey", other.hotkey());
    app.send_as(proof, call).await.problem(401, "unauthenticated");
    // A signature of somebody else, with an API key beside it: neither helps the other.
    let (mut proof, call) = good();
    set(&mut proof, "X-Bittensor-Nonce", app.nonce().to_string());
    proof.push(("X-API-Key".to_owned(), app.admin.clone()));
    app.send_as(proof, call).await.problem(401, "unauthenticated");
    app.finish().await;
}

#[tokio::test]
async fn requests_for_another_server_or_another_time_are_refused() {
    let app = TestApp::start().await;
    let v = validator(0);
    let foreign = Keypair::from_label("another-server");
    let call = call();
    let proof: Headers = btauth::sign_request(
        &v.keys,
        "POST",
        &call.target,
        &call.body,
        foreign.hotkey(),
        app.nonce(),
    )
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    app.send_as(proof.clone(), call.clone()).await.problem(401, "wrong_receiver");
    let mut bent = proof;
    set(&mut bent, "X-Bittensor-Receiver", app.receiver().to_string());
    app.send_as(bent, call.clone()).await.problem(401, "unauthenticated");
    // What was signed before the server started is refused too.
    app.advance(10_000);
    let now = app.clock.now_nanos();
    let second = 1_000_000_000;
    for (nonce, status) in [
        (now - 11 * second, 401),
        (now + 4 * second, 401),
        (0, 401),
        (u64::MAX, 401),
        (i64::MAX as u64, 401),
        (now - 8 * second, 200),
        (now + second, 200),
    ] {
        let answer = app.send_as(signed(&app, &v.keys, &call, nonce), call.clone()).await;
        match status {
            200 => drop(answer.ok()),
            _ => drop(answer.problem(401, "stale_signature")),
        }
    }
    // Our clock counts, and it moves.
    let proof = app.proof(v.who(), &call);
    app.advance(11_000);
    app.send_as(proof, call).await.problem(401, "stale_signature");
    app.finish().await;
}

#[tokio::test]
async fn a_request_counts_once() {
    let app = TestApp::start().await;
    let v = validator(0);
    for call in [call(), Call::get("/api/v1/validators")] {
        let proof = app.proof(v.who(), &call);
        app.send_as(proof.clone(), call.clone()).await.ok();
        app.send_as(proof.clone(), call.clone()).await.problem(401, "replayed");
        let another = Call::get("/api/v1/kinds");
        let nonce = get(&proof, "X-Bittensor-Nonce").parse().unwrap();
        let same_nonce = signed(&app, &v.keys, &another, nonce);
        app.send_as(same_nonce, another.clone()).await.problem(401, "replayed");
        let of_another = signed(&app, &validator(1).keys, &another, nonce);
        app.send_as(of_another, another).await.ok();
    }
    let call = call();
    let proof = app.proof(v.who(), &call);
    let many = (0..20).map(|_| app.send_as(proof.clone(), call.clone()));
    let answers = futures_util::future::join_all(many).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    app.finish().await;
}

/// A request with an effect, and somebody who may make it.
struct Effect {
    what: &'static str,
    by: Peer,
    call: Call,
}

async fn effects(app: &TestApp) -> Vec<Effect> {
    let (v, m) = (validator(0), miner(0));
    let wav = crate::walks::task::audio();
    app.report(&[&m]).await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        app.submit_tts(&[("redundancy", "1")]).await;
        tasks.push(app.one_lease(&m).await);
    }
    app.answer(&m, &tasks[2]).await.ok();
    let id = |n: usize| tasks[n]["task_id"].as_str().unwrap().to_owned();
    let post = |path: String, body: serde_json::Value| Call::post(path).json(&body);
    let answer = json!({
        "task_id": id(0), "lease_token": token(&tasks[0]), "response_data": { "audio_data": "x" },
    });
    let evaluation =
        json!({ "task_id": id(2), "evaluation_data": [{ "miner_uid": 0, "accuracy": 0.5 }] });
    let report =
        json!({ "validator_uid": 200, "epoch": 5, "miner_statuses": [crate::support::status(&m)] });
    let file = Part::file("file", "a.wav", "audio/wav", &wav);
    let task = id(0);
    let upload = Call::post("/api/v1/miner/files").multipart(&[file, Part::text("task_id", &task)]);
    let mut effects = Vec::new();
    let mut add = |what, by: &Peer, call| effects.push(Effect { what, by: by.clone(), call });
    add("report", &v, post("/api/v1/validators/miner-status".to_owned(), report));
    add("evaluation", &v, post("/api/v1/validator/evaluation".to_owned(), evaluation));
    let score = json!({
        "kind": "tts", "uid": 0, "hotkey": m.hotkey(), "score": 0.5,
        "scored_at": app.clock.now().0,
    });
    add("scores", &v, post("/api/v1/scores".to_owned(), score));
    add("upload", &m, upload);
    add("heartbeat", &m, post(format!("/api/v1/miner/tasks/{}/heartbeat", id(0)), json!({})));
    add("response", &m, post("/api/v1/miner/response".to_owned(), answer));
    let release = json!({ "reason": "failed" });
    add("release", &m, post(format!("/api/v1/miner/tasks/{}/release", id(1)), release));
    add("submit", &v, post("/api/v1/tts".to_owned(), json!({ "text": crate::support::TEXT })));
    // The first task of the batch is refused: the nonce goes with the second.
    let nowhere = json!({ "task_type": "transcription", "file_id": id(1) });
    let item = json!({ "task_type": "tts", "text": crate::support::TEXT });
    let batch = json!({ "tasks": [nowhere, item] });
    add("batch", &v, post("/api/v1/tasks/batch".to_owned(), batch));
    add("distribute", &v, post("/api/v1/validator/distribute".to_owned(), json!({ "limit": 1 })));
    effects
}

#[tokio::test]
async fn a_replay_has_no_second_effect_across_a_restart_either() {
    let mut app = TestApp::start().await;
    let mut sent = Vec::new();
    for Effect { what, by, call } in effects(&app).await {
        let proof = app.proof(by.who(), &call);
        let first = app.send_as(proof.clone(), call.clone()).await;
        assert!(first.status < 300, "{what}: {}", first.text());
        sent.push((what, proof, call));
    }
    let tasks = app.task_count().await;
    app.restart().await;
    for (what, proof, call) in sent {
        let answer = app.send_as(proof, call).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        let code = answer.value()["code"].clone();
        assert!(code == "replayed" || code == "stale_signature", "{what}: {code}");
    }
    assert_eq!(app.task_count().await, tasks);
}

#[tokio::test]
async fn a_signed_batch_whose_first_key_stands_for_another_task_goes_on_with_the_next() {
    let app = TestApp::start().await;
    let v = validator(0);
    let batch = async |first: &str| {
        let item = |text: &str| json!({ "task_type": "tts", "text": text });
        let tasks = json!({ "tasks": [item(first), item(crate::support::TEXT)] });
        let call = Call::post("/api/v1/tasks/batch").header("idempotency-key", "k").json(&tasks);
        app.send_as(app.proof(v.who(), &call), call.clone()).await.ok()
    };
    let made = batch("one sentence to read aloud").await;
    assert_eq!(made["accepted"], 2, "{made}");
    let again = batch("another sentence to read aloud").await;
    assert_eq!(again["results"][0]["code"], "idempotency_mismatch", "{again}");
    assert_eq!(again["results"][1]["task_id"], made["results"][1]["task_id"], "{again}");
    app.finish().await;
}

#[tokio::test]
async fn an_operators_replay_makes_no_second_key() {
    let operator = Peer::named("http-operator", 9);
    let entry = crate::support::app::entry(&operator, pithead::config::Role::Operator, 0.0);
    let mut app = TestApp::with(|config| config.auth.hotkeys.push(entry)).await;
    let call = Call::post("/api/v1/admin/keys").json(&json!({ "scopes": "admin" }));
    let proof = app.proof(operator.who(), &call);
    app.send_as(proof.clone(), call.clone()).await.is(201);
    app.send_as(proof.clone(), call.clone()).await.problem(401, "replayed");
    app.restart().await;
    let answer = app.send_as(proof, call).await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    let keys = app.send(Who::Bearer(&app.admin), Call::get("/api/v1/admin/keys")).await.ok();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3, "the first, the client's, and one more");
}
