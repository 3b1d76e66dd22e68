//! The outbox: what happened in a transaction, written in it for everybody who is to be told.
//!
//! A subnet whose clients have no endpoints and name no callbacks pays nothing: whether there may be
//! endpoints is known without asking the database, and callbacks come with the rows that were changed
//! anyway.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::dialect::{Batch, Cast};
use super::row::get;
use super::usage::Usage;
use crate::domain::ids::{TaskId, WebhookId};
use crate::domain::task::TaskState;
use crate::domain::units::Millis;
use crate::domain::webhook::EventType;
use crate::store::webhook::Happening;
use crate::store::{DeliveryRow, Standing, StoreResult};

/// What the writer and its readers know without asking.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Whether there may be endpoints. Set before the first one can be committed, never unset.
    webhooks: Arc<AtomicBool>,
    /// Deliveries written since the start.
    written: Arc<AtomicU64>,
    /// Number of the last transaction; only the writer counts.
    transactions: Arc<AtomicI64>,
}

impl Known {
    pub(super) fn there_may_be_webhooks(&self) {
        self.webhooks.store(true, Ordering::Release);
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Counts what was committed.
    pub(super) fn count(&self, rows: u64) {
        self.written.fetch_add(rows, Ordering::Release);
    }

    /// Has the numbers of transactions go on behind those that the rows have.
    pub(super) fn number_after(&self, last: i64) {
        self.transactions.store(last, Ordering::Release);
    }

    /// An outbox for one transaction, which is the next.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox {
            transaction: self.transactions.fetch_add(1, Ordering::AcqRel).saturating_add(1),
            webhooks: self.webhooks.load(Ordering::Acquire),
            happenings: Vec::new(),
            usage: Usage::default(),
            rows: 0,
        }
    }
}

/// What happened in one transaction.
pub(super) struct Outbox {
    /// Its number. One transaction commits after the other, each as a whole: so by these numbers no
    /// reader sees a task become done before one that it has seen already. Moments would not do,
    /// for commands bring theirs along and are committed in another order.
    pub(super) transaction: i64,
    webhooks: bool,
    happenings: Vec<Happening>,
    /// What is counted for their clients.
    pub(super) usage: Usage,
    /// Rows that were written for it.
    pub(super) rows: u64,
}

/// A task that a statement changed: `owner`, `callback_url` and `kind` follow the columns of its
/// standing.
const OWNER: usize = 5;
const CALLBACK: usize = 6;
const KIND: usize = 7;

impl Outbox {
    /// Notes what a settling row says: how the task stands, and how many answers are new.
    pub(super) fn settled(
        &mut self,
        row: &QueryResult,
        task: TaskId,
        standing: &Standing,
        answered: i32,
        at: Millis,
    ) -> StoreResult<()> {
        if standing.state.ended() {
            let (owner, kind): (String, String) = (get(row, OWNER)?, get(row, KIND)?);
            self.usage.ended(&owner, &kind, standing.state, at);
        }
        let callback_url: Option<String> = get(row, CALLBACK)?;
        if !self.webhooks && callback_url.is_none() {
            return Ok(());
        }
        let owner: String = get(row, OWNER)?;
        let first = answered > 0 && i32::from(standing.answered) == answered;
        let first = first.then_some(EventType::FirstResponse);
        let happening = |event| Happening {
            task,
            owner: owner.clone(),
            callback_url: callback_url.clone(),
            event,
            at,
            state: standing.state,
            responses: standing.answered,
        };
        let events = first.into_iter().chain(EventType::of(standing.state));
        self.happenings.extend(events.map(happening));
        Ok(())
    }

    /// Notes that a task was approved.
    pub(super) fn approved(&mut self, task: TaskId, owner: &str, responses: u16, at: Millis) {
        if !self.webhooks {
            return;
        }
        self.happenings.push(Happening {
            task,
            owner: owner.to_owned(),
            callback_url: None,
            event: EventType::Approved,
            at,
            state: TaskState::Approved,
            responses,
        });
    }

    /// Writes a row for everybody who is to be told.
    pub(super) async fn write(&mut self, tx: &DatabaseTransaction) -> StoreResult<()> {
        self.usage.write(tx).await?;
        if self.happenings.is_empty() {
            return Ok(());
        }
        let webhooks = if self.webhooks { self.webhooks_of(tx).await? } else { HashMap::new() };
        let mut rows = Vec::new();
        for happening in std::mem::take(&mut self.happenings) {
            rows.extend(happening.for_callback().map(delivery_row));
            for (id, events) in webhooks.get(&happening.owner).into_iter().flatten() {
                rows.extend(happening.for_webhook(*id, events).map(delivery_row));
            }
        }
        self.rows = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        INSERT.run(tx, rows).await?;
        Ok(())
    }

    /// Endpoints that are told, by owner.
    async fn webhooks_of(
        &self,
        tx: &DatabaseTransaction,
    ) -> StoreResult<HashMap<String, Vec<(WebhookId, String)>>> {
        let owners: BTreeSet<&str> = self.happenings.iter().map(|h| h.owner.as_str()).collect();
        let rows = owners.into_iter().map(|owner| vec![owner.into()]).collect();
        let mut webhooks: HashMap<String, Vec<_>> = HashMap::new();
        for row in FIND.run(tx, rows).await? {
            let (id, events) = (WebhookId(get::<Uuid>(&row, 0)?), get(&row, 2)?);
            webhooks.entry(get(&row, 1)?).or_default().push((id, events));
        }
        Ok(webhooks)
    }
}

const FIND: Batch = Batch {
    columns: &[("owner", Cast::Text)],
    body: "SELECT webhook.id, webhook.owner, webhook.events FROM webhook \
           JOIN v ON v.owner = webhook.owner WHERE webhook.disabled_at IS NULL",
};

const INSERT: Batch = Batch {
    columns: &[
        ("id", Cast::Uuid),
        ("owner", Cast::Text),
        ("lane", Cast::Text),
        ("event", Cast::Text),
        ("status", Cast::Text),
        ("webhook_id", Cast::Uuid),
        ("url", Cast::Text),
        ("task_id", Cast::Uuid),
        ("responses", Cast::Int),
        ("created_at", Cast::Big),
    ],
    body: "INSERT INTO delivery (id, owner, lane, event, status, webhook_id, url, task_id, \
           responses, created_at, attempts, next_at) \
           SELECT id, owner, lane, event, status, webhook_id, url, task_id, responses, created_at, \
           0, created_at FROM v WHERE true ON CONFLICT (id) DO NOTHING",
};

fn delivery_row(row: DeliveryRow) -> Vec<Value> {
    vec![
        row.id.0.into(),
        row.owner.into(),
        row.lane.into(),
        row.event.as_str().into(),
        row.status.as_str().into(),
        row.webhook.map(|id| id.0).into(),
        row.url.into(),
        row.task.0.into(),
        i32::from(row.responses).into(),
        row.created_at.0.into(),
    ]
}
