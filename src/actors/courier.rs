//! The Courier: what the outbox holds, brought to its receivers. It is woken by a hint and looks now
//! and then without one; whatever it has on its way is in the rows, and is sent again, under the same
//! id, when the process dies before the outcome is written.
//!
//! A receiver that is slow holds up only itself: each has a few places, and so has each owner.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use super::Deps;
use crate::domain::ids::DeliveryId;
use crate::domain::limits::{DELIVERIES_PARALLEL, LANE_PARALLEL, LANES_MAX, OWNER_PARALLEL};
use crate::domain::task::TaskStatus;
use crate::domain::units::Millis;
use crate::domain::webhook::{Message, next_try};
use crate::outside::Post;
use crate::outside::delivery::{Letter, new_secret};
use crate::store::{
    AfterTry, CallbackSecretRow, DeliveryRow, Lane, NoteDelivery, Store, StoreError, StoreResult,
    TaskRecord, Tried,
};

/// See the module's docs.
pub struct Courier {
    deps: Arc<Deps>,
    post: Arc<Post>,
    under_way: UnderWay,
    looking: bool,
    /// Something changed while it looked.
    again: bool,
    /// Behind which lane the next look begins.
    after: String,
}

/// What is on its way, counted for the limits.
#[derive(Debug, Clone, Default)]
struct UnderWay {
    ids: HashSet<DeliveryId>,
    lanes: HashMap<String, usize>,
    owners: HashMap<String, usize>,
}

impl UnderWay {
    fn room(&self, row: &DeliveryRow) -> bool {
        self.ids.len() < DELIVERIES_PARALLEL
            && !self.ids.contains(&row.id)
            && self.in_lane(&row.lane) < LANE_PARALLEL
            && self.owners.get(&row.owner).copied().unwrap_or(0) < OWNER_PARALLEL
    }

    fn in_lane(&self, lane: &str) -> usize {
        self.lanes.get(lane).copied().unwrap_or(0)
    }

    fn add(&mut self, row: &DeliveryRow) {
        self.ids.insert(row.id);
        *self.lanes.entry(row.lane.clone()).or_default() += 1;
        *self.owners.entry(row.owner.clone()).or_default() += 1;
    }

    fn remove(&mut self, row: &DeliveryRow) {
        self.ids.remove(&row.id);
        for (counts, name) in [(&mut self.lanes, &row.lane), (&mut self.owners, &row.owner)] {
            let left = counts.get_mut(name).map(|count| {
                *count = count.saturating_sub(1);
                *count
            });
            if left == Some(0) {
                counts.remove(name);
            }
        }
    }
}

impl Courier {
    /// A Courier that begins when it starts.
    #[must_use]
    pub fn new(deps: Arc<Deps>) -> Self {
        let config = &deps.config.webhooks;
        let post = Arc::new(Post::new(config.private_addresses, config.ca_file.clone()));
        Self {
            deps,
            post,
            under_way: UnderWay::default(),
            looking: false,
            again: false,
            after: String::new(),
        }
    }

    /// Waits for a hint, or for a while, and looks.
    fn wait(&mut self, ctx: &mut Context<Self>) {
        let (wake, poll) = (self.deps.wake.clone(), self.deps.config.webhooks.poll_millis);
        let hint = async move {
            tokio::time::timeout(Duration::from_millis(poll), wake.until_outbox()).await.ok();
        };
        ctx.spawn(hint.into_actor(self).map(|(), act, ctx| {
            act.look(ctx);
            act.wait(ctx);
        }));
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking {
            self.again = true;
            return;
        }
        (self.looking, self.again) = (true, false);
        let (deps, under_way) = (self.deps.clone(), self.under_way.clone());
        let after = std::mem::take(&mut self.after);
        let work = async move { run_once(&deps, under_way, &after).await };
        ctx.spawn(work.into_actor(self).map(|found, act, ctx| {
            act.looking = false;
            match found {
                Ok(Found { rows, after }) => {
                    act.after = after;
                    rows.into_iter().for_each(|row| act.send(row, ctx));
                }
                Err(StoreError::Closed) => {}
                Err(error) => tracing::warn!(%error, "looking for deliveries failed"),
            }
            if act.again {
                act.look(ctx);
            }
        }));
    }

    /// Sends a delivery on its way; when its outcome is written there is room for another.
    fn send(&mut self, row: DeliveryRow, ctx: &mut Context<Self>) {
        // Another look may have found it too, or taken the room.
        if !self.under_way.room(&row) {
            return;
        }
        self.under_way.add(&row);
        let (deps, post) = (self.deps.clone(), self.post.clone());
        let work = async move {
            let outcome = deliver(&deps, &post, &row).await;
            (row, outcome)
        };
        ctx.spawn(work.into_actor(self).map(|(row, outcome), act, ctx| {
            act.under_way.remove(&row);
            match outcome {
                Ok(()) => act.look(ctx),
                // It stays due; the next look comes in a while.
                Err(StoreError::Closed) => {}
                Err(error) => {
                    tracing::warn!(delivery.id = %row.id, %error, "a delivery was not noted");
                }
            }
        }));
    }
}

