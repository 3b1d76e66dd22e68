//! What travels between the Distributor, the miners and the HTTP workers about one lease.

use std::sync::Arc;

use serde_json::Value;

use crate::domain::ids::{LeaseToken, TaskId};
use crate::domain::kind::{KindIndex, KindRegistry};
use crate::domain::units::Millis;
use crate::store::{Holder, NewTask, Responded, Store, StoreResult};

/// A task as kept in memory: shared by everyone who works on it.
#[derive(Debug)]
pub struct Brief {
    /// As submitted.
    pub task: NewTask,
    /// Its kind's place in the registry.
    pub kind: KindIndex,
}

impl Brief {
    /// The keys of which an answer should have one, when it has none.
    pub(super) fn lacks(&self, kinds: &KindRegistry, answer: &Value) -> Option<Vec<String>> {
        let kind = kinds.get(self.kind)?;
        let has = |key: &String| answer.get(key).is_some_and(|value| !value.is_null());
        (!kind.output_keys.iter().any(has)).then(|| kind.output_keys.clone())
    }
}

/// What became of an answer.
#[derive(Debug)]
pub enum Outcome {
    /// The store's word.
    Stored(Responded),
    /// The answer lacks all of these keys.
    Lacks(Vec<String>),
}

/// The lease by which this holder answered the task, if it did.
pub(super) async fn answered_before(
    store: &dyn Store,
    task: TaskId,
    holder: Holder,
) -> StoreResult<Option<LeaseToken>> {
    let responses = store.responses(task).await?;
    Ok(responses.iter().find(|r| r.holder == holder).map(|r| r.token))
}

/// A live lease as its holder's actor keeps it.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its fencing token.
    pub token: LeaseToken,
    /// The task.
    pub brief: Arc<Brief>,
    /// Due, as the row says.
    pub expires_at: Millis,
    /// Whether the row says `running`.
    pub fetched: bool,
    /// Whether it went out to the miner in this process' life.
    pub delivered: bool,
    /// Last heartbeat that was written.
    pub beaten_at: Millis,
}
