//! Registrations follow the chain: names change, uids change hands, miners come and go.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, Peer, TestApp, miner, status, validator, wait_for};

/// Who has which uid since which block; besides two validators, and one that lost its permit.
fn snapshot(block: i64, miners: &[(&Peer, i64)]) -> Value {
    let neuron = |peer: &Peer, stake: f64, permit: bool, since: i64| {
        json!({
            "uid": peer.uid, "hotkey": peer.hotkey(), "coldkey": "owner", "stake": stake,
            "validator_permit": permit, "last_update": block - 10, "block_at_registration": since,
            "incentive": 0.0,
        })
    };
    let mut neurons = vec![neuron(&validator(0), 600.0, true, 5)];
    neurons.push(neuron(&validator(1), 500.0, true, 5));
    neurons.push(neuron(&validator(2), 400.0, false, 5));
    neurons.extend(miners.iter().map(|(peer, since)| neuron(peer, 1.0, false, *since)));
    json!({ "netuid": 49, "block": block, "tempo": 360, "neurons": neurons })
}

async fn adopt(app: &TestApp, block: i64, miners: &[(&Peer, i64)]) {
    let body = snapshot(block, miners);
    for n in 0..2 {
        let call = Call::post("/api/v1/chain/metagraph").json(&body);
        let answer = app.send(validator(n).who(), call).await;
        if answer.ok()["adopted"] == true {
            return;
        }
    }
    panic!("nobody believes the snapshot of block {block}");
}

/// The same, said by the validator of another uid.
fn as_of(body: &Value, uid: u16) -> Value {
    let mut body = body.clone();
    if body.get("validator_uid").is_some() {
        body["validator_uid"] = uid.into();
    }
    body
}

/// Whoever has a permit reports these miners.
async fn report(app: &TestApp, miners: &[&Peer]) {
    let statuses: Value = miners.iter().map(|miner| status(miner)).collect();
    for n in 0..2 {
        app.send_report(&validator(n), &statuses).await.ok();
    }
}

