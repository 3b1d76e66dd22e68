//! What is told of the past: archived tasks, and who earned what.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, Peer, TestApp, Who, miner, text, validator, wait_for};

const DAY: i64 = 24 * 3_600_000;

/// A task that this miner answered, judged with this accuracy.
pub(super) async fn judged(app: &TestApp, by: &Peer, accuracy: f64) -> String {
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(by).await;
    app.answer(by, &lease).await.ok();
    let evaluation = json!({ "evaluations": [{ "miner_uid": by.uid, "score": accuracy }] });
    app.send_evaluation(&validator(0), &task, &evaluation).await.ok();
    app.until(&task, "approved").await;
    task
}

#[tokio::test]
async fn an_old_task_leaves_the_lists_stays_readable_and_is_forgotten_one_day() {
    let mut app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = judged(&app, &m, 0.9).await;
    let result = Call::get(format!("/api/v1/tts/{task}/result"));
    let responses = Call::get(format!("/api/v1/task/{task}/responses"));
    let seen = async |app: &TestApp| {
        let status = app.task(&task).await;
        let answers = app.as_client(responses.clone()).await.ok();
        (status, app.as_client(result.clone()).await.ok(), answers)
    };
    let before = seen(&app).await;
    assert_eq!(app.task_count().await, 1);
    app.advance(7 * DAY + 60_000);
    let limit = Duration::from_secs(10);
    wait_for("the task is archived", limit, async || (app.task_count().await == 0).then_some(()))
        .await;
    assert_eq!(seen(&app).await, before);
    app.restart().await;
    // The directory knows miners that were heard of lately; the rest is as it was.
    let after = seen(&app).await;
    assert_eq!((&after.1, &after.2), (&before.1, &before.2));
    let other = app.new_key("client").await;
    let foreign = Call::get(format!("/api/v1/task/{task}/status"));
    app.send(Who::Bearer(&other), foreign.clone()).await.problem(404, "not_found");
    app.cancel(&task).await.problem(409, "conflict");
    app.advance(84 * DAY);
    wait_for("the task is forgotten", limit, async || {
        (app.as_client(foreign.clone()).await.status == 404).then_some(())
    })
    .await;
    app.finish().await;
}

async fn board(app: &TestApp, query: &str) -> Value {
    app.as_client(Call::get(format!("/api/v1/leaderboard{query}"))).await.ok()
}

fn uids(board: &Value) -> Vec<u64> {
    let miners = board["miners"].as_array().unwrap();
    miners.iter().map(|line| line["miner_uid"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_leaderboard_has_periods_kinds_and_pages() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    for (m, accuracy) in miners.iter().zip([0.5, 0.75, 1.0]) {
        let mut status = crate::support::status(m);
        status["is_serving"] = json!(true);
        app.report_statuses(&json!([status])).await;
        for _ in 0..5 {
            judged(&app, m, accuracy).await;
        }
    }
    let today = board(&app, "?period=daily").await;
    assert_eq!(uids(&today), [2, 1, 0], "{today}");
    assert_eq!(today["miners"][0]["score"], 1.0);
    assert_eq!(
        (&today["miners"][1]["rank"], &today["miners"][1]["scored"]),
        (&json!(2), &json!(5))
    );
    let first = board(&app, "?limit=2").await;
    assert_eq!((uids(&first), &first["total"]), (vec![2, 1], &json!(3)));
    let rest = board(&app, &format!("?limit=2&cursor={}", text(&first["next_cursor"]))).await;
    assert_eq!((uids(&rest), &rest["next_cursor"]), (vec![0], &Value::Null));
    assert_eq!(uids(&board(&app, "?task_type=transcription").await), Vec::<u64>::new());
    assert_eq!(uids(&board(&app, "?task_type=tts&sort=total").await), [2, 1, 0]);
    // Another month: nothing in it yet, and all time has it still.
    app.advance(32 * DAY);
    assert_eq!(uids(&board(&app, "?period=monthly").await), Vec::<u64>::new());
    assert_eq!(uids(&board(&app, "?period=all_time").await), [2, 1, 0]);
    for (query, field) in [
        ("?period=hourly", "period"),
        ("?sort=luck", "sort"),
        ("?task_type=weather", "task_type"),
        ("?limit=0", "limit"),
        ("?cursor=-1", "cursor"),
        ("?cursor=x", "cursor"),
    ] {
        app.as_client(Call::get(format!("/api/v1/leaderboard{query}"))).await.blames(field);
    }
    app.finish().await;
}

#[tokio::test]
async fn usage_counts_what_was_taken_in_and_how_it_ended() {
    let app = TestApp::start().await;
    let (m, other) = (miner(0), app.new_key("client").await);
    app.report(&[&m]).await;
    judged(&app, &m, 1.0).await;
    let cancelled = app.submit_tts(&[("redundancy", "1")]).await;
    app.cancel(&cancelled).await.ok();
    let usage = async |key: &str, query: &str| {
        app.send(Who::Bearer(key), Call::get(format!("/api/v1/usage{query}"))).await
    };
    let own = usage(&app.client, "").await.ok();
    let characters = crate::support::TEXT.chars().count() * 2;
    assert_eq!(own["total"]["tasks_submitted"], 2, "{own}");
    assert_eq!(
        (&own["total"]["tasks_done"], &own["total"]["tasks_failed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&own["days"][0]["task_type"], &own["days"][0]["input_units"]),
        (&json!("tts"), &json!(characters))
    );
    assert_eq!(usage(&other, "").await.ok()["days"], json!([]));
    assert_eq!(usage(&app.admin, "").await.ok()["total"]["tasks_submitted"], 2);
    let owner = text(&own["days"][0]["owner"]).to_owned();
    let one = usage(&app.admin, &format!("?owner={owner}&days=1")).await.ok();
    assert_eq!(one["days"], own["days"]);
    usage(&other, &format!("?owner={owner}")).await.blames("owner");
    usage(&other, "?days=367").await.blames("days");
    // The next day has a line of its own, above.
    app.advance(DAY);
    app.report(&[&m]).await;
    judged(&app, &m, 1.0).await;
    let days = usage(&app.client, "?days=2").await.ok();
    let submitted: Vec<_> =
        days["days"].as_array().unwrap().iter().map(|day| day["tasks_submitted"].clone()).collect();
    assert_eq!(submitted, [1, 2], "{days}");
    app.finish().await;
}