/// What one look found.
struct Found {
    rows: Vec<DeliveryRow>,
    after: String,
}

/// One look: what is due and has room, the longest waiting lanes first.
async fn run_once(deps: &Deps, mut under_way: UnderWay, after: &str) -> StoreResult<Found> {
    let now = deps.clock.now();
    let mut lanes = deps.store.lanes(after, LANES_MAX).await?;
    // As many as one look takes in: the next one goes on behind them, and then from the beginning.
    let full = u64::try_from(lanes.len()).is_ok_and(|found| found >= LANES_MAX);
    let after = lanes.last().filter(|_| full).map(|last| last.lane.clone()).unwrap_or_default();
    lanes.sort_unstable();
    let mut found = Vec::new();
    for Lane { lane, .. } in lanes.into_iter().filter(|lane| lane.next_at <= now) {
        let own = under_way.in_lane(&lane);
        if own >= LANE_PARALLEL || under_way.ids.len() >= DELIVERIES_PARALLEL {
            continue;
        }
        let limit = u64::try_from(own + LANE_PARALLEL).unwrap_or(u64::MAX);
        for row in deps.store.due(&lane, now, limit).await? {
            if under_way.room(&row) {
                under_way.add(&row);
                found.push(row);
            }
        }
    }
    Ok(Found { rows: found, after })
}

/// Makes one try and has its outcome written.
async fn deliver(deps: &Deps, post: &Post, row: &DeliveryRow) -> StoreResult<()> {
    let at = deps.clock.now();
    let (tried, after) = match letter(deps, row, at).await? {
        Ok(letter) => {
            let sent = post.send(&letter).await;
            judge(row, deps.clock.now(), sent.map(|receipt| (receipt.status, receipt.text)))
        }
        Err(reason) => {
            (Tried { at, status: None, error: Some(reason), answer: None }, AfterTry::GivenUp)
        }
    };
    let outcome = match &after {
        AfterTry::Delivered => "delivered",
        AfterTry::Again(_) => "again",
        AfterTry::GivenUp => "given_up",
        AfterTry::Disable(_) => "disabled",
    };
    metrics::counter!(crate::telemetry::DELIVERIES, "outcome" => outcome).increment(1);
    tracing::debug!(delivery.id = %row.id, task.id = %row.task, outcome, error = tried.error,
        "a delivery was tried");
    let note = NoteDelivery { id: row.id, attempts: row.attempts, tried, after };
    deps.store.note_delivery(note).await.map(|_| ())
}

/// What follows from a try.
fn judge(row: &DeliveryRow, at: Millis, sent: Result<(u16, String), String>) -> (Tried, AfterTry) {
    let failed = row.attempts.saturating_add(1);
    let retry = || next_try(row.id, failed, at).map_or(AfterTry::GivenUp, AfterTry::Again);
    match sent {
        Ok((status, text)) => {
            let (error, after) = match status {
                200..300 => (None, AfterTry::Delivered),
                410 if row.webhook.is_some() => {
                    let reason = "the endpoint answered 410: it wants to hear nothing more";
                    (Some(reason.to_owned()), AfterTry::Disable(reason.to_owned()))
                }
                410 => (Some("the receiver answered 410".to_owned()), AfterTry::GivenUp),
                300..400 => (Some(format!("{status}: redirects are not followed")), retry()),
                _ => (Some(format!("the receiver answered {status}")), retry()),
            };
            let answer = Some(text).filter(|text| !text.is_empty());
            (Tried { at, status: Some(status), error, answer }, after)
        }
        Err(reason) => {
            let clean = reason.chars().filter(|c| !c.is_control()).take(ERROR_CHARS_MAX).collect();
            (Tried { at, status: None, error: Some(clean), answer: None }, retry())
        }
    }
}

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 300;

/// The message, or why there is none to send any more.
async fn letter(
    deps: &Deps,
    row: &DeliveryRow,
    now: Millis,
) -> StoreResult<Result<Letter, String>> {
    let Some(task) = deps.store.task(row.task).await? else {
        return Ok(Err("the task is gone".to_owned()));
    };
    let (url, secrets) = match row.webhook {
        Some(id) => match deps.store.webhook(id).await? {
            None => return Ok(Err("the endpoint is gone".to_owned())),
            Some(webhook) if webhook.disabled_at.is_some() => {
                return Ok(Err("the endpoint is disabled".to_owned()));
            }
            Some(webhook) => {
                let old = webhook.old_until.filter(|until| *until > now);
                let old = old.and(webhook.old_secret);
                (webhook.url, [webhook.secret].into_iter().chain(old).collect())
            }
        },
        None => {
            let url = row.url.clone().unwrap_or_default();
            (url, vec![callback_secret(&*deps.store, &row.owner, now).await?])
        }
    };
    let body = message(row, &task).body(deps.public_url()).to_string();
    let at_secs = now.0.div_euclid(1_000);
    Ok(Ok(Letter { url, id: row.id.to_string(), at_secs, secrets, body }))
}

