//! Miners that say nothing: their leases end, others get the work, and what they say later is
//! refused.

use crate::support::{TestApp, miner, text, validator};

const OFFER_MILLIS: i64 = 30_000;
const RUN_MILLIS: i64 = 120_000;

#[tokio::test]
async fn an_offer_that_nobody_fetches_goes_to_another_miner() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let view = app.until(&task, "distributed").await;
    let first = view["timeline"][0]["holder"]["miner_uid"].as_u64().unwrap();
    app.advance(OFFER_MILLIS + 1_000);
    let other = if first == 0 { &m1 } else { &m0 };
    let lease = app.one_lease(other).await;
    assert_eq!(lease["task_id"], task);
    assert_eq!(lease["lease"]["attempt"], 2);
    let view = app.task(&task).await;
    assert_eq!(view["timeline"][0]["outcome"], "offer_expired", "{view}");
    app.answer(other, &lease).await.ok();
    let one = if first == 0 { &m0 } else { &m1 };
    assert_eq!(app.view(one).await["leases_lost"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_run_that_falls_silent_is_given_to_another_and_its_late_answer_is_refused() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (slow, lease) = app.holder(&[&m0, &m1], &task).await;
    let other = if slow.uid == 0 { &m1 } else { &m0 };
    app.advance(RUN_MILLIS + 1_000);
    let next = app.one_lease(other).await;
    assert_eq!(next["lease"]["attempt"], 2);
    app.answer(slow, &lease).await.problem(410, "lease_lost");
    app.heartbeat(slow, &lease).await.problem(410, "lease_lost");
    app.release(slow, &lease, "busy").await.problem(410, "lease_lost");
    assert!(app.leases(slow).await.is_empty());
    let content = crate::support::Call::get(format!("/api/v1/miner/tts/{task}"));
    app.send(slow.who(), content).await.problem(404, "not_found");
    // The late miner has no part in what its successor does.
    let answer = app.answer(other, &next).await.ok();
    assert_eq!(answer["task_status"], "done");
    let view = app.task(&task).await;
    assert_eq!(view["timeline"][0]["outcome"], "run_expired", "{view}");
    assert_eq!(view["timeline"][1]["outcome"], "answered", "{view}");
    assert_eq!(app.evaluate(&validator(0), &task, &[(other.uid, 1.0)]).await["accepted"], 1);
    app.finish().await;
}

#[tokio::test]
async fn heartbeats_keep_a_lease_alive_beyond_its_first_time() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.advance(RUN_MILLIS - 5_000);
    for _ in 0..6 {
        app.heartbeat(&m, &lease).await.ok();
        app.advance(25_000);
    }
    assert_eq!(app.answer(&m, &lease).await.ok()["task_status"], "done");
    app.until(&task, "done").await;
    app.finish().await;
}

#[tokio::test]
async fn attempts_run_out_and_the_task_fails_with_every_attempt_told() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&[&miners[0], &miners[1], &miners[2]]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    for attempt in 1..=3 {
        let (holder, lease) = app.holder(&miners.each_ref(), &task).await;
        assert_eq!(lease["lease"]["attempt"], attempt);
        app.release(holder, &lease, "failed").await.ok();
    }
    let view = app.until(&task, "failed").await;
    let timeline = view["timeline"].as_array().unwrap();
    let mut uids: Vec<_> =
        timeline.iter().map(|entry| entry["holder"]["miner_uid"].as_u64().unwrap()).collect();
    uids.sort_unstable();
    assert_eq!(uids, [0, 1, 2], "each attempt at another miner: {view}");
    app.finish().await;
}

#[tokio::test]
async fn the_deadline_ends_what_nobody_took_and_closes_with_what_came() {
    let app = TestApp::start().await;
    let nobody = app.submit_tts(&[("deadline_secs", "60")]).await;
    let (m0, m1) = (miner(0), miner(1));
    app.advance(61_000);
    app.until(&nobody, "expired").await;
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "2"), ("deadline_secs", "60")]).await;
    let lease = app.one_lease(&m0).await;
    app.answer(&m0, &lease).await.ok();
    let open = app.one_lease(&m1).await;
    assert!(text(&open["lease"]["expires_at"]) <= text(&open["deadline"]), "{open}");
    app.advance(61_000);
    let view = app.until(&task, "done").await;
    assert_eq!(view["progress"]["miner_responses"], 1);
    app.answer(&m1, &open).await.problem(410, "lease_lost");
    app.finish().await;
}
