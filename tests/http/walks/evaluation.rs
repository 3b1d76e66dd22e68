//! Judgements, scores, and what a miner reads of its own standing.

use serde_json::{Value, json};

use crate::support::{Call, Peer, TestApp, miner, text, validator, wait_for};

/// A task that these miners have answered, in this order, a second apart.
async fn answered(app: &TestApp, miners: &[&Peer]) -> String {
    app.report(miners).await;
    let task = app.submit_tts(&[("redundancy", &miners.len().to_string())]).await;
    for miner in miners {
        let lease = app.one_lease(miner).await;
        app.advance(1_000);
        app.answer(miner, &lease).await.ok();
    }
    app.until(&task, "done").await;
    task
}

async fn scored(app: &TestApp, miner: &Peer) -> Value {
    wait_for("the score is in the miner's view", std::time::Duration::from_secs(5), async || {
        let view = app.view(miner).await;
        (view["responses_scored"] != 0).then_some(view)
    })
    .await
}

#[tokio::test]
async fn a_score_is_kept_and_shown_to_the_miner_also_after_a_restart() {
    let mut app = TestApp::start().await;
    let m = miner(0);
    let task = answered(&app, &[&m]).await;
    let before = app.view(&m).await;
    assert_eq!((&before["responses_scored"], &before["mean_score"]), (&json!(0), &Value::Null));
    assert_eq!(before["leases_answered"], 1);
    app.evaluate(&validator(0), &task, &[(0, 0.5)]).await;
    let view = scored(&app, &m).await;
    assert_eq!(view["responses_scored"], 1);
    // 0.7 · 0.5 + 0.3 · 1: the only answer is the fastest one.
    assert!((view["mean_score"].as_f64().unwrap() - 0.65).abs() < 1e-6, "{view}");
    app.restart().await;
    let view = scored(&app, &m).await;
    assert!((view["mean_score"].as_f64().unwrap() - 0.65).abs() < 1e-6, "{view}");
    app.finish().await;
}

#[tokio::test]
async fn the_same_evaluation_again_counts_once_and_another_one_conflicts() {
    let app = TestApp::start().await;
    let m = miner(0);
    let task = answered(&app, &[&m]).await;
    let judge = validator(0);
    assert_eq!(app.evaluate(&judge, &task, &[(0, 0.5)]).await["accepted"], 1);
    let again = app.evaluate(&judge, &task, &[(0, 0.5)]).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(1)));
    let other = json!({ "evaluations": [{ "miner_uid": 0, "accuracy": 0.9 }] });
    let conflict = app.send_evaluation(&judge, &task, &other).await;
    conflict.problem(409, "response_conflict");
    assert_eq!(scored(&app, &m).await["responses_scored"], 1);
    // A second validator may judge too, late, and changes nothing that was approved.
    assert_eq!(app.evaluate(&validator(1), &task, &[(0, 0.1)]).await["task_status"], "approved");
    assert_eq!(app.view(&m).await["responses_scored"], 1);
    app.finish().await;
}

#[tokio::test]
async fn a_quorum_of_validators_approves_and_one_liar_of_three_moves_nothing() {
    let app = TestApp::with(|config| config.evaluation.quorum = 3).await;
    let m = miner(0);
    let task = answered(&app, &[&m]).await;
    for (n, accuracy, status) in [(0, 0.8, "done"), (1, 0.0, "done"), (2, 0.8, "approved")] {
        let judged = app.evaluate(&validator(n), &task, &[(0, accuracy)]).await;
        assert_eq!(judged["task_status"], status);
    }
    let view = scored(&app, &m).await;
    assert!((view["mean_score"].as_f64().unwrap() - 0.86).abs() < 1e-6, "{view}");
    app.finish().await;
}