fn message<'a>(row: &DeliveryRow, task: &'a TaskRecord) -> Message<'a> {
    Message {
        event: row.event,
        at: row.created_at,
        task: row.task,
        kind: &task.task.kind,
        status: row.status,
        priority: task.task.priority,
        created_at: task.task.created_at,
        // It may have ended since then.
        finished_at: task.finished_at.filter(|_| row.status != TaskStatus::Processing),
        responses: row.responses,
        retry_of: task.task.retry_of,
    }
}

/// The secret of an owner's callbacks, made when it is first needed.
///
/// # Errors
/// When the store cannot be asked.
pub async fn callback_secret(store: &dyn Store, owner: &str, now: Millis) -> StoreResult<String> {
    if let Some(secret) = store.callback_secret(owner).await? {
        return Ok(secret);
    }
    let (owner, secret) = (owner.to_owned(), new_secret());
    store.know_callback_secret(CallbackSecretRow { owner, secret, created_at: now }).await
}

impl Actor for Courier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        self.wait(ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{TaskId, WebhookId};
    use crate::domain::webhook::EventType;
    use uuid::Uuid;

    fn row(n: u128, lane: &str, owner: &str) -> DeliveryRow {
        DeliveryRow {
            id: DeliveryId(Uuid::from_u128(n)),
            owner: owner.to_owned(),
            lane: lane.to_owned(),
            event: EventType::Done,
            status: TaskStatus::Done,
            webhook: Some(WebhookId(Uuid::from_u128(1))),
            url: None,
            task: TaskId(Uuid::from_u128(1)),
            responses: 1,
            created_at: Millis(0),
            attempts: 0,
            next_at: Some(Millis(0)),
            delivered_at: None,
            given_up_at: None,
            tried: None,
        }
    }

    /// Adds rows while there is room; how many there was room for.
    fn filled(under_way: &mut UnderWay, rows: impl Iterator<Item = DeliveryRow>) -> usize {
        let taken = rows.take(1_000).filter(|row| {
            let room = under_way.room(row);
            if room {
                under_way.add(row);
            }
            room
        });
        taken.count()
    }

    #[test]
    fn a_receiver_an_owner_and_all_together_have_so_many_places() {
        let one_lane = |_| "lane".to_owned();
        let own_lane = |n: u128| n.to_string();
        let rows = |lane: fn(u128) -> String, owner: fn(u128) -> String| {
            (0..).map(move |n| row(n, &lane(n), &owner(n)))
        };
        let mut under_way = UnderWay::default();
        assert_eq!(filled(&mut under_way, rows(one_lane, own_lane)), LANE_PARALLEL);
        let mut under_way = UnderWay::default();
        assert_eq!(filled(&mut under_way, rows(own_lane, one_lane)), OWNER_PARALLEL);
        let mut under_way = UnderWay::default();
        assert_eq!(filled(&mut under_way, rows(own_lane, own_lane)), DELIVERIES_PARALLEL);
    }

    #[test]
    fn what_is_under_way_is_not_sent_beside_itself_and_makes_room_when_it_ends() {
        let mut under_way = UnderWay::default();
        let one = row(1, "a", "alice");
        under_way.add(&one);
        assert!(!under_way.room(&one));
        under_way.remove(&one);
        assert!(under_way.room(&one));
        assert!(under_way.lanes.is_empty() && under_way.owners.is_empty(), "nothing stays behind");
    }

    #[test]
    fn only_2xx_is_taken_and_only_an_endpoint_can_be_disabled() {
        let endpoint = row(1, "a", "alice");
        let callback = DeliveryRow { webhook: None, ..endpoint.clone() };
        let last = DeliveryRow { attempts: 6, ..endpoint.clone() };
        let after =
            |row: &DeliveryRow, status| judge(row, Millis(0), Ok((status, String::new()))).1;
        for status in [200, 201, 204, 299] {
            assert_eq!(after(&endpoint, status), AfterTry::Delivered, "{status}");
        }
        for status in [199, 300, 301, 307, 308, 400, 404, 429, 500, 503] {
            assert!(matches!(after(&endpoint, status), AfterTry::Again(_)), "{status}");
            assert_eq!(after(&last, status), AfterTry::GivenUp, "{status}");
        }
        assert!(matches!(after(&endpoint, 410), AfterTry::Disable(_)));
        assert_eq!(after(&callback, 410), AfterTry::GivenUp);
        let (tried, again) = judge(&endpoint, Millis(9), Err("no\0 way".to_owned()));
        assert!(matches!(again, AfterTry::Again(_)));
        assert_eq!(tried.error.as_deref(), Some("no way"), "what no database takes is left out");
    }
}
