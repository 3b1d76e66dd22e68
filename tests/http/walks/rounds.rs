//! What is kept of a round: a past verdict can be computed again, and who lies is known for it after
//! a restart too.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, TestApp, Who, miner, status, validator, wait_for};

const ROUND: i64 = 60_000;

fn inspect(app: &TestApp, args: &[&str]) -> (bool, String) {
    look(app, &[&["verdict"], args].concat())
}

fn look(app: &TestApp, args: &[&str]) -> (bool, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_pithead"))
        .args(["inspect", "--data"])
        .arg(app.folder())
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
    (ran.status.success(), said)
}

/// Ends the running round and waits until its minutes are there.
async fn end_round(app: &TestApp, uid: &str, past: i64) -> Value {
    app.advance(ROUND);
    wait_for("the minutes of the round", Duration::from_secs(20), async || {
        let (_, said) = inspect(app, &[uid, "--json"]);
        let found: Option<Value> = serde_json::from_str(said.trim()).ok();
        found.filter(|found| found["round"].as_i64().unwrap() > past)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_verdict_is_computed_again_to_the_same_bytes() {
    let app = TestApp::start().await;
    let said = |score: f64| {
        let mut status = status(&miner(0));
        status["performance_score"] = json!(score);
        json!([status])
    };
    let (sound, said_nothing) = inspect(&app, &["0"]);
    assert!(!sound && said_nothing.contains("no round is stored"), "{said_nothing}");
    for (n, score) in [(0, 0.8), (1, 0.82), (2, 0.1)] {
        app.send_report(&validator(n), &said(score)).await.ok();
    }
    let shown = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    let first = end_round(&app, "0", 0).await;
    assert_eq!(first["same"], true, "{first}");
    assert_eq!(first["verdict"], shown["consensus_status"], "it is the one that was published");

    // Another round with other words; the first can still be asked for.
    for n in 0..3 {
        app.send_report(&validator(n), &said(0.5)).await.ok();
    }
    let second = end_round(&app, "0", first["round"].as_i64().unwrap()).await;
    assert_eq!(
        (&second["same"], &second["verdict"]["performance_score"]),
        (&json!(true), &json!(0.5))
    );
    let round = first["round"].to_string();
    let (sound, text) = inspect(&app, &["0", "--round", &round]);
    assert!(sound && text.contains("the same bytes as"), "{text}");
    assert!(text.contains("performance_score = "), "{text}");

    // A row that somebody changed is found out.
    forge(&app).await;
    let (sound, text) = inspect(&app, &["0", "--round", &round]);
    assert!(!sound && text.contains("NOT THE SAME"), "{text}");
    app.finish().await;
}

/// Forges the published fingerprint of every stored round.
async fn forge(app: &TestApp) {
    use pithead::domain::consensus::Minutes;
    use pithead_entities::round;
    use sea_orm::{ActiveModelTrait, Database, EntityTrait, Set};
    let url = format!("sqlite:{}", app.folder().join("pithead.db").display());
    let db = Database::connect(url).await.unwrap();
    for row in round::Entity::find().all(&db).await.unwrap() {
        let body = zstd::decode_all(row.body.as_slice()).unwrap();
        let mut minutes: Minutes = serde_json::from_slice(&body).unwrap();
        minutes.miners[0].verdict = "0".repeat(64);
        let body = zstd::encode_all(serde_json::to_vec(&minutes).unwrap().as_slice(), 1).unwrap();
        let changed =
            round::ActiveModel { round: Set(row.round), body: Set(body), ..Default::default() };
        changed.update(&db).await.unwrap();
    }
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_quarantined_with_its_reason_and_stays_so_over_a_restart() {
    let mut app = TestApp::start().await;
    let miners: Vec<_> = (0..40).map(miner).collect();
    let words = |lies: bool| {
        let word = |peer| {
            let mut status = status(peer);
            status["performance_score"] = json!(if lies { 0.0 } else { 0.9 });
            status["is_serving"] = json!(!lies);
            status
        };
        Value::Array(miners.iter().map(word).collect())
    };
    let liar = validator(2).hotkey();
    let target = format!("/api/v1/validators/{liar}");
    let mut round = 0;
    for _ in 0..6 {
        for n in 0..3 {
            app.send_report(&validator(n), &words(n == 2)).await.ok();
        }
        round = end_round(&app, "0", round).await["round"].as_i64().unwrap();
    }
    let about = app.as_client(Call::get(target.clone())).await.ok();
    assert_eq!(
        (&about["phase"], &about["reputation"]),
        (&json!("quarantined"), &json!(0.0)),
        "{about}"
    );
    assert_ne!(about["reason"], "agrees", "{about:#}");
    assert!(about["history"].as_array().unwrap().len() >= 5, "{about}");
    let events: Vec<_> =
        about["events"].as_array().unwrap().iter().map(|event| event["event"].clone()).collect();
    assert!(events.contains(&json!("quarantined")), "{events:?}");
    let honest = app.as_client(Call::get(format!("/api/v1/validators/{}", validator(0).hotkey())));
    let honest = honest.await.ok();
    assert_eq!((&honest["phase"], &honest["trust"]), (&json!("trusted"), &json!(1.0)), "{honest}");
    let explained = app.as_client(Call::get("/api/v1/miners/0/consensus/explain")).await.ok();
    let votes = explained["explanation"]["votes"].as_array().unwrap();
    assert!(!votes.iter().any(|vote| vote["validator"] == 202 && vote["base"] != 0), "{votes:?}");

    let log = Call::get("/api/v1/admin/audit?action=validator.quarantined");
    let told = app.send(Who::Bearer(&app.admin), log).await.ok();
    let entry = &told["entries"][0];
    assert!(entry["subject"].as_str().unwrap().starts_with(&liar), "{told}");
    assert_eq!(entry["detail"]["hotkey"], liar, "{told}");
    assert_eq!(told["count"], 1, "once: {told}");

    app.restart().await;
    let again = app.as_client(Call::get(target)).await.ok();
    for field in ["phase", "reason", "trust", "history"] {
        assert_eq!(again[field], about[field], "{field}");
    }
    let verdict = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    assert_eq!(verdict["consensus_status"]["performance_score"], 0.9, "{verdict}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_no_configuration_names_keeps_its_uid_over_a_restart() {
    let mut app = TestApp::with(|config| config.auth.dev = true).await;
    for (uid, hotkey) in [(31, "somebody"), (32, "somebody-else")] {
        let report = json!({
            "validator_uid": uid, "epoch": 1, "miner_statuses": [status(&miner(0))],
        });
        let call = Call::post("/api/v1/validators/miner-status").json(&report);
        app.send(Who::Nobody, call.header("x-dev-hotkey", hotkey)).await.ok();
    }
    let names = async |app: &TestApp| {
        let verdict = app.send(Who::Nobody, Call::get("/api/v1/miners/0/consensus")).await.ok();
        verdict["consensus_status"]["consensus_validators"].clone()
    };
    assert_eq!(names(&app).await, json!([31, 32]));
    app.restart().await;
    assert_eq!(names(&app).await, json!([31, 32]));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_two_things_at_once_stands_in_the_minutes() {
    let mut app = TestApp::start().await;
    for score in [0.9, 0.2] {
        let mut status = status(&miner(0));
        status["performance_score"] = json!(score);
        let body = json!({
            "validator_uid": 200, "epoch": 5, "sequence": 1, "miner_statuses": [status],
        });
        let call = Call::post("/api/v1/validators/miner-status").json(&body);
        app.send(validator(0).who(), call).await.ok();
    }
    app.advance(ROUND);
    let found = wait_for("the event", Duration::from_secs(20), async || {
        let (_, said) = look(&app, &["events"]);
        serde_json::from_str::<Value>(said.lines().next()?).ok()
    });
    let found = found.await;
    assert_eq!(found["what"]["event"], "equivocated", "{found}");
    assert_eq!(found["what"]["hotkey"], validator(0).hotkey());
    assert_ne!(found["what"]["found"]["first"], found["what"]["found"]["second"]);
    app.restart().await;
    let (sound, said) = look(&app, &["events", "--limit", "1"]);
    assert!(sound && said.contains("equivocated"), "{said}");
    app.finish().await;
}
