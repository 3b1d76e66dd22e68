//! What hurt the users of other queues and routers: each trap has a test of its own, here or where
//! its story is told.
//!
//! | trap | tests |
//! |---|---|
//! | rescue by elapsed time alone runs jobs twice or overwrites finished ones | `walks::silence::heartbeats_keep_a_lease_alive_beyond_its_first_time`, `walks::silence::a_run_that_falls_silent_is_given_to_another_and_its_late_answer_is_refused` |
//! | completion checked by the worker's name accepts stale answers | `traps::reuse_of_a_worker_does_not_complete_its_own_stale_attempt` |
//! | assignment by deleting and inserting loses tasks | `traps::an_assignment_cut_off_by_a_restart_loses_no_task`, under kill -9 `kill::what_was_acknowledged_outlives_kills_under_load_on_sqlite` |
//! | a write per heartbeat saturates the database | `traps::heartbeats_in_a_row_are_one_write` |
//! | idle polling burns the processor | `traps::an_idle_server_writes_nothing`, `walks::waiting::a_poll_without_work_ends_empty_after_its_time` |
//! | statistics by counting tables | `architecture::statistics_never_count_tables` |
//! | cancel that does nothing | `walks::cancel::a_cancelled_task_really_stops` |
//! | a circuit breaker opened by our own overload | `traps::our_own_overload_is_not_the_miners_failure` |
//! | herding by stale scores | `traps::work_does_not_herd_onto_one_miner` |
//! | the failing worker gets the job again | `traps::the_failing_worker_does_not_get_the_job_again` |
//! | SQLITE_BUSY reaches callers | `traps::a_concurrent_writer_never_surfaces_as_busy` |
//! | renewal or completion accepted after expiry | `traps::completion_and_renewal_are_refused_after_expiry`, `traps::an_answer_that_races_its_expiry_counts_once_or_not_at_all` |
//! | webhooks in memory | `walks::told::what_was_not_delivered_when_the_server_stopped_is_delivered_by_its_successor`, in the rows `store::telling::a_task_on_its_way_is_told_step_by_step` |
//! | webhooks unsigned | `walks::told::a_task_is_told_from_its_first_answer_to_its_approval_and_signed`, `walks::told::after_a_rotation_both_secrets_sign_for_a_day` |
//! | webhooks dropped | `walks::told::a_failing_receiver_is_tried_seven_times_over_eighteen_hours_and_then_given_up`, `walks::told::a_slow_receiver_holds_up_nobody_else` |
//! | dashboards that hold so many tasks in memory and lose them | `traps::what_ended_is_listed_and_counted_after_a_restart_as_before`, `walks::history::an_old_task_leaves_the_lists_stays_readable_and_is_forgotten_one_day` |
//!
//! The seven cases of correctness, over HTTP and in the rows:
//!
//! | case | tests |
//! |---|---|
//! | enqueue joins the caller's transaction | `walks::idempotency::the_same_submit_many_times_at_once_is_one_task`, `store::fences::a_task_its_key_and_its_nonce_come_together_or_not_at_all` |
//! | a late ack must not overwrite its successor | `traps::a_late_ack_does_not_overwrite_its_successor`, `store::fences::a_late_answer_does_not_overwrite_its_successor` |
//! | a worker id used again must not complete a stale attempt | `traps::reuse_of_a_worker_does_not_complete_its_own_stale_attempt`, `store::fences::the_same_miner_again_does_not_complete_its_stale_attempt` |
//! | a retryable failure is never stranded | `traps::a_retryable_failure_is_never_stranded`, `store::fences::a_retryable_failure_is_never_stranded` |
//! | completion and renewal are refused after expiry | `traps::completion_and_renewal_are_refused_after_expiry`, `store::fences::completion_and_renewal_are_refused_after_expiry` |
//! | SQLITE_BUSY never surfaces under a concurrent writer | `traps::a_concurrent_writer_never_surfaces_as_busy`, `store::concurrent::bursts_of_random_commands_keep_every_invariant_on_sqlite` |
//! | recovery after a process kill | `kill::what_was_acknowledged_outlives_kills_under_load_on_sqlite`, `store::fences::what_was_acknowledged_survives_a_kill_on_sqlite` |
//!
//! Weaknesses of the original that concern the whole: `traps::answers_are_not_public`,
//! `traps::one_liar_does_not_keep_a_dead_miner_alive`.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::json;

