//! What happens to the weight ledger stands in the audit log, once for each cause, for operators; and
//! the log checks out.

use std::process::Command;
use std::time::Duration;

use pithead::config::Config;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::weights::{at_the_hour, current, of_weather, over, push};
use crate::support::{Call, TestApp, Who, miner, validator, wait_for};

const HOUR: i64 = 3_600_000;
const LIMIT: Duration = Duration::from_secs(20);
const PATH: &str = "/api/v1/admin/audit";

async fn page(app: &TestApp, query: &str) -> Value {
    app.send(Who::Bearer(&app.admin), Call::get(format!("{PATH}{query}"))).await.ok()
}

/// Entries that each server of a test begins with: its admin's key, and its client's.
const KEYS: u64 = 2;

/// Subjects of all entries of an action, oldest first; of all actions but those of keys.
async fn subjects(app: &TestApp, action: &str) -> Vec<String> {
    let told = page(app, &format!("?action={action}&limit=200")).await;
    let entries = told["entries"].as_array().unwrap().iter().rev();
    let entries = entries.filter(|entry| !entry["action"].as_str().unwrap().starts_with("key."));
    entries.map(|entry| entry["subject"].as_str().unwrap().to_owned()).collect()
}

async fn until(app: &TestApp, action: &str, entries: usize) -> Vec<String> {
    wait_for(action, LIMIT, async || {
        Some(subjects(app, action).await).filter(|found| found.len() >= entries)
    })
    .await
}

/// Two validators say the same of the chain, in which the second of two miners has all incentive.
async fn adopt(app: &TestApp, block: i64, last_step: i64) {
    let neuron = |uid: u16, hotkey: String, permit: bool, incentive: f64| {
        json!({
            "uid": uid, "hotkey": hotkey, "stake": 600.0, "validator_permit": permit,
            "last_update": block - 1, "block_at_registration": 7, "incentive": incentive,
        })
    };
    let body = json!({
        "netuid": 49, "block": block, "tempo": 360, "last_step": last_step,
        "neurons": [
            neuron(200, validator(0).hotkey(), true, 0.0),
            neuron(201, validator(1).hotkey(), true, 0.0),
            neuron(3, "three".to_owned(), false, 0.2),
            neuron(4, "four".to_owned(), false, 0.8),
        ],
    });
    for n in [0, 1] {
        let call = Call::post("/api/v1/chain/metagraph").json(&body);
        let told = app.send(validator(n).who(), call).await.ok();
        assert_eq!(told["adopted"], n == 1, "{told}");
    }
}

async fn submit(app: &TestApp, by: u16, block: i64, weights: [u16; 2]) {
    let word = json!({ "block": block, "state": "submitted", "uids": [3, 4], "weights": weights });
    let call = Call::post("/api/v1/weights/submissions").json(&word);
    app.send(validator(by).who(), call).await.ok();
}

