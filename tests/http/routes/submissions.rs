//! `/api/v1/weights/submissions`: what validators say of the weights that they set.

use serde_json::{Value, json};

use crate::support::{Call, TestApp, miner, validator};

const PATH: &str = "/api/v1/weights/submissions";

fn word(block: i64, state: &str) -> Value {
    json!({ "block": block, "state": state, "uids": [1, 0, 2], "weights": [65_535, 9, 0] })
}

async fn told(app: &TestApp, body: &Value) -> Value {
    app.send(validator(0).who(), Call::post(PATH).json(body)).await.is(200)
}

#[tokio::test]
async fn a_submission_is_followed_from_the_commit_to_the_reveal() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    let committed = told(&app, &word(1_000, "committed")).await;
    assert_eq!(committed["mode"], "commit_reveal");
    assert_eq!(
        (&committed["state"], &committed["duplicate"]),
        (&"committed".into(), &false.into())
    );
    // As the chain has it: by uid, without zeros.
    assert_eq!((&committed["uids"], &committed["weights"]), (&json!([0, 1]), &json!([9, 65_535])));
    assert_eq!(committed["effective_block"], Value::Null, "nothing is credited while it is sealed");
    let warnings = committed["warnings"].to_string();
    assert!(warnings.contains("uid 1 has no miner") && !warnings.contains("uid 0"), "{warnings}");
    assert_eq!(told(&app, &word(1_000, "committed")).await["duplicate"], true);
    let revealed = json!({ "block": 1_000, "state": "revealed", "revealed_block": 1_361 });
    let revealed = told(&app, &revealed).await;
    assert_eq!(
        (&revealed["state"], &revealed["effective_block"]),
        (&"revealed".into(), &json!(1_361))
    );
    told(&app, &word(1_400, "submitted")).await;
    let refused = json!({ "block": 1_500, "state": "failed", "error": "SettingWeightsTooFast",
                          "uids": "[4]", "weights": "[1]" });
    assert_eq!(told(&app, &refused).await["error"], "SettingWeightsTooFast");

    let first = app.as_client(Call::get(format!("{PATH}?limit=2"))).await.ok();
    let blocks = |page: &Value| {
        let rows = page["submissions"].as_array().unwrap();
        rows.iter().map(|row| row["block"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(blocks(&first), [1_500, 1_400]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = app.as_client(Call::get(format!("{PATH}?limit=2&cursor={cursor}"))).await.ok();
    assert_eq!((blocks(&next), &next["next_cursor"]), (vec![1_000], &Value::Null));
    let (mine, other) = (validator(0).hotkey(), validator(1).hotkey());
    let of = |hotkey: String| format!("{PATH}?validator={hotkey}");
    assert_eq!(app.as_client(Call::get(of(mine))).await.ok()["count"], 3);
    assert_eq!(app.as_client(Call::get(of(other))).await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn other_weights_for_a_block_are_a_conflict_and_change_nothing() {
    let app = TestApp::start().await;
    let first = told(&app, &word(1_000, "submitted")).await;
    let who = validator(0);
    let post = async |body: Value| app.send(who.who(), Call::post(PATH).json(&body)).await;
    let other = json!({ "block": 1_000, "state": "submitted", "uids": [0], "weights": [1] });
    for refused in [other, word(1_000, "committed")] {
        post(refused).await.problem(409, "conflict");
    }
    let backwards = json!({ "block": 1_000, "state": "revealed", "revealed_block": 1_200 });
    post(backwards).await.problem(409, "conflict");
    let listed = app.as_client(Call::get(PATH)).await.ok();
    assert_eq!(listed["submissions"][0]["updated_at"], first["updated_at"]);
    assert_eq!(listed["submissions"][0]["state"], "submitted");
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_submission_is_refused_by_field() {
    let app = TestApp::start().await;
    let who = validator(0);
    for (body, field) in [
        (json!({ "block": 1, "state": "submitted" }), "weights"),
        (json!({ "block": 1, "state": "submitted", "uids": [1] }), "weights"),
        (json!({ "block": 1, "state": "submitted", "weights": [1] }), "uids"),
        (json!({ "block": 1, "state": "submitted", "uids": [1, 2], "weights": [1] }), "weights"),
        (json!({ "block": 1, "state": "submitted", "uids": [1, 1], "weights": [1, 2] }), "uids"),
        (json!({ "block": 1, "state": "submitted", "uids": [1], "weights": [0] }), "weights"),
        (json!({ "block": 1, "state": "submitted", "uids": [1], "weights": [65_536] }), "weights"),
        (json!({ "block": 1, "state": "submitted", "uids": [1.5], "weights": [1] }), "uids"),
        (json!({ "block": -1, "state": "submitted", "uids": [1], "weights": [1] }), "block"),
        (json!({ "block": 1, "state": "settled", "uids": [1], "weights": [1] }), "state"),
        (json!({ "block": 1, "state": "sent", "uids": [1], "weights": [1] }), "state"),
        (json!({ "block": 1, "state": "failed", "uids": [1], "weights": [1] }), "error"),
        (json!({ "block": 1, "state": "revealed", "uids": [1], "weights": [1] }), "revealed_block"),
        (
            json!({ "block": 1, "state": "submitted", "mode": "commit_reveal",
                    "uids": [1], "weights": [1] }),
            "mode",
        ),
    ] {
        app.send(who.who(), Call::post(PATH).json(&body)).await.names(field);
    }
    let mut other = word(1, "submitted");
    other["validator_uid"] = 201.into();
    app.send(who.who(), Call::post(PATH).json(&other)).await.problem(403, "uid_mismatch");
    for (query, field) in [
        ("cursor=1", "cursor"),
        ("cursor=x.y", "cursor"),
        ("limit=0", "limit"),
        ("validator=no%20key", "validator"),
    ] {
        app.as_client(Call::get(format!("{PATH}?{query}"))).await.names(field);
    }
    assert_eq!(app.as_client(Call::get(PATH)).await.ok()["count"], 0);
    app.finish().await;
}

#[tokio::test]
async fn a_block_far_beyond_the_believed_one_is_refused() {
    let app = TestApp::start().await;
    let neuron = |n: u16| {
        json!({
            "uid": validator(n).uid, "hotkey": validator(n).hotkey(), "stake": 600.0,
            "validator_permit": true, "last_update": 900, "block_at_registration": 5,
            "incentive": 0.0,
        })
    };
    let snapshot =
        json!({ "netuid": 49, "block": 1_000, "tempo": 360, "neurons": [neuron(0), neuron(1)] });
    told(&app, &word(1_000_000, "submitted")).await;
    for n in 0..2 {
        let call = Call::post("/api/v1/chain/metagraph").json(&snapshot);
        app.send(validator(n).who(), call).await.ok();
    }
    let who = validator(0);
    let refused = async |block| {
        app.send(who.who(), Call::post(PATH).json(&word(block, "submitted"))).await.names("block");
    };
    told(&app, &word(1_000 + 7_200, "submitted")).await;
    refused(1_000 + 7_300).await;
    // The snapshot may be old: blocks go on.
    app.advance(3_600_000);
    told(&app, &word(1_000 + 7_300, "submitted")).await;
    refused(1_000 + 7_200 + 1_000).await;
    app.finish().await;
}
