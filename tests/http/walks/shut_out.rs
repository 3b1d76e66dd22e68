//! An operator shuts hotkeys out, whatever the chain says, and lets them in again.

use std::time::Duration;

use pithead::config::Role;
use serde_json::{Value, json};

use crate::support::app::entry;
use crate::support::{Answer, Call, Peer, TestApp, Who, miner, status, text, validator, wait_for};

const DAY: i64 = 86_400_000;
const LIMIT: Duration = Duration::from_secs(20);

fn boss() -> Peer {
    Peer::named("http-boss", 9)
}

async fn start() -> TestApp {
    TestApp::with(|config| {
        config.auth.hotkeys.push(entry(&boss(), Role::Operator, 0.0));
        config.auth.hotkeys.push(entry(&miner(7), Role::Miner, 5.0));
        config.auth.hotkey_api_keys = true;
    })
    .await
}

fn place(of: &Peer) -> String {
    format!("/api/v1/admin/quarantine/{}", of.hotkey())
}

fn shutting_out(whom: &Peer, days: Option<u32>) -> Call {
    Call::post(place(whom)).json(&json!({ "reason": "it floods us", "days": days }))
}

async fn shut_out(app: &TestApp, whom: &Peer, days: Option<u32>) -> Value {
    app.send(boss().who(), shutting_out(whom, days)).await.ok()
}

async fn let_in(app: &TestApp, whom: &Peer) {
    app.send(boss().who(), Call::delete(place(whom))).await.is(204);
}

#[track_caller]
fn is_shut_out(answer: &Answer) {
    let told = answer.problem(403, "forbidden");
    assert!(text(&told["detail"]).contains("shut out by the operator"), "{told}");
}

async fn weight(app: &TestApp, of: &Peer) -> (f64, f64) {
    let target = format!("/api/v1/validators/{}", of.hotkey());
    let shown = app.as_client(Call::get(target)).await.ok();
    (shown["stake"].as_f64().unwrap(), shown["base_weight"].as_f64().unwrap())
}

/// Hands in so many tasks; this miner gets all of them, and answers.
async fn all_go_to(app: &TestApp, whom: &Peer, tasks: usize) {
    for _ in 0..tasks {
        app.submit_tts(&[("redundancy", "1")]).await;
    }
    let leases = wait_for("all tasks are with one miner", LIMIT, async || {
        let leases = app.leases(whom).await;
        (leases.len() == tasks).then_some(leases)
    })
    .await;
    for lease in leases {
        app.answer(whom, &lease).await.ok();
    }
}

