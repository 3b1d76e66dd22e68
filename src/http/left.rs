//! What is left for each validator to judge, remembered between its polls: up to where it has seen
//! the done tasks, and which of them it had not judged by then. A poll costs a look at what it is
//! told, however many done tasks lie behind that it judged long ago.
//!
//! Rows own: this only says where to go on. After a restart it begins with the first done task.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use crate::domain::ids::{TaskId, ValidatorId};
use crate::domain::limits::{DONE_LOOKED_MAX, JUDGES_KEPT, JUDGES_KEPT_MILLIS};
use crate::domain::units::Millis;
use crate::store::{DonePlace, Store, StoreResult, TaskRecord};

/// See the module's docs.
#[derive(Debug)]
pub struct LeftToJudge {
    /// Locked for a whole poll: a second one of the same validator goes on where the first arrives,
    /// instead of walking beside it.
    seen_by: Cache<ValidatorId, Arc<Mutex<Seen>>>,
    looked_max: u64,
}

/// What one validator has seen.
#[derive(Debug)]
struct Seen {
    since: Millis,
    reached: DonePlace,
    /// Places up to there whose tasks were left; it walks on only when it knows too few of them, so
    /// that they are never many more than one page and one answer.
    left: BTreeSet<DonePlace>,
}

impl Seen {
    const fn nothing(since: Millis) -> Self {
        Self { since, reached: DonePlace::START, left: BTreeSet::new() }
    }
}

impl Default for LeftToJudge {
    fn default() -> Self {
        Self::looking_at(DONE_LOOKED_MAX)
    }
}

impl LeftToJudge {
    /// Looks at so many done tasks at once, at least one.
    #[must_use]
    pub fn looking_at(looked_max: u64) -> Self {
        Self { seen_by: Cache::new(JUDGES_KEPT), looked_max: looked_max.max(1) }
    }

    /// So many tasks at most that a validator has not judged whole, first those that became done
    /// first.
    ///
    /// # Errors
    /// When the store cannot be read; the next poll goes on where this one came.
    pub async fn of(
        &self,
        store: &dyn Store,
        validator: ValidatorId,
        limit: usize,
        now: Millis,
    ) -> StoreResult<Vec<TaskRecord>> {
        let seen = self.seen_by(validator, now);
        let mut seen = seen.lock().await;
        // A commit whose outcome nobody was told may come to light after later ones, behind our back.
        if now.since(seen.since) >= JUDGES_KEPT_MILLIS {
            *seen = Seen::nothing(now);
        }
        let mut records = Vec::new();
        let (mut looked, mut end) = (DonePlace::START, false);
        while records.len() < limit {
            let known = seen.left.range((Excluded(looked), Unbounded));
            let known: Vec<_> = known.take(limit - records.len()).copied().collect();
            match known.last() {
                Some(last) => looked = *last,
                None if end => break,
                None => {
                    let page = store.done_after(validator, seen.reached, self.looked_max).await?;
                    (seen.reached, end) = (page.reached, page.end);
                    seen.left.extend(page.left);
                    continue;
                }
            }
            let tasks = known.iter().map(|place| place.task).collect();
            let left = store.left_among(validator, tasks).await?;
            let mut left: HashMap<TaskId, _> = left.into_iter().map(|t| (t.task.id, t)).collect();
            for place in known {
                match left.remove(&place.task) {
                    Some(record) => records.push(record),
                    None => drop(seen.left.remove(&place)),
                }
            }
        }
        Ok(records)
    }

    fn seen_by(&self, validator: ValidatorId, now: Millis) -> Arc<Mutex<Seen>> {
        let nothing = || Ok::<_, Infallible>(Arc::new(Mutex::new(Seen::nothing(now))));
        let Ok(seen) = self.seen_by.get_or_insert_with(&validator, nothing);
        seen
    }
}
