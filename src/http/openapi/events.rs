//! What the stream of a task's events does.

use super::TASKS;
use super::operation::Operation;
use super::schema::{one_of, text};
use super::tasks::task_id;
use crate::domain::kind::KindRegistry;

pub(in crate::http) fn events(_: &KindRegistry) -> Operation {
    Operation::new(TASKS, "Streams what happens to a task, as server-sent events")
        .more(
            "Each event has a stable id; whoever comes again with `Last-Event-ID` goes on behind it. \
             Events: `placed`, `leased`, `fetched`, `lost`, `responded`, `evaluated`, and the status \
             with which it ends. The stream ends with the task, and after 10 minutes.",
        )
        .path("id", task_id())
        .query("last_event_id", text("The id of the last event heard, where no header can be sent"))
        .query("until", one_of(["ended", "approved"], "What ends the stream; `ended` if left out"))
        .answers_as(200, "Events", "text/event-stream")
        .answers_nothing(204, "Nothing is left to tell, and nothing will follow")
}
