//! Who answered what of tasks that are done, kept for a while: each of them is judged response by
//! response by several validators, and nothing of it changes any more.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::domain::ids::{MinerUid, TaskId};
use crate::domain::limits::ANSWERED_KEPT;
use crate::domain::task::TaskState;
use crate::store::{Store, StoreResult};

/// See the module's docs.
#[derive(Debug)]
pub struct AnsweredTasks(Cache<TaskId, Arc<Answered>>);

/// One task's answers.
#[derive(Debug)]
pub struct Answered {
    /// Kind of the task.
    pub(super) kind: String,
    /// Slots with their miners.
    pub(super) slots: Vec<(u16, MinerUid)>,
}

impl Default for AnsweredTasks {
    fn default() -> Self {
        Self(Cache::new(ANSWERED_KEPT))
    }
}

impl AnsweredTasks {
    /// A task's answers; `None` when there is no such task.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn of(
        &self,
        store: &dyn Store,
        task: TaskId,
    ) -> StoreResult<Option<Arc<Answered>>> {
        if let Some(known) = self.0.get(&task) {
            return Ok(Some(known));
        }
        let Some(record) = store.task(task).await? else { return Ok(None) };
        let responses = store.responses(task).await?;
        let slots = responses.iter().map(|r| (r.token.slot, r.miner_uid)).collect();
        let answered = Arc::new(Answered { kind: record.task.kind, slots });
        // More answers may come to an open task.
        if matches!(record.state, TaskState::Done | TaskState::Approved) {
            self.0.insert(task, answered.clone());
        }
        Ok(Some(answered))
    }
}
