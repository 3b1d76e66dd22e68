//! How many answers a task wants.

use serde_json::json;

use crate::support::{TestApp, miner};

#[tokio::test]
async fn three_miners_finish_at_the_third_answer() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let task = app.submit_tts(&[]).await;
    assert_eq!(app.task(&task).await["redundancy"], 3);
    for (miner, status) in miners.iter().zip(["processing", "processing", "done"]) {
        let lease = app.one_lease(miner).await;
        assert_eq!(app.answer(miner, &lease).await.ok()["task_status"], status);
        assert_eq!(app.task(&task).await["status"], status);
    }
    app.finish().await;
}

#[tokio::test]
async fn completion_first_ends_with_the_first_answer_and_frees_the_others() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let task = app.submit_tts(&[("completion", "first")]).await;
    let (one, two) = (app.one_lease(&miners[0]).await, app.one_lease(&miners[1]).await);
    assert_eq!(app.answer(&miners[0], &one).await.ok()["task_status"], "done");
    app.answer(&miners[1], &two).await.problem(410, "lease_lost");
    assert_eq!(app.leases(&miners[2]).await, Vec::<serde_json::Value>::new());
    let view = app.view(&miners[1]).await;
    assert_eq!((&view["leases_lost"], &view["live_leases"]), (&json!(0), &json!(0)));
    assert_eq!(app.task(&task).await["progress"]["miner_responses"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_quorum_ends_with_so_many() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    app.submit_tts(&[("completion", "quorum:2")]).await;
    for (miner, status) in miners.iter().zip(["processing", "done"]) {
        let lease = app.one_lease(miner).await;
        assert_eq!(app.answer(miner, &lease).await.ok()["task_status"], status);
    }
    app.finish().await;
}

#[tokio::test]
async fn no_miner_gets_two_answers_of_one_task() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1)];
    // Nobody is there at submit, so the wish of three stands; only two come.
    let task = app.submit_tts(&[("redundancy", "3"), ("deadline_secs", "60")]).await;
    app.report(&miners.each_ref()).await;
    for miner in &miners {
        let lease = app.one_lease(miner).await;
        app.answer(miner, &lease).await.ok();
    }
    for miner in &miners {
        assert_eq!(app.send_poll(miner, "?wait=1").await.ok(), json!([]));
    }
    assert_eq!(app.task(&task).await["status"], "processing");
    app.advance(61_000);
    app.until(&task, "done").await;
    app.finish().await;
}
