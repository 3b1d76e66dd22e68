//! From evaluations to weights: the hour goes by, a run is made, and every number of it is told.

use std::time::Duration;

use pithead::config::{Config, KindWeight};
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::history::judged;
use crate::support::{Call, Peer, TestApp, Who, miner, validator, wait_for};

const HOUR: i64 = 3_600_000;
const LIMIT: Duration = Duration::from_secs(20);

/// Past the end of the hour, and past the rest that its scores are given.
pub(super) fn over(app: &TestApp) {
    let rest = HOUR - app.clock.now().0.rem_euclid(HOUR);
    app.advance(rest + 61_000);
}

pub(super) async fn get(app: &TestApp, target: &str) -> Value {
    app.as_client(Call::get(target.to_owned())).await.ok()
}

/// The current weights, once those of the hour that is over are made.
pub(super) async fn current(app: &TestApp) -> Value {
    let hour = app.clock.now().0.div_euclid(HOUR) * HOUR;
    let end = pithead::domain::units::Millis(hour).rfc3339();
    wait_for("a run of the last hour", LIMIT, async || {
        let answer = app.as_client(Call::get("/api/v1/weights/current")).await;
        (answer.status == 200).then(|| answer.ok()).filter(|told| told["made_up_to"] == end)
    })
    .await
}

/// The hour of a test begins, so that none ends on the way.
pub(super) fn at_the_hour(app: &TestApp) {
    over(app);
}

pub(super) async fn scored(app: &TestApp, of: &[(&Peer, f64)]) {
    for (peer, accuracy) in of {
        let mut status = crate::support::status(peer);
        status["is_serving"] = json!(true);
        app.report_statuses(&json!([status])).await;
        judged(app, peer, *accuracy).await;
    }
}

/// What `pithead weights compute` makes of a file.
fn computed(file: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_pithead"))
        .args(["weights", "compute", "--json", "--from"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    serde_json::from_slice(&run.stdout).unwrap()
}

#[tokio::test]
async fn evaluations_become_weights_that_anybody_can_compute_again() {
    let app = TestApp::start().await;
    let peers = [miner(0), miner(1), miner(2)];
    at_the_hour(&app);
    let none = app.as_client(Call::get("/api/v1/weights/current")).await;
    none.problem(404, "not_found");
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.6), (&peers[2], 0.0)]).await;
    over(&app);
    let told = current(&app).await;
    let weights = told["weights"].as_array().unwrap();
    assert_eq!(weights.len(), 3, "{told}");
    let sum: f64 = weights.iter().map(|line| line["weight"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12, "{told}");
    // On chain nobody is told who has nothing.
    assert_eq!(told["uids"], json!([0, 1]));
    assert_eq!(told["weights_u16"][0], 65_535);
    assert_eq!(told["warnings"], json!([]));

    let file = get(&app, "/api/v1/weights/export").await;
    assert_eq!(
        file,
        get(&app, &format!("/api/v1/weights/export?run={}", told["run"].as_str().unwrap())).await
    );
    for (line, record) in weights.iter().zip(computed(&file)["records"].as_array().unwrap()) {
        for figure in ["uid", "weight", "weight_u16"] {
            assert_eq!(line[figure], record[figure], "{line} {record}");
        }
    }
    let run = "/api/v1/weights/export?run=0197a0d0-0000-7000-8000-000000000000";
    app.as_client(Call::get(run)).await.problem(404, "not_found");
    app.as_client(Call::get("/api/v1/weights/export?run=x")).await.blames("run");
    app.finish().await;
}

