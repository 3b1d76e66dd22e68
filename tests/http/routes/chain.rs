//! `/api/v1/chain/metagraph`: snapshots of several validators, and the one that is believed.

use serde_json::{Value, json};

use crate::support::{Answer, Call, Peer, TestApp, validator};

const PATH: &str = "/api/v1/chain/metagraph";
const SUBMISSIONS: &str = "/api/v1/weights/submissions";

/// A look at a subnet with two validators and a miner.
fn look(block: i64, last_step: i64, incentive: f64) -> Value {
    let neuron = |uid: u16, hotkey: String, stake: f64, permit: bool| {
        json!({
            "uid": uid, "hotkey": hotkey, "coldkey": null, "stake": stake,
            "validator_permit": permit, "last_update": block - 10, "block_at_registration": 7,
            "incentive": if permit { 0.0 } else { incentive }, "axon": "10.0.0.1:8091",
        })
    };
    json!({
        "netuid": 49, "block": block, "tempo": 360, "last_step": last_step,
        "neurons": [
            neuron(200, validator(0).hotkey(), 600.0, true),
            neuron(201, validator(1).hotkey(), 500.0, true),
            neuron(3, "someminer".to_owned(), 1.0, false),
        ],
    })
}

async fn send(app: &TestApp, who: &Peer, body: &Value) -> Answer {
    app.send(who.who(), Call::post(PATH).json(body)).await
}

#[tokio::test]
async fn a_snapshot_is_believed_when_more_than_half_of_the_stake_says_it() {
    let mut app = TestApp::start().await;
    let (one, two) = (validator(0), validator(1));
    app.as_client(Call::get(PATH)).await.problem(404, "not_found");
    let first = send(&app, &one, &look(1_000, 715, 1.0)).await.ok();
    assert_eq!((&first["adopted"], &first["block"]), (&json!(false), &json!(1_000)), "{first}");
    assert!(first["stake"].as_f64() <= first["stake_to_exceed"].as_f64(), "{first}");
    // Another opinion of the same block does not help it, and cannot be taken back.
    send(&app, &one, &look(1_000, 715, 0.5)).await.problem(409, "conflict");
    assert_eq!(send(&app, &two, &look(1_000, 715, 0.5)).await.ok()["adopted"], false);
    app.as_client(Call::get(PATH)).await.problem(404, "not_found");
    assert_eq!(send(&app, &one, &look(1_050, 715, 1.0)).await.ok()["adopted"], false);
    let second = send(&app, &two, &look(1_050, 715, 1.0)).await.ok();
    assert_eq!((&second["adopted"], &second["stake"]), (&json!(true), &Value::Null), "{second}");
    let believed = app.as_client(Call::get(PATH)).await.ok();
    assert_eq!((&believed["block"], &believed["count"]), (&json!(1_050), &json!(3)));
    assert_eq!(believed["senders"].as_array().unwrap().len(), 2);
    assert_eq!(believed["neurons"][0]["uid"], 3);
    // From now on the stake of the chain counts: 600 of 1,100 are more than half, and a validator that
    // the chain does not know has none.
    send(&app, &validator(2), &look(1_100, 715, 0.6)).await.problem(403, "forbidden");
    assert_eq!(send(&app, &one, &look(1_100, 715, 0.6)).await.ok()["adopted"], true);
    send(&app, &two, &look(1_100, 715, 0.6)).await.problem(409, "conflict");
    send(&app, &two, &look(1_050, 715, 0.6)).await.problem(409, "conflict");
    app.restart().await;
    let believed = app.as_client(Call::get(PATH)).await.ok();
    assert_eq!(
        (&believed["block"], &believed["neurons"][0]["incentive"]),
        (&json!(1_100), &json!(0.6))
    );
    app.finish().await;
}

#[tokio::test]
async fn what_is_believed_settles_what_was_submitted() {
    let app = TestApp::start().await;
    let (one, two) = (validator(0), validator(1));
    for (block, state) in [(500, "submitted"), (510, "committed"), (900, "submitted")] {
        let word = json!({ "block": block, "state": state, "uids": [3], "weights": [1] });
        app.send(one.who(), Call::post(SUBMISSIONS).json(&word)).await.ok();
    }
    let mut body = look(1_000, 715, 1.0);
    body["min_allowed_weights"] = 8.into();
    send(&app, &one, &body).await.ok();
    let adopted = send(&app, &two, &body).await.ok();
    assert_eq!(adopted["submissions_updated"], 1, "{adopted}");
    let listed = app.as_client(Call::get(SUBMISSIONS)).await.ok();
    let states = |page: &Value| {
        let rows = page["submissions"].as_array().unwrap();
        rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states(&listed), ["submitted", "committed", "settled"], "no epoch since block 900");
    let settled = &listed["submissions"][2];
    assert_eq!(settled["consensus_block"], 715);
    assert_eq!(settled["consensus_delay_blocks"], 215);
    let warnings = settled["warnings"].to_string();
    assert!(warnings.contains("wants at least 8"), "as the chain asks: {warnings}");
    app.finish().await;
}

#[tokio::test]
async fn snapshots_that_cannot_count_are_refused_by_field() {
    let app = TestApp::start().await;
    let one = validator(0);
    for (field, value) in [
        ("netuid", json!(48)),
        ("block", json!(1_001)),
        ("block", json!("soon")),
        ("tempo", Value::Null),
        ("last_step", json!(1_001)),
        ("neurons", json!([])),
        ("neurons", json!("[")),
    ] {
        let mut body = look(1_000, 715, 1.0);
        body[field] = value;
        send(&app, &one, &body).await.names(field);
    }
    for (field, value) in [
        ("uid", json!(200)),
        ("hotkey", json!(validator(0).hotkey())),
        ("incentive", json!(2)),
        ("stake", json!(-5)),
        ("block_at_registration", json!(1_001)),
    ] {
        let mut body = look(1_000, 715, 1.0);
        body["neurons"][2][field] = value;
        send(&app, &one, &body).await.names(&format!("neurons[2].{field}"));
    }
    let mut other = look(1_000, 715, 1.0);
    other["validator_uid"] = 201.into();
    send(&app, &one, &other).await.problem(403, "uid_mismatch");
    app.as_client(Call::get(PATH)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn where_the_chain_is_not_followed_it_is_said() {
    let app = TestApp::with(|config| config.weights.enable_chain_integration = false).await;
    let word = json!({ "block": 500, "state": "submitted", "uids": [3], "weights": [1] });
    let told = app.send(validator(0).who(), Call::post(SUBMISSIONS).json(&word)).await;
    for refused in [told, send(&app, &validator(0), &look(1_000, 715, 1.0)).await] {
        let problem = refused.problem(403, "forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("enable_chain_integration"));
    }
    app.finish().await;
}

#[tokio::test]
async fn too_little_stake_is_told() {
    let app = TestApp::with(|config| config.chain.stake_min = 1e9).await;
    let refused = send(&app, &validator(0), &look(1_000, 715, 1.0)).await;
    let problem = refused.problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("stake"), "{problem}");
    app.finish().await;
}
