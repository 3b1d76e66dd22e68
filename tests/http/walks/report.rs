//! `POST /validators/miner-status` to the verdict that everybody can read.

use serde_json::json;

use crate::support::{Call, TestApp, Who, miner, status, validator};

#[tokio::test]
async fn reports_of_distinct_validators_become_a_verdict_that_anybody_known_can_read() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    let statuses = json!([status(&m0), status(&m1)]);
    let answer = app.send_report(&validator(0), &statuses).await.ok();
    assert_eq!(answer["miners_processed"], 2);
    assert_eq!(answer["validator_uid"], 200);
    assert_eq!(answer["epoch"], 7);
    assert_eq!(answer["rejected"], json!([]));
    let single = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    assert_eq!(single["consensus_status"]["single_source"], true, "{single}");

    app.report(&[&m0, &m1]).await;
    let verdict = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    let about = &verdict["consensus_status"];
    assert_eq!(verdict["miner_uid"], 0);
    assert_eq!(about["uid"], 0);
    assert_eq!(about["hotkey"], m0.hotkey());
    assert_eq!(about["is_serving"], true);
    assert_eq!(about["single_source"], false);
    assert_eq!(about["conflicts_detected"], json!([]));
    assert_eq!(about["consensus_validators"], json!([200, 201, 202]));
    assert!(about["consensus_confidence"].as_f64().unwrap() > 0.9, "{about}");
    assert!((about["performance_score"].as_f64().unwrap() - 0.9).abs() < 1e-6, "{about}");

    let network = app.as_client(Call::get("/api/v1/miners/network-status")).await.ok();
    assert_eq!(network["network_status"]["total_miners"], 2);
    assert_eq!(network["network_status"]["active_miners"], 2);
    assert_eq!(network["miners"][0]["uid"], 0);
    let stats = app.send(validator(1).who(), Call::get("/api/v1/validators/consensus-stats")).await;
    let stats = stats.ok();
    let stats = &stats["consensus_statistics"];
    assert_eq!(stats["active_validators"], 3);
    assert_eq!(stats["consensus_miners"], 2);
    assert_eq!(stats["min_consensus_validators"], 2);
    let explained = app.as_client(Call::get("/api/v1/miners/0/consensus/explain")).await.ok();
    assert!(explained["explanation"].is_object(), "{explained}");
    let known = app.as_client(Call::get("/api/v1/validators")).await.ok();
    assert_eq!(known["count"], 3);
    app.finish().await;
}