#[tokio::test]
async fn a_miner_that_is_shut_out_gets_no_work_and_what_it_has_goes_to_others() {
    let mut app = start().await;
    let (zero, one) = (miner(0), miner(1));
    app.report(&[&zero, &one]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (out, lease) = app.holder(&[&zero, &one], &task).await;
    let other = if out.uid == 0 { &one } else { &zero };
    let shown = shut_out(&app, out, None).await;
    let by = boss().hotkey();
    let told = json!([shown["hotkey"], shown["reason"], shown["until"], shown["by"]]);
    assert_eq!(told, json!([out.hotkey(), "it floods us", null, by]));
    is_shut_out(&app.send_poll(out, "").await);
    is_shut_out(&app.answer(out, &lease).await);
    is_shut_out(&app.heartbeat(out, &lease).await);
    is_shut_out(&app.send(out.who(), Call::get("/api/v1/miners")).await);
    // Its lease went back at once: nothing had to expire.
    let (_, lease) = app.holder(&[other], &task).await;
    app.answer(other, &lease).await.ok();
    app.until(&task, "done").await;
    all_go_to(&app, other, 5).await;
    for _ in 0..2 {
        // Whatever validators say of it, and also after a restart.
        app.report(&[&zero, &one]).await;
        all_go_to(&app, other, 5).await;
        is_shut_out(&app.send_poll(out, "").await);
        app.restart().await;
    }
    let_in(&app, out).await;
    app.leases(out).await;
    shut_out(&app, other, Some(2)).await;
    app.report(&[&zero, &one]).await;
    all_go_to(&app, out, 5).await;
    app.advance(2 * DAY - 60_000);
    is_shut_out(&app.send_poll(other, "").await);
    app.advance(61_000);
    app.report(&[&zero, &one]).await;
    app.leases(other).await;
    app.finish().await;
}

#[tokio::test]
async fn a_validator_that_is_shut_out_has_no_voice_until_it_is_let_in_or_its_time_is_over() {
    let mut app = start().await;
    let (out, zero) = (validator(0), miner(0));
    app.report(&[&zero]).await;
    let before = weight(&app, &out).await;
    assert!(before.0 > 0.0 && before.1 > 0.0, "{before:?}");
    let shown = shut_out(&app, &out, Some(1)).await;
    assert_eq!(weight(&app, &out).await, (0.0, 0.0), "at once, also what it said before");
    let refused = app.send_report(&out, &json!([status(&zero)])).await.problem(403, "forbidden");
    assert!(text(&refused["detail"]).contains(text(&shown["until"])), "{refused}");
    // Neither of the chain, nor as somebody who only looks on, nor with tasks of its own.
    let snapshot = Call::post("/api/v1/chain/metagraph").json(&json!({}));
    is_shut_out(&app.send(out.who(), snapshot).await);
    is_shut_out(&app.send(out.who(), Call::get("/api/v1/miners")).await);
    is_shut_out(&app.send(out.who(), Call::get("/api/v1/tasks")).await);
    let roles = app.send(Who::Bearer(&app.admin), Call::get("/api/v1/admin/roles")).await.ok();
    let roles = roles["roles"].as_array().unwrap();
    let role = roles.iter().find(|role| role["hotkey"] == out.hotkey()).unwrap();
    assert_eq!((&role["may_speak"], &role["stake"]), (&json!(false), &json!(0.0)));
    assert!(text(&role["reason"]).contains("shut out"), "{role}");
    app.restart().await;
    assert_eq!(weight(&app, &out).await, (0.0, 0.0));
    is_shut_out(&app.send_report(&out, &json!([status(&zero)])).await);
    let_in(&app, &out).await;
    assert_eq!(weight(&app, &out).await, before);
    app.advance(1_000);
    app.send_report(&out, &json!([status(&zero)])).await.ok();
    // Nobody writes when its time is over, and its stake is back before it says anything; its last word
    // is a day old by then, and weighs nothing.
    shut_out(&app, &out, Some(1)).await;
    app.advance(DAY + 1_000);
    wait_for("its stake is back", LIMIT, async || {
        (weight(&app, &out).await == (before.0, 0.0)).then_some(())
    })
    .await;
    app.send_report(&out, &json!([status(&zero)])).await.ok();
    assert!(weight(&app, &out).await.1 > 0.0);
    let listed = app.send(boss().who(), Call::get("/api/v1/admin/quarantine")).await.ok();
    assert_eq!(listed, json!({ "count": 0, "quarantine": [], "next_cursor": null }));
    app.send(boss().who(), Call::delete(place(&out))).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn what_a_validator_pulled_goes_back_when_it_is_shut_out() {
    let app = start().await;
    let (out, other) = (validator(0), validator(1));
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    assert_eq!(app.distribute(&out, 1).await[0]["task_id"], task);
    assert_eq!(app.distribute(&other, 1).await, Vec::<Value>::new());
    shut_out(&app, &out, None).await;
    let pulled =
        wait_for("the task is there again", LIMIT, async || app.distribute(&other, 1).await.pop())
            .await;
    assert_eq!(pulled["task_id"], task);
    app.cancel(&task).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn keys_that_stand_for_a_hotkey_are_shut_out_with_it_and_operators_never_are() {
    let app = start().await;
    let (seven, admin) = (miner(7), Who::Bearer(&app.admin));
    let scopes = ["miner", "client miner", "admin miner"];
    let mut keys = Vec::new();
    for scopes in scopes {
        keys.push(app.new_key(&format!("{scopes}:{}", seven.hotkey())).await);
    }
    let ask = async |key: &str, path: &str| app.send(Who::Bearer(key), Call::get(path)).await;
    app.send(seven.who(), Call::get("/api/v1/tasks")).await.ok();
    app.send(admin, shutting_out(&seven, None)).await.ok();
    is_shut_out(&app.send(seven.who(), Call::get("/api/v1/tasks")).await);
    is_shut_out(&ask(&keys[0], "/api/v1/miners/7/tasks").await);
    is_shut_out(&ask(&keys[0], "/api/v1/miners").await);
    is_shut_out(&ask(&keys[1], "/api/v1/tasks").await);
    // An admin's goes on as that, though not as the miner.
    ask(&keys[2], "/api/v1/tasks").await.ok();
    is_shut_out(&ask(&keys[2], "/api/v1/miners/7/tasks").await);
    let refused = app.send(admin, shutting_out(&boss(), None)).await.problem(409, "conflict");
    assert!(text(&refused["detail"]).contains("operator's"), "{refused}");
    app.send(boss().who(), Call::get("/api/v1/admin/quarantine")).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn the_list_comes_in_pages_the_log_has_all_of_it_and_a_replay_has_no_second_effect() {
    let app = start().await;
    let (boss, zero, one) = (boss(), miner(0), miner(1));
    app.report(&[&zero, &one]).await;
    let call = shutting_out(&zero, None);
    let proof = app.proof(boss.who(), &call);
    app.send_as(proof.clone(), call.clone()).await.ok();
    shut_out(&app, &one, Some(3)).await;
    let page = async |query: &str| {
        let target = format!("/api/v1/admin/quarantine?{query}");
        app.send(Who::Bearer(&app.admin), Call::get(target)).await.ok()
    };
    let mut names = [zero.hotkey(), one.hotkey()];
    names.sort_unstable();
    let first = page("limit=1").await;
    assert_eq!((&first["count"], &first["next_cursor"]), (&json!(1), &json!(names[0])));
    assert_eq!(first["quarantine"][0]["hotkey"], names[0]);
    let second = page(&format!("limit=1&cursor={}", names[0])).await;
    assert_eq!((&second["count"], &second["next_cursor"]), (&json!(1), &Value::Null));
    assert_eq!(second["quarantine"][0]["hotkey"], names[1]);
    let call_in = Call::delete(place(&zero));
    let proof_in = app.proof(boss.who(), &call_in);
    app.send_as(proof_in.clone(), call_in.clone()).await.is(204);
    app.send_as(proof, call).await.problem(401, "replayed");
    app.leases(&zero).await;
    app.send_as(proof_in, call_in).await.problem(401, "replayed");
    for (name, body) in [("a b", json!({ "reason": "x" })), ("x", json!({ "reason": " " }))] {
        let target = format!("/api/v1/admin/quarantine/{}", name.replace(' ', "%20"));
        let refused = app.send(boss.who(), Call::post(target).json(&body)).await;
        refused.problem(422, "invalid_field");
    }
    let target = "/api/v1/admin/audit?action=hotkey.";
    let log = app.send(Who::Bearer(&app.admin), Call::get(target)).await.ok();
    let log = log["entries"].as_array().unwrap().iter().rev();
    let told = log.map(|entry| json!([entry["action"], entry["subject"], entry["actor"]]));
    let fact = |action: &str, peer: &Peer| {
        json!([format!("hotkey.{action}"), peer.hotkey(), boss.hotkey()])
    };
    let expected = [fact("quarantined", &zero), fact("quarantined", &one), fact("released", &zero)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    app.finish().await;
}
