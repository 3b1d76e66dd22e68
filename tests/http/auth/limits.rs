//! What keys and hotkeys may use, and what they are told of it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::raw::Raw;
use crate::support::{Answer, Call, TEXT, TestApp, Who, miner, validator, wait_for};

const DAY: i64 = 24 * 3_600_000;

fn list() -> Call {
    Call::get("/api/v1/tasks")
}

fn submit() -> Call {
    Call::post("/api/v1/tts").form(&[("text", TEXT), ("redundancy", "1")])
}

/// Limit, remaining and reset, as the headers of `of` tell.
fn told(answer: &Answer, of: &str) -> Option<[u64; 3]> {
    let header = |name: &str| {
        let name = format!("x-ratelimit-{name}{of}");
        Some(answer.header(&name)?.parse::<u64>().unwrap())
    };
    Some([header("limit")?, header("remaining")?, header("reset")?])
}

/// A key with these limits; its text and its place.
async fn key(app: &TestApp, limits: Value) -> (String, String) {
    let call = Call::post("/api/v1/admin/keys").json(&limits);
    let made = app.send(Who::Bearer(&app.admin), call).await.is(201);
    let place = format!("/api/v1/admin/keys/{}", made["id"].as_str().unwrap());
    (made["key"].as_str().unwrap().to_owned(), place)
}

async fn change(app: &TestApp, place: &str, body: Value) -> Value {
    let call = Call::new("PATCH", place).json(&body);
    app.send(Who::Bearer(&app.admin), call).await.ok()
}

#[tokio::test]
async fn every_answer_to_a_key_tells_how_its_budget_stands_until_it_is_used_up() {
    let app = TestApp::start().await;
    let (key, place) = key(&app, json!({ "requests_per_minute": 4 })).await;
    let send = async |call: Call| app.send(Who::Bearer(&key), call).await;
    let none = "/api/v1/tasks/0197a0d0-0000-7000-8000-000000000000";
    for (call, status, remaining) in [
        (list(), 200, 3),
        (Call::get(none), 404, 2),
        (Call::get("/v1/models"), 200, 1),
        (Call::get("/api/v1/admin/keys"), 403, 0),
    ] {
        let answer = send(call).await;
        assert_eq!(answer.status, status);
        assert_eq!(told(&answer, ""), Some([4, remaining, 15 * (4 - remaining)]));
    }
    for call in [list(), Call::get("/v1/models"), submit()] {
        let answer = send(call).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("15")));
        assert_eq!(told(&answer, ""), Some([4, 0, 60]));
    }
    app.advance(15_000);
    assert_eq!(told(&send(list()).await, ""), Some([4, 0, 60]));
    assert_eq!(send(list()).await.status, 429);
    assert_eq!(
        change(&app, &place, json!({ "requests_per_minute": null })).await["state"],
        "active"
    );
    let answer = send(list()).await;
    assert_eq!(told(&answer, "").map(|[limit, ..]| limit), Some(60_000), "effective at once");
    app.finish().await;
}

#[tokio::test]
async fn of_many_requests_at_once_exactly_the_budget_passes() {
    let app = TestApp::start().await;
    let (key, _) = key(&app, json!({ "requests_per_minute": 20 })).await;
    let all = join_all((0..60).map(|_| app.send(Who::Bearer(&key), list()))).await;
    let passed: Vec<_> = all.iter().filter(|answer| answer.status == 200).collect();
    let mut left: Vec<u64> = passed.iter().map(|answer| told(answer, "").unwrap()[1]).collect();
    left.sort_unstable();
    assert_eq!(left, (0..20).collect::<Vec<u64>>(), "each is told another number");
    assert!(all.iter().all(|answer| [200, 429].contains(&answer.status)));
    app.finish().await;
}

