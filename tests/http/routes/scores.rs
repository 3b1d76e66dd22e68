//! `POST /api/v1/scores`.

use pithead::config::KindWeight;
use pithead::domain::units::DAY;
use serde_json::{Value, json};

use crate::support::{Answer, Call, Peer, TestApp, miner, validator};

/// A server that scores the weather beside its own kinds, with a miner since a day.
async fn start() -> TestApp {
    let weather =
        KindWeight { name: "weather".to_owned(), weight_millionths: 700_000, sigmoid: false };
    let app = TestApp::with(|config| config.weights.kinds.push(weather)).await;
    app.report(&[&miner(0)]).await;
    app.advance(DAY);
    app
}

fn score(app: &TestApp, ago_millis: i64, score: f64) -> Value {
    json!({
        "kind": "weather", "uid": 0, "hotkey": miner(0).hotkey(), "score": score,
        "scored_at": app.clock.now().0 - ago_millis, "block": 7,
    })
}

async fn push(app: &TestApp, by: &Peer, body: &Value) -> Answer {
    app.send(by.who(), Call::post("/api/v1/scores").json(body)).await
}

/// What an answer counts: new ones, known ones, and the places of refused ones with their fields.
fn counts(answer: &Value) -> (u64, u64, Vec<(u64, &str)>) {
    let refused = answer["rejected"].as_array().unwrap().iter();
    let refused = refused.map(|of| (of["index"].as_u64().unwrap(), of["field"].as_str().unwrap()));
    let count = |name: &str| answer[name].as_u64().unwrap();
    (count("accepted"), count("duplicates"), refused.collect())
}

#[tokio::test]
async fn scores_count_once_and_another_value_is_refused() {
    let app = start().await;
    let (one, two) = (score(&app, 1_000, 0.5), score(&app, 2_000, 0.6));
    let v = validator(0);
    let both = json!({ "scores": [one, two] });
    assert_eq!(counts(&push(&app, &v, &both).await.ok()), (2, 0, vec![]));
    assert_eq!(counts(&push(&app, &v, &both).await.ok()), (0, 2, vec![]));
    let mut other = one.clone();
    other["score"] = json!(0.7);
    let third = score(&app, 3_000, 0.1);
    let mixed = json!({ "scores": [other, third, one] });
    let answer = push(&app, &v, &mixed).await.ok();
    assert_eq!(counts(&answer), (1, 1, vec![(0, "score")]));
    assert_eq!(answer["rejected"][0]["uid"], 0);
    push(&app, &v, &other).await.names("scores[0].score");
    let by_another = push(&app, &validator(1), &other).await.ok();
    assert_eq!(counts(&by_another), (1, 0, vec![]), "each validator has a voice of its own");
    assert!(app.metric("pithead_scores_pushed_total").await >= 4.0);
    app.finish().await;
}

#[tokio::test]
async fn scores_come_as_a_list_as_one_and_as_a_form() {
    let app = start().await;
    let v = validator(0);
    let one = score(&app, 1_000, 0.5);
    assert_eq!(counts(&push(&app, &v, &one).await.ok()), (1, 0, vec![]));
    let list = json!([one, score(&app, 2_000, 0.5)]).to_string();
    let form = Call::post("/api/v1/scores").form(&[("scores", &list), ("validator_uid", "200")]);
    assert_eq!(counts(&app.send(v.who(), form).await.ok()), (1, 1, vec![]));
    let wrong = Call::post("/api/v1/scores").form(&[("scores", &list), ("validator_uid", "201")]);
    app.send(v.who(), wrong).await.problem(403, "uid_mismatch");
    app.finish().await;
}

#[tokio::test]
async fn a_wrong_score_is_refused_and_its_neighbours_are_taken() {
    let app = start().await;
    let v = validator(0);
    let with = |field: &str, value: Value| {
        let mut entry = score(&app, 1_000, 0.5);
        entry[field] = value;
        entry
    };
    let now = app.clock.now().0;
    let cases = [
        ("kind", json!("lava")),
        ("uid", json!(1)),
        ("uid", json!(70_000)),
        ("hotkey", json!(miner(1).hotkey())),
        ("score", json!(1.5)),
        ("score", json!(null)),
        ("scored_at", json!(now + 60_000)),
        ("scored_at", json!(now - 2 * DAY)),
        ("scored_at", json!(now - 31 * DAY)),
        ("block", json!(-1)),
    ];
    let mut scores: Vec<_> =
        cases.iter().map(|(field, value)| with(field, value.clone())).collect();
    for entry in &scores {
        push(&app, &v, entry).await.problem(422, "invalid_field");
    }
    scores.push(score(&app, 1_000, 0.5));
    let answer = push(&app, &v, &json!({ "scores": scores })).await.ok();
    let places = (0..).zip(cases.iter().map(|(field, _)| *field));
    assert_eq!(counts(&answer), (1, 0, places.collect()));
    app.finish().await;
}

#[tokio::test]
async fn what_is_no_list_of_scores_is_refused() {
    let app = start().await;
    let v = validator(0);
    for scores in [json!(null), json!([]), json!(5), json!("no json")] {
        push(&app, &v, &json!({ "scores": scores })).await.names("scores");
    }
    let many = vec![score(&app, 1_000, 0.5); 1_001];
    push(&app, &v, &json!({ "scores": many })).await.problem(413, "too_large");
    app.finish().await;
}
