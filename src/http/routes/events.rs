//! Server-sent events of one task. Each connection reads the rows, tells what it has not told yet,
//! and waits for a hint; nothing is written and nothing is remembered between connections.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::tasks::own;
use crate::domain::ids::TaskId;
use crate::domain::limits::{STREAM_BEAT_MILLIS, STREAM_LOOK_MILLIS, STREAM_MILLIS_MAX};
use crate::domain::task::TaskState;
use crate::http::Web;
use crate::http::auth::ClientCaller;
use crate::http::auth::keys::key_of;
use crate::http::error::{ApiError, ApiResult};
use crate::http::intake::Parked;
use crate::http::story::{Chapter, after, story};
use crate::outside::wake::Follower;
use crate::store::{StoreResult, TaskRecord};

/// Milliseconds after which a browser comes again.
const RETRY_MILLIS: u32 = 1_000;

#[derive(Deserialize)]
pub(super) struct From {
    last_event_id: Option<String>,
    until: Option<String>,
}

/// When a story is over for its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The task has ended.
    Ended,
    /// Nothing can follow: it was approved, or will never be.
    Approved,
}

impl Until {
    const fn over(self, state: TaskState) -> bool {
        match self {
            Self::Ended => state.ended(),
            Self::Approved => state.ended() && !matches!(state, TaskState::Done),
        }
    }
}

/// `GET /tasks/{id}/events`.
pub(super) async fn events(
    web: Data<Web>,
    caller: ClientCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<From>,
) -> ApiResult {
    let until = match query.until.as_deref() {
        None | Some("ended") => Until::Ended,
        Some("approved") => Until::Approved,
        Some(_) => return Err(ApiError::field("until", "must be `ended` or `approved`")),
    };
    let record = own(&web, &caller, &id).await?;
    // What a browser heard last is newer than what its page was made with.
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let last = header.or(query.last_event_id.as_deref());
    let follower = web.wake.follow(record.task.id);
    let (story, record) = read(&web, record.task.id).await?.unwrap_or((Vec::new(), record));
    let left = after(&story, last);
    if left.is_empty() && until.over(record.state) {
        // The one answer after which a browser does not come again.
        return Ok(HttpResponse::NoContent().finish());
    }
    let heard = story.len() - left.len();
    let told = story.iter().take(heard).map(|chapter| chapter.id.clone()).collect();
    let permit = web.gate.park(&request, web.clock.now())?;
    metrics::gauge!(crate::telemetry::STREAMS).increment(1);
    let listener = Listener {
        stopping: web.stopping.subscribe(),
        web: web.clone(),
        key: key_of(&request),
        task: record.task.id,
        until,
        told,
        follower,
        began: Instant::now(),
        ended: false,
        greeted: false,
        _permit: permit,
    };
    let body = stream::unfold(listener, |mut listener| async move {
        let text = listener.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), listener))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(body)))
}

/// A task's story, from its rows.
async fn read(web: &Web, id: TaskId) -> StoreResult<Option<(Vec<Chapter>, TaskRecord)>> {
    // The task first: what belongs to its state was written before it or with it.
    let Some(record) = web.store.task(id).await? else { return Ok(None) };
    let (responses, evaluations) =
        (web.store.responses(id).await?, web.store.evaluations(id).await?);
    Ok(Some((story(&record, &responses, &evaluations, &web.directory), record)))
}

/// One connection.
struct Listener {
    web: Data<Web>,
    /// The API key that it came with: what is told ends with it.
    key: Option<String>,
    task: TaskId,
    until: Until,
    /// Ids of what was told: rows may come to light a little out of order.
    told: HashSet<String>,
    follower: Follower,
    stopping: watch::Receiver<bool>,
    began: Instant,
    ended: bool,
    greeted: bool,
    _permit: Parked,
}

impl Drop for Listener {
    fn drop(&mut self) {
        metrics::gauge!(crate::telemetry::STREAMS).decrement(1);
    }
}

impl Listener {
    /// The next piece of text, `None` when the stream ends.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(format!("retry: {RETRY_MILLIS}\n\n"));
        }
        let told_at = Instant::now();
        while !self.ended {
            self.web.keys.still(self.key.as_deref(), self.web.clock.now()).ok()?;
            match read(&self.web, self.task).await {
                Ok(Some((story, record))) => {
                    let text = self.news(&story);
                    self.ended = self.until.over(record.state);
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Ok(None) => return None,
                Err(error) => tracing::warn!(task.id = %self.task, %error, "a stream cannot read"),
            }
            if self.ended || !self.wait().await {
                return None;
            }
            if told_at.elapsed() >= millis(STREAM_BEAT_MILLIS) {
                return Some(": still here\n\n".to_owned());
            }
        }
        None
    }

    /// What was not told yet.
    fn news(&mut self, story: &[Chapter]) -> String {
        let mut text = String::new();
        for chapter in story {
            if self.told.insert(chapter.id.clone()) {
                let (id, event, data) = (&chapter.id, chapter.event, &chapter.data);
                text.push_str(&format!("id: {id}\nevent: {event}\ndata: {data}\n\n"));
            }
        }
        text
    }

    /// Waits for a hint or a while; whether the stream goes on.
    async fn wait(&mut self) -> bool {
        let left = millis(STREAM_MILLIS_MAX).saturating_sub(self.began.elapsed());
        tokio::select! {
            () = self.follower.changed() => true,
            () = tokio::time::sleep(millis(STREAM_LOOK_MILLIS)) => true,
            () = tokio::time::sleep(left) => false,
            _ = self.stopping.wait_for(|stop| *stop) => false,
        }
    }
}

const fn millis(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}