use crate::gate::{full, hold};
use crate::support::{Call, Peer, TestApp, Who, miner, text, token, validator, wait_for};

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_late_ack_does_not_overwrite_its_successor() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let (late, old) = app.holder(&[&m0, &m1], &task).await;
    app.advance(121_000);
    let next = if late.uid == 0 { &m1 } else { &m0 };
    let new = app.one_lease(next).await;
    app.answer(late, &old).await.problem(410, "lease_lost");
    let good = json!({ "audio_data": "good" });
    app.respond(next, &task, Some(token(&new)), &good).await.ok();
    app.answer(late, &old).await.problem(410, "lease_lost");
    let result = app.as_client(Call::get(format!("/api/v1/tts/{task}/result"))).await.ok();
    assert_eq!((&result["miner_uid"], &result["result"]), (&json!(next.uid), &good));
    assert_eq!(result["responses_count"], 1);
    app.finish().await;
}

#[tokio::test]
async fn reuse_of_a_worker_does_not_complete_its_own_stale_attempt() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let old = app.one_lease(&m).await;
    // Honestly busy: the same miner gets the same slot again, as another attempt.
    app.release(&m, &old, "busy").await.ok();
    let new = app.one_lease(&m).await;
    assert_eq!(new["lease"]["attempt"], 2);
    app.answer(&m, &old).await.problem(410, "lease_lost");
    app.heartbeat(&m, &old).await.problem(410, "lease_lost");
    app.release(&m, &old, "failed").await.problem(410, "lease_lost");
    assert_eq!(app.task(&task).await["status"], "processing");
    assert_eq!(app.answer(&m, &new).await.ok()["task_status"], "done");
    app.finish().await;
}

#[tokio::test]
async fn a_retryable_failure_is_never_stranded() {
    let mut app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.release(&m, &lease, "failed").await.ok();
    assert_eq!(app.task(&task).await["status"], "pending");
    assert_eq!(app.send_poll(&m, "?wait=1").await.ok(), json!([]), "it failed there");
    app.restart().await;
    assert_eq!(app.send_poll(&m, "?wait=1").await.ok(), json!([]), "it failed there before too");
    let other = miner(1);
    app.report(&[&m, &other]).await;
    let lease = app.one_lease(&other).await;
    assert_eq!(lease["task_id"], task);
    app.answer(&other, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn the_failing_worker_does_not_get_the_job_again() {
    for reason in ["failed", "unsupported"] {
        let app = TestApp::start().await;
        let (m0, m1) = (miner(0), miner(1));
        app.report(&[&m0, &m1]).await;
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let (holder, lease) = app.holder(&[&m0, &m1], &task).await;
        app.release(holder, &lease, reason).await.ok();
        let other = if holder.uid == 0 { &m1 } else { &m0 };
        let lease = app.one_lease(other).await;
        app.release(other, &lease, reason).await.ok();
        for miner in [&m0, &m1] {
            assert_eq!(app.send_poll(miner, "?wait=1").await.ok(), json!([]));
        }
        assert_eq!(app.task(&task).await["status"], "pending");
    }
}

#[tokio::test]
async fn completion_and_renewal_are_refused_after_expiry() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.advance(121_000);
    app.until(&task, "pending").await;
    app.heartbeat(&m, &lease).await.problem(410, "lease_lost");
    app.answer(&m, &lease).await.problem(410, "lease_lost");
    assert_eq!(app.task(&task).await["progress"]["miner_responses"], 0);
}

#[tokio::test]
async fn an_answer_that_races_its_expiry_counts_once_or_not_at_all() {
    let app = TestApp::start().await;
    let m = miner(0);
    for _ in 0..5 {
        app.report(&[&m]).await;
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&m).await;
        app.advance(120_000);
        let answers = join_all((0..4).map(|_| app.answer(&m, &lease))).await;
        let taken = answers.iter().filter(|a| a.status == 200).count();
        assert!(taken == 0 || taken == 4, "some were taken and some were not");
        assert!(answers.iter().all(|a| [200, 410].contains(&a.status)));
        let view = app.task(&task).await;
        let (status, count) = if taken == 4 { ("done", 1) } else { ("pending", 0) };
        assert_eq!(view["status"], status);
        assert_eq!(view["progress"]["miner_responses"], count);
        app.cancel(&task).await;
        // Three expiries in a row open the breaker; it closes with time.
        app.advance(31 * 60_000);
    }
}