#[tokio::test]
async fn bad_entries_are_refused_alone_each_with_its_field() {
    let app = TestApp::start().await;
    let good = status(&miner(0));
    let with = |field: &str, value: serde_json::Value| {
        let mut bad = status(&miner(1));
        bad[field] = value;
        bad
    };
    for (bad, field) in [
        (with("uid", json!(-1)), "uid"),
        (with("uid", json!(70_000)), "uid"),
        (with("uid", json!("x")), "uid"),
        (with("stake", json!(-1.0)), "stake"),
        (with("performance_score", json!(1.5)), "performance_score"),
        (with("performance_score", json!("NaN")), "performance_score"),
        (with("is_serving", json!("maybe")), "is_serving"),
        (with("current_load", json!(-3)), "current_load"),
        (with("max_capacity", json!(0)), "max_capacity"),
        (with("hotkey", json!("../../etc")), "hotkey"),
        (with("hotkey", json!(5)), "hotkey"),
        (with("last_seen", json!("yesterday")), "last_seen"),
        (with("port", json!(99_999)), "port"),
        (with("ip", json!("1.2.3")), "ip"),
        (json!({ "hotkey": "x" }), "uid"),
        (json!("text"), "entry"),
        (json!(null), "entry"),
        (good.clone(), "uid"),
    ] {
        let statuses = json!([good, bad]);
        let answer = app.send_report(&validator(0), &statuses).await.ok();
        assert_eq!(answer["miners_processed"], 1, "{bad}: {answer}");
        let rejected = answer["rejected"].as_array().unwrap();
        assert_eq!(rejected.len(), 1, "{bad}: {answer}");
        assert_eq!(rejected[0]["field"], field, "{bad}: {answer}");
        assert_eq!(rejected[0]["index"], 1, "{bad}: {answer}");
        assert!(!rejected[0]["reason"].as_str().unwrap().is_empty());
    }
    // Bare words of Python's `json`, which no JSON parser takes.
    let text = format!("[{good},{{\"uid\":1,\"stake\":NaN}},{{\"uid\":2,\"stake\":-Infinity}}]");
    let call = Call::post("/api/v1/validators/miner-status").form(&[
        ("validator_uid", "200"),
        ("epoch", "1"),
        ("miner_statuses", &text),
    ]);
    let answer = app.send(validator(0).who(), call).await.ok();
    assert_eq!(answer["miners_processed"], 1, "{answer}");
    assert_eq!(answer["rejected"][0]["field"], "stake", "{answer}");
    assert_eq!(answer["rejected"][1]["uid"], 2, "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn the_epoch_is_a_label_and_the_newest_report_counts() {
    let app = TestApp::start().await;
    let m = miner(3);
    app.report(&[&m]).await;
    // The validators restarted: their own counts begin anew.
    let mut poor = status(&m);
    poor["performance_score"] = json!(0.2);
    for n in 0..3 {
        let call = Call::post("/api/v1/validators/miner-status")
            .json(&json!({ "validator_uid": 200 + n, "epoch": 0, "miner_statuses": [poor] }));
        app.send(validator(n).who(), call).await.ok();
    }
    let verdict = app.as_client(Call::get("/api/v1/miners/3/consensus")).await.ok();
    let performance = verdict["consensus_status"]["performance_score"].as_f64().unwrap();
    assert!((performance - 0.2).abs() < 1e-6, "{verdict}");
    app.finish().await;
}

#[tokio::test]
async fn a_miner_that_all_reports_leave_out_gets_no_work_and_comes_back_with_the_next_one() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    app.report(&[&m1]).await;
    let network = app.as_client(Call::get("/api/v1/miners")).await.ok();
    assert_eq!(network["network_status"]["active_miners"], 1, "{network}");
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m1).await;
    assert_eq!(lease["task_id"], task);
    app.answer(&m1, &lease).await.ok();
    app.report(&[&m0]).await;
    app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m0).await;
    app.answer(&m0, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn silent_miners_are_stale_at_once_and_an_empty_list_is_an_answer() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    app.advance(16 * 60_000);
    let network = app.as_client(Call::get("/api/v1/miners/network-status")).await.ok();
    assert_eq!(network["miners"], json!([]));
    assert_eq!(network["network_status"]["stale_miners_filtered"], 1, "{network}");
    let submitted = Call::post("/api/v1/tts").form(&[("text", crate::support::TEXT)]);
    let answer = app.send(Who::ApiKey(&app.client), submitted).await.ok();
    assert_eq!(answer["estimate"]["feasible"], false, "{answer}");
    assert!(answer["estimate"]["reason"].as_str().unwrap().contains("tts"), "{answer}");
    app.report(&[&miner(0)]).await;
    let lease = app.one_lease(&miner(0)).await;
    assert_eq!(lease["task_id"], answer["task_id"]);
    app.answer(&miner(0), &lease).await.ok();
}

#[tokio::test]
async fn too_many_reports_of_one_validator_are_told_when_to_come_back() {
    let app = TestApp::with(|config| config.limits.reports_per_minute = 2).await;
    let statuses = json!([status(&miner(0))]);
    app.send_report(&validator(0), &statuses).await.ok();
    app.send_report(&validator(0), &statuses).await.ok();
    let refused = app.send_report(&validator(0), &statuses).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("x-ratelimit-limit"), Some("2"));
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    assert!(refused.header("x-ratelimit-reset").is_some());
    app.send_report(&validator(1), &statuses).await.ok();
    app.advance(61_000);
    app.send_report(&validator(0), &statuses).await.ok();
    app.finish().await;
}

/// Real validators report every twenty minutes, longer than the documents' timeout.
#[tokio::test]
async fn a_miner_of_validators_that_report_every_twenty_minutes_does_not_flap() {
    let app = TestApp::start().await;
    let network = async || {
        // Newer than any cached view.
        app.advance(600);
        let network = app.as_client(Call::get("/api/v1/miners/network-status")).await.ok();
        let status = &network["network_status"];
        (status["total_miners"].clone(), status["stale_miners_filtered"].clone())
    };
    // The period shows with the second report.
    app.report(&[&miner(0)]).await;
    app.advance(14 * 60_000);
    assert_eq!(network().await, (json!(1), json!(0)));
    app.advance(6 * 60_000);
    for round in 0..4 {
        app.report(&[&miner(0)]).await;
        for minute in [0, 14, 4, 1] {
            app.advance(minute * 60_000);
            assert_eq!(network().await, (json!(1), json!(0)), "round {round}, +{minute}");
        }
        app.advance(60_000);
    }
    // Silent for three periods: stale. The next report brings it back.
    app.advance(41 * 60_000);
    assert_eq!(network().await.0, 0);
    app.report(&[&miner(0)]).await;
    assert_eq!(network().await, (json!(1), json!(0)));
    app.finish().await;
}
