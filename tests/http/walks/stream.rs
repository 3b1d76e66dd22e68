//! A task's events as they come, over one connection and over several.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Call, TestApp, Who, miner, validator};

/// How long an event may take to come.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

/// An open stream, as a browser reads it.
struct Stream {
    response: reqwest::Response,
    buffer: String,
}

impl Stream {
    async fn open(app: &TestApp, target: &str, last: Option<&str>) -> Self {
        let mut request = app.http.get(format!("{}{target}", app.url()));
        request = request.header("Authorization", format!("Bearer {}", app.client));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{target}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-cache");
        assert_eq!(header("x-accel-buffering"), "no");
        Self { response, buffer: String::new() }
    }

    /// The next event; `None` when the stream ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|line| line.trim_start().to_owned())
                };
                let event = field("id:").map(|id| Event {
                    id,
                    name: field("event:").unwrap(),
                    data: serde_json::from_str(&field("data:").unwrap()).unwrap(),
                });
                self.buffer = rest.to_owned();
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("neither an event nor the end came").unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn named(&mut self, name: &str) -> Event {
        let event = self.next().await.expect("the stream ended");
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// All that are left, until the stream ends.
    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

fn target(task: &str) -> String {
    format!("/api/v1/tasks/{task}/events")
}

#[tokio::test]
async fn events_come_as_they_happen_and_the_stream_ends_with_the_task() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let mut stream = Stream::open(&app, &target(&task), None).await;
    let placed = stream.named("placed").await;
    assert_eq!((&placed.data["task_id"], &placed.data["task_type"]), (&json!(task), &json!("tts")));
    app.report(&[&miner(0)]).await;
    let leased = stream.named("leased").await;
    assert_eq!(leased.data["holder"]["miner_uid"], 0);
    let (_, lease) = app.holder(&[&miner(0)], &task).await;
    stream.named("fetched").await;
    app.release(&miner(0), &lease, "busy").await.ok();
    let lost = stream.named("lost").await;
    assert_eq!(lost.data["reason"], "busy");
    app.advance(2_000);
    let leased = stream.named("leased").await;
    assert_eq!(leased.id, "leased.0.2");
    let (_, lease) = app.holder(&[&miner(0)], &task).await;
    stream.named("fetched").await;
    app.answer(&miner(0), &lease).await.ok();
    let responded = stream.named("responded").await;
    assert_eq!(responded.data["miner_uid"], 0);
    assert!(!responded.data.to_string().contains("UklGRg"), "no answers inside");
    stream.named("done").await;
    assert_eq!(stream.next().await, None);
    app.finish().await;
}

/// A task that was answered and approved.
async fn approved(app: &TestApp) -> String {
    app.report(&[&miner(0)]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&miner(0)).await;
    app.answer(&miner(0), &lease).await.ok();
    app.evaluate(&validator(0), &task, &[(0, 0.5)]).await;
    task
}

#[tokio::test]
async fn whoever_comes_again_goes_on_where_he_was_and_is_then_sent_away() {
    let app = TestApp::start().await;
    let task = approved(&app).await;
    let whole = Stream::open(&app, &target(&task), None).await.rest().await;
    let order = ["placed", "leased", "fetched", "responded", "done", "evaluated", "approved"];
    assert_eq!(names(&whole), order);
    assert_eq!(Stream::open(&app, &target(&task), None).await.rest().await, whole, "stable");
    for (place, event) in whole.iter().enumerate() {
        let left = &whole[place + 1..];
        if left.is_empty() {
            break;
        }
        let by_header = Stream::open(&app, &target(&task), Some(&event.id)).await.rest().await;
        assert_eq!(by_header, left, "after {}", event.id);
        let query = format!("{}?last_event_id={}", target(&task), event.id);
        let by_query = Stream::open(&app, &query, None).await.rest().await;
        assert_eq!(by_query, left, "after {}", event.id);
        // The header is what a browser heard last, whatever its first URL says.
        let both = format!("{}?last_event_id=placed", target(&task));
        let by_both = Stream::open(&app, &both, Some(&event.id)).await.rest().await;
        assert_eq!(by_both, left, "after {}", event.id);
    }
    let unknown = Stream::open(&app, &target(&task), Some("what?")).await.rest().await;
    assert_eq!(unknown, whole, "an unknown id begins anew");
    let last = &whole[whole.len() - 1].id;
    let call = Call::get(target(&task)).header("Last-Event-ID", last);
    app.as_client(call).await.is(204);
    app.finish().await;
}