#[tokio::test]
async fn miners_own_claims_do_not_choose_the_winner_and_ties_go_to_the_faster() {
    let app = TestApp::start().await;
    let (quick, slow) = (miner(4), miner(2));
    app.report(&[&quick, &slow]).await;
    let task = app.submit_tts(&[("redundancy", "2")]).await;
    let (one, two) = (app.one_lease(&quick).await, app.one_lease(&slow).await);
    app.advance(1_000);
    app.answer(&quick, &one).await.ok();
    app.advance(9_000);
    let call = Call::post("/api/v1/miner/response").form(&[
        ("task_id", &task),
        ("miner_uid", "2"),
        ("lease_token", crate::support::token(&two)),
        ("response_data", r#"{"audio_data": "UklGRg=="}"#),
        ("processing_time", "0.0001"),
        ("accuracy_score", "999"),
        ("speed_score", "1e9"),
    ]);
    app.send(slow.who(), call).await.ok();
    let judged = app.evaluate(&validator(0), &task, &[(2, 0.7), (4, 0.7)]).await;
    assert_eq!(judged["best_miner_uid"], 4);
    app.finish().await;
}

#[tokio::test]
async fn what_is_left_to_judge_is_each_validators_own_list() {
    let app = TestApp::with(|config| config.evaluation.quorum = 2).await;
    let m = miner(0);
    let task = answered(&app, &[&m]).await;
    let left = async |n: u16| {
        let call = Call::get("/api/v1/validator/tasks");
        app.send(validator(n).who(), call).await.ok()["count"].as_u64().unwrap()
    };
    assert_eq!((left(0).await, left(1).await), (1, 1));
    app.evaluate(&validator(0), &task, &[(0, 0.5)]).await;
    assert_eq!((left(0).await, left(1).await), (0, 1));
    let own = Call::get("/api/v1/validator/200/evaluated_tasks");
    let listed = app.send(validator(0).who(), own).await.ok();
    assert_eq!(listed["evaluated_tasks"], json!([task]));
    assert_eq!(listed["evaluations"].as_array().unwrap().len(), 1);
    let seen = Call::post("/api/v1/validators/mark-task-seen")
        .json(&json!({ "validator_uid": 200, "task_id": task }));
    assert_eq!(app.send(validator(0).who(), seen).await.ok()["evaluated"], true);
    let completed = app.send(validator(2).who(), Call::get("/api/v1/tasks/completed")).await.ok();
    assert_eq!(text(&completed[0]["task_id"]), task);
    assert_eq!(completed[0]["miner_responses"].as_array().unwrap().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn whoever_judged_everything_is_told_nothing_and_of_a_new_task_at_once() {
    let mut app = TestApp::with(|config| config.evaluation.quorum = 2).await;
    let m = miner(0);
    let first = answered(&app, &[&m]).await;
    let left = async |app: &TestApp| -> Vec<String> {
        let call = Call::get("/api/v1/validator/tasks");
        let answer = app.send(validator(0).who(), call).await.ok();
        let tasks = answer["tasks"].as_array().unwrap().iter();
        tasks.map(|task| text(&task["task_id"]).to_owned()).collect()
    };
    app.evaluate(&validator(0), &first, &[(0, 0.5)]).await;
    let nothing: [&str; 0] = [];
    assert_eq!(left(&app).await, nothing);
    assert_eq!(left(&app).await, nothing);
    let second = answered(&app, &[&m]).await;
    assert_eq!(left(&app).await, [second.as_str()]);
    let third = answered(&app, &[&m]).await;
    assert_eq!(left(&app).await, [second.as_str(), third.as_str()]);
    app.evaluate(&validator(0), &second, &[(0, 0.5)]).await;
    assert_eq!(left(&app).await, [third.as_str()]);
    app.restart().await;
    assert_eq!(left(&app).await, [third.as_str()], "the rows know");
    app.finish().await;
}

#[tokio::test]
async fn only_done_tasks_are_judged() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let data = json!({ "evaluations": [{ "slot": 0, "accuracy": 0.5 }] });
    app.send_evaluation(&validator(0), &task, &data).await.problem(409, "conflict");
}

#[tokio::test]
async fn answers_that_agree_are_shown_and_served_before_anybody_judges() {
    let app = TestApp::start().await;
    let miners = [miner(0), miner(1), miner(2)];
    app.report(&miners.each_ref()).await;
    let text = "Plans are written in rooms and judged in the field, as everybody knows.".repeat(2);
    let call = Call::post("/api/v1/summarization").form(&[("text", text.as_str())]);
    let task = app.as_client(call).await.ok()["task_id"].as_str().unwrap().to_owned();
    let said = ["Buy my coin!", "Plans are judged in the field.", "plans are judged in the field"];
    for (miner, said) in miners.iter().zip(said) {
        let lease = app.one_lease(miner).await;
        let token = crate::support::token(&lease);
        app.respond(miner, &task, Some(token), &json!({ "summary": said })).await.ok();
    }
    app.until(&task, "done").await;
    // The first answer is the odd one: the one that the others agree with is served.
    let result = app.as_client(Call::get(format!("/api/v1/summarization/{task}/result"))).await;
    assert_eq!(result.ok()["result"]["summary"], said[1]);
    let shown = app.as_client(Call::get(format!("/api/v1/task/{task}/responses"))).await.ok();
    let agreement = |uid: u64| {
        let all = shown["responses"].as_array().unwrap();
        let own = all.iter().find(|response| response["miner_uid"] == uid).unwrap();
        own["agreement"].as_f64().unwrap()
    };
    assert_eq!((agreement(0), agreement(1)), (0.0, agreement(2)), "{shown}");
    let left = app.send(validator(0).who(), Call::get("/api/v1/validator/tasks")).await.ok();
    assert!(left["tasks"][0]["responses"][0]["agreement"].is_number(), "{left}");
    // A validator's word goes before likeness.
    app.evaluate(&validator(0), &task, &[(0, 1.0), (1, 0.1), (2, 0.1)]).await;
    let result = app.as_client(Call::get(format!("/api/v1/summarization/{task}/result"))).await;
    assert_eq!(result.ok()["result"]["summary"], said[0]);
    app.finish().await;
}
