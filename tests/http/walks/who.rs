//! Who may speak follows the chain: with the next request, and no longer than its snapshot vouches.

use pithead::config::Role;
use serde_json::{Value, json};

use crate::support::app::entry;
use crate::support::{Answer, Call, Peer, TestApp, Who, miner, status, validator};

const HOUR: i64 = 3_600_000;

/// A validator that the operator never heard of.
fn of_chain() -> Peer {
    Peer::named("http-of-chain", 77)
}

/// A miner that the operator named.
fn own_miner() -> Peer {
    Peer::named("http-own-miner", 5)
}

async fn adopt(app: &TestApp, block: i64, validators: &[(&Peer, f64)], miners: &[&Peer]) {
    let neuron = |peer: &Peer, stake: f64, permit: bool| {
        json!({
            "uid": peer.uid, "hotkey": peer.hotkey(), "coldkey": peer.hotkey(), "stake": stake,
            "validator_permit": permit, "last_update": block - 10, "block_at_registration": 7,
            "incentive": 0.0,
        })
    };
    let named = [validator(0), validator(1)];
    let mut neurons: Vec<Value> = named.iter().map(|peer| neuron(peer, 600.0, true)).collect();
    neurons.extend(validators.iter().map(|(peer, stake)| neuron(peer, *stake, *stake > 0.0)));
    neurons.extend(miners.iter().map(|peer| neuron(peer, 1.0, false)));
    let body = json!({ "netuid": 49, "block": block, "tempo": 360, "neurons": neurons });
    let call = || Call::post("/api/v1/chain/metagraph").json(&body);
    app.send(named[0].who(), call()).await.ok();
    assert_eq!(app.send(named[1].who(), call()).await.ok()["adopted"], true);
}

async fn says(app: &TestApp, who: &Peer, about: &[&Peer]) -> Answer {
    app.advance(1_000);
    app.send_report(who, &about.iter().map(|miner| status(miner)).collect()).await
}

async fn weight(app: &TestApp, of: &Peer) -> Value {
    let target = format!("/api/v1/validators/{}", of.hotkey());
    let shown = app.as_client(Call::get(target)).await.ok();
    json!([shown["uid"], shown["stake"], shown["base_weight"]])
}

async fn roles(app: &TestApp) -> Value {
    app.send(Who::Bearer(&app.admin), Call::get("/api/v1/admin/roles")).await.ok()
}

#[tokio::test]
async fn a_permit_makes_a_validator_and_its_end_ends_that_at_once() {
    let mut app = TestApp::start().await;
    let (zero, other) = (miner(0), of_chain());
    app.report(&[&zero]).await;
    says(&app, &other, &[&zero]).await.problem(403, "not_registered");
    adopt(&app, 1_000, &[(&other, 1_200.0)], &[&zero]).await;
    says(&app, &other, &[&zero]).await.ok();
    let known = weight(&app, &other).await;
    assert_eq!((&known[0], &known[1]), (&json!(77), &json!(1_200.0)));
    assert!(known[2].as_f64().unwrap() > 0.3, "{known}");
    let shown = roles(&app).await;
    let last = shown["roles"].as_array().unwrap().last().unwrap().clone();
    let expected = json!({
        "hotkey": other.hotkey(), "role": "validator", "uid": 77, "stake": 1_200.0,
        "configured": false, "may_speak": true, "reason": null,
    });
    assert_eq!(last, expected);
    let lying = Peer { uid: 78, ..other.clone() };
    says(&app, &lying, &[&zero]).await.problem(403, "uid_mismatch");
    // It judges, too; of the chain itself only those speak whom the operator asked.
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&zero).await;
    app.answer(&zero, &lease).await.ok();
    app.evaluate(&other, &task, &[(0, 0.5)]).await;
    let body = json!({ "netuid": 49, "block": 1_050, "tempo": 360, "neurons": [{
        "uid": 1, "hotkey": "x", "stake": 1, "validator_permit": true, "last_update": 1,
        "block_at_registration": 1, "incentive": 0,
    }] });
    let call = Call::post("/api/v1/chain/metagraph").json(&body);
    let refused = app.send(other.who(), call).await.problem(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("auth.hotkeys"), "{refused}");
    // A restart forgets nothing of it.
    app.restart().await;
    says(&app, &other, &[&zero]).await.ok();
    // Its stake goes with its permit; then it is gone altogether.
    adopt(&app, 1_050, &[(&other, 0.0)], &[&zero]).await;
    let refused = says(&app, &other, &[&zero]).await.problem(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("permit"), "{refused}");
    assert_eq!(weight(&app, &other).await, json!([77, 0.0, 0.0]), "nor does what it said count");
    // One whom the operator named, and the chain does not, neither.
    says(&app, &validator(2), &[&zero]).await.problem(403, "forbidden");
    adopt(&app, 1_100, &[], &[]).await;
    says(&app, &other, &[&zero]).await.problem(403, "not_registered");
    app.send_poll(&zero, "").await.problem(403, "not_registered");
    app.send(other.who(), Call::get("/api/v1/miners")).await.problem(403, "not_registered");
    app.finish().await;
}