#[tokio::test]
async fn who_wants_the_approval_waits_beyond_the_end() {
    let app = TestApp::start().await;
    app.report(&[&miner(0)]).await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let lease = app.one_lease(&miner(0)).await;
    app.answer(&miner(0), &lease).await.ok();
    let long = format!("{}?until=approved", target(&task));
    let mut stream = Stream::open(&app, &long, Some("responded.0")).await;
    let done = stream.named("done").await;
    // For who does not, everything was told.
    let call = Call::get(target(&task)).header("Last-Event-ID", &*done.id);
    app.as_client(call).await.is(204);
    app.evaluate(&validator(0), &task, &[(0, 0.5)]).await;
    let evaluated = stream.named("evaluated").await;
    assert_eq!(evaluated.data["slot"], 0);
    let end = stream.named("approved").await;
    assert_eq!(end.data["best_slot"], 0);
    assert_eq!(stream.next().await, None);
    let call = Call::get(long).header("Last-Event-ID", &*end.id);
    app.as_client(call).await.is(204);
    let wrong = Call::get(format!("{}?until=x", target(&task)));
    app.as_client(wrong).await.names("until");
    app.finish().await;
}

#[tokio::test]
async fn other_endings_end_the_stream_too_and_foreign_tasks_are_none() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let mut stream = Stream::open(&app, &target(&task), None).await;
    stream.named("placed").await;
    let other = app.new_key("client").await;
    let foreign = app.send(Who::Bearer(&other), Call::get(target(&task))).await;
    foreign.problem(404, "not_found");
    app.send(Who::Bearer(&app.admin), Call::get("/api/v1/tasks/x/events")).await.is(404);
    app.cancel(&task).await.ok();
    stream.named("cancelled").await;
    assert_eq!(stream.next().await, None);
    let late = app.submit_tts(&[("deadline_secs", "5")]).await;
    let mut stream = Stream::open(&app, &target(&late), Some("placed")).await;
    app.advance(6_000);
    stream.named("expired").await;
    assert_eq!(stream.next().await, None);
    app.finish().await;
}

#[tokio::test]
async fn streams_are_parked_and_not_in_flight_and_end_with_the_server() {
    let mut app = TestApp::with(|config| {
        config.limits.in_flight = 2;
        config.limits.parked = 3;
    })
    .await;
    let task = app.submit_tts(&[]).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = Stream::open(&app, &target(&task), None).await;
        stream.named("placed").await;
        streams.push(stream);
    }
    app.as_client(Call::get(target(&task))).await.problem(503, "full");
    assert_eq!(app.forgive(), 1);
    app.task(&task).await;
    app.restart().await;
    for mut stream in streams {
        assert_eq!(stream.next().await, None, "it ended as a stream should");
    }
    app.cancel(&task).await.ok();
    app.finish().await;
}

#[tokio::test]
async fn an_operator_that_takes_no_new_tasks_cuts_off_no_stream() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let mut stream = Stream::open(&app, &target(&task), None).await;
    stream.named("placed").await;
    let drain = Call::post("/api/v1/admin/drain").json(&json!({ "draining": true }));
    app.send(Who::Bearer(&app.admin), drain).await.ok();
    app.cancel(&task).await.ok();
    stream.named("cancelled").await;
    app.finish().await;
}

#[tokio::test]
async fn a_stream_with_nothing_to_tell_shows_that_it_lives() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    let mut stream = Stream::open(&app, &target(&task), None).await;
    stream.named("placed").await;
    let chunk = tokio::time::timeout(PATIENCE, stream.response.chunk()).await;
    let chunk = chunk.expect("no sign of life").unwrap().unwrap();
    assert!(chunk.starts_with(b": ") && chunk.ends_with(b"\n\n"), "a comment: {chunk:?}");
    app.cancel(&task).await.ok();
    stream.named("cancelled").await;
    app.finish().await;
}

#[tokio::test]
async fn nothing_is_told_any_more_once_the_key_is_taken_back() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[("redundancy", "1")]).await;
    let mut stream = Stream::open(&app, &target(&task), None).await;
    stream.named("placed").await;
    let target = format!("/api/v1/tasks/{task}?wait=60");
    let waiting = app.as_client(Call::get(&target));
    let (answer, ()) = tokio::join!(waiting, async {
        // The stream and the wait.
        crate::support::wait_for("both are parked", PATIENCE, async || {
            (app.metric("pithead_polls_parked").await >= 2.0).then_some(())
        })
        .await;
        let id = app.client.split('_').nth(1).unwrap();
        let revoke = Call::delete(format!("/api/v1/admin/keys/{id}"));
        app.send(Who::Bearer(&app.admin), revoke).await.is(204);
        let cancel = Call::delete(format!("/api/v1/tasks/{task}"));
        app.send(Who::Bearer(&app.admin), cancel).await.ok();
    });
    answer.problem(401, "unauthenticated");
    let told = tokio::time::timeout(PATIENCE, stream.rest()).await.expect("the stream goes on");
    assert_eq!(told, [], "not even that the task was cancelled");
    app.finish().await;
}
