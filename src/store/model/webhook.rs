//! Endpoints, secrets of callbacks, and the outbox.

use std::ops::Bound;

use super::Tables;
use crate::domain::ids::{DeliveryId, TaskId, WebhookId};
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::domain::webhook::EventType;
use crate::store::webhook::Happening;
use crate::store::*;

fn at_most(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Tables {
    /// Writes a row for everybody who is to be told of this.
    pub(super) fn tell(&mut self, id: TaskId, event: EventType, state: TaskState, at: Millis) {
        let Some(task) = self.tasks.get(&id) else { return };
        let happening = Happening {
            task: id,
            owner: task.task.owner.clone(),
            callback_url: task.task.callback_url.clone(),
            event,
            at,
            state,
            responses: task.answered,
        };
        let own = self.webhooks.values().filter(|w| w.owner == happening.owner);
        let told = own.filter(|w| w.disabled_at.is_none());
        let rows = told.filter_map(|w| happening.for_webhook(w.id, &w.events));
        let rows: Vec<_> = rows.chain(happening.for_callback()).collect();
        for row in rows {
            self.deliveries.entry(row.id).or_insert(row);
            self.deliveries_written += 1;
        }
    }

    pub(super) fn put_webhook(&mut self, command: PutWebhook) -> WebhookPut {
        let PutWebhook { webhook, owned_max, .. } = command;
        if self.webhooks.contains_key(&webhook.id) {
            return WebhookPut::Done;
        }
        let owned = self.webhooks.values().filter(|w| w.owner == webhook.owner).count();
        if owned >= at_most(owned_max) {
            return WebhookPut::Full;
        }
        self.webhooks.insert(webhook.id, webhook);
        WebhookPut::Done
    }

    /// The same secret again changes nothing.
    pub(super) fn rotate_webhook(&mut self, command: RotateWebhook) -> bool {
        let Some(webhook) = self.webhooks.get_mut(&command.id) else { return false };
        if webhook.secret != command.secret {
            let old = std::mem::replace(&mut webhook.secret, command.secret);
            (webhook.old_secret, webhook.old_until) = (Some(old), Some(command.old_until));
        }
        true
    }

    pub(super) fn delete_webhook(&mut self, id: WebhookId) -> bool {
        self.deliveries.retain(|_, row| row.webhook != Some(id));
        self.webhooks.remove(&id).is_some()
    }

    /// The first one of an owner stands.
    pub(super) fn know_callback_secret(&mut self, row: CallbackSecretRow) -> String {
        self.callback_secrets.entry(row.owner.clone()).or_insert(row).secret.clone()
    }

    /// Counts if it is the current try of a delivery that is still to be made.
    pub(super) fn note_delivery(&mut self, command: NoteDelivery) -> bool {
        let NoteDelivery { id, attempts, tried, after } = command;
        let row = self.deliveries.get_mut(&id);
        let current = row.filter(|row| row.attempts == attempts && row.next_at.is_some());
        let Some(row) = current else { return false };
        let at = tried.at;
        row.attempts = attempts.saturating_add(1);
        row.tried = Some(tried);
        row.next_at = None;
        match after {
            AfterTry::Again(next) => row.next_at = Some(next),
            AfterTry::Delivered => row.delivered_at = Some(at),
            AfterTry::GivenUp => row.given_up_at = Some(at),
            AfterTry::Disable(reason) => {
                row.given_up_at = Some(at);
                if let Some(webhook) = row.webhook {
                    self.disable(webhook, reason, at);
                }
            }
        }
        true
    }

    /// Neither the endpoint nor what waits for it is told any more.
    fn disable(&mut self, id: WebhookId, reason: String, at: Millis) {
        let told = self.webhooks.get_mut(&id).filter(|webhook| webhook.disabled_at.is_none());
        if let Some(webhook) = told {
            (webhook.disabled_at, webhook.disabled_reason) = (Some(at), Some(reason));
        }
        let own = self.deliveries.values_mut().filter(|row| row.webhook == Some(id));
        for row in own.filter(|row| row.next_at.is_some()) {
            (row.next_at, row.given_up_at) = (None, Some(at));
        }
    }

    pub(super) fn redeliver(&mut self, id: DeliveryId, now: Millis) -> bool {
        let Some(row) = self.deliveries.get_mut(&id) else { return false };
        (row.attempts, row.next_at) = (0, Some(now));
        (row.delivered_at, row.given_up_at) = (None, None);
        self.deliveries_written += 1;
        true
    }

    pub(super) fn webhooks_of(&self, owner: Option<&str>, limit: u64) -> Vec<WebhookRow> {
        let own = self.webhooks.values().filter(|w| owner.is_none_or(|owner| w.owner == owner));
        own.take(at_most(limit)).cloned().collect()
    }

    /// Newest first, which is the order of ids.
    pub(super) fn deliveries_of(&self, page: &DeliveryPage) -> Vec<DeliveryRow> {
        let before = page.before.map_or(Bound::Unbounded, Bound::Excluded);
        let older = self.deliveries.range((Bound::Unbounded, before)).rev().map(|(_, row)| row);
        let own = older.filter(|row| row.webhook == Some(page.webhook));
        own.take(at_most(page.limit)).cloned().collect()
    }

    pub(super) fn lanes(&self, after: &str, limit: u64) -> Vec<Lane> {
        let mut lanes = std::collections::BTreeMap::new();
        for row in self.deliveries.values().filter(|row| row.lane.as_str() > after) {
            let Some(at) = row.next_at else { continue };
            lanes
                .entry(row.lane.clone())
                .and_modify(|next: &mut Millis| *next = at.min(*next))
                .or_insert(at);
        }
        let lane = |(lane, next_at)| Lane { lane, next_at };
        lanes.into_iter().map(lane).take(at_most(limit)).collect()
    }

    pub(super) fn due(&self, lane: &str, now: Millis, limit: u64) -> Vec<DeliveryRow> {
        let own = self.deliveries.values().filter(|row| row.lane == lane);
        let mut due: Vec<_> = own.filter(|row| row.next_at.is_some_and(|at| at <= now)).collect();
        due.sort_by_key(|row| (row.next_at, row.id));
        due.into_iter().take(at_most(limit)).cloned().collect()
    }
}