#[tokio::test]
async fn an_old_snapshot_vouches_for_nobody_but_the_operator_does() {
    let app = TestApp::with(|config| {
        config.auth.hotkeys.push(entry(&own_miner(), Role::Miner, 10.0));
        config.auth.hotkeys.push(entry(&Peer::named("boss", 0), Role::Operator, 0.0));
    })
    .await;
    let (zero, own, other) = (miner(0), own_miner(), of_chain());
    adopt(&app, 1_000, &[(&other, 1_200.0)], &[&zero, &own]).await;
    says(&app, &other, &[&zero, &own]).await.ok();
    app.leases(&zero).await;
    app.advance(HOUR + 60_000);
    let refused = app.send_poll(&zero, "").await;
    assert_eq!(refused.header("retry-after"), Some("30"));
    let refused = refused.problem(503, "snapshot_old");
    assert!(refused["detail"].as_str().unwrap().contains("block 1000"), "{refused}");
    says(&app, &other, &[&zero]).await.problem(503, "snapshot_old");
    for who in [&zero, &other] {
        let view = app.send(who.who(), Call::get("/api/v1/miners")).await;
        view.problem(503, "snapshot_old");
    }
    assert_eq!(app.forgive(), 4);
    let roles = roles(&app).await;
    assert_eq!((&roles["block"], &roles["old"]), (&json!(1_000), &json!(true)));
    let of = |peer: &Peer| {
        let all = roles["roles"].as_array().unwrap();
        all.iter().find(|role| role["hotkey"] == peer.hotkey()).cloned().unwrap()
    };
    assert_eq!(of(&other)["may_speak"], false);
    assert!(of(&other)["reason"].as_str().unwrap().contains("block 1000"), "{roles}");
    let named = [validator(0), validator(2), own.clone(), Peer::named("boss", 0)];
    assert!(named.iter().all(|peer| of(peer)["may_speak"] == true), "{roles}");
    // Whom the operator vouches for goes on, and keys were never the chain's.
    says(&app, &validator(0), &[&own]).await.ok();
    says(&app, &validator(2), &[&own]).await.ok();
    app.leases(&own).await;
    let boss = Peer::named("boss", 0);
    app.send(boss.who(), Call::get("/api/v1/admin/keys")).await.ok();
    app.send(Who::Bearer(&app.client), Call::get("/api/v1/miners")).await.ok();
    adopt(&app, 1_050, &[(&other, 1_200.0)], &[&zero, &own]).await;
    app.leases(&zero).await;
    says(&app, &other, &[&zero]).await.ok();
    says(&app, &validator(2), &[&own]).await.problem(403, "forbidden");
    app.finish().await;
}
