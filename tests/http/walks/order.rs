//! Which task goes first.

use serde_json::json;

use crate::support::{Call, TestApp, miner, status, validator};

#[tokio::test]
async fn urgent_before_high_before_normal_before_low_and_old_before_new() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for (rank, priority) in [(3, "low"), (2, "normal"), (0, "urgent"), (1, "high"), (2, "normal")] {
        let task = app.submit_tts(&[("redundancy", "1"), ("priority", priority)]).await;
        expected.push((rank, expected.len(), task));
        app.advance(10);
    }
    expected.sort();
    let mut one_at_a_time = status(&miner(0));
    one_at_a_time["max_capacity"] = json!(1);
    app.report_statuses(&json!([one_at_a_time])).await;
    for (.., task) in &expected {
        let lease = app.one_lease(&miner(0)).await;
        assert_eq!(lease["task_id"], *task, "{expected:?}");
        assert_eq!(app.leases(&miner(0)).await.len(), 1, "more than its capacity");
        app.answer(&miner(0), &lease).await.ok();
    }
    app.finish().await;
}

#[tokio::test]
async fn nothing_starves_an_old_low_task_goes_before_new_urgent_ones() {
    let app = TestApp::start().await;
    let old = app.submit_tts(&[("priority", "low")]).await;
    app.advance(41 * 60_000);
    app.submit_tts(&[("priority", "urgent")]).await;
    let pulled = app.distribute(&validator(0), 1).await;
    assert_eq!(pulled[0]["task_id"], old);
}

#[tokio::test]
async fn lists_are_newest_first_paged_and_filtered() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(app.submit_tts(&[]).await);
    }
    app.cancel(&ids[2]).await.ok();
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = app.as_client(Call::get(format!("/api/v1/tasks?limit=2{cursor}"))).await.ok();
        let tasks = page["tasks"].as_array().unwrap();
        seen.extend(tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let count = async |query: &str| {
        let call = Call::get(format!("/api/v1/tasks?{query}"));
        app.as_client(call).await.ok()["count"].as_u64().unwrap()
    };
    assert_eq!(count("status=cancelled").await, 1);
    assert_eq!(count("status=pending").await, 4);
    assert_eq!(count("task_type=tts").await, 5);
    assert_eq!(count("task_type=video-transcription").await, 0);
}
