//! The server goes away in the middle of everything.

use crate::support::{Call, TestApp, miner, text, validator};

#[tokio::test]
async fn tasks_leases_verdicts_keys_and_files_survive_and_a_live_lease_can_still_be_answered() {
    let mut app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let done = app.submit_tts(&[("redundancy", "1")]).await;
    let (first, lease) = app.holder(&[&m0, &m1], &done).await;
    app.answer(first, &lease).await.ok();
    let audio = super::task::audio();
    let held = app.submit_audio(&audio, &[("redundancy", "1")]).await.ok();
    let held = text(&held["task_id"]).to_owned();
    let (holder, lease) = app.holder(&[&m0, &m1], &held).await;
    let before = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();

    app.restart().await;

    let after = app.as_client(Call::get("/api/v1/miners/0/consensus")).await.ok();
    assert_eq!(before["consensus_status"]["hotkey"], after["consensus_status"]["hotkey"]);
    assert_eq!(after["consensus_status"]["consensus_validators"].as_array().unwrap().len(), 3);
    assert_eq!(app.task(&done).await["status"], "done");
    assert_eq!(app.task(&held).await["status"], "processing");
    let again = app.leases(holder).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["lease"]["token"], lease["lease"]["token"]);
    let url = text(&lease["input_file"]["url"]);
    assert!(app.send(holder.who(), Call::get(url)).await.bytes == audio);
    app.heartbeat(holder, &lease).await.ok();
    assert_eq!(app.answer(holder, &lease).await.ok()["task_status"], "done");
    // The answer again, to the server that did not take it.
    app.restart().await;
    assert_eq!(app.answer(holder, &lease).await.ok()["duplicate"], true);
    app.evaluate(&validator(0), &held, &[(holder.uid, 1.0)]).await;
    app.until(&held, "approved").await;
    app.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_miner_waits_across_restarts_and_new_work_is_given_out() {
    let mut app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    app.restart().await;
    app.report(&[&miner(0)]).await;
    let lease = app.one_lease(&miner(0)).await;
    assert_eq!(lease["task_id"], task);
    app.restart().await;
    app.answer(&miner(0), &lease).await.ok();
    let next = app.submit_tts(&[("redundancy", "1")]).await;
    assert_eq!(app.one_lease(&miner(0)).await["task_id"], next);
    app.cancel(&next).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn a_lease_that_ran_out_while_the_server_was_away_is_lost() {
    let mut app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (holder, lease) = app.holder(&[&m0, &m1], &task).await;
    app.advance(121_000);
    app.restart().await;
    let other = if holder.uid == 0 { &m1 } else { &m0 };
    let next = app.one_lease(other).await;
    assert_eq!(next["lease"]["attempt"], 2);
    app.answer(holder, &lease).await.problem(410, "lease_lost");
    app.answer(other, &next).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn two_servers_do_not_share_one_folder() {
    let app = TestApp::start().await;
    let error = app.start_another().await.expect_err("the folder is taken").to_string();
    assert!(error.len() > 20, "a clear sentence: `{error}`");
    app.finish().await;
}
