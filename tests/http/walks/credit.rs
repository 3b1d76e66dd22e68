//! From a weight to what the chain made of it: sealed, opened, counted; and each period keeps what was
//! known at its end.

use std::time::Duration;

use serde_json::{Value, json};

use super::weights::{believed, current, get, look, over, records, scored};
use crate::support::{Call, Peer, TestApp, miner, status, validator, wait_for};

const LIMIT: Duration = Duration::from_secs(20);
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// The record of the running day, once it is as wanted; and that of the week is.
async fn day(app: &TestApp, uid: u16, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_for("a record as wanted", LIMIT, async || {
        for period in ["weekly", "monthly"] {
            let rows = records(app, &format!("?period={period}&uid={uid}")).await;
            rows.first().filter(|row| wanted(row))?;
        }
        let rows = records(app, &format!("?uid={uid}")).await;
        rows.into_iter().next().filter(|row| wanted(row))
    })
    .await
}

/// A day begins, so that the first hour of a test is not the last one of its day.
fn dawn(app: &TestApp) {
    app.advance(24 * HOUR - app.clock.now().0.rem_euclid(24 * HOUR) + 61_000);
}

async fn says(app: &TestApp, word: &Value) {
    let call = Call::post("/api/v1/weights/submissions").json(word);
    app.send(validator(0).who(), call).await.ok();
}

/// From scores to a vector that is sealed, and a snapshot before it is opened.
async fn sealed(app: &TestApp, keys: &[String]) {
    let told = current(app).await;
    assert_eq!(told["uids"], json!([0, 1]), "the third one earned nothing");
    says(
        app,
        &json!({
            "block": 1_010, "state": "committed", "mode": "commit_reveal",
            "uids": told["uids"], "weights": told["weights_u16"],
        }),
    )
    .await;
    let set = day(app, 0, |row| !row["submitted_weight"].is_null()).await;
    assert_eq!((&set["weight_submission_block"], &set["incentive"]), (&json!(1_010), &json!(null)));
    assert_eq!(set["validator_hotkey"], validator(0).hotkey());
    assert_eq!(set["submissions"][0]["state"], "committed");
    believed(app, &look(1_100, 1_076, keys)).await;
    app.advance(MINUTE);
}

#[tokio::test]
async fn an_incentive_is_credited_once_the_vector_is_opened_and_counted() {
    let mut app = TestApp::start().await;
    let peers = [miner(0), miner(1), miner(2)];
    dawn(&app);
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.8), (&peers[2], 0.0)]).await;
    // What miners did is written now and then, and at the end.
    app.restart().await;
    over(&app);
    let keys = peers.each_ref().map(|peer| peer.hotkey());
    sealed(&app, &keys).await;
    // Whom no vector weighs gets its incentive alone; whom a sealed one weighs, none.
    let alone = day(&app, 2, |row| row["incentive"] == 0.2).await;
    assert_eq!((&alone["consensus_block"], &alone["submissions"]), (&json!(1_076), &json!([])));
    let shut = day(&app, 0, |_| true).await;
    let paid = ["incentive", "consensus_rank", "consensus_block"];
    assert_eq!(paid.map(|name| &shut[name]), [&Value::Null; 3], "{shut}");

    says(&app, &json!({ "block": 1_010, "state": "revealed", "revealed_block": 1_120 })).await;
    for _ in 0..50 {
        assert_eq!(
            records(&app, "?uid=0").await,
            std::slice::from_ref(&shut),
            "not twice within a minute"
        );
    }
    app.advance(MINUTE);
    let opened = day(&app, 0, |row| row["submissions"][0]["state"] == "revealed").await;
    assert_eq!(opened["incentive"], Value::Null, "no epoch counted it yet");
    believed(&app, &look(1_450, 1_437, &keys)).await;
    app.advance(MINUTE);
    let credited = day(&app, 0, |row| row["incentive"] == 0.2).await;
    assert_eq!(paid.map(|name| &credited[name]), [&json!(0.2), &json!(1), &json!(1_437)]);
    assert_eq!(credited["submissions"][0]["state"], "settled");
    assert_eq!(credited["submitted_weight"], credited["submissions"][0]["submitted_weight"]);
    let by_uid = get(&app, "/api/v1/weights/0").await;
    assert!(by_uid["records"].as_array().unwrap().contains(&credited), "{by_uid}");
    let table = app.as_client(Call::get("/api/v1/performance-stats?format=csv&uid=0")).await;
    let table = table.text_whole();
    assert!(table.contains(&format!(",0.2,1,1010,1437,{},", validator(0).hotkey())), "{table}");

    // Under another hotkey it is the same miner: at once, and for all that it earned.
    let renamed = [Peer::named("http-renamed", 0).hotkey(), keys[1].clone(), keys[2].clone()];
    says(&app, &json!({ "block": 1_460, "state": "submitted", "uids": [0], "weights": [1] })).await;
    believed(&app, &look(1_500, 1_437, &renamed)).await;
    let told = get(&app, "/api/v1/weights/current").await;
    assert_eq!(told["weights"][0]["hotkey"], renamed[0]);
    assert!(!told["warnings"].to_string().contains("left out"), "{told}");
    let walk = get(&app, "/api/v1/weights/0/explain").await;
    let states = ["submitted", "settled"].map(Value::from);
    let shown = walk["submissions"].as_array().unwrap().iter().map(|word| word["state"].clone());
    assert_eq!(shown.collect::<Vec<_>>(), states, "{walk}");
    assert_eq!(walk["incentive"]["credited_to"], json!([validator(0).hotkey()]));

    // A second start finds the same, to the time of computing.
    app.advance(MINUTE);
    day(&app, 0, |row| row["submissions"].as_array().is_some_and(|all| all.len() == 2)).await;
    let daily = records(&app, "").await;
    app.restart().await;
    current(&app).await;
    assert_eq!(records(&app, "").await, daily);

    // Deregistered, and back under the same hotkey: what the old one earned is not the new one's.
    let mut back = look(1_550, 1_437, &renamed);
    back["neurons"][0]["block_at_registration"] = 1_540.into();
    believed(&app, &back).await;
    let told = get(&app, "/api/v1/weights/current").await;
    assert_eq!(told["uids"], json!([1]), "{told}");
    assert!(told["warnings"].to_string().contains("uid 0 is left out"), "{told}");
    app.finish().await;
}

