//! `POST /api/v1/tts` and its sisters with text: one table of wrong fields, each named.

use serde_json::{Value, json};

use crate::support::{Call, TEXT, TestApp};

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({ "text": TEXT });
    body[field] = value;
    body
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_queued() {
    let app = TestApp::start().await;
    let wrong: Vec<(&str, Value)> = [
        ("text", vec![json!(5), json!([]), json!({}), json!(true), json!(null), json!("")]),
        (
            "text",
            vec![json!("too short"), json!("          x          "), json!("a".repeat(10_001))],
        ),
        ("text", vec![json!("a NUL\u{0} inside a long text")]),
        ("source_language", vec![json!("xx"), json!("EN"), json!(7), json!("e".repeat(500))]),
        ("source_language", vec![json!("en\r\nX: y"), json!("../en")]),
        ("priority", vec![json!("soon"), json!("URGENT"), json!(1), json!(["high"])]),
        ("redundancy", vec![json!(0), json!(-1), json!(17), json!(1.5), json!("three"), json!([])]),
        ("redundancy", vec![json!(1e300), json!(true), json!("NaN"), json!("1e1")]),
        ("deadline_secs", vec![json!(0), json!(4), json!(-60), json!(700_000), json!("soon")]),
        ("deadline_secs", vec![json!(i64::MAX), json!(u64::MAX), json!(60.5)]),
        ("completion", vec![json!("some"), json!("quorum:0"), json!("quorum:"), json!(2)]),
        ("completion", vec![json!("quorum:-1"), json!("quorum:99999999"), json!("FIRST")]),
        ("model_id", vec![json!("m".repeat(121)), json!(3), json!("a\u{7}b")]),
        ("voice_name", vec![json!("v".repeat(121)), json!({ "name": "anna" })]),
        ("callback_url", vec![json!("http://127.0.0.1/x"), json!(1), json!(["x"])]),
    ]
    .into_iter()
    .flat_map(|(field, values)| values.into_iter().map(move |value| (field, value)))
    .collect();
    for (field, value) in wrong {
        let body = with(field, value.clone());
        app.as_client(Call::post("/api/v1/tts").json(&body)).await.names(field);
        // The same as a form, where it has a text.
        if let Some(text) = value.as_str().filter(|text| !text.is_empty() || field == "text") {
            let text_of = if field == "text" { text } else { TEXT };
            let mut pairs = vec![("text", text_of)];
            if field != "text" {
                pairs.push((field, text));
            }
            app.as_client(Call::post("/api/v1/tts").form(&pairs)).await.names(field);
        }
    }
    assert_eq!(app.task_count().await, 0);
}

#[tokio::test]
async fn all_wrong_fields_come_at_once() {
    let app = TestApp::start().await;
    let body = json!({ "priority": "soon", "redundancy": -1 });
    let answer = app.as_client(Call::post("/api/v1/tts").json(&body)).await;
    for field in ["text", "priority", "redundancy"] {
        answer.names(field);
    }
    let twice = Call::post("/api/v1/tts")
        .body("application/x-www-form-urlencoded", "text=long+enough+text&text=another+text");
    app.as_client(twice).await.names("text");
    assert_eq!(app.task_count().await, 0);
}

#[tokio::test]
async fn limits_of_each_kind_of_text() {
    let app = TestApp::start().await;
    for (kind, min, max) in [("tts", 10, 10_000), ("summarization", 50, 50_000)] {
        let target = format!("/api/v1/{kind}");
        let submit = async |count: usize| {
            let body = json!({ "text": "\u{fc}".repeat(count) });
            app.as_client(Call::post(&target).json(&body)).await
        };
        submit(min - 1).await.names("text");
        submit(min).await.ok();
        submit(max).await.ok();
        submit(max + 1).await.names("text");
    }
    // Fifty spaces are no fifty characters.
    let body = json!({ "text": format!("{}short{}", " ".repeat(40), " ".repeat(40)) });
    app.as_client(Call::post("/api/v1/summarization").json(&body)).await.names("text");
    let target = "/api/v1/text-translation";
    for (body, field) in [
        (json!({ "text": "good day" }), "target_language"),
        (json!({ "text": "good day", "target_language": "en" }), "target_language"),
        (json!({ "text": "good day", "target_language": "xx" }), "target_language"),
        (json!({ "target_language": "fr" }), "text"),
    ] {
        app.as_client(Call::post(target).json(&body)).await.names(field);
    }
    assert_eq!(app.task_count().await, 4);
}

#[tokio::test]
async fn every_documented_value_is_taken() {
    let app = TestApp::start().await;
    let mut count = 0;
    for (field, values) in [
        ("priority", vec!["low", "normal", "high", "urgent"]),
        ("completion", vec!["first", "all", "quorum:2"]),
        (
            "source_language",
            vec!["en", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "zh", "ar", "hi"],
        ),
        ("redundancy", vec!["1", "16"]),
        ("deadline_secs", vec!["5", "604800"]),
        ("unknown_field", vec!["is ignored"]),
    ] {
        for value in values {
            app.submit_tts(&[(field, value)]).await;
            count += 1;
        }
    }
    assert_eq!(app.task_count().await, count);
}