#[tokio::test]
async fn one_weight_is_explained_for_programs_and_for_people() {
    let mut app = TestApp::start().await;
    let peers = [miner(0), miner(1)];
    at_the_hour(&app);
    scored(&app, &[(&peers[0], 0.75), (&peers[1], 0.5)]).await;
    // What miners did is written now and then, and at the end.
    app.restart().await;
    over(&app);
    let told = current(&app).await;
    let explained = get(&app, "/api/v1/weights/0/explain").await;
    let walk = &explained["explanation"];
    assert_eq!(walk["kinds"].as_array().unwrap().len(), 1, "{explained}");
    let step = &walk["kinds"][0];
    assert_eq!(step["task"]["score"], 0.75);
    assert_eq!(step["standing"]["voices"], json!([{ "scored": 1, "value": 0.75 }]));
    let got = (&step["standing"]["attempted"], &step["standing"]["completed"]);
    assert_eq!(got, (&json!(1), &json!(1)), "{explained}");
    assert_eq!(walk["miner"]["weight"], told["weights"][0]["weight"]);
    assert_eq!((&explained["submissions"], &explained["incentive"]), (&json!([]), &Value::Null));

    let page = app.as_client(Call::get("/api/v1/weights/0/explain?format=text")).await.text_whole();
    let plain = Call::get("/api/v1/weights/0/explain").header("Accept", "text/plain");
    assert_eq!(app.as_client(plain).await.text_whole(), page);
    let weight = format!("7. Weight: {:.8}", told["weights"][0]["weight"].as_f64().unwrap());
    for line in
        ["tts: 0.750000", "this server: 0.750000 of 1 scores; 1 of 1 leases", "D = ", &weight]
    {
        assert!(page.contains(line), "no `{line}` in {page}");
    }
    let one = get(&app, "/api/v1/weights/0").await;
    assert_eq!(one["current"]["figures"]["weight"], told["weights"][0]["weight"]);
    let periods: Vec<_> =
        one["records"].as_array().unwrap().iter().map(|of| of["period_type"].clone()).collect();
    assert_eq!(&periods[..3], ["daily", "weekly", "monthly"], "{one}");
    for path in ["/api/v1/weights/9", "/api/v1/weights/9/explain"] {
        app.as_client(Call::get(path)).await.problem(404, "not_found");
    }
    app.as_client(Call::get("/api/v1/weights/70000/explain")).await.blames("uid");
    app.as_client(Call::get("/api/v1/weights/0/explain?format=pdf")).await.blames("format");
    app.finish().await;
}

pub(super) async fn records(app: &TestApp, query: &str) -> Vec<Value> {
    let told = get(app, &format!("/api/v1/performance-stats{query}")).await;
    told["records"].as_array().unwrap().clone()
}

#[tokio::test]
async fn periods_have_records_and_a_second_start_changes_none() {
    let mut app = TestApp::start().await;
    let peers = [miner(0), miner(1)];
    // The day of a test begins too.
    let day = 24 * HOUR;
    app.advance(day - app.clock.now().0.rem_euclid(day) + 61_000);
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.6)]).await;
    app.restart().await;
    over(&app);
    current(&app).await;
    let first = records(&app, "?period=daily").await;
    assert_eq!(first.len(), 2, "{first:?}");
    let weights: f64 = first.iter().map(|row| row["weight"].as_f64().unwrap()).sum();
    assert!((weights - 1.0).abs() < 1e-12, "{first:?}");
    assert_eq!((&first[0]["miner_uid"], &first[0]["rank"]), (&json!(0), &json!(1)));
    assert_eq!((&first[0]["tasks_scored"], &first[0]["success_rate"]), (&json!(1), &json!(1.0)));
    assert_eq!(first[0]["average_score"], first[0]["tasks"][0]["score"]);
    assert_eq!(first[0]["weight_contributions"]["tts"], first[0]["weight"]);
    assert_eq!(first[0]["pathway_details"]["miner"]["weight"], first[0]["weight"]);
    assert_eq!((&first[0]["trend"], &first[0]["submitted_weight"]), (&Value::Null, &Value::Null));

    // The next day: the old one stays as it is, and what changed is told as a trend.
    app.advance(day);
    scored(&app, &[(&peers[0], 0.5)]).await;
    app.restart().await;
    over(&app);
    current(&app).await;
    let from = first[0]["period_start"].as_str().unwrap().replace("+", "%2B");
    let all = records(&app, &format!("?period=daily&from={from}&sort=uid")).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(all[0], first[0]);
    let trend =
        all[1]["average_score"].as_f64().unwrap() - all[0]["average_score"].as_f64().unwrap();
    assert_eq!(all[1]["trend"].as_f64(), Some(trend), "{all:?}");
    let ever = records(&app, "?period=all_time").await;
    assert_eq!(ever.len(), 2, "{ever:?}");
    assert_eq!(ever[0]["period_end"], "9999-12-31T00:00:00.000Z");

    let run = get(&app, "/api/v1/weights/current").await["run"].clone();
    app.restart().await;
    over(&app);
    assert_eq!(current(&app).await["run"], run, "nothing new, no new run");
    let after = records(&app, &format!("?period=daily&from={from}&sort=uid")).await;
    assert_eq!(after, all, "not even the time of computing");
    app.finish().await;
}

