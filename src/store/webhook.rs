//! Telling clients: their endpoints, the secrets that sign, and the outbox.
//!
//! A delivery's row is written by whichever command makes the event happen, in its transaction:
//! there is no command for it.

use super::command::Nonce;
use crate::domain::ids::{DeliveryId, TaskId, WebhookId};
use crate::domain::task::{TaskState, TaskStatus};
use crate::domain::units::Millis;
use crate::domain::webhook::{
    EventType, delivery_id, lane_of_callback, lane_of_webhook, status_of, wants,
};

/// An endpoint's row.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRow {
    /// Key.
    pub id: WebhookId,
    /// Whose.
    pub owner: String,
    /// Where to.
    pub url: String,
    /// Types of events, separated by spaces; empty for all.
    pub events: String,
    /// What signs.
    pub secret: String,
    /// The secret before the last rotation.
    pub old_secret: Option<String>,
    /// Until when that one signs too.
    pub old_until: Option<Millis>,
    /// Made.
    pub created_at: Millis,
    /// Not told any more since then.
    pub disabled_at: Option<Millis>,
    /// Why not.
    pub disabled_reason: Option<String>,
}

// By hand, so that no log line ever holds a secret.
impl std::fmt::Debug for WebhookRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookRow")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("url", &self.url)
            .field("events", &self.events)
            .field("old_until", &self.old_until)
            .field("disabled_at", &self.disabled_at)
            .field("disabled_reason", &self.disabled_reason)
            .finish_non_exhaustive()
    }
}

/// See [`super::Store::put_webhook`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutWebhook {
    /// The endpoint.
    pub webhook: WebhookRow,
    /// Endpoints that its owner may have.
    pub owned_max: u64,
    /// Of a signed request.
    pub nonce: Option<Nonce>,
}

/// Answer to [`PutWebhook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookPut {
    /// Written down, now or by an earlier try of the same command.
    Done,
    /// The owner has as many as may be.
    Full,
}

/// See [`super::Store::rotate_webhook`].
#[derive(Clone, PartialEq, Eq)]
pub struct RotateWebhook {
    /// Which.
    pub id: WebhookId,
    /// The new secret.
    pub secret: String,
    /// Until when the one before signs too.
    pub old_until: Millis,
}

impl std::fmt::Debug for RotateWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotateWebhook").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A secret that signs an owner's callbacks. See [`super::Store::know_callback_secret`].
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackSecretRow {
    /// Whose.
    pub owner: String,
    /// What signs.
    pub secret: String,
    /// Made.
    pub created_at: Millis,
}

impl std::fmt::Debug for CallbackSecretRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackSecretRow").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// What happened to a task, to be told to whom it concerns.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) task: TaskId,
    pub(super) owner: String,
    pub(super) callback_url: Option<String>,
    pub(super) event: EventType,
    pub(super) at: Millis,
    pub(super) state: TaskState,
    pub(super) responses: u16,
}

impl Happening {
    /// The row for the task's own callback, if the event is told there.
    pub(super) fn for_callback(&self) -> Option<DeliveryRow> {
        let url = self.callback_url.as_ref().filter(|_| self.event.calls_back())?;
        let row = self.row(lane_of_callback(url), None);
        Some(DeliveryRow { url: Some(url.clone()), ..row })
    }

    /// The row for an endpoint, if it wants to hear of it.
    pub(super) fn for_webhook(&self, id: WebhookId, events: &str) -> Option<DeliveryRow> {
        wants(events, self.event).then(|| self.row(lane_of_webhook(id), Some(id)))
    }

    fn row(&self, lane: String, webhook: Option<WebhookId>) -> DeliveryRow {
        DeliveryRow {
            id: delivery_id(self.at, self.task, self.event, &lane),
            owner: self.owner.clone(),
            lane,
            event: self.event,
            status: status_of(self.state),
            webhook,
            url: None,
            task: self.task,
            responses: self.responses,
            created_at: self.at,
            attempts: 0,
            next_at: Some(self.at),
            delivered_at: None,
            given_up_at: None,
            tried: None,
        }
    }
}

/// One event for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Key.
    pub id: DeliveryId,
    /// Whose.
    pub owner: String,
    /// What shares a few places: an endpoint, or a host of callbacks.
    pub lane: String,
    /// What happened.
    pub event: EventType,
    /// The task's status then.
    pub status: TaskStatus,
    /// The endpoint; `None` for a callback.
    pub webhook: Option<WebhookId>,
    /// Where to, for a callback.
    pub url: Option<String>,
    /// The task.
    pub task: TaskId,
    /// Answers then.
    pub responses: u16,
    /// When it happened.
    pub created_at: Millis,
    /// Tries so far.
    pub attempts: u32,
    /// Due; `None` when there is nothing left to do.
    pub next_at: Option<Millis>,
    /// Taken by its receiver.
    pub delivered_at: Option<Millis>,
    /// Given up.
    pub given_up_at: Option<Millis>,
    /// How the last try went.
    pub tried: Option<Tried>,
}

/// How one try to deliver went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// When.
    pub at: Millis,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What was wrong.
    pub error: Option<String>,
    /// Beginning of the answer.
    pub answer: Option<String>,
}

/// What follows from a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterTry {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(Millis),
    /// It is not tried again.
    GivenUp,
    /// It is not tried again, nor is anything else at that endpoint, which said so.
    Disable(String),
}

/// See [`super::Store::note_delivery`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteDelivery {
    /// Which.
    pub id: DeliveryId,
    /// Tries before this one: a delivery that somebody restarted meanwhile stays as it is.
    pub attempts: u32,
    /// How it went.
    pub tried: Tried,
    /// What follows.
    pub after: AfterTry,
}

/// A receiver with something left to deliver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Due first.
    pub next_at: Millis,
    /// Which.
    pub lane: String,
}

/// Which deliveries of an endpoint to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Only deliveries older than this one.
    pub before: Option<DeliveryId>,
    /// How many at most.
    pub limit: u64,
}