#[tokio::test]
async fn an_assignment_cut_off_by_a_restart_loses_no_task() {
    let mut app = TestApp::start().await;
    let miners: Vec<Peer> = (0..4).map(miner).collect();
    let all: Vec<&Peer> = miners.iter().collect();
    app.report(&all).await;
    let tasks = join_all((0..40).map(|_| app.submit_tts(&[("redundancy", "1")]))).await;
    // Some are leased by now, some wait for room, some are on their way: nobody waits for them.
    app.restart().await;
    let mut answered = Vec::new();
    wait_for("every task is answered", 4 * SOON, async || {
        for miner in &miners {
            for lease in app.leases(miner).await {
                app.answer(miner, &lease).await.ok();
                answered.push(text(&lease["task_id"]).to_owned());
            }
        }
        (answered.len() >= tasks.len()).then_some(())
    })
    .await;
    let (mut expected, mut found) = (tasks.clone(), answered);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "each task exactly once");
    for task in &tasks {
        let view = app.task(task).await;
        assert_eq!(
            (&view["status"], view["timeline"].as_array().map(Vec::len)),
            (&json!("done"), Some(1))
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn an_idle_server_writes_nothing() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let done = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    app.answer(&m, &lease).await.ok();
    app.until(&done, "done").await;
    app.submit_tts(&[("deadline_secs", "604800")]).await;
    // Open work, an open lease less; what is to be written after that is written.
    let lease = app.one_lease(&m).await;
    app.advance(70_000);
    let written = || {
        let files = std::fs::read_dir(app.folder()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<(String, u64, SystemTime)> = files
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| {
                let about = entry.metadata().unwrap();
                let name = entry.file_name().to_string_lossy().into_owned();
                (name, about.len(), about.modified().unwrap())
            })
            .filter(|(name, ..)| !name.ends_with("-shm"))
            .collect();
        files.sort();
        files
    };
    assert!(written().iter().any(|(name, ..)| name.ends_with("-wal")), "{:?}", written());
    // Until it has been quiet for a while: rounds are closed and old nonces forgotten once.
    let (mut last, mut quiet) = (written(), 0);
    wait_for("the server falls quiet", Duration::from_secs(60), async || {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let now = written();
        // Records are made by a thread that gives way to all others.
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        (quiet == 3).then_some(())
    })
    .await;
    // Three seconds of ticks and sweeps, and reads all the while.
    for _ in 0..30 {
        app.task(&done).await;
        app.as_client(Call::get("/api/v1/miners")).await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(written(), last, "an idle server wrote");
    drop(lease);
}

#[tokio::test]
async fn heartbeats_in_a_row_are_one_write() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&m).await;
    let first = app.heartbeat(&m, &lease).await.ok();
    for beat in join_all((0..20).map(|_| app.heartbeat(&m, &lease))).await {
        assert_eq!(beat.ok()["expires_at"], first["expires_at"]);
    }
    app.answer(&m, &lease).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn our_own_overload_is_not_the_miners_failure() {
    let app = TestApp::with(|config| config.limits.in_flight = 1).await;
    let m = miner(0);
    app.report(&[&m]).await;
    for _ in 0..4 {
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        app.until(&task, "distributed").await;
        // While the offer waits, the gate is full: the miner's poll is refused by us.
        let held = hold(&app).await;
        full(&app).await;
        app.send_poll(&m, "?status=assigned").await.problem(503, "full");
        app.advance(31_000);
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(held);
        wait_for("the gate opens", SOON, async || {
            (app.as_client(Call::get("/v1/models")).await.status == 200).then_some(())
        })
        .await;
        app.cancel(&task).await;
    }
    app.forgive();
    let view = app.view(&m).await;
    assert_eq!(view["quarantined"], false, "{view}");
    // Silence that is the miner's own opens it, as ever.
    app.advance(200_000);
    for _ in 0..3 {
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        app.until(&task, "distributed").await;
        app.advance(33_000);
        app.until(&task, "pending").await;
        app.cancel(&task).await;
    }
    assert_eq!(app.view(&m).await["quarantined"], true);
    app.finish().await;
}

#[tokio::test]
async fn a_concurrent_writer_never_surfaces_as_busy() {
    let app = TestApp::start().await;
    let miners: Vec<Peer> = (0..4).map(miner).collect();
    app.report(&miners.iter().collect::<Vec<_>>()).await;
    let submits = join_all((0..120).map(|_| app.submit_tts(&[("redundancy", "1")])));
    let reports = async {
        for _ in 0..10 {
            app.report(&miners.iter().collect::<Vec<_>>()).await;
        }
    };
    let keys = join_all((0..20).map(|_| app.new_key("client")));
    let (tasks, (), _) = tokio::join!(submits, reports, keys);
    let work = miners.iter().map(|miner| {
        let app = &app;
        async move {
            let mut answered = 0;
            loop {
                let leases = app.send_poll(miner, "?wait=1").await.ok();
                let leases = leases.as_array().unwrap().clone();
                if leases.is_empty() {
                    return answered;
                }
                let all = join_all(leases.iter().map(|lease| app.answer(miner, lease))).await;
                answered += all.iter().filter(|answer| answer.ok()["duplicate"] == false).count();
            }
        }
    });
    let answered: usize = join_all(work).await.into_iter().sum();
    assert_eq!(answered, tasks.len(), "each task exactly once");
    for task in &tasks {
        assert_eq!(app.task(task).await["status"], "done");
    }
    app.finish().await;
}

#[tokio::test]
async fn work_does_not_herd_onto_one_miner() {
    let app = TestApp::start().await;
    let miners: Vec<Peer> = (0..4).map(miner).collect();
    app.report(&miners.iter().collect::<Vec<_>>()).await;
    for _ in 0..12 {
        app.submit_tts(&[("redundancy", "1")]).await;
    }
    for miner in &miners {
        let held = app.leases(miner).await.len();
        assert!((1..=5).contains(&held), "miner {} holds {held} of 12", miner.uid);
    }
}

#[tokio::test]
async fn one_liar_does_not_keep_a_dead_miner_alive() {
    let app = TestApp::start().await;
    let (m, other) = (miner(0), miner(1));
    app.report(&[&m, &other]).await;
    let both = json!([crate::support::status(&m), crate::support::status(&other)]);
    for n in 1..3 {
        let without = json!([crate::support::status(&other)]);
        app.send_report(&validator(n), &without).await.ok();
    }
    app.send_report(&validator(0), &both).await.ok();
    let task = app.submit_tts(&[]).await;
    assert_eq!(app.task(&task).await["redundancy"], 1, "only one is capable");
    assert_eq!(app.one_lease(&other).await["task_id"], task);
    assert!(app.leases(&m).await.is_empty());
}

#[tokio::test]
async fn answers_are_not_public() {
    let app = TestApp::start().await;
    let (m0, m1) = (miner(0), miner(1));
    app.report(&[&m0, &m1]).await;
    let task = app.submit_tts(&[("redundancy", "2")]).await;
    let lease = app.one_lease(&m0).await;
    app.answer(&m0, &lease).await.ok();
    app.one_lease(&m1).await;
    // The other miner on the task learns nothing of the answer that is there.
    for target in [format!("/api/v1/task/{task}/responses"), format!("/api/v1/tts/{task}/result")] {
        app.send(m1.who(), Call::get(&target)).await.problem(403, "forbidden");
        app.send(Who::Nobody, Call::get(&target)).await.problem(401, "unauthenticated");
        app.send(validator(0).who(), Call::get(&target)).await.problem(404, "not_found");
    }
    // Nor do validators before the task is done.
    let left = app.send(validator(0).who(), Call::get("/api/v1/validator/tasks")).await.ok();
    assert_eq!(left["count"], 0);
    let completed = app.send(validator(0).who(), Call::get("/api/v1/tasks/completed")).await.ok();
    assert_eq!(completed, json!([]));
}

#[tokio::test]
async fn what_ended_is_listed_and_counted_after_a_restart_as_before() {
    const TASKS: usize = 23;
    let mut app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    for _ in 0..TASKS {
        let task = app.submit_tts(&[("redundancy", "1")]).await;
        let lease = app.one_lease(&m).await;
        app.answer(&m, &lease).await.ok();
        app.evaluate(&validator(0), &task, &[(0, 0.9)]).await;
    }
    let shown = async |app: &TestApp| {
        let (mut tasks, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = Call::get(format!("/api/v1/tasks?status=approved&limit=10{cursor}"));
            let page = app.as_client(page).await.ok();
            for task in page["tasks"].as_array().unwrap() {
                let id = text(&task["task_id"]);
                let result = Call::get(format!("/api/v1/tts/{id}/result"));
                tasks.push((id.to_owned(), app.as_client(result).await.ok()));
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let board = app.as_client(Call::get("/api/v1/leaderboard?period=all_time")).await.ok();
        let stats = app.as_client(Call::get("/api/v1/miners/0/stats")).await.ok();
        (tasks, board["miners"].clone(), stats["kinds"][0]["evidence"].clone())
    };
    let before = shown(&app).await;
    assert_eq!(before.0.len(), TASKS);
    assert_eq!(before.1[0]["scored"], TASKS);
    app.restart().await;
    assert_eq!(shown(&app).await, before);
    app.finish().await;
}