#[tokio::test]
async fn a_hotkey_is_charged_for_what_it_signed_and_for_nothing_that_others_claim() {
    let limit = std::num::NonZeroU32::new(40).unwrap();
    let app = TestApp::with(|config| config.limits.requests_per_minute = limit).await;
    let v = validator(0);
    let call = || Call::get("/api/v1/validators");
    let first = app.send(v.who(), call()).await;
    assert_eq!(told(&first, "").unwrap()[..2], [40, 39]);
    let forged = |break_it: bool| {
        let mut proof = app.proof(v.who(), &call());
        let signature =
            proof.iter_mut().find(|(name, _)| name.to_lowercase().contains("signature"));
        let (_, signature) = signature.unwrap();
        if break_it {
            let last = signature.pop().unwrap();
            signature.push(if last == '0' { '1' } else { '0' });
        }
        proof
    };
    for _ in 0..100 {
        let answer = app.send_as(forged(true), call()).await;
        assert_eq!((answer.status, told(&answer, "")), (401, None), "{}", answer.text());
    }
    for remaining in (0..39).rev() {
        assert_eq!(told(&app.send(v.who(), call()).await, "").unwrap()[1], remaining);
    }
    // Who has used up its own is refused before its signature is looked at, and other hotkeys are not.
    for broken in [true, false] {
        let answer = app.send_as(forged(broken), call()).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
    }
    app.send(validator(1).who(), call()).await.ok();
    app.advance(1_500);
    assert_eq!(app.send_as(forged(true), call()).await.status, 401);
    app.send(v.who(), call()).await.ok();
    assert_eq!(app.send(v.who(), call()).await.status, 429);
    app.finish().await;
}