#[tokio::test]
async fn records_come_in_pages_and_as_a_table() {
    let app = TestApp::start().await;
    let peers = [miner(0), miner(1), miner(2)];
    at_the_hour(&app);
    scored(&app, &[(&peers[0], 0.3), (&peers[1], 0.9), (&peers[2], 0.6)]).await;
    over(&app);
    current(&app).await;
    let path = "/api/v1/performance-stats?period=monthly&from=2020-01-01";
    for (sort, uids) in
        [("weight", [1, 2, 0]), ("score", [1, 2, 0]), ("rank", [1, 2, 0]), ("uid", [0, 1, 2])]
    {
        let first = get(&app, &format!("{path}&sort={sort}&limit=2")).await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = get(&app, &format!("{path}&sort={sort}&limit=2&cursor={cursor}")).await;
        let rows = [&first, &rest].map(|page| page["records"].as_array().unwrap().clone()).concat();
        let got: Vec<_> = rows.iter().map(|row| row["miner_uid"].as_u64().unwrap()).collect();
        assert_eq!(got, uids, "{sort}");
        assert_eq!(rest["next_cursor"], Value::Null);
    }
    assert_eq!(get(&app, &format!("{path}&uid=2")).await["count"], 1);
    assert_eq!(get(&app, &format!("{path}&kind=tts")).await["count"], 3);
    assert_eq!(get(&app, &format!("{path}&kind=weather")).await["count"], 0);
    let table = app.as_client(Call::get(format!("{path}&format=csv&limit=2"))).await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    assert!(table.headers.contains_key("x-next-cursor"));
    let text = table.text_whole();
    let lines: Vec<_> = text.split("\r\n").collect();
    assert!(lines[0].starts_with("miner_uid,hotkey,period_type,"), "{text}");
    assert_eq!((lines.len(), lines[3]), (4, ""), "{text}");
    assert!(lines[1].starts_with(&format!("1,{},monthly,", peers[1].hotkey())), "{text}");
    for (query, field) in [
        ("period=hourly", "period"),
        ("sort=luck", "sort"),
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=2026-02-02&to=2026-02-02", "to"),
        ("uid=-1", "uid"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=7ff8000000000000.0.0197a0d0-0000-7000-8000-000000000000", "cursor"),
        ("format=xml", "format"),
    ] {
        app.as_client(Call::get(format!("/api/v1/performance-stats?{query}"))).await.blames(field);
    }
    let nobody = app.send(Who::Nobody, Call::get("/api/v1/performance-stats")).await;
    nobody.problem(401, "unauthenticated");
    app.finish().await;
}

/// A server that scores the weather beside its own kinds.
pub(super) async fn of_weather(change: impl FnOnce(&mut Config)) -> TestApp {
    let name = "weather".to_owned();
    let weather = KindWeight { name, weight_millionths: 700_000, sigmoid: false };
    TestApp::with(|config| {
        config.weights.kinds.push(weather);
        change(config);
    })
    .await
}

pub(super) async fn push(app: &TestApp, by: u16, of: &Peer, score: f64) {
    push_of(app, by, of, score, app.clock.now().0).await;
}

/// A score of a moment.
async fn push_of(app: &TestApp, by: u16, of: &Peer, score: f64, at: i64) {
    let body = json!({ "scores": [{
        "kind": "weather", "uid": of.uid, "hotkey": of.hotkey(), "score": score,
        "scored_at": at,
    }] });
    let call = Call::post("/api/v1/scores").json(&body);
    assert_eq!(app.send(validator(by).who(), call).await.ok()["accepted"], 1);
}

#[tokio::test]
async fn a_day_that_is_over_gets_its_late_scores_also_after_a_restart() {
    let mut app = of_weather(|_| {}).await;
    let day = 24 * HOUR;
    app.advance(day - app.clock.now().0.rem_euclid(day) + 61_000);
    let zero = miner(0);
    app.report(&[&zero]).await;
    app.advance(1_000);
    let first = app.clock.now().0;
    push(&app, 0, &zero, 0.8).await;
    app.advance(day);
    app.report(&[&zero]).await;
    push(&app, 0, &zero, 0.8).await;
    over(&app);
    current(&app).await;
    let averages = async |app: &TestApp| {
        let from = pithead::domain::units::Millis(first - day).rfc3339();
        let rows = records(app, &format!("?period=daily&sort=uid&from={from}")).await;
        rows.iter().map(|row| row["average_score"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(averages(&app).await, [0.8, 0.8]);
    app.restart().await;
    app.report(&[&zero]).await;
    push_of(&app, 0, &zero, 0.4, first + 1).await;
    over(&app);
    current(&app).await;
    let averages = averages(&app).await;
    assert!(averages.iter().any(|average| (average - 0.6).abs() < 1e-9), "{averages:?}");
    app.finish().await;
}

#[tokio::test]
async fn one_of_three_validators_that_lies_sets_no_score() {
    let app = of_weather(|_| {}).await;
    at_the_hour(&app);
    app.report(&[&miner(0), &miner(1)]).await;
    for (by, score) in [(0, 0.8), (1, 0.7), (2, 0.0)] {
        push(&app, by, &miner(0), score).await;
        push(&app, by, &miner(1), 0.5).await;
    }
    over(&app);
    let told = current(&app).await;
    assert!(told["weights"][0]["weight"].as_f64() > told["weights"][1]["weight"].as_f64());
    let explained = get(&app, "/api/v1/weights/0/explain").await;
    let step = &explained["explanation"]["kinds"][0];
    assert_eq!((&step["task"]["kind"], &step["task"]["score"]), (&json!("weather"), &json!(0.7)));
    let voices = step["standing"]["voices"].as_array().unwrap();
    assert_eq!(voices.len(), 3, "{explained}");
    assert!(voices.iter().all(|voice| voice["validator"].is_string()), "{explained}");
    app.finish().await;
}

#[tokio::test]
async fn without_realtime_updates_and_details_a_day_has_its_records_once_it_is_over() {
    let app = of_weather(|config| {
        config.weights.enable_realtime_updates = false;
        config.weights.enable_detailed_pathways = false;
    })
    .await;
    app.advance(24 * HOUR - app.clock.now().0.rem_euclid(24 * HOUR) + 61_000);
    app.report(&[&miner(0)]).await;
    push(&app, 0, &miner(0), 0.8).await;
    over(&app);
    assert_eq!(current(&app).await["weights"][0]["weight"], 1.0);
    let all = "?period=daily&from=2020-01-01";
    assert_eq!(records(&app, all).await, [] as [Value; 0]);
    // Two days that nobody looked at: the first has records, the second had no scores.
    app.advance(48 * HOUR);
    current(&app).await;
    let rows = records(&app, all).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["weight"], &rows[0]["pathway_details"]), (&json!(1.0), &Value::Null));
    app.finish().await;
}

#[tokio::test]
async fn weights_that_cannot_be_written_are_counted_and_made_later() {
    let app = of_weather(|_| {}).await;
    at_the_hour(&app);
    app.report(&[&miner(0)]).await;
    push(&app, 0, &miner(0), 0.8).await;
    over(&app);
    let first = current(&app).await;
    push(&app, 0, &miner(0), 0.6).await;
    let database = app.folder().join("pithead.db");
    let mut db = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
    sqlx::query("ALTER TABLE weight_run RENAME TO away").execute(&mut db).await.unwrap();
    let failed = "pithead_stats_writes_failed_total";
    let before = app.metric(failed).await;
    over(&app);
    let grown = async || (app.metric(failed).await > before).then_some(());
    wait_for("a failure is counted", LIMIT, grown).await;
    sqlx::query("ALTER TABLE away RENAME TO weight_run").execute(&mut db).await.unwrap();
    app.advance(10_000);
    let told = current(&app).await;
    assert_ne!((&told["run"], &told["window_end"]), (&first["run"], &first["window_end"]));
    assert_eq!(get(&app, "/api/v1/weights/export").await["scores"][0]["score"], 0.7);
    // An operator reads both, however often it was tried in between.
    let both = wait_for("what was told of it", LIMIT, async || {
        let list = Call::get("/api/v1/admin/audit?action=weights.calculation_");
        let told = app.send(Who::Bearer(&app.admin), list).await.ok();
        (told["count"] == 2).then(|| told["entries"].clone())
    })
    .await;
    assert_eq!(both[0]["action"], "weights.calculation_recovered");
    assert_eq!(both[1]["action"], "weights.calculation_failed");
    let error = both[1]["detail"]["error"].as_str().unwrap();
    assert!(error.contains("weight_run"), "{error}");
    assert_eq!(
        both[0]["subject"],
        format!("weights up to {}", told["made_up_to"].as_str().unwrap())
    );
    app.finish().await;
}

/// A look at the subnet: the validators, and a hotkey at each of the uids from 0 on.
pub(super) fn look(block: i64, last_step: i64, hotkeys: &[String]) -> Value {
    let row = |uid: usize, hotkey: String, incentive: f64| {
        json!({
            "uid": uid, "hotkey": hotkey, "stake": 100, "validator_permit": uid >= 200,
            "last_update": block - 1, "block_at_registration": 1, "incentive": incentive,
        })
    };
    let miners = hotkeys.iter().cloned().enumerate().map(|(uid, key)| row(uid, key, 0.2));
    let judges = (0..3_u16).map(|n| row(200 + usize::from(n), validator(n).hotkey(), 0.0));
    json!({
        "netuid": 49, "block": block, "tempo": 360, "last_step": last_step,
        "min_allowed_weights": 5, "neurons": miners.chain(judges).collect::<Vec<_>>(),
    })
}

pub(super) async fn believed(app: &TestApp, look: &Value) {
    for n in 0..2 {
        let call = Call::post("/api/v1/chain/metagraph").json(look);
        app.send(validator(n).who(), call).await.ok();
    }
}

#[tokio::test]
async fn no_weight_goes_to_a_stranger_and_the_walk_ends_on_chain() {
    let app = TestApp::start().await;
    let peers = [miner(0), miner(1), miner(2)];
    at_the_hour(&app);
    scored(&app, &[(&peers[0], 0.9), (&peers[1], 0.8), (&peers[2], 0.7)]).await;
    over(&app);
    let all = current(&app).await;
    assert_eq!(all["weights"].as_array().unwrap().len(), 3);
    // Somebody else has uid 1 by now.
    let keys = [peers[0].hotkey(), "stranger".to_owned(), peers[2].hotkey()];
    believed(&app, &look(1_000, 715, &keys)).await;
    let told = current(&app).await;
    assert_eq!(told["uids"], json!([0, 2]));
    let weights = told["weights"].as_array().unwrap();
    let sum: f64 = weights.iter().map(|line| line["weight"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-12 && weights.len() == 2, "{told}");
    assert_eq!(told["weights_u16"][0], 65_535);
    let warnings = told["warnings"].to_string();
    assert!(
        warnings.contains("uid 1 is left out") && warnings.contains("at least 5"),
        "{warnings}"
    );

    let word = json!({
        "block": 1_010, "state": "submitted", "uids": told["uids"], "weights": told["weights_u16"],
        "run": told["run"],
    });
    let call = Call::post("/api/v1/weights/submissions").json(&word);
    app.send(validator(0).who(), call).await.ok();
    let page = async || {
        let call = Call::get("/api/v1/weights/0/explain?format=text");
        app.as_client(call).await.text_whole()
    };
    assert!(page().await.contains("for block 1010: submitted, waits for an epoch"));
    believed(&app, &look(1_100, 1_076, &keys)).await;
    let explained = get(&app, "/api/v1/weights/0/explain").await;
    let set = &explained["submissions"][0];
    assert_eq!((&set["state"], &set["consensus_block"]), (&json!("settled"), &json!(1_076)));
    let share = set["submitted_weight"].as_f64().unwrap();
    assert!((share - weights[0]["weight"].as_f64().unwrap()).abs() < 1e-4, "{explained}");
    let paid = &explained["incentive"];
    assert_eq!((&paid["consensus_rank"], &paid["block"]), (&json!(1), &json!(1_100)));
    assert_eq!(paid["credited_to"], json!([validator(0).hotkey()]));
    let text = page().await;
    assert!(text.contains("counted at block 1076, 66 blocks after it could be"), "{text}");
    assert!(text.contains("10. Incentive: 0.20000000, place 1, as of block 1100"), "{text}");
    let gone = get(&app, "/api/v1/weights/1/explain").await;
    assert_eq!(gone["incentive"], Value::Null, "what the chain pays there is a stranger's");
    app.finish().await;
}
