//! `/api/v1/miners/{uid}/..` and `/api/v1/miner/{kind}/{id}`.

use serde_json::json;

use crate::support::{Call, TestApp, miner};

#[tokio::test]
async fn uid_zero_works_and_another_uid_is_not_yours() {
    let app = TestApp::start().await;
    let (zero, last) = (miner(0), miner(65_535));
    app.report(&[&zero, &last]).await;
    for m in [&zero, &last] {
        assert!(app.leases(m).await.is_empty());
        assert_eq!(app.view(m).await["uid"], m.uid);
        app.as_client(Call::get(format!("/api/v1/miners/{}/consensus", m.uid))).await.ok();
    }
    for path in ["tasks", "view"] {
        for (uid, status, code) in [("1", 403, "uid_mismatch"), ("65535", 403, "uid_mismatch")] {
            let call = Call::get(format!("/api/v1/miners/{uid}/{path}"));
            app.send(zero.who(), call).await.problem(status, code);
        }
        for uid in ["-1", "65536", "x", "0x0", "None"] {
            let call = Call::get(format!("/api/v1/miners/{uid}/{path}"));
            app.send(zero.who(), call).await.names("uid");
        }
    }
    for (query, field) in [
        ("?wait=61", "wait"),
        ("?wait=-1", "wait"),
        ("?wait=x", "wait"),
        ("?status=done", "status"),
        ("?status=", "status"),
    ] {
        app.send_poll(&zero, query).await.names(field);
    }
    for path in ["consensus", "consensus/explain"] {
        let unknown = Call::get(format!("/api/v1/miners/7/{path}"));
        app.as_client(unknown).await.problem(404, "not_found");
        app.as_client(Call::get(format!("/api/v1/miners/x/{path}"))).await.names("uid");
    }
    app.finish().await;
}

#[tokio::test]
async fn content_is_for_the_holder_of_a_live_lease() {
    let app = TestApp::start().await;
    let (m, other) = (miner(0), miner(1));
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.report(&[&m, &other]).await;
    let content = |kind: &str, id: &str| Call::get(format!("/api/v1/miner/{kind}/{id}"));
    assert_eq!(app.send(m.who(), content("tts", &task)).await.ok()["text"], crate::support::TEXT);
    app.send(other.who(), content("tts", &task)).await.problem(404, "not_found");
    for (kind, id) in [("summarization", task.as_str()), ("nonsense", &task), ("tts", "x")] {
        app.send(m.who(), content(kind, id)).await.problem(404, "not_found");
    }
    app.answer(&m, &lease).await.ok();
    app.send(m.who(), content("tts", &task)).await.problem(404, "not_found");
    app.finish().await;
}

#[tokio::test]
async fn a_hotkey_that_left_its_uid_has_no_part_in_it_any_more() {
    let app = TestApp::start().await;
    let (old, new) = (miner(0), crate::support::Peer::named("http-newcomer", 0));
    app.report(&[&old]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&old).await;
    app.report(&[&new]).await;
    let next = app.one_lease(&new).await;
    assert_eq!(next["task_id"], task);
    let late = app.answer(&old, &lease).await;
    late.problem(403, "not_registered");
    app.answer(&new, &next).await.ok();
    assert_eq!(app.view(&new).await["leases_answered"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_configured_miners_uid_and_hotkey_are_facts_that_no_report_changes() {
    let m = miner(0);
    let entry = crate::support::app::entry(&m, pithead::config::Role::Miner, 10.0);
    let app = TestApp::with(|config| config.auth.hotkeys.push(entry)).await;
    app.report(&[&m]).await;
    assert!(app.leases(&m).await.is_empty());
    let usurper = crate::support::Peer::named("http-usurper", 0);
    app.report(&[&usurper]).await;
    assert!(app.leases(&m).await.is_empty());
    let refused = app.send_poll(&usurper, "").await;
    refused.problem(403, "not_registered");
    // Nor does the hotkey move to another uid.
    let elsewhere = crate::support::Peer { uid: 5, ..m.clone() };
    app.report(&[&m, &elsewhere]).await;
    assert!(app.leases(&m).await.is_empty());
    app.send_poll(&elsewhere, "").await.problem(403, "uid_mismatch");
    app.finish().await;
}

#[tokio::test]
async fn stats_show_what_we_saw_of_a_miner_by_kind_and_survive_a_restart() {
    let mut app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let get = || Call::get("/api/v1/miners/0/stats");
    let fresh = app.as_client(get()).await.ok();
    assert_eq!((&fresh["miner_uid"], &fresh["kinds"]), (&json!(0), &json!([])));
    for _ in 0..2 {
        app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&m).await;
        app.advance(1_000);
        app.answer(&m, &lease).await.ok();
    }
    // Three failures at another kind open the breaker of that kind alone.
    let text = crate::support::TEXT.repeat(2);
    let call = || Call::post("/api/v1/summarization").form(&[("text", &text), ("redundancy", "1")]);
    for _ in 0..3 {
        let task = app.as_client(call()).await.ok()["task_id"].clone();
        let lease = app.one_lease(&m).await;
        app.release(&m, &lease, "failed").await.ok();
        app.cancel(task.as_str().unwrap()).await;
    }
    let stats = app.as_client(get()).await.ok();
    let (tts, other) = (&stats["kinds"][0], &stats["kinds"][1]);
    assert_eq!((&tts["kind"], &other["kind"]), (&json!("tts"), &json!("summarization")));
    assert_eq!(
        (&tts["answered"], &tts["failed"], &tts["evidence"]),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_eq!((&tts["success_rate"], &tts["breaker"]), (&json!(1.0), &json!("closed")));
    let latency = tts["latency_ms"].as_i64().unwrap();
    assert!((1_000..2_000).contains(&latency), "{stats}");
    assert!(tts["latency_p95_ms"].as_i64().is_some_and(|p95| p95 >= 900), "{stats}");
    assert_eq!(tts["score"], json!(null));
    assert_eq!((&other["failed"], &other["breaker"]), (&json!(3), &json!("open")), "{stats}");
    assert_eq!(other["success_rate"], 0.0);
    assert_eq!(app.view(&m).await["kinds"].as_array().map(Vec::len), Some(2));

    app.restart().await;

    let again = app.as_client(get()).await.ok();
    assert_eq!(again["kinds"], stats["kinds"], "latency and breaker survive");
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    assert_eq!(lease["task_id"], task, "it still gets the other kind");
    app.answer(&m, &lease).await.ok();
    app.as_client(Call::get("/api/v1/miners/7/stats")).await.problem(404, "not_found");
    app.as_client(Call::get("/api/v1/miners/x/stats")).await.names("uid");
    app.finish().await;
}