#[tokio::test]
async fn a_signed_upload_is_charged_once_it_is_proven() {
    let limit = std::num::NonZeroU32::new(6).unwrap();
    let app = TestApp::with(|config| config.limits.requests_per_minute = limit).await;
    let v = validator(0);
    let parts = [crate::support::Part::text("text", TEXT)];
    let call = Call::post("/api/v1/tts").multipart(&parts);
    let left = async || told(&app.send(v.who(), list()).await, "").unwrap()[1];
    let before = left().await;
    let mut proof = app.proof(v.who(), &call);
    let broken = Call { body: [&call.body[..], b"x"].concat(), ..call.clone() };
    let answer = app.send_as(proof.clone(), broken).await;
    assert_eq!((answer.status, told(&answer, "")), (401, None), "{}", answer.text());
    proof = app.proof(v.who(), &call);
    let answer = app.send_as(proof, call).await;
    let task = answer.ok()["task_id"].as_str().unwrap().to_owned();
    assert_eq!(told(&answer, "").unwrap()[1], before - 1);
    assert_eq!(left().await, before - 2);
    app.send(v.who(), Call::delete(format!("/api/v1/tasks/{task}"))).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_key_has_as_many_requests_in_flight_as_it_may() {
    let app = TestApp::start().await;
    let (key, _) = key(&app, json!({ "in_flight": 2 })).await;
    let half = format!(
        "POST /api/v1/tts HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\
         \r\nContent-Length: 1000\r\n\r\n{{\"text\":"
    );
    let status = async || app.send(Who::Bearer(&key), list()).await.status;
    let soon = Duration::from_secs(20);
    // One that came while we looked was refused: others take its place.
    let mut held = Vec::new();
    wait_for("both are held", soon, async || {
        held.push(Raw::send(app.address(), &half).await);
        (status().await == 429).then_some(())
    })
    .await;
    wait_for("and stay so", soon, async || (status().await == 429).then_some(())).await;
    let answer = app.send(Who::Bearer(&key), list()).await;
    let problem = answer.problem(429, "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("2 requests in flight"), "{problem}");
    assert!(told(&answer, "").is_some(), "also such an answer tells of the budget");
    drop(held);
    wait_for("they are free again", soon, async || (status().await == 200).then_some(())).await;
    app.finish().await;
}

/// At noon, so that no day ends while a test runs.
fn at_noon(app: &TestApp) {
    let now = i64::try_from(app.clock.now_nanos() / 1_000_000).unwrap();
    app.advance(DAY - now % DAY + DAY / 2);
}

#[tokio::test]
async fn a_day_holds_so_many_tasks_on_every_path_and_also_after_a_restart() {
    let mut app = TestApp::start().await;
    at_noon(&app);
    let (key, place) = key(&app, json!({ "tasks_per_day": 5 })).await;
    let first = app.send(Who::Bearer(&key), submit()).await;
    let [limit, remaining, reset] = told(&first, "-day").unwrap();
    assert_eq!((limit, remaining), (5, 4));
    assert!((43_000..=43_200).contains(&reset), "{reset}");
    // What is refused or was there already is given back.
    let wrong = Call::post("/api/v1/tts").form(&[("text", "short")]);
    app.send(Who::Bearer(&key), wrong).await.names("text");
    let once = || submit().header("Idempotency-Key", "k");
    let made = app.send(Who::Bearer(&key), once()).await.ok();
    for _ in 0..9 {
        let again = app.send(Who::Bearer(&key), once()).await;
        assert_eq!(told(&again, "-day").unwrap()[1], 3);
        assert_eq!(again.ok()["task_id"], made["task_id"]);
    }
    let other = Call::post("/api/v1/tts").form(&[("text", &TEXT.repeat(2))]);
    let mismatch = app.send(Who::Bearer(&key), other.header("Idempotency-Key", "k")).await;
    assert_eq!((mismatch.status, told(&mismatch, "-day").unwrap()[1]), (422, 3));
    app.restart().await;
    assert_eq!(told(&app.send(Who::Bearer(&key), list()).await, "-day").unwrap()[1], 3);
    let shown = app.send(Who::Bearer(&app.admin), Call::get(&place)).await.ok();
    assert_eq!(shown["tasks_today"], 2, "{shown}");
    let task = json!({ "task_type": "tts", "text": TEXT });
    let batch = Call::post("/api/v1/tasks/batch").json(&json!({ "tasks": vec![&task; 5] }));
    let batch = app.send(Who::Bearer(&key), batch).await;
    assert_eq!(told(&batch, "-day").unwrap()[1], 0);
    assert_eq!(batch.ok()["accepted"], 3);
    let speech = json!({ "input": TEXT, "model": "tts-1", "voice": "v" });
    let one = Call::post("/api/v1/tasks").json(&task);
    let openai = Call::post("/v1/audio/speech").json(&speech);
    for call in [submit(), one, openai] {
        let answer = app.send(Who::Bearer(&key), call).await;
        assert_eq!((answer.status, told(&answer, "-day").unwrap()[1]), (429, 0));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((42_000..=43_200).contains(&wait), "{wait}");
        assert!(answer.text_whole().contains("the next day begins at "));
    }
    let cancelled = made["task_id"].as_str().unwrap();
    let cancel = Call::delete(format!("/api/v1/tasks/{cancelled}"));
    app.send(Who::Bearer(&key), cancel).await.ok();
    let retry = Call::post(format!("/api/v1/tasks/{cancelled}/retry"));
    app.send(Who::Bearer(&key), retry.clone()).await.problem(429, "rate_limited");
    // Others are not touched; more is had at once, and a new day begins anew.
    assert_eq!(told(&app.as_client(submit()).await, "-day"), None);
    change(&app, &place, json!({ "tasks_per_day": 6 })).await;
    assert_eq!(app.send(Who::Bearer(&key), retry).await.status, 201);
    assert_eq!(app.send(Who::Bearer(&key), submit()).await.status, 429);
    app.advance(DAY / 2);
    assert_eq!(told(&app.send(Who::Bearer(&key), submit()).await, "-day").unwrap()[1], 5);
}

#[tokio::test]
async fn many_at_once_and_those_who_hang_up_do_not_pass_the_days_limit() {
    let app = TestApp::start().await;
    at_noon(&app);
    let (key, place) = key(&app, json!({ "tasks_per_day": 10 })).await;
    let hasty = reqwest::Client::builder().timeout(Duration::from_millis(2)).build();
    let hasty = hasty.unwrap();
    for _ in 0..20 {
        let form = [("text", TEXT), ("redundancy", "1")];
        let to = format!("{}/api/v1/tts", app.url());
        hasty.post(to).bearer_auth(&key).form(&form).send().await.ok();
    }
    join_all((0..30).map(|_| app.send(Who::Bearer(&key), submit()))).await;
    // What was given back late may be had by these, and what was reserved is written some time.
    let today = async || {
        app.send(Who::Bearer(&key), submit()).await;
        let shown = app.send(Who::Bearer(&app.admin), Call::get(&place)).await.ok();
        shown["tasks_today"].as_u64().unwrap()
    };
    wait_for("the day is full", Duration::from_secs(20), async || {
        (today().await >= 10).then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(today().await, 10, "as many as the rows say, and no more");
    }
}

#[tokio::test]
async fn the_servers_own_limit_of_a_day_holds_for_keys_and_signers_without_one() {
    let app = TestApp::with(|config| config.limits.tasks_per_day = 1).await;
    at_noon(&app);
    for who in [Who::Bearer(&app.client), validator(0).who()] {
        assert_eq!(told(&app.send(who, submit()).await, "-day").unwrap()[..2], [1, 0]);
        app.send(who, submit()).await.problem(429, "rate_limited");
    }
    let (free, _) = key(&app, json!({ "tasks_per_day": 0 })).await;
    for _ in 0..3 {
        assert_eq!(told(&app.send(Who::Bearer(&free), submit()).await, "-day"), None);
    }
    let m = miner(0);
    app.report(&[&m]).await;
    assert_eq!(told(&app.send_poll(&m, "").await, "").unwrap()[0], 60_000);
}

/// Who asks again under a key that made a task gets that task; who asks for more is refused.
async fn repeats_are_answered(app: &TestApp, key: &str, code: (u16, &str)) {
    let send = async |call: Call, name: &str| {
        app.send(Who::Bearer(key), call.header("Idempotency-Key", name)).await
    };
    let task = json!({ "task_type": "tts", "text": TEXT, "redundancy": 1 });
    let batch = || Call::post("/api/v1/tasks/batch").json(&json!({ "tasks": [task] }));
    let made = send(submit(), "one").await.ok()["task_id"].clone();
    let many = send(batch(), "many").await.ok()["results"][0]["task_id"].clone();
    for _ in 0..2 {
        app.send(Who::Bearer(key), submit()).await.problem(code.0, code.1);
        send(submit(), "new").await.problem(code.0, code.1);
        assert_eq!(send(batch(), "new").await.ok()["results"][0]["code"], code.1);
        assert_eq!(send(submit(), "one").await.ok()["task_id"], made);
        assert_eq!(send(batch(), "many").await.ok()["results"][0]["task_id"], many);
        let other = Call::post("/api/v1/tts").form(&[("text", &TEXT.repeat(2))]);
        send(other, "one").await.problem(422, "idempotency_mismatch");
        send(submit(), "many/0").await.ok();
    }
}

#[tokio::test]
async fn a_request_again_is_answered_also_when_the_day_is_used_up() {
    let app = TestApp::start().await;
    at_noon(&app);
    let (key, place) = key(&app, json!({ "tasks_per_day": 2 })).await;
    repeats_are_answered(&app, &key, (429, "rate_limited")).await;
    // The same for a task that is tried again.
    let send = async |call: Call| app.send(Who::Bearer(&key), call).await;
    let first = send(list()).await.ok()["tasks"][0]["task_id"].as_str().unwrap().to_owned();
    send(Call::delete(format!("/api/v1/tasks/{first}"))).await.ok();
    change(&app, &place, json!({ "tasks_per_day": 3 })).await;
    let retry = |name: &str| {
        let call = Call::post(format!("/api/v1/tasks/{first}/retry"));
        send(call.header("Idempotency-Key", name))
    };
    let again = retry("again").await.is(201)["task_id"].clone();
    assert_eq!(retry("again").await.is(201)["task_id"], again);
    retry("new").await.problem(429, "rate_limited");
    retry("one").await.problem(422, "idempotency_mismatch");
}

#[tokio::test]
async fn a_request_again_is_answered_also_when_the_minute_is_used_up() {
    let limit = std::num::NonZeroU32::new(2).unwrap();
    let app = TestApp::with(|config| config.limits.tasks_per_minute = limit).await;
    repeats_are_answered(&app, &app.client, (429, "rate_limited")).await;
}

#[tokio::test]
async fn a_request_again_is_answered_also_when_too_many_tasks_are_open() {
    let app = TestApp::with(|config| config.queue.open_per_client = 2).await;
    repeats_are_answered(&app, &app.client, (429, "rate_limited")).await;
}
