//! `/api/v1/miners/{uid}/..` and `/api/v1/miner/{kind}/{id}`.

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
