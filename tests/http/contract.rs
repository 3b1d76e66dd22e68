//! `/openapi.json` and `/docs`. That every answer is as documented is checked in
//! `support::contract`, for every answer to every test.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, Call, TEXT, TestApp, Who, miner, served, text, validator};

#[tokio::test]
async fn the_document_names_the_routes_that_are_served_and_no_others() {
    let app = TestApp::start().await;
    let document = app.send(Who::Nobody, Call::get("/openapi.json")).await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut named = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            named.insert((method.to_uppercase(), path.clone()));
        }
    }
    assert_eq!(named, served());
    let codes = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in ["invalid_field", "lease_lost", "not_found", "full"] {
        assert!(codes.as_array().unwrap().contains(&json!(code)), "{code}: {codes}");
    }
    app.finish().await;
}

#[tokio::test]
async fn configured_kinds_are_documented_with_their_languages_and_limits() {
    let weather = pithead::domain::kind::TaskKind {
        name: "weather_report".to_owned(),
        languages: vec!["eo".to_owned()],
        text_chars_min: 3,
        text_chars_max: 77,
        ..pithead::domain::kind::KindRegistry::default().find("tts").unwrap().1.clone()
    };
    let app = TestApp::with(|config| config.kinds = vec![weather]).await;
    let document = app.send(Who::Nobody, Call::get("/openapi.json")).await.ok();
    let body = &document["paths"]["/api/v1/tasks"]["post"]["requestBody"]["content"];
    let fields = &body["application/json"]["schema"]["properties"];
    assert!(fields["task_type"]["enum"].as_array().unwrap().contains(&json!("weather_report")));
    let words = fields["task_type"]["description"].as_str().unwrap();
    assert!(words.contains("`weather_report`: `text` of 3 to 77 characters"), "{words}");
    assert!(fields["source_language"]["enum"].as_array().unwrap().contains(&json!("eo")));
    app.finish().await;
}

#[tokio::test]
async fn the_page_shows_every_route_and_loads_nothing() {
    let app = TestApp::start().await;
    let page = app.send(Who::Nobody, Call::get("/docs")).await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let html = page.text_whole();
    let document = app.send(Who::Nobody, Call::get("/openapi.json")).await.ok();
    for tag in document["tags"].as_array().unwrap() {
        let name = tag["name"].as_str().unwrap();
        assert!(html.contains(&format!("<h2>{name}</h2>")), "{name}");
    }
    for (method, path) in served() {
        let shown = format!("\">{method}</span><code>{path}</code>");
        assert!(html.replace("</span> <code>", "</span><code>").contains(&shown), "{shown}");
    }
    for elsewhere in ["src=", "@import", "url(", "<link", "<iframe", "fetch(", "href=\"http"] {
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
    app.finish().await;
}

/// What is bent, and how.
type Case<'c> = (&'static str, &'c dyn Fn(&mut Value));

#[tokio::test]
async fn an_answer_that_is_not_as_documented_is_noticed() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let task = app.submit_tts(&[]).await;
    let good = app.as_client(Call::get(format!("/api/v1/tasks/{task}"))).await;
    let bent = |change: &dyn Fn(&mut Value)| {
        let mut value = good.value();
        change(&mut value);
        Answer { bytes: value.to_string().into(), ..good.clone() }
    };
    let breach = |answer: &Answer| app.contract.breach(answer);
    assert_eq!(breach(&good), None);
    let cases: [Case<'_>; 6] = [
        ("a field too many", &|value| value["more"] = json!(1)),
        ("one too many within", &|value| value["progress"]["more"] = json!(1)),
        ("one missing", &|value| drop(value.as_object_mut().unwrap().remove("deadline"))),
        ("of another type", &|value| value["redundancy"] = json!("3")),
        ("none of the names", &|value| value["status"] = json!("soon")),
        ("no time", &|value| value["created_at"] = json!("yesterday")),
    ];
    for (what, change) in cases {
        assert!(breach(&bent(change)).is_some(), "{what}");
    }
    let other = |status| Answer { status, ..good.clone() };
    assert!(breach(&other(418)).is_some(), "a status that is not documented");
    assert!(breach(&other(404)).is_some(), "a refusal that is no problem");
    let refused = app.as_client(Call::get(format!("/api/v1/tasks/{}", "x"))).await;
    assert_eq!(breach(&refused), None);
    let mut wrong = refused.value();
    wrong["code"] = json!("lease_lost");
    let wrong = Answer { bytes: wrong.to_string().into(), ..refused };
    assert!(breach(&wrong).is_some(), "a code of another status");
    app.cancel(&task).await.ok();
    app.finish().await;
}

/// JSON Schema's integers have no form of their own: `3.0` is one.
#[tokio::test]
async fn a_whole_number_may_be_written_with_a_point() {
    let app = TestApp::start().await;
    let m = miner(0);
    app.report(&[&m]).await;
    let wish = json!({ "text": TEXT, "redundancy": 1.0, "deadline_secs": 60.0 });
    let made = app.as_client(Call::post("/api/v1/tts").json(&wish)).await.ok();
    assert_eq!(made["redundancy"], 1);
    let (_, lease) = app.holder(&[&m], text(&made["task_id"])).await;
    app.answer(&m, &lease).await.ok();
    let data = json!([{ "miner_uid": 0.0, "accuracy": 1 }]);
    let judged = json!({ "task_id": made["task_id"], "evaluation_data": data });
    let call = Call::post("/api/v1/validator/evaluation").json(&judged);
    app.send(validator(0).who(), call).await.ok();
    for (field, value) in [("redundancy", 1.5), ("deadline_secs", 60.5), ("delay_secs", 1e300)] {
        let mut wish = json!({ "text": TEXT });
        wish[field] = json!(value);
        app.as_client(Call::post("/api/v1/tts").json(&wish)).await.names(field);
    }
    app.finish().await;
}
