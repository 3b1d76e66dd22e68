//! How many miners a task gets: fixed, by trust, and a second one for a straggler.

use serde_json::{Value, json};

use crate::support::{Peer, TestApp, miner, text, validator};

/// Has a miner's answers judged well so often in a row.
async fn earn(app: &TestApp, of: &Peer, times: usize) {
    for _ in 0..times {
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(of).await;
        app.answer(of, &lease).await.ok();
        app.evaluate(&validator(0), &task, &[(of.uid, 1.0)]).await;
        app.until(&task, "approved").await;
    }
}

#[tokio::test]
async fn a_stranger_is_checked_by_others() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let task = app.submit_tts(&[("redundancy", "adaptive")]).await;
    for miner in &miners {
        let lease = app.one_lease(miner).await;
        app.answer(miner, &lease).await.ok();
    }
    let view = app.until(&task, "done").await;
    assert_eq!((&view["redundancy"], &view["progress"]["miner_responses"]), (&json!(3), &json!(3)));
    app.finish().await;
}

#[tokio::test]
async fn a_trusted_miners_answer_mostly_stands_alone() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    earn(&app, &m, 12).await;
    let others = [miner(1), miner(2)];
    app.report(&[&m, &others[0], &others[1]]).await;
    // Capable miners are counted once a second.
    app.advance(1_100);
    let mut alone = false;
    // One in three begins with the trusted miner: a hundred in a row that do not are no accident.
    for _ in 0..100 {
        let task = app.submit_tts(&[("redundancy", "adaptive"), ("deadline_secs", "60")]).await;
        // Whoever gets the first slot decides; the trusted one is asked, the others may be.
        let (holder, lease) = app.holder(&[&m, &others[0], &others[1]], &task).await;
        app.answer(holder, &lease).await.ok();
        let view = app.task(&task).await;
        if view["redundancy"] == 1 {
            assert_eq!((holder.uid, &view["status"]), (0, &json!("done")), "{view}");
            alone = true;
            break;
        }
        app.cancel(&task).await;
    }
    assert!(alone, "no answer of the trusted miner stood alone");
    app.finish().await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_named() {
    let app = TestApp::start().await;
    for (name, value) in [
        ("redundancy", "17"),
        ("redundancy", "0"),
        ("redundancy", "many"),
        ("min_responses", "0"),
        ("min_responses", "4"),
        ("delay_secs", "-1"),
        ("delay_secs", "604801"),
    ] {
        let fields = [("text", crate::support::TEXT), ("redundancy", "3"), (name, value)];
        let fields = if name == "redundancy" { &[fields[0], fields[2]][..] } else { &fields[..] };
        let call = crate::support::Call::post("/api/v1/tts").form(fields);
        app.as_client(call).await.blames(name);
    }
    assert_eq!(app.task_count().await, 0);
    app.finish().await;
}

#[tokio::test]
async fn too_few_answers_at_the_deadline_are_not_enough() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let wish = [("min_responses", "2"), ("deadline_secs", "60")];
    let (one, two) = (app.submit_tts(&wish).await, app.submit_tts(&wish).await);
    for (n, task) in [(0, &one), (0, &two), (1, &two)] {
        let (holder, lease) = app.holder(&[&miners[n]], task).await;
        app.answer(holder, &lease).await.ok();
    }
    app.advance(61_000);
    app.until(&one, "expired").await;
    app.until(&two, "done").await;
    app.finish().await;
}

#[tokio::test]
async fn a_delayed_task_waits_for_its_moment_and_has_its_whole_time_then() {
    let mut app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let wish = [("redundancy", "1"), ("delay_secs", "600"), ("deadline_secs", "60")];
    let task = app.submit_tts(&wish).await;
    assert_eq!(app.leases(&m).await, Vec::<Value>::new());
    app.advance(599_000);
    app.restart().await;
    assert_eq!(app.leases(&m).await, Vec::<Value>::new());
    assert_eq!(app.task(&task).await["status"], "pending");
    app.advance(2_000);
    app.report(&[&m]).await;
    let lease = app.one_lease(&m).await;
    app.answer(&m, &lease).await.ok();
    app.until(&task, "done").await;
    app.finish().await;
}

/// Enough answers that it is known what is late.
async fn experience(app: &TestApp, miners: &[&Peer]) {
    for _ in 0..24 {
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let (holder, lease) = app.holder(miners, &task).await;
        app.answer(holder, &lease).await.ok();
    }
}

#[tokio::test]
async fn a_straggler_gets_a_second_miner_and_the_first_answer_counts() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    experience(&app, &[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (slow, lease) = app.holder(&[&m0, &m1], &task).await;
    let fast = if slow.uid == 0 { &m1 } else { &m0 };
    app.advance(10_000);
    let second = app.one_lease(fast).await;
    assert_eq!((&second["task_id"], &second["lease"]["attempt"]), (&lease["task_id"], &json!(1)));
    let view = app.task(&task).await;
    assert_eq!((&view["redundancy"], &view["timeline"][1]["hedge_of"]), (&json!(1), &json!(0)));
    app.heartbeat(slow, &lease).await.ok();
    assert_eq!(app.answer(fast, &second).await.ok()["task_status"], "done");
    app.answer(slow, &lease).await.problem(410, "lease_lost");
    assert_eq!(app.view(slow).await["leases_lost"], 0, "it was slow, not wrong");
    app.finish().await;
}

#[tokio::test]
async fn hedging_keeps_within_its_budget_and_can_be_turned_off() {
    let app = TestApp::with(|config| config.hedge.share_millionths = 0).await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    experience(&app, &[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (slow, lease) = app.holder(&[&m0, &m1], &task).await;
    let fast = if slow.uid == 0 { &m1 } else { &m0 };
    app.advance(10_000);
    assert_eq!(app.send_poll(fast, "?wait=1").await.ok(), json!([]));
    app.answer(slow, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn estimates_are_told_and_how_they_came_true() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    experience(&app, &[&m0, &m1]).await;
    app.advance(1_100);
    experience(&app, &[&m0, &m1]).await;
    let call = crate::support::Call::post("/api/v1/tts")
        .form(&[("text", crate::support::TEXT), ("redundancy", "1")]);
    let told = app.as_client(call).await.ok();
    let (p50, p95) = (&told["estimate"]["p50_secs"], &told["estimate"]["p95_secs"]);
    assert!(p50.as_f64().unwrap() <= p95.as_f64().unwrap(), "{told}");
    let kinds = app.as_client(crate::support::Call::get("/api/v1/kinds")).await.ok();
    let cards = kinds["estimates"].as_array().unwrap();
    let card = cards.iter().find(|card| card["kind"] == "tts").unwrap();
    assert!(card["tasks"].as_i64().unwrap() >= 20, "{card}");
    assert!(card["within_p50"].as_f64().unwrap() <= card["within_p95"].as_f64().unwrap());
    app.cancel(text(&told["task_id"])).await.ok();
    app.finish().await;
}