fn verified(app: &TestApp) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_pithead"))
        .args(["inspect", "audit", "--verify", "--data"])
        .arg(app.folder())
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8(done.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_far_from_the_incentive_is_told_once() {
    let mut app = TestApp::start().await;
    let drifts = "pithead_ledger_events_total{event=\"weights.drift\"}";
    let before = app.metric(drifts).await;
    // 0.3 against 0.2 is 0.1 away, which is not too far; 0.31 is.
    submit(&app, 0, 500, [30, 70]).await;
    submit(&app, 1, 510, [31, 69]).await;
    submit(&app, 1, 990, [99, 1]).await;
    adopt(&app, 1_000, 715).await;
    let told = until(&app, "weights.drift", 1).await;
    assert_eq!(told, [format!("{} at block 510", validator(1).hotkey())]);
    let entry = page(&app, "?action=weights.").await["entries"][0].clone();
    assert_eq!((&entry["seq"], &entry["actor"]), (&json!(KEYS + 1), &json!("system")));
    let detail = &entry["detail"];
    assert!((110_000..=110_010).contains(&detail["distance_millionths"].as_i64().unwrap()));
    assert_eq!((&detail["block"], &detail["consensus_block"]), (&json!(510), &json!(715)));
    assert_eq!(detail["worst"][0]["uid"], 3);
    adopt(&app, 1_050, 715).await;
    app.restart().await;
    adopt(&app, 1_100, 1_076).await;
    let told = until(&app, "weights.drift", 2).await;
    assert_eq!(told[1], format!("{} at block 990", validator(1).hotkey()));
    assert_eq!(told.len(), 2, "what settled before is not told again");
    let counted = async || (app.metric(drifts).await >= before + 2.0).then_some(());
    wait_for("both are counted", LIMIT, counted).await;

    let first = page(&app, "?limit=1").await;
    assert_eq!((&first["count"], &first["next_before"]), (&json!(1), &json!(KEYS + 2)));
    let next = page(&app, &format!("?limit=1&before={}", KEYS + 2)).await;
    assert_eq!(next["entries"][0], entry);
    assert_eq!(page(&app, "?before=1").await["next_before"], Value::Null);
    for (query, field) in [
        ("action=Weights", "action"),
        ("action=%25", "action"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("before=0", "before"),
        ("before=x", "before"),
    ] {
        let call = Call::get(format!("{PATH}?{query}"));
        app.send(Who::Bearer(&app.admin), call).await.names(field);
    }
    let (code, said) = verified(&app);
    assert_eq!((code, said.lines().next()), (Some(0), Some("4 entries, chain whole")));
    app.finish().await;
}

#[tokio::test]
async fn a_larger_limit_lets_a_vector_drift() {
    let app = TestApp::with(|config| config.chain.drift_max_millionths = 800_000).await;
    submit(&app, 0, 500, [1, 0]).await;
    adopt(&app, 1_000, 715).await;
    let open = |config: &mut Config| config.chain.drift_max_millionths = 799_000;
    let other = TestApp::with(open).await;
    submit(&other, 0, 500, [1, 0]).await;
    adopt(&other, 1_000, 715).await;
    until(&other, "weights.drift", 1).await;
    // What is written later is there, and nothing before it.
    app.advance(HOUR + 1);
    until(&app, "chain.snapshot_old", 1).await;
    assert_eq!(subjects(&app, "").await, ["block 1000"]);
    app.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn an_old_snapshot_is_told_and_so_is_the_one_that_renews_it() {
    let mut app = TestApp::start().await;
    app.advance(2 * HOUR);
    adopt(&app, 1_000, 715).await;
    app.advance(HOUR - 300_000);
    adopt(&app, 1_050, 715).await;
    app.advance(HOUR + 1);
    assert_eq!(until(&app, "chain.snapshot_old", 1).await, ["block 1050"]);
    app.advance(HOUR);
    app.restart().await;
    adopt(&app, 1_100, 715).await;
    assert_eq!(until(&app, "chain.snapshot_fresh", 1).await, ["block 1100"]);
    let all = subjects(&app, "").await;
    assert_eq!(all, ["block 1050", "block 1100"], "told once, whatever starts anew");
    app.finish().await;
}

#[tokio::test]
async fn hours_without_scores_are_told_once_for_each_gap() {
    let app = of_weather(|config| config.weights.window_days = 1).await;
    at_the_hour(&app);
    app.report(&[&miner(0)]).await;
    for _ in 0..2 {
        push(&app, 0, &miner(0), 0.8).await;
        over(&app);
        current(&app).await;
    }
    assert_eq!(subjects(&app, "").await, [""; 0]);
    // The hour that now runs has none, and neither has the next one.
    let since = app.clock.now().0.div_euclid(HOUR) * HOUR;
    for _ in 0..2 {
        over(&app);
        current(&app).await;
        let since = pithead::domain::units::Millis(since).rfc3339();
        let told = until(&app, "weights.data_gap", 1).await;
        assert_eq!(told, [format!("nobody scored since {since}")]);
    }
    app.report(&[&miner(0)]).await;
    push(&app, 0, &miner(0), 0.8).await;
    over(&app);
    over(&app);
    current(&app).await;
    assert_eq!(until(&app, "weights.data_gap", 2).await.len(), 2, "another gap");
    app.finish().await;
}

#[tokio::test]
async fn a_validator_that_goes_silent_is_told() {
    let app = of_weather(|config| config.weights.window_days = 1).await;
    at_the_hour(&app);
    for day in 0..4 {
        app.report(&[&miner(0), &miner(1)]).await;
        push(&app, 0, &miner(0), 0.8).await;
        if day < 3 {
            push(&app, 1, &miner(0), 0.8).await;
            push(&app, 1, &miner(1), 0.8).await;
        }
        app.advance(23 * HOUR);
        over(&app);
        current(&app).await;
    }
    let silent = async || {
        let all = subjects(&app, "weights.data_gap").await;
        let of: Vec<_> = all.into_iter().filter(|one| one.starts_with("validator ")).collect();
        (!of.is_empty()).then_some(of)
    };
    let silent = wait_for("a validator that is silent", LIMIT, silent).await;
    assert_eq!(silent.len(), 1, "the other one still scores: {silent:?}");
    let weights = current(&app).await["weights"].clone();
    assert_eq!(weights.as_array().unwrap().len(), 1, "longer ago than the window: {weights}");
    app.finish().await;
}

#[tokio::test]
async fn what_could_not_be_written_is_written_once_it_can() {
    let app = TestApp::start().await;
    adopt(&app, 1_000, 715).await;
    let database = app.folder().join("pithead.db");
    let mut db = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("ALTER TABLE audit RENAME TO away").execute(&mut db).await.unwrap();
    let failed = "pithead_audit_writes_failed_total";
    let before = app.metric(failed).await;
    app.advance(HOUR + 1);
    let grown = async || (app.metric(failed).await > before).then_some(());
    wait_for("a failure is counted", LIMIT, grown).await;
    sqlx::query("ALTER TABLE away RENAME TO audit").execute(&mut db).await.unwrap();
    assert_eq!(until(&app, "chain.snapshot_old", 1).await, ["block 1000"]);
    app.finish().await;
}

#[tokio::test]
async fn sums_that_cannot_be_made_are_a_failed_calculation() {
    let app = TestApp::start().await;
    at_the_hour(&app);
    super::weights::scored(&app, &[(&miner(0), 0.9)]).await;
    let database = app.folder().join("pithead.db");
    let mut db = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("ALTER TABLE score_hour RENAME TO away").execute(&mut db).await.unwrap();
    over(&app);
    let failed = until(&app, "weights.calculation_failed", 1).await;
    sqlx::query("ALTER TABLE away RENAME TO score_hour").execute(&mut db).await.unwrap();
    app.advance(10_000);
    current(&app).await;
    assert_eq!(until(&app, "weights.calculation_recovered", 1).await, failed);
    app.finish().await;
}