async fn registration(app: &TestApp, peer: &Peer) -> String {
    let answer = app.view(peer).await;
    answer["registration"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn a_new_hotkey_is_the_same_miner_and_a_new_block_is_another_one() {
    let mut app = TestApp::start().await;
    let (zero, one) = (miner(0), miner(1));
    app.report(&[&zero]).await;
    let id = registration(&app, &zero).await;
    // What was reported is confirmed.
    adopt(&app, 1_000, &[(&zero, 7), (&one, 8)]).await;
    assert_eq!(registration(&app, &zero).await, id);
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&zero).await;
    // It changes its hotkey in the middle of its work.
    let renamed = Peer::named("http-renamed", 0);
    adopt(&app, 1_050, &[(&renamed, 7), (&one, 8)]).await;
    assert_eq!(registration(&app, &renamed).await, id);
    app.send_poll(&zero, "").await.problem(403, "not_registered");
    // Whoever still speaks of the old name does not bring it back, and neither does a restart.
    report(&app, &[&zero]).await;
    app.restart().await;
    app.heartbeat(&renamed, &lease).await.ok();
    app.answer(&renamed, &lease).await.ok();
    app.until(&task, "done").await;
    // Then somebody else takes the uid: what the old one holds goes to others.
    report(&app, &[&renamed, &one]).await;
    let second = app.submit_tts(&[("redundancy", "1")]).await;
    let (holder, lease) = app.holder(&[&renamed, &one], &second).await;
    let newcomer = Peer::named("http-newcomer", holder.uid);
    let (other, since) = if holder.uid == 0 { (&one, 8) } else { (&renamed, 7) };
    adopt(&app, 1_100, &[(&newcomer, 900), (other, since)]).await;
    app.answer(holder, &lease).await.problem(403, "not_registered");
    app.advance(2_000);
    report(&app, &[&newcomer, other]).await;
    app.holder(&[&newcomer, other], &second).await;
    assert_ne!(registration(&app, &newcomer).await, id);
    app.finish().await;
}

#[tokio::test]
async fn the_chain_says_who_is_a_miner() {
    let mut app = TestApp::start().await;
    let (three, four, nine) = (miner(3), miner(4), miner(9));
    app.report(&[&four]).await;
    app.send_poll(&three, "").await.problem(403, "not_registered");
    adopt(&app, 1_000, &[(&three, 7)]).await;
    for _ in 0..2 {
        // Nobody reported it, and it may ask for work; a validator is not made a miner.
        assert_eq!(app.leases(&three).await, Vec::<Value>::new());
        app.send_poll(&four, "").await.problem(403, "not_registered");
        report(&app, &[&four, &nine]).await;
        app.send_poll(&four, "").await.problem(403, "not_registered");
        app.send_poll(&nine, "").await.problem(403, "not_registered");
        app.send_poll(&validator(0), "").await.problem(403, "not_registered");
        app.restart().await;
    }
    adopt(&app, 1_050, &[(&nine, 7)]).await;
    app.send_poll(&three, "").await.problem(403, "not_registered");
    app.leases(&nine).await;
    app.finish().await;
}

#[tokio::test]
async fn whoever_went_silent_before_the_chain_was_known_is_there_with_it() {
    let app = TestApp::start().await;
    let zero = miner(0);
    app.report(&[&zero]).await;
    app.leases(&zero).await;
    app.advance(60 * 60_000);
    wait_for("it rests", Duration::from_secs(20), async || {
        let stats = app.as_client(Call::get("/api/v1/miners/0/stats")).await;
        (stats.status == 404).then_some(())
    })
    .await;
    // There since the first block: nothing is to be changed in its registration.
    adopt(&app, 1_000, &[(&zero, 0)]).await;
    app.leases(&zero).await;
    app.finish().await;
}

#[tokio::test]
async fn whoever_has_no_permit_neither_scores_nor_tells_of_the_chain() {
    let app = TestApp::start().await;
    let zero = miner(0);
    let score = |block: Value| {
        let at = app.clock.now().0;
        json!({ "scores": [{
            "kind": "tts", "uid": 0, "hotkey": zero.hotkey(), "score": 0.5,
            "scored_at": at, "block": block,
        }] })
    };
    let push = |n: u16, body: Value| {
        let call = Call::post("/api/v1/scores").json(&body);
        let who = validator(n);
        let app = &app;
        async move { app.send(who.who(), call).await }
    };
    app.report_statuses(&json!([status(&zero)])).await;
    app.advance(1_000);
    push(2, score(Value::Null)).await.ok();
    adopt(&app, 1_000, &[(&zero, 70)]).await;
    let refused = push(2, score(Value::Null)).await.problem(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("as of block 1000"), "{refused}");
    app.advance(1_000);
    push(1, score(json!(70))).await.ok();
    let early = push(1, score(json!(69))).await.problem(422, "invalid_field");
    assert!(early.to_string().contains("block"), "{early}");
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&zero).await;
    app.answer(&zero, &lease).await.ok();
    let word = json!({ "block": 1_010, "state": "submitted", "uids": [0], "weights": [1] });
    let judged = json!({ "evaluations": [{ "miner_uid": 0, "accuracy": 1.0 }] });
    for (path, body) in [
        ("/api/v1/chain/metagraph", snapshot(1_050, &[(&zero, 70)])),
        ("/api/v1/weights/submissions", word),
        (
            "/api/v1/validator/evaluation",
            json!({ "task_id": task, "validator_uid": 202, "evaluation_data": judged }),
        ),
    ] {
        let answer = app.send(validator(2).who(), Call::post(path).json(&body)).await;
        let refused = answer.problem(403, "forbidden");
        assert!(refused["detail"].as_str().unwrap().contains("permit"), "{path}: {refused}");
        app.send(validator(1).who(), Call::post(path).json(&as_of(&body, 201))).await.ok();
    }
    app.finish().await;
}