#[tokio::test]
async fn a_day_that_is_over_keeps_what_was_known_at_its_end() {
    let mut app = TestApp::start().await;
    let peers = [miner(0), miner(1), miner(2)];
    let keys = peers.each_ref().map(|peer| peer.hotkey());
    dawn(&app);
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.8), (&peers[2], 0.0)]).await;
    let first = app.clock.now().rfc3339()[..10].to_owned();
    over(&app);
    sealed(&app, &keys).await;
    day(&app, 2, |row| row["incentive"] == 0.2).await;
    // Of the night nobody tells until the day is over; then it is counted, and pays more.
    app.advance(23 * HOUR);
    says(&app, &json!({ "block": 1_010, "state": "revealed", "revealed_block": 1_120 })).await;
    let mut more = look(1_450, 1_437, &keys);
    for neuron in 0..3 {
        more["neurons"][neuron]["incentive"] = json!(0.4);
    }
    believed(&app, &more).await;
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.8), (&peers[2], 0.0)]).await;
    over(&app);
    let of_first = format!("?from={first}&to={first}T01:00:00Z&sort=uid");
    for _ in 0..2 {
        current(&app).await;
        let today = records(&app, "?sort=uid").await;
        let shown = |rows: &[Value], name: &str| {
            rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>()
        };
        assert_eq!(shown(&today, "incentive"), [json!(0.4), json!(0.4), json!(0.4)], "{today:?}");
        let yesterday = records(&app, &of_first).await;
        assert_eq!(shown(&yesterday, "incentive"), [Value::Null, Value::Null, json!(0.2)]);
        assert_eq!(yesterday[0]["submissions"][0]["state"], "committed");
        // A server that starts later makes the same of it.
        app.restart().await;
    }
    app.finish().await;
}

#[tokio::test]
async fn whoever_left_long_ago_has_no_records_and_whoever_stayed_has() {
    let app = TestApp::start().await;
    // More of them than one transaction takes.
    let (gone, stays) = ([0, 1, 2, 3, 4].map(miner), miner(5));
    dawn(&app);
    for peer in &gone {
        scored(&app, &[(peer, 0.9)]).await;
    }
    scored(&app, &[(&stays, 0.8)]).await;
    app.advance(24 * HOUR);
    let all = "?period=all_time&sort=uid";
    let hotkeys = async |wanted: &[String]| {
        wait_for("records of all time", LIMIT, async || {
            let rows = records(&app, &format!("{all}&from=1970-01-01")).await;
            let hotkeys: Vec<_> = rows.iter().map(|row| row["hotkey"].clone()).collect();
            (hotkeys == wanted).then_some(())
        })
        .await;
    };
    let mut all_of_them = gone.each_ref().map(|peer| peer.hotkey()).to_vec();
    all_of_them.push(stays.hotkey());
    hotkeys(&all_of_them).await;
    let heirs = gone
        .each_ref()
        .map(|peer| status(&Peer::named(&format!("http-newcomer-{}", peer.uid), peer.uid)));
    let mut there = heirs.to_vec();
    there.push(status(&stays));
    app.report_statuses(&json!(there)).await;
    // As long as records are kept, and the time between two looks for what is over.
    app.advance(29 * 24 * HOUR);
    current(&app).await;
    hotkeys(&all_of_them).await;
    app.advance(24 * HOUR + 1);
    hotkeys(&[stays.hotkey()]).await;
    app.finish().await;
}
